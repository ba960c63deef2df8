//! Taking a tree of 50 000 files into a larder, against `cp -r` of it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use larder::{Larder, Options};
use protocol::Stamp;

use crate::measure::{Cost, run};
use crate::row::{Goal, Row};

const FILES: usize = 50_000;

/// Most files are small, most bytes are in big ones: 1.4 GB in all, none like another.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = vec![0u8; 4 << 20];
    for chunk in bytes.chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes());
    }
    let mut files = Vec::with_capacity(FILES);
    for number in 0..FILES {
        let parent = folder.join(format!("d{}", number / 250));
        if number % 250 == 0 {
            fs::create_dir_all(&parent).expect("folders are made");
        }
        let size = match number % 500 {
            0 => 4 << 20,
            n if n < 30 => 110 << 10,
            n => 512 + n * 33,
        };
        let path = parent.join(format!("f{number}"));
        let mut file = File::create(&path).expect("files are written");
        file.write_all(&number.to_le_bytes()).expect("files are written");
        file.write_all(&bytes[..size - 8]).expect("files are written");
        files.push(path);
    }
    files
}

fn own_cpu() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is a valid place for one rusage, and zeroes are one.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Takes every file in that the larder does not know by its stamp, on two threads.
fn import(larder: &Larder, files: &[PathBuf]) -> Cost {
    let (begun, cpu) = (Instant::now(), own_cpu());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let stamp = Stamp::from(&fs::symlink_metadata(path).expect("it is there"));
                    if larder.known_digest(&stamp).expect("the larder answers").is_some() {
                        continue;
                    }
                    let file = File::open(path).expect("it can be read");
                    let (digest, _) = larder.put_file(&file).expect("it is taken in");
                    larder.remember_digest(&stamp, &digest).expect("it is remembered");
                }
            });
        }
    });
    larder.flush().expect("it is written");
    Cost { wall: begun.elapsed().as_secs_f64(), cpu: own_cpu() - cpu }
}

/// Both rows.
pub fn rows(scratch: &Path, runs: usize) -> Vec<Row> {
    let source = scratch.join("tree");
    let files = tree(&source);
    let copy = |run_: usize| {
        let to = scratch.join(format!("copy{run_}"));
        let cost = run(Command::new("cp").arg("-r").arg(&source).arg(&to));
        fs::remove_dir_all(&to).expect("the copy goes");
        cost
    };
    let open = |number: usize| {
        Larder::open(&scratch.join(format!("larder{number}")), Options::default()).expect("it opens")
    };
    let goal = |wall| Goal { wall, cpu: None };
    let first = Row::measure("import of 50 000 files, 1.4 GB", "`cp -r`", goal(1.2), runs, copy, |number| {
        import(&open(number), &files)
    });
    let again = Row::measure("the same again, unchanged", "`cp -r`", goal(0.1), runs, copy, |number| {
        let begun = Instant::now();
        let larder = open(number);
        let opened = begun.elapsed().as_secs_f64();
        let cost = import(&larder, &files);
        Cost { wall: cost.wall + opened, ..cost }
    });
    vec![first, again]
}
