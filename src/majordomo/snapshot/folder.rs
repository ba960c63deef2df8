//! Reading one folder: names, then what `stat` says of each.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use protocol::FileKind;
use rustix::fs::{AtFlags, RawDir, SeekFrom, Stat, fstat, readlinkat, seek, statat};
use rustix::io::Errno;

use crate::majordomo::workspace::beneath::is_denied;
use crate::majordomo::workspace::standing::{Kind, is_exec, kind_of};
use crate::majordomo::workspace::{Stamp, stamp_of};

/// How often a folder is read again in which names come and go meanwhile. What is read last is taken: the folder's own
/// stamp, taken before, shows later that it was not the last word.
const ATTEMPTS: u32 = 3;

/// Bytes of directory entries that are read at a time.
const ENTRIES_SIZE: usize = 64 << 10;

/// A thing in a folder. Names and link targets are pieces of [`Folder::bytes`].
#[derive(Debug)]
pub struct Found {
    pub name: Piece,
    pub kind: FileKind,
    pub exec: bool,
    /// Of a file: whether it has other names.
    pub is_linked: bool,
    pub stamp: Stamp,
    /// Of a link.
    pub target: Piece,
    /// Of a folder: its number in the walk.
    pub child: u32,
}

/// In place of a folder's number: it is the one that was there before.
pub const KEPT: u32 = u32::MAX;

/// A piece of a folder's bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Piece {
    pub at: u32,
    pub len: u32,
}

/// What was in a folder, sorted by name.
#[derive(Debug)]
pub struct Folder {
    pub number: u32,
    /// Taken before anything else was looked at.
    pub stamp: Stamp,
    pub bytes: Vec<u8>,
    pub found: Vec<Found>,
    /// Sockets, FIFOs and devices.
    pub special: Vec<Box<[u8]>>,
    /// It may not be looked into: nothing is known of what is in it.
    pub is_closed: bool,
}

impl Folder {
    /// One with nothing in it, of which no stamp is known.
    pub fn empty() -> Self {
        let stamp = Stamp { dev: 0, ino: 0, size: 0, mtime_ns: i64::MAX, ctime_ns: i64::MAX };
        Self::new(0, stamp)
    }

    /// One that may not be looked into.
    pub fn closed(number: u32, stamp: Stamp) -> Self {
        Self { is_closed: true, ..Self::new(number, stamp) }
    }

    fn new(number: u32, stamp: Stamp) -> Self {
        Self { number, stamp, bytes: Vec::new(), found: Vec::new(), special: Vec::new(), is_closed: false }
    }

    pub fn bytes(&self, piece: Piece) -> &[u8] {
        &self.bytes[piece.at as usize..][..piece.len as usize]
    }
}

/// Whether a name is never part of a project: git's, ours, or those of a project inside this one.
pub fn is_hidden(name: &[u8]) -> bool {
    protocol::path::reserved(name).is_some()
}

/// Memory that is used for one folder after the other.
pub struct Scratch {
    entries: Vec<MaybeUninit<u8>>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { entries: vec![MaybeUninit::uninit(); ENTRIES_SIZE] }
    }
}

/// Reads an open folder; a *closed* one, if its names can be listed, and nothing be said of what they are.
pub fn read(fd: BorrowedFd<'_>, number: u32, scratch: &mut Scratch) -> io::Result<Folder> {
    let mut attempt = 1;
    loop {
        let stamp = stamp_of(&fstat(fd)?);
        let mut folder = Folder::new(number, stamp);
        let names = names(fd, &mut folder.bytes, scratch)?;
        let all_there = match look_at(fd, &names, &mut folder) {
            Err(error) if is_denied(&error) => return Ok(Folder::closed(number, stamp)),
            looked => looked?,
        };
        if attempt == ATTEMPTS || (all_there && stamp_of(&fstat(fd)?) == stamp) {
            return Ok(folder);
        }
        attempt += 1;
        seek(fd, SeekFrom::Start(0))?;
    }
}

/// What `stat` says of a name.
// The field's type differs between architectures.
#[allow(clippy::unnecessary_cast)]
pub fn found(kind: FileKind, stat: &Stat) -> Found {
    let is_file = kind == FileKind::File;
    Found {
        name: Piece::default(),
        kind,
        exec: is_file && is_exec(stat),
        is_linked: is_file && stat.st_nlink as u64 > 1,
        stamp: stamp_of(stat),
        target: Piece::default(),
        child: 0,
    }
}

/// All names in a folder but hidden ones, sorted; the pieces are of `bytes`, each followed by a NUL.
pub fn names(fd: BorrowedFd<'_>, bytes: &mut Vec<u8>, scratch: &mut Scratch) -> io::Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut entries = RawDir::new(fd, &mut scratch.entries);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." || is_hidden(name) {
            continue;
        }
        pieces.push(piece(bytes, name)?);
        bytes.push(0);
    }
    let of = |piece: &Piece| &bytes[piece.at as usize..][..piece.len as usize];
    pieces.sort_unstable_by(|a, b| of(a).cmp(of(b)));
    Ok(pieces)
}

fn piece(bytes: &mut Vec<u8>, more: &[u8]) -> io::Result<Piece> {
    let too_many = |_| io::Error::from(io::ErrorKind::FileTooLarge);
    let piece = Piece {
        at: bytes.len().try_into().map_err(too_many)?,
        len: more.len().try_into().map_err(too_many)?,
    };
    bytes.extend_from_slice(more);
    Ok(piece)
}

/// Stats each name; whether all were still there.
fn look_at(fd: BorrowedFd<'_>, names: &[Piece], folder: &mut Folder) -> io::Result<bool> {
    folder.found.reserve(names.len());
    let mut all_there = true;
    for &name in names {
        let text = &folder.bytes[name.at as usize..][..=name.len as usize];
        let text = std::ffi::CStr::from_bytes_with_nul(text).map_err(io::Error::other)?;
        let stat = match statat(fd.as_fd(), text, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => {
                all_there = false;
                continue;
            }
            Err(errno) => return Err(errno.into()),
        };
        let kind = match kind_of(&stat) {
            Kind::Known(kind) => kind,
            Kind::Special => {
                folder.special.push(text.to_bytes().into());
                continue;
            }
        };
        let mut target = Piece::default();
        if kind == FileKind::Link {
            match readlinkat(fd, text, Vec::new()) {
                Ok(found) => target = piece(&mut folder.bytes, found.to_bytes())?,
                Err(Errno::NOENT | Errno::INVAL) => {
                    all_there = false;
                    continue;
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        folder.found.push(Found { name, target, ..found(kind, &stat) });
    }
    Ok(all_there)
}
