//! The laws of watchers, held against the twin and the real one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::by_events::ByEvents;
use super::twin::World;
use super::watcher::{News, WatchError, Watcher, Why};

/// No wait is longer: what is not told fails.
const LIMIT: Duration = Duration::from_secs(20);

/// A file system to play with, and its watcher.
trait Site {
    fn root(&self) -> PathBuf;
    fn folder(&self, path: &Path);
    fn remove_folder(&self, path: &Path);
    fn write(&self, path: &Path);
    fn watcher(&self, handler: super::watcher::Handler) -> Box<dyn Watcher>;
}

struct Disk(tempfile::TempDir);

impl Site for Disk {
    fn root(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }
    fn folder(&self, path: &Path) {
        fs::create_dir(path).unwrap();
    }
    fn remove_folder(&self, path: &Path) {
        fs::remove_dir_all(path).unwrap();
    }
    fn write(&self, path: &Path) {
        fs::write(path, "x").unwrap();
    }
    fn watcher(&self, handler: super::watcher::Handler) -> Box<dyn Watcher> {
        Box::new(ByEvents::new(handler).unwrap())
    }
}

impl Site for World {
    fn root(&self) -> PathBuf {
        "/project".into()
    }
    fn folder(&self, path: &Path) {
        World::folder(self, path);
    }
    fn remove_folder(&self, path: &Path) {
        World::remove_folder(self, path);
    }
    fn write(&self, path: &Path) {
        self.touch(path);
    }
    fn watcher(&self, handler: super::watcher::Handler) -> Box<dyn Watcher> {
        Box::new(World::watcher(self, handler))
    }
}

/// A watcher at work.
struct Watched {
    watcher: Box<dyn Watcher>,
    news: Receiver<News>,
}

impl Watched {
    fn new(site: &dyn Site) -> Self {
        let (sender, news) = channel();
        let watcher = site.watcher(Box::new(move |news| {
            sender.send(news).ok();
        }));
        Self { watcher, news }
    }

    fn watch(&mut self, folders: &[&Path]) {
        let folders: Vec<PathBuf> = folders.iter().map(|folder| folder.to_path_buf()).collect();
        self.watcher.watch(&folders).unwrap();
    }

    /// All that is told until this path is.
    #[track_caller]
    fn told_until(&self, path: &Path) -> Vec<PathBuf> {
        let mut told = Vec::new();
        loop {
            match self.news.recv_timeout(LIMIT) {
                Ok(News::Touched(touched)) if touched == path => return told,
                Ok(News::Touched(touched)) => told.push(touched),
                Ok(news) => panic!("{news:?}"),
                Err(error) => panic!("`{}` is not told: {error}; only {told:?}", path.display()),
            }
        }
    }
}

fn everywhere(law: fn(&dyn Site)) {
    let disk = Disk(tempfile::tempdir().unwrap());
    law(&disk);
    let world = World::default();
    world.folder(&Site::root(&world));
    law(&world);
}

#[test]
fn what_is_touched_in_a_watched_folder_is_told_in_order() {
    everywhere(|site| {
        let root = site.root();
        let mut watched = Watched::new(site);
        watched.watch(&[&root]);
        for name in ["a", "b", "c"] {
            site.write(&root.join(name));
        }
        let mut told = watched.told_until(&root.join("c"));
        told.dedup();
        assert_eq!(told, [root.join("a"), root.join("b")]);
        assert_eq!(watched.watcher.interval(), None);
    });
}

#[test]
fn what_is_below_a_watched_folder_is_not_told() {
    everywhere(|site| {
        let root = site.root();
        site.folder(&root.join("in"));
        let mut watched = Watched::new(site);
        watched.watch(&[&root]);
        site.write(&root.join("in/file"));
        site.write(&root.join("after"));
        assert_eq!(watched.told_until(&root.join("after")), [] as [PathBuf; 0]);
    });
}

#[test]
fn a_folder_that_is_not_there_is_passed_over() {
    everywhere(|site| {
        let root = site.root();
        site.folder(&root.join("there"));
        let mut watched = Watched::new(site);
        watched.watch(&[&root.join("gone"), &root.join("there"), &root.join("also/gone")]);
        site.write(&root.join("there/file"));
        watched.told_until(&root.join("there/file"));
    });
}

#[test]
fn a_folder_that_is_made_anew_has_to_be_watched_anew() {
    everywhere(|site| {
        let (root, folder) = (site.root(), site.root().join("folder"));
        site.folder(&folder);
        let mut watched = Watched::new(site);
        watched.watch(&[&root, &folder]);
        for round in 0..20 {
            let file = folder.join(format!("file{round}"));
            site.remove_folder(&folder);
            site.folder(&folder);
            // Each time that its name is told it is watched again, and what is in it looked at again.
            loop {
                match watched.news.recv_timeout(LIMIT) {
                    Ok(News::Touched(path)) if path == folder => {
                        watched.watch(&[&folder]);
                        site.write(&file);
                    }
                    Ok(News::Touched(path)) if path == file => break,
                    Ok(News::Touched(_)) => {}
                    news => panic!("{news:?}"),
                }
            }
        }
    });
}

