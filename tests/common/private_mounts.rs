//! Mounts of a test's own, which root may make: small disks to be filled, a `/dev/fuse` for everybody.
//!
//! The mounts are in a mount namespace of the test's own thread and of what it starts, so they go when the thread goes,
//! whatever happens.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_remount, unmount,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Leaves the mounts of this thread to itself; `false`, with a printed reason, where that is not allowed.
#[must_use]
pub fn unshare_mounts() -> bool {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root may mount a small disk");
        return false;
    }
    // SAFETY: no file descriptor table is unshared, so no descriptor that others rely on goes away.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).unwrap();
    true
}

/// Lets ordinary users open `/dev/fuse` where they may not, as on machines without udev's rules for it.
pub fn open_fuse_to_all() {
    let mode = std::fs::metadata("/dev/fuse").map_or(0o666, |fuse| fuse.permissions().mode());
    if mode & 0o006 != 0o006 && unshare_mounts() {
        put_fuse(0o666);
    }
}

/// Puts a `/dev/fuse` with these permissions in the place of the machine's.
pub fn put_fuse(mode: u32) {
    on_own_disk(|disk| {
        let fuse = &disk.join("fuse");
        mknodat(CWD, fuse, FileType::CharacterDevice, Mode::from_raw_mode(mode), makedev(10, 229)).unwrap();
        std::fs::set_permissions(fuse, std::fs::Permissions::from_mode(mode)).unwrap();
        mount_bind(fuse, "/dev/fuse").unwrap();
    });
}

/// Puts a file in the place of one of the machine's, for this thread and what it starts.
pub fn put_file(at: &Path, bytes: &[u8]) {
    let mode = std::fs::metadata(at).unwrap().permissions();
    on_own_disk(|disk| {
        let file = disk.join("file");
        std::fs::write(&file, bytes).unwrap();
        std::fs::set_permissions(&file, mode).unwrap();
        mount_bind(&file, at).unwrap();
    });
}

/// Lets this thread and what it starts write below one of the machine's folders, while it stays as it is for all others.
pub fn copy_on_write(at: &Path) {
    on_own_disk(|disk| {
        let [upper, work] = ["upper", "work"].map(|name| disk.join(name));
        [&upper, &work].iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
        std::fs::set_permissions(&upper, std::fs::metadata(at).unwrap().permissions()).unwrap();
        let (lower, upper, work) = (at.display(), upper.display(), work.display());
        let options =
            std::ffi::CString::new(format!("lowerdir={lower},upperdir={upper},workdir={work}")).unwrap();
        mount("none", at, "overlay", MountFlags::empty(), Some(options.as_c_str())).unwrap();
    });
}

/// Calls with a disk of its own, whose place is free again at once: what has been mounted of it keeps it.
fn on_own_disk(act: impl FnOnce(&Path)) {
    let place = Path::new("/dev/shm");
    mount("none", place, "tmpfs", MountFlags::empty(), None).unwrap();
    act(place);
    unmount(place, UnmountFlags::DETACH).unwrap();
}

/// Mounts an overlay over an empty folder.
pub fn overlay(at: &Path) {
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| at.with_extension(name));
    [at, &lower, &upper, &work].iter().for_each(|folder| std::fs::create_dir_all(folder).unwrap());
    let (lower, upper, work) = (lower.display(), upper.display(), work.display());
    let options =
        std::ffi::CString::new(format!("lowerdir={lower},upperdir={upper},workdir={work}")).unwrap();
    mount("none", at, "overlay", MountFlags::empty(), Some(options.as_c_str())).unwrap();
}

/// Mounts an empty disk of so many KiB at a folder.
pub fn small_disk(at: &Path, kib: u32) {
    std::fs::create_dir_all(at).unwrap();
    let options = std::ffi::CString::new(format!("size={kib}k,mode=0755")).unwrap();
    mount("none", at, "tmpfs", MountFlags::empty(), Some(options.as_c_str())).unwrap();
}

/// Gives the disk at a folder another size.
pub fn resize_disk(at: &Path, kib: u32) {
    let options = std::ffi::CString::new(format!("size={kib}k")).unwrap();
    mount_remount(at, MountFlags::empty(), options.as_c_str()).unwrap();
}

/// Takes the disks below a folder away, so that it can be removed.
pub fn unmount_below(folder: &Path) {
    let mounts = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
    // proc_pid_mountinfo(5): the fifth field is where it is mounted.
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(Path::new);
    for place in places.filter(|place| place.starts_with(folder)) {
        unmount(place, UnmountFlags::DETACH).ok();
    }
}

/// Takes all room that a disk has left, by a file on it.
pub fn fill_disk(filler: &Path) {
    let mut file = std::fs::File::create(filler).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        let chunk = vec![b'x'; size];
        while std::io::Write::write_all(&mut file, &chunk).is_ok() {}
    }
}
