//! The kernel's requests: each is answered from what the root knows, else from its source.
//!
//! One file, for all of them are methods of one trait of fuser's; a quarter of it refuses what would change something. What they share is in
//! [`answer`](super::answer), [`bodies`](super::bodies), [`readers`] and [`root`](super::root).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyStatfs,
    ReplyXattr, Request,
};
use protocol::step::INPUT_MTIME;
use protocol::{FileKind, Look, RelPath};

use super::answer::answer;
use super::bodies::{Served, empty, reply_read};
use super::numbers::Number;
use super::readers;
use super::root::{RootState, Standing};
use super::shared::{SharedFile, SharedNode};
use super::{Core, Flavour, Passthrough};
use crate::source::Listing;
use crate::{Body, SourceError};

/// How long the kernel may keep an answer: longer than any step lives. A root's answers never change.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The largest read that is asked for in one message.
const MAX_MESSAGE: u32 = 1024 * 1024;

/// How many reads ahead and releases may wait in the kernel for us at a time.
const MAX_BACKGROUND: u16 = 64;

/// The inode number in listings: "unknown" (`FUSE_UNKNOWN_INO`), because most names listed are never looked up.
const UNKNOWN_INO: INodeNo = INodeNo(0xffff_ffff);

/// The longest name that Linux's own file systems know.
const MAX_NAME: usize = 255;

/// The block size and the number of blocks that `statfs` shows, half of them free.
const STATFS: (u32, u64) = (4096, 1 << 28);

/// The file system that the session threads call.
pub struct Server {
    core: Arc<Core>,
}

impl Server {
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The root and index that a number means.
    fn path(&self, ino: INodeNo) -> Option<(Arc<RootState>, u32)> {
        match Number::of(ino) {
            Number::Path { serial, index } => self.core.root(serial).map(|root| (root, index)),
            Number::Mount | Number::Shared(_) => None,
        }
    }

