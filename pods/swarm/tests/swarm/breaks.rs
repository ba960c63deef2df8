//! Pods that die and links that break while something is on its way.

use std::time::Duration;

use swarm::FetchOrder;

use crate::federation::{Federation, Pod, Tcp, Twin};

const MIB: usize = 1 << 20;

/// Waits until a pod has so many bytes of another.
async fn until_received(at: &Pod, from: &Pod, bytes: u64) {
    let received = async || {
        let pods = at.swarm.pods().await.unwrap();
        pods.iter().find(|known| known.pod == from.id()).map_or(0, |known| known.received)
    };
    tokio::time::timeout(Duration::from_secs(30), async {
        while received().await < bytes {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("bytes should have come");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_link_costs_the_chunks_that_were_on_their_way() {
    let federation = Twin::new();
    let (a, b) = (federation.pod().await, federation.pod().await);
    federation.join(&b, &a).await;
    let ids = a.blobs(1, &[96 * MIB]);
    let fetching = tokio::spawn({
        let (swarm, order) = (b.swarm.clone(), FetchOrder::new(ids.clone(), &[a.id()]));
        let order = FetchOrder { patience: Duration::from_secs(60), ..order };
        async move { swarm.fetch(order).await }
    });
    until_received(&b, &a, 8 * MIB as u64).await;
    federation.net.part(a.id(), b.id());
    b.until_connected(a.id(), false).await;
    assert!(!fetching.is_finished());
    federation.net.heal(a.id(), b.id());
    assert_eq!(fetching.await.unwrap().unwrap().missing, []);
    assert!(b.has(&ids));
    // What was verified before the break did not come again.
    let received = b.swarm.pods().await.unwrap()[0].received as usize;
    assert!(received < (96 + 20) * MIB, "{received}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_given_up_is_gone_on_with() {
    let federation = Tcp::new();
    let (a, b) = (federation.pod().await, federation.pod().await);
    federation.join(&b, &a).await;
    let ids = a.blobs(1, &[96 * MIB]);
    let order = FetchOrder::new(ids.clone(), &[a.id()]);
    let fetching = tokio::spawn({
        let (swarm, order) = (b.swarm.clone(), order.clone());
        async move { swarm.fetch(order).await }
    });
    until_received(&b, &a, 24 * MIB as u64).await;
    fetching.abort();
    assert!(fetching.await.is_err());
    assert!(b.store.is_empty());
    let fetched = b.swarm.fetch(order).await.unwrap();
    assert_eq!(fetched.missing, []);
    assert!(b.has(&ids));
    let received = b.swarm.pods().await.unwrap()[0].received as usize;
    assert!(received < (96 + 40) * MIB, "{received}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_pod_dies_the_others_go_on() {
    let federation = Tcp::new();
    let (a, b, c) = (federation.pod().await, federation.pod().await, federation.pod().await);
    federation.join(&c, &a).await;
    federation.join(&c, &b).await;
    let sizes = [64 * MIB, 1000, 70_000, 2 * MIB, 5 * MIB];
    let ids = a.blobs(1, &sizes);
    b.blobs(1, &sizes);
    let fetching = tokio::spawn({
        let (swarm, order) = (c.swarm.clone(), FetchOrder::new(ids.clone(), &[a.id(), b.id()]));
        async move { swarm.fetch(order).await }
    });
    until_received(&c, &a, 2 * MIB as u64).await;
    drop(a);
    assert_eq!(fetching.await.unwrap().unwrap().missing, []);
    assert!(c.has(&ids));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_only_holder_dies_its_objects_are_missing() {
    let federation = Tcp::new();
    let (a, b) = (federation.pod().await, federation.pod().await);
    federation.join(&b, &a).await;
    let ids = a.blobs(1, &[96 * MIB]);
    let order =
        FetchOrder { patience: Duration::from_millis(500), ..FetchOrder::new(ids.clone(), &[a.id()]) };
    let fetching = tokio::spawn({
        let swarm = b.swarm.clone();
        async move { swarm.fetch(order).await }
    });
    until_received(&b, &a, 2 * MIB as u64).await;
    drop(a);
    assert_eq!(fetching.await.unwrap().unwrap().missing, ids);
    assert!(b.store.is_empty());
}

/// A hundred pods in one process: everybody gets what one has, by way of each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_pods_hand_on() {
    let federation = Twin::new();
    let mut pods = vec![federation.pod().await];
    let ids = pods[0].blobs(1, &[1000, 60_000]);
    for number in 1..100 {
        let pod = federation.pod().await;
        federation.join(&pod, &pods[number / 2]).await;
        let fetched = pod.swarm.fetch(FetchOrder::new(ids.clone(), &[pods[number / 2].id()])).await.unwrap();
        assert_eq!(fetched.missing, []);
        pods.push(pod);
    }
    assert!(pods.iter().all(|pod| pod.has(&ids)));
}
