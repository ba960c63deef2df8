//! Pods that lie, break the protocol or say nothing, and strangers. The liars of the first part are pods like others over
//! a store that is not honest; those of the second speak for themselves, over real sockets and a libp2p of their own.

use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use protocol::swarm::{Chunk, ChunkList, Data, Frame, Hello, Lane, MAJOR};
use protocol::{Digest, ObjectId, ObjectKind, PodId};
use swarm::testing::noise;
use swarm::{Content, FetchOrder, Incoming, MemoryStore, Store, StoreError, peer_of};

use crate::federation::{Federation, Pod, Tcp, Twin, limits};
use crate::raw::{PROTOCOLS, Raw, hello, said, until_closed};

/// A store that is not honest.
struct Liar {
    inner: MemoryStore,
    lie: Lie,
}

#[derive(Clone, Copy, PartialEq)]
enum Lie {
    /// Other bytes of the same length.
    Bytes,
    /// It has everything, says it.
    Has(u64),
    /// The chunks of something else.
    List,
}

impl Store for Liar {
    fn sizes(&self, ids: &[ObjectId], lease: Duration) -> Result<Vec<Option<u64>>, StoreError> {
        match self.lie {
            Lie::Has(size) => Ok(ids.iter().map(|_| Some(size)).collect()),
            _ => self.inner.sizes(ids, lease),
        }
    }

    fn open(&self, id: &ObjectId) -> Result<Option<Content>, StoreError> {
        let content = self.inner.open(id)?;
        Ok(content.map(|content| match self.lie {
            Lie::Bytes => Content::Bytes(vec![0; content.size() as usize].into()),
            _ => content,
        }))
    }

    fn put(&self, id: &ObjectId, bytes: &[u8]) -> Result<bool, StoreError> {
        self.inner.put(id, bytes)
    }

    fn begin(&self, id: &ObjectId, size: u64) -> Result<Box<dyn Incoming>, StoreError> {
        self.inner.begin(id, size)
    }

    fn chunk_list(&self, id: &ObjectId) -> Result<Option<Arc<ChunkList>>, StoreError> {
        if self.lie != Lie::List {
            return Ok(None);
        }
        let Some(Content::Bytes(bytes)) = self.inner.open(id)? else { return Ok(None) };
        // As long as the object, each chunk right as such, and not this object.
        let chunk =
            |part: &[u8]| Chunk { digest: Digest::of(&vec![0; part.len()]), length: part.len() as u32 };
        Ok(ChunkList::new(*id, bytes.chunks(1 << 20).map(chunk).collect()).ok().map(Arc::new))
    }

    fn keep_chunk_list(&self, list: Arc<ChunkList>) -> Result<(), StoreError> {
        self.inner.keep_chunk_list(list)
    }

    fn find_chunk(&self, chunk: &Digest) -> Result<Option<(ObjectId, u64)>, StoreError> {
        self.inner.find_chunk(chunk)
    }
}

async fn liar(federation: &impl Federation, lie: Lie) -> Pod {
    let store = MemoryStore::default();
    let inner = store.clone();
    federation.pod_over(store, Arc::new(Liar { inner, lie }), limits()).await
}

/// An honest pod, a liar, and one who fetches from both; the same blobs are with both.
async fn three(lie: Lie, sizes: &[usize]) -> (Pod, Pod, Pod, Vec<ObjectId>) {
    let federation = Twin::new();
    let (honest, liar, asker) =
        (federation.pod().await, liar(&federation, lie).await, federation.pod().await);
    federation.join(&asker, &honest).await;
    federation.join(&asker, &liar).await;
    let ids = honest.blobs(1, sizes);
    liar.blobs(1, sizes);
    (honest, liar, asker, ids)
}

