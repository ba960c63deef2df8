//! A stranger at the NATS server: hears all that goes over it, and says what it likes. It has no key and no library, only the protocol's text.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::Nats;
use super::running::LIMIT;

/// A message: where to, and what.
pub type Overheard = (String, Vec<u8>);

/// The stranger's line.
pub struct Tap {
    stream: TcpStream,
    heard: Receiver<Overheard>,
    pongs: Receiver<()>,
    reader: Option<JoinHandle<()>>,
}

impl Tap {
    /// Hears all messages from now on.
    pub fn new(nats: &Nats) -> Self {
        let (_, address) = nats.url().split_once("://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        // Without its own words: a server hangs up on whoever does not take in fast enough what it says itself.
        stream.write_all(b"CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false,\"protocol\":1}\r\nSUB > 1\r\n").unwrap();
        let (say_heard, heard) = channel();
        let (say_pong, pongs) = channel();
        let line = BufReader::new(stream.try_clone().unwrap());
        let reader = std::thread::spawn(move || listen(line, &say_heard, &say_pong));
        let mut tap = Self { stream, heard, pongs, reader: Some(reader) };
        tap.settles();
        tap
    }

    /// Waits until the server has taken all that was said, and has passed on all that it had.
    pub fn settles(&mut self) {
        self.stream.write_all(b"PING\r\n").unwrap();
        self.pongs.recv_timeout(LIMIT).unwrap();
    }

    /// All that pods have said since the last time: messages and records, and none of the server's own.
    pub fn overheard(&mut self) -> Vec<Overheard> {
        self.settles();
        let is_of_pods = |(subject, _): &Overheard| !subject.starts_with('$') && !subject.starts_with('_');
        self.heard.try_iter().filter(is_of_pods).collect()
    }

    /// Says something, and wants an answer to nowhere.
    pub fn says(&mut self, subject: &str, payload: &[u8]) {
        let head = format!("PUB {subject} nowhere {}\r\n", payload.len());
        self.stream.write_all(&[head.as_bytes(), payload, b"\r\n"].concat()).unwrap();
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // The reader ends with the line, and has nothing to say about it.
        self.stream.shutdown(std::net::Shutdown::Both).ok();
        self.reader.take().map(|reader| reader.join().ok());
    }
}

fn listen(mut line: BufReader<TcpStream>, heard: &Sender<Overheard>, pongs: &Sender<()>) {
    let mut words = String::new();
    while line.read_line(&mut words).is_ok_and(|read| read > 0) {
        let parts: Vec<&str> = words.split_whitespace().collect();
        let told = match parts[..] {
            ["MSG", subject, .., length] => {
                let mut payload = vec![0; length.parse::<usize>().unwrap() + 2];
                if line.read_exact(&mut payload).is_err() {
                    return;
                }
                payload.truncate(payload.len() - 2);
                heard.send((subject.to_owned(), payload)).is_ok()
            }
            ["PING"] => line.get_mut().write_all(b"PONG\r\n").is_ok(),
            ["PONG"] => pongs.send(()).is_ok(),
            _ => true,
        };
        if !told {
            return;
        }
        words.clear();
    }
}
