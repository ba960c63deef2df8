//! Figures, not tests: what a look-up costs. `cargo test --release -- --ignored --nocapture figures`

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::Digest;
use view::{Flavour, HostOptions, HostTools, MemorySource, NoMemo, Options};

use crate::stage::{Stage, path};

const LOOK_UPS: usize = 20_000;

fn cpu(of: rustix::process::Pid) -> Duration {
    // Fields 14 and 15 would be in ticks; the scheduler's own figure is in nanoseconds.
    let text = fs::read_to_string(format!("/proc/self/task/{}/schedstat", of.as_raw_nonzero())).unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

fn cpu_of_sessions() -> Duration {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| task.unwrap())
        .filter(|task| fs::read_to_string(task.path().join("comm")).unwrap().starts_with("fuser-"))
        .map(|task| {
            cpu(rustix::process::Pid::from_raw(task.file_name().to_str().unwrap().parse().unwrap()).unwrap())
        })
        .sum()
}

fn measured(what: &str, count: usize, work: impl FnOnce()) {
    let (sessions, begun) = (cpu_of_sessions(), Instant::now());
    work();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    println!(
        "{what}: {:.2} us CPU, {:.2} us wall each",
        each(cpu_of_sessions() - sessions),
        each(begun.elapsed())
    );
}

#[test]
#[ignore = "a measurement"]
fn figures_of_look_ups() {
    for threads in [1, 2] {
        let options = Options { uid: 0, gid: 0, threads, ..Options::default() };
        let Some(stage) = Stage::with(Flavour::Tools, options) else { return };
        let source = Arc::new(MemorySource::new());
        for file in 0..LOOK_UPS {
            source.shared_file(&path(&format!("usr/include/header-{file}")), "x", file as u64);
        }
        for name in 1..=3 {
            let (_root, at) = stage.root(name, source.clone());
            measured(&format!("{threads} threads, absent"), LOOK_UPS, || {
                for file in 0..LOOK_UPS {
                    assert!(fs::symlink_metadata(at.join(format!("usr/include/absent-{file}"))).is_err());
                }
            });
            measured(&format!("{threads} threads, shared file"), LOOK_UPS, || {
                for file in 0..LOOK_UPS {
                    fs::symlink_metadata(at.join(format!("usr/include/header-{file}"))).unwrap();
                }
            });
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn figures_of_host_look_ups() {
    let Some(stage) = Stage::new(Flavour::Tools) else { return };
    let names: Vec<_> = fs::read_dir("/usr/bin").unwrap().map(|entry| entry.unwrap().file_name()).collect();
    for name in 1..=2 {
        let tools = Arc::new(HostTools::new(HostOptions::default(), Arc::new(NoMemo)).unwrap());
        for pass in ["asking the host", "known"] {
            let (_root, at) = stage.root(name * 10 + pass.len() as u64, tools.clone());
            let bin = at.join("usr/bin");
            measured(&format!("host, {pass}"), names.len(), || {
                for name in &names {
                    assert!(fs::symlink_metadata(bin.join(name)).is_ok() || name.is_empty());
                }
            });
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn figures_of_a_compile() {
    let Some(stage) = Stage::new(Flavour::Tools) else { return };
    if !Path::new("/usr/bin/gcc").exists() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.c"), "#include <stdio.h>\nint main(void) { puts(\"hi\"); return 0; }\n")
        .unwrap();
    let tools = Arc::new(HostTools::new(HostOptions::default(), Arc::new(NoMemo)).unwrap());
    let compile = |root: &Path| {
        let script = "cd /tmp && exec gcc -c a.c -o a.o";
        let status = Command::new("chroot").arg(root).args(["/bin/sh", "-c", script]).status().unwrap();
        assert!(status.success());
    };
    let bind = |at: &Path| {
        let flags = rustix::mount::MountFlags::BIND;
        rustix::mount::mount(dir.path(), at, "", flags, None).unwrap();
    };
    bind(Path::new("/tmp"));
    const RUNS: usize = 100;
    let begun = Instant::now();
    (0..RUNS).for_each(|_| compile(Path::new("/")));
    println!("plain: {:.2} ms", begun.elapsed().as_secs_f64() * 1e3 / RUNS as f64);
    let mut looks = 0;
    for round in 0..2 {
        let sessions = cpu_of_sessions();
        let begun = Instant::now();
        for run in 0..RUNS {
            let (root, _) = stage.root((round * RUNS + run + 1) as u64, tools.clone());
            let at = stage.mounted().join(root.name().to_string());
            bind(&at.join("tmp"));
            compile(&at);
            looks = root.observed().len();
            rustix::mount::unmount(at.join("tmp"), rustix::mount::UnmountFlags::DETACH).unwrap();
        }
        println!(
            "in a root: {:.2} ms, {:.2} ms CPU of the sessions, {looks} observations",
            begun.elapsed().as_secs_f64() * 1e3 / RUNS as f64,
            (cpu_of_sessions() - sessions).as_secs_f64() * 1e3 / RUNS as f64
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn figures_of_large_reads() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let bytes = vec![1; 256 << 20];
    let kept = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
    fs::write(kept.path(), &bytes).unwrap();
    let source = Arc::new(MemorySource::new());
    let file = Arc::new(fs::File::open(kept.path()).unwrap());
    source.real_file(&path("big"), file, bytes.len() as u64, Digest::of(b"not asked"));
    let (_root, at) = stage.root(1, source);
    let mut buffer = vec![0; 1 << 20];
    for file in [kept.path(), &at.join("big"), kept.path(), &at.join("big")] {
        let begun = Instant::now();
        let mut file = fs::File::open(file).unwrap();
        while std::io::Read::read(&mut file, &mut buffer).unwrap() > 0 {}
        println!("{:.2} GB/s", bytes.len() as f64 / begun.elapsed().as_secs_f64() / 1e9);
    }
}
