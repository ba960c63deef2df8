//! What a full disk leaves, and what waits in memory.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Lets the database take no entry of `log.bad`, or take it again.
fn fill(path: &Path, full: bool) {
    let database = rusqlite::Connection::open(path).unwrap();
    let change = match full {
        true => {
            "CREATE TRIGGER no_room BEFORE INSERT ON entries WHEN NEW.subject = 'log.bad'
             BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        }
        false => "DROP TRIGGER no_room",
    };
    database.execute_batch(change).unwrap();
}

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl View for Seen {
    fn wants(&self, _: &str) -> bool {
        true
    }

    fn apply(&self, entry: &Entry) {
        self.0.lock().push(entry.subject.clone());
    }

    fn forget(&self, _: &Entry) {}
}

#[tokio::test]
async fn a_batch_that_the_disk_does_not_take_leaves_nothing() {
    let server = MemoryServer::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let ledger = Ledger::open(parts(Arc::new(server.connect())), Some(&path)).unwrap();
    let seen = Arc::new(Seen::default());
    ledger.add_view(seen.clone()).unwrap();
    let epoch = Epoch { incarnation: ledger.bus.log().await.unwrap(), revision: 1 };
    let batch: Vec<(String, Vec<u8>)> =
        ["log.good", "log.bad"].map(|name| (name.to_owned(), word(name, epoch, 1).signed)).into();
    fill(&path, true);
    ledger.offer_many(&batch).unwrap_err();
    assert_eq!((ledger.digest(), ledger.get("log.good").unwrap()), (0, None));
    assert!(seen.0.lock().is_empty(), "a view was told what was not kept");
    // What is said now does not fall into what was broken off.
    ledger.say("log.next", json!(1)).await.unwrap();
    ledger.offer_many(&batch).unwrap_err();
    assert!(ledger.get("log.next").unwrap().is_some());
    assert_eq!(*seen.0.lock(), ["log.next"]);
    fill(&path, false);
    assert_eq!(ledger.offer_many(&batch).unwrap(), 2);
    let digest = ledger.digest();
    drop(ledger);
    let again = Ledger::open(parts(Arc::new(server.connect())), Some(&path)).unwrap();
    assert_eq!((again.digest(), again.len().unwrap()), (digest, 3));
}

/// Waits for all but what is said on one subject, and counts.
struct Slow(AtomicUsize);

impl Policy for Slow {
    fn judge(&self, entry: &Entry) -> Judgement {
        self.0.fetch_add(1, Ordering::SeqCst);
        if entry.subject == "log.x" || entry.subject.starts_with(subject::MEMBERS) {
            Judgement::Take
        } else {
            Judgement::Wait
        }
    }

    fn alive(&self) -> Vec<PodId> {
        Vec::new()
    }

    fn outcasts(&self) -> Vec<PodId> {
        Vec::new()
    }
}

#[tokio::test]
async fn what_waits_is_bounded_by_bytes_and_looked_at_when_somebody_has_come() {
    let server = MemoryServer::new();
    let pod = idle(&server);
    let policy = Arc::new(Slow(AtomicUsize::new(0)));
    pod.ledger.set_policy(policy.clone());
    let incarnation = pod.bus.log().await.unwrap();
    let author = Identity::generate().unwrap();
    let long = json!("x".repeat(60_000));
    for n in 0..200 {
        let (name, epoch) = (format!("log.parked.{n}"), Epoch { incarnation, revision: 1 });
        let entry = Entry::new(&author, &federation(), &name, epoch, (1, long.clone())).unwrap();
        assert_eq!(pod.ledger.offer(&name, &entry.signed).unwrap(), Taken::Waits);
        // Nobody has the key of this generation.
        let sealed = [[1, 9, 9, 9, 9].as_slice(), &entry.signed].concat();
        let taken = pod.ledger.batch(|batch| batch.take_sealed(&name, &sealed, None)).unwrap();
        assert_eq!(taken, Taken::Waits);
    }
    {
        let state = pod.ledger.state.lock();
        for parked in [&state.parked, &state.closed] {
            let bytes: usize = parked.iter().map(|(name, bytes)| name.len() + bytes.len()).sum();
            assert!((MAX_PARKED_BYTES / 2..=MAX_PARKED_BYTES).contains(&bytes), "{bytes}");
        }
    }
    let judged = || policy.0.swap(0, Ordering::SeqCst);
    judged();
    pod.ledger.say("log.x", json!(1)).await.unwrap();
    assert!(judged() <= 2, "all that waits was looked at for a word that changes nothing for it");
    pod.ledger.say(&subject::member(&author.pod()), json!(1)).await.unwrap();
    assert!(judged() > 20, "what waits for a member was not looked at when one came");
}
