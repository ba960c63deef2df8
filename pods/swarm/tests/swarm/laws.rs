//! What holds over every network.

use std::sync::Arc;
use std::time::Duration;

use protocol::swarm::ChunkParams;
use protocol::{Digest, ObjectId, ObjectKind};
use swarm::testing::noise;
use swarm::{FetchOrder, Fetched, Limits, MemoryStore, Store, Wanted};

use crate::federation::{Federation, Tcp, Twin, limits};

macro_rules! laws {
    ($($law:ident),* $(,)?) => {
        mod twin {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() { super::$law(<super::Twin as super::Federation>::new()).await; })*
        }
        mod tcp {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() { super::$law(<super::Tcp as super::Federation>::new()).await; })*
        }
    };
}

laws![
    what_a_pod_has_comes,
    what_is_here_is_not_sent,
    what_nobody_has_is_missing,
    what_is_larger_than_it_was_said_to_be_does_not_come,
    a_changed_blob_sends_its_changed_chunks,
    many_small_objects_come,
    several_share_the_work,
    a_third_passes_on,
    who_is_banned_is_disconnected,
    two_orders_share_an_object,
    both_dial_at_once,
];

async fn what_a_pod_has_comes(federation: impl Federation) {
    let (a, b) = (federation.pod().await, federation.pod().await);
    federation.join(&a, &b).await;
    let mut ids = a.blobs(1, &[0, 1, 100, 70_000, 1 << 20, 2 << 20, (2 << 20) + 1, 9_000_000]);
    for kind in [ObjectKind::Tree, ObjectKind::Trace, ObjectKind::PathSet] {
        ids.push(a.store.add(kind, noise(kind as u64, 5000)));
        ids.push(a.store.add(kind, noise(kind as u64, 3_000_000)));
    }
    let fetched = b.swarm.fetch(FetchOrder::new(ids.clone(), &[a.id()])).await.unwrap();
    let bytes = ids.iter().map(|id| a.store.get(id).unwrap().len() as u64).sum();
    assert_eq!(fetched, Fetched { came: ids.len(), bytes, ..Fetched::default() });
    assert!(b.has(&ids));
    // And back, urgently, without a hint.
    let more = b.blobs(2, &[5000, 4_000_000]);
    let fetched = a.swarm.fetch(FetchOrder::new(more.clone(), &[]).urgent()).await.unwrap();
    assert_eq!((fetched.came, fetched.missing), (2, vec![]));
    assert!(a.has(&more));
}

async fn what_is_larger_than_it_was_said_to_be_does_not_come(federation: impl Federation) {
    let (a, b) = (federation.pod().await, federation.pod().await);
    federation.join(&a, &b).await;
    let ids = a.blobs(1, &[1000, 9_000_000]);
    let of = |sizes: [u64; 2]| {
        let wanted = ids.iter().zip(sizes);
        let wanted = wanted.map(|(id, size)| Wanted { at_most: Some(size), ..Wanted::from(*id) });
        FetchOrder { patience: Duration::ZERO, ..FetchOrder::new(wanted, &[a.id()]) }
    };
    let fetched = b.swarm.fetch(of([0, 8_999_999])).await.unwrap();
    assert_eq!((fetched.came, fetched.bytes, fetched.missing.len()), (0, 0, 2));
    let fetched = b.swarm.fetch(of([1000, 9_000_000])).await.unwrap();
    assert_eq!((fetched.came, fetched.missing), (2, vec![]));
}

async fn what_is_here_is_not_sent(federation: impl Federation) {
    let (a, b) = (federation.pod().await, federation.pod().await);
    federation.join(&a, &b).await;
    let ids = a.blobs(1, &[1000, 3_000_000]);
    b.swarm.fetch(FetchOrder::new(ids.clone(), &[a.id()])).await.unwrap();
    let again = b.swarm.fetch(FetchOrder::new(ids.clone(), &[a.id()])).await.unwrap();
    assert_eq!(again, Fetched { here: 2, ..Fetched::default() });
    let twice = b.swarm.fetch(FetchOrder::new([ids[0], ids[0]], &[a.id()])).await.unwrap();
    assert_eq!(twice, Fetched { here: 1, ..Fetched::default() });
}

