//! The home: its disk, its file system, and what a dead pod has left.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::{Finding, State};
use crate::words::bytes;

/// Room below which a build is likely to fail, and below which it may.
const TOO_LITTLE: u64 = 256 << 20;
const LITTLE: u64 = 5 << 30;

pub(super) fn all(home: &Path) -> Vec<Finding> {
    [disk(home), elsewhere(home), left(home)].into_iter().flatten().collect()
}

fn disk(home: &Path) -> Option<Finding> {
    let why = "the larder keeps sources and outputs, and steps write there";
    let folder = home.ancestors().find(|folder| folder.is_dir())?;
    let room = rustix::fs::statvfs(folder).ok()?;
    let free = room.f_bavail * room.f_frsize;
    let finding =
        Finding::fine("disk", format!("{} free at `{}`", bytes(free), home.display()), why).needed();
    let mend = "make room, or name a home on another disk: `--home DIR`";
    Some(if free < TOO_LITTLE || (room.f_files > 0 && room.f_favail < 1000) {
        finding.is(State::Missing, mend)
    } else if free < LITTLE {
        finding.is(State::Slower, mend)
    } else {
        finding
    })
}

/// Where steps write if they cannot in the home.
fn elsewhere(home: &Path) -> Option<Finding> {
    let why = "what a step writes is the upper folder of an overlay, which not every file system can hold";
    let place = kitchen::scratch_place(&home.join("scratch"), &node::owner(home));
    let unfit = place.instead_of?;
    // It stays if a pod uses it.
    let _is_removed = std::fs::remove_dir(&place.path).is_ok();
    let found = format!("the home is on {unfit}, so steps write to `{}`", place.path.display());
    let mend = "name a home on a local file system such as ext4, xfs or btrfs: `--home DIR`";
    Some(Finding::fine("upper folders", found, why).is(State::Slower, mend))
}

/// What is there though nobody holds the home.
fn left(home: &Path) -> Option<Finding> {
    let why = "what a pod that was killed has left takes room until the next one starts";
    let name = "leftovers";
    let lock = fs::File::open(home.join("lock")).ok()?;
    if flock(&lock, FlockOperation::NonBlockingLockShared).is_err() {
        return Some(Finding::fine(name, "none: a pod holds the home", why));
    }
    let mended = "start a pod, or build anything: it is swept then";
    let there = match kitchen::left(&home.join("scratch"), &node::owner(home)) {
        Ok(there) => there,
        Err(error) => {
            return Some(
                Finding::fine(name, format!("podman cannot be asked: {error}"), why)
                    .is(State::Slower, "podman ps --all"),
            );
        }
    };
    let count = |count: usize, of: &str| (count > 0).then(|| format!("{of}: {count}"));
    let found: Vec<String> = [
        count(there.uppers, "folders that steps wrote"),
        count(there.containers, "containers"),
        count(there.groups, "control groups"),
        count(mounts(home), "mounts"),
        home.join("pod.sock").exists().then(|| "a socket".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect();
    Some(match found.is_empty() {
        true => Finding::fine(name, "none", why),
        false => Finding::fine(name, found.join(", "), why).is(State::Slower, mended),
    })
}

/// What is mounted below a home. Pods mount in a namespace of their own, so that here there is nothing.
fn mounts(home: &Path) -> usize {
    let Ok(home) = fs::canonicalize(home) else { return 0 };
    let mounted = fs::read("/proc/self/mountinfo").unwrap_or_default();
    mounts_below(&home, &mounted)
}

/// proc_pid_mountinfo(5): the fifth field is where it is mounted.
fn mounts_below(home: &Path, mounted: &[u8]) -> usize {
    let below = |line: &&[u8]| {
        let at = unescaped(line.split(|&byte| byte == b' ').nth(4).unwrap_or_default());
        let at = Path::new(OsStr::from_bytes(&at));
        at.starts_with(home) && at != home
    };
    mounted.split(|&byte| byte == b'\n').filter(below).count()
}

/// A field in which the kernel says a space, tab, newline or backslash as `\nnn`, in octal.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal =
            after.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_counted_whatever_their_names() {
        let mounted = b"36 1 0:1 / /my\\040home\\011x/m\\134n rw - tmpfs x rw\n\
            37 1 0:1 / /my\\040home\\011x rw - tmpfs x rw\n38 1 0:1 / /my rw - tmpfs x rw\n";
        assert_eq!(mounts_below(Path::new("/my home\tx"), mounted), 1);
        assert_eq!(mounts_below(Path::new("/"), mounted), 3);
        assert_eq!(unescaped(b"a\\04\\999\\"), b"a\\04\\999\\");
    }
}
