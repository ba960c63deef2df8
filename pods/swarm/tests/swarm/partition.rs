//! Hosts as network namespaces with a cable between them, which is pulled. Needs root.

use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use swarm::{FetchOrder, Keypair, MemoryStore, Options, Swarm, pod_of};

use crate::federation::{Members, limits};
use protocol::{ObjectKind, PodId};
use swarm::testing::noise;

const SIZE: usize = 64 << 20;

fn ip(words: &str) {
    let status = Command::new("ip").args(words.split_whitespace()).status().expect("ip, of iproute2");
    assert!(status.success(), "ip {words}");
}

/// A thread with a network of its own, which goes when the thread ends.
fn host<T: Send + 'static>(
    work: impl FnOnce(&tokio::runtime::Runtime) -> T + Send + 'static,
) -> (std::thread::JoinHandle<T>, i32) {
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        ip("link set lo up");
        tell.send(nix::unistd::gettid().as_raw()).unwrap();
        // One thread: all sockets are made in this namespace.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        work(&runtime)
    });
    (thread, told.recv().unwrap())
}

#[test]
fn a_cable_is_pulled_and_put_back() {
    if !nix::unistd::geteuid().is_root() {
        println!("left out: making network namespaces needs root");
        return;
    }
    let members = Members::default();
    let keys: Vec<Keypair> = (0..2).map(|_| Keypair::generate_ed25519()).collect();
    let ids: Vec<PodId> = keys.iter().map(|key| pod_of(&key.public().to_peer_id()).unwrap()).collect();
    ids.iter().for_each(|id| members.add(*id));
    let start = |key: Keypair, host: u8, store: MemoryStore, members: Members| {
        let listen = vec![format!("/ip4/10.9.0.{host}/tcp/4001").parse().unwrap()];
        let options = Options { listen, limits: limits(), ..Options::default() };
        Swarm::start(key, options, std::sync::Arc::new(store), std::sync::Arc::new(members)).unwrap()
    };
    let (plugged, is_plugged) = mpsc::channel::<()>();
    let (finished, is_finished) = tokio::sync::oneshot::channel::<()>();
    let (key, list) = (keys[0].clone(), members.clone());
    let (serving, tid) = host(move |runtime| {
        is_plugged.recv().unwrap();
        ip("addr add 10.9.0.1/24 dev v1");
        ip("link set v1 up");
        runtime.block_on(async {
            let store = MemoryStore::default();
            store.add(ObjectKind::Blob, noise(1, SIZE));
            let swarm = start(key, 1, store, list);
            swarm.addresses().await.unwrap();
            is_finished.await.unwrap();
        });
    });
    let (key, far) = (keys[1].clone(), ids[0]);
    let (fetching, _) = host(move |runtime| {
        ip(&format!("link add v0 type veth peer name v1 netns {tid}"));
        ip("addr add 10.9.0.2/24 dev v0");
        ip("link set v0 up");
        plugged.send(()).unwrap();
        runtime.block_on(async {
            let store = MemoryStore::default();
            let swarm = start(key, 2, store.clone(), members);
            swarm.learn(far, vec!["/ip4/10.9.0.1/tcp/4001".parse().unwrap()]).await.unwrap();
            let id = protocol::ObjectId::of(ObjectKind::Blob, &noise(1, SIZE));
            let order = FetchOrder { patience: Duration::from_secs(60), ..FetchOrder::new([id], &[far]) };
            let known =
                async || swarm.pods().await.unwrap().into_iter().find(|known| known.pod == far).unwrap();
            let cable = async {
                while known().await.received < (8 << 20) {
                    tokio::task::yield_now().await;
                }
                ip("link set v0 down");
                while known().await.connected {
                    tokio::task::yield_now().await;
                }
                let so_far = known().await;
                assert!(so_far.trouble.is_some() && store.is_empty(), "{so_far:?}");
                ip("link set v0 up");
            };
            let (fetched, ()) = tokio::join!(swarm.fetch(order), cable);
            assert_eq!(fetched.unwrap().missing, []);
            assert!(store.get(&id).is_some());
            let received = known().await.received as usize;
            assert!(received < SIZE + (20 << 20), "{received}");
        });
        finished.send(()).unwrap();
    });
    fetching.join().unwrap();
    serving.join().unwrap();
}
