//! A stage for tests: a mount of its own in a private mount namespace of the test's thread, gone with the thread.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{Look, RelPath};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use view::{Flavour, Mount, Options, Root, Source};

/// Another device file than `/dev/fuse` to open: for the test that runs as an ordinary user.
pub const DEVICE_VARIABLE: &str = "VIEW_TEST_FUSE_DEVICE";

fn device() -> PathBuf {
    std::env::var_os(DEVICE_VARIABLE).map_or_else(|| PathBuf::from("/dev/fuse"), PathBuf::from)
}

pub fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

/// Whether this test can mount; says so if not.
pub fn can_mount() -> bool {
    let can = rustix::process::geteuid().is_root() && device().exists();
    if !can {
        println!("skipped: needs root and /dev/fuse");
    }
    can
}

/// Gives this thread, and those that it starts from now on, a mount namespace of its own.
pub fn private_mounts() {
    // SAFETY: only the calling thread's namespace and working folder become its own; nothing of Rust's depends on them.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.unwrap();
    rustix::mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).unwrap();
}

/// Opens `/dev/fuse` and mounts it.
pub fn mount_fuse(at: &Path) -> OwnedFd {
    let device = OpenOptions::new().read(true).write(true).open(device()).unwrap();
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    rustix::mount::mount("view", at, "fuse", flags, &*CString::new(data).unwrap()).unwrap();
    device.into()
}

pub struct Stage {
    pub mount: Mount,
    pub runtime: tokio::runtime::Runtime,
    at: tempfile::TempDir,
}

impl Stage {
    /// A served mount; `None` if this machine or user cannot.
    pub fn new(flavour: Flavour) -> Option<Self> {
        Self::with(flavour, Options { uid: 0, gid: 0, ..Options::default() })
    }

    pub fn with(flavour: Flavour, options: Options) -> Option<Self> {
        if !can_mount() {
            return None;
        }
        private_mounts();
        let at = tempfile::tempdir().unwrap();
        let device = mount_fuse(at.path());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mount = Mount::serve(device, flavour, options, runtime.handle().clone()).unwrap();
        Some(Self { mount, runtime, at })
    }

    /// A root over a source, and the folder where it stands.
    pub fn root(&self, name: u64, source: Arc<dyn Source>) -> (Root, PathBuf) {
        (self.mount.add_root(name, source).unwrap(), self.at.path().join(name.to_string()))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = rustix::mount::unmount(self.at.path(), UnmountFlags::DETACH) {
            println!("cannot unmount: {error}");
        }
    }
}

/// What was observed, as text: `path look`.
pub fn observed(root: &Root) -> Vec<String> {
    root.observed().iter().map(|(path, look): &(RelPath, Look)| format!("{path} {}", look.word())).collect()
}
