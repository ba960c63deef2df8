//! Resource limits of the kernel: what they are for a step, the same whatever shell the pod was started from.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::wire::Run;

/// What the kernel gives to a process of whose open files nobody said anything.
const OPEN_FILES: u64 = 1024;
/// The same of the stack.
const STACK: u64 = 8 << 20;

/// Sets them for the calling process and all that come of it.
pub(super) fn set(run: &Run) -> rustix::io::Result<()> {
    let fixed = |resource, most: u64| {
        let most = getrlimit(resource).maximum.map_or(most, |hard| hard.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
    };
    let usual = |resource, usual: u64| {
        let hard = getrlimit(resource).maximum;
        let current = hard.map_or(usual, |hard| hard.min(usual));
        setrlimit(resource, Rlimit { current: Some(current), maximum: hard })
    };
    fixed(Resource::Core, 0)?;
    usual(Resource::Stack, STACK)?;
    match run.limits.open_files {
        Some(most) => fixed(Resource::Nofile, most)?,
        None => usual(Resource::Nofile, OPEN_FILES)?,
    }
    if let Some(most) = run.limits.disk {
        fixed(Resource::Fsize, most)?;
    }
    // All steps of a pod are one user, whose processes are counted together.
    if let Some(most) = run.limits.processes {
        fixed(Resource::Nproc, most)?;
    }
    match run.limits.memory {
        Some(most) => fixed(Resource::Data, most),
        None => Ok(()),
    }
}
