//! Measures a larder against `cp -r` of the same folder: `import FOLDER SCRATCH [ROUNDS]`.
//!
//! Each round copies FOLDER with `cp -r`, imports it into a fresh larder with one thread per core (walk, stat, look up
//! by stamp, put, remember), opens that larder again and imports once more (nothing changed), and gets objects at
//! random. The copy's time drifts with the disk: believe only runs in which it does not. Prints the ratios to `cp -r`, the peak of memory, and
//! microseconds of single calls.

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use larder::{Larder, ObjectKind, Options};
use protocol::{Digest, Stamp};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn import(larder: &Larder, folder: &Path) -> Outcome<(Vec<Digest>, Duration)> {
    let started = Instant::now();
    let mut files = Vec::new();
    walk(folder, &mut files)?;
    let walked = started.elapsed();
    let threads = std::thread::available_parallelism()?.get();
    let all = Mutex::new(Vec::with_capacity(files.len()));
    let parts: Vec<_> = files.chunks(files.len().div_ceil(threads * 16).max(1)).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || -> Outcome<()> {
        let mut digests = Vec::new();
        while let Some(part) = parts.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            for path in *part {
                let stamp = Stamp::from(&std::fs::symlink_metadata(path)?);
                digests.push(match larder.known_digest(&stamp)? {
                    Some(digest) => digest,
                    None => {
                        let (digest, _) = larder.put_file(&File::open(path)?)?;
                        larder.remember_digest(&stamp, &digest)?;
                        digest
                    }
                });
            }
        }
        if let Ok(mut all) = all.lock() {
            all.append(&mut digests);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker panicked")?)
    })?;
    Ok((all.into_inner().map_err(|_| "poisoned")?, walked))
}

fn peak_kib() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: ?").to_owned()
}

/// Both sides start with nothing to be written back; else the reference pays for what was done before it.
fn settle() -> Outcome<()> {
    Command::new("sync").status()?;
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, f64)> {
    let started = Instant::now();
    let value = work()?;
    Ok((value, started.elapsed().as_secs_f64()))
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, scratch, rest @ ..] = &arguments[..] else {
        return Err("import FOLDER SCRATCH [ROUNDS]".into());
    };
    let (folder, scratch) = (Path::new(folder), Path::new(scratch));
    let rounds: usize = rest.first().map_or(Ok(3), |rounds| rounds.parse())?;
    for round in 0..rounds {
        let (copy, home) = (scratch.join(format!("copy{round}")), scratch.join(format!("larder{round}")));
        settle()?;
        let (status, cp) = timed(|| Ok(Command::new("cp").arg("-r").args([folder, &copy]).status()?))?;
        if !status.success() {
            return Err("cp failed".into());
        }
        settle()?;
        let (larder, opened) = timed(|| Ok(Larder::open(&home, Options::default())?))?;
        let ((digests, walked), fresh) = timed(|| import(&larder, folder))?;
        let (_, flushed) = timed(|| Ok(larder.flush()?))?;
        let stats = larder.stats()?;
        let (_, closed) = timed(|| {
            drop(larder);
            Ok(())
        })?;
        let (larder, reopened) = timed(|| Ok(Larder::open(&home, Options::default())?))?;
        let (_, again) = timed(|| import(&larder, folder))?;
        let mut at = 0usize;
        let count = 20_000;
        let (bytes, got) = timed(|| {
            let mut bytes = 0;
            for _ in 0..count {
                at = (at + 7919) % digests.len();
                if larder.size_of(&digests[at])?.is_some_and(|size| size < 8 << 10) {
                    bytes += larder.get(ObjectKind::Blob, &digests[at])?.map_or(0, |bytes| bytes.len());
                }
            }
            Ok(bytes)
        })?;
        println!(
            "cp {cp:.2} s; {} files, {} objects, {:.2} GB, {} blobs, {} packs; import {fresh:.2} s = {:.2} x cp \
             (walk {:.3}, flush {flushed:.3}, close {closed:.3}); again {again:.3} s = {:.3} x cp; open {:.1} and \
             {:.1} ms; get of less than 8 KiB: {:.1} us ({} bytes each); {}",
            digests.len(),
            stats.objects,
            stats.bytes as f64 / 1e9,
            stats.blobs,
            stats.packs,
            (fresh + flushed) / cp,
            walked.as_secs_f64(),
            again / cp,
            opened * 1e3,
            reopened * 1e3,
            got / count as f64 * 1e6,
            bytes / count,
            peak_kib(),
        );
        drop(larder);
        std::fs::remove_dir_all(&copy)?;
        std::fs::remove_dir_all(&home)?;
    }
    Ok(())
}
