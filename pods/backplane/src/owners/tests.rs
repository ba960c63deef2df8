//! Claims and hand-overs on the twin: rivals, deaths at each point, lost logs.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use proptest::prelude::*;
use protocol::mesh::{ExchangeAnswer, FederationId};
use tokio::sync::Notify;

use super::*;
use crate::bus::Bus;
use crate::bus::memory::{MemoryBus, MemoryServer};
use crate::federation::Kept;
use crate::keys::{Identity, Ring};
use crate::mesh::{AskError, MAX_SERVING, MeshParts, Running};

const PATIENCE: Duration = Duration::from_secs(60);
const BEAT: Duration = Duration::from_millis(20);
/// Long enough for all that is asked here.
const SERVED: Duration = Duration::from_secs(5);
const SALT: [u8; 16] = [3; 16];

/// The bytes of a pod, which outlive its process.
#[derive(Default)]
struct Disk {
    held: Mutex<BTreeSet<Digest>>,
    /// How many pulls fail before one succeeds.
    failing: Mutex<usize>,
    /// Whether pulls wait for [`Disk::go_on`].
    waiting: Mutex<bool>,
    go_on: Notify,
    pulls: Mutex<usize>,
}

impl Puller for Disk {
    fn pull(&self, _from: PodId, digest: Digest) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            *self.pulls.lock() += 1;
            let waits = *self.waiting.lock();
            if waits {
                self.go_on.notified().await;
            }
            tokio::task::yield_now().await;
            let mut failing = self.failing.lock();
            if *failing > 0 {
                *failing -= 1;
                return Err("the disk is full".to_owned());
            }
            self.held.lock().insert(digest);
            Ok(())
        })
    }
}

/// A machine: what survives a crash of its pod.
struct Machine {
    identity: Arc<Identity>,
    home: tempfile::TempDir,
    disk: Arc<Disk>,
}

struct Pod {
    owners: Arc<Owners>,
    bus: Arc<MemoryBus>,
    _running: Running,
}

impl Machine {
    fn new() -> Self {
        let identity = Arc::new(Identity::generate().unwrap());
        Self { identity, home: tempfile::tempdir().unwrap(), disk: Arc::default() }
    }

    fn start(&self, server: &MemoryServer, federation: FederationId, ring: &Ring) -> Pod {
        let kept = Kept { federation, salt: None, ring: ring.clone(), life: 0 };
        let kept = Kept::read(self.home.path()).unwrap().unwrap_or(kept);
        let bus = Arc::new(server.connect());
        let mut parts = MeshParts::new(bus.clone(), self.identity.clone(), kept);
        parts.home = Some(self.home.path().to_owned());
        parts.beat_every = BEAT;
        parts.serving = SERVED;
        let mesh = Mesh::open(parts).unwrap();
        let running = mesh.start();
        let owners = Owners::open(mesh, self.disk.clone()).unwrap();
        Pod { owners, bus, _running: running }
    }
}

struct World {
    server: MemoryServer,
    federation: FederationId,
    ring: Ring,
    machines: Vec<Machine>,
    pods: Vec<Pod>,
}

async fn world(count: usize) -> World {
    let server = MemoryServer::new();
    let machines: Vec<Machine> = (0..count).map(|_| Machine::new()).collect();
    let federation = FederationId::founded_by(&machines[0].identity.pod(), &SALT);
    let mut ring = Ring::default();
    ring.add(1, zeroize::Zeroizing::new([5; 32]));
    let pods: Vec<Pod> = machines.iter().map(|machine| machine.start(&server, federation, &ring)).collect();
    let founder = pods[0].owners.mesh.federation();
    founder.found("m0", SALT).await.unwrap();
    for machine in &machines[1..] {
        let pod = machine.identity.pod();
        let member = protocol::mesh::Member {
            pod,
            name: "m".to_owned(),
            role: protocol::mesh::Role::Full,
            standing: protocol::mesh::Standing::Member,
            seal_key: machine.identity.seal_key(),
            founding_salt: None,
            knew_generation: None,
            admission: None,
            upheld: Vec::new(),
        };
        let body = serde_json::to_value(member).unwrap();
        founder.ledger.change(&subject::member(&pod), |_| Ok(body.clone())).await.unwrap();
    }
    let world = World { server, federation, ring, machines, pods };
    for n in 0..count {
        world
            .until(n, "settled", |pod| {
                pod.owners.mesh.members().list().len() == count
                    && pod.owners.mesh.beats().all().len() == count - 1
                    && pod.owners.mesh.ledger().settled().unwrap()
            })
            .await;
    }
    world
}

