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
    let text = fs::read_to_string(format!("/proc/self/task/{}/schedstat", of.as_raw_nonzero()));
    let nanos = text.ok().and_then(|text| text.split_whitespace().next().map(|nanos| nanos.parse().unwrap()));
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn cpu_of_sessions() -> Duration {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| task.unwrap())
        .filter(|task| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("fuser-"))
        })
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

/// Says "absent" to everything: what fuser and the kernel cost without us.
struct Nothing;

impl fuser::Filesystem for Nothing {
    fn lookup(&self, _: &fuser::Request, _: fuser::INodeNo, _: &std::ffi::OsStr, reply: fuser::ReplyEntry) {
        reply.error(fuser::Errno::ENOENT);
    }

    fn getattr(
        &self,
        _: &fuser::Request,
        _: fuser::INodeNo,
        _: Option<fuser::FileHandle>,
        reply: fuser::ReplyAttr,
    ) {
        reply.error(fuser::Errno::EIO);
    }
}

#[test]
#[ignore = "a measurement"]
fn figures_of_the_floor() {
    if !crate::stage::can_mount() {
        return;
    }
    crate::stage::private_mounts();
    for (threads, clone_fd) in [(1, false), (2, false), (2, true)] {
        let at = tempfile::tempdir().unwrap();
        let device = crate::stage::mount_fuse(at.path());
        let mut config = fuser::Config::default();
        config.n_threads = Some(threads);
        config.clone_fd = clone_fd;
        let session = fuser::Session::from_fd(Nothing, device, fuser::SessionACL::All, config).unwrap();
        let session = std::thread::spawn(move || session.run());
        let ask = |count| {
            for file in 0..count {
                assert!(fs::symlink_metadata(at.path().join(format!("absent-{file}"))).is_err());
            }
        };
        ask(10);
        for _ in 0..2 {
            measured(&format!("floor, {threads} threads, own fds {clone_fd}"), LOOK_UPS, || ask(LOOK_UPS));
        }
        rustix::mount::unmount(at.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
        session.join().unwrap().unwrap();
    }
}

#[test]
#[ignore = "a measurement"]
fn figures_of_host_look_ups() {
    let Some(stage) = Stage::new(Flavour::Tools) else { return };
    let names: Vec<_> = fs::read_dir("/usr/bin").unwrap().map(|entry| entry.unwrap().file_name()).collect();
    for generation in [10, 20] {
        let tools = Arc::new(HostTools::new(HostOptions::default(), Arc::new(NoMemo)).unwrap());
        for (pass, what) in (0..).zip(["asking the host", "known"]) {
            let (_root, at) = stage.root(generation + pass, tools.clone());
            let bin = at.join("usr/bin");
            measured(&format!("host, {what}"), names.len(), || {
                for name in &names {
                    assert!(fs::symlink_metadata(bin.join(name)).is_ok() || name.is_empty());
                }
            });
        }
    }
}

/// Compiles a small file in a root, two at a time, as a two-core pod does.
#[test]
#[ignore = "a measurement"]
fn figures_of_a_compile() {
    const RUNS: usize = 100;
    if !Path::new("/usr/bin/gcc").exists() || !crate::stage::can_mount() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.c"), "#include <stdio.h>\nint main(void) { puts(\"hi\"); return 0; }\n")
        .unwrap();
    let compile = |root: &Path, folder: &Path, run: usize| {
        let script = format!("cd {} && exec gcc -c a.c -o {run}.o", folder.display());
        Command::new("chroot").arg(root).args(["/bin/sh", "-c", &script]).output().unwrap()
    };
    let two_at_a_time = |what: &str, work: &(dyn Fn(usize) + Sync)| {
        let (sessions, begun) = (cpu_of_sessions(), Instant::now());
        std::thread::scope(|scope| {
            for half in 0..2 {
                scope.spawn(move || (0..RUNS).filter(|run| run % 2 == half).for_each(work));
            }
        });
        println!(
            "{what}: {:.2} ms each, of them {:.2} ms CPU of the sessions",
            begun.elapsed().as_secs_f64() * 1e3 / RUNS as f64,
            (cpu_of_sessions() - sessions).as_secs_f64() * 1e3 / RUNS as f64
        );
    };
    let tools = Arc::new(HostTools::new(HostOptions::default(), Arc::new(NoMemo)).unwrap());
    for threads in [1, 2, 1, 2] {
        let options = Options { uid: 0, gid: 0, threads, ..Options::default() };
        let Some(stage) = Stage::with(Flavour::Tools, options) else { return };
        two_at_a_time("plain", &|run| assert!(compile(Path::new("/"), dir.path(), run).status.success()));
        for round in 0..2 {
            two_at_a_time(&format!("in a root, {threads} threads"), &|run| {
                let (root, at) = stage.root((round * RUNS + run + 1) as u64, tools.clone());
                let tmp = at.join("tmp");
                let flags = rustix::mount::MountFlags::BIND;
                rustix::mount::mount(dir.path(), &tmp, "", flags, None).unwrap();
                let output = compile(&at, Path::new("/tmp"), run);
                assert!(output.status.success(), "{output:?} {:?}", root.failures());
                rustix::mount::unmount(&tmp, rustix::mount::UnmountFlags::DETACH).unwrap();
                if run == 0 {
                    println!("{} observations, {:?}", root.observed().len(), stage.mount.stats());
                }
            });
        }
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
