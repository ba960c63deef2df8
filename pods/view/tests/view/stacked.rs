//! overlayfs over a project root: what the kitchen mounts at `/project`.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use protocol::Digest;
use rustix::mount::{MountFlags, UnmountFlags};
use view::{Flavour, MemorySource, Options, Root};

use crate::stage::{Stage, observed, path};

struct Overlay {
    root: Root,
    merged: PathBuf,
    upper: PathBuf,
    _dir: tempfile::TempDir,
}

impl Drop for Overlay {
    fn drop(&mut self) {
        if let Err(error) = rustix::mount::unmount(&self.merged, UnmountFlags::DETACH) {
            println!("cannot unmount: {error}");
        }
    }
}

fn overlay(stage: &Stage, source: Arc<MemorySource>) -> Overlay {
    let (root, lower) = stage.root(1, source);
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let [merged, upper, work] = ["merged", "upper", "work"].map(|name| dir.path().join(name));
    for folder in [&merged, &upper, &work] {
        fs::create_dir(folder).unwrap();
    }
    let data =
        format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    let data = std::ffi::CString::new(data).unwrap();
    rustix::mount::mount("overlay", &merged, "overlay", MountFlags::empty(), &*data).unwrap();
    Overlay { root, merged, upper, _dir: dir }
}

fn source() -> Arc<MemorySource> {
    let source = MemorySource::new();
    source.file(&path("src/main.c"), "int main;");
    source.file(&path("src/old.c"), "old");
    source.link(&path("link"), "src");
    Arc::new(source)
}

#[test]
fn reads_go_through_and_writes_stay_in_the_upper_folder() {
    let Some(stage) = Stage::with(Flavour::Project, Options { uid: 0, gid: 0, ..Options::default() }) else {
        return;
    };
    let stacked = overlay(&stage, source());
    assert!(!observed(&stacked.root).iter().any(|line| line.starts_with("src")));
    assert_eq!(fs::read(stacked.merged.join("link/main.c")).unwrap(), b"int main;");
    assert_eq!(
        observed(&stacked.root),
        ["link probe", "link link", "src probe", "src/main.c probe", "src/main.c content"]
    );
    fs::write(stacked.merged.join("src/new.o"), "o").unwrap();
    fs::remove_file(stacked.merged.join("src/old.c")).unwrap();
    assert_eq!(fs::read(stacked.upper.join("src/new.o")).unwrap(), b"o");
    let mut names: Vec<_> =
        fs::read_dir(stacked.merged.join("src")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["main.c", "new.o"]);
    let looks = observed(&stacked.root);
    assert!(looks.contains(&"src/new.o probe".to_owned()), "{looks:?}");
    assert!(!looks.contains(&"src/old.c content".to_owned()), "{looks:?}");
    assert!(stacked.root.failures().is_empty());
}

#[test]
fn a_passed_through_file_can_be_read_mapped_and_copied_up() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let bytes = vec![7; 3 << 20];
    let kept = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
    fs::write(kept.path(), &bytes).unwrap();
    let source = source();
    let file = Arc::new(fs::File::open(kept.path()).unwrap());
    source.real_file(&path("big"), file, bytes.len() as u64, Digest::of(&bytes));
    let stacked = overlay(&stage, source);
    assert!(fs::read(stacked.merged.join("big")).unwrap() == bytes);
    let status = std::process::Command::new("cp")
        .arg(stacked.merged.join("big"))
        .arg(stacked.merged.join("copy"))
        .status();
    assert!(status.unwrap().success());
    assert!(fs::read(stacked.upper.join("copy")).unwrap() == bytes);
    let appending = fs::OpenOptions::new().append(true).open(stacked.merged.join("big")).unwrap();
    std::io::Write::write_all(&mut &appending, b"more").unwrap();
    assert_eq!(fs::metadata(stacked.upper.join("big")).unwrap().len(), bytes.len() as u64 + 4);
    assert!(fs::read(kept.path()).unwrap() == bytes);
    assert!(stacked.root.failures().is_empty());
}

#[test]
fn a_file_that_is_truncated_or_linked_over_is_not_read() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let stacked = overlay(&stage, source());
    fs::write(stacked.merged.join("src/main.c"), "new").unwrap();
    assert_eq!(observed(&stacked.root), ["src probe", "src/main.c probe"]);
    fs::write(stacked.merged.join("src/made"), "made").unwrap();
    fs::rename(stacked.merged.join("src/made"), stacked.merged.join("src/old.c")).unwrap();
    assert_eq!(
        observed(&stacked.root),
        ["src probe", "src/made probe", "src/main.c probe", "src/old.c probe"]
    );
    assert_eq!(fs::read(stacked.upper.join("src/main.c")).unwrap(), b"new");
    assert_eq!(fs::read(stacked.merged.join("src/old.c")).unwrap(), b"made");
}
