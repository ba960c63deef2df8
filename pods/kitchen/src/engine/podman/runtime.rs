//! Which runtime podman uses: not each works on each machine, so they are tried, and what worked is remembered.

use std::fs;
use std::path::Path;

use crate::error::{KitchenError, Missing};

/// The file in the kitchen's folder that names the runtime that worked last.
const REMEMBERED: &str = "runtime";
/// Bytes of what podman said that an error repeats for each runtime.
const SAID: usize = 400;

const WHY: &str = "the engine `podman` runs steps in a container that podman starts";

/// A program that makes containers for podman.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// The faster one, in C.
    Crun,
    /// The reference, in Go.
    Runc,
}

impl Runtime {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Runtime; 2] = [Runtime::Crun, Runtime::Runc];

    /// As podman's `--runtime` has it.
    pub fn name(self) -> &'static str {
        match self {
            Runtime::Crun => "crun",
            Runtime::Runc => "runc",
        }
    }
}

/// All, with the remembered one first.
pub(super) fn in_turn(folder: &Path) -> Vec<Runtime> {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    order(&read(&folder.join(REMEMBERED)), &read(Path::new("/proc/self/mountinfo")))
}

/// Where both kinds of control groups are mounted, Debian 12's crun refuses to start, and to learn that costs half a start.
fn order(remembered: &str, mounts: &str) -> Vec<Runtime> {
    let mut all = Runtime::ALL.to_vec();
    if [" - cgroup ", " - cgroup2 "].iter().all(|kind| mounts.contains(kind)) {
        all.reverse();
    }
    all.sort_by_key(|runtime| runtime.name() != remembered.trim());
    all
}

/// A hint for the next start; being wrong costs time only.
pub(super) fn remember(folder: &Path, runtime: Runtime) {
    let path = folder.join(REMEMBERED);
    if fs::read_to_string(&path).is_ok_and(|text| text.trim() == runtime.name()) {
        return;
    }
    if let Err(error) = fs::write(&path, format!("{}\n", runtime.name())) {
        tracing::debug!(%error, "podman's runtime cannot be remembered");
    }
}

/// Podman itself is missing.
pub(super) fn no_podman() -> Missing {
    let what = "podman is not installed".to_owned();
    Missing { what, why: WHY, mend: "sudo apt-get install podman runc, or use `--sandbox native`".to_owned() }
}

/// No runtime could start a container.
pub(super) fn refused(said: &[(Runtime, String)]) -> KitchenError {
    let each: Vec<String> = said
        .iter()
        .map(|(runtime, said)| {
            let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing said");
            let short: String = last.trim_start_matches("Error: ").chars().take(SAID).collect();
            format!("{}: {short}", runtime.name())
        })
        .collect();
    let mend = match said.iter().any(|(_, said)| said.contains("newuidmap") || said.contains("subuid")) {
        true => "sudo apt-get install uidmap, or use `--sandbox native`",
        false => "sudo apt-get install runc crun, or use `--sandbox native`",
    };
    let what = format!("podman starts no container here ({})", each.join("; "));
    Missing { what, why: WHY, mend: mend.to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_worked_is_tried_first() {
        let folder = tempfile::tempdir().unwrap();
        for runtime in Runtime::ALL {
            remember(folder.path(), runtime);
            assert_eq!(in_turn(folder.path())[0], runtime);
        }
        let unified = "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let hybrid = format!("{unified}31 1 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
        assert_eq!(order("kata", unified), [Runtime::Crun, Runtime::Runc]);
        assert_eq!(order("", &hybrid), [Runtime::Runc, Runtime::Crun]);
        assert_eq!(order("crun\n", &hybrid), [Runtime::Crun, Runtime::Runc]);
    }
}
