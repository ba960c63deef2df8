//! A member that lies: about what it has, how much room it has, what it owns, and what others have made. It speaks with a pod's own libraries.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use backplane::bus::nats::{NatsBus, NatsOptions};
use backplane::federation::{JoinOptions, Kept, join};
use backplane::keys::Identity;
use backplane::mesh::{Mesh, MeshParts, Running};
use protocol::mesh::run::{RUN, RunAnswer};
use protocol::mesh::{Addresses, Beat, Invitation, Role, subject};
use protocol::swarm::ChunkList;
use protocol::{Digest, ObjectId, PodId};
use swarm::{Content, Incoming, Keypair, Store, StoreError, Swarm};
use tokio::runtime::Runtime;

use crate::common::Nats;

/// What it is called.
pub const NAME: &str = "liar";
/// How many slots it claims to have.
const SLOTS: u32 = 1000;
/// What it gives for whatever is wanted.
const WRONG: [u8; 1000] = [b'!'; 1000];

/// The member.
pub struct Insider {
    pub mesh: Arc<Mesh>,
    pub runtime: Runtime,
    _running: Running,
    _swarm: Swarm,
}

/// Says that it has everything, and gives the same for all of it.
struct Everything;

impl Store for Everything {
    fn sizes(&self, ids: &[ObjectId], _: Duration) -> Result<Vec<Option<u64>>, StoreError> {
        Ok(ids.iter().map(|_| Some(WRONG.len() as u64)).collect())
    }

    fn open(&self, _: &ObjectId) -> Result<Option<Content>, StoreError> {
        Ok(Some(Content::Bytes(WRONG.as_slice().into())))
    }

    fn put(&self, _: &ObjectId, _: &[u8]) -> Result<bool, StoreError> {
        Ok(true)
    }

    fn begin(&self, _: &ObjectId, _: u64) -> Result<Box<dyn Incoming>, StoreError> {
        Err(io::Error::other("it takes nothing").into())
    }

    fn chunk_list(&self, _: &ObjectId) -> Result<Option<Arc<ChunkList>>, StoreError> {
        Ok(None)
    }

    fn keep_chunk_list(&self, _: Arc<ChunkList>) -> Result<(), StoreError> {
        Ok(())
    }

    fn find_chunk(&self, _: &Digest) -> Result<Option<(ObjectId, u64)>, StoreError> {
        Ok(None)
    }
}

impl Insider {
    /// Comes in by an invitation. It offers more slots than anybody, takes every step, and says nothing of it again.
    pub fn new(nats: &Nats, invitation: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let invitation: Invitation = invitation.parse().unwrap();
        let (mesh, running, swarm) = runtime.block_on(async {
            let identity = Arc::new(Identity::generate().unwrap());
            let root = invitation.federation.root();
            let bus = Arc::new(NatsBus::connect(&NatsOptions::new(nats.url()), &root).await.unwrap());
            let options = JoinOptions { name: NAME.to_owned(), role: Role::Full };
            let welcome = join(&*bus, &identity, &invitation, &options).await.unwrap();
            let kept = Kept { federation: invitation.federation, salt: None, ring: welcome.ring, life: 0 };
            let mesh = Mesh::open(MeshParts::new(bus, identity.clone(), kept)).unwrap();
            for (name, signed) in welcome.members {
                mesh.ledger().offer(&name, &signed).unwrap();
            }
            mesh.set_load(|| Beat { free_slots: SLOTS, slots: SLOTS, ..Beat::default() });
            let accepted = serde_json::to_value(RunAnswer::Accepted).unwrap();
            mesh.serve(
                RUN,
                Arc::new(move |_, _| {
                    let accepted = accepted.clone();
                    Box::pin(async move { Ok(accepted) })
                }),
            );
            let running = mesh.start();
            let key = Keypair::ed25519_from_bytes(&mut *identity.secret()).unwrap();
            let members = mesh.members().clone();
            let admits = move |pod: &PodId| members.is_member(pod);
            let swarm =
                Swarm::start(key, swarm::Options::default(), Arc::new(Everything), Arc::new(admits)).unwrap();
            let addresses = swarm.addresses().await.unwrap().iter().map(ToString::to_string).collect();
            let addresses = serde_json::to_value(Addresses { addresses }).unwrap();
            mesh.ledger().insist(&subject::address(&mesh.pod()), addresses).await.unwrap();
            (mesh, running, swarm)
        });
        Self { mesh, runtime, _running: running, _swarm: swarm }
    }
}
