//! What can be read of the machine: its kernel and the kernel's settings.

use std::fs;
use std::process::{Command, Stdio};

use super::{Finding, State};

/// The kernel from which on the view's large files are read at full speed.
const PASSTHROUGH: (u32, u32) = (6, 9);
/// The oldest one on which all that the kitchen uses is there.
const OLDEST: (u32, u32) = (5, 12);
/// Files that a watched project may have.
const WATCHES: u64 = 65_536;
const INSTANCES: u64 = 64;

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

pub(super) fn kernel() -> Finding {
    let why = "steps run over FUSE and overlayfs, which older kernels do not stack";
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let finding = Finding::fine("kernel", format!("Linux {release}"), why).needed();
    if version < OLDEST {
        finding.is(State::Missing, format!("install a kernel from {}.{} on", OLDEST.0, OLDEST.1))
    } else if version < PASSTHROUGH {
        finding.is(State::Slower, "install a kernel from 6.9 on: large files are then read at native speed")
    } else {
        finding
    }
}

pub(super) fn user_namespaces() -> Finding {
    let why = "steps run as a user that nobody else is; a caller who is no root needs them for everything";
    let name = "user namespaces";
    let most = number("/proc/sys/user/max_user_namespaces");
    let can = Command::new("unshare")
        .args(["--user", "--map-root-user", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match can {
        Ok(status) if status.success() => Finding::fine(name, "can be made", why),
        _ if most == Some(0) => Finding::fine(name, "switched off", why)
            .is(State::Missing, "sudo sysctl -w user.max_user_namespaces=65536"),
        Ok(_) if number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) => {
            Finding::fine(name, "AppArmor forbids them", why)
                .is(State::Missing, "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
        }
        Ok(_) if number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) => {
            Finding::fine(name, "for root only", why)
                .is(State::Missing, "sudo sysctl -w kernel.unprivileged_userns_clone=1")
        }
        Ok(_) => Finding::fine(name, "forbidden here", why)
            .is(State::Missing, "run outside of the container that forbids them"),
        // The engines are tried all the same.
        Err(_) => Finding::fine(name, "not tried: there is no `unshare`", why)
            .is(State::Slower, "sudo apt-get install util-linux"),
    }
}

pub(super) fn request_time_out() -> Finding {
    let why = "a step that opens what is not made yet waits in the open, as long as that takes";
    let name = "FUSE time-out";
    let set = ["max_request_timeout", "default_request_timeout"]
        .into_iter()
        .find_map(|name| number(&format!("/proc/sys/fs/fuse/{name}")).filter(|&s| s > 0).map(|s| (name, s)));
    match set {
        None => Finding::fine(name, "none", why),
        Some((setting, seconds)) => {
            let state = if seconds < 24 * 3600 { State::Missing } else { State::Slower };
            Finding::fine(name, format!("{seconds} s (`fs.fuse.{setting}`)"), why)
                .is(state, format!("sudo sysctl -w fs.fuse.{setting}=0"))
                .needed()
        }
    }
}

pub(super) fn control_groups() -> Finding {
    let why = "they hold a whole step to its limits on memory, processors and processes";
    let kitchen::Holds { memory, cpus, processes } = kitchen::what_groups_hold();
    let all = [(memory, "memory"), (cpus, "processors"), (processes, "processes")];
    let names = |held: bool| {
        all.iter().filter(|(has, _)| *has == held).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    };
    if memory && cpus && processes {
        return Finding::fine("control groups", names(true), why);
    }
    let found = match names(true) {
        none if none.is_empty() => "none that this user may make".to_owned(),
        some => format!("{some}; not {}", names(false)),
    };
    let mend = "run the pod in a group of its own: systemd-run --user --scope -p Delegate=yes pod";
    Finding::fine("control groups", found, why).is(State::Slower, mend)
}

pub(super) fn watches() -> Finding {
    let why = "`majordomo watch` has an inotify watch for each folder; without, it looks again and again";
    let watches = number("/proc/sys/fs/inotify/max_user_watches").unwrap_or(0);
    let instances = number("/proc/sys/fs/inotify/max_user_instances").unwrap_or(0);
    let finding = Finding::fine("inotify", format!("{watches} watches, {instances} instances"), why);
    if watches < WATCHES {
        finding.is(State::Slower, "sudo sysctl -w fs.inotify.max_user_watches=524288")
    } else if instances < INSTANCES {
        finding.is(State::Slower, "sudo sysctl -w fs.inotify.max_user_instances=512")
    } else {
        finding
    }
}

pub(super) fn clock() -> Finding {
    /// The year 2025 in seconds.
    const EARLIEST: i64 = 1_735_689_600;
    let why = "pods that have not met for long are told by their clocks; no build depends on them";
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
    if now < EARLIEST {
        let found = "it is before 2025";
        return Finding::fine("clock", found, why).is(State::Slower, "sudo timedatectl set-ntp true");
    }
    // SAFETY: all-zero is a valid value of this plain structure, and asks for nothing to be changed.
    let synchronised = unsafe {
        let mut asked: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut asked) != libc::TIME_ERROR
    };
    match synchronised {
        true => Finding::fine("clock", "synchronised", why),
        false => Finding::fine("clock", "nothing synchronises it", why)
            .is(State::Slower, "sudo timedatectl set-ntp true"),
    }
}