async fn what_nobody_has_is_missing(federation: impl Federation) {
    let (a, b) = (federation.pod().await, federation.pod().await);
    federation.join(&a, &b).await;
    let there = a.blobs(1, &[1000]);
    let nowhere = ObjectId::blob(Digest::of(b"nowhere"));
    let fetched = b.swarm.fetch(FetchOrder::new([there[0], nowhere], &[a.id()])).await.unwrap();
    assert_eq!(fetched, Fetched { came: 1, bytes: 1000, missing: vec![nowhere], ..Fetched::default() });
    // Nobody is connected at all.
    let alone = federation.pod().await;
    let fetched = alone.swarm.fetch(FetchOrder::new([nowhere], &[])).await.unwrap();
    assert_eq!(fetched.missing, [nowhere]);
}

async fn a_changed_blob_sends_its_changed_chunks(federation: impl Federation) {
    let (a, b) = (federation.pod().await, federation.pod().await);
    federation.join(&a, &b).await;
    let mut bytes = noise(1, 12_000_000);
    let before = a.store.add(ObjectKind::Blob, bytes.clone());
    bytes.insert(6_000_000, 7);
    let after = a.store.add(ObjectKind::Blob, bytes);
    b.swarm.fetch(FetchOrder::new([before], &[a.id()])).await.unwrap();
    let fetched = b.swarm.fetch(FetchOrder::new([after], &[a.id()])).await.unwrap();
    assert_eq!(fetched.bytes + fetched.reused, 12_000_001);
    assert!(fetched.bytes < 5_000_000, "{fetched:?}");
    assert!(b.has(&[before, after]));
}

async fn many_small_objects_come(federation: impl Federation) {
    let (a, b) = (federation.pod().await, federation.pod().await);
    federation.join(&a, &b).await;
    let sizes: Vec<usize> = (0..6000).map(|number| number % 3000).collect();
    let ids = a.blobs(3, &sizes);
    let fetched = b.swarm.fetch(FetchOrder::new(ids.clone(), &[a.id()])).await.unwrap();
    assert_eq!(fetched.missing, []);
    assert!(b.has(&ids));
}

/// The last units of a fetch that may be asked from a second pod, too.
const MAX_DOUBLED: u64 = 8;

async fn several_share_the_work(federation: impl Federation) {
    let (a, b, store) = (federation.pod().await, federation.pod().await, MemoryStore::default());
    // On a machine that stands still for a while nobody is asked for what another was asked for.
    let patient = Limits { stall: Duration::from_secs(60), ..limits() };
    let c = federation.pod_over(store.clone(), Arc::new(store), patient).await;
    federation.join(&c, &a).await;
    federation.join(&c, &b).await;
    let bytes = noise(5, 40_000_000);
    let id = a.store.add(ObjectKind::Blob, bytes.clone());
    b.store.add(ObjectKind::Blob, bytes);
    let fetched = c.swarm.fetch(FetchOrder::new([id], &[a.id(), b.id()])).await.unwrap();
    assert_eq!(fetched.bytes, 40_000_000);
    let pods = c.swarm.pods().await.unwrap();
    assert!(pods.iter().all(|pod| pod.received > 2_000_000), "{pods:?}");
    // Each chunk came from one of them, but for the last few.
    let twice = MAX_DOUBLED * u64::from(ChunkParams::DEFAULT.most());
    assert!(pods.iter().map(|pod| pod.received).sum::<u64>() < 40_000_000 + twice, "{pods:?}");
}

