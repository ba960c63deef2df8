//! The view as an ordinary user: mounted inside a user namespace, without passthrough, overlayfs with `userxattr`.
//!
//! The outer test makes a device file that anybody may open and runs the inner one as `nobody` in namespaces of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use protocol::Digest;
use rustix::fs::{FileType, Mode};
use rustix::mount::{MountFlags, UnmountFlags};
use view::{Flavour, MemorySource, Options};

use crate::stage::{DEVICE_VARIABLE, Stage, can_mount, observed, path};

const NOBODY: u32 = 65_534;

#[test]
fn works_in_a_user_namespace() {
    if !can_mount() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let device = dir.path().join("fuse");
    let number = rustix::fs::makedev(10, 229);
    let mode = Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(rustix::fs::CWD, &device, FileType::CharacterDevice, mode, number).unwrap();
    fs::set_permissions(&device, fs::Permissions::from_mode(0o666)).unwrap();
    let program = dir.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(&program)
        .args(["--ignored", "--exact", "unprivileged::inside", "--nocapture"])
        .env(DEVICE_VARIABLE, &device)
        .env("TMPDIR", dir.path())
        .current_dir(dir.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    if said.contains("skipped:") || String::from_utf8_lossy(&output.stderr).contains("unshare") {
        println!("skipped: no user namespaces here: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("inside: done"), "{said}");
}

#[test]
#[ignore = "run by `works_in_a_user_namespace`"]
fn inside() {
    let options = Options { uid: 0, gid: 0, ..Options::default() };
    let Some(stage) = Stage::with(Flavour::Project, options) else { return };
    let source = Arc::new(MemorySource::new());
    source.file(&path("src/main.c"), "int main;");
    let bytes = vec![3; 1 << 20];
    let kept = tempfile::NamedTempFile::new().unwrap();
    fs::write(kept.path(), &bytes).unwrap();
    let file = Arc::new(fs::File::open(kept.path()).unwrap());
    source.real_file(&path("big"), file, bytes.len() as u64, Digest::of(&bytes));
    let (root, lower) = stage.root(1, source);
    let dir = tempfile::tempdir().unwrap();
    let [merged, upper, work] = ["merged", "upper", "work"].map(|name| dir.path().join(name));
    for folder in [&merged, &upper, &work] {
        fs::create_dir(folder).unwrap();
    }
    let data = format!(
        "userxattr,lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    let data = std::ffi::CString::new(data).unwrap();
    rustix::mount::mount("overlay", &merged, "overlay", MountFlags::empty(), &*data).unwrap();
    assert_eq!(fs::read(merged.join("src/main.c")).unwrap(), b"int main;");
    assert!(fs::read(merged.join("big")).unwrap() == bytes);
    assert!(!stage.mount.passes_through());
    fs::write(merged.join("src/made"), "made").unwrap();
    fs::remove_file(merged.join("src/main.c")).unwrap();
    assert!(fs::metadata(merged.join("src/main.c")).is_err());
    assert_eq!(
        observed(&root),
        ["big probe", "big content", "src probe", "src/made probe", "src/main.c probe", "src/main.c content"]
    );
    rustix::mount::unmount(&merged, UnmountFlags::DETACH).unwrap();
    println!("inside: done");
}
