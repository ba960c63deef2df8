//! Traces and bytes of another pod, over the twin: what holds here is taken, what does not is left.

use protocol::{Look, Tree, TreeEntry, WorkspaceId};
use view::{Body, Source};

use super::twin::Federation;
use super::*;
use crate::Verdict;
use crate::testing::{Place, spec};

/// A trace of this pod over `a` that holds these bytes; it made `out`.
fn run(place: &Place, text: &str) -> (Trace, PathSet) {
    let spec = spec(&[], &[]);
    let project = place.project(&spec, &[("a", text)]);
    let (trace, set) = place.trace(&spec, &project, &[("project/a", Look::Content)]);
    let made = format!("made of {text}");
    let digest = place.larder.put(ObjectKind::Blob, made.as_bytes()).unwrap();
    let file = TreeEntry::File { digest, size: made.len() as u64, exec: false };
    let tree = Tree::new(vec![("out".parse().unwrap(), file)]).unwrap();
    let outputs = place.larder.put(ObjectKind::Tree, &tree.encode()).unwrap();
    (Trace { outputs, ..trace }, set)
}

fn publish(place: &Place, supply: &Supply, text: &str) -> Trace {
    let (trace, set) = run(place, text);
    let added = place.larder.add_trace(&trace, &set, WorkspaceId::from_random(7)).unwrap();
    supply.announce(&trace, added.trace().unwrap());
    trace
}

/// The pods of these tests: `there` runs steps, `here` learns.
const THERE: PodId = PodId::from_bytes([1; 32]);
const HERE: PodId = PodId::from_bytes([2; 32]);
const THIRD: PodId = PodId::from_bytes([3; 32]);

fn joined(pod: PodId, place: &Place, federation: &Federation) -> Supply {
    let supply = Supply::from(place.larder.clone());
    supply.join(federation.join(pod, &place.larder));
    supply
}

fn hit(place: &Place, text: &str) -> Option<Arc<Trace>> {
    let spec = spec(&[], &[]);
    let project = place.project(&spec, &[("a", text)]);
    let ours = WorkspaceId::from_random(1);
    let verdict =
        place.runtime.block_on(place.evaluator().look_up(&spec.weak_key(), &project, ours)).unwrap();
    match verdict {
        Verdict::Hit { trace, .. } => Some(trace),
        Verdict::Miss { .. } => None,
    }
}

#[test]
fn a_trace_of_another_pod_answers_where_it_holds() {
    let (there, here, federation) = (Place::new(), Place::new(), Federation::default());
    let (theirs, ours) = (joined(THERE, &there, &federation), joined(HERE, &here, &federation));
    let weak = spec(&[], &[]).weak_key();
    assert!(!here.runtime.block_on(ours.learn(&weak)).unwrap());
    let trace = publish(&there, &theirs, "one");
    publish(&there, &theirs, "two");
    assert!(hit(&here, "one").is_none());
    assert!(here.runtime.block_on(ours.learn(&weak)).unwrap());
    assert_eq!(hit(&here, "one").unwrap().outputs, trace.outputs);
    assert!(hit(&here, "three").is_none());
    // What is known is not asked for again.
    let brought = federation.brought();
    assert!(!here.runtime.block_on(ours.learn(&weak)).unwrap());
    assert_eq!(federation.brought(), brought);
}

#[test]
fn bytes_come_when_they_are_opened() {
    let (there, here, federation) = (Place::new(), Place::new(), Federation::default());
    let (theirs, ours) = (joined(THERE, &there, &federation), joined(HERE, &here, &federation));
    let trace = publish(&there, &theirs, "one");
    let tree = here.runtime.block_on(ours.get(ObjectKind::Tree, &trace.outputs)).unwrap().unwrap();
    let tree = Tree::decode(&tree).unwrap();
    let Some(TreeEntry::File { digest, .. }) = tree.get(&"out".parse().unwrap()).cloned() else { panic!() };
    assert!(!here.larder.contains(&digest).unwrap());
    assert!(here.runtime.block_on(ours.has_all([&digest])).unwrap());
    let project = here.project_of(&tree, ours.clone());
    let body = here.runtime.block_on(project.open(&"out".parse().unwrap())).unwrap();
    assert!(matches!(body, Some(Body::Bytes(bytes)) if bytes == "made of one"));
}

#[test]
fn what_nobody_can_give_any_more_is_gone() {
    let (there, here, federation) = (Place::new(), Place::new(), Federation::default());
    let (theirs, ours) = (joined(THERE, &there, &federation), joined(HERE, &here, &federation));
    let trace = publish(&there, &theirs, "one");
    let tree = here.runtime.block_on(ours.get(ObjectKind::Tree, &trace.outputs)).unwrap().unwrap();
    let tree = Tree::decode(&tree).unwrap();
    federation.fall_apart();
    let project = here.project_of(&tree, ours.clone());
    let opened = here.runtime.block_on(project.open(&"out".parse().unwrap()));
    assert!(matches!(opened, Err(view::SourceError::Gone)), "{opened:?}");
    let Some(TreeEntry::File { digest, .. }) = tree.get(&"out".parse().unwrap()).cloned() else { panic!() };
    assert!(!here.runtime.block_on(ours.has_all([&digest])).unwrap());
}

