//! A binary at work: its events as they come, its end within a bound.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::Value;

use super::built::Built;

/// No wait in these tests is longer: what hangs fails.
pub const LIMIT: Duration = Duration::from_secs(180);

/// How soon an interrupted command has to be gone.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How much of each stream a message shows, in bytes.
const SHOWN: usize = 4000;

/// How a command ended, and all that it wrote.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None`: a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// stdout.
    pub stdout: String,
    /// stderr.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

impl Ended {
    /// What it wrote, for a message: the ends of both streams.
    pub fn shown(&self) -> String {
        let end = |text: &str| {
            let from = text.len().saturating_sub(SHOWN);
            let from = (from..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(from);
            text[from..].to_owned()
        };
        end(&self.stdout) + &end(&self.stderr)
    }

    /// Asserts that it did what was asked.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.code(0)
    }

    /// Asserts an exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.shown());
        self
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A binary at work. Dropped before its end, it is killed.
pub struct Running {
    child: Child,
    started: Instant,
    lines: Receiver<String>,
    talk: Receiver<String>,
    seen: Vec<String>,
    /// What was said after what was waited for last.
    unheard: String,
    is_over: bool,
}

impl Running {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (line_sender, lines) = channel();
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = Vec::new();
            while stdout.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if line_sender.send(String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned()).is_err()
                {
                    break;
                }
            }
        });
        let (talk_sender, talk) = channel();
        std::thread::spawn(move || {
            let mut said = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut said) {
                if talk_sender.send(String::from_utf8_lossy(&said[..read]).into_owned()).is_err() {
                    break;
                }
            }
        });
        Self { child, started, lines, talk, seen: Vec::new(), unheard: String::new(), is_over: false }
    }

    /// Starts a pod, and waits until it stands.
    #[track_caller]
    pub fn standing(command: Command) -> Self {
        let mut pod = Self::start(command);
        pod.wait_for_talk("the pod stands");
        pod
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for the first event, from here on, that fits.
    #[track_caller]
    pub fn wait_for(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let event: Value = serde_json::from_str(&line).unwrap_or_default();
                    self.seen.push(line);
                    if fits(&event) {
                        return event;
                    }
                }
                Err(error) => {
                    let talk: String = self.talk.try_iter().collect();
                    panic!("{error}, after {}{}{talk}", self.seen.concat(), self.unheard)
                }
            }
        }
    }

    /// Waits until so many more steps have begun, or for its end.
    pub fn waits_for_starts(&mut self, mut count: usize) {
        let deadline = Instant::now() + LIMIT;
        while count > 0 {
            let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
                return;
            };
            count -= usize::from(line.contains("\"step-started\""));
            self.seen.push(line);
        }
    }

    /// Waits until stdout has a line with this text.
    #[track_caller]
    pub fn wait_for_line(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        while !self.seen.last().is_some_and(|line| line.contains(text)) {
            let line = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            self.seen.push(line.unwrap_or_else(|error| panic!("{error}, after {}", self.seen.concat())));
        }
    }

    /// Waits until a step has printed a line with this text.
    #[track_caller]
    pub fn wait_for_output(&mut self, text: &str) {
        self.wait_for(|event| {
            event["event"] == "step-output" && event["text"].as_str().is_some_and(|line| line.contains(text))
        });
    }

    /// Waits until stderr has said this text and the line that has it is whole; what was said until then. What comes after it is for the next call.
    #[track_caller]
    pub fn wait_for_talk(&mut self, text: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let said = &mut self.unheard;
            let last = said.find(text).map(|at| at + text.len() - 1);
            if let Some(newline) = last.and_then(|last| Some(last + said[last..].find('\n')?)) {
                let rest = said.split_off(newline + 1);
                return std::mem::replace(said, rest);
            }
            match self.talk.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(more) => said.push_str(&more),
                Err(error) => panic!("{error}, after {said}"),
            }
        }
    }

    /// Waits for its end, but not longer than this; whether it has ended.
    pub fn ends_within(&mut self, limit: Duration) -> bool {
        // The process is our child, so its number cannot belong to another one before it is waited for.
        let pidfd = pidfd_open(self.pid(), PidfdFlags::empty()).unwrap();
        let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)).unwrap() > 0
    }

    /// Waits for its end after a signal, and asserts that it came within a second.
    #[track_caller]
    pub fn ends_at_once(&mut self) {
        let begun = Instant::now();
        assert!(self.ends_within(Duration::from_secs(30)), "it does not end");
        let took = begun.elapsed();
        assert!(took < AT_ONCE, "it took {took:?}");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        let is_over = self.ends_within(LIMIT);
        if !is_over {
            self.signal(Signal::KILL);
        }
        let status: ExitStatus = self.child.wait().unwrap();
        self.is_over = true;
        let took = self.started.elapsed();
        let mut stdout = std::mem::take(&mut self.seen).concat();
        stdout.push_str(&rest(&self.lines));
        let stderr = std::mem::take(&mut self.unheard) + &rest(&self.talk);
        assert!(is_over, "it hangs:\n{stdout}{stderr}");
        Ended { code: status.code(), signal: status.signal(), stdout, stderr, took }
    }

    /// Waits for the end of a build with `--events -`.
    #[track_caller]
    pub fn built(self) -> Built {
        Built::new(self.end())
    }
}

/// What still comes; whoever holds the pipe open after the process has ended is left behind, and is an error.
#[track_caller]
fn rest(lines: &Receiver<String>) -> String {
    let mut rest = String::new();
    loop {
        match lines.recv_timeout(Duration::from_secs(10)) {
            Ok(more) => rest.push_str(&more),
            Err(RecvTimeoutError::Disconnected) => return rest,
            Err(RecvTimeoutError::Timeout) => panic!("somebody still holds the output open:\n{rest}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
