use std::path::PathBuf;

use futures::future::BoxFuture;
use protocol::{Stamp, StepSpec, Tree};

use super::*;
use crate::testing::{Place, spec};
use crate::{Entry, Names, Outputs, Promised, PromisedAt, SourceFiles, Sources};

/// Source files as they lie in a folder.
struct Folder(PathBuf);

impl Sources for Folder {
    fn get(&self, path: &RelPath) -> Option<Entry> {
        let meta = std::fs::symlink_metadata(self.0.join(path.as_path())).ok()?;
        let exec = false;
        Some(if meta.is_dir() { Entry::Dir } else { Entry::Source { exec, stamp: Stamp::from(&meta) } })
    }

    fn list(&self, _: &RelPath) -> Option<Names> {
        None
    }
}

const LONG: &str = "project/long";

impl Place {
    /// A project of the files in its folder, at the start of a build.
    fn sources(&self) -> Project {
        let folder = self.dir.path().join("sources");
        std::fs::create_dir_all(&folder).unwrap();
        let files = SourceFiles::new(&folder, self.larder.clone(), self.runtime.handle().clone()).unwrap();
        Project::new(Arc::new(Folder(folder)), Arc::new(files), Outputs::default())
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::create_dir_all(self.dir.path().join("sources")).unwrap();
        std::fs::write(self.dir.path().join("sources").join(name), bytes).unwrap();
    }

    /// Runs a step that looks so over the sources of now.
    fn ran(&self, spec: &StepSpec, looks: &[(&str, Look)]) -> Arc<PathSet> {
        let (trace, set) = self.trace(spec, &self.sources(), looks);
        self.larder.add_trace(&trace, &set, WorkspaceId::from_random(1)).unwrap();
        Arc::new(set)
    }

    fn answers(&self, spec: &StepSpec, set: &PathSet, project: &Project) -> Answers {
        let evaluator = self.evaluator();
        self.runtime.block_on(evaluator.answers(&spec.weak_key(), &set.digest(), set, project)).unwrap()
    }
}

fn long(first: u8) -> Vec<u8> {
    let mut bytes = vec![b'x'; 1 << 20];
    bytes[0] = first;
    bytes
}

#[test]
fn a_long_file_is_not_read_where_no_trace_can_hold() {
    let place = Place::new();
    let plain = spec(&[], &[]);
    place.write("small", b"1");
    place.write("long", &long(1));
    let set = place.ran(&plain, &[("project/small", Look::Content), (LONG, Look::Content)]);
    let long_path = "long".parse().unwrap();

    // Read anew: the stamp is another one.
    place.write("long", &long(2));
    place.write("small", b"2");
    let project = place.sources();
    assert!(matches!(place.answers(&plain, &set, &project), Answers::NoTrace { is_unmade: false }));
    assert!(project.is_costly(&long_path).unwrap(), "it was not read");

    place.write("small", b"1");
    let project = place.sources();
    assert!(matches!(place.answers(&plain, &set, &project), Answers::NoTrace { .. }));
    assert!(!project.is_costly(&long_path).unwrap(), "it had to be read");
    assert!(!place.hits(&plain, &place.sources()));
    place.write("long", &long(1));
    assert!(place.hits(&plain, &place.sources()));
}

#[test]
fn traces_beyond_those_that_are_asked_still_answer() {
    let place = Place::new();
    let plain = spec(&[], &[]);
    place.write("long", &long(0));
    for n in 0..=ASKED_TRACES + 2 {
        place.write("small", n.to_string().as_bytes());
        place.ran(&plain, &[("project/small", Look::Content), (LONG, Look::Content)]);
    }
    place.write("small", b"0");
    // The same bytes, which nobody has read yet under this stamp.
    place.write("long", &long(0));
    assert!(place.hits(&plain, &place.sources()));
}

/// `made` is promised by step 7, and not there yet.
struct NotYet;

impl Promised for NotYet {
    fn at(&self, path: &RelPath) -> Option<PromisedAt> {
        (path.as_bytes() == b"made").then_some(PromisedAt::By(7))
    }

    fn names(&self, _: &RelPath) -> Names {
        Vec::new()
    }

    fn made(&self, _: usize) -> Option<Option<Arc<Tree>>> {
        None
    }

    fn make<'a>(
        &'a self,
        _: usize,
        path: &'a RelPath,
    ) -> BoxFuture<'a, Result<Option<Arc<Tree>>, SourceError>> {
        Box::pin(std::future::ready(Err(SourceError::NotYet { path: path.clone() })))
    }
}

#[test]
fn what_is_not_made_yet_is_wanted_for_a_candidate_that_may_hold() {
    let place = Place::new();
    let plain = spec(&[], &[]);
    let unmade = |project: Project| {
        let project = project.with_promises(Arc::new(NotYet));
        let (evaluator, ours) = (place.evaluator(), WorkspaceId::from_random(1));
        match place.runtime.block_on(evaluator.look_up(&plain.weak_key(), &project, ours)).unwrap() {
            Verdict::Miss { unmade, .. } => unmade,
            Verdict::Hit { .. } => panic!("nobody knows what `made` will be"),
        }
    };
    place.write("a", b"1");
    place.write("b", b"1");
    place.write("made", b"made");
    let with_a = place.ran(&plain, &[("project/a", Look::Content), ("project/made", Look::Content)]);
    // The newer one, and so the first to be tried.
    let with_b = place.ran(&plain, &[("project/b", Look::Content), ("project/made", Look::Content)]);
    std::fs::remove_file(place.dir.path().join("sources/made")).unwrap();
    assert_eq!(unmade(place.sources()), Some(with_b.clone()));
    place.write("b", b"2");
    assert_eq!(unmade(place.sources()), Some(with_a));
    place.write("a", b"2");
    assert_eq!(unmade(place.sources()), Some(with_b), "none may hold: the first is as good as any");
}
