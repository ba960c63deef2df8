//! The map against a model: a list of all records, searched from end to end.

use proptest::prelude::*;
use protocol::mesh::ArtefactScope;

use super::*;
use crate::bus::Incarnation;

#[derive(Debug, Clone)]
enum Change {
    Record(Ownership, Tree),
    Cover(u8),
    Note(PodId, Digest),
    Forget(PodId),
}

fn pod(number: u8) -> PodId {
    PodId::from_bytes([number; 32])
}

fn bytes(number: u8) -> Digest {
    Digest::of(&[number])
}

fn epoch(revision: u64) -> Epoch {
    Epoch { incarnation: Incarnation { number: 1, nonce: 1 }, revision }
}

fn tree() -> impl Strategy<Value = Tree> {
    let entry = ("[xyz]", 0..6_u8, any::<bool>());
    proptest::collection::btree_map("[wxyz]", entry, 0..4).prop_map(|files| {
        let file =
            |number: u8, exec| TreeEntry::File { digest: bytes(number), size: u64::from(number) + 1, exec };
        let entries = files.into_iter().map(|(folder, (name, number, exec))| {
            (format!("{folder}/{name}").parse().unwrap(), file(number, exec))
        });
        Tree::new(entries.collect()).unwrap()
    })
}

fn record(workspace: u128, path: &str, owner: Option<u8>, tree: &Tree) -> Ownership {
    Ownership {
        workspace: WorkspaceId::from_random(workspace),
        path: path.parse().unwrap(),
        scope: ArtefactScope::Outputs,
        owner: owner.map(pod),
        digest: tree.digest(),
        size: 1,
        label: String::new(),
        made_for: None,
        promised_to: None,
    }
}

fn change() -> impl Strategy<Value = Change> {
    let owner = prop_oneof![4 => (0..4_u8).prop_map(Some), 1 => Just(None)];
    let ownership = (0..2_u128, "[ab]", owner, tree());
    prop_oneof![
        4 => ownership.prop_map(|(workspace, path, owner, tree)| Change::Record(record(workspace, &path, owner, &tree), tree)),
        6 => any::<u8>().prop_map(Change::Cover),
        1 => (0..4_u8, 0..6_u8).prop_map(|(who, what)| Change::Note(pod(who), bytes(what))),
        1 => (0..4_u8).prop_map(|who| Change::Forget(pod(who))),
    ]
}

/// As the log says it: the map takes entries, whoever has signed them.
fn say(map: &OwnerMap, ownership: &Ownership, revision: u64) {
    map.apply(&Entry {
        subject: subject::owner(ownership.workspace, &ownership.path),
        epoch: epoch(revision),
        from: pod(0),
        at: 0,
        body: serde_json::to_value(ownership).unwrap(),
        signed: Vec::new(),
    });
}

struct Said {
    ownership: Ownership,
    revision: u64,
    tree: Tree,
    is_covered: bool,
}

fn by_model(model: &[Said], workspace: WorkspaceId, path: &RelPath) -> Option<(PodId, Digest, u64, bool)> {
    let of_it = model.iter().filter(|said| said.is_covered && said.ownership.workspace == workspace);
    let found = of_it.filter_map(|said| match said.tree.get(path)? {
        TreeEntry::File { digest, size, exec } => {
            Some((said.revision, (said.ownership.owner?, *digest, *size, *exec)))
        }
        _ => None,
    });
    found.max_by_key(|found| found.0).map(|found| found.1)
}

