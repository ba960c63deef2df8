//! The zygote's own root: a tmpfs with the view's two mounts, the scratch folder and a finished `/dev`, and nothing else.
//!
//! Each step's mount namespace starts as a copy of this one, so every mount that is not here is one that no step pays for.

use std::fs::{self, DirBuilder, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use nix::sched::CloneFlags;
use protocol::step::STEP_UID;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_change,
    mount_remount, move_mount, open_tree, unmount,
};

use super::fence::Filter;
use super::namespace::HostProc;
use super::rights;
use super::sys::{self, Staged, at};
use crate::wire::{ATTEMPT, Stage, Start};

/// What stands in the zygote's root.
pub(super) const TOOLS: &str = "/tools";
pub(super) const PROJECT: &str = "/project";
pub(super) const SCRATCH: &str = "/scratch";
/// Where a step's root is put together.
pub(super) const ROOT: &str = "/root";
/// Where a step's private tmpfs is mounted while its folders are bound.
pub(super) const STAGE: &str = "/stage";
const DEV: &str = "/dev";
const PROC: &str = "/proc";

/// Devices that every step has: name and minor number (of the major number 1, but for the last).
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
const DEV_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Namespaces and mounts that all steps start from.
pub(super) struct Base {
    /// As root: the user namespace of steps, and their outer uid and gid. As an ordinary user the zygote is in it itself.
    step_users: Option<(OwnedFd, (u32, u32))>,
    proc: HostProc,
    filter: Filter,
    masks: Vec<Mask>,
    /// Whether steps have the number of this process's root: then they own what the kernel shows of their process 1.
    owns_init: bool,
}

/// A place in `/proc` that says more of the machine than a step should know.
pub(super) struct Mask {
    pub(super) name: &'static str,
    pub(super) is_folder: bool,
}

/// Podman's list of what is hidden in `/proc`. What only root may read needs no hiding.
const MASKED: [&str; 8] =
    ["acpi", "asound", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list"];

/// Those of [`MASKED`] that are there and that others than root may read.
fn masks() -> Vec<Mask> {
    let is_open =
        |name: &&str| fs::metadata(Path::new(PROC).join(name)).ok().filter(|meta| meta.mode() & 0o007 != 0);
    let mask = |name: &'static str| is_open(&name).map(|meta| Mask { name, is_folder: meta.is_dir() });
    MASKED.into_iter().filter_map(mask).collect()
}

impl Base {
    /// Leaves the host's mounts for good. Gives the descriptors of tools and project, mounted and not served, and of `/proc`.
    pub(super) fn make(start: &Start) -> Staged<(Self, [OwnedFd; 3])> {
        use std::os::unix::ffi::OsStrExt;
        let scratch = Path::new(std::ffi::OsStr::from_bytes(&start.scratch));
        sys::leave_session_keyring();
        rustix::process::umask(Mode::empty());
        let proc = HostProc::open().map_err(at(Stage::Namespaces))?;
        let masks = masks();
        // In a container of an ordinary user root is that user, and so is the step.
        let owns_init = start.outer.is_none() && rustix::process::getuid().is_root();
        let step_users = match start.outer {
            Some(outer) => Some((rights::make_step_users(&proc, outer)?, outer)),
            None => {
                rights::enter_own_user_namespace()?;
                None
            }
        };
        // Steps have no right to change the host name, so that one such namespace does for all.
        let private = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS;
        nix::sched::unshare(private).map_err(at(Stage::Namespaces))?;
        nix::unistd::sethostname("kitchen").map_err(at(Stage::Namespaces))?;
        mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
            .map_err(at(Stage::Namespaces))?;

        let fuse = [open_fuse()?, open_fuse()?, proc.fd().map_err(at(Stage::Proc))?];

        make_root(scratch, step_users.is_none())?;
        mount_view(TOOLS, c"computepods-tools", &fuse[0], step_users.is_none())?;
        mount_view(PROJECT, c"computepods-project", &fuse[1], step_users.is_none())?;
        let base = Self { step_users, proc, filter: Filter::new(), masks, owns_init };
        base.try_overlay()?;
        Ok((base, fuse))
    }

    /// The numbers that the view must report so that they are 1000 inside: in the numbers of the mounts' namespace.
    pub(super) fn view_ids(&self) -> (u32, u32) {
        self.owner()
    }

    /// The owner of what steps may write, in the zygote's numbers.
    pub(super) fn owner(&self) -> (u32, u32) {
        self.step_users.as_ref().map_or((STEP_UID, STEP_UID), |(_, outer)| *outer)
    }

    /// The user namespace that steps have still to enter.
    pub(super) fn step_users(&self) -> Option<BorrowedFd<'_>> {
        self.step_users.as_ref().map(|(users, _)| users.as_fd())
    }

    /// The system calls that steps may make.
    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// What is hidden in `/proc`.
    pub(super) fn masks(&self) -> &[Mask] {
        &self.masks
    }

    /// Whether the descriptors of a step's process 1 have to be closed to it.
    pub(super) fn owns_init(&self) -> bool {
        self.owns_init
    }

    /// The options with which overlays are mounted.
    ///
    /// `volatile`: without it each unmount would write the whole upper file system to disk. Renaming a folder that the project
    /// has is EXDEV, as between file systems: tools then copy, and the upper folder holds plain files.
    pub(super) fn overlay_options(&self) -> &'static str {
        if self.step_users.is_some() {
            "volatile,redirect_dir=nofollow,index=off,metacopy=off,xino=off"
        } else {
            // As an ordinary user the kernel decides the rest, and refuses to be told.
            "volatile,userxattr"
        }
    }

    /// A network namespace with a loopback interface and nothing else.
    pub(super) fn make_network(&self) -> Staged<OwnedFd> {
        self.proc.make(libc::CLONE_NEWNET, "net", sys::loopback_up, |_| Ok(())).map_err(at(Stage::Network))
    }

    /// Mounts an overlay of nothing over the scratch folder, to learn now and not at the first step that it cannot be done.
    fn try_overlay(&self) -> Staged<()> {
        let stage = at(Stage::Overlay);
        let attempt = Path::new(SCRATCH).join(ATTEMPT);
        for part in ["", "upper", "work"] {
            fs::create_dir(attempt.join(part)).map_err(at(Stage::Scratch))?;
        }
        let options = format!(
            "lowerdir={STAGE},upperdir={SCRATCH}/{ATTEMPT}/upper,workdir={SCRATCH}/{ATTEMPT}/work,{}",
            self.overlay_options()
        );
        let options = std::ffi::CString::new(options).map_err(|_| stage(rustix::io::Errno::INVAL))?;
        mount(ATTEMPT, ROOT, "overlay", MountFlags::empty(), options.as_c_str()).map_err(&stage)?;
        // Where the upper file system lacks something, the kernel may still mount it, and then refuse to write.
        let written = File::create(Path::new(ROOT).join("written"));
        unmount(ROOT, UnmountFlags::DETACH).map_err(&stage)?;
        written.map(drop).map_err(at(Stage::Overlay))
    }
}

