//! What stands at a path, held against what the manifest says was put there.
//!
//! An equal stamp is enough. Without one the bytes are compared, and a digest that agrees gives a new stamp, if that can
//! be believed already. The exec bit alone is no edit: it is put right at the next hand-over.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use protocol::{FileKind, RelPath};
use rustix::fs::{AtFlags, FileType, Stat, readlinkat, statat};
use rustix::io::Errno;

use super::manifest::{Made, Output};
use super::{Moment, Stamp, beneath, stamp_of};

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Absent,
    /// Nothing can: this part above it is no folder, and perhaps a link that leads elsewhere.
    Beyond(RelPath),
    /// What was handed over.
    Agrees {
        /// Its stamp now.
        stamp: Stamp,
        /// Whether that can be believed from now on.
        believed: bool,
        /// Whether its exec bit is as handed over, too.
        exec_agrees: bool,
    },
    /// What was handed over, cut short by a power cut: our inode with our times, but not all of the bytes.
    Torn(Stamp),
    /// Something else.
    Differs(Stamp, Kind),
}

/// What kind of thing stands where something else belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder, file or link.
    Known(FileKind),
    /// A socket, FIFO or device.
    Special,
}

/// What is at a path below `root`; `output` is what the manifest has of it. No link is followed.
pub fn stands(root: BorrowedFd<'_>, path: &RelPath, output: Option<&Output>) -> io::Result<Standing> {
    let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    match beneath::open_folder(root, &parent) {
        Ok(folder) => stands_in(folder.as_fd(), name, output),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Standing::Absent),
        Err(error) if beneath::is_absent(&error) => Ok(Standing::Beyond(first_non_folder(root, path)?)),
        Err(error) => Err(error),
    }
}

/// The topmost part above `path` that is there and no folder.
pub fn first_non_folder(root: BorrowedFd<'_>, path: &RelPath) -> io::Result<RelPath> {
    let mut above: Vec<RelPath> = path.ancestors().collect();
    while let Some(folder) = above.pop() {
        match beneath::open_folder(root, &folder) {
            Ok(_) => {}
            Err(error) if beneath::is_absent(&error) => return Ok(folder),
            Err(error) => return Err(error),
        }
    }
    Ok(path.clone())
}

/// As [`stands`], for a name in an open folder.
pub fn stands_in(folder: BorrowedFd<'_>, name: &[u8], output: Option<&Output>) -> io::Result<Standing> {
    let moment = Moment::now();
    let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(Standing::Absent),
        Err(errno) => return Err(errno.into()),
    };
    match output {
        Some(output) => compare(folder, name, &stat, moment, output),
        None => Ok(Standing::Differs(stamp_of(&stat), kind_of(&stat))),
    }
}

/// Holds what `stat`, called at or after `moment`, said of a name against what was put there.
pub fn compare(
    folder: BorrowedFd<'_>,
    name: &[u8],
    stat: &Stat,
    moment: Moment,
    output: &Output,
) -> io::Result<Standing> {
    let (kind, stamp) = (kind_of(stat), stamp_of(stat));
    let believed = moment.settles(&stamp);
    let exec_agrees = match &output.made {
        Made::File { exec, .. } => *exec == is_exec(stat),
        _ => true,
    };
    let agrees = match (&output.made, kind) {
        (Made::Folder, Kind::Known(FileKind::Dir)) => {
            return Ok(Standing::Agrees { stamp, believed: false, exec_agrees });
        }
        (Made::Link(_), Kind::Known(FileKind::Link)) | (Made::File { .. }, Kind::Known(FileKind::File))
            if output.stamp == Some(stamp) =>
        {
            return Ok(Standing::Agrees { stamp, believed: true, exec_agrees });
        }
        (Made::Link(target), Kind::Known(FileKind::Link)) => match readlinkat(folder, name, Vec::new()) {
            Ok(found) => found.to_bytes() == &**target,
            Err(Errno::NOENT | Errno::INVAL) => false,
            Err(errno) => return Err(errno.into()),
        },
        (Made::File { size, .. }, Kind::Known(FileKind::File)) if *size != stamp.size => {
            let torn = |old: Stamp| stamp.size < old.size && stamp == Stamp { size: stamp.size, ..old };
            if output.stamp.is_some_and(torn) {
                return Ok(Standing::Torn(stamp));
            }
            false
        }
        (Made::File { digest, .. }, Kind::Known(FileKind::File)) => {
            let Ok(part) = RelPath::new(name) else { return Err(io::ErrorKind::InvalidInput.into()) };
            let mut file = match beneath::open_file(folder, &part) {
                Ok(file) => file,
                Err(error) if beneath::is_absent(&error) => return Ok(Standing::Differs(stamp, kind)),
                Err(error) => return Err(error),
            };
            beneath::digest(&mut file)? == *digest && stamp_of(&rustix::fs::fstat(&file)?) == stamp
        }
        _ => false,
    };
    Ok(if agrees {
        Standing::Agrees { stamp, believed, exec_agrees }
    } else {
        Standing::Differs(stamp, kind)
    })
}

