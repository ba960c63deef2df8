//! Where the steps of all tests run: another pass over them with `COMPUTEPODS_SANDBOX=podman` runs them in containers.
//!
//! What tests start has nothing of the caller's environment but this variable. An ordinary user's podman keeps its things in the place, and a process
//! for the user, which ends with the place.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use protocol::Digest;
use rustix::process::{Pid, Signal, kill_process};

/// The variable of the programs, and of the tests.
const SANDBOX: &str = "COMPUTEPODS_SANDBOX";
/// How long podman may take to remove a container whose pod has gone.
const GRACE: Duration = Duration::from_secs(30);

/// Whether this pass is podman's.
pub fn is_podman() -> bool {
    std::env::var_os(SANDBOX).is_some_and(|engine| engine == "podman")
}

/// Hands on to a program where steps run.
pub fn hand_on(command: &mut Command) {
    if let Some(engine) = std::env::var_os(SANDBOX) {
        command.env(SANDBOX, engine);
    }
}

/// What a home's containers are labelled with.
pub fn label(home: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let digest = Digest::of(home.as_os_str().as_bytes()).to_string();
    format!("computepods.home={}", &digest["b3:".len()..][..16])
}

/// The containers that are there of a home; `podman` runs as the one whose they are.
pub fn containers(podman: &mut Command, home: &Path) -> Vec<String> {
    let filter = format!("label={}", label(home));
    let listed = podman.args(["ps", "--all", "--quiet", "--filter", &filter]).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8_lossy(&listed.stdout).split_whitespace().map(str::to_owned).collect()
}

/// Waits until no container of a home is left.
#[track_caller]
pub fn assert_no_container(podman: impl Fn() -> Command, home: &Path) {
    let deadline = Instant::now() + GRACE;
    loop {
        // Each look takes podman some hundredths of a second, so that this is no busy loop.
        let left = containers(&mut podman(), home);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left containers: {left:?}");
    }
}

/// The process that podman keeps for an ordinary user whose runtime folder this is.
pub fn pause(runtime: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(runtime.join("libpod/tmp/pause.pid")).ok()?;
    text.trim().parse().ok().and_then(Pid::from_raw)
}

/// Ends it.
pub fn end_pause(runtime: &Path) {
    if let Some(pid) = pause(runtime) {
        kill_process(pid, Signal::KILL).ok();
    }
}
