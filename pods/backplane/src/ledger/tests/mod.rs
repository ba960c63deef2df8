//! The ledger on the twin: rivals, lost answers, lost logs, pods that were away.

mod disk;
mod words;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use protocol::PodId;
use protocol::mesh::{FederationId, subject};
use serde_json::json;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::sync::{Answer, Ask, Peer, SyncError};
use super::*;
use crate::bus::Expect;
use crate::bus::memory::{MemoryBus, MemoryServer};
use crate::keys::Ring;

const PATIENCE: Duration = Duration::from_secs(60);

struct Pod {
    ledger: Arc<Ledger>,
    bus: Arc<MemoryBus>,
    follower: Option<JoinHandle<()>>,
}

impl Drop for Pod {
    fn drop(&mut self) {
        if let Some(follower) = &self.follower {
            follower.abort();
        }
    }
}

fn federation() -> FederationId {
    FederationId::founded_by(&PodId::from_bytes([1; 32]), &[1; 16])
}

fn ring() -> SharedRing {
    let mut ring = Ring::default();
    ring.add(1, Zeroizing::new([1; 32]));
    Arc::new(RwLock::new(ring))
}

fn idle(server: &MemoryServer) -> Pod {
    let bus = Arc::new(server.connect());
    Pod { ledger: Ledger::open(parts(bus.clone()), None).unwrap(), bus, follower: None }
}

fn parts(bus: Arc<dyn Bus>) -> LedgerParts {
    LedgerParts {
        federation: federation(),
        identity: Arc::new(Identity::generate().unwrap()),
        ring: ring(),
        clock: Clock::manual(1),
        bus,
    }
}

/// What a pod that nobody knows says.
fn word(subject: &str, epoch: Epoch, value: i64) -> Entry {
    let author = Identity::generate().unwrap();
    Entry::new(&author, &federation(), subject, epoch, (1, json!(value))).unwrap()
}

fn pod(server: &MemoryServer) -> Pod {
    let mut pod = idle(server);
    follow(&mut pod);
    pod
}

fn follow(pod: &mut Pod) {
    let ledger = pod.ledger.clone();
    pod.follower = Some(tokio::spawn(async move { ledger.follow().await.unwrap() }));
}

async fn ready(pod: &Pod) -> Incarnation {
    let mut status = pod.ledger.status();
    let ready =
        tokio::time::timeout(PATIENCE, status.wait_for(|status| status.caught_up && status.told)).await;
    ready.expect("it is never ready").unwrap().incarnation.unwrap()
}