impl World {
    async fn until(&self, n: usize, what: &str, wanted: impl Fn(&Pod) -> bool) {
        let reached = async {
            while !wanted(&self.pods[n]) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("pod {n} never: {what}"));
    }

    fn pod(&self, n: usize) -> PodId {
        self.machines[n].identity.pod()
    }

    /// kill -9, and a new start.
    fn restart(&mut self, n: usize) {
        self.pods[n] = self.machines[n].start(&self.server, self.federation, &self.ring);
    }

    fn record(&self, n: usize) -> Option<Ownership> {
        self.pods[n].owners.record(key()).unwrap().map(|(_, ownership)| ownership)
    }
}

fn claim_of(digest: &[u8]) -> Claim {
    Claim {
        workspace: WorkspaceId::from_random(1),
        path: RelPath::new(b"src").unwrap(),
        scope: ArtefactScope::Sources,
        digest: Digest::of(digest),
        size: 10,
        label: String::new(),
    }
}

fn key() -> OwnerKey {
    OwnerKey::new(WorkspaceId::from_random(1), &RelPath::new(b"src").unwrap())
}

#[tokio::test]
async fn of_pods_that_claim_at_once_one_owns() {
    let world = world(3).await;
    let claim = claim_of(b"a");
    let claims = world.pods.iter().map(|pod| pod.owners.claim(&claim));
    let outcomes = futures::future::join_all(claims).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(ClaimError::Owned { .. }))));
    for n in 0..3 {
        world.until(n, "the owner", |pod| pod.owners.map().len() == 1).await;
    }
    let owners: BTreeSet<_> = (0..3).map(|n| world.record(n).unwrap().owner).collect();
    assert_eq!(owners.len(), 1);
}

#[tokio::test]
async fn an_owner_changes_what_it_owns_and_gives_it_up() {
    let world = world(2).await;
    let first = world.pods[0].owners.claim(&claim_of(b"a")).await.unwrap();
    let second = world.pods[0].owners.claim(&claim_of(b"b")).await.unwrap();
    assert!(second > first);
    world.pods[0].owners.release(&key().subject()).await.unwrap();
    world
        .until(1, "released", |pod| {
            pod.owners.mesh.ledger().get(&key().subject()).unwrap().is_some_and(|e| e.epoch > second)
        })
        .await;
    assert!(world.pods[1].owners.map().is_empty());
    world.pods[1].owners.claim(&claim_of(b"c")).await.unwrap();
    assert_eq!(world.record(1).unwrap().owner, Some(world.pod(1)));
}

#[tokio::test]
async fn what_is_given_is_owned_by_the_other_who_has_its_bytes() {
    let world = world(2).await;
    world.pods[0].owners.claim(&claim_of(b"a")).await.unwrap();
    let epoch = world.pods[0].owners.give(key(), world.pod(1)).await.unwrap();
    assert_eq!(epoch.revision, 3);
    assert_eq!(world.record(0).unwrap().owner, Some(world.pod(1)));
    assert!(world.machines[1].disk.held.lock().contains(&Digest::of(b"a")));
    assert!(matches!(world.pods[0].owners.give(key(), world.pod(1)).await, Err(GiveError::NotOurs(_))));
}

#[tokio::test]
async fn of_a_label_people_read_what_can_be_seen() {
    let world = world(1).await;
    let label = format!("\x1b[2J\u{202e}{}", "long ".repeat(1000));
    world.pods[0].owners.claim(&Claim { label, ..claim_of(b"a") }).await.unwrap();
    let label = world.record(0).unwrap().label;
    assert!(label.starts_with("[2Jlong") && label.len() == 300, "{label:?}");
}

#[tokio::test]
async fn what_is_not_taken_stays() {
    let world = world(2).await;
    world.pods[0].owners.claim(&claim_of(b"a")).await.unwrap();
    *world.machines[1].disk.failing.lock() = 1;
    let given = world.pods[0].owners.give(key(), world.pod(1)).await;
    assert!(matches!(&given, Err(GiveError::NotTaken(why)) if why == "the disk is full"), "{given:?}");
    let record = world.record(0).unwrap();
    assert_eq!((record.owner, record.promised_to), (Some(world.pod(0)), None));
    world.pods[0].owners.give(key(), world.pod(1)).await.unwrap();
}

