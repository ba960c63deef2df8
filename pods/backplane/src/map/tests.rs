//! The map against a model: a list of all records, searched from end to end.

use proptest::prelude::*;

use super::*;

type Epoch = (u64, u64);
type Covered = (WorkspaceId, Part, u8, Tree);

#[derive(Debug, Clone)]
enum Change {
    Apply(Ownership<Epoch>, Tree),
    Remove(WorkspaceId, Part, Epoch),
    Note(PodId, Digest),
    Forget(PodId),
}

fn pod(number: u8) -> PodId {
    PodId::from_bytes([number; 32])
}

fn bytes(number: u8) -> Digest {
    Digest::of(&[number])
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![Just(Part::Sources), "[ab]".prop_map(|step| Part::Step(StepId::new(&step)))]
}

fn workspace() -> impl Strategy<Value = WorkspaceId> {
    (0..2_u128).prop_map(WorkspaceId::from_random)
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

fn change() -> impl Strategy<Value = Change> {
    let epoch = || (0..2_u64, 0..20_u64);
    let ownership = (workspace(), part(), 0..4_u8, epoch())
        .prop_map(|(workspace, part, owner, epoch)| Ownership { workspace, part, owner: pod(owner), epoch });
    prop_oneof![
        6 => (ownership, tree()).prop_map(|(ownership, tree)| Change::Apply(ownership, tree)),
        1 => (workspace(), part(), epoch()).prop_map(|(workspace, part, epoch)| Change::Remove(workspace, part, epoch)),
        1 => (0..4_u8, 0..6_u8).prop_map(|(who, what)| Change::Note(pod(who), bytes(what))),
        1 => (0..4_u8).prop_map(|who| Change::Forget(pod(who))),
    ]
}

type Model = Vec<(Ownership<Epoch>, Tree)>;

fn owner_by_model(model: &Model, workspace: WorkspaceId, path: &RelPath) -> Option<(PodId, Digest, Epoch)> {
    let of_it = model.iter().filter(|(ownership, _)| ownership.workspace == workspace);
    let found = of_it.filter_map(|(ownership, tree)| match tree.get(path)? {
        TreeEntry::File { digest, .. } => Some((ownership.owner, *digest, ownership.epoch)),
        _ => None,
    });
    found.max_by_key(|found| found.2)
}

proptest! {
    #[test]
    fn it_says_what_the_records_say(changes in proptest::collection::vec(change(), 0..60)) {
        let (mut map, mut model) = (Map::default(), Model::new());
        for change in changes {
            match change {
                Change::Apply(ownership, tree) => {
                    let same = |(known, _): &(Ownership<Epoch>, Tree)| {
                        known.workspace == ownership.workspace && known.part == ownership.part
                    };
                    let is_new = model.iter().find(|one| same(one)).is_none_or(|one| one.0.epoch < ownership.epoch);
                    prop_assert_eq!(map.apply(ownership.clone(), &tree), is_new);
                    if is_new {
                        model.retain(|one| !same(one));
                        model.push((ownership, tree));
                    }
                }
                Change::Remove(workspace, part, epoch) => {
                    map.remove(workspace, &part, epoch);
                    model.retain(|(one, _)| one.workspace != workspace || one.part != part || one.epoch > epoch);
                }
                Change::Note(who, what) => map.note_holder(who, &what),
                Change::Forget(who) => {
                    map.forget_holder(&who);
                    prop_assert!((0..6).all(|what| !map.holders(&bytes(what)).contains(&who)));
                }
            }
            prop_assert_eq!(map.len(), model.iter().map(|(_, tree)| tree.entries().len()).sum::<usize>());
            prop_assert_eq!(map.ownerships().count(), model.len());
        }
        for workspace in (0..2).map(WorkspaceId::from_random) {
            for path in ["w", "x", "y", "z"].iter().flat_map(|a| ["x", "y", "z"].map(|b| format!("{a}/{b}"))) {
                let path = path.parse().unwrap();
                let said = map.artefact(workspace, &path).map(|found| (found.ownership.owner, found.digest, found.ownership.epoch));
                let model = owner_by_model(&model, workspace, &path);
                prop_assert_eq!(said.map(|said| said.2), model.map(|model| model.2));
                if let Some(said) = said {
                    // Of two parts with one epoch either may be named.
                    let is_there = |(owner, digest, epoch): (PodId, Digest, Epoch)| owner_is(&map, workspace, &path, owner, digest, epoch);
                    prop_assert!(is_there(said));
                }
            }
        }
    }

    #[test]
    fn the_order_of_records_does_not_matter(
        mut records in proptest::collection::vec((workspace(), part(), 0..4_u8, tree()), 0..12),
        order in any::<u64>(),
    ) {
        let build = |records: &[(usize, Covered)]| {
            let mut map = Map::default();
            for (at, (workspace, part, owner, tree)) in records {
                let ownership = Ownership { workspace: *workspace, part: part.clone(), owner: pod(*owner), epoch: (1, *at as u64) };
                map.apply(ownership, tree);
            }
            let mut all: Vec<String> = map.ownerships().map(|one| format!("{one:?}")).collect();
            all.sort();
            all
        };
        let mut numbered: Vec<_> = records.drain(..).enumerate().collect();
        let straight = build(&numbered);
        numbered.sort_by_key(|(at, _)| (*at as u64).wrapping_mul(order | 1));
        prop_assert_eq!(build(&numbered), straight);
    }
}

fn owner_is(
    map: &Map<Epoch>,
    workspace: WorkspaceId,
    path: &RelPath,
    owner: PodId,
    digest: Digest,
    epoch: Epoch,
) -> bool {
    map.artefact(workspace, path).is_some_and(|found| {
        found.ownership.owner == owner && found.digest == digest && found.ownership.epoch == epoch
    })
}

fn record(workspace: u128, step: &str, owner: u8, epoch: u64) -> Ownership<Epoch> {
    let part = Part::Step(StepId::new(step));
    Ownership { workspace: WorkspaceId::from_random(workspace), part, owner: pod(owner), epoch: (1, epoch) }
}

fn files(files: &[(&str, u8, u64)]) -> Tree {
    let file = |(path, number, size): &(&str, u8, u64)| {
        (path.parse().unwrap(), TreeEntry::File { digest: bytes(*number), size: *size, exec: false })
    };
    Tree::new(files.iter().map(file).collect()).unwrap()
}

#[test]
fn the_pod_that_has_most_bytes_comes_first() {
    let mut map = Map::default();
    map.apply(record(1, "a", 1, 1), &files(&[("a", 1, 100), ("b", 2, 50)]));
    map.apply(record(1, "c", 2, 2), &files(&[("c", 3, 120)]));
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
    let mut map = Map::default();
    map.apply(record(1, "a", 0, 1), &files(&[("a", 1, 1)]));
    for other in 1..=100 {
        map.note_holder(pod(other), &bytes(1));
    }
    assert_eq!(map.holders(&bytes(1)).len(), MAX_HOLDERS);
}
