//! Containers that a dead pod left: found by their labels, and removed. Another home's are never touched.

use std::io;

use super::ask;

/// The label that names the home.
const HOME: &str = "computepods.home";
/// The label that names the process: its number and the moment of its start.
const POD: &str = "computepods.pod";

/// How often podman is asked to remove a container. If container and monitor were both killed, it learns at the first try that the container does not
/// run, and fails.
const TRIES: usize = 10;

/// What a container of this process is labelled with.
pub(super) fn labels(owner: &str) -> [String; 2] {
    [format!("{HOME}={owner}"), format!("{POD}={}", myself())]
}

/// This process, told from any other that had or will have its number.
fn myself() -> String {
    format!(
        "{}:{}",
        std::process::id(),
        started(&std::fs::read_to_string("/proc/self/stat").unwrap_or_default())
    )
}

/// The moment of a process's start, in clock ticks since boot (proc_pid_stat(5)): the 20th field after its name in brackets.
fn started(stat: &str) -> &str {
    stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19)).unwrap_or("0")
}

/// The containers of this home: their numbers, and whose they are.
///
/// # Errors
/// [`io::ErrorKind::NotFound`]: there is no podman.
pub(crate) fn containers(owner: &str) -> io::Result<Vec<(String, String)>> {
    let filter = format!("label={HOME}={owner}");
    let format = format!("{{{{.ID}}}} {{{{index .Labels \"{POD}\"}}}}");
    let listed = podman(&["ps", "--all", "--no-trunc", "--filter", &filter, "--format", &format])?;
    let parted = listed.lines().filter_map(|line| line.split_once(' '));
    Ok(parted.map(|(id, pod)| (id.to_owned(), pod.to_owned())).collect())
}

/// Removes all containers of this home that are not this process's; the caller holds the home, so their pods are dead. Gives how many.
pub(crate) fn sweep(owner: &str) -> io::Result<usize> {
    let all = containers(owner)?;
    let mine = myself();
    let left: Vec<&str> = all.iter().filter(|(_, pod)| *pod != mine).map(|(id, _)| id.as_str()).collect();
    if left.is_empty() {
        return Ok(0);
    }
    let remove = [&["rm", "--force", "--ignore", "--time", "0"], left.as_slice()].concat();
    let mut removed = podman(&remove);
    for _ in 1..TRIES {
        let Err(error) = &removed else { break };
        tracing::debug!(%error, "a dead pod's container does not go yet");
        // Podman has to see that it does not run.
        podman(&["ps", "--all", "--sync", "--quiet"])?;
        removed = podman(&remove);
    }
    left.iter().for_each(|id| remove_groups(id));
    removed.map(|_| left.len())
}

/// Removes a container's control groups, in which nothing runs any more: without its monitor podman leaves them where they are.
fn remove_groups(id: &str) {
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        let group = hierarchy.path().join("libpod_parent").join(format!("libpod-{id}"));
        match std::fs::remove_dir(&group) {
            Err(error) if group.exists() => tracing::debug!(%error, "a control group of a dead pod's stays"),
            _ => {}
        }
    }
}

fn podman(words: &[&str]) -> io::Result<String> {
    ask::podman(words, ask::PATIENCE)?.map_err(|said| io::Error::other(said.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let after = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        assert_eq!(started(&format!("7 (a) b) {after}")), "4242");
        assert_eq!(started(""), "0");
    }
}
