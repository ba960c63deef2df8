//! What a hand-over costs, beside `cp -r`.

use std::process::Command;
use std::time::Instant;

use super::*;

/// Prints what restoring 1000 outputs costs.
#[test]
#[ignore = "a benchmark"]
fn restoring_1000_outputs() {
    let bench = Bench::new();
    let files: Vec<(String, String)> =
        (0..1000).map(|n| (format!("obj/d{}/f{n}.o", n % 20), format!("{n} ").repeat(800))).collect();
    let wanted: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let delivery = bench.delivery(&wanted, &[]);
    let lock = bench.workspace.try_lock().unwrap().unwrap();
    let mut manifest = bench.manifest();
    hand_over(&bench.workspace, &lock, &mut manifest, &bench.shelf, &delivery).unwrap();
    let saved = bench.workspace.folder().join("saved");
    let copy = |from: &Path, to: &Path| {
        assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
    };
    copy(&bench.at("obj"), &saved);
    for _ in 0..7 {
        // Both where files were removed a moment ago: ext4 looks at each such inode before it takes another.
        fs::remove_dir_all(bench.at("obj")).unwrap();
        let start = Instant::now();
        copy(&saved, &bench.at("obj"));
        let copied = start.elapsed();
        fs::remove_dir_all(bench.at("obj")).unwrap();
        let start = Instant::now();
        hand_over(&bench.workspace, &lock, &mut manifest, &bench.shelf, &delivery).unwrap();
        let restored = start.elapsed();
        let start = Instant::now();
        let report = hand_over(&bench.workspace, &lock, &mut manifest, &bench.shelf, &delivery).unwrap();
        let nothing = start.elapsed();
        assert_eq!(report.untouched, 1000);
        println!(
            "cp -r {copied:?}, restored {restored:?} ({:.2}), nothing to do {nothing:?}",
            restored.as_secs_f64() / copied.as_secs_f64()
        );
    }
}