async fn a_third_passes_on(federation: impl Federation) {
    let (a, b, c) = (federation.pod().await, federation.pod().await, federation.pod().await);
    federation.join(&a, &b).await;
    federation.join(&b, &c).await;
    let ids = a.blobs(1, &[1000, 5_000_000]);
    // Nobody told C where A is.
    let fetched = c.swarm.fetch(FetchOrder::new(ids.clone(), &[a.id()])).await.unwrap();
    assert_eq!((fetched.came, fetched.missing), (2, vec![]));
    assert!(c.has(&ids) && b.has(&ids));
    let more = a.blobs(2, &[1000]);
    let alone = FetchOrder {
        relays: false,
        patience: std::time::Duration::ZERO,
        ..FetchOrder::new(more.clone(), &[a.id()])
    };
    assert_eq!(c.swarm.fetch(alone).await.unwrap().missing, more);
}

async fn who_is_banned_is_disconnected(federation: impl Federation) {
    let (a, b) = (federation.pod().await, federation.pod().await);
    federation.join(&a, &b).await;
    federation.members().ban(&b.id());
    a.until_connected(b.id(), false).await;
    b.until_connected(a.id(), false).await;
    // Nor does a new connection come.
    let ids = a.blobs(1, &[1000]);
    let order =
        FetchOrder { patience: std::time::Duration::from_secs(1), ..FetchOrder::new(ids.clone(), &[a.id()]) };
    assert_eq!(b.swarm.fetch(order).await.unwrap().missing, ids);
}

async fn two_orders_share_an_object(federation: impl Federation) {
    let (a, b) = (federation.pod().await, federation.pod().await);
    federation.join(&a, &b).await;
    let ids = a.blobs(1, &[20_000_000]);
    let order = FetchOrder::new(ids.clone(), &[a.id()]);
    let (first, second) = tokio::join!(b.swarm.fetch(order.clone()), b.swarm.fetch(order.urgent()));
    assert_eq!((first.unwrap().missing, second.unwrap().missing), (vec![], vec![]));
    let pods = b.swarm.pods().await.unwrap();
    assert!(pods[0].received < 21_000_000, "{pods:?}");
}

async fn both_dial_at_once(federation: impl Federation) {
    for round in 0..5 {
        let (a, b) = (federation.pod().await, federation.pod().await);
        let (at_a, at_b) = (a.swarm.addresses().await.unwrap(), b.swarm.addresses().await.unwrap());
        let (one, two) = tokio::join!(a.swarm.learn(b.id(), at_b), b.swarm.learn(a.id(), at_a));
        one.unwrap();
        two.unwrap();
        a.until_connected(b.id(), true).await;
        let ids = a.blobs(round, &[1000, 3_000_000]);
        let fetched = b.swarm.fetch(FetchOrder::new(ids, &[a.id()])).await.unwrap();
        assert_eq!(fetched.missing, []);
    }
}

/// The stores of tests are stores.
#[tokio::test]
async fn who_serves_nothing_fetches_all_the_same() {
    let federation = Twin::new();
    let a = federation.pod().await;
    let store = MemoryStore::default();
    let quiet = Limits { serves: false, ..limits() };
    let guest = federation.pod_over(store.clone(), Arc::new(store), quiet).await;
    federation.join(&a, &guest).await;
    let (theirs, ours) = (guest.blobs(1, &[1000]), a.blobs(2, &[1000]));
    let order = FetchOrder { patience: Duration::ZERO, ..FetchOrder::new(theirs.clone(), &[guest.id()]) };
    assert_eq!(a.swarm.fetch(order).await.unwrap().missing, theirs);
    assert_eq!(guest.swarm.fetch(FetchOrder::new(ours, &[a.id()])).await.unwrap().missing, []);
}

#[test]
fn the_twin_is_a_store() {
    let store = MemoryStore::default();
    let id = store.add(ObjectKind::Blob, &b"x"[..]);
    assert_eq!(store.sizes(&[id], std::time::Duration::ZERO).unwrap(), [Some(1)]);
}