#[tokio::test]
async fn what_is_asked_for_while_it_is_pulled_is_not_pulled_twice() {
    let world = world(2).await;
    let (giver, taker) = (&world.pods[0].owners, &world.pods[1].owners);
    giver.claim(&claim_of(b"a")).await.unwrap();
    let disk = &world.machines[1].disk;
    *disk.waiting.lock() = true;
    let asked_meanwhile = async {
        while *disk.pulls.lock() == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            assert_eq!(taker.take(key()).await.unwrap(), ExchangeAnswer::Pulling);
        }
        disk.go_on.notify_one();
    };
    let (given, ()) = futures::join!(giver.give(key(), world.pod(1)), asked_meanwhile);
    given.unwrap();
    assert_eq!(*disk.pulls.lock(), 1);
}

#[tokio::test]
async fn an_owner_that_was_banned_is_superseded() {
    let world = world(3).await;
    world.pods[1].owners.claim(&claim_of(b"a")).await.unwrap();
    world.until(0, "the owner", |pod| pod.owners.map().len() == 1).await;
    assert!(matches!(world.pods[0].owners.claim(&claim_of(b"b")).await, Err(ClaimError::Owned { .. })));
    world.pods[0].owners.mesh.federation().ban(&world.pod(1)).await.unwrap();
    world.pods[0].owners.claim(&claim_of(b"b")).await.unwrap();
    assert_eq!(world.record(0).unwrap().owner, Some(world.pod(0)));
}

