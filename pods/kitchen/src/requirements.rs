//! What a kitchen needs of its machine: user numbers for steps, and advice where something is missing.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use crate::error::{KitchenError, Missing};
use crate::wire::{Refusal, Stage};

/// The outer number that steps have if nobody else has it: far above what systems give to people and containers.
const PREFERRED_OUTER: u32 = 1_878_901_000;
/// How many numbers are tried downwards from the preferred one, or from the highest that there is.
const OUTER_TRIES: u32 = 100_000;
/// Below this, a kernel's time-out for FUSE requests would end look-ups that are held.
const SHORTEST_REQUEST_TIMEOUT: u64 = 24 * 3600;

const WHY_NAMESPACES: &str =
    "each step runs in Linux namespaces of its own, so that it sees nothing but its view";
const WHY_FUSE: &str = "each step sees the machine through a traced file system, which is served over FUSE";
const WHY_OVERLAY: &str = "what a step writes goes to an overlay whose upper folder is in the scratch folder";
const WHY_TIMEOUT: &str =
    "a step that opens a file which is not made yet waits in the open, as long as that takes";
const WHY_PROC: &str = "each step gets a /proc of its own processes";

/// The outer uid and gid of steps if this process has root's rights.
pub(crate) fn outer_ids() -> Option<(u32, u32)> {
    let has = rustix::thread::capabilities(None).ok()?.effective;
    let needed = rustix::thread::CapabilitySet::SYS_ADMIN
        | rustix::thread::CapabilitySet::SETUID
        | rustix::thread::CapabilitySet::SETGID
        | rustix::thread::CapabilitySet::MKNOD;
    if !rustix::process::geteuid().is_root() || !has.contains(needed) {
        return None;
    }
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let uid = free_id(&read("/proc/self/uid_map"), &read("/etc/subuid"), &read("/etc/passwd"))?;
    let gid = free_id(&read("/proc/self/gid_map"), &read("/etc/subgid"), &read("/etc/group"))?;
    Some((uid, gid))
}

/// A number that can be mapped here, and that neither a person nor a container has.
fn free_id(map: &str, delegated: &str, owned: &str) -> Option<u32> {
    let field = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok());
    let range = |start: Option<u32>, len: Option<u32>| Some(start?..start?.saturating_add(len?));
    let mapped: Vec<Range<u32>> = map
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            range(field(fields.next()), field(fields.nth(1)))
        })
        .collect();
    let mut taken: Vec<Range<u32>> = delegated
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':').skip(1);
            range(field(fields.next()), field(fields.next()))
        })
        .collect();
    taken.extend(owned.lines().filter_map(|line| range(field(line.split(':').nth(2)), Some(1))));
    let within = |ranges: &[Range<u32>], id: u32| ranges.iter().any(|range| range.contains(&id));
    let highest = mapped.iter().map(|range| range.end.saturating_sub(1)).max()?;
    let start = PREFERRED_OUTER.min(highest);
    (0..OUTER_TRIES)
        .map_while(|down| start.checked_sub(down))
        .find(|&id| id > 0 && within(&mapped, id) && !within(&taken, id))
}

/// Refuses what is known beforehand not to work.
pub(crate) fn check() -> Result<(), Missing> {
    for name in ["max_request_timeout", "default_request_timeout"] {
        let seconds = fs::read_to_string(format!("/proc/sys/fs/fuse/{name}")).unwrap_or_default();
        check_timeout(name, &seconds)?;
    }
    Ok(())
}

fn check_timeout(name: &str, seconds: &str) -> Result<(), Missing> {
    match seconds.trim().parse::<u64>() {
        Ok(seconds) if seconds > 0 && seconds < SHORTEST_REQUEST_TIMEOUT => Err(Missing {
            what: format!("the kernel ends every FUSE request after {seconds} s (`fs.fuse.{name}`)"),
            why: WHY_TIMEOUT,
            mend: format!("sudo sysctl -w fs.fuse.{name}=0"),
        }),
        _ => Ok(()),
    }
}

/// What is known of the machine when the kernel has refused something.
struct Facts {
    fuse: Option<()>,
    max_user_namespaces: Option<u64>,
    unprivileged_clone: bool,
    apparmor_restricts: bool,
    scratch_type: Option<&'static str>,
}

impl Facts {
    fn gather(scratch: &Path) -> Self {
        let number =
            |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
        Self {
            fuse: fs::metadata("/dev/fuse").ok().map(drop),
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            unprivileged_clone: number("/proc/sys/kernel/unprivileged_userns_clone") != Some(0),
            apparmor_restricts: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1),
            scratch_type: unfit_at(scratch),
        }
    }
}

/// The name of a folder's file system, if it cannot hold an overlay's upper folder.
pub(crate) fn unfit_at(folder: &Path) -> Option<&'static str> {
    rustix::fs::statfs(folder).ok().and_then(|stat| unfit(stat.f_type as u64))
}

/// File systems that cannot hold an overlay's upper folder.
fn unfit(magic: u64) -> Option<&'static str> {
    match magic {
        0x794c_7630 => Some("overlayfs"),
        0x6969 => Some("NFS"),
        0x6573_5546 => Some("FUSE"),
        0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x4d44 => Some("FAT"),
        0x0102_1997 => Some("9p"),
        _ => None,
    }
}

/// Turns the kernel's refusal of the zygote into an error, with advice where there is some.
pub(crate) fn explain(refusal: Refusal, scratch: &Path) -> KitchenError {
    match advice(refusal, scratch, &Facts::gather(scratch)) {
        Some(missing) => missing.into(),
        None => KitchenError::Start {
            doing: refusal.stage.doing(),
            source: io::Error::from_raw_os_error(refusal.errno),
        },
    }
}

