//! Our side: larder to larder, over the swarm as pods have it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::{Larder, ObjectKind};
use node::Stock;
use protocol::{Digest, ObjectId, PodId};
use swarm::{FetchOrder, Keypair, Multiaddr, Options, Swarm};
use tempfile::TempDir;

use crate::{Cost, measure};

pub struct End {
    pub swarm: Swarm,
    pub larder: Larder,
    _folder: TempDir,
}

/// A pod over a new larder.
pub fn end(folder: &Path, listen: Option<Multiaddr>) -> End {
    let folder = tempfile::tempdir_in(folder).expect("a folder");
    let larder = Larder::open(&folder.path().join("larder"), larder::Options::default()).expect("a larder");
    let stock = Stock::new(larder.clone(), &folder.path().join("chunks")).expect("chunk lists");
    let mut options = Options::default();
    if let Some(listen) = listen {
        options.listen = vec![listen];
    }
    let everybody = |_: &PodId| true;
    let swarm = Swarm::start(Keypair::generate_ed25519(), options, Arc::new(stock), Arc::new(everybody));
    End { swarm: swarm.expect("a swarm"), larder, _folder: folder }
}

pub struct Source {
    folder: PathBuf,
    end: End,
    ids: Vec<ObjectId>,
}

impl Source {
    pub async fn new(folder: &Path, objects: &[&[u8]]) -> Self {
        let end = end(folder, None);
        let put = |bytes: &&[u8]| end.larder.put(ObjectKind::Blob, bytes).expect("put");
        let ids: Vec<ObjectId> = objects.iter().map(put).map(ObjectId::blob).collect();
        end.larder.flush().expect("flushed");
        Self { folder: folder.to_owned(), end, ids }
    }

    pub async fn fetch(&self) -> Cost {
        let to = end(&self.folder, None);
        let addresses = self.end.swarm.addresses().await.expect("an address");
        to.swarm.learn(self.end.swarm.pod(), addresses).await.expect("learnt");
        while !to.swarm.pods().await.expect("pods").iter().any(|pod| pod.connected) {
            tokio::task::yield_now().await;
        }
        let order = FetchOrder::new(self.ids.iter().copied(), &[self.end.swarm.pod()]);
        let cost = measure(async {
            let fetched = to.swarm.fetch(order).await.expect("fetched");
            assert_eq!((fetched.came, fetched.missing), (self.ids.len(), vec![]));
            to.larder.flush().expect("flushed");
        })
        .await;
        assert!(to.larder.contains(&self.ids[0].digest).expect("looked"));
        assert!(!to.larder.contains(&Digest::of(b"")).expect("looked"));
        cost
    }
}
