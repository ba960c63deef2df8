//! The back-plane's server: whether it answers.

use std::io::{BufRead, BufReader};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use backplane::bus::nats::NatsOptions;

use super::{Finding, State};

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Connects to it and reads its greeting. The URL itself may hold a password: it is not shown.
pub(super) fn reach(url: &str) -> Finding {
    let why = "pods find each other through it; a machine alone builds without";
    let options = NatsOptions::new(url);
    let shown = options.shown();
    let places = match options.places() {
        Ok(places) => places,
        Err(error) => {
            return Finding::fine("NATS", error.to_string(), why)
                .is(State::Missing, "name the server as `nats://HOST:PORT`");
        }
    };
    match greeting(&places) {
        Ok(version) => Finding::fine("NATS", format!("`{shown}` answers: version {version}"), why),
        Err(error) => Finding::fine("NATS", format!("`{shown}` does not answer: {error}"), why)
            .is(State::Missing, "nats-server --jetstream, or name the server that there is"),
    }
}

fn bad(what: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned())
}

fn greeting(places: &[(String, u16)]) -> std::io::Result<String> {
    let mut last = bad("it names no server");
    for (host, port) in places {
        let connected = (host.as_str(), *port)
            .to_socket_addrs()
            .and_then(|mut addresses| addresses.next().ok_or_else(|| bad("no such machine")))
            .and_then(|address| TcpStream::connect_timeout(&address, PATIENCE));
        match connected {
            Ok(stream) => return version(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn version(stream: TcpStream) -> std::io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(std::io::Read::take(stream, 1 << 16)).read_line(&mut line)?;
    let info = line.strip_prefix("INFO ").ok_or_else(|| bad("this is no NATS server"))?;
    let info: serde_json::Value = serde_json::from_str(info)?;
    Ok(info["version"].as_str().unwrap_or("unknown").to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_is_known_by_its_greeting() {
        let said = |greeting: &'static [u8]| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("nats://user:word@{}", listener.local_addr().unwrap());
            let server =
                std::thread::spawn(move || listener.accept().unwrap().0.write_all(greeting).unwrap());
            let found = reach(&url);
            server.join().unwrap();
            found
        };
        let fine = said(b"INFO {\"version\":\"2.9.10\",\"jetstream\":true}\r\n");
        assert!(fine.state == State::Fine && fine.found.ends_with("version 2.9.10"), "{fine:?}");
        assert!(!fine.found.contains("word"), "{fine:?}");
        assert!(said(b"HTTP/1.1 400\r\n").found.ends_with("this is no NATS server"));
        assert_eq!(reach("nats://127.0.0.1:1").state, State::Missing);
    }
}