#[test]
fn a_trace_that_is_not_what_it_is_announced_as_is_left_alone() {
    let (there, here, federation) = (Place::new(), Place::new(), Federation::default());
    let (theirs, ours) = (joined(THERE, &there, &federation), joined(HERE, &here, &federation));
    let good = publish(&there, &theirs, "one");
    // The very trace, said to answer another step.
    let other = Digest::of(b"another step");
    let news = TraceNews {
        outputs: None,
        weak: other,
        path_set: good.path_set,
        strong: Digest::of(b"made up"),
        trace: good.digest(),
        revoked: false,
    };
    federation.claim(THERE, news);
    assert!(!here.runtime.block_on(ours.learn(&other)).unwrap());
    assert!(here.larder.traces_of(&other).unwrap().is_empty());
    // What was revoked here never comes back.
    here.larder.revoke(&good.digest()).unwrap();
    assert!(!here.runtime.block_on(ours.learn(&good.weak)).unwrap());
    assert!(hit(&here, "one").is_none());
}

#[test]
fn who_has_parted_asks_nobody() {
    let (there, here, federation) = (Place::new(), Place::new(), Federation::default());
    let (theirs, ours) = (joined(THERE, &there, &federation), joined(HERE, &here, &federation));
    let trace = publish(&there, &theirs, "one");
    ours.part();
    assert!(!here.runtime.block_on(ours.learn(&trace.weak)).unwrap());
    assert!(here.runtime.block_on(ours.get(ObjectKind::Tree, &trace.outputs)).unwrap().is_none());
}

#[test]
fn what_was_made_before_joining_is_announced_when_it_answers_and_only_once() {
    let (there, here, federation) = (Place::new(), Place::new(), Federation::default());
    let theirs = Supply::from(there.larder.clone());
    let trace = publish(&there, &theirs, "one");
    theirs.join(federation.join(THERE, &there.larder));
    let ours = joined(HERE, &here, &federation);
    assert!(!here.runtime.block_on(ours.learn(&trace.weak)).unwrap());
    for _ in 0..2 {
        theirs.announce(&hit(&there, "one").unwrap(), trace.digest());
    }
    assert_eq!(federation.said().len(), 1);
    assert!(here.runtime.block_on(ours.learn(&trace.weak)).unwrap());
    // What was learned is not ours to announce.
    ours.announce(&hit(&here, "one").unwrap(), trace.digest());
    assert_eq!(federation.said().len(), 1);
}

#[test]
fn all_that_came_from_a_pod_is_disowned_with_it_and_nothing_else() {
    let (there, third, here) = (Place::new(), Place::new(), Place::new());
    let federation = Federation::default();
    let (theirs, thirds) = (joined(THERE, &there, &federation), joined(THIRD, &third, &federation));
    let trace = publish(&there, &theirs, "one");
    publish(&third, &thirds, "two");
    publish(&here, &Supply::from(here.larder.clone()), "three");
    let ours = joined(HERE, &here, &federation);
    assert!(here.runtime.block_on(ours.learn(&trace.weak)).unwrap());
    let answers = || ["one", "two", "three"].map(|text| hit(&here, text).is_some());
    assert_eq!(answers(), [true; 3]);
    // Another one, or a later process over the same larder, knows as well whose they are.
    let ours = joined(HERE, &here, &federation);
    assert_eq!(ours.disown(&HERE).unwrap(), 0);
    assert!(!ours.disown_trace(&THIRD, &trace.digest()).unwrap());
    assert_eq!(answers(), [true; 3]);
    assert_eq!(ours.disown(&THERE).unwrap(), 1);
    assert_eq!(ours.disown(&THERE).unwrap(), 0);
    assert_eq!(answers(), [false, true, true]);
    assert!(!here.runtime.block_on(ours.learn(&trace.weak)).unwrap());
}

#[test]
fn what_is_revoked_is_told_and_no_equal_one_is_learned_again() {
    let (there, third, here) = (Place::new(), Place::new(), Place::new());
    let federation = Federation::default();
    let (theirs, thirds) = (joined(THERE, &there, &federation), joined(THIRD, &third, &federation));
    let trace = publish(&there, &theirs, "one");
    let ours = joined(HERE, &here, &federation);
    assert!(here.runtime.block_on(ours.learn(&trace.weak)).unwrap());
    // Somebody has run the same, and took another time for it.
    let (equal, set) = run(&third, "one");
    let equal = Trace { millis: trace.millis + 1, ..equal };
    third.larder.add_trace(&equal, &set, WorkspaceId::from_random(8)).unwrap();
    thirds.announce(&equal, equal.digest());
    assert!(equal.digest() != trace.digest() && equal.strong() == trace.strong());
    ours.revoke(&trace.digest()).unwrap();
    assert!(hit(&here, "one").is_none());
    assert!(!here.runtime.block_on(ours.learn(&trace.weak)).unwrap());
    assert!(hit(&here, "one").is_none());
    // It was not ours to take back. Its maker tells everybody.
    let said = federation.said().len();
    theirs.revoke(&trace.digest()).unwrap();
    assert_eq!(federation.said().len(), said + 1);
    let newcomer = Place::new();
    let new = joined(PodId::from_bytes([4; 32]), &newcomer, &federation);
    assert!(newcomer.runtime.block_on(new.learn(&trace.weak)).unwrap());
    assert_eq!(hit(&newcomer, "one").unwrap().digest(), equal.digest());
    assert!(new.disown_trace(&THIRD, &equal.digest()).unwrap());
    assert!(hit(&newcomer, "one").is_none());
}

