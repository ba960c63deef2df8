//! iroh-blobs, file store to file store, as its examples do it, without relays and discovery.

use std::path::{Path, PathBuf};

use iroh::endpoint::presets;
use iroh::protocol::Router;
use iroh::{Endpoint, RelayMode};
use iroh_blobs::api::TempTag;
use iroh_blobs::hashseq::HashSeq;
use iroh_blobs::store::fs::FsStore;
use iroh_blobs::{BlobsProtocol, HashAndFormat};

use crate::{Cost, measure};

pub struct Source {
    folder: PathBuf,
    router: Router,
    what: HashAndFormat,
    _tags: Vec<TempTag>,
    _store: FsStore,
    _home: tempfile::TempDir,
}

async fn endpoint() -> Endpoint {
    let builder = Endpoint::builder(presets::Minimal).relay_mode(RelayMode::Disabled).clear_ip_transports();
    builder.bind_addr("127.0.0.1:0").expect("an address").bind().await.expect("bound")
}

impl Source {
    async fn new(folder: &Path) -> (FsStore, Router, tempfile::TempDir) {
        let home = tempfile::tempdir_in(folder).expect("a folder");
        let store = FsStore::load(home.path()).await.expect("a store");
        let blobs = BlobsProtocol::new(&store, None);
        let router = Router::builder(endpoint().await).accept(iroh_blobs::ALPN, blobs).spawn();
        (store, router, home)
    }

    pub async fn blob(folder: &Path, bytes: &[u8]) -> Self {
        let (store, router, home) = Self::new(folder).await;
        let file = home.path().join("source");
        std::fs::write(&file, bytes).expect("written");
        let tag = store.blobs().add_path(&file).temp_tag().await.expect("added");
        let what = HashAndFormat::raw(tag.hash());
        Self { folder: folder.to_owned(), router, what, _tags: vec![tag], _store: store, _home: home }
    }

    pub async fn sequence(folder: &Path, objects: &[Vec<u8>]) -> Self {
        let (store, router, home) = Self::new(folder).await;
        let mut tags = Vec::new();
        for object in objects {
            tags.push(store.blobs().add_bytes(object.clone()).temp_tag().await.expect("added"));
        }
        let sequence: HashSeq = tags.iter().map(TempTag::hash).collect();
        let tag = store.blobs().add_bytes(sequence.into_inner()).temp_tag().await.expect("added");
        let what = HashAndFormat::hash_seq(tag.hash());
        tags.push(tag);
        Self { folder: folder.to_owned(), router, what, _tags: tags, _store: store, _home: home }
    }

    pub async fn fetch(&self) -> Cost {
        let home = tempfile::tempdir_in(&self.folder).expect("a folder");
        let store = FsStore::load(home.path()).await.expect("a store");
        let endpoint = endpoint().await;
        let connected = endpoint.connect(self.router.endpoint().addr(), iroh_blobs::ALPN).await;
        let connection = connected.expect("connected");
        let cost = measure(async {
            store.remote().fetch(connection, self.what).await.expect("fetched");
        })
        .await;
        endpoint.close().await;
        store.shutdown().await.expect("shut down");
        cost
    }
}
