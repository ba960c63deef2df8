//! Who looked at what, and who made what without having promised it: how stale views are found (DESIGN §4.9).
//!
//! Both are indexes that only grow during an attempt; whatever they suspect is evaluated before anybody runs again. Rattle
//! (Spall, Mitchell, Tobin-Hochstadt 2020) names such hazards; with frozen views torn reads cannot be, stale ones can.

use protocol::{Look, RelPath, Seen, Tree};
use rustc_hash::{FxHashMap, FxHashSet};

/// Where things may look different once something was published.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Whatever is asked there.
    at: FxHashSet<RelPath>,
    /// Names in these folders.
    listed: FxHashSet<RelPath>,
}

impl Places {
    /// Those of changed paths; `is_there` says of a folder other than the root that it is there for
    /// everybody, whatever steps make.
    pub fn new(paths: &[RelPath], is_there: impl Fn(&RelPath) -> bool) -> Self {
        let mut places = Self::default();
        for path in paths {
            places.at.insert(path.clone());
            let mut hangs_in = RelPath::root();
            for folder in path.ancestors() {
                if is_there(&folder) {
                    hangs_in = folder;
                    break;
                }
                places.listed.insert(folder.clone());
                places.at.insert(folder);
            }
            places.listed.insert(hangs_in);
        }
        places
    }

    /// Whether a look may be answered differently.
    pub fn touch(&self, (path, look, _): &(RelPath, Look, Seen)) -> bool {
        self.at.contains(path) || *look == Look::Listing && self.listed.contains(path)
    }
}

/// Steps by path.
type ByPath = FxHashMap<RelPath, Vec<usize>>;

fn note(steps: &mut ByPath, path: &RelPath, step: usize) {
    match steps.get_mut(path) {
        Some(known) if known.last() == Some(&step) || known.contains(&step) => {}
        Some(known) => known.push(step),
        None => drop(steps.insert(path.clone(), vec![step])),
    }
}

/// Indexes over an attempt.
#[derive(Default)]
pub(super) struct Hazards {
    /// How often something was published that may be news to a step that has looked already.
    pub epoch: u64,
    /// Steps that looked at a path, whatever they asked.
    lookers: ByPath,
    /// Steps that listed a folder.
    listers: ByPath,
    /// Whether these two are kept: from the first publication on that may be news.
    is_kept: bool,
    /// Steps that made a path.
    makers: ByPath,
    /// Steps that made names in a folder.
    namers: ByPath,
}

/// The paths at which two trees differ.
pub(super) fn changed(before: Option<&Tree>, now: &Tree) -> Vec<RelPath> {
    let Some(before) = before else { return now.entries().iter().map(|(path, _)| path.clone()).collect() };
    let mut changed = Vec::new();
    for (path, entry) in now.entries() {
        if before.get(path) != Some(entry) {
            changed.push(path.clone());
        }
    }
    let gone = before.entries().iter().filter(|(path, _)| now.get(path).is_none());
    changed.extend(gone.map(|(path, _)| path.clone()));
    changed
}

impl Hazards {
    /// Whether who looked at what is noted.
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// From now on it is.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Notes what a step looked at.
    pub fn looked(&mut self, step: usize, seen: &[(RelPath, Look, Seen)]) {
        for (path, look, _) in seen {
            note(&mut self.lookers, path, step);
            if *look == Look::Listing {
                note(&mut self.listers, path, step);
            }
        }
    }

    /// Steps that looked at one of these places: sorted.
    pub fn lookers(&self, places: &Places) -> Vec<usize> {
        let at = places.at.iter().filter_map(|path| self.lookers.get(path));
        let listed = places.listed.iter().filter_map(|path| self.listers.get(path));
        sorted(at.chain(listed).flatten().copied())
    }

    /// Notes that a step made something that is seen at these places.
    pub fn made(&mut self, step: usize, places: &Places) {
        places.at.iter().for_each(|path| note(&mut self.makers, path, step));
        places.listed.iter().for_each(|path| note(&mut self.namers, path, step));
    }

    fn makers_of(&self, (path, look, _): &(RelPath, Look, Seen)) -> impl Iterator<Item = usize> {
        let named = self.namers.get(path).filter(|_| *look == Look::Listing);
        self.makers.get(path).into_iter().chain(named).flatten().copied()
    }

