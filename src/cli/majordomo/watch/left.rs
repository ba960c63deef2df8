//! What a program of `--run` left whose guard was killed: it has another parent by then, whatever group and session, and is known by a mark in its
//! environment. Only one that empties its environment goes on.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

/// The variable: who watches, and in which folder.
pub(super) const MARK: &str = "COMPUTEPODS_WATCH";

/// How often all processes are looked at, while more are found that were started meanwhile.
const MAX_LOOKS: usize = 100;

/// How long one that is ended may take.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// The mark of what this process starts in a folder: its number, when it was started, and the folder.
pub(super) fn mark(folder: &Path) -> io::Result<Vec<u8>> {
    let pid = getpid();
    let started =
        started(pid).ok_or_else(|| io::Error::other("`/proc/self/stat` does not say when it was started"))?;
    let mut mark = format!("{} {started} ", pid.as_raw_nonzero()).into_bytes();
    mark.extend_from_slice(folder.as_os_str().as_bytes());
    Ok(mark)
}

/// Ends all that has this very mark.
pub(super) fn end_marked(mark: &[u8]) {
    end(|found| found == mark);
}

/// Ends all that was started in a folder by who watches no more.
pub(super) fn end_orphans(folder: &Path) {
    end(|found| {
        let mut parts = found.splitn(3, |&byte| byte == b' ');
        let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
        let (Some(pid), Some(since)) = (number(), number()) else { return false };
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        parts.next() == Some(folder.as_os_str().as_bytes()) && pid.and_then(started) != Some(since)
    });
}

fn end(is_one: impl Fn(&[u8]) -> bool) {
    for _ in 0..MAX_LOOKS {
        let mut found = false;
        for pid in pids() {
            match end_if(pid, &is_one) {
                Ok(ended) => found |= ended,
                // It has ended by itself, or is another user's.
                Err(error) => {
                    tracing::debug!(pid = pid.as_raw_nonzero(), %error, "a process cannot be looked at")
                }
            }
        }
        if !found {
            return;
        }
    }
    tracing::warn!("what the program left starts more than can be ended");
}

fn end_if(pid: Pid, is_one: &impl Fn(&[u8]) -> bool) -> io::Result<bool> {
    if !has_mark(pid, is_one)? || pid == getpid() {
        return Ok(false);
    }
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    // Its number could have become another one's before it was opened.
    if !has_mark(pid, is_one)? {
        return Ok(false);
    }
    match pidfd_send_signal(&process, Signal::KILL) {
        Ok(()) => {}
        Err(Errno::SRCH) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    }
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&PATIENCE));
    tracing::debug!(pid = pid.as_raw_nonzero(), ?ended, "what the program left is ended");
    Ok(true)
}

/// Of one that has ended and was not waited for there is no environment.
fn has_mark(pid: Pid, is_one: &impl Fn(&[u8]) -> bool) -> io::Result<bool> {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()))?;
    let mut values = environment
        .split(|&byte| byte == 0)
        .filter_map(|pair| pair.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="));
    Ok(values.any(is_one))
}

/// When a process was started that has not ended, in ticks since the machine was: the 22nd field of proc(5)'s `stat`, the 20th behind the name.
fn started(pid: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, behind) = text.rsplit_once(')')?;
    let mut fields = behind.split_ascii_whitespace();
    let has_ended = matches!(fields.next(), Some("Z" | "X"));
    fields.nth(18).filter(|_| !has_ended)?.parse().ok()
}

fn pids() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}
