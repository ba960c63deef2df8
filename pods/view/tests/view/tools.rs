//! A tools mount: opens are not seen, shared files keep their pages over roots, every root observes all.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use protocol::{Look, RelPath, Seen};
use view::{Flavour, HostOptions, HostTools, MemorySource, NoMemo, Options, Source, see};

use crate::stage::{Stage, observed, path};

fn host() -> Arc<HostTools> {
    Arc::new(HostTools::new(HostOptions::default(), Arc::new(NoMemo)).unwrap())
}

#[test]
fn a_found_file_counts_as_content() {
    let Some(stage) = Stage::new(Flavour::Tools) else { return };
    let source = Arc::new(MemorySource::new());
    source.shared_file(&path("usr/include/stdio.h"), "decl", 7);
    source.shared_file(&path("usr/include/copy.h"), "decl", 7);
    source.file(&path("usr/own"), "own");
    source.link(&path("bin"), "usr");
    let mut inodes = Vec::new();
    for name in 1..=3 {
        let (root, at) = stage.root(name, source.clone());
        assert_eq!(fs::read(at.join("usr/include/stdio.h")).unwrap(), b"decl");
        assert_eq!(fs::read(at.join("bin/own")).unwrap(), b"own");
        assert!(fs::metadata(at.join("usr/include/none.h")).is_err());
        let copy = fs::metadata(at.join("usr/include/copy.h")).unwrap();
        inodes.push((
            fs::metadata(at.join("usr")).unwrap().ino(),
            fs::metadata(at.join("usr/include/stdio.h")).unwrap().ino(),
            copy.ino(),
            fs::metadata(at.join("usr/own")).unwrap().ino(),
        ));
        assert_eq!(
            observed(&root),
            [
                "bin probe",
                "bin link",
                "usr probe",
                "usr/include probe",
                "usr/include/copy.h content",
                "usr/include/none.h probe",
                "usr/include/stdio.h content",
                "usr/own content",
            ]
        );
    }
    for pair in inodes.windows(2) {
        assert_eq!(pair[0].1, pair[1].1, "shared over roots");
        assert_eq!(pair[0].1, pair[0].2, "shared over paths");
        assert_ne!(pair[0].0, pair[1].0, "folders are each root's own");
        assert_ne!(pair[0].3, pair[1].3, "files without a number are each root's own");
    }
}

#[test]
fn shared_files_are_forgotten_with_the_last_root() {
    let Some(stage) =
        Stage::with(Flavour::Tools, Options { uid: 0, gid: 0, linger_roots: Some(0), ..Options::default() })
    else {
        return;
    };
    let source = Arc::new(MemorySource::new());
    source.shared_file(&path("a"), "decl", 7);
    let (root, at) = stage.root(1, source.clone());
    fs::read(at.join("a")).unwrap();
    assert_eq!(stage.mount.stats().shared_files, 1);
    drop(root);
    // FORGET comes after the thread that invalidates; the kernel tells nobody when.
    let begun = std::time::Instant::now();
    while stage.mount.stats().shared_files > 0 && begun.elapsed().as_secs() < 10 {
        std::thread::yield_now();
    }
    assert_eq!(stage.mount.stats().shared_files, 0);
    assert_eq!(stage.mount.stats().roots, 0);
}

#[test]
fn the_compiler_of_this_machine_works_in_a_root_of_it() {
    let Some(stage) = Stage::new(Flavour::Tools) else { return };
    let tools = host();
    let (root, at) = stage.root(1, tools.clone());
    let output = std::process::Command::new("chroot")
        .arg(&at)
        .args(["/bin/sh", "-c", "echo $0; id -un 1000"])
        .output();
    let output = output.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "/bin/sh\nbuild\n", "{output:?}");
    assert!(root.failures().is_empty(), "{:?}", root.failures());
    let looks = root.observed();
    assert!(looks.contains(&(path("etc/passwd"), Look::Content)));
    let changed = tools.verify(looks.iter().map(|(path, look)| (path, *look)));
    assert!(changed.is_empty(), "{changed:?}");
    // A new generation sees the same.
    let again = host();
    for (path, look) in &looks {
        let first = stage.runtime.block_on(see(&*tools, path, *look)).unwrap();
        assert_eq!(first, stage.runtime.block_on(see(&*again, path, *look)).unwrap(), "{path}");
        if *look == Look::Content {
            assert!(matches!(first, Seen::Content { .. }));
        }
    }
}

