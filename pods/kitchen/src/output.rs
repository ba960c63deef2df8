//! A step's output as lines: read from two pipes, cut, and handed on with back-pressure.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::event::Stream;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use crate::order::{Line, Streams};
use crate::wire::Wired;

/// A step's ends of its streams.
pub(crate) enum Ends {
    /// The writing ends of pipes that are read here.
    Pipes([io::PipeWriter; 2]),
    /// Somebody's.
    Given(Streams),
}

impl Ends {
    pub(crate) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Ends::Pipes(pipes) => pipes.iter().map(AsFd::as_fd).collect(),
            Ends::Given(streams) => streams.fds.iter().map(AsFd::as_fd).collect(),
        }
    }

    pub(crate) fn wired(&self) -> Wired {
        match self {
            Ends::Pipes(_) => Wired::Pipes,
            Ends::Given(streams) if streams.is_terminal => Wired::Terminal,
            Ends::Given(_) => Wired::Talk,
        }
    }
}

/// One stream's pipe, and what has been read of it and not handed on.
struct Source {
    stream: Stream,
    /// `None` at its end.
    pipe: Option<pipe::Receiver>,
    rest: Vec<u8>,
    /// What of `rest` has been searched for a newline already.
    searched: usize,
}

/// Both streams of a step.
pub(crate) struct Output {
    sources: [Source; 2],
    lines: mpsc::Sender<Line>,
    turn: usize,
}

impl Source {
    fn new(stream: Stream, reading_end: OwnedFd) -> io::Result<Self> {
        let pipe = Some(pipe::Receiver::from_owned_fd(reading_end)?);
        Ok(Self { stream, pipe, rest: Vec::new(), searched: 0 })
    }

    /// Takes the next line, or a part of one that is too long, or at the end what is left.
    fn next(&mut self) -> Option<Line> {
        let newline = self.rest[self.searched..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map(|at| self.searched + at + 1);
        let len = match newline {
            Some(len) => len.min(Line::LONGEST),
            None if self.rest.len() >= Line::LONGEST => Line::LONGEST,
            None if self.pipe.is_none() && !self.rest.is_empty() => self.rest.len(),
            None => {
                self.searched = self.rest.len();
                return None;
            }
        };
        let tail = self.rest.split_off(len);
        self.searched = 0;
        Some(Line { stream: self.stream, bytes: std::mem::replace(&mut self.rest, tail) })
    }

    /// Reads what is there, and notes the end. Cancel safe.
    async fn read(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else { return std::future::pending().await };
        self.rest.reserve(Line::LONGEST);
        if pipe.read_buf(&mut self.rest).await? == 0 {
            self.pipe = None;
        }
        Ok(())
    }
}

impl Output {
    /// And the writing ends of its pipes.
    pub(crate) fn with_pipes(lines: mpsc::Sender<Line>) -> io::Result<(Self, [io::PipeWriter; 2])> {
        let ((out_read, out_write), (err_read, err_write)) = (io::pipe()?, io::pipe()?);
        Ok((Self::new(out_read.into(), err_read.into(), lines)?, [out_write, err_write]))
    }

    fn new(stdout: OwnedFd, stderr: OwnedFd, lines: mpsc::Sender<Line>) -> io::Result<Self> {
        let sources = [Source::new(Stream::Stdout, stdout)?, Source::new(Stream::Stderr, stderr)?];
        Ok(Self { sources, lines, turn: 0 })
    }

    /// Hands on lines until both streams have ended. Nothing is read while a line waits for room. If nobody wants the lines
    /// any more they are dropped. Cancel safe: call it again, and nothing is lost.
    pub(crate) async fn pump(&mut self) -> io::Result<()> {
        loop {
            for offset in 0..2 {
                let source = &mut self.sources[(self.turn + offset) % 2];
                while source.has_line() {
                    // Room first, then the line: what was taken is never lost.
                    let room = self.lines.reserve().await;
                    if let (Some(line), Ok(room)) = (source.next(), room) {
                        room.send(line);
                    }
                }
            }
            let [stdout, stderr] = &mut self.sources;
            if stdout.pipe.is_none() && stderr.pipe.is_none() {
                return Ok(());
            }
            tokio::select! {
                read = stdout.read() => { self.turn = 0; read? }
                read = stderr.read() => { self.turn = 1; read? }
            }
        }
    }
}

impl Source {
    fn has_line(&mut self) -> bool {
        if self.rest[self.searched..].contains(&b'\n') || self.rest.len() >= Line::LONGEST {
            return true;
        }
        self.searched = self.rest.len();
        self.pipe.is_none() && !self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    async fn lines_of(stdout: &[&[u8]]) -> Vec<Vec<u8>> {
        let (sender, mut lines) = mpsc::channel(1);
        let (mut output, [mut out_write, err_write]) = Output::with_pipes(sender).unwrap();
        let pumped = tokio::spawn(async move { output.pump().await });
        for part in stdout {
            out_write.write_all(part).unwrap();
        }
        drop((out_write, err_write));
        let mut got = Vec::new();
        while let Some(line) = lines.recv().await {
            got.push(line.bytes);
        }
        pumped.await.unwrap().unwrap();
        got
    }

    #[tokio::test]
    async fn lines_are_cut_at_newlines_and_at_the_longest() {
        assert_eq!(lines_of(&[b"a\nb", b"c\n\nlast"]).await, [&b"a\n"[..], b"bc\n", b"\n", b"last"]);
        let long = vec![b'x'; Line::LONGEST + 5];
        let got = lines_of(&[&long, b"\n"]).await;
        assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [Line::LONGEST, 6]);
        assert!(lines_of(&[]).await.is_empty());
    }
}