#[tokio::test]
async fn after_a_lost_log_nobody_claims_what_another_owns() {
    let world = world(2).await;
    world.pods[0].owners.claim(&claim_of(b"a")).await.unwrap();
    world.until(1, "the owner", |pod| pod.owners.map().len() == 1).await;
    let old = world.pods[1].owners.mesh.ledger().status().borrow().incarnation;
    world.server.stop();
    world.server.lose_log();
    world.server.start();
    // As soon as it may claim at all in the new log, it knows who owns.
    let claim = claim_of(b"b");
    let attempts = async {
        loop {
            match world.pods[1].owners.claim(&claim).await {
                Err(ClaimError::NotSettled | ClaimError::Change(_)) => tokio::task::yield_now().await,
                outcome if world.pods[1].owners.mesh.ledger().status().borrow().incarnation != old => {
                    return outcome;
                }
                Err(_) => tokio::task::yield_now().await,
                Ok(epoch) => return Ok(epoch),
            }
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, attempts).await.unwrap();
    assert!(matches!(outcome, Err(ClaimError::Owned { .. })), "{outcome:?}");
}

#[tokio::test]
async fn who_owns_which_records_is_known() {
    let world = world(2).await;
    let keys: Vec<OwnerKey> = (0..3u8)
        .map(|n| OwnerKey::new(WorkspaceId::from_random(2), &RelPath::new(&[b'a' + n]).unwrap()))
        .collect();
    for (n, size) in [(0u8, 10u64), (1, 20), (2, 15)] {
        let claim = Claim {
            workspace: WorkspaceId::from_random(2),
            path: RelPath::new(&[b'a' + n]).unwrap(),
            size,
            ..claim_of(b"x")
        };
        world.pods[usize::from(n == 1)].owners.claim(&claim).await.unwrap();
    }
    world.until(0, "all", |pod| pod.owners.map().len() == 3).await;
    assert_eq!(world.pods[0].owners.map().owned_by(&world.pod(1)), [keys[1]]);
}

/// What happens to a hand-over at one of its points.
#[derive(Debug, Clone)]
enum Fault {
    KillGiver,
    KillTaker,
    LoseAcks(usize),
    Disconnect(usize),
    FailPull,
    Nothing,
}

fn faults() -> impl Strategy<Value = Vec<(u16, Fault)>> {
    let fault = prop_oneof![
        Just(Fault::KillGiver),
        Just(Fault::KillTaker),
        (1usize..4).prop_map(Fault::LoseAcks),
        (0usize..2).prop_map(Fault::Disconnect),
        Just(Fault::FailPull),
        Just(Fault::Nothing),
    ];
    prop::collection::vec((0u16..60, fault), 0..4)
}

async fn hand_over_under(faults: Vec<(u16, Fault)>) {
    let mut world = world(2).await;
    world.machines[0].disk.held.lock().insert(Digest::of(b"a"));
    world.pods[0].owners.claim(&claim_of(b"a")).await.unwrap();
    let to = world.pod(1);
    let giver = world.pods[0].owners.clone();
    let mut giving = tokio::spawn(async move { giver.give(key(), to).await.map(|_| ()) });
    for (steps, fault) in faults {
        // A point of the exchange: so many turns of the scheduler later.
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        match fault {
            Fault::KillGiver => {
                giving.abort();
                world.restart(0);
                giving = tokio::spawn(async { Ok(()) });
            }
            Fault::KillTaker => world.restart(1),
            Fault::LoseAcks(count) => world.server.lose_acks(count),
            Fault::Disconnect(n) => {
                world.pods[n].bus.disconnect();
                tokio::task::yield_now().await;
                world.pods[n].bus.reconnect();
            }
            Fault::FailPull => *world.machines[1].disk.failing.lock() = 1,
            Fault::Nothing => {}
        }
    }
    drop(giving.await);
    // Whatever happened: both go on, and it is settled.
    for round in 0.. {
        assert!(round < 200, "it is never settled: {:?} {:?}", world.record(0), world.record(1));
        for n in 0..2 {
            let owners = world.pods[n].owners.clone();
            let caught_up = owners.mesh.ledger().status().borrow().caught_up;
            // A pod that was cut off may fail now, and goes on the next time.
            if !caught_up || owners.go_on().await.is_err() {
                tokio::time::sleep(BEAT).await;
            }
        }
        let records = [world.record(0), world.record(1)].map(Option::unwrap);
        if records[0] == records[1] && records[0].promised_to.is_none() {
            let owner = records[0].owner.unwrap();
            let n = usize::from(owner == world.pod(1));
            assert_eq!(owner, world.pod(n));
            assert!(world.machines[n].disk.held.lock().contains(&Digest::of(b"a")), "the owner has no bytes");
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn a_hand_over_survives_deaths_at_any_point(faults in faults()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(hand_over_under(faults));
    }
}

#[tokio::test]
async fn a_question_that_takes_too_long_gives_its_place_back() {
    let world = world(2).await;
    let (asking, asked) = (&world.pods[0].owners.mesh, &world.pods[1].owners.mesh);
    asked.serve("slow", Arc::new(|_, _| futures::future::pending().boxed()));
    asked.serve("quick", Arc::new(|_, question| std::future::ready(Ok(question)).boxed()));
    let it = asked.pod();
    for _ in 0..MAX_SERVING {
        asking.ask::<_, u32>(&it, "slow", &7, Duration::from_millis(1)).await.unwrap_err();
    }
    assert_eq!(asking.ask::<_, u32>(&it, "quick", &7, PATIENCE).await.unwrap(), 7);
}

#[tokio::test]
async fn what_was_asked_once_is_not_carried_out_again_after_a_restart() {
    let mut world = world(2).await;
    let tap = world.server.connect();
    let it = world.pods[1].owners.mesh.pod();
    let mut questions = tap.subscribe(&subject::ask(&it, "count")).await.unwrap();
    let counts = |mesh: &Mesh| {
        let count = Arc::new(Mutex::new(0));
        let counted = count.clone();
        mesh.serve(
            "count",
            Arc::new(move |_, _| {
                *counted.lock() += 1;
                std::future::ready(Ok(().into())).boxed()
            }),
        );
        count
    };
    let before = counts(&world.pods[1].owners.mesh);
    let ask = |world: &World| {
        let mesh = world.pods[0].owners.mesh.clone();
        async move {
            // It may not listen yet.
            let moment = Duration::from_millis(100);
            while !matches!(mesh.ask::<_, ()>(&it, "nothing", &(), moment).await, Err(AskError::Refused(_))) {
            }
            mesh.ask::<_, ()>(&it, "count", &(), PATIENCE).await.unwrap();
        }
    };
    ask(&world).await;
    let question = questions.next().await.unwrap();
    assert_eq!(*before.lock(), 1);
    drop(world.pods.pop());
    world.pods.push(world.machines[1].start(&world.server, world.federation, &world.ring));
    let after = counts(&world.pods[1].owners.mesh);
    ask(&world).await;
    let moment = Duration::from_millis(1);
    tap.request(&question.subject, question.payload, moment).await.unwrap_err();
    // It answers after all that has come to it.
    ask(&world).await;
    assert_eq!(*after.lock(), 2);
}
