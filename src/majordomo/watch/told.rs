//! What the watcher has told and nobody has looked at yet.
//!
//! Actors: the watcher's thread, which fills it and must not wait; whoever looks, who takes it; whoever waits for something
//! to be told. Bounded: beyond [`MAX_DIRTY`] paths everything is dirty.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use protocol::RelPath;
use protocol::path::reserved;
use tokio::sync::watch;

use super::watcher::{Handler, News, Why};
use crate::majordomo::workspace::FOLDER;

/// So many dirty paths are kept; when there are more, looking at everything is cheaper.
pub const MAX_DIRTY: usize = 16 << 10;

/// How long the watcher may take to tell of the fence.
const FENCE_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct State {
    dirty: BTreeSet<RelPath>,
    lost: Option<Why>,
    /// Something outside of the project was touched.
    upstream: bool,
    /// How often the fence was touched.
    fences: u64,
}

/// What was told of one project. Clones share it.
#[derive(Debug, Clone)]
pub struct Told {
    project: Arc<Path>,
    fence: Arc<[u8]>,
    state: Arc<Mutex<State>>,
    fenced: Arc<Condvar>,
    /// Counts what was told, but for the fence and our own files.
    count: Arc<watch::Sender<u64>>,
}

/// What is dirty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dirt {
    /// These paths of the project.
    pub paths: BTreeSet<RelPath>,
    /// Everything, for this reason.
    pub lost: Option<Why>,
    /// What steps used of the machine.
    pub upstream: bool,
}

impl Told {
    /// Nothing has been told. `fence` is a name in `.majordomo`.
    pub fn new(project: &Path, fence: &str) -> Self {
        Self {
            project: project.into(),
            fence: fence.as_bytes().into(),
            state: Arc::default(),
            fenced: Arc::default(),
            count: Arc::new(watch::Sender::new(0)),
        }
    }

    /// For the watcher.
    pub fn handler(&self) -> Handler {
        let told = self.clone();
        Box::new(move |news| told.hear(news))
    }

    /// Whoever waits for something to be told.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    fn hear(&self, news: News) {
        let mut state = self.state.lock();
        match news {
            News::Lost(why) => {
                state.lost = Some(why);
                // Whoever waits for the fence need not.
                self.fenced.notify_all();
            }
            News::Touched(path) => match self.inside(&path) {
                None => state.upstream = true,
                Some(path) => {
                    if path.parts().next() == Some(FOLDER.as_bytes()) {
                        if path.parts().nth(1) == Some(&*self.fence) {
                            state.fences += 1;
                            self.fenced.notify_all();
                        }
                        return;
                    }
                    if path.parts().any(|part| reserved(part).is_some()) {
                        return;
                    }
                    if state.dirty.len() >= MAX_DIRTY {
                        state.dirty.clear();
                        state.lost = Some(Why::Overflow);
                    }
                    state.dirty.insert(path);
                }
            },
        }
        drop(state);
        self.count.send_modify(|count| *count += 1);
    }

    /// The path below the project; `None`: it is outside.
    fn inside(&self, path: &Path) -> Option<RelPath> {
        let inside = path.strip_prefix(&self.project).ok()?;
        match inside.as_os_str().as_bytes() {
            b"" => Some(RelPath::root()),
            bytes => RelPath::new(bytes).ok(),
        }
    }

    /// Waits until all that happened before is told; `touch` touches the fence. `false`: it cannot be known.
    pub fn wait(&self, touch: impl FnOnce() -> std::io::Result<()>) -> bool {
        let before = self.state.lock().fences;
        if touch().is_err() {
            return false;
        }
        let deadline = Instant::now() + FENCE_LIMIT;
        let mut state = self.state.lock();
        while state.fences == before && state.lost.is_none() {
            if self.fenced.wait_until(&mut state, deadline).timed_out() {
                return false;
            }
        }
        true
    }

    /// Takes what is dirty.
    pub fn take(&self) -> Dirt {
        let mut state = self.state.lock();
        Dirt {
            paths: std::mem::take(&mut state.dirty),
            lost: state.lost.take(),
            upstream: std::mem::take(&mut state.upstream),
        }
    }

    /// Whether nothing is dirty.
    pub fn is_clean(&self) -> bool {
        let state = self.state.lock();
        state.dirty.is_empty() && state.lost.is_none() && !state.upstream
    }

    /// Gives back what could not be looked at.
    pub fn give_back(&self, dirt: Dirt) {
        let mut state = self.state.lock();
        state.dirty.extend(dirt.paths);
        state.lost = state.lost.or(dirt.lost);
        state.upstream |= dirt.upstream;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> (Told, Handler) {
        let told = Told::new(Path::new("/p"), "fence");
        let handler = told.handler();
        (told, handler)
    }

    fn touched(path: &str) -> News {
        News::Touched(path.into())
    }

    #[test]
    fn paths_are_sorted_into_sources_ours_and_the_machines() {
        let (told, hear) = told();
        let waiting = told.subscribe();
        for path in ["/p/.majordomo/lock", "/p/.git/index", "/p/sub/.git/x", "/p/sub/.majordomo/id"] {
            hear(touched(path));
        }
        assert!(told.is_clean() && !waiting.has_changed().unwrap(), "what is ours wakes nobody");
        hear(touched("/p/a.c"));
        hear(touched("/p"));
        hear(touched("/pp/a.c"));
        assert!(waiting.has_changed().unwrap());
        let dirt = told.take();
        let paths: Vec<String> = dirt.paths.iter().map(ToString::to_string).collect();
        assert_eq!((paths, dirt.upstream, dirt.lost), (vec![".".into(), "a.c".into()], true, None));
        assert!(told.is_clean());
        told.give_back(dirt);
        assert!(!told.is_clean());
    }

    #[test]
    fn too_much_is_everything() {
        let (told, hear) = told();
        for number in 0..=MAX_DIRTY {
            hear(touched(&format!("/p/{number}")));
        }
        let dirt = told.take();
        assert_eq!((dirt.lost, dirt.paths.len()), (Some(Why::Overflow), 1));
    }

    #[test]
    fn the_fence_is_waited_for() {
        let (told, hear) = told();
        assert!(told.wait(|| {
            std::thread::spawn(move || {
                hear(touched("/p/before"));
                hear(touched("/p/.majordomo/fence"));
            });
            Ok(())
        }));
        assert_eq!(told.take().paths.len(), 1);
        assert!(!told.wait(|| Err(std::io::ErrorKind::NotFound.into())));
    }
}
