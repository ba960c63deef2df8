//! What builds left behind: processes of ours that still run, and mounts that show a place's folders.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// How long the kernel may take to tear down the namespaces of a process that was killed.
const GRACE: Duration = Duration::from_secs(5);

/// The mounts that tests make themselves have this for a source.
const OWN_MOUNT: &[u8] = b" none ";

/// Why a process is ours: it runs a program of the folder.
const PROGRAM: &str = "program";

/// A process that is still there, and why it is ours.
struct Left {
    pid: i32,
    why: String,
}

/// The processes that belong to a folder.
pub fn pids(folder: &Path) -> Vec<i32> {
    processes(folder).into_iter().map(|left| left.pid).collect()
}

/// Kills what runs a program of the folder: pods in the background, which no test is the parent of.
pub fn end_programs(folder: &Path) {
    for left in processes(folder).into_iter().filter(|left| left.why.starts_with(PROGRAM)) {
        if let Some(pid) = Pid::from_raw(left.pid) {
            kill_process(pid, Signal::KILL).ok();
        }
    }
}

/// Waits until no process that belongs to a folder is left, and asserts that nothing of it is mounted here.
#[track_caller]
pub fn assert_nothing(folder: &Path) {
    let deadline = Instant::now() + GRACE;
    loop {
        let left = processes(folder);
        let Some(first) = left.first() else { break };
        let remaining = deadline.saturating_duration_since(Instant::now());
        let shown = || left.iter().map(|left| format!("{} {}\n", left.pid, left.why)).collect::<String>();
        assert!(!remaining.is_zero(), "left running:\n{}", shown());
        if let Some(pidfd) =
            Pid::from_raw(first.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
        {
            let limit = Timespec { tv_sec: 0, tv_nsec: remaining.subsec_nanos().max(1_000_000).into() };
            poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)).unwrap();
        }
    }
    let mounts = fs::read("/proc/thread-self/mountinfo").unwrap();
    let mounted: Vec<_> = mounts
        .split(|&byte| byte == b'\n')
        .filter(|line| contains(line, folder.as_os_str().as_bytes()) && !contains(line, OWN_MOUNT))
        .map(String::from_utf8_lossy)
        .collect();
    assert!(mounted.is_empty(), "left mounted: {mounted:#?}");
}

/// Asserts that nothing of a home's kitchens is left: no folder that a step wrote to, no control group.
#[track_caller]
pub fn assert_no_kitchen(home: &Path) {
    let scratch = home.join("scratch");
    let folders: Vec<_> =
        fs::read_dir(&scratch).into_iter().flatten().flatten().map(|it| it.path()).collect();
    assert!(folders.is_empty(), "left in scratch: {folders:?}");
    // As the kitchen names them: after the folder that all of its scratch folders are in.
    let digest = protocol::Digest::of(scratch.as_os_str().as_bytes()).short();
    assert_nothing_named(&[format!("computepods-{}-", digest.trim_start_matches("b3:"))]);
}

/// Asserts that no control group and no mount has any of these in its name.
#[track_caller]
pub fn assert_nothing_named(names: &[String]) {
    let has = |text: &[u8]| names.iter().any(|name| contains(text, name.as_bytes()));
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for group in fs::read_dir(folder).into_iter().flatten().flatten() {
            if group.file_type().is_ok_and(|kind| kind.is_dir()) {
                let path = group.path();
                assert!(!has(group.file_name().as_bytes()), "left: {}", path.display());
                folders.push(path);
            }
        }
    }
    let mounts = fs::read("/proc/thread-self/mountinfo").unwrap();
    let left: Vec<_> =
        mounts.split(|&byte| byte == b'\n').filter(|line| has(line)).map(String::from_utf8_lossy).collect();
    assert!(left.is_empty(), "left mounted: {left:#?}");
}

/// The processes that run a program of the folder, or see it in their mounts without being ours. What other users' processes
/// do cannot be seen, and is none of ours.
fn processes(folder: &Path) -> Vec<Left> {
    // Podman's own process for an ordinary user goes with the place.
    let pause = super::engine::pause(&folder.join("run")).map(|pid| pid.as_raw_nonzero().get());
    let folder = folder.as_os_str().as_bytes();
    let ours = fs::read_link("/proc/thread-self/ns/mnt").ok();
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| {
        let of = |name: &str| format!("/proc/{pid}/{name}");
        let command = || {
            let line = fs::read(of("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ")
        };
        if pause == Some(pid) {
            return None;
        }
        let program = fs::read_link(of("exe")).ok()?;
        if program.as_os_str().as_bytes().starts_with(folder) {
            return Some(Left { pid, why: format!("{PROGRAM} {}", command()) });
        }
        if fs::read_link(of("ns/mnt")).ok()? == ours.clone()? {
            return None;
        }
        let mounts = fs::read(of("mountinfo")).ok()?;
        contains(&mounts, folder).then(|| Left { pid, why: format!("mounts of {}", command()) })
    })
    .collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