proptest! {
    #[test]
    fn it_says_what_the_records_say(changes in proptest::collection::vec(change(), 0..60)) {
        let (map, mut model) = (OwnerMap::default(), Vec::<Said>::new());
        for (revision, change) in changes.into_iter().enumerate() {
            let revision = revision as u64;
            match change {
                Change::Record(ownership, tree) => {
                    say(&map, &ownership, revision);
                    let at = model.iter().position(|said| {
                        (said.ownership.workspace, &said.ownership.path) == (ownership.workspace, &ownership.path)
                    });
                    let before = at.map(|at| model.swap_remove(at));
                    let is_covered = before.is_some_and(|before| before.is_covered && before.tree == tree);
                    if ownership.owner.is_some() {
                        model.push(Said { ownership, revision, tree, is_covered });
                    }
                }
                Change::Cover(_) if model.is_empty() => {}
                Change::Cover(number) => {
                    let count = model.len();
                    let said = &mut model[usize::from(number) % count];
                    let other = files(&[("other", 9, 1)]);
                    let wrong = Ownership { digest: other.digest(), ..said.ownership.clone() };
                    prop_assert!(!map.cover(&wrong, epoch(said.revision), &other), "it is another tree");
                    prop_assert_eq!(map.cover(&said.ownership, epoch(said.revision), &said.tree), !said.is_covered);
                    said.is_covered = true;
                }
                Change::Note(who, what) => map.note_holder(who, &what),
                Change::Forget(who) => {
                    map.forget_holder(&who);
                    prop_assert!((0..6).all(|what| !map.holders(&bytes(what)).contains(&who)));
                }
            }
            let covered = model.iter().filter(|said| said.is_covered);
            prop_assert_eq!(map.files(), covered.map(|said| said.tree.entries().len()).sum::<usize>());
            prop_assert_eq!(map.len(), model.len());
            prop_assert_eq!(map.uncovered(100).len(), model.iter().filter(|said| !said.is_covered).count());
        }
        for workspace in (0..2).map(WorkspaceId::from_random) {
            for path in ["w", "x", "y", "z"].iter().flat_map(|a| ["x", "y", "z"].map(|b| format!("{a}/{b}"))) {
                let path = path.parse().unwrap();
                let said = map.artefact(workspace, &path).map(|found| (found.owner, found.digest, found.size, found.exec));
                prop_assert_eq!(said, by_model(&model, workspace, &path));
            }
        }
    }
}

fn files(files: &[(&str, u8, u64)]) -> Tree {
    let file = |(path, number, size): &(&str, u8, u64)| {
        (path.parse().unwrap(), TreeEntry::File { digest: bytes(*number), size: *size, exec: false })
    };
    Tree::new(files.iter().map(file).collect()).unwrap()
}

fn covers(map: &OwnerMap, path: &str, owner: u8, tree: &Tree) {
    let ownership = record(1, path, Some(owner), tree);
    say(map, &ownership, 1);
    assert!(map.cover(&ownership, epoch(1), tree));
}

#[test]
fn who_took_it_over_has_its_bytes_as_well() {
    let map = OwnerMap::default();
    let tree = files(&[("a", 1, 100)]);
    covers(&map, "a", 1, &tree);
    say(&map, &record(1, "a", Some(2), &tree), 2);
    assert_eq!(map.holders(&bytes(1)), [pod(1), pod(2)]);
    assert_eq!(map.artefact(WorkspaceId::from_random(1), &"a".parse().unwrap()).unwrap().owner, pod(2));
}

#[test]
fn the_pod_that_has_most_bytes_comes_first() {
    let map = OwnerMap::default();
    covers(&map, "a", 1, &files(&[("a", 1, 100), ("b", 2, 50)]));
    covers(&map, "c", 2, &files(&[("c", 3, 120)]));
    let inputs = [(&bytes(1), 100), (&bytes(2), 50), (&bytes(3), 120), (&bytes(9), 1000)];
    assert_eq!(map.most_of(inputs), [(pod(1), 150), (pod(2), 120)]);
    map.note_holder(pod(2), &bytes(1));
    assert_eq!(map.most_of(inputs), [(pod(2), 220), (pod(1), 150)]);
    // What nobody's record names is not noted.
    map.note_holder(pod(3), &bytes(9));
    assert_eq!(map.holders(&bytes(9)), []);
    map.forget_holder(&pod(2));
    assert_eq!(map.most_of(inputs), [(pod(1), 150)]);
    // Equal shares: the lower id.
    map.note_holder(pod(7), &bytes(1));
    map.note_holder(pod(7), &bytes(2));
    assert_eq!(map.most_of(inputs), [(pod(1), 150), (pod(7), 150)]);
}

#[test]
fn holders_are_bounded() {
    let map = OwnerMap::default();
    covers(&map, "a", 0, &files(&[("a", 1, 1)]));
    for other in 1..=100 {
        map.note_holder(pod(other), &bytes(1));
    }
    assert_eq!(map.holders(&bytes(1)).len(), MAX_HOLDERS);
}
