//! A process that dies between any two writes, or in the middle of one, and a disk that is full.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{OURS, big, open_with_plan, set, trace};
use crate::fault::plan::Plan;
use crate::{CommitOptions, Content, Larder, LarderError, MemoryOptions, ObjectKind, Options};
use protocol::{Digest, PathSet, Trace};

/// Small packs and buffers, so that little work crosses many boundaries.
fn tiny() -> Options {
    Options {
        commit: CommitOptions { gather: Duration::ZERO, max_rows: 8, sync_after: None },
        memory: MemoryOptions { lane_buffer: 1 << 10, ..MemoryOptions::default() },
        lanes: 2,
        pack_target_size: 8 << 10,
    }
}

/// What a caller was told, and may rely on after a crash.
#[derive(Default)]
struct Promised {
    objects: Vec<Vec<u8>>,
    traces: Vec<(Trace, PathSet)>,
    revoked: Vec<Trace>,
}

struct Workload {
    put: Vec<Vec<u8>>,
    promised: Promised,
}

impl Workload {
    /// A few builds' worth; ends at the first error, as the process would.
    fn run(&mut self, larder: &Larder, outside: &Path) -> Result<(), LarderError> {
        for round in 0..3u8 {
            for n in 0..6u8 {
                self.put(larder, vec![round * 16 + n; 150 * usize::from(n) + 1])?;
            }
            self.put(larder, big(round))?;
            let whole = big(100 + round);
            std::fs::write(outside, &whole).unwrap();
            larder.adopt(outside)?;
            self.put.push(whole);
            let set = set(&format!("file {round}"));
            let trace = trace("weak", &set, "saw", &format!("made {round}"));
            larder.add_trace(&trace, &set, OURS)?;
            self.promised.objects.clone_from(&self.put);
            self.promised.traces.push((trace.clone(), set));
            if round == 1 {
                // From here on it may be gone, and from the answer on it has to be.
                self.promised.traces.pop();
                larder.revoke(&trace.digest())?;
                self.promised.revoked.push(trace);
            }
            self.put(larder, format!("flushed {round}").into_bytes())?;
            larder.flush()?;
            self.promised.objects.clone_from(&self.put);
        }
        Ok(())
    }

    fn put(&mut self, larder: &Larder, bytes: Vec<u8>) -> Result<(), LarderError> {
        larder.put(ObjectKind::Blob, &bytes)?;
        self.put.push(bytes);
        Ok(())
    }

    fn check(&self, larder: &Larder, when: &str) {
        for bytes in &self.put {
            let digest = Digest::of(bytes);
            let found = larder.get(ObjectKind::Blob, &digest).unwrap();
            assert!(found.is_none_or(|found| found == bytes), "{when}: wrong bytes");
        }
        for bytes in &self.promised.objects {
            let there = larder.contains(&Digest::of(bytes)).unwrap();
            assert!(there, "{when}: {} bytes are gone", bytes.len());
        }
        for (trace, set) in &self.promised.traces {
            let (digest, found) = larder.trace(&trace.strong()).unwrap().expect(when);
            assert_eq!((digest, &*found), (trace.digest(), trace), "{when}");
            let sets = larder.path_sets(&trace.weak, OURS).unwrap();
            assert!(sets.iter().any(|(_, found)| **found == *set), "{when}");
        }
        for trace in &self.promised.revoked {
            assert_eq!(larder.trace(&trace.strong()).unwrap(), None, "{when}");
            assert!(larder.is_revoked(&trace.digest()).unwrap(), "{when}");
        }
    }
}

fn crash_everywhere(sixteenths: usize) {
    for effect in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        let home = dir.path().join("larder");
        let plan = Arc::new(Plan::crash_at(effect, sixteenths));
        let mut workload = Workload { put: Vec::new(), promised: Promised::default() };
        let run = open_with_plan(&home, tiny(), &plan).and_then(|larder| workload.run(&larder, &outside));
        let when = format!("killed at {effect}, {:?}", plan.seen().get(effect));
        let again = Larder::open(&home, tiny()).expect(&when);
        workload.check(&again, &when);
        assert_eq!(again.fsck(&mut |_| ()).unwrap().wrong, vec![], "{when}");
        workload.check(&again, &format!("{when}, checked"));
        // And it goes on as if nothing had been.
        let mut rest = Workload { put: Vec::new(), promised: Promised::default() };
        std::fs::remove_file(&outside).unwrap_or_default();
        rest.run(&again, &outside).expect(&when);
        rest.check(&again, &format!("{when}, went on"));
        drop(again);
        rest.check(&Larder::open(&home, tiny()).unwrap(), &format!("{when}, went on, opened"));
        if plan.seen().len() <= effect {
            run.unwrap();
            assert!(effect > 20, "the workload has only {effect} effects");
            return;
        }
        assert!(run.is_err() || plan.seen().len() > effect);
    }
}

#[test]
fn killed_before_any_write() {
    crash_everywhere(0);
}

#[test]
fn killed_in_the_middle_of_any_write() {
    crash_everywhere(7);
}

#[test]
fn killed_after_any_write() {
    crash_everywhere(16);
}

