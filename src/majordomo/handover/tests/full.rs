//! A full disk: needs root, for a small file system of its own.

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::*;

#[test]
fn a_full_disk_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // SAFETY: only this thread leaves the others' mounts; no descriptor table is shared or taken apart.
    let alone = unsafe { unshare_unsafe(UnshareFlags::NEWNS) };
    if alone.is_err() {
        return;
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    mount("small", dir.path(), "tmpfs", MountFlags::empty(), c"size=256k").unwrap();
    let workspace = Workspace::open_or_create(dir.path()).unwrap();
    let bench = Bench { dir, workspace, shelf: Shelf::default() };
    bench.hand(&[("a", "old"), ("b", "old")], &[]).unwrap();
    fs::write(bench.at("source"), "mine").unwrap();
    let big = "x".repeat(300 << 10);
    let error = bench.hand(&[("a", "new"), ("b", &big), ("d/c", "new")], &[]).unwrap_err();
    assert!(matches!(&error, HandOverError::Full(p) if *p == path("b")), "{error:?}");
    assert!(error.to_string().contains("disk is full"), "{error}");
    assert_eq!((bench.text("b"), bench.text("source")), ("old".to_owned(), "mine".to_owned()));
    let scan = bench.scan();
    assert!(scan.report().edited.is_empty());
    assert_eq!(scan.files(), [path("source")]);

    // No room for so much as the intents: then nothing is touched.
    fs::write(bench.at("filler"), "x".repeat(150 << 10)).unwrap();
    let mut filler = fs::File::options().append(true).open(bench.at("filler")).unwrap();
    while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
    let error = bench.hand(&[("a", "newer")], &[]).unwrap_err();
    assert!(matches!(&error, HandOverError::Workspace(WorkspaceError::Full(_))), "{error:?}");
    drop(filler);
    fs::remove_file(bench.at("filler")).unwrap();
    assert!(bench.scan().report().edited.is_empty());
    bench.hand(&[("a", "newer"), ("b", "newer"), ("d/c", "newer")], &[]).unwrap();
    assert_eq!(bench.text("a"), "newer");
    rustix::mount::unmount(bench.dir.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
}
