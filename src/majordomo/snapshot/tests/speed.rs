//! What scans and records cost.

use std::time::Instant;

use super::*;

/// Resident memory of this process, now and at its peak, in MiB.
fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let value = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    (value("VmRSS:"), value("VmHWM:"))
}

fn project_of(folders: usize, files: usize) -> Project {
    let project = Project::new(&[]);
    for folder in 0..folders {
        let base = project.at(&format!("src/module-{}/part-{folder}", folder % 10));
        fs::create_dir_all(&base).unwrap();
        for file in 0..files {
            fs::write(base.join(format!("some-source-file-{file}.c")), "x").unwrap();
        }
    }
    project
}

/// Prints what scanning 100 000 files costs.
#[test]
#[ignore = "a benchmark"]
fn scanning_100_000_files() {
    let project = project_of(1000, 100);
    let before = memory();
    for _ in 0..5 {
        let start = Instant::now();
        let snapshot = project.scan();
        let scanned = start.elapsed();
        let start = Instant::now();
        let files = snapshot.files();
        let listed = start.elapsed();
        let start = Instant::now();
        for file in &files {
            assert!(snapshot.get(file).is_some());
        }
        let found = start.elapsed();
        drop(files);
        println!(
            "scan {scanned:?}, files {listed:?}, 100 000 look-ups {found:?}, MiB {before:?} to {:?}",
            memory()
        );
    }
    let snapshot = project.scan();
    let start = Instant::now();
    let record = take(&project, &snapshot);
    println!("record {:?}", start.elapsed());
    for _ in 0..3 {
        let start = Instant::now();
        assert!(record.still_holds(project.dir.path()));
        println!("still holds {:?}", start.elapsed());
    }
    let start = Instant::now();
    record.save(&project.workspace).unwrap();
    println!("saved {:?}", start.elapsed());
    let start = Instant::now();
    StampRecord::load(&project.workspace).unwrap();
    println!("loaded {:?}, MiB {:?}", start.elapsed(), memory());
}

fn take(project: &Project, snapshot: &Snapshot) -> StampRecord {
    let mut host = Vec::new();
    let mut open = vec![std::path::PathBuf::from("/usr/include")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let at = entry.unwrap().path();
            if at.is_dir() && !at.is_symlink() {
                open.push(at);
            } else if host.len() < 500 {
                host.push(HostFile { stamp: Some(stamp(&at)), path: at.as_os_str().as_bytes().into() });
            }
        }
    }
    StampRecord::take(snapshot, &project.manifest, &host, Vec::new()).unwrap()
}

/// Prints what a build with nothing to do costs: 3000 files and 500 of the host's.
#[test]
#[ignore = "a benchmark"]
fn nothing_to_do_in_3000_files() {
    let project = project_of(30, 100);
    let snapshot = project.scan();
    let record = take(&project, &snapshot);
    record.save(&project.workspace).unwrap();
    for _ in 0..10 {
        let start = Instant::now();
        let record = StampRecord::load(&project.workspace).unwrap();
        let loaded = start.elapsed();
        assert!(record.still_holds(project.dir.path()));
        let held = start.elapsed() - loaded;
        let start = Instant::now();
        project.scan();
        println!("load {loaded:?}, still holds {held:?}; a scan {:?}", start.elapsed());
    }
}
