//! The `podman run` of a zygote's container.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Resource;

use super::program::Shown;
use super::{Podman, Runtime, sweep};
use crate::engine::Started;
use crate::error::KitchenError;

/// The program.
pub(super) const PODMAN: &str = "podman";
/// The descriptor that podman hands on: the first after the standard ones.
const SOCKET: i32 = 3;
/// What the zygote does with its rights: mount and make namespaces; own, enter and make nodes in folders of others; map and take user numbers;
/// give rights up; switch a loopback interface on; enter its root; end its steps.
const RIGHTS: [&str; 12] = [
    "SYS_ADMIN",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "MKNOD",
    "SETUID",
    "SETGID",
    "SETPCAP",
    "SETFCAP",
    "NET_ADMIN",
    "SYS_CHROOT",
    "KILL",
];

/// Counts the containers of this process, whose names must differ.
static LAST: AtomicU64 = AtomicU64::new(0);

/// `podman run` of the zygote, detached.
pub(super) fn run(podman: &Podman, runtime: Runtime, root: &Path, scratch: &Path, shown: &Shown) -> Command {
    let mut command = Command::new(PODMAN);
    command.args(["--runtime", runtime.name(), "run", "--detach", "--rm", "--preserve-fds", "1"]);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    command.arg("--name").arg(format!("computepods-{}-{}-{number}", podman.owner, std::process::id()));
    for label in sweep::labels(&podman.owner) {
        command.arg("--label").arg(label);
    }
    // Steps are walled in by the zygote, in the same way in each engine; the container is the zygote's.
    command.args(["--security-opt", "seccomp=unconfined", "--security-opt", "label=disable"]);
    command.args(["--security-opt", "apparmor=unconfined", "--security-opt", "unmask=ALL"]);
    command.args(["--cap-drop", "all"]);
    for right in RIGHTS {
        command.args(["--cap-add", right]);
    }
    command.args(["--userns", "host", "--network", "host", "--no-hosts", "--device", "/dev/fuse"]);
    command.args(["--log-driver", "none", "--systemd", "false", "--http-proxy=false", "--workdir", "/"]);
    command.args(["--pids-limit", "-1", "--read-only", "--read-only-tmpfs=false"]);
    for limit in limits() {
        command.arg("--ulimit").arg(limit);
    }
    command.arg("--mount").arg(bind(scratch, scratch, ""));
    for (from, to) in &shown.files {
        command.arg("--mount").arg(bind(from, to, ",ro=true"));
    }
    command.arg("--rootfs").arg(root).args(&shown.words);
    command
}

/// A bind mount as podman's `--mount` wants it: comma-separated values, quoted as in CSV.
fn bind(from: &Path, to: &Path, rest: &str) -> String {
    let field = |key: &str, path: &Path| {
        let text = format!("{key}={}", path.display());
        format!("\"{}\"", text.replace('"', "\"\""))
    };
    format!("type=bind,{},{}{rest}", field("source", from), field("destination", to))
}

/// Limits that this process may give: without them podman would ask for more, and be refused where raising is not allowed.
fn limits() -> Vec<String> {
    let hard = |resource| rustix::process::getrlimit(resource).maximum;
    let text = |name: &str, limit: Option<u64>| {
        limit.map_or_else(|| format!("{name}=-1:-1"), |limit| format!("{name}={limit}:{limit}"))
    };
    // Podman lowers its own limit to the number of processes that there can be.
    let most =
        std::fs::read_to_string("/proc/sys/kernel/pid_max").ok().and_then(|text| text.trim().parse().ok());
    let processes = match (hard(Resource::Nproc), most) {
        (Some(hard), Some(most)) => Some(hard.min(most)),
        (hard, most) => hard.or(most),
    };
    vec![text("nofile", hard(Resource::Nofile)), text("nproc", processes)]
}

/// Starts it with the socket as the descriptor that is handed on.
pub(super) fn start(command: &mut Command, socket: OwnedFd) -> Result<Started, KitchenError> {
    let missing = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => super::runtime::no_podman().into(),
        _ => KitchenError::Spawn { program: PODMAN.into(), source },
    };
    let said = memfd_create("podman-said", MemfdFlags::CLOEXEC)
        .map(File::from)
        .map_err(|errno| KitchenError::Talk(errno.into()))?;
    let errors = said.try_clone().map_err(KitchenError::Talk)?;
    // Ctrl-C in the pod's terminal is the pod's business.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).process_group(0);
    let number = socket.as_raw_fd();
    let hand_on = move || {
        // SAFETY: dup2 and fcntl are async-signal-safe, and touch no memory. `number` is open: its owner lives until after the spawn.
        let result = unsafe {
            if number == SOCKET { libc::fcntl(SOCKET, libc::F_SETFD, 0) } else { libc::dup2(number, SOCKET) }
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: what runs between fork and exec allocates nothing and takes no lock.
    unsafe { command.pre_exec(hand_on) };
    let child = command.spawn().map_err(missing)?;
    drop(socket);
    Ok(Started { child, said: Some(said) })
}