fn open_fuse() -> Staged<OwnedFd> {
    rustix::fs::open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(at(Stage::OpenFuse))
}

fn mount_view(at_path: &str, name: &std::ffi::CStr, fuse: &OwnedFd, ordinary: bool) -> Staged<()> {
    let owner = if ordinary { STEP_UID } else { 0 };
    let fd = fuse.as_raw_fd();
    let options =
        format!("fd={fd},rootmode=40000,user_id={owner},group_id={owner},allow_other,default_permissions");
    let stage = at(Stage::MountFuse);
    let options = std::ffi::CString::new(options).map_err(|_| stage(rustix::io::Errno::INVAL))?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    mount(name, at_path, c"fuse", flags, options.as_c_str()).map_err(&stage)
}

/// Puts the root together on top of the scratch folder, and enters it.
fn make_root(scratch: &Path, ordinary: bool) -> Staged<()> {
    let clone = |path: &Path, flags| {
        open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | flags)
    };
    let place =
        |tree: OwnedFd, path: &Path| move_mount(tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH);
    let recursive = OpenTreeFlags::AT_RECURSIVE;
    let scratch_tree = clone(scratch, recursive).map_err(at(Stage::Scratch))?;
    let devices: Vec<OwnedFd> = if ordinary {
        let open = |(name, ..): &(&str, u32, u32)| clone(&Path::new(DEV).join(name), OpenTreeFlags::empty());
        DEVICES.iter().map(open).collect::<Result<_, _>>().map_err(at(Stage::Dev))?
    } else {
        Vec::new()
    };
    // An ordinary user may mount /proc anew only where one that hides nothing is to be seen.
    let proc = ordinary.then(|| clone(Path::new(PROC), recursive)).transpose().map_err(at(Stage::Proc))?;

    let stage = at(Stage::Base);
    let base_flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    mount("kitchen", scratch, "tmpfs", base_flags, c"mode=755").map_err(&stage)?;
    rustix::process::chdir(scratch).map_err(&stage)?;
    for folder in [TOOLS, PROJECT, SCRATCH, ROOT, STAGE, DEV, PROC] {
        DirBuilder::new().mode(0o755).create(&folder[1..]).map_err(at(Stage::Base))?;
    }
    place(scratch_tree, Path::new(&SCRATCH[1..])).map_err(at(Stage::Scratch))?;
    if let Some(proc) = proc {
        place(proc, Path::new(&PROC[1..])).map_err(at(Stage::Proc))?;
    }
    make_dev(devices, place)?;
    rustix::process::pivot_root(".", ".").map_err(&stage)?;
    unmount(".", UnmountFlags::DETACH).map_err(&stage)?;
    rustix::process::chdir("/").map_err(&stage)
}

/// A finished, read-only `/dev` on a tmpfs of its own, below the working directory.
fn make_dev(devices: Vec<OwnedFd>, place: impl Fn(OwnedFd, &Path) -> rustix::io::Result<()>) -> Staged<()> {
    let stage = at(Stage::Dev);
    let dev = Path::new(&DEV[1..]);
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NOATIME;
    mount("kitchen-dev", dev, "tmpfs", flags, c"mode=755,size=64k").map_err(&stage)?;
    let fill = || -> std::io::Result<()> {
        fs::create_dir(dev.join("shm"))?;
        fs::set_permissions(dev.join("shm"), fs::Permissions::from_mode(0o1777))?;
        for (name, target) in DEV_LINKS {
            symlink(target, dev.join(name))?;
        }
        if devices.is_empty() {
            for (name, major, minor) in DEVICES {
                let number = rustix::fs::makedev(major, minor);
                let mode = Mode::from_raw_mode(0o666);
                rustix::fs::mknodat(
                    CWD,
                    dev.join(name),
                    rustix::fs::FileType::CharacterDevice,
                    mode,
                    number,
                )?;
            }
        }
        for ((name, ..), tree) in DEVICES.iter().zip(devices) {
            File::create(dev.join(name))?;
            place(tree, &dev.join(name))?;
        }
        Ok(())
    };
    fill().map_err(at(Stage::Dev))?;
    mount_remount(dev, flags | MountFlags::RDONLY, c"mode=755,size=64k").map_err(&stage)
}
