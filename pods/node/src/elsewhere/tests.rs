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

fn joined(place: &Place, federation: &Federation) -> Supply {
    let supply = Supply::from(place.larder.clone());
    supply.join(federation.join(&place.larder));
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
    let (theirs, ours) = (joined(&there, &federation), joined(&here, &federation));
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
    let (theirs, ours) = (joined(&there, &federation), joined(&here, &federation));
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
    let (theirs, ours) = (joined(&there, &federation), joined(&here, &federation));
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
    let (theirs, ours) = (joined(&there, &federation), joined(&here, &federation));
    let good = publish(&there, &theirs, "one");
    // The very trace, said to answer another step.
    let other = Digest::of(b"another step");
    federation.claim(TraceNews {
        weak: other,
        path_set: good.path_set,
        strong: Digest::of(b"made up"),
        trace: good.digest(),
    });
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
    let (theirs, ours) = (joined(&there, &federation), joined(&here, &federation));
    let trace = publish(&there, &theirs, "one");
    ours.part();
    assert!(!here.runtime.block_on(ours.learn(&trace.weak)).unwrap());
    assert!(here.runtime.block_on(ours.get(ObjectKind::Tree, &trace.outputs)).unwrap().is_none());
}
