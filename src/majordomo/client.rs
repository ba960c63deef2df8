//! Talks to the pod that holds a home: JSON lines over its socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::socket::{Greeting, MAX_LINE};
use rustix::fs::{Mode, OFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::border;
use super::request::{Failure, Reply, Request};
use crate::interrupt::Interrupt;

/// How long the other side may take for its greeting.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection on which greetings have been exchanged.
pub struct Connection {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

/// Reads one line of at most [`MAX_LINE`] bytes; `None` at the end.
pub fn read_line<T: DeserializeOwned>(lines: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    lines.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long, or has no end"));
    }
    serde_json::from_slice(&line).map(Some).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Writes one line.
pub fn write_line(stream: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// The address of a socket is at most 107 bytes long (unix(7)); by way of an open folder every path is short enough. Calls
/// `act` with the short form while the folder is open.
pub fn by_short_path<T>(socket: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else { return act(socket) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    act(&PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}

/// Connects and greets.
pub fn connect(socket: &Path) -> io::Result<Connection> {
    let mut stream = by_short_path(socket, |path| UnixStream::connect(path))?;
    write_line(&mut stream, &Greeting::ours())?;
    stream.set_read_timeout(Some(GREETING_TIMEOUT))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let greeting: Greeting = read_line(&mut lines)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    greeting.check().map_err(io::Error::other)?;
    stream.set_read_timeout(None)?;
    Ok(Connection { stream, lines })
}

/// Why a request did not come to its end.
#[derive(Debug)]
pub enum Asked {
    /// It could not be carried out.
    Failed(Failure),
    /// The pod went in the middle.
    Broken(Failure),
}

/// Asks, and hands on what comes back. An interrupt closes our writing side, which cancels the request over there.
pub fn ask(
    connection: Connection,
    request: &Request,
    interrupt: &Interrupt,
    on: &mut dyn FnMut(Reply),
) -> Result<(), Asked> {
    let broken = |error: io::Error| {
        let mut failure = border::machine("the pod of this home ended in the middle");
        failure.causes.push(error.to_string());
        Asked::Broken(
            failure.hint("ask again: a new pod starts by itself, and nothing that was finished is lost"),
        )
    };
    let Connection { mut stream, mut lines } = connection;
    write_line(&mut stream, request).map_err(broken)?;
    let closing = stream.try_clone().map_err(broken)?;
    let _hooked = interrupt.on_set(move || {
        closing.shutdown(std::net::Shutdown::Write).ok();
    });
    loop {
        match read_line::<Reply>(&mut lines).map_err(broken)? {
            Some(Reply::Failed(failure)) => return Err(Asked::Failed(failure)),
            Some(reply) => {
                let done = matches!(reply, Reply::Done { .. });
                on(reply);
                if done {
                    return Ok(());
                }
            }
            None => return Err(broken(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_home_may_be_deep() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x".repeat(100)).join("y".repeat(100));
        std::fs::create_dir_all(&deep).unwrap();
        let socket = deep.join("pod.sock");
        let listener = by_short_path(&socket, |path| UnixListener::bind(path)).unwrap();
        by_short_path(&socket, |path| UnixStream::connect(path)).unwrap();
        listener.accept().unwrap();
    }
}
