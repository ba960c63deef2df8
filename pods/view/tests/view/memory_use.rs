//! A pod lives long: thousands of roots come and go, and nothing is left of them.

use std::fs;
use std::sync::Arc;

use view::{Flavour, MemorySource};

use crate::stage::{Stage, path};

const ROOTS: u64 = 2_000;
const FILES: usize = 20;

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn come_and_go(flavour: Flavour) {
    let Some(stage) = Stage::new(flavour) else { return };
    let source = Arc::new(MemorySource::new());
    for file in 0..FILES {
        source.shared_file(&path(&format!("usr/include/a-header-with-a-name-{file}")), "text", file as u64);
    }
    let mut early = 0;
    for name in 1..=ROOTS {
        let (_root, at) = stage.root(name, source.clone());
        for file in 0..FILES {
            fs::read(at.join(format!("usr/include/a-header-with-a-name-{file}"))).unwrap();
            assert!(fs::metadata(at.join(format!("usr/include/absent-{file}"))).is_err());
        }
        if name == ROOTS / 4 {
            early = resident_kib();
        }
    }
    let late = resident_kib();
    println!("{flavour:?}: {early} KiB after a quarter, {late} KiB after all, {:?}", stage.mount.stats());
    assert!(late < early + 3 * 1024, "{early} KiB grew to {late} KiB");
    assert_eq!(stage.mount.stats().roots, 0);
    assert!(stage.mount.stats().shared_files <= FILES);
    assert!(late < 60 * 1024, "the sessions' 16 MiB buffers are touched: {late} KiB");
}

#[test]
fn tools_roots_leave_nothing() {
    come_and_go(Flavour::Tools);
}

#[test]
fn project_roots_leave_nothing() {
    come_and_go(Flavour::Project);
}
