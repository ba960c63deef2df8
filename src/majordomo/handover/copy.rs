//! A blob's bytes into a new file: shared where the file system can (reflink), else copied inside the kernel, else by
//! hand. Never a link to the blob itself: the user may write to an output.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use larder::Content;
use rustix::fs::{copy_file_range, ioctl_ficlone};
use rustix::io::Errno;

/// Bytes that are copied at a time where the kernel does not do it.
const PIECE: usize = 256 << 10;

/// What is known of the two file systems by now.
#[derive(Debug, Default)]
pub struct Ways {
    no_reflink: AtomicBool,
    no_range: AtomicBool,
}

/// Writes all of a blob to a file that is empty; how many bytes that were.
pub fn copy(content: &Content, to: &mut File, ways: &Ways) -> io::Result<u64> {
    let (from, size) = match content {
        Content::Bytes(bytes) => {
            to.write_all(bytes)?;
            return Ok(bytes.len() as u64);
        }
        Content::File { file, size } => (file, *size),
    };
    if !ways.no_reflink.load(Ordering::Relaxed) {
        match ioctl_ficlone(&*to, &**from) {
            Ok(()) => return Ok(to.metadata()?.len()),
            Err(Errno::NOSPC | Errno::DQUOT) => return Err(Errno::NOSPC.into()),
            Err(_) => ways.no_reflink.store(true, Ordering::Relaxed),
        }
    }
    let mut done = 0;
    if !ways.no_range.load(Ordering::Relaxed) {
        done = copy_in_kernel(from, to, size, ways)?;
    }
    copy_by_hand(from, to, done)
}

fn copy_in_kernel(from: &File, to: &File, size: u64, ways: &Ways) -> io::Result<u64> {
    let mut at = 0;
    while at < size {
        let mut written_at = at;
        let want = usize::try_from(size - at).unwrap_or(usize::MAX).min(1 << 30);
        match copy_file_range(from, Some(&mut at), to, Some(&mut written_at), want) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::IO)) => return Err(errno.into()),
            Err(_) => {
                ways.no_range.store(true, Ordering::Relaxed);
                break;
            }
        }
    }
    Ok(at)
}

fn copy_by_hand(from: &File, to: &File, mut at: u64) -> io::Result<u64> {
    let mut piece = Vec::new();
    loop {
        if piece.is_empty() {
            // Most often there is nothing left, and one byte is enough to see that.
            piece.resize(if at == 0 { PIECE } else { 1 }, 0);
        }
        let read = match from.read_at(&mut piece, at) {
            Ok(0) => return Ok(at),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all_at(&piece[..read], at)?;
        at += read as u64;
        piece.resize(PIECE, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn every_way_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        for size in [0, 1, 4096, PIECE * 2 + 7] {
            let bytes: Vec<u8> = (0..size).map(|n| (n * 7 + n / 256) as u8).collect();
            std::fs::write(dir.path().join("from"), &bytes).unwrap();
            let file = Arc::new(File::open(dir.path().join("from")).unwrap());
            for (no_reflink, no_range) in [(false, false), (true, false), (true, true)] {
                let ways = Ways { no_reflink: no_reflink.into(), no_range: no_range.into() };
                let mut to = File::create(dir.path().join("to")).unwrap();
                let content = Content::File { file: file.clone(), size: size as u64 };
                assert_eq!(copy(&content, &mut to, &ways).unwrap(), size as u64);
                assert_eq!(std::fs::read(dir.path().join("to")).unwrap(), bytes);
            }
        }
    }
}
