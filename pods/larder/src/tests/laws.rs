//! One set of laws for every store.

use std::fs::File;
use std::io::Write;

use super::subjects::{OnDisk, Subject, Twin};
use super::{OURS, THEIRS, big, set, trace};
use crate::{Added, LarderError, ObjectKind, Store};
use protocol::{Digest, Trace};

macro_rules! laws {
    ($($law:ident),* $(,)?) => {
        mod twin {
            $(#[test] fn $law() { super::$law(<super::Twin as super::Subject>::new()); })*
        }
        mod on_disk {
            $(#[test] fn $law() { super::$law(<super::OnDisk as super::Subject>::new()); })*
        }
    };
}

laws![
    what_is_put_can_be_got,
    absent_is_none,
    kinds_are_kept_apart,
    putting_again_changes_nothing,
    files_are_taken_whole,
    damage_is_absence,
    what_is_damaged_can_be_put_again,
    the_first_result_stays,
    a_trace_answers_its_strong_key,
    traces_of_a_pair_come_newest_first,
    path_sets_come_ours_first_last_hit_first,
    candidates_are_bounded,
    a_revoked_trace_never_comes_back,
    a_wrong_path_set_is_refused,
    all_is_there_after_opening_again,
    threads_may_put_at_the_same_time,
];

fn samples() -> Vec<Vec<u8>> {
    vec![vec![], b"x".to_vec(), vec![7; 5000], big(0), big(1)]
}

fn check_there(store: &impl Store, bytes: &[u8]) {
    let digest = Digest::of(bytes);
    assert!(store.contains(&digest).unwrap());
    assert_eq!(store.size_of(&digest).unwrap(), Some(bytes.len() as u64));
    assert_eq!(store.get(ObjectKind::Blob, &digest).unwrap().as_deref(), Some(bytes));
    let content = store.open_blob(&digest).unwrap().unwrap();
    assert_eq!((content.size(), &content.read().unwrap()[..]), (bytes.len() as u64, bytes));
}

fn what_is_put_can_be_got(subject: impl Subject) {
    for bytes in samples() {
        assert_eq!(subject.store().put(ObjectKind::Blob, &bytes).unwrap(), Digest::of(&bytes));
        check_there(subject.store(), &bytes);
    }
    for kind in ObjectKind::ALL {
        let digest = subject.store().put(kind, b"something").unwrap();
        assert_eq!(subject.store().get(kind, &digest).unwrap().as_deref(), Some(&b"something"[..]));
    }
    subject.store().flush().unwrap();
    samples().iter().for_each(|bytes| check_there(subject.store(), bytes));
}

fn absent_is_none(subject: impl Subject) {
    let (store, digest) = (subject.store(), Digest::of(b"nothing"));
    for kind in ObjectKind::ALL {
        assert_eq!(store.get(kind, &digest).unwrap(), None);
    }
    assert!(store.open_blob(&digest).unwrap().is_none());
    assert!(!store.contains(&digest).unwrap());
    assert_eq!(store.size_of(&digest).unwrap(), None);
    assert_eq!(store.trace(&digest).unwrap(), None);
    assert_eq!(store.path_sets(&digest, OURS).unwrap(), vec![]);
}

fn kinds_are_kept_apart(subject: impl Subject) {
    let store = subject.store();
    for kind in ObjectKind::ALL {
        let digest = store.put(kind, b"same bytes").unwrap();
        for other in ObjectKind::ALL {
            assert_eq!(store.get(other, &digest).unwrap().is_some(), other == kind, "{kind:?} as {other:?}");
        }
    }
    let digest = store.put(ObjectKind::Trace, b"same bytes").unwrap();
    assert!(store.open_blob(&digest).unwrap().is_none());
}

fn putting_again_changes_nothing(subject: impl Subject) {
    for _ in 0..3 {
        samples().iter().for_each(|bytes| {
            subject.store().put(ObjectKind::Blob, bytes).unwrap();
        });
        subject.store().flush().unwrap();
    }
    samples().iter().for_each(|bytes| check_there(subject.store(), bytes));
}

fn files_are_taken_whole(subject: impl Subject) {
    for bytes in samples() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let stored = subject.store().put_file(&file).unwrap();
        assert_eq!(stored, (Digest::of(&bytes), bytes.len() as u64));
        check_there(subject.store(), &bytes);
    }
    // A file that says that it is empty and is not, as in /proc.
    let (digest, size) = subject.store().put_file(&File::open("/proc/version").unwrap()).unwrap();
    let version = std::fs::read("/proc/version").unwrap();
    assert_eq!((digest, size), (Digest::of(&version), version.len() as u64));
    check_there(subject.store(), &version);
}

fn damage_is_absence(subject: impl Subject) {
    let kept = subject.store().put(ObjectKind::Blob, b"kept").unwrap();
    for bytes in samples().into_iter().filter(|bytes| !bytes.is_empty()) {
        let digest = subject.store().put(ObjectKind::Blob, &bytes).unwrap();
        subject.damage(&digest);
        assert!(subject.store().open_blob(&digest).unwrap().is_none());
        assert_eq!(subject.store().get(ObjectKind::Blob, &digest).unwrap(), None);
        assert!(!subject.store().contains(&digest).unwrap());
    }
    let set = set("a");
    let trace = trace("weak", &set, "saw", "made");
    subject.store().add_trace(&trace, &set, OURS).unwrap();
    subject.store().flush().unwrap();
    subject.damage(&trace.digest());
    assert_eq!(subject.store().trace(&trace.strong()).unwrap(), None);
    assert!(subject.store().get(ObjectKind::Blob, &kept).unwrap().is_some());
}

fn what_is_damaged_can_be_put_again(mut subject: impl Subject) {
    for bytes in samples().into_iter().filter(|bytes| !bytes.is_empty()) {
        let digest = subject.store().put(ObjectKind::Blob, &bytes).unwrap();
        subject.damage(&digest);
        assert!(subject.store().open_blob(&digest).unwrap().is_none());
        subject.store().put(ObjectKind::Blob, &bytes).unwrap();
        check_there(subject.store(), &bytes);
        subject = subject.reopen();
        check_there(subject.store(), &bytes);
    }
}

fn the_first_result_stays(mut subject: impl Subject) {
    let set = set("a");
    let first = trace("weak", &set, "saw", "made");
    let again = Trace { millis: 99, ..first.clone() };
    let other = trace("weak", &set, "saw", "made something else");
    assert_eq!(subject.store().add_trace(&first, &set, OURS).unwrap(), Added::New(first.digest()));
    for _ in 0..2 {
        let store = subject.store();
        assert_eq!(store.add_trace(&again, &set, THEIRS).unwrap(), Added::Known(first.digest()));
        let differs = Added::Differs { first: first.digest(), now: other.digest() };
        assert_eq!(store.add_trace(&other, &set, OURS).unwrap(), differs);
        assert_eq!(store.trace(&first.strong()).unwrap().unwrap().0, first.digest());
        subject = subject.reopen();
    }
}

fn a_trace_answers_its_strong_key(subject: impl Subject) {
    let set = set("a");
    let traces: Vec<Trace> =
        (0..5).map(|n| trace("weak", &set, &format!("saw {n}"), &format!("made {n}"))).collect();
    for trace in &traces {
        subject.store().add_trace(trace, &set, OURS).unwrap();
    }
    for trace in &traces {
        let (digest, found) = subject.store().trace(&trace.strong()).unwrap().unwrap();
        assert_eq!((digest, &*found), (trace.digest(), trace));
        let bytes = subject.store().get(ObjectKind::Trace, &digest).unwrap().unwrap();
        assert_eq!(Trace::decode(&bytes).unwrap(), *trace);
    }
    let sets = subject.store().path_sets(&traces[0].weak, OURS).unwrap();
    assert_eq!(sets.len(), 1);
    assert_eq!(*sets[0].1, set);
}

fn traces_of_a_pair_come_newest_first(mut subject: impl Subject) {
    let (one, other) = (set("a"), set("b"));
    let traces: Vec<Trace> = (0..5).map(|n| trace("weak", &one, &format!("saw {n}"), "made")).collect();
    for trace in &traces {
        subject.store().add_trace(trace, &one, OURS).unwrap();
    }
    subject.store().add_trace(&trace("weak", &other, "saw 0", "made"), &other, OURS).unwrap();
    subject.store().add_trace(&trace("other", &one, "saw 0", "made"), &one, OURS).unwrap();
    // To come again is no news.
    subject.store().add_trace(&traces[0], &one, THEIRS).unwrap();
    let found = |store: &dyn Store, at_most| -> Vec<Digest> {
        let found = store.traces_with(&traces[0].weak, &one.digest(), at_most).unwrap();
        assert!(found.iter().all(|(digest, trace)| *digest == trace.digest()));
        found.into_iter().map(|(digest, _)| digest).collect()
    };
    let newest_first: Vec<Digest> = traces.iter().rev().map(Trace::digest).collect();
    assert_eq!(found(subject.store(), 9), newest_first);
    assert_eq!(found(subject.store(), 2), newest_first[..2]);
    subject.store().revoke(&newest_first[1]).unwrap();
    assert_eq!(found(subject.store(), 2), [newest_first[0], newest_first[2]]);
    subject.store().flush().unwrap();
    subject = subject.reopen();
    assert_eq!(found(subject.store(), 2), [newest_first[0], newest_first[2]]);
    assert_eq!(subject.store().traces_with(&Digest::of(b"none"), &one.digest(), 9).unwrap(), vec![]);
}

fn path_sets_come_ours_first_last_hit_first(mut subject: impl Subject) {
    let weak = Digest::of(b"weak");
    let sets: Vec<_> = (0..4).map(|n| set(&n.to_string())).collect();
    let traces: Vec<_> = sets.iter().map(|set| trace("weak", set, "saw", "made")).collect();
    for (n, workspace) in [(0, OURS), (1, OURS), (2, THEIRS), (3, THEIRS)] {
        subject.store().add_trace(&traces[n], &sets[n], workspace).unwrap();
    }
    let order = |store: &dyn Store, workspace| -> Vec<usize> {
        let found = store.path_sets(&weak, workspace).unwrap();
        found.iter().map(|(_, found)| sets.iter().position(|set| *set == **found).unwrap()).collect()
    };
    assert_eq!(order(subject.store(), OURS), [1, 0, 3, 2]);
    assert_eq!(order(subject.store(), THEIRS), [3, 2, 1, 0]);
    subject.store().hit(&traces[0], OURS).unwrap();
    subject.store().hit(&traces[0], OURS).unwrap();
    assert_eq!(order(subject.store(), OURS), [0, 1, 3, 2]);
    subject.store().hit(&traces[2], OURS).unwrap();
    assert_eq!(order(subject.store(), OURS), [2, 0, 1, 3]);
    subject.store().flush().unwrap();
    subject = subject.reopen();
    assert_eq!(order(subject.store(), OURS), [2, 0, 1, 3]);
}

fn candidates_are_bounded(subject: impl Subject) {
    let weak = Digest::of(b"weak");
    for n in 0..40 {
        let set = set(&n.to_string());
        subject.store().add_trace(&trace("weak", &set, "saw", "made"), &set, OURS).unwrap();
    }
    let found = subject.store().path_sets(&weak, OURS).unwrap();
    assert_eq!(found.len(), crate::options::CANDIDATES_PER_WORKSPACE);
    assert_eq!(*found[0].1, set("39"));
}

fn a_revoked_trace_never_comes_back(mut subject: impl Subject) {
    let set = set("a");
    let bad = trace("weak", &set, "saw", "made badly");
    let good = trace("weak", &set, "saw", "made well");
    subject.store().add_trace(&bad, &set, OURS).unwrap();
    subject.store().revoke(&bad.digest()).unwrap();
    for _ in 0..2 {
        assert_eq!(subject.store().trace(&bad.strong()).unwrap(), None);
        let added = subject.store().add_trace(&bad, &set, THEIRS).unwrap();
        assert_eq!((added, added.trace()), (Added::Revoked(bad.digest()), None));
        assert_eq!(subject.store().trace(&bad.strong()).unwrap(), None);
        subject = subject.reopen();
    }
    // Not even one that was never here.
    let unseen = trace("weak", &set, "saw more", "made");
    subject.store().revoke(&unseen.digest()).unwrap();
    assert_eq!(subject.store().add_trace(&unseen, &set, OURS).unwrap(), Added::Revoked(unseen.digest()));
    assert_eq!(subject.store().add_trace(&good, &set, OURS).unwrap(), Added::New(good.digest()));
    assert_eq!(subject.reopen().store().trace(&good.strong()).unwrap().unwrap().0, good.digest());
}

fn a_wrong_path_set_is_refused(subject: impl Subject) {
    let refused = subject.store().add_trace(&trace("weak", &set("a"), "saw", "made"), &set("b"), OURS);
    assert!(matches!(refused, Err(LarderError::WrongPathSet)));
}

fn all_is_there_after_opening_again(mut subject: impl Subject) {
    let set = set("a");
    let trace = trace("weak", &set, "saw", "made");
    for bytes in samples() {
        subject.store().put(ObjectKind::Blob, &bytes).unwrap();
    }
    subject.store().add_trace(&trace, &set, OURS).unwrap();
    for _ in 0..3 {
        subject = subject.reopen();
        samples().iter().for_each(|bytes| check_there(subject.store(), bytes));
        assert_eq!(*subject.store().trace(&trace.strong()).unwrap().unwrap().1, trace);
        assert_eq!(subject.store().path_sets(&trace.weak, OURS).unwrap().len(), 1);
    }
}

fn threads_may_put_at_the_same_time(subject: impl Subject) {
    let store = subject.store();
    let small = |n: u32| format!("small {}", n % 150).into_bytes();
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            scope.spawn(move || {
                for n in 0..200 {
                    let bytes = small(n + 50 * thread);
                    let digest = store.put(ObjectKind::Blob, &bytes).unwrap();
                    assert_eq!(store.get(ObjectKind::Blob, &digest).unwrap().as_deref(), Some(&bytes[..]));
                }
                let bytes = big(thread as u8 % 2);
                let digest = store.put(ObjectKind::Blob, &bytes).unwrap();
                assert!(store.get(ObjectKind::Blob, &digest).unwrap().is_some());
            });
        }
    });
    (0..150).for_each(|n| check_there(store, &small(n)));
}
