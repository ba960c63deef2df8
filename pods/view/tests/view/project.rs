//! A project mount: what can be read through it, and what of that is observed.

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use crate::stage::{Stage, observed, path};
use protocol::Digest;
use protocol::step::INPUT_MTIME;
use view::{Flavour, MemorySource, SourceError};

fn project() -> Arc<MemorySource> {
    let source = MemorySource::new();
    source.file(&path("src/main.c"), "int main;");
    source.program(&path("configure"), "#!/bin/sh\necho ran\n");
    source.link(&path("current"), "src/main.c");
    source.dir(&path("empty"));
    Arc::new(source)
}

#[test]
fn each_question_is_one_observation() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let (root, at) = stage.root(1, project());
    assert!(observed(&root).is_empty());

    assert_eq!(fs::metadata(at.join("src/main.c")).unwrap().len(), 9);
    assert_eq!(observed(&root), ["src probe", "src/main.c probe"]);

    assert_eq!(fs::read(at.join("src/main.c")).unwrap(), b"int main;");
    assert_eq!(fs::read_link(at.join("current")).unwrap().to_str(), Some("src/main.c"));
    assert_eq!(fs::metadata(at.join("src/none.h")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fs::metadata(at.join("no/thing")).unwrap_err().kind(), ErrorKind::NotFound);
    let mut names: Vec<_> =
        fs::read_dir(&at).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["configure", "current", "empty", "src"]);
    assert_eq!(fs::read_dir(at.join("empty")).unwrap().count(), 0);
    assert_eq!(
        observed(&root),
        [
            ". listing",
            "current probe",
            "current link",
            "empty probe",
            "empty listing",
            "no probe",
            "src probe",
            "src/main.c probe",
            "src/main.c content",
            "src/none.h probe",
        ]
    );
    assert!(root.failures().is_empty());
}

#[test]
fn a_folder_that_is_merely_opened_is_not_listed() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let (root, at) = stage.root(1, project());
    let folder = fs::File::open(at.join("src")).unwrap();
    rustix::fs::statat(&folder, "main.c", rustix::fs::AtFlags::empty()).unwrap();
    assert_eq!(observed(&root), ["src probe", "src/main.c probe"]);
    assert_eq!(fs::read_dir(at.join("src")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(at.join("src")).unwrap().count(), 1);
    assert_eq!(observed(&root), ["src probe", "src listing", "src/main.c probe"]);
}

#[test]
fn attributes_are_constants() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let (_root, at) = stage.root(1, project());
    for (name, mode) in
        [("src", 0o040755), ("src/main.c", 0o100644), ("configure", 0o100755), ("empty", 0o040755)]
    {
        let meta = fs::metadata(at.join(name)).unwrap();
        assert_eq!((meta.mode(), meta.nlink(), meta.mtime()), (mode, 1, INPUT_MTIME), "{name}");
    }
    assert!(fs::write(at.join("new"), "x").is_err());
    assert!(fs::set_permissions(at.join("src"), fs::Permissions::from_mode(0o700)).is_err());
}

#[test]
fn a_second_root_observes_all_again() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let source = project();
    let mut seen = Vec::new();
    for name in 1..=3 {
        let (root, at) = stage.root(name, source.clone());
        fs::read(at.join("current")).unwrap();
        assert!(fs::metadata(at.join("none")).is_err());
        assert_eq!(fs::read_dir(at.join("src")).unwrap().count(), 1);
        seen.push(observed(&root));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    assert_eq!(seen[0].len(), 8 - 1);
}

#[test]
fn programs_run_and_mapped_files_count_as_content() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let source = project();
    source.program(&path("true"), fs::read("/bin/true").unwrap());
    let (root, at) = stage.root(1, source);
    let output = std::process::Command::new(at.join("configure")).output().unwrap();
    assert_eq!(output.stdout, b"ran\n");
    assert!(std::process::Command::new(at.join("true")).status().unwrap().success());
    let refused = std::process::Command::new(at.join("src/main.c")).status().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert_eq!(
        observed(&root),
        [
            "configure probe",
            "configure content",
            "src probe",
            "src/main.c probe",
            "true probe",
            "true content"
        ]
    );
}

#[test]
fn a_large_program_runs_where_the_kernel_reads_it_by_itself() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let kept = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
    let size = fs::copy("/bin/bash", kept.path()).unwrap();
    let source = project();
    let file = Arc::new(fs::File::open(kept.path()).unwrap());
    source.real_program(&path("bash"), file, size, Digest::of(b"not asked"));
    let (root, at) = stage.root(1, source);
    for _ in 0..3 {
        let output =
            std::process::Command::new(at.join("bash")).args(["-c", "echo $((6*7))"]).output().unwrap();
        assert_eq!(output.stdout, b"42\n");
    }
    assert_eq!(observed(&root), ["bash probe", "bash content"]);
}

#[test]
fn failures_are_told_and_never_absence() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let source = project();
    source.fail(&path("src/lost.c"), SourceError::Gone);
    let (root, at) = stage.root(1, source);
    let error = fs::metadata(at.join("src/lost.c")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    let failures = root.failures();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].path, path("src/lost.c"));
    assert!(matches!(failures[0].error, SourceError::Gone));
    assert_eq!(observed(&root), ["src probe"]);
}

#[test]
fn a_large_file_is_read_whole_by_several_readers_at_once() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let bytes: Vec<u8> = (0..8 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let kept = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
    fs::write(kept.path(), &bytes).unwrap();
    let source = project();
    let file = Arc::new(fs::File::open(kept.path()).unwrap());
    source.real_file(&path("big"), file, bytes.len() as u64, Digest::of(&bytes));
    let (root, at) = stage.root(1, source);
    let mut first = fs::File::open(at.join("big")).unwrap();
    let second = fs::read(at.join("big")).unwrap();
    assert!(second == bytes);
    let mut again = Vec::new();
    first.read_to_end(&mut again).unwrap();
    assert!(again == bytes);
    drop(first);
    assert!(fs::read(at.join("big")).unwrap() == bytes);
    assert_eq!(observed(&root), ["big probe", "big content"]);
    println!("passthrough: {}", stage.mount.passes_through());
}
