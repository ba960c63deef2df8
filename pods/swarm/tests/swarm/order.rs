//! In what order things are asked for and given, and in how many frames: seen by a peer that notes what it is asked.

use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use protocol::swarm::{Data, Frame, Item, Lane};
use swarm::{FetchOrder, Limits, MemoryStore};
use tokio::sync::mpsc;

use crate::federation::{Federation, Pod, Tcp, limits};
use crate::raw::{Raw, said};

/// What a peer was asked.
#[derive(Debug, PartialEq)]
enum Asked {
    /// Whether it has so many.
    Have(usize),
    /// For so many.
    Want(Lane, usize),
}

/// Has blobs, and gives those that are wanted on some lanes. Ends when the connection does.
async fn give(
    blobs: MemoryStore,
    gives: &[Lane],
    [control, urgent, bulk]: [libp2p::Stream; 3],
    asked: mpsc::UnboundedSender<Asked>,
) -> std::io::Result<()> {
    let (control, mut answers) = control.split();
    let (mut frames, mut lanes) = (said(control), [urgent, bulk]);
    while let Some(body) = frames.recv().await {
        match Frame::decode(&body).unwrap() {
            Frame::Ask { request, ids } => {
                asked.send(Asked::Have(ids.len())).unwrap();
                let sizes = ids.iter().map(|id| Some(blobs.get(id)?.len() as u64)).collect();
                answers.write_all(&Frame::Have { request, sizes, lease: 60 }.encode()).await?;
                answers.flush().await?;
            }
            Frame::Want { request, lane, items } => {
                asked.send(Asked::Want(lane, items.len())).unwrap();
                let stream = &mut lanes[lane.index()];
                for (index, item) in (0..).zip(items).filter(|_| gives.contains(&lane)) {
                    let Item::Whole(id) = item else { panic!("{item:?} is wanted") };
                    let bytes = blobs.get(&id).unwrap();
                    let data = Data { request, index, offset: 0, total: bytes.len() as u64, bytes: &bytes };
                    stream.write_all(&Frame::Data(data).encode()).await?;
                }
                stream.flush().await?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A pod that waits for a slow peer, however long nothing comes of it.
async fn patient(federation: &Tcp) -> Pod {
    let (store, hour) = (MemoryStore::default(), Duration::from_secs(3600));
    let limits = Limits { stall: hour, answer: hour, ..limits() };
    federation.pod_over(store.clone(), std::sync::Arc::new(store), limits).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_step_waits_for_is_asked_for_while_all_else_is_stuck() {
    let federation = Tcp::new();
    let (pod, owner) = (patient(&federation).await, federation.pod().await);
    let bulk = owner.blobs(1, &[200_000; 100]);
    let urgent = owner.blobs(2, &[1000, 200_000]);
    let (raw, streams) = Raw::greeted(&pod, federation.members()).await;
    let (notes, mut asked) = mpsc::unbounded_channel();
    let giving = tokio::spawn(give(owner.store.clone(), &[Lane::Urgent], streams, notes));
    let fetching = tokio::spawn({
        let (swarm, order) = (pod.swarm.clone(), FetchOrder::new(bulk.clone(), &[raw.id()]));
        async move { swarm.fetch(order).await }
    });
    // As much as may be asked for at once is asked for, and none of it comes.
    let mut wanted = 0;
    while wanted < (2 << 20) / 200_000 {
        if let Asked::Want(Lane::Bulk, count) = asked.recv().await.unwrap() {
            wanted += count;
        }
    }
    let order = FetchOrder::new(urgent.clone(), &[raw.id()]).urgent();
    let fetched = tokio::time::timeout(Duration::from_secs(20), pod.swarm.fetch(order)).await;
    assert_eq!(fetched.expect("it waits for what is stuck").unwrap().missing, []);
    assert!(pod.has(&urgent) && !fetching.is_finished() && !pod.has(&bulk[..1]));
    fetching.abort();
    giving.abort();
}

/// What is wanted urgently of a pod is given though nobody reads what it sends besides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_urgent_is_given_while_all_else_is_stuck() {
    let federation = Tcp::new();
    let pod = federation.pod().await;
    let bulk = pod.blobs(1, &[1 << 20; 40]);
    let urgent = pod.blobs(2, &[50_000])[0];
    let (_raw, [mut control, mut lane, _unread]) = Raw::greeted(&pod, federation.members()).await;
    let items = bulk.iter().map(|id| Item::Whole(*id)).collect();
    let all = Frame::Credit { lane: Lane::Bulk, bytes: u32::MAX };
    let frames = [all, Frame::Want { request: 1, lane: Lane::Bulk, items }];
    for frame in frames {
        control.write_all(&frame.encode()).await.unwrap();
    }
    let want = Frame::Want { request: 2, lane: Lane::Urgent, items: vec![Item::Whole(urgent)] };
    control.write_all(&want.encode()).await.unwrap();
    control.flush().await.unwrap();
    let mut length = [0; 4];
    let read = tokio::time::timeout(Duration::from_secs(20), lane.read_exact(&mut length)).await;
    read.expect("it waits for what is stuck").unwrap();
    let mut body = vec![0; u32::from_le_bytes(length) as usize];
    lane.read_exact(&mut body).await.unwrap();
    let bytes = pod.store.get(&urgent).unwrap();
    let data = Data { request: 2, index: 0, offset: 0, total: 50_000, bytes: &bytes };
    assert_eq!(Frame::decode(&body).unwrap(), Frame::Data(data));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_objects_are_asked_for_in_few_frames() {
    const COUNT: usize = 6000;
    let federation = Tcp::new();
    let (pod, owner) = (patient(&federation).await, federation.pod().await);
    let ids = owner.blobs(1, &[100; COUNT]);
    let (raw, streams) = Raw::greeted(&pod, federation.members()).await;
    let (notes, mut asked) = mpsc::unbounded_channel();
    let giving = tokio::spawn(give(owner.store.clone(), &Lane::ALL, streams, notes));
    let fetched = pod.swarm.fetch(FetchOrder::new(ids.clone(), &[raw.id()])).await.unwrap();
    assert_eq!((fetched.came, fetched.missing), (COUNT, vec![]));
    giving.abort();
    let (mut have, mut want) = (Vec::new(), Vec::new());
    while let Some(asked) = asked.recv().await {
        match asked {
            Asked::Have(count) => have.push(count),
            Asked::Want(_, count) => want.push(count),
        }
    }
    // Each once, and as many in a frame as fit.
    assert_eq!((have.iter().sum::<usize>(), want.iter().sum::<usize>()), (COUNT, COUNT));
    assert!(have.len() <= 2 && want.len() <= 16, "{have:?} {want:?}");
}