async fn knows(pod: &Pod, subject: &str, value: i64) {
    let mut changes = pod.ledger.changes();
    let known = async {
        while pod.ledger.get(subject).unwrap().is_none_or(|entry| entry.body != json!(value)) {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, known).await.unwrap_or_else(|_| panic!("it never learns `{subject}`"));
}

struct Direct(Arc<Ledger>);

impl Peer for Direct {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Answer, SyncError>> {
        async move { Ok(self.0.answer(ask)?) }.boxed()
    }
}

#[tokio::test]
async fn what_one_says_all_learn() {
    let server = MemoryServer::new();
    let (a, b) = (pod(&server), pod(&server));
    ready(&a).await;
    a.ledger.say("log.x", json!(1)).await.unwrap();
    knows(&b, "log.x", 1).await;
    let changed =
        b.ledger.change("log.x", |known| Ok(json!(known.unwrap().body.as_i64().unwrap() + 1))).await.unwrap();
    assert_eq!(changed.epoch.revision, 2);
    knows(&a, "log.x", 2).await;
    let stopped = a.ledger.change("log.x", |_| Err(Stop("no".to_owned()))).await;
    assert!(matches!(stopped, Err(ChangeError::Stopped(_))));
}

#[tokio::test]
async fn rivals_count_each_once_even_when_answers_are_lost() {
    let server = MemoryServer::new();
    let pods: Vec<Pod> = (0..4).map(|_| idle(&server)).collect();
    for round in 0..5 {
        server.lose_acks(2);
        let count = pods.iter().map(|pod| {
            pod.ledger.change("log.count", |known| {
                Ok(json!(known.and_then(|entry| entry.body.as_i64()).unwrap_or_default() + 1))
            })
        });
        for outcome in futures::future::join_all(count).await {
            outcome.unwrap();
        }
        let last = pods[0].bus.last("log.count").await.unwrap().unwrap();
        let (_, last) = Entry::open(&federation(), &ring().read(), "log.count", &last.payload).unwrap();
        assert_eq!(last.body, json!((round + 1) * 4));
    }
}

#[tokio::test]
async fn what_is_forged_or_replayed_on_the_log_is_not_taken() {
    let server = MemoryServer::new();
    let (a, b) = (pod(&server), pod(&server));
    ready(&a).await;
    a.ledger.say("log.x", json!(1)).await.unwrap();
    let first = a.bus.last("log.x").await.unwrap().unwrap().payload;
    a.ledger.say("log.x", json!(2)).await.unwrap();
    knows(&b, "log.x", 2).await;
    for bad in [first.clone(), first.slice(1..), Bytes::from_static(b"\0garbage"), Bytes::new()] {
        b.bus.append("log.x", bad.clone(), Expect::Anything).await.unwrap();
        b.bus.append("log.y", bad, Expect::Anything).await.unwrap();
    }
    // Both go on from what they know, over whatever stands there.
    a.ledger.change("log.x", |known| Ok(json!(known.unwrap().body.as_i64().unwrap() + 1))).await.unwrap();
    knows(&b, "log.x", 3).await;
    assert_eq!(b.ledger.get("log.y").unwrap(), None);
}

#[tokio::test]
async fn a_lost_log_is_told_again_before_anybody_claims() {
    let server = MemoryServer::new();
    let (a, b) = (pod(&server), pod(&server));
    let old = ready(&a).await;
    ready(&b).await;
    for n in 0..50 {
        a.ledger.say(&format!("log.a.{n}"), json!(n)).await.unwrap();
        b.ledger.say(&format!("log.b.{n}"), json!(n)).await.unwrap();
    }
    knows(&a, "log.b.49", 49).await;
    server.stop();
    server.lose_log();
    server.start();
    for pod in [&a, &b] {
        let mut status = pod.ledger.status();
        let told = status.wait_for(|status| status.told && status.incarnation.is_some_and(|new| new > old));
        tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap();
    }
    let newcomer = pod(&server);
    ready(&newcomer).await;
    for n in 0..50 {
        knows(&newcomer, &format!("log.a.{n}"), n).await;
        knows(&newcomer, &format!("log.b.{n}"), n).await;
    }
}

#[tokio::test]
async fn a_later_word_of_an_absent_pod_survives_a_lost_log() {
    let server = MemoryServer::new();
    let (mut a, b) = (pod(&server), pod(&server));
    ready(&a).await;
    a.ledger.say(subject::GENERATION, json!({ "generation": 1 })).await.unwrap();
    let mut changes = b.ledger.changes();
    while b.ledger.get(subject::GENERATION).unwrap().is_none() {
        changes.changed().await.unwrap();
    }
    a.follower.take().unwrap().abort();
    server.lose_log();
    let mut status = b.ledger.status();
    ready(&b).await;
    let told = async {
        while b.bus.last(subject::GENERATION).await.unwrap().is_none() {
            status.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(b.ledger.get(subject::GENERATION).unwrap().unwrap().epoch.revision, 1);
}

#[tokio::test]
async fn a_trimmed_log_loses_nothing_for_pods_that_compare() {
    let server = MemoryServer::new();
    let a = pod(&server);
    ready(&a).await;
    for n in 0..300 {
        a.ledger.say(&format!("log.a.{n}"), json!(n)).await.unwrap();
    }
    server.trim(10);
    let b = pod(&server);
    ready(&b).await;
    b.ledger.say("log.b", json!(1)).await.unwrap();
    knows(&a, "log.b", 1).await;
    assert!(b.ledger.len().unwrap() < 50);
    let outcome = b.ledger.reconcile(&Direct(a.ledger.clone())).await.unwrap();
    assert!(outcome.got > 250, "{outcome:?}");
    assert_eq!(a.ledger.digest(), b.ledger.digest());
    let again = b.ledger.reconcile(&Direct(a.ledger.clone())).await.unwrap();
    assert_eq!((again.got, again.given, again.questions), (0, 0, 1));
}

#[tokio::test]
async fn comparing_gives_as_well_as_it_gets_and_the_later_word_wins() {
    let server = MemoryServer::new();
    let other = MemoryServer::new();
    let (a, b) = (idle(&server), idle(&other));
    a.ledger.say("log.only.a", json!(1)).await.unwrap();
    b.ledger.say("log.only.b", json!(2)).await.unwrap();
    a.ledger.say("log.both", json!(3)).await.unwrap();
    b.ledger.say("log.both", json!(4)).await.unwrap();
    let outcome = a.ledger.reconcile(&Direct(b.ledger.clone())).await.unwrap();
    assert_eq!(outcome.got + outcome.given, 3);
    assert_eq!(a.ledger.digest(), b.ledger.digest());
    let words = [&a, &b].map(|pod| pod.ledger.get("log.both").unwrap().unwrap());
    assert_eq!(words[0], words[1]);
}

#[tokio::test]
async fn a_database_is_kept_and_a_damaged_one_made_anew() {
    let server = MemoryServer::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let open = || Ledger::open(parts(Arc::new(server.connect())), Some(&path)).unwrap();
    let first = open();
    first.say("log.x", json!(7)).await.unwrap();
    let digest = first.digest();
    drop(first);
    let second = open();
    assert_eq!((second.digest(), second.get("log.x").unwrap().unwrap().body), (digest, json!(7)));
    drop(second);
    std::fs::remove_file(folder.path().join("ledger.sqlite-wal")).ok();
    std::fs::write(&path, b"no database at all, and long enough to be looked at as one".repeat(100)).unwrap();
    assert!(open().is_empty().unwrap());
}