    fn lookup_root(&self, name: &OsStr, reply: ReplyEntry) {
        // Only the plain form: a second name for a folder would be a second way to it in the kernel's caches.
        let number =
            name.to_str().and_then(|text| text.parse::<u64>().ok().filter(|n| n.to_string() == text));
        let root = number.and_then(|number| self.core.root_named(number));
        match root {
            Some(root) => {
                let ino = Number::Path { serial: root.serial, index: 0 }.ino();
                reply.entry(&FOREVER, &self.core.attr(ino, &Standing::Dir), Generation(0));
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn read_body(&self, ino: INodeNo, offset: u64, size: u32, reply: ReplyData) {
        if let Some(body) = self.core.bodies.get(ino.0) {
            return reply_read(&body, offset, size, reply);
        }
        let core = Arc::clone(&self.core);
        match Number::of(ino) {
            Number::Mount => reply.error(Errno::EISDIR),
            Number::Shared(number) => {
                let Some(SharedNode::File(file)) = core.shared.get(number) else {
                    return reply.error(Errno::ESTALE);
                };
                let SharedFile { source, path, shared, .. } = file;
                let ask = async move { source.open(&path).await };
                answer(&self.core.runtime, &self.core.never_closed, ask, move |body| match found(body) {
                    Ok(body) => core.keep_and_read(ino, body, offset, size, reply),
                    Err(error) => {
                        let roots: Vec<_> = core.roots.read().by_serial.values().cloned().collect();
                        roots.iter().for_each(|root| root.failed_shared(shared, &error));
                        reply.error(Errno::EIO);
                    }
                });
            }
            Number::Path { serial, index } => {
                let Some(root) = core.root(serial) else { return reply.error(Errno::ESTALE) };
                let Some(path) = root.path(index) else { return reply.error(Errno::ESTALE) };
                let (source, asked) = (Arc::clone(&root.source), path.clone());
                let ask = async move { source.open(&asked).await };
                let closed = Arc::clone(&root);
                answer(&self.core.runtime, &closed.closed, ask, move |body| match found(body) {
                    Ok(body) => core.keep_and_read(ino, body, offset, size, reply),
                    Err(error) => {
                        root.failed(path, error);
                        reply.error(Errno::EIO);
                    }
                });
            }
        }
    }
}

/// A file that was found before and has no body now has changed.
fn found(body: Result<Option<Body>, SourceError>) -> Result<Body, SourceError> {
    body.and_then(|body| body.ok_or(SourceError::Gone))
}

impl Core {
    fn keep_and_read(&self, ino: INodeNo, body: Body, offset: u64, size: u32, reply: ReplyData) {
        reply_read(&body, offset, size, reply);
        self.bodies.put(ino.0, body);
    }

    fn attr(&self, ino: INodeNo, standing: &Standing) -> FileAttr {
        let (kind, perm, size, mtime_offset) = match standing {
            Standing::Absent | Standing::Dir => (FileType::Directory, 0o755, 0, 0),
            Standing::File { exec, size, mtime_offset, .. } => {
                (FileType::RegularFile, if *exec { 0o755 } else { 0o644 }, *size, *mtime_offset)
            }
            Standing::Link(target) => (FileType::Symlink, 0o777, target.len() as u64, 0),
        };
        let seconds = INPUT_MTIME.unsigned_abs() + u64::from(mtime_offset);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        FileAttr {
            ino,
            size,
            blocks: size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm,
            nlink: 1,
            uid: self.options.uid,
            gid: self.options.gid,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    /// What a look-up counts as: all that the kernel may then do without asking.
    fn looks_of(&self, standing: &Standing) -> &'static [Look] {
        match (self.flavour, standing) {
            (Flavour::Tools, Standing::File { .. }) => &[Look::Content],
            (Flavour::Tools, Standing::Link(_)) => &[Look::Probe, Look::Link],
            _ => &[Look::Probe],
        }
    }

    /// Answers a look-up with what stands at a path of a root.
    fn enter(&self, root: &RootState, path: RelPath, index: u32, standing: Standing, reply: ReplyEntry) {
        let ino = match standing {
            Standing::Absent => {
                return reply.entry(&FOREVER, &self.attr(INodeNo(0), &standing), Generation(0));
            }
            Standing::File { exec, size, shared: Some(shared), .. } if self.flavour == Flavour::Tools => {
                let source = Arc::clone(&root.source);
                let file = SharedFile { source, path, exec, size, shared };
                Number::Shared(self.shared.looked_up(SharedNode::File(file)))
            }
            Standing::Link(ref target) if self.flavour == Flavour::Tools => {
                Number::Shared(self.shared.looked_up(SharedNode::Link { path, target: target.clone() }))
            }
            _ => Number::Path { serial: root.serial, index },
        };
        reply.entry(&FOREVER, &self.attr(ino.ino(), &standing), Generation(0));
    }

    /// How the first open of a file is served.
    fn serve_open(&self, body: Body, size: u64, reply: &ReplyOpen) -> Served {
        let Passthrough::FromSize(from) = self.options.passthrough else { return Served::Here(body) };
        let Body::File(file) = &body else { return Served::Here(body) };
        if size < from || !self.passthrough.load(Ordering::Relaxed) {
            return Served::Here(body);
        }
        match reply.open_backing(file) {
            Ok(backing) => Served::Passthrough(Arc::new(backing)),
            Err(error) => {
                if error.raw_os_error() == Some(libc::EPERM) {
                    self.passthrough.store(false, Ordering::Relaxed);
                }
                tracing::debug!(%error, "a file is not passed through");
                Served::Here(body)
            }
        }
    }

    fn opened(&self, root: &RootState, index: u32, size: u64, body: Body, reply: ReplyOpen) {
        match root.opens.open(index, || self.serve_open(body, size, &reply)) {
            Served::Passthrough(backing) => {
                root.looked(index, Look::Content);
                reply.opened_passthrough(FileHandle(0), FopenFlags::empty(), &backing);
            }
            Served::Here(_) => {
                reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH);
            }
        }
    }
}

fn reply_listing(root: &RootState, index: u32, listing: &Listing, offset: u64, mut reply: ReplyDirectory) {
    let dots = [(&b"."[..], FileKind::Dir), (b"..", FileKind::Dir)];
    let names = dots.into_iter().chain(listing.iter().map(|(name, kind)| (&name[..], *kind)));
    let mut last = 0;
    for (at, (name, kind)) in (1u64..).zip(names) {
        if at <= offset {
            continue;
        }
        let kind = match kind {
            FileKind::Dir => FileType::Directory,
            FileKind::File => FileType::RegularFile,
            FileKind::Link => FileType::Symlink,
        };
        if reply.add(UNKNOWN_INO, at, kind, OsStr::from_bytes(name)) {
            break;
        }
        last = at;
    }
    if last == 0 {
        root.end_listing(index);
    }
    reply.ok();
}

impl Filesystem for Server {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        let wanted = InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_CACHE_SYMLINKS
            | InitFlags::FUSE_EXPLICIT_INVAL_DATA
            | InitFlags::FUSE_NO_OPENDIR_SUPPORT
            | InitFlags::FUSE_NO_EXPORT_SUPPORT;
        for flag in wanted.iter() {
            if config.add_capabilities(flag).is_err() {
                tracing::debug!(?flag, "the kernel does not know a FUSE feature");
            }
        }
        if config.set_max_write(MAX_MESSAGE).is_err() || config.set_max_background(MAX_BACKGROUND).is_err() {
            tracing::debug!("the session keeps its own limits");
        }
        if self.core.flavour == Flavour::Tools {
            if config.add_capabilities(InitFlags::FUSE_NO_OPEN_SUPPORT).is_err() {
                tracing::debug!("the kernel asks for each open");
            }
        } else if self.core.options.passthrough != Passthrough::Never
            && config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok()
        {
            // 1 and no more, so that overlayfs can be stacked on the view.
            let allowed = config.set_max_stack_depth(1).is_ok();
            self.core.passthrough.store(allowed, Ordering::Relaxed);
        }
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if Number::of(parent) == Number::Mount {
            return self.lookup_root(name, reply);
        }
        if name.len() > MAX_NAME {
            return reply.error(Errno::ENAMETOOLONG);
        }
        let Some((root, index)) = self.path(parent) else { return reply.error(Errno::ENOENT) };
        let path = root.path(index).and_then(|parent| parent.child(name.as_bytes()));
        let Some(path) = path else { return reply.error(Errno::ENOENT) };
        if let Some((index, standing)) = root.known(&path) {
            return self.core.enter(&root, path, index, standing, reply);
        }
        let (source, asked) = (Arc::clone(&root.source), path.clone());
        let ask = async move { source.lookup(&asked).await };
        let (core, closed) = (Arc::clone(&self.core), Arc::clone(&root));
        answer(&self.core.runtime, &closed.closed, ask, move |node| match node {
            Ok(node) => {
                let standing = Standing::from(node);
                let looks = core.looks_of(&standing);
                match root.found(path.clone(), standing, looks) {
                    Some((index, standing)) => core.enter(&root, path, index, standing, reply),
                    None => reply.error(Errno::ENFILE),
                }
            }
            Err(SourceError::Denied { .. }) => {
                // Whatever it makes of that holds as long as the folder shows nothing.
                root.looked(index, Look::Listing);
                reply.error(Errno::EACCES);
            }
            Err(error) => {
                root.failed(path, error);
                reply.error(Errno::EIO);
            }
        });
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        if let Number::Shared(number) = Number::of(ino)
            && self.core.shared.forget(number, nlookup)
        {
            self.core.bodies.remove(ino.0);
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        let standing = match Number::of(ino) {
            Number::Mount => Some(Standing::Dir),
            Number::Shared(number) => self.core.shared.get(number).map(|node| match node {
                SharedNode::File(SharedFile { exec, size, shared, .. }) => {
                    Standing::File { exec, size, shared: Some(shared), mtime_offset: 0 }
                }
                SharedNode::Link { target, .. } => Standing::Link(target),
            }),
            Number::Path { .. } => self.path(ino).and_then(|(root, index)| root.standing(index)),
        };
        match standing {
            Some(standing) => reply.attr(&FOREVER, &self.core.attr(ino, &standing)),
            None => reply.error(Errno::ESTALE),
        }
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        if let Number::Shared(number) = Number::of(ino) {
            return match self.core.shared.get(number) {
                Some(SharedNode::Link { target, .. }) => reply.data(&target),
                _ => reply.error(Errno::EINVAL),
            };
        }
        let Some((root, index)) = self.path(ino) else { return reply.error(Errno::ESTALE) };
        match root.standing(index) {
            Some(Standing::Link(target)) => {
                root.looked(index, Look::Link);
                reply.data(&target);
            }
            _ => reply.error(Errno::EINVAL),
        }
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        if self.core.flavour == Flavour::Tools {
            // The kernel never asks again: opens cost nothing from now on.
            return reply.error(Errno::ENOSYS);
        }
        if flags.0 & libc::O_ACCMODE != libc::O_RDONLY {
            return reply.error(Errno::EROFS);
        }
        let Some((root, index)) = self.path(ino) else { return reply.error(Errno::ESTALE) };
        let Some(Standing::File { size, .. }) = root.standing(index) else {
            return reply.error(Errno::EISDIR);
        };
        let Some(path) = root.path(index) else { return reply.error(Errno::ESTALE) };
        if size == 0 {
            // No read would ever come for it.
            root.looked(index, Look::Content);
        }
        let (source, asked) = (Arc::clone(&root.source), path.clone());
        let processes = self.core.options.processes.clone();
        let noted = root.notes_readers().then(|| (Arc::clone(&root), processes, req.pid()));
        let ask = async move {
            if let Some((root, processes, pid)) = noted {
                root.read_by(index, readers::reader(processes, pid).await);
            }
            match size {
                0 => Ok(Some(empty())),
                _ => source.open(&asked).await,
            }
        };
        let (core, closed) = (Arc::clone(&self.core), Arc::clone(&root));
        answer(&self.core.runtime, &closed.closed, ask, move |body| match found(body) {
            Ok(body) => core.opened(&root, index, size, body, reply),
            Err(error) => {
                root.failed(path, error);
                reply.error(Errno::EIO);
            }
        });
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
        if self.core.flavour == Flavour::Tools {
            return self.read_body(ino, offset, size, reply);
        }
        let Some((root, index)) = self.path(ino) else { return reply.error(Errno::ESTALE) };
        match root.opens.body(index) {
            Some(body) => {
                root.looked(index, Look::Content);
                reply_read(&body, offset, size, reply);
            }
            None => reply.error(Errno::ESTALE),
        }
    }

    fn release(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        if let Some((root, index)) = self.path(ino) {
            root.opens.release(index);
        }
        reply.ok();
    }

    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if self.core.flavour == Flavour::Tools {
            // The kernel never asks again, and keeps listings: only the first reading of one is seen, which is enough.
            return reply.error(Errno::ENOSYS);
        }
        // So it is here, unless it matters who lists.
        let is_noted = self.path(ino).is_some_and(|(root, _)| root.notes_readers());
        let kept = FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE;
        reply.opened(FileHandle(0), if is_noted { FopenFlags::empty() } else { kept });
    }

    fn releasedir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn readdir(&self, req: &Request, ino: INodeNo, _fh: FileHandle, offset: u64, reply: ReplyDirectory) {
        if Number::of(ino) == Number::Mount {
            // The mount itself lists no roots: nobody but the kitchen looks here.
            return reply.ok();
        }
        let Some((root, index)) = self.path(ino) else { return reply.error(Errno::ESTALE) };
        root.looked(index, Look::Listing);
        let processes = self.core.options.processes.clone();
        let is_noted = offset == 0 && root.notes_readers();
        let noted = is_noted.then(|| (Arc::clone(&root), processes, req.pid()));
        if noted.is_none()
            && let Some(listing) = root.listing(index)
        {
            return reply_listing(&root, index, &listing, offset, reply);
        }
        let Some(path) = root.path(index) else { return reply.error(Errno::ESTALE) };
        let (source, asked) = (Arc::clone(&root.source), path.clone());
        let ask = async move {
            if let Some((root, processes, pid)) = noted {
                root.read_by(index, readers::reader(processes, pid).await);
            }
            source.list(&asked).await
        };
        let closed = Arc::clone(&root);
        answer(&self.core.runtime, &closed.closed, ask, move |listing| match listing {
            Ok(Some(mut names)) => {
                names.sort_unstable();
                let listing = root.begin_listing(index, names);
                reply_listing(&root, index, &listing, offset, reply);
            }
            Ok(None) => {
                root.failed(path.clone(), SourceError::Changed { path });
                reply.error(Errno::EIO);
            }
            Err(SourceError::Denied { .. }) => reply.error(Errno::EACCES),
            Err(error) => {
                root.failed(path, error);
                reply.error(Errno::EIO);
            }
        });
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let (block, blocks) = STATFS;
        reply.statfs(blocks, blocks / 2, blocks / 2, blocks, blocks / 2, block, MAX_NAME as u32, block);
    }

    // The kernel asks each of these once, hears that it is not there, and does without.

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn listxattr(&self, _: &Request, _: INodeNo, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn setxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: &[u8], _: i32, _: u32, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn removexattr(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn lseek(&self, _: &Request, _: INodeNo, _: FileHandle, _: i64, _: i32, reply: ReplyLseek) {
        reply.error(Errno::ENOSYS);
    }

    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOSYS);
    }

    // Nothing can be written, should the mount not be read-only.

    fn create(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        reply.error(Errno::EROFS);
    }

    fn mknod(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, _: u32, _: u32, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn mkdir(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn symlink(&self, _: &Request, _: INodeNo, _: &OsStr, _: &Path, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn unlink(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn rmdir(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn rename(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: INodeNo,
        _: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EROFS);
    }

    fn setattr(
        &self,
        _: &Request,
        _: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u64>,
        _: Option<fuser::TimeOrNow>,
        _: Option<fuser::TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        reply.error(Errno::EROFS);
    }
}