/// The toolchain that built this test, if rustup brought it.
fn toolchain() -> Option<std::path::PathBuf> {
    let output = std::process::Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let path = std::path::PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.canonicalize().ok().filter(|path| !path.starts_with("/usr") && path.join("bin/rustc").exists())
}

#[test]
fn a_tool_root_deep_in_a_closed_home_works() {
    let Some(toolchain) = toolchain() else { return println!("skipped: no toolchain of rustup's") };
    let Some(stage) = Stage::new(Flavour::Tools) else { return };
    let options = HostOptions {
        extra_roots: vec![RelPath::from_absolute(&toolchain).unwrap()],
        ..HostOptions::default()
    };
    let tools = Arc::new(HostTools::new(options, Arc::new(NoMemo)).unwrap());
    let (root, at) = stage.root(1, tools);
    let output = std::process::Command::new("chroot")
        .arg(&at)
        .arg(toolchain.join("bin/rustc"))
        .arg("-V")
        .output()
        .unwrap();
    assert!(output.stdout.starts_with(b"rustc "), "{output:?} {:?}", root.failures());
    let above = at.join(toolchain.parent().unwrap().strip_prefix("/").unwrap());
    assert_eq!(fs::read_dir(above).unwrap().count(), 1, "only what leads to the root");
}

#[test]
fn a_step_sees_the_host_as_the_source_tells_it() {
    let Some(stage) = Stage::new(Flavour::Tools) else { return };
    let tools = host();
    let (_root, at) = stage.root(1, tools.clone());
    for folder in ["", "etc", "usr", "usr/bin", "var", "home"] {
        let listed = stage.runtime.block_on(tools.list(&RelPath::new(folder.as_bytes()).unwrap()));
        let mut expected: Vec<_> = listed
            .unwrap()
            .unwrap()
            .into_iter()
            .map(|(name, _)| String::from_utf8(name.into()).unwrap())
            .collect();
        let mut names: Vec<_> = fs::read_dir(at.join(folder))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        expected.sort();
        assert_eq!(names, expected, "{folder}");
    }
    assert_eq!(fs::read_to_string(at.join("etc/hostname")).unwrap(), "kitchen\n");
    assert!(fs::metadata(at.join("etc/shadow")).is_err());
    assert!(fs::metadata(at.join("run")).is_err());
    let libc = fs::read_dir("/usr/lib").unwrap().count();
    assert!(fs::read_dir(at.join("usr/lib")).unwrap().count() <= libc);
}

#[test]
fn roots_that_come_and_go_do_not_disturb_each_other() {
    // No lingering: every removal takes entries of files away that the other roots are reading.
    let options = Options { uid: 0, gid: 0, linger_roots: Some(0), ..Options::default() };
    let Some(stage) = Stage::with(Flavour::Tools, options) else { return };
    let source = Arc::new(MemorySource::new());
    let program = fs::read("/bin/true").unwrap();
    source.shared_program(&path("bin/true"), program, 1_000);
    for file in 0..20u64 {
        source.shared_file(&path(&format!("include/{file}.h")), vec![file as u8; 70_000], file);
    }
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (stage, source) = (&stage, &source);
            scope.spawn(move || {
                for round in 0..150 {
                    let (root, at) = stage.root(thread * 1_000 + round + 1, source.clone());
                    for file in 0..20u64 {
                        let bytes = fs::read(at.join(format!("include/{file}.h"))).unwrap();
                        assert!(bytes.len() == 70_000 && bytes.iter().all(|byte| u64::from(*byte) == file));
                    }
                    if round % 5 == 0 {
                        assert!(std::process::Command::new(at.join("bin/true")).status().unwrap().success());
                    }
                    assert!(root.failures().is_empty());
                }
            });
        }
    });
}