async fn status(of: &Pod, pod: PodId) -> swarm::PodStatus {
    of.swarm.pods().await.unwrap().into_iter().find(|known| known.pod == pod).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_bytes_are_seen_named_and_fetched_elsewhere() {
    for sizes in [&[1000, 50_000, 2_000_000][..], &[9_000_000]] {
        let (honest, liar, asker, ids) = three(Lie::Bytes, sizes).await;
        // From the liar alone: nothing comes, and nothing wrong is kept.
        let alone = FetchOrder { relays: false, ..FetchOrder::new(ids.clone(), &[liar.id()]) };
        let fetched = asker.swarm.fetch(alone).await.unwrap();
        assert_eq!((fetched.missing.len(), fetched.suspects), (ids.len(), vec![liar.id()]));
        assert!(asker.store.is_empty());
        let known = status(&asker, liar.id()).await;
        assert!(known.avoided && known.faults > 0 && known.trouble.is_some(), "{known:?}");
        // From both: the honest one is asked, the other avoided.
        let fetched =
            asker.swarm.fetch(FetchOrder::new(ids.clone(), &[liar.id(), honest.id()])).await.unwrap();
        assert_eq!((fetched.came, fetched.suspects), (ids.len(), vec![]));
        assert!(asker.has(&ids));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_among_several_spoils_nothing() {
    // Chance decides who is asked for what.
    for _ in 0..5 {
        let (honest, liar, asker, ids) = three(Lie::Bytes, &[1000, 9_000_000, 20_000_000]).await;
        let order = FetchOrder::new(ids.clone(), &[liar.id(), honest.id()]);
        let fetched = asker.swarm.fetch(order).await.unwrap();
        assert_eq!((fetched.came, fetched.missing), (3, vec![]));
        assert!(!fetched.suspects.contains(&honest.id()), "{:?}", fetched.suspects);
        assert!(asker.has(&ids));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_chunk_list_is_its_senders_fault() {
    let (honest, liar, asker, ids) = three(Lie::List, &[9_000_000]).await;
    for from in [vec![liar.id(), honest.id()], vec![honest.id(), liar.id()]] {
        let fetched = asker.swarm.fetch(FetchOrder::new(ids.clone(), &from)).await.unwrap();
        assert_eq!(fetched.missing, []);
        assert!(!fetched.suspects.contains(&honest.id()), "{:?}", fetched.suspects);
        assert!(asker.has(&ids));
        asker.store.remove(&ids[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_that_it_has_everything_is_found_out() {
    for size in [5, 3_000_000, 1 << 40, 1 << 62] {
        let federation = Twin::new();
        let (liar, asker) = (liar(&federation, Lie::Has(size)).await, federation.pod().await);
        federation.join(&asker, &liar).await;
        let ids: Vec<_> = (0..100u8).map(|number| ObjectId::blob(Digest::of(&[number]))).collect();
        let fetched = asker.swarm.fetch(FetchOrder::new(ids.clone(), &[])).await.unwrap();
        assert_eq!(fetched.missing.len(), ids.len(), "{size}");
    }
}

/// Of a pod that serves nothing, and of one that says it has fetched what it does not give: both know what is wanted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_passes_on_what_it_does_not_give_holds_nobody_up() {
    for lie in [None, Some(Lie::Has(1000))] {
        let federation = Twin::new();
        let asker = federation.pod().await;
        let relay = match lie {
            Some(lie) => liar(&federation, lie).await,
            None => {
                let store = MemoryStore::default();
                let limits = swarm::Limits { serves: false, ..limits() };
                federation.pod_over(store.clone(), Arc::new(store), limits).await
            }
        };
        federation.join(&asker, &relay).await;
        let ids = relay.blobs(1, &[1000, 50_000]);
        let ids = if lie.is_some() { vec![ObjectId::blob(Digest::of(b"nobody has it"))] } else { ids };
        // A member that is away, and may have them.
        let (_, away) = crate::federation::key();
        federation.members().add(away);
        asker.swarm.learn(away, vec!["/memory/1".parse().unwrap()]).await.unwrap();
        for hints in [&[][..], &[away]] {
            let order =
                FetchOrder { patience: Duration::from_secs(1), ..FetchOrder::new(ids.clone(), hints) };
            let fetched = tokio::time::timeout(Duration::from_secs(60), asker.swarm.fetch(order)).await;
            assert_eq!(fetched.expect("held up for ever").unwrap().missing.len(), ids.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_frame_ends_the_connection() {
    let garbage = |kind: u8, body: &[u8]| {
        let mut bytes = (body.len() as u32 + 5).to_le_bytes().to_vec();
        bytes.extend([kind, 0, 0, 0, 0]);
        bytes.extend(body);
        bytes
    };
    let data = Frame::Data(Data { request: 1, index: 0, offset: 0, total: 1, bytes: b"x" }).encode();
    let twice = hello();
    let late = |bytes: Vec<u8>| [hello(), bytes].concat();
    let cases: Vec<(&str, usize, Vec<u8>)> = vec![
        ("noise", 0, noise(1, 1 << 20)),
        ("4 GB", 0, vec![0xff; 64]),
        ("4 GB later", 0, late(vec![0xff; 64])),
        ("no HELLO", 0, Frame::Ask { request: 1, ids: vec![] }.encode()),
        ("HELLO again", 0, late(twice)),
        ("an unknown type", 0, late(garbage(99, b""))),
        ("a count of 2^60", 0, late(garbage(2, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]))),
        ("DATA on control", 0, late(data.clone())),
        ("4 GB on a lane", 2, vec![0xff; 64]),
        ("no DATA on a lane", 1, hello()),
        ("DATA that nobody wanted", 2, data),
    ];
    let federation = Tcp::new();
    let (pod, friend) = (federation.pod().await, federation.pod().await);
    federation.join(&pod, &friend).await;
    for (name, stream, bytes) in cases {
        let (raw, mut streams) = Raw::member(&pod, federation.members()).await;
        if stream > 0 {
            streams[0].write_all(&hello()).await.unwrap();
            streams[0].flush().await.unwrap();
        }
        // It may be closed while we write.
        streams[stream].write_all(&bytes).await.unwrap_or_default();
        streams[stream].flush().await.unwrap_or_default();
        until_closed(&mut streams[0]).await;
        pod.until_connected(raw.id(), false).await;
        let known = status(&pod, raw.id()).await;
        assert!(known.avoided && known.trouble.is_some(), "{name}: {known:?}");
    }
    let ids = friend.blobs(1, &[1000, 3_000_000]);
    assert_eq!(pod.swarm.fetch(FetchOrder::new(ids, &[])).await.unwrap().missing, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_costs_time_only() {
    let federation = Tcp::new();
    let (pod, friend) = (federation.pod().await, federation.pod().await);
    federation.join(&pod, &friend).await;
    let ids = friend.blobs(1, &[1000, 9_000_000]);
    // Not even HELLO: it is let go.
    let (mute, mut streams) = Raw::member(&pod, federation.members()).await;
    until_closed(&mut streams[0]).await;
    pod.until_connected(mute.id(), false).await;
    // HELLO, then half a frame.
    let (half, mut streams) = Raw::member(&pod, federation.members()).await;
    let ask = Frame::Ask { request: 1, ids: ids.clone() }.encode();
    streams[0].write_all(&[hello(), ask[..20].to_vec()].concat()).await.unwrap();
    streams[0].flush().await.unwrap();
    pod.until_connected(half.id(), true).await;
    let fetched = pod.swarm.fetch(FetchOrder::new(ids.clone(), &[half.id(), friend.id()])).await.unwrap();
    assert_eq!(fetched.missing, []);
    assert!(pod.has(&ids));
}

/// Answers every question with "I have them all", and sends half of what is wanted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_half_way_is_replaced() {
    let federation = Tcp::new();
    let (pod, friend) = (federation.pod().await, federation.pod().await);
    let ids = friend.blobs(1, &[200_000]);
    let (raw, [mut control, _urgent, mut bulk]) = Raw::greeted(&pod, federation.members()).await;
    let evil = tokio::spawn(async move {
        loop {
            let mut length = [0; 4];
            control.read_exact(&mut length).await.unwrap();
            let mut body = vec![0; u32::from_le_bytes(length) as usize];
            control.read_exact(&mut body).await.unwrap();
            match Frame::decode(&body).unwrap() {
                Frame::Ask { request, ids } => {
                    let sizes = vec![Some(200_000); ids.len()];
                    control.write_all(&Frame::Have { request, sizes, lease: 60 }.encode()).await.unwrap();
                    control.flush().await.unwrap();
                }
                Frame::Want { request, lane, .. } => {
                    assert_eq!(lane, Lane::Bulk);
                    let data = Data { request, index: 0, offset: 0, total: 200_000, bytes: &[1; 100_000] };
                    bulk.write_all(&Frame::Data(data).encode()).await.unwrap();
                    bulk.flush().await.unwrap();
                    return (control, bulk);
                }
                _ => {}
            }
        }
    });
    let fetching = tokio::spawn({
        let (swarm, from) = (pod.swarm.clone(), vec![raw.id(), friend.id()]);
        let order = FetchOrder { relays: false, ..FetchOrder::new(ids.clone(), &from) };
        async move { swarm.fetch(order).await }
    });
    // The half is there; now the other one comes.
    let _streams = evil.await.unwrap();
    federation.join(&pod, &friend).await;
    assert_eq!(fetching.await.unwrap().unwrap().missing, []);
    assert!(pod.has(&ids));
}

/// How a raw peer keeps whoever asks it waiting.
#[derive(Clone, Copy)]
enum Dawdling {
    /// A byte now and then, all of them right.
    Trickle,
    /// It has it, but only until now.
    NoLease,
    /// It has it, and is always too busy.
    Busy,
}

/// Has an object of zeros that it never gives in full. Ends when the connection does.
async fn dawdle(how: Dawdling, size: u64, [control, _urgent, mut bulk]: [libp2p::Stream; 3]) {
    let (control, mut answers) = control.split();
    let mut frames = said(control);
    let (mut trickling, mut sent) = (None, 0);
    loop {
        // The lie is that it goes on, slowly: less than the least rate, more often than a stall.
        let pause = if trickling.is_some() { Duration::from_millis(50) } else { Duration::from_secs(3600) };
        let answer = match (tokio::time::timeout(pause, frames.recv()).await, trickling) {
            (Ok(None), _) => return,
            (Err(_), None) => continue,
            (Err(_), Some(request)) => {
                let data = Data { request, index: 0, offset: sent, total: size, bytes: &[0] };
                sent += 1;
                // It may be closed while we write.
                bulk.write_all(&Frame::Data(data).encode()).await.unwrap_or_default();
                bulk.flush().await.unwrap_or_default();
                continue;
            }
            (Ok(Some(body)), _) => match (Frame::decode(&body).unwrap(), how) {
                (Frame::Ask { request, ids }, how) => {
                    let lease = if matches!(how, Dawdling::NoLease) { 0 } else { 300 };
                    Frame::Have { request, sizes: vec![Some(size); ids.len()], lease }.encode()
                }
                (Frame::Want { request, .. }, Dawdling::Busy) => Frame::Busy { request, retry: 50 }.encode(),
                (Frame::Want { request, .. }, _) => {
                    trickling = Some(request);
                    continue;
                }
                _ => continue,
            },
        };
        answers.write_all(&answer).await.unwrap_or_default();
        answers.flush().await.unwrap_or_default();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_dawdles_holds_nobody_up_for_ever() {
    for how in [Dawdling::Trickle, Dawdling::NoLease, Dawdling::Busy] {
        let federation = Tcp::new();
        let pod = federation.pod().await;
        let (raw, streams) = Raw::greeted(&pod, federation.members()).await;
        let _dawdling = tokio::spawn(dawdle(how, 200_000, streams));
        let id = ObjectId::blob(Digest::of(&[0; 200_000]));
        let order = FetchOrder { relays: false, ..FetchOrder::new([id], &[raw.id()]) };
        let fetching = tokio::time::timeout(Duration::from_secs(60), pod.swarm.fetch(order));
        let fetched = fetching.await.expect("the fetch should have ended").unwrap();
        assert_eq!(fetched.missing, [id]);
        let known = status(&pod, raw.id()).await;
        assert!(known.avoided && known.trouble.is_some(), "{known:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_as_a_whole_is_not_fetched_beyond_its_bound() {
    let federation = Twin::new();
    let (liar, asker) = (liar(&federation, Lie::Has(65 << 20)).await, federation.pod().await);
    federation.join(&asker, &liar).await;
    let digest = Digest::of(b"too large");
    for kind in [ObjectKind::Tree, ObjectKind::Trace, ObjectKind::PathSet] {
        let order = FetchOrder { relays: false, ..FetchOrder::new([ObjectId { kind, digest }], &[]) };
        assert_eq!(asker.swarm.fetch(order).await.unwrap().missing.len(), 1, "{kind:?}");
    }
    // It was not even asked for: nothing was found to be a lie, and nothing came.
    let known = status(&asker, liar.id()).await;
    assert_eq!((known.faults, known.received), (0, 0), "{known:?}");
    let blob = FetchOrder { relays: false, ..FetchOrder::new([ObjectId::blob(digest)], &[]) };
    assert_eq!(asker.swarm.fetch(blob).await.unwrap().missing.len(), 1);
}

/// Not only forgotten: whoever holds the other end of the streams finds them closed, though it says nothing and something is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_streams_of_who_is_banned_are_closed() {
    let federation = Tcp::new();
    let pod = federation.pod().await;
    let (raw, mut streams) = Raw::greeted(&pod, federation.members()).await;
    let wanted = ObjectId::blob(Digest::of(b"never given"));
    let order =
        FetchOrder { patience: Duration::ZERO, relays: false, ..FetchOrder::new([wanted], &[raw.id()]) };
    let fetching = tokio::spawn({
        let swarm = pod.swarm.clone();
        async move { swarm.fetch(order).await }
    });
    federation.members().ban(&raw.id());
    for stream in &mut streams {
        until_closed(stream).await;
    }
    assert_eq!(fetching.await.unwrap().unwrap().missing, [wanted]);
    assert!(!status(&pod, raw.id()).await.connected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_no_stream() {
    let federation = Tcp::new();
    let pod = federation.pod().await;
    pod.blobs(1, &[1000]);
    let mut raw = Raw::dial(&pod).await;
    for protocol in PROTOCOLS {
        let open = raw.control.open_stream(peer_of(&pod.id()).unwrap(), protocol);
        let opened = tokio::time::timeout(Duration::from_secs(2), open).await;
        assert!(!matches!(opened, Ok(Ok(_))));
    }
    assert_eq!(pod.swarm.pods().await.unwrap(), []);
}

/// Nothing that was asked in a foreign tongue is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_major_version_is_refused_with_a_sentence() {
    let federation = Tcp::new();
    let pod = federation.pod().await;
    let (raw, mut streams) = Raw::member(&pod, federation.members()).await;
    let newer = Hello { major: MAJOR + 1, minor: 0, features: 0, credit: [0; 2] };
    streams[0].write_all(&Frame::Hello(newer).encode()).await.unwrap();
    streams[0].flush().await.unwrap();
    until_closed(&mut streams[0]).await;
    pod.until_connected(raw.id(), false).await;
    let trouble = status(&pod, raw.id()).await.trouble.unwrap();
    assert!(trouble.contains("version 2") && trouble.contains("upgrade"), "{trouble}");
}
