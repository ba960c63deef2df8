//! Outputs over sources: what stands where, and which names are there.

use larder::Larder;
use protocol::{FileKind, Stamp, TreeEntry};

use super::*;

fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

/// Sources `a/x`, `a/y` and `b`.
struct Three;

impl Sources for Three {
    fn get(&self, path: &RelPath) -> Option<Entry> {
        let stamp = Stamp { dev: 0, ino: 0, size: 1, mtime_ns: 0, ctime_ns: 0 };
        match path.to_string().as_str() {
            "." | "a" => Some(Entry::Dir),
            "a/x" | "a/y" | "b" => Some(Entry::Source { exec: false, stamp }),
            _ => None,
        }
    }

    fn list(&self, path: &RelPath) -> Option<Names> {
        let names: &[(&[u8], FileKind)] = match path.to_string().as_str() {
            "." => &[(b"a", FileKind::Dir), (b"b", FileKind::File)],
            "a" => &[(b"x", FileKind::File), (b"y", FileKind::File)],
            _ => return None,
        };
        Some(names.iter().map(|(name, kind)| ((*name).into(), *kind)).collect())
    }
}

fn project(trees: &[&[(&str, TreeEntry)]]) -> (tempfile::TempDir, Project) {
    let dir = tempfile::tempdir().unwrap();
    let larder = Larder::open(&dir.path().join("larder"), larder::Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let files = SourceFiles::new(dir.path(), larder, runtime.handle().clone()).unwrap();
    let mut builder = OutputsBuilder::default();
    for tree in trees {
        let entries = tree.iter().map(|(text, entry)| (path(text), entry.clone())).collect();
        builder.apply(&Tree::new(entries).unwrap());
    }
    (dir, Project::new(Arc::new(Three), Arc::new(files), builder.finish()))
}

fn file() -> TreeEntry {
    TreeEntry::File { digest: Digest::of(b""), size: 0, exec: false }
}

fn names(project: &Project, folder: &str) -> Option<String> {
    let mut names: Vec<String> = project
        .names(&path(folder))?
        .iter()
        .map(|(name, kind)| format!("{}:{}", String::from_utf8_lossy(name), kind.word()))
        .collect();
    names.sort();
    Some(names.join(" "))
}

#[test]
fn outputs_lie_over_sources() {
    let (_dir, project) = project(&[&[("a/z", file()), ("o/p/q", file())]]);
    assert_eq!(names(&project, "a").unwrap(), "x:file y:file z:file");
    assert_eq!(names(&project, ".").unwrap(), "a:folder b:file o:folder");
    assert_eq!(names(&project, "o/p").unwrap(), "q:file");
    assert_eq!(names(&project, "b"), None);
    assert_eq!(project.entry(&path("o")), Some(Entry::Dir));
}

#[test]
fn deletions_hide_and_can_be_filled_again() {
    let (_dir, one) = project(&[&[("a", TreeEntry::Deleted)]]);
    assert_eq!((one.entry(&path("a")), one.entry(&path("a/x"))), (None, None));
    assert_eq!(names(&one, ".").unwrap(), "b:file");
    let (_dir, two) = project(&[&[("a", TreeEntry::Deleted)], &[("a/new", file())]]);
    assert_eq!(names(&two, "a").unwrap(), "new:file");
    assert_eq!(two.entry(&path("a/x")), None);
    let (_dir, three) = project(&[&[("o/x", file())], &[("o/x", TreeEntry::Deleted)]]);
    assert_eq!(names(&three, "o").unwrap(), "");
}

#[test]
fn kinds_may_change() {
    let (_dir, project) = project(&[&[("o", file())], &[("o/x", file())], &[("a", file())]]);
    assert_eq!(names(&project, "o").unwrap(), "x:file");
    assert_eq!(names(&project, "a"), None);
    assert_eq!(project.entry(&path("a/x")), None);
}