#[test]
fn many_traces_of_one_pod_leave_room_for_those_of_another() {
    let (there, third, here) = (Place::new(), Place::new(), Place::new());
    let federation = Federation::default();
    let (theirs, thirds) = (joined(THERE, &there, &federation), joined(THIRD, &third, &federation));
    let good = publish(&there, &theirs, "one");
    let spec = spec(&[], &[]);
    let many = CANDIDATES_PER_WORKSPACE + 10;
    for number in 0..many {
        // Each asks for something else.
        let name = format!("b{number}");
        let project = third.project(&spec, &[(name.as_str(), "x")]);
        let (trace, set) =
            third.trace(&spec, &project, &[(format!("project/{name}").as_str(), Look::Content)]);
        let added = third.larder.add_trace(&trace, &set, WorkspaceId::from_random(7)).unwrap();
        thirds.announce(&trace, added.trace().unwrap());
    }
    let ours = joined(HERE, &here, &federation);
    assert!(here.runtime.block_on(ours.learn(&good.weak)).unwrap());
    assert!(hit(&here, "one").is_some());
    // What would not be kept was not brought.
    assert_eq!(here.larder.traces_of(&good.weak).unwrap().len(), 1 + CANDIDATES_PER_WORKSPACE);
    let brought = federation.brought();
    assert!(!here.runtime.block_on(ours.learn(&good.weak)).unwrap());
    assert_eq!(federation.brought(), brought);
}

#[test]
fn what_is_too_large_to_be_read_is_not_brought() {
    let (there, here, federation) = (Place::new(), Place::new(), Federation::default());
    let (_theirs, ours) = (joined(THERE, &there, &federation), joined(HERE, &here, &federation));
    let large = there.larder.put(ObjectKind::Blob, &vec![0; MAX_READ as usize + 1]).unwrap();
    let get = |digest| here.runtime.block_on(ours.get(ObjectKind::Blob, &digest)).unwrap();
    assert_eq!(get(large), None);
    assert!(!here.larder.contains(&large).unwrap());
    // As a file it may be as large as it likes; it is not read for that.
    here.runtime.block_on(ours.bring([ObjectId::blob(large)], Urgency::Bulk)).unwrap();
    assert!(here.larder.contains(&large).unwrap());
    assert_eq!(get(large), None);
    let short = there.larder.put(ObjectKind::Blob, b"short").unwrap();
    assert_eq!(get(short).as_deref(), Some(&b"short"[..]));
}

#[test]
fn of_different_results_of_the_same_the_lowest_is_taken_wherever_nobody_has_one() {
    let (there, third) = (Place::new(), Place::new());
    let federation = Federation::default();
    let (theirs, thirds) = (joined(THERE, &there, &federation), joined(THIRD, &third, &federation));
    let one = publish(&there, &theirs, "one");
    let (trace, set) = run(&third, "one");
    let outputs = third.larder.put(ObjectKind::Tree, &Tree::new(vec![]).unwrap().encode()).unwrap();
    let other = Trace { outputs, ..trace };
    third.larder.add_trace(&other, &set, WorkspaceId::from_random(8)).unwrap();
    thirds.announce(&other, other.digest());
    assert!(other.strong() == one.strong() && other.outputs != one.outputs);
    let lowest = one.outputs.min(other.outputs);
    // Both orders of the two, for the newest is heard of first.
    for last in [&one, &other] {
        let (by, supply) = if last.outputs == one.outputs { (&there, &theirs) } else { (&third, &thirds) };
        let again = Trace { millis: last.millis + 1, ..last.clone() };
        by.larder.put(ObjectKind::Trace, &again.encode()).unwrap();
        supply.announce(&again, again.digest());
        let here = Place::new();
        let ours = joined(HERE, &here, &federation);
        assert!(here.runtime.block_on(ours.learn(&one.weak)).unwrap());
        assert_eq!(hit(&here, "one").unwrap().outputs, lowest);
    }
    // Whoever has made one keeps it.
    third.runtime.block_on(thirds.learn(&one.weak)).unwrap();
    assert_eq!(hit(&third, "one").unwrap().outputs, other.outputs);
}