/// Killed while what an earlier crash left is being mended.
#[test]
fn killed_while_recovering() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("larder");
    let mut workload = Workload { put: Vec::new(), promised: Promised::default() };
    let plan = Arc::new(Plan::crash_at(25, 7));
    let larder = open_with_plan(&home, tiny(), &plan).unwrap();
    assert!(workload.run(&larder, &dir.path().join("outside")).is_err());
    drop(larder);
    std::fs::write(home.join("index.sqlite"), b"no database at all, but long enough to be looked at")
        .unwrap();
    for effect in 0.. {
        let plan = Arc::new(Plan::crash_at(effect, 7));
        let opened = open_with_plan(&home, tiny(), &plan);
        if plan.seen().len() <= effect {
            workload.check(&opened.unwrap(), "recovered at last");
            break;
        }
    }
}

#[test]
fn a_full_disk_is_said_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let plan = Arc::new(Plan::default());
    let options = Options { lanes: 1, ..tiny() };
    let larder = open_with_plan(dir.path(), options.clone(), &plan).unwrap();
    let before: Vec<Vec<u8>> = (0..10u8).map(|n| vec![n; 300]).chain([big(0)]).collect();
    for bytes in &before {
        larder.put(ObjectKind::Blob, bytes).unwrap();
    }
    plan.set_full(true);
    let refused: Vec<Vec<u8>> = (0..50u8).map(|n| vec![n; 700]).chain([big(1)]).collect();
    let refusals: Vec<_> =
        refused.iter().filter_map(|bytes| larder.put(ObjectKind::Blob, bytes).err()).collect();
    assert!(!refusals.is_empty());
    for error in refusals.iter().chain([&larder.flush().unwrap_err()]) {
        assert!(matches!(error, LarderError::NoSpace { .. }), "{error:?}");
    }
    let set = set("a");
    assert!(larder.add_trace(&trace("weak", &set, "saw", "made"), &set, OURS).is_err());
    let check = |larder: &Larder| {
        for bytes in &before {
            let found = larder.get(ObjectKind::Blob, &Digest::of(bytes)).unwrap();
            assert_eq!(found.as_deref(), Some(&bytes[..]));
        }
    };
    check(&larder);
    plan.set_full(false);
    // The very first one hears nothing of what was.
    for bytes in &refused {
        larder.put(ObjectKind::Blob, bytes).unwrap();
    }
    check(&larder);
    drop(larder);
    let larder = Larder::open(dir.path(), options).unwrap();
    check(&larder);
    for bytes in &refused {
        let content = larder.open_blob(&Digest::of(bytes)).unwrap().unwrap();
        assert_eq!(content.read().unwrap(), bytes);
        assert_eq!(matches!(content, Content::File { .. }), bytes.len() > 1 << 20);
    }
    assert!(larder.fsck(&mut |_| ()).unwrap().is_clean());
}

/// Every length at which a pack's end may be torn.
#[test]
fn a_pack_may_end_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("larder");
    let options = Options { lanes: 1, ..Options::default() };
    let larder = Larder::open(&home, options.clone()).unwrap();
    let kept = larder.put(ObjectKind::Blob, b"committed").unwrap();
    larder.flush().unwrap();
    let committed = std::fs::metadata(home.join("packs/00000000.pack")).unwrap().len();
    drop(larder);
    let index = std::fs::read(home.join("index.sqlite")).unwrap();
    let log = std::fs::read(home.join("index.sqlite-wal")).unwrap();
    let larder = Larder::open(&home, options.clone()).unwrap();
    let bodies: Vec<Vec<u8>> = (1..6u8).map(|n| vec![n; 40 * usize::from(n)]).collect();
    bodies.iter().for_each(|bytes| {
        larder.put(ObjectKind::Blob, bytes).unwrap();
    });
    drop(larder);
    let pack = std::fs::read(home.join("packs/00000000.pack")).unwrap();
    // Around every boundary of a record, and here and there between.
    let header = crate::record::HEADER as u64;
    let starts = bodies.iter().scan(committed, |at, bytes| {
        let start = *at;
        *at += header + bytes.len() as u64;
        Some(start)
    });
    let mut ends: Vec<u64> = (committed..=pack.len() as u64).step_by(61).chain([pack.len() as u64]).collect();
    ends.extend(starts.flat_map(|at| [at, at + 1, at + header - 1, at + header, at + header + 1]));
    for end in ends {
        // The index of before, as if its writer had not got so far.
        std::fs::remove_file(home.join("index.sqlite-shm")).unwrap_or_default();
        std::fs::write(home.join("index.sqlite"), &index).unwrap();
        std::fs::write(home.join("index.sqlite-wal"), &log).unwrap();
        std::fs::write(home.join("packs/00000000.pack"), &pack[..end as usize]).unwrap();
        let larder = Larder::open(&home, options.clone()).unwrap();
        assert!(larder.get(ObjectKind::Blob, &kept).unwrap().is_some());
        let mut at = committed;
        for bytes in &bodies {
            at += header + bytes.len() as u64;
            assert_eq!(larder.contains(&Digest::of(bytes)).unwrap(), at <= end, "cut at {end}");
            larder.put(ObjectKind::Blob, bytes).unwrap();
            assert_eq!(
                larder.get(ObjectKind::Blob, &Digest::of(bytes)).unwrap().as_deref(),
                Some(&bytes[..])
            );
        }
        assert!(larder.fsck(&mut |_| ()).unwrap().is_clean());
    }
}