fn advice(refusal: Refusal, scratch: &Path, facts: &Facts) -> Option<Missing> {
    let missing = |what: String, why, mend: &str| Some(Missing { what, why, mend: mend.to_owned() });
    match refusal.stage {
        Stage::Namespaces | Stage::IdMap | Stage::StepUsers => {
            let what = "this user may not make user namespaces".to_owned();
            if facts.max_user_namespaces == Some(0) || refusal.errno == libc::ENOSPC {
                let mend = "sudo sysctl -w user.max_user_namespaces=65536";
                missing("user namespaces are switched off".to_owned(), WHY_NAMESPACES, mend)
            } else if !facts.unprivileged_clone {
                missing(what, WHY_NAMESPACES, "sudo sysctl -w kernel.unprivileged_userns_clone=1")
            } else if facts.apparmor_restricts {
                missing(what, WHY_NAMESPACES, "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
            } else if matches!(refusal.errno, libc::EPERM | libc::EACCES) {
                let mend = "run the pod as root, or outside of the container that forbids it (podman: \
                            --security-opt seccomp=unconfined --cap-add SYS_ADMIN)";
                missing(what, WHY_NAMESPACES, mend)
            } else {
                None
            }
        }
        Stage::OpenFuse if facts.fuse.is_none() => {
            missing("there is no /dev/fuse".to_owned(), WHY_FUSE, "sudo modprobe fuse")
        }
        Stage::OpenFuse => match refusal.errno {
            libc::EACCES | libc::EPERM => {
                missing("this user may not open /dev/fuse".to_owned(), WHY_FUSE, "sudo chmod 666 /dev/fuse")
            }
            _ => missing("the kernel has no FUSE".to_owned(), WHY_FUSE, "sudo modprobe fuse"),
        },
        Stage::MountFuse if refusal.errno == libc::ENODEV => {
            missing("the kernel has no FUSE".to_owned(), WHY_FUSE, "sudo modprobe fuse")
        }
        Stage::Overlay if refusal.errno == libc::ENODEV => {
            missing("the kernel has no overlayfs".to_owned(), WHY_OVERLAY, "sudo modprobe overlay")
        }
        Stage::Overlay => {
            let what = match facts.scratch_type {
                Some(kind) => {
                    format!("`{}` is on {kind}, which cannot hold what steps write", scratch.display())
                }
                None => format!("the file system of `{}` cannot hold what steps write", scratch.display()),
            };
            missing(what, WHY_OVERLAY, "put the pod's home on a local file system such as ext4, xfs or btrfs")
        }
        Stage::Proc if matches!(refusal.errno, libc::EPERM | libc::EACCES) => {
            let what = "/proc is partly hidden here, so that no new one may be mounted".to_owned();
            missing(what, WHY_PROC, "run the container with --security-opt unmask=/proc/*")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_numbers_belong_to_nobody() {
        let all = "         0          0 4294967295\n";
        assert_eq!(free_id(all, "", ""), Some(PREFERRED_OUTER));
        assert_eq!(free_id(all, "a:1878900000:65536\n", ""), Some(1_878_899_999));
        assert_eq!(free_id(all, "", "x:x:1878901000:1::/:/bin/sh\nbad\n"), Some(PREFERRED_OUTER - 1));
        // Inside a container that has 65536 numbers.
        assert_eq!(free_id("0 1000 1\n1 100000 65536\n", "", "nobody:x:65534:\n"), Some(65536));
        assert_eq!(free_id("0 1000 1\n", "", ""), None);
        assert_eq!(free_id("", "", ""), None);
    }

    #[test]
    fn short_time_outs_are_refused() {
        assert!(check_timeout("max_request_timeout", "0\n").is_ok());
        assert!(check_timeout("max_request_timeout", "").is_ok());
        assert!(check_timeout("max_request_timeout", "120\n").is_err());
    }

    #[test]
    fn advice_names_one_command() {
        let facts = || Facts {
            fuse: Some(()),
            max_user_namespaces: Some(100),
            unprivileged_clone: true,
            apparmor_restricts: false,
            scratch_type: None,
        };
        let mend = |stage, errno, facts: Facts| {
            advice(Refusal { stage, errno }, Path::new("/s"), &facts).map(|missing| missing.mend)
        };
        let sysctl = |text: Option<String>, name: &str| {
            assert!(text.as_deref().is_some_and(|text| text.contains(name)), "{name}: {text:?}");
        };
        sysctl(mend(Stage::Namespaces, libc::ENOSPC, facts()), "user.max_user_namespaces");
        let restricted = Facts { apparmor_restricts: true, ..facts() };
        sysctl(mend(Stage::IdMap, libc::EPERM, restricted), "apparmor_restrict_unprivileged_userns");
        let forbidden = Facts { unprivileged_clone: false, ..facts() };
        sysctl(mend(Stage::Namespaces, libc::EPERM, forbidden), "unprivileged_userns_clone");
        sysctl(mend(Stage::OpenFuse, libc::EACCES, facts()), "chmod 666 /dev/fuse");
        let absent = Facts { fuse: None, ..facts() };
        sysctl(mend(Stage::OpenFuse, libc::ENOENT, absent), "modprobe fuse");
        let stacked = Facts { scratch_type: Some("overlayfs"), ..facts() };
        let missing =
            advice(Refusal { stage: Stage::Overlay, errno: libc::EINVAL }, Path::new("/s"), &stacked);
        assert_eq!(missing.unwrap().what, "`/s` is on overlayfs, which cannot hold what steps write");
        assert_eq!(mend(Stage::Base, libc::ENOMEM, facts()), None);
    }
}
