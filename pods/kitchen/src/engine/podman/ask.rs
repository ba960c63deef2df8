//! Podman asked for something, with a bound: another program may hold its locks for ever.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::command::PODMAN;

/// How long podman may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What podman says, or what it complains of. Blocks.
///
/// # Errors
/// [`io::ErrorKind::NotFound`]: there is no podman; [`io::ErrorKind::TimedOut`]: it does not answer in time, and was ended.
pub(super) fn podman(words: &[&str], patience: Duration) -> io::Result<Result<String, String>> {
    ask(Command::new(PODMAN).args(words), patience)
}

fn ask(command: &mut Command, patience: Duration) -> io::Result<Result<String, String>> {
    let file = || memfd_create("podman-said", MemfdFlags::CLOEXEC).map(File::from);
    let (told, said) = (file()?, file()?);
    command.stdin(Stdio::null()).stdout(told.try_clone()?).stderr(said.try_clone()?);
    let mut child = command.spawn()?;
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    let limit =
        Timespec { tv_sec: patience.as_secs().cast_signed(), tv_nsec: patience.subsec_nanos().into() };
    let has_ended = loop {
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)) {
            Err(rustix::io::Errno::INTR) => {}
            ready => break ready? > 0,
        }
    };
    if !has_ended {
        child.kill()?;
    }
    let status = child.wait()?;
    if !has_ended {
        let why = format!(
            "podman does not answer within {} s: another program may hold its locks",
            patience.as_secs()
        );
        return Err(io::Error::new(io::ErrorKind::TimedOut, why));
    }
    let text = |mut file: File| -> io::Result<String> {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(if status.success() { Ok(text(told)?) } else { Err(text(said)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_a_complaint_and_silence() {
        let sh = |script: &str, patience| {
            ask(Command::new("sh").args(["-c", script]), Duration::from_millis(patience))
        };
        // More than a pipe holds.
        let long = sh("head -c 300000 /dev/zero | tr '\\0' x; echo no >&2", 60_000).unwrap();
        assert_eq!(long.unwrap().len(), 300_000);
        assert_eq!(sh("echo yes; echo no >&2; exit 3", 60_000).unwrap(), Err("no\n".to_owned()));
        let silent = sh("exec sleep 86430", 50).unwrap_err();
        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
        let missing = ask(&mut Command::new("/no/such/podman"), PATIENCE).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
