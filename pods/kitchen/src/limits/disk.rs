//! What a step has written to its upper folder, looked at from outside while it runs.
//!
//! The kernel holds a single file to the limit (`RLIMIT_FSIZE`); their sum is looked at again and again, at its end too. A file counts with its
//! length or with its blocks, whichever is more: a sparse one is read whole when it is judged.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time from a step's start to the first look, and between looks.
const EVERY: Duration = Duration::from_millis(200);
/// A look may take this part of the time.
const SHARE: u32 = 10;
/// Unit of `st_blocks`.
const BLOCK: u64 = 512;

/// Returns when more than `limit` bytes are below the folder; never without a limit. Cancel safe.
pub(crate) async fn exceeds(upper: PathBuf, limit: Option<u64>) {
    let Some(limit) = limit else { return std::future::pending().await };
    let mut wait = EVERY;
    loop {
        tokio::time::sleep(wait).await;
        let begun = Instant::now();
        if is_over(upper.clone(), limit).await {
            return;
        }
        wait = EVERY.max(begun.elapsed() * SHARE);
    }
}

/// Whether more than `limit` bytes are below the folder.
pub(crate) async fn is_over(upper: PathBuf, limit: u64) -> bool {
    let look = tokio::task::spawn_blocking(move || used(&upper, limit));
    // The task does not panic; if it is gone, so is the pod.
    look.await.is_ok_and(|used| used > limit)
}

/// Bytes below a folder, counted until they are more than `enough`. What vanishes meanwhile, or cannot be entered, is nothing.
pub(crate) fn used(folder: &Path, enough: u64) -> u64 {
    let mut folders = vec![folder.to_owned()];
    let mut used = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                folders.push(entry.path());
            } else {
                used += meta.size().max(meta.blocks() * BLOCK);
            }
        }
        if used > enough {
            break;
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_files_count_with_their_length() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        let file = fs::File::create(folder.path().join("deep/sparse")).unwrap();
        file.set_len(1 << 40).unwrap();
        fs::write(folder.path().join("small"), "x").unwrap();
        assert!(used(folder.path(), u64::MAX) > 1 << 40);
        assert_eq!(used(&folder.path().join("gone"), 0), 0);
    }
}
