//! What a pod holds in memory for a peer that takes nothing of what it asks for.

use std::time::Duration;

use futures::AsyncWriteExt as _;
use protocol::swarm::{Frame, Item, Lane, MAX_ITEMS};
use swarm::FetchOrder;

use crate::federation::{Federation, Tcp};
use crate::raw::Raw;

/// What a pod may hold for three such peers, with what this test needs itself.
const BOUND: u64 = 24 << 20;

/// The most memory that this process has had so far, in bytes.
fn peak() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Says the same so many times, and reads nothing, until no more of it is taken.
async fn insist(control: &mut libp2p::Stream, times: u32, frame: &dyn Fn(u32) -> Frame<'static>) {
    for number in 1..=times {
        let bytes = frame(number).encode();
        // Whoever is not read is not written to either: after a while the other side takes no more.
        let taken = tokio::time::timeout(Duration::from_secs(1), async {
            control.write_all(&bytes).await?;
            control.flush().await
        });
        if !matches!(taken.await, Ok(Ok(()))) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_of_what_it_asks_for_costs_little() {
    let federation = Tcp::new();
    let (pod, friend) = (federation.pod().await, federation.pod().await);
    federation.join(&friend, &pod).await;
    let large = pod.blobs(1, &[3 << 20])[0];
    let before = peak();
    let questions = |request| Frame::Ask { request, ids: vec![large; MAX_ITEMS] };
    let orders =
        |request| Frame::Want { request, lane: Lane::Bulk, items: vec![Item::Whole(large); MAX_ITEMS] };
    let relays = |request| Frame::Fetch { request, from: vec![friend.id()], ids: vec![large; MAX_ITEMS] };
    let credit = Lane::ALL.map(|lane| Frame::Credit { lane, bytes: u32::MAX }.encode()).concat();
    let mut peers = Vec::new();
    for (times, frame) in
        [(2000, &questions as &dyn Fn(u32) -> Frame<'static>), (50, &orders), (300, &relays)]
    {
        let (raw, mut streams) = Raw::greeted(&pod, federation.members()).await;
        streams[0].write_all(&credit).await.unwrap();
        insist(&mut streams[0], times, frame).await;
        peers.push((raw, streams));
        println!("{} MiB", (peak() - before) >> 20);
    }
    assert!(peak() - before < BOUND, "{} MiB", (peak() - before) >> 20);
    // All others are served as ever.
    assert_eq!(friend.swarm.fetch(FetchOrder::new([large], &[pod.id()])).await.unwrap().missing, []);
}