    /// Whether anybody made something without having promised it, or once more.
    pub fn has_makers(&self) -> bool {
        !self.makers.is_empty()
    }

    /// Steps that made something that may be the answer to one of these looks: sorted.
    pub fn makers(&self, seen: &[(RelPath, Look, Seen)]) -> Vec<usize> {
        if self.makers.is_empty() {
            return Vec::new();
        }
        sorted(seen.iter().flat_map(|look| self.makers_of(look)))
    }

    /// Steps that made something that one of these looks may find: sorted.
    pub fn makers_for(&self, looks: &[(RelPath, Look)]) -> Vec<usize> {
        let named = |look: &Look, path| self.namers.get(path).filter(|_| *look == Look::Listing);
        let makers =
            looks.iter().flat_map(|(path, look)| self.makers.get(path).into_iter().chain(named(look, path)));
        sorted(makers.flatten().copied())
    }

    /// Those of the looks that something which a step made may be the answer to.
    pub fn touched_by<'a>(
        &'a self,
        maker: usize,
        seen: &'a [(RelPath, Look, Seen)],
    ) -> impl Iterator<Item = &'a (RelPath, Look, Seen)> {
        seen.iter().filter(move |look| self.makers_of(look).any(|made| made == maker))
    }
}

fn sorted(steps: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut steps: Vec<usize> = steps.collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

#[cfg(test)]
mod tests {
    use protocol::{Digest, TreeEntry};

    use super::*;

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    fn look(text: &str, look: Look) -> (RelPath, Look, Seen) {
        (path(text), look, Seen::Absent)
    }

    fn listing() -> (RelPath, Look, Seen) {
        (RelPath::root(), Look::Listing, Seen::Absent)
    }

    #[test]
    fn a_new_path_is_seen_at_itself_and_in_its_folder() {
        let places = Places::new(&[path("src/new")], |folder| folder.as_bytes() == b"src");
        assert!(places.touch(&look("src/new", Look::Probe)));
        assert!(places.touch(&look("src", Look::Listing)));
        assert!(!places.touch(&look("src", Look::Probe)), "the folder was there before");
        assert!(!places.touch(&listing()));
    }

    #[test]
    fn a_new_folder_is_seen_where_it_hangs() {
        let places = Places::new(&[path("a/b/new")], |_| false);
        for (text, asked) in [("a", Look::Kind), ("a/b", Look::Probe), ("a/b", Look::Listing)] {
            assert!(places.touch(&look(text, asked)), "{text}");
        }
        assert!(places.touch(&listing()));
    }

    #[test]
    fn who_looked_and_who_made_are_found_by_place() {
        let mut hazards = Hazards::default();
        hazards.looked(1, &[look("x", Look::Content), listing()]);
        hazards.looked(2, &[look("y", Look::Content)]);
        let places = Places::new(&[path("x")], |_| false);
        assert_eq!(hazards.lookers(&places), [1]);
        assert!(!hazards.has_makers());
        hazards.made(3, &places);
        assert_eq!(hazards.makers(&[look("x", Look::Probe)]), [3]);
        assert_eq!(hazards.makers(&[listing()]), [3]);
        assert!(hazards.makers(&[look("y", Look::Probe)]).is_empty());
        assert_eq!(hazards.makers_for(&[(path("x"), Look::Content)]), [3]);
    }

    #[test]
    fn trees_differ_where_an_entry_does() {
        let tree = |entries: &[(&str, &str)]| {
            let entry = |(name, text): &(&str, &str)| {
                let digest = Digest::of(text.as_bytes());
                (path(name), TreeEntry::File { digest, size: text.len() as u64, exec: false })
            };
            Tree::new(entries.iter().map(entry).collect()).unwrap()
        };
        let before = tree(&[("gone", "1"), ("same", "1"), ("other", "1")]);
        let now = tree(&[("same", "1"), ("other", "2"), ("new", "1")]);
        assert_eq!(changed(Some(&before), &now), [path("new"), path("other"), path("gone")]);
        assert_eq!(changed(None, &now).len(), 3);
    }
}
