//! A step's root: the view, with what is the kitchen's own mounted into it.

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::Path;

use protocol::RelPath;
use protocol::step::INPUT_MTIME;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_move, move_mount, open_tree,
    unmount,
};

use super::base::{Base, PROJECT, ROOT, SCRATCH, STAGE, TOOLS};
use super::sys::{Staged, at};
use crate::secret::SECRETS;
use crate::wire::{LOWER, Run, Stage};

/// Private folders of a step: where, with which mode, and whether programs may be executed there.
const PRIVATE: [(&str, &str, u32); 4] = [
    ("tmp", "tmp", 0o1777),
    ("var-tmp", "var/tmp", 0o1777),
    ("home", "home/build", 0o755),
    ("shm", "dev/shm", 0o1777),
];

/// A folder with nothing in it, to be laid over others.
const NOTHING: &str = "nothing";
/// A folder that nobody may list.
const CLOSED: &str = "closed";

/// Builds the root in the present mount namespace, which must be a copy of the base's, and enters it.
pub(super) fn enter(run: &Run, base: &Base) -> Staged<()> {
    bind(&format!("{TOOLS}/{}", run.root), ROOT).map_err(at(Stage::Root))?;
    let scratch = make_folders(run, base).map_err(at(Stage::Folders))?;
    mount_project(run, base, &scratch).map_err(at(Stage::Project))?;
    mount_move("/dev", format!("{ROOT}/dev")).map_err(at(Stage::Dev))?;
    mount_private(run, base).map_err(at(Stage::Tmp))?;
    mount_proc(base).map_err(at(Stage::Proc))?;
    if !run.secrets.is_empty() {
        show_secrets(run, base).map_err(at(Stage::Secrets))?;
    }
    if let Some(files) = &run.network {
        show_network(files, base).map_err(at(Stage::Etc))?;
    }
    let stage = at(Stage::Pivot);
    rustix::process::chdir(ROOT).map_err(&stage)?;
    rustix::process::pivot_root(".", ".").map_err(&stage)?;
    unmount(".", UnmountFlags::DETACH).map_err(&stage)?;
    rustix::process::chdir("/").map_err(&stage)
}

fn bind(from: &str, to: &str) -> rustix::io::Result<()> {
    let tree = open_tree(CWD, from, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    move_mount(tree, "", CWD, to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Makes `upper` in the step's scratch folder, with the folders that must be there; gives the scratch folder's path.
fn make_folders(run: &Run, base: &Base) -> std::io::Result<String> {
    let scratch = format!("{SCRATCH}/{}", run.folder);
    let upper = format!("{scratch}/upper");
    let mut made = vec![RelPath::root()];
    for dir in &run.make_dirs {
        made.push(dir.clone());
        made.extend(dir.ancestors());
    }
    made.sort();
    made.dedup();
    let (uid, gid) = base.owner();
    for dir in &made {
        let path = dir.under(Path::new(&upper));
        DirBuilder::new().mode(0o755).create(&path)?;
        chown(&path, Some(uid), Some(gid))?;
    }
    // Folders inside have been made by now, so that the time stays.
    let time = Timespec { tv_sec: INPUT_MTIME, tv_nsec: 0 };
    for dir in &made {
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(CWD, dir.under(Path::new(&upper)), &times, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(scratch)
}

fn mount_project(run: &Run, base: &Base, scratch: &str) -> rustix::io::Result<()> {
    let beneath = if run.beneath { format!("{scratch}/{LOWER}:") } else { String::new() };
    let options = format!(
        "lowerdir={beneath}{PROJECT}/{},upperdir={scratch}/upper,workdir={scratch}/work,{}",
        run.root,
        base.overlay_options()
    );
    let options = CString::new(options).map_err(|_| rustix::io::Errno::INVAL)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    mount("project", format!("{ROOT}/project"), "overlay", flags, options.as_c_str())
}

/// An ordinary user may mount /proc only in the way in which the host's is mounted: usually with `relatime`, the default. Nobody
/// writes there: what the kernel lets everybody change is about the machine, or about a process that can change it by a call.
fn mount_proc(base: &Base) -> rustix::io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
    let try_with = |flags| mount("proc", format!("{ROOT}/proc"), "proc", flags, None);
    match try_with(flags) {
        Err(rustix::io::Errno::PERM) => try_with(flags | MountFlags::NOATIME)?,
        mounted => mounted?,
    }
    for mask in base.masks() {
        let nothing = if mask.is_folder { format!("{STAGE}/{NOTHING}") } else { format!("{ROOT}/dev/null") };
        bind(&nothing, &format!("{ROOT}/proc/{}", mask.name))?;
    }
    if base.owns_init() {
        // What stands behind the numbers cannot be opened anyway; nor are they shown in other engines.
        let closed = format!("{STAGE}/{CLOSED}");
        rustix::fs::mkdir(&closed, rustix::fs::Mode::empty())?;
        bind(&closed, &format!("{ROOT}/proc/1/fd"))?;
    }
    Ok(())
}

/// One tmpfs for all private folders: its superblock is what costs.
///
/// It is memory, and counts as the step's where a control group counts; the kernel's own bound is half of what there is.
fn mount_private(run: &Run, base: &Base) -> std::io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    let limit =
        run.limits.disk.into_iter().chain(run.limits.memory).min().filter(|limit| *limit < half_of_memory());
    let size = limit.map_or_else(String::new, |bytes| format!(",size={}", bytes.max(SMALLEST)));
    mount("private", STAGE, "tmpfs", flags, CString::new(format!("mode=755{size}"))?.as_c_str())?;
    let (uid, gid) = base.owner();
    for (name, place, mode) in PRIVATE {
        let path = format!("{STAGE}/{name}");
        DirBuilder::new().mode(mode).create(&path)?;
        chown(&path, Some(uid), Some(gid))?;
        bind(&path, &format!("{ROOT}/{place}"))?;
    }
    DirBuilder::new().mode(0o555).create(format!("{STAGE}/{NOTHING}"))
}

/// A tmpfs of no bytes would be one without bounds.
const SMALLEST: u64 = 1 << 16;

fn half_of_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram * u64::from(info.mem_unit) / 2
}

/// Writes the secrets into memory that goes with the step, for its user alone to read.
fn show_secrets(run: &Run, base: &Base) -> std::io::Result<()> {
    let folder = format!("{STAGE}/secrets");
    let (uid, gid) = base.owner();
    DirBuilder::new().mode(0o500).create(&folder)?;
    for secret in &run.secrets {
        let path = Path::new(&folder).join(secret.name());
        fs::write(&path, secret.value())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400))?;
        chown(&path, Some(uid), Some(gid))?;
    }
    chown(&folder, Some(uid), Some(gid))?;
    Ok(bind(&folder, &format!("{ROOT}/{SECRETS}"))?)
}

/// Lays the host's settings of the network over the `/etc` of the view, whether or not it has such files.
fn show_network(files: &[(Vec<u8>, Vec<u8>)], base: &Base) -> std::io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let etc = format!("{STAGE}/etc");
    DirBuilder::new().mode(0o755).create(&etc)?;
    for (name, content) in files {
        let path = Path::new(&etc).join(std::ffi::OsStr::from_bytes(name));
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    let userxattr = if base.step_users().is_some() { "" } else { ",userxattr" };
    let options = CString::new(format!("lowerdir={etc}:{ROOT}/etc{userxattr}"))?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    Ok(mount("etc", format!("{ROOT}/etc"), "overlay", flags, options.as_c_str())?)
}