/// Whether anybody may execute it.
pub fn is_exec(stat: &Stat) -> bool {
    stat.st_mode & 0o111 != 0
}

/// The kind of what `stat` saw.
pub fn kind_of(stat: &Stat) -> Kind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Known(FileKind::Dir),
        FileType::RegularFile => Kind::Known(FileKind::File),
        FileType::Symlink => Kind::Known(FileKind::Link),
        _ => Kind::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Digest, StepId};
    use std::fs;

    fn output(text: &str, stamp: Option<Stamp>) -> Output {
        let made = Made::File { digest: Digest::of(text.as_bytes()), size: text.len() as u64, exec: false };
        Output { made, stamp, step: StepId::new("s") }
    }

    #[test]
    fn bytes_decide_where_the_stamp_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = beneath::root(dir.path()).unwrap();
        let look =
            |name: &str, output: &Output| stands(root.as_fd(), &name.parse().unwrap(), Some(output)).unwrap();
        fs::write(dir.path().join("f"), "text").unwrap();
        let stamp = stamp_of(&rustix::fs::stat(dir.path().join("f")).unwrap());
        assert!(matches!(look("f", &output("text", None)), Standing::Agrees { exec_agrees: true, .. }));
        assert!(matches!(look("f", &output("TEXT", None)), Standing::Differs(..)));
        assert!(
            matches!(look("f", &output("TEXT", Some(stamp))), Standing::Agrees { .. }),
            "the stamp is believed"
        );
        let longer = Stamp { size: 9, ..stamp };
        assert_eq!(look("f", &output("longer...", Some(longer))), Standing::Torn(stamp));
        assert_eq!(look("g", &output("text", None)), Standing::Absent);
        assert_eq!(look("f/g", &output("text", None)), Standing::Beyond("f".parse().unwrap()));
        assert_eq!(look("x/y/g", &output("text", None)), Standing::Absent);
        fs::create_dir(dir.path().join("d")).unwrap();
        assert!(matches!(look("d", &output("text", None)), Standing::Differs(_, Kind::Known(FileKind::Dir))));
    }

    #[test]
    fn links_and_folders() {
        let dir = tempfile::tempdir().unwrap();
        let root = beneath::root(dir.path()).unwrap();
        std::os::unix::fs::symlink("target", dir.path().join("l")).unwrap();
        let look = |name: &str, made: Made| {
            let output = Output { made, stamp: None, step: StepId::new("s") };
            stands(root.as_fd(), &name.parse().unwrap(), Some(&output)).unwrap()
        };
        assert!(matches!(look("l", Made::Link(b"target"[..].into())), Standing::Agrees { .. }));
        assert!(matches!(look("l", Made::Link(b"other"[..].into())), Standing::Differs(..)));
        assert!(matches!(look("l", Made::Folder), Standing::Differs(..)));
        assert_eq!(look("l/x", Made::Folder), Standing::Beyond("l".parse().unwrap()));
        fs::create_dir(dir.path().join("d")).unwrap();
        assert!(matches!(look("d", Made::Folder), Standing::Agrees { .. }));
    }
}