#[test]
fn a_folder_that_is_watched_twice_is_watched_once_and_unwatched_at_once() {
    everywhere(|site| {
        let (root, folder) = (site.root(), site.root().join("folder"));
        site.folder(&folder);
        let mut watched = Watched::new(site);
        watched.watch(&[&root, &folder, &folder]);
        watched.watch(&[&folder]);
        site.write(&folder.join("one"));
        watched.told_until(&folder.join("one"));
        watched.watcher.unwatch(&[folder.clone(), root.join("never")]).unwrap();
        site.write(&root.join("before"));
        watched.told_until(&root.join("before"));
        site.write(&folder.join("two"));
        site.write(&root.join("after"));
        let told = watched.told_until(&root.join("after"));
        assert!(!told.contains(&folder.join("two")), "{told:?}");
    });
}

#[test]
fn another_folder_under_a_watched_name_is_watched_when_asked_again() {
    let disk = Disk(tempfile::tempdir().unwrap());
    let (root, folder) = (disk.root(), disk.root().join("folder"));
    disk.folder(&folder);
    let mut watched = Watched::new(&disk);
    watched.watch(&[&folder]);
    // Its parent is not watched, so nobody tells that the name has changed hands.
    fs::rename(&folder, root.join("elsewhere")).unwrap();
    disk.folder(&folder);
    watched.watch(&[&folder]);
    disk.write(&folder.join("file"));
    watched.told_until(&folder.join("file"));
}

#[test]
fn a_link_is_no_folder() {
    let disk = Disk(tempfile::tempdir().unwrap());
    let (root, outside) = (disk.root(), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink(outside.path(), root.join("link")).unwrap();
    let mut watched = Watched::new(&disk);
    watched.watch(&[&root.join("link"), &root]);
    fs::write(outside.path().join("file"), "x").unwrap();
    disk.write(&root.join("after"));
    assert_eq!(watched.told_until(&root.join("after")), [] as [PathBuf; 0]);
}

#[test]
fn what_is_written_through_a_mapping_is_told_when_the_file_is_let_go() {
    let disk = Disk(tempfile::tempdir().unwrap());
    let (root, file) = (disk.root(), disk.root().join("file"));
    disk.write(&file);
    let mut watched = Watched::new(&disk);
    let opened = fs::OpenOptions::new().read(true).write(true).open(&file).unwrap();
    watched.watch(&[&root]);
    // SAFETY: the file has one byte, and nobody cuts it.
    unsafe {
        use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
        let flags = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        let map = mmap(std::ptr::null_mut(), 1, flags.0, flags.1, &opened, 0).unwrap();
        drop(opened);
        map.cast::<u8>().write_volatile(b'y');
        munmap(map, 1).unwrap();
    }
    assert_eq!(watched.told_until(&file), [] as [PathBuf; 0]);
    assert_eq!(fs::read(&file).unwrap(), b"y");
}

#[test]
fn an_overflow_is_told() {
    let world = World::default();
    let root = Site::root(&world);
    world.folder(&root);
    let mut watched = Watched::new(&world);
    watched.watch(&[&root]);
    world.overflow();
    world.touch(&root.join("unheard"));
    world.recover();
    assert_eq!(watched.news.recv_timeout(LIMIT).unwrap(), News::Lost(Why::Overflow));
    world.touch(&root.join("heard"));
    watched.told_until(&root.join("heard"));
}

/// The kernel's own overflow, with a handler that is too slow for more than its queue can take.
#[test]
fn the_kernels_overflow_is_told() {
    let disk = Disk(tempfile::tempdir().unwrap());
    let root = disk.root();
    let (go, gate) = channel::<()>();
    let (sender, news) = channel();
    let mut watcher = ByEvents::new(Box::new(move |told| {
        // Stands until the test lets it go on; after that it finds the sender gone.
        gate.recv().ok();
        sender.send(told).ok();
    }))
    .unwrap();
    watcher.watch(std::slice::from_ref(&root)).unwrap();
    let queue = super::watcher::limit("max_queued_events").unwrap_or(16_384);
    let (one, other) = (root.join("one"), root.join("other"));
    // Events that are equal to the last one are not queued, so two files take turns.
    for _ in 0..=queue / 2 {
        disk.write(&one);
        disk.write(&other);
    }
    drop(go);
    let lost =
        std::iter::from_fn(|| news.recv_timeout(LIMIT).ok()).find(|told| matches!(told, News::Lost(_)));
    assert_eq!(lost, Some(News::Lost(Why::Overflow)));
}

#[test]
fn too_many_folders_are_an_error_that_says_so() {
    let world = World::default();
    let root = Site::root(&world);
    world.folder(&root);
    world.folder(&root.join("a"));
    world.allow(1);
    let mut watched = Watched::new(&world);
    let error = watched.watcher.watch(&[root.clone(), root.join("a")]).unwrap_err();
    assert!(matches!(error, WatchError::TooMany { folders: 2, limit: Some(1) }), "{error:?}");
    assert!(error.advice().unwrap().contains("fs.inotify.max_user_watches="));
}
