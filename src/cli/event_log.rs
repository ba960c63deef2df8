//! The events file: one JSON object a line, written as things happen.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use protocol::event::Stamped;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::cli::border;
use crate::majordomo::request::{Failure, FailureKind};

/// Where `--events` writes.
pub struct EventLog {
    file: File,
    name: String,
}

impl EventLog {
    /// Opens the file anew; `-` is stdout.
    ///
    /// # Errors
    /// It cannot be written, or is a pipe that nobody reads any more: said before the build starts.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let (file, name) = if path == Path::new("-") {
            let stdout = io::stdout().as_fd().try_clone_to_owned().map(File::from);
            (stdout, "stdout".to_owned())
        } else {
            (File::create(path), format!("`{}`", path.display()))
        };
        let log = match file {
            Ok(file) => Self { file, name },
            Err(error) => {
                let message = format!("could not open the events file {name}");
                return Err(border::because(FailureKind::User, message, &error));
            }
        };
        log.check_reader()?;
        Ok(log)
    }

    /// A pipe without a reader says so before it is written to.
    fn check_reader(&self) -> Result<(), Failure> {
        let mut asked = [PollFd::new(&self.file, PollFlags::OUT)];
        let ready = poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        if ready.is_ok() && asked[0].revents().intersects(PollFlags::ERR | PollFlags::NVAL) {
            return Err(border::mistake(format!("nobody reads the events that go to {}", self.name)));
        }
        Ok(())
    }

    /// Writes one event, in one write where the system allows.
    ///
    /// # Errors
    /// It cannot be written: the build is to end, for whoever follows it would be misled.
    pub fn write(&mut self, event: &Stamped) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(event).map_err(io::Error::from).map_err(|e| self.failed(&e))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        border::because(FailureKind::Machine, format!("could not write events to {}", self.name), error)
            .hint("the build was cancelled, for whoever follows its events would be misled")
    }
}

/// Where `--events` leads, for the order of output: stdout is taken by events if it is `-`.
pub fn is_stdout(path: Option<&PathBuf>) -> bool {
    path.is_some_and(|path| path == Path::new("-"))
}

#[cfg(test)]
mod tests {
    use protocol::event::EVENT_SCHEMA;

    use super::*;
    use protocol::BuildId;
    use protocol::event::Event;

    fn event() -> Stamped {
        Stamped {
            at: 0.0,
            event: Event::BuildStarted { schema: EVENT_SCHEMA, build: BuildId::from_random(1) },
        }
    }

    #[test]
    fn a_line_for_each_event() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("events");
        let mut log = EventLog::open(&path).unwrap();
        log.write(&event()).unwrap();
        log.write(&event()).unwrap();
        let written = std::fs::read_to_string(path).unwrap();
        let read: Vec<Stamped> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, [event(), event()]);
    }

    #[test]
    fn what_cannot_be_written_is_said_at_once() {
        let scratch = tempfile::tempdir().unwrap();
        let failure = EventLog::open(scratch.path()).err().unwrap();
        assert!(failure.message.starts_with("could not open the events file `"), "{failure:?}");

        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let log = EventLog { file: File::from(std::os::fd::OwnedFd::from(writer)), name: "stdout".into() };
        let failure = log.check_reader().unwrap_err();
        assert_eq!(failure.message, "nobody reads the events that go to stdout");
    }

    #[test]
    fn a_full_disk_names_the_file() {
        let mut log = EventLog::open(Path::new("/dev/full")).unwrap();
        let failure = log.write(&event()).unwrap_err();
        assert_eq!(failure.message, "could not write events to `/dev/full`");
        assert_eq!(failure.kind, FailureKind::Machine);
    }
}
