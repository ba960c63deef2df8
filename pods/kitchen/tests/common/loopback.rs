//! A small read-only FUSE server for tests: every name in its root is the same tree, a folder of this machine.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry, ReplyOpen, Request, Session, SessionACL,
};

/// Folders that are there whether or not the machine has them.
const SYNTHETIC: [&str; 9] = ["project", "tmp", "var", "var/tmp", "home", "home/build", "dev", "proc", "etc"];

pub struct Loopback {
    base: PathBuf,
    /// With synthetic folders, and of the rest only what tools are made of.
    tools: bool,
    owner: (u32, u32),
    inodes: Mutex<(Vec<PathBuf>, HashMap<PathBuf, u64>)>,
}

impl Loopback {
    /// Serves until the mount is gone.
    pub fn serve(fd: OwnedFd, base: &Path, tools: bool, owner: (u32, u32)) {
        let inodes = Mutex::new((vec![PathBuf::new(); 2], HashMap::new()));
        let loopback = Loopback { base: base.to_owned(), tools, owner, inodes };
        std::thread::spawn(move || {
            let session = Session::from_fd(loopback, fd, SessionACL::All, Config::default()).unwrap();
            session.spawn().unwrap().join()
        });
    }

    fn path(&self, ino: INodeNo) -> PathBuf {
        self.inodes.lock().unwrap().0[u64::from(ino) as usize].clone()
    }

    /// The path below the name of the root; none for the root of all.
    fn inner(path: &Path) -> Option<&Path> {
        let mut parts = path.components();
        parts.next().map(|_| parts.as_path())
    }

    fn attr(&self, path: &Path, ino: u64) -> Option<FileAttr> {
        let dir = |ino| self.attr_of(ino, FileType::Directory, 0o755, 0);
        let Some(inner) = Self::inner(path) else { return Some(dir(ino)) };
        if inner.as_os_str().is_empty() {
            return Some(dir(ino));
        }
        if self.tools {
            if SYNTHETIC.iter().any(|known| Path::new(known) == inner) {
                return Some(dir(ino));
            }
            let first = inner.components().next()?.as_os_str().as_bytes().to_vec();
            if first != b"usr" && first != b"bin" && !first.starts_with(b"lib") {
                return None;
            }
        }
        let meta = fs::symlink_metadata(self.base.join(inner)).ok()?;
        let kind = match meta.file_type() {
            kind if kind.is_dir() => FileType::Directory,
            kind if kind.is_symlink() => FileType::Symlink,
            _ => FileType::RegularFile,
        };
        let perm = if kind == FileType::Directory || meta.mode() & 0o111 != 0 { 0o755 } else { 0o644 };
        Some(self.attr_of(ino, kind, perm, meta.len()))
    }

    fn attr_of(&self, ino: u64, kind: FileType, perm: u16, size: u64) -> FileAttr {
        let time = UNIX_EPOCH + Duration::from_secs(946_684_800);
        let (uid, gid) = self.owner;
        let blocks = size.div_ceil(512);
        FileAttr {
            ino: INodeNo(ino),
            size,
            blocks,
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm,
            nlink: 1,
            uid,
            gid,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

const TTL: Duration = Duration::from_secs(3600);

impl Filesystem for Loopback {
    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let path = self.path(parent).join(name);
        let ino = {
            let mut inodes = self.inodes.lock().unwrap();
            let (paths, numbers) = &mut *inodes;
            *numbers.entry(path.clone()).or_insert_with(|| {
                paths.push(path.clone());
                paths.len() as u64 - 1
            })
        };
        match self.attr(&path, ino) {
            Some(attr) => reply.entry(&TTL, &attr, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.attr(&self.path(ino), ino.into()) {
            Some(attr) => reply.attr(&TTL, &attr),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        let path = self.path(ino);
        match fs::read_link(self.base.join(Self::inner(&path).unwrap())) {
            Ok(target) => reply.data(target.as_os_str().as_bytes()),
            Err(error) => reply.error(error.into()),
        }
    }

    fn open(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let path = self.path(ino);
        let mut buffer = vec![0; size as usize];
        let file = fs::File::open(self.base.join(Self::inner(&path).unwrap()));
        match file.and_then(|file| file.read_at(&mut buffer, offset)) {
            Ok(len) => reply.data(&buffer[..len]),
            Err(error) => reply.error(error.into()),
        }
    }

    fn readdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let path = self.path(ino);
        let folder = self.base.join(Self::inner(&path).unwrap());
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        for (at, entry) in names.enumerate().skip(offset as usize) {
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_dir() => FileType::Directory,
                Ok(kind) if kind.is_symlink() => FileType::Symlink,
                _ => FileType::RegularFile,
            };
            if reply.add(INodeNo(u64::MAX), at as u64 + 1, kind, entry.file_name()) {
                break;
            }
        }
        reply.ok();
    }
}
