//! Whole pods on the twin and on real servers: founding, joining, being refused, being banned.

mod banned;
mod hostile;
mod many;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use protocol::PodId;
use protocol::mesh::{FederationId, Invitation, Role, Standing, TraceNews, subject};
use serde_json::json;
use zeroize::Zeroizing;

use super::join::sealed;
use super::*;
use crate::bus::memory::{MemoryBus, MemoryServer};
use crate::bus::nats::{NatsBus, NatsOptions};
use crate::bus::{Bus, BusError, Expect};
use crate::keys::Ring;
use crate::ledger::{ChangeError, Entry, Epoch, Taken};
use crate::mesh::{Mesh, MeshParts, Running};
use crate::server::{Server, ServerOptions};
use crate::traces::Traces;

const PATIENCE: Duration = Duration::from_secs(60);
const BEAT: Duration = Duration::from_millis(50);
const NOW: u64 = 1_700_000_000_000;
const HOUR: u64 = 3_600_000;

struct Pod {
    mesh: Arc<Mesh>,
    _running: Running,
}

fn start(bus: Arc<dyn Bus>, identity: Arc<Identity>, kept: Kept, clock: u64) -> Pod {
    start_so(MeshParts {
        beat_every: BEAT,
        clock: Clock::manual(clock),
        ..MeshParts::new(bus, identity, kept)
    })
}

fn start_so(parts: MeshParts) -> Pod {
    let mesh = Mesh::open(parts).unwrap();
    let running = mesh.start();
    Pod { mesh, _running: running }
}

async fn found(connect: impl AsyncFn(FederationId) -> Arc<dyn Bus>) -> Pod {
    let identity = Arc::new(Identity::generate().unwrap());
    let salt = [3; 16];
    let federation = FederationId::founded_by(&identity.pod(), &salt);
    let kept = Kept { federation, salt: Some(salt), ring: Ring::default(), life: 0 };
    let pod = start(connect(federation).await, identity, kept, NOW);
    pod.mesh.federation().found("founder", salt).await.unwrap();
    listens(&pod, subject::JOIN).await;
    pod
}

async fn enter(bus: Arc<dyn Bus>, invitation: &Invitation, name: &str, clock: u64) -> Result<Pod, JoinError> {
    let identity = Arc::new(Identity::generate().unwrap());
    let options = JoinOptions { name: name.to_owned(), role: Role::Full };
    let welcome = join(bus.as_ref(), &identity, invitation, &options).await?;
    let kept = Kept { federation: invitation.federation, salt: None, ring: welcome.ring, life: 0 };
    let pod = start(bus, identity, kept, clock);
    for (subject, signed) in welcome.members {
        pod.mesh.ledger().offer(&subject, &signed).unwrap();
    }
    Ok(pod)
}

async fn invited(by: &Pod, options: &InviteOptions) -> Invitation {
    by.mesh.federation().invite(options).await.unwrap()
}

async fn until(what: &str, pod: &Pod, wanted: impl Fn(&Mesh) -> bool) {
    let mut changes = pod.mesh.ledger().changes();
    let reached = async {
        while !wanted(&pod.mesh) {
            // Some of what is waited for comes by messages, which change no entry.
            drop(tokio::time::timeout(BEAT, changes.changed()).await);
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| {
        let mesh = &pod.mesh;
        let (status, cursor) = (mesh.ledger().status().borrow().clone(), mesh.ledger().cursor());
        let (generation, ring) =
            (mesh.ledger().get(subject::GENERATION), mesh.federation().ring.read().newest());
        panic!("never: {what}; {status:?} {cursor:?} {generation:?} {ring} {:?}", mesh.members().list())
    });
}

/// Waits until somebody listens to a subject.
async fn listens(asker: &Pod, name: &str) {
    let asked = async {
        let ask = || asker.mesh.bus().request(name, Bytes::new(), Duration::from_millis(10));
        while let Err(BusError::Nobody(_)) = ask().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("nobody listens");
}

/// A subject on which a full member may say anything.
fn word_of(pod: &PodId, name: &str) -> String {
    subject::trace(pod, &protocol::Digest::of(name.as_bytes()))
}

async fn hears(pod: &Pod, other: &Pod) {
    let other = other.mesh.pod();
    until("a beat", pod, |mesh| mesh.beats().all().contains_key(&other)).await;
}

fn serve_echo(pod: &Pod) {
    let echo: crate::mesh::Handler =
        Arc::new(|from, body| Box::pin(async move { Ok(json!({ "from": from, "body": body })) }));
    pod.mesh.serve("echo", echo);
}

async fn a_federation_works(connect: impl AsyncFn(FederationId) -> Arc<dyn Bus>) {
    let a = found(&connect).await;
    let id = a.mesh.federation().id;
    let invitation = invited(&a, &InviteOptions { uses: 2, ..InviteOptions::default() }).await;
    // Clocks an hour apart, in both directions.
    let b = enter(connect(id).await, &invitation, "b", NOW + HOUR).await.unwrap();
    let c = enter(connect(id).await, &invitation, "c", NOW - HOUR).await.unwrap();
    for pod in [&a, &b, &c] {
        until("three members", pod, |mesh| mesh.members().list().len() == 3).await;
    }
    hears(&a, &b).await;
    hears(&b, &a).await;
    hears(&a, &c).await;
    serve_echo(&b);
    listens(&a, &subject::ask(&b.mesh.pod(), "echo")).await;
    let answer: serde_json::Value = a.mesh.ask(&b.mesh.pod(), "echo", &7, PATIENCE).await.unwrap();
    assert_eq!(answer, json!({ "from": a.mesh.pod(), "body": 7 }));
    let [x, y, z] = [(&b, "x"), (&c, "y"), (&b, "z")].map(|(pod, name)| word_of(&pod.mesh.pod(), name));
    b.mesh.ledger().say(&x, json!(1)).await.unwrap();
    until("an entry", &a, |mesh| mesh.ledger().get(&x).unwrap().is_some()).await;

    a.mesh.federation().ban(&b.mesh.pod()).await.unwrap();
    until("a new key", &c, |mesh| mesh.federation().ring.read().newest() == 2).await;
    let banned = b.mesh.pod();
    until("the ban", &c, |mesh| !mesh.members().is_member(&banned)).await;
    assert_eq!(b.mesh.federation().ring.read().newest(), 1);
    c.mesh.ledger().say(&y, json!(2)).await.unwrap();
    until("an entry", &a, |mesh| mesh.ledger().get(&y).unwrap().is_some()).await;
    assert_eq!(b.mesh.ledger().get(&y).unwrap(), None);
    // Whatever it says now is not taken.
    serve_echo(&a);
    let asked =
        b.mesh.ask::<_, serde_json::Value>(&a.mesh.pod(), "echo", &7, Duration::from_millis(300)).await;
    assert!(asked.is_err());
    let parts = Entry::new(
        &b.mesh.federation().identity,
        &id,
        &z,
        a.mesh.ledger().get(&y).unwrap().unwrap().epoch,
        (NOW, json!(3)),
    );
    let taken = a.mesh.ledger().offer(&z, &parts.unwrap().signed).unwrap();
    assert_eq!(taken, Taken::Refused);
}

#[tokio::test]
async fn a_federation_works_on_the_twin() {
    let server = MemoryServer::new();
    a_federation_works(async |_| Arc::new(server.connect()) as Arc<dyn Bus>).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_federation_works_over_nats() {
    for program in crate::testing::nats_servers() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&ServerOptions::of(&program, folder.path())).unwrap();
        a_federation_works(async |id: FederationId| {
            let bus = NatsBus::connect(&NatsOptions::new(server.url()), &id.root()).await.unwrap();
            Arc::new(bus) as Arc<dyn Bus>
        })
        .await;
    }
}

async fn twin() -> (MemoryServer, Pod) {
    let server = MemoryServer::new();
    let a = found(async |_| Arc::new(server.connect()) as Arc<dyn Bus>).await;
    (server, a)
}

fn refused(outcome: Result<Pod, JoinError>) -> String {
    match outcome {
        Ok(_) => panic!("it was let in"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn an_invitation_is_used_as_often_as_it_says() {
    let (server, a) = twin().await;
    let invitation = invited(&a, &InviteOptions::default()).await;
    let _b = enter(Arc::new(server.connect()), &invitation, "b", NOW).await.unwrap();
    let said = refused(enter(Arc::new(server.connect()), &invitation, "c", NOW).await);
    assert!(said.contains("used up"), "{said}");
    assert_eq!(a.mesh.members().list().len(), 2);
}

#[tokio::test]
async fn many_at_once_on_one_invitation_are_let_in_once() {
    let (server, a) = twin().await;
    let invitation = invited(&a, &InviteOptions { uses: 3, ..InviteOptions::default() }).await;
    let buses: Vec<Arc<MemoryBus>> = (0..6).map(|_| Arc::new(server.connect())).collect();
    let attempts = buses.into_iter().map(|bus| enter(bus, &invitation, "x", NOW));
    let outcomes = futures::future::join_all(attempts).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    assert_eq!(a.mesh.members().list().len(), 4);
}

#[tokio::test]
async fn an_old_invitation_is_refused() {
    let (server, a) = twin().await;
    let invitation = invited(&a, &InviteOptions { holds_for: 1000, ..InviteOptions::default() }).await;
    a.mesh.federation().clock.set(NOW + 1001);
    let said = refused(enter(Arc::new(server.connect()), &invitation, "b", NOW).await);
    assert!(said.contains("too old"), "{said}");
}

#[tokio::test]
async fn a_stranger_does_not_come_in() {
    let (server, a) = twin().await;
    let good = invited(&a, &InviteOptions::default()).await;
    // Whoever knows all of an invitation but its secret.
    let guess = Invitation { secret: [0; 32], ..good.clone() };
    let made_up = Invitation { id: [9; 16], ..good.clone() };
    for invitation in [guess, made_up] {
        let identity = Arc::new(Identity::generate().unwrap());
        let options = JoinOptions { name: "x".to_owned(), role: Role::Full };
        let bus = server.connect();
        let asking = join(&bus, &identity, &invitation, &options);
        assert!(tokio::time::timeout(Duration::from_millis(200), asking).await.is_err(), "somebody answered");
    }
    // Without the group key neither messages nor entries are taken.
    let bus = server.connect();
    bus.publish(&subject::beat(&a.mesh.pod()), Bytes::from_static(b"{}")).await.unwrap();
    let mut ring = Ring::default();
    ring.add(1, Zeroizing::new([7; 32]));
    let stranger_key = Arc::new(Identity::generate().unwrap());
    let parts = MeshParts::new(
        Arc::new(server.connect()),
        stranger_key.clone(),
        Kept { federation: good.federation, salt: None, ring, life: 0 },
    );
    let stranger = Mesh::open(parts).unwrap();
    stranger.federation().found("me", [8; 16]).await.unwrap_err();
    let name = word_of(&stranger.pod(), "x");
    let said = stranger.ledger().say(&name, json!(1)).await.unwrap_err();
    assert!(matches!(said, ChangeError::NotYet(_)), "{said}");
    // And with a program that does not ask itself.
    let federation = stranger.federation();
    let epoch = Epoch { incarnation: a.mesh.bus().log().await.unwrap(), revision: 1 };
    let entry = Entry::new(&stranger_key, &federation.id, &name, epoch, (NOW, json!(1))).unwrap();
    let sealed = entry.sealed(&federation.id, &federation.ring.read()).unwrap();
    let end = stranger.bus().append(&name, Bytes::from(sealed), Expect::Anything).await.unwrap();
    until("the end of the log", &a, |mesh| mesh.ledger().cursor().unwrap() >= Some(end)).await;
    assert_eq!(a.mesh.ledger().get(&name).unwrap(), None);
    assert_eq!(a.mesh.members().list().len(), 1);
}

#[tokio::test]
async fn a_member_cannot_do_what_only_full_ones_may() {
    let (server, a) = twin().await;
    let invitation = invited(&a, &InviteOptions { role: Role::Guest, ..InviteOptions::default() }).await;
    let guest = enter(Arc::new(server.connect()), &invitation, "guest", NOW).await.unwrap();
    until("the members", &guest, |mesh| mesh.members().list().len() == 2).await;
    assert!(!a.mesh.members().is_believed(&guest.mesh.pod()));
    assert!(matches!(guest.mesh.federation().ban(&a.mesh.pod()).await, Err(ActError::NotFull(_))));
    assert!(matches!(
        guest.mesh.federation().invite(&InviteOptions::default()).await,
        Err(ActError::NotFull(_))
    ));
    // And by its own hand: a ban, a promotion, the address of another pod, an ownership, a trace, and what nobody knows.
    let epoch = Epoch { incarnation: a.mesh.bus().log().await.unwrap(), revision: 99 };
    let mut itself = a.mesh.ledger().get(&subject::member(&guest.mesh.pod())).unwrap().unwrap().body;
    itself["role"] = json!("full");
    let mut founder = a.mesh.ledger().get(&subject::member(&a.mesh.pod())).unwrap().unwrap().body;
    founder["standing"] = json!("banned");
    let workspace = protocol::WorkspaceId::from_random(7);
    for (name, body) in [
        (subject::member(&guest.mesh.pod()), itself),
        (subject::member(&a.mesh.pod()), founder),
        (subject::address(&a.mesh.pod()), json!({ "addresses": [] })),
        (subject::GENERATION.to_owned(), json!({ "generation": 9 })),
        (subject::owner(workspace, &"src".parse().unwrap()), json!({ "owner": guest.mesh.pod() })),
        (word_of(&guest.mesh.pod(), "x"), json!(1)),
        ("log.x".to_owned(), json!(1)),
    ] {
        let federation = guest.mesh.federation();
        let entry = Entry::new(&federation.identity, &federation.id, &name, epoch, (NOW, body)).unwrap();
        assert_eq!(a.mesh.ledger().offer(&name, &entry.signed).unwrap(), Taken::Refused, "{name}");
        let sealed = entry.sealed(&federation.id, &federation.ring.read()).unwrap();
        guest.mesh.bus().append(&name, Bytes::from(sealed), Expect::Anything).await.unwrap();
    }
    assert_eq!(a.mesh.members().list()[&guest.mesh.pod()].role, Role::Guest);
    // What nobody knows is not for full members either.
    let unknown = a.mesh.ledger().say("log.x", json!(1)).await.unwrap_err();
    assert!(matches!(unknown, ChangeError::Forbidden(_)), "{unknown}");
}

#[tokio::test]
async fn a_ban_that_broke_off_is_finished_by_another() {
    let (server, a) = twin().await;
    let invitation = invited(&a, &InviteOptions { uses: 3, ..InviteOptions::default() }).await;
    let b = enter(Arc::new(server.connect()), &invitation, "b", NOW).await.unwrap();
    let c = enter(Arc::new(server.connect()), &invitation, "c", NOW).await.unwrap();
    let bad = b.mesh.pod();
    // The first half of a ban, and then nothing.
    let name = subject::member(&bad);
    let half = a.mesh.ledger().change(&name, |known| {
        let known = known.unwrap();
        let mut body = known.body.clone();
        body["standing"] = json!("banned");
        body["knew_generation"] = json!(1);
        body["admission"] = json!(bs58::encode(&known.signed).into_string());
        Ok(body)
    });
    half.await.unwrap();
    until("a new key", &c, |mesh| mesh.federation().ring.read().newest() == 2).await;
    until("a new key", &a, |mesh| mesh.federation().ring.read().newest() == 2).await;
    assert_eq!(c.mesh.members().list()[&bad].standing, Standing::Banned);
    assert_eq!(b.mesh.federation().ring.read().newest(), 1);
}

#[tokio::test]
async fn who_was_let_in_by_a_pod_that_is_gone_stays() {
    let (server, a) = twin().await;
    let b = enter(Arc::new(server.connect()), &invited(&a, &InviteOptions::default()).await, "b", NOW)
        .await
        .unwrap();
    until("itself", &b, |mesh| mesh.members().is_member(&b.mesh.pod())).await;
    let c = enter(Arc::new(server.connect()), &invited(&b, &InviteOptions::default()).await, "c", NOW)
        .await
        .unwrap();
    b.mesh.federation().leave().await.unwrap();
    let (left, stays) = (b.mesh.pod(), c.mesh.pod());
    until("it left", &a, |mesh| mesh.members().list()[&left].standing == Standing::Left).await;
    assert!(a.mesh.members().is_member(&stays));
    // A newcomer, who has never seen b as a member, sees it so too.
    let d = enter(Arc::new(server.connect()), &invited(&a, &InviteOptions::default()).await, "d", NOW)
        .await
        .unwrap();
    until("all", &d, |mesh| mesh.members().list().len() == 4).await;
    assert!(d.mesh.members().is_member(&stays) && !d.mesh.members().is_member(&left));
}

#[tokio::test]
async fn whoever_poses_as_the_federation_is_seen() {
    // The impostor founds a federation of its own, and answers for another one's id on the same subjects.
    let (server, a) = twin().await;
    let invitation = invited(&a, &InviteOptions::default()).await;
    let impostor = Arc::new(Identity::generate().unwrap());
    let bus = Arc::new(server.connect());
    let mut asked = bus.subscribe(subject::JOIN).await.unwrap();
    drop(a);
    let newcomer = Arc::new(Identity::generate().unwrap());
    let seal_key = newcomer.seal_key();
    let answers = async {
        while let Some(message) = futures::StreamExt::next(&mut asked).await {
            let answer =
                protocol::mesh::JoinAnswer::Welcome { ring: Ring::default().to_json(), members: vec![] };
            let to = (&*message.payload, &seal_key);
            let sealed = sealed(&impostor, &invitation.federation, to, &answer).unwrap();
            bus.respond(&message.reply.unwrap(), Bytes::from(sealed)).await.unwrap();
        }
    };
    let options = JoinOptions { name: "x".to_owned(), role: Role::Full };
    let other = server.connect();
    tokio::select! {
        outcome = join(&other, &newcomer, &invitation, &options) => {
            assert!(matches!(outcome, Err(JoinError::Impostor)));
        }
        () = answers => panic!("the bus was closed"),
    }
}

#[test]
fn a_home_keeps_its_federation() {
    let home = tempfile::tempdir().unwrap();
    assert!(Kept::read(home.path()).unwrap().is_none());
    let mut ring = Ring::default();
    ring.add(1, Zeroizing::new([7; 32]));
    let federation = FederationId::founded_by(&PodId::from_bytes([1; 32]), &[1; 16]);
    let kept = Kept { federation, salt: Some([1; 16]), ring, life: 5 };
    kept.write(home.path()).unwrap();
    let read = Kept::read(home.path()).unwrap().unwrap();
    assert_eq!(
        (read.federation, read.salt, read.ring.newest(), read.life),
        (federation, Some([1; 16]), 1, 5)
    );
    assert_eq!(read.next_life(3), 6);
}

#[tokio::test]
async fn traces_are_believed_of_full_members_until_they_are_banned() {
    let (server, a) = twin().await;
    let full = invited(&a, &InviteOptions::default()).await;
    let lesser = invited(&a, &InviteOptions { role: Role::Guest, ..InviteOptions::default() }).await;
    let b = enter(Arc::new(server.connect()), &full, "b", NOW).await.unwrap();
    let guest = enter(Arc::new(server.connect()), &lesser, "guest", NOW).await.unwrap();
    let digest = |text: &str| protocol::Digest::of(text.as_bytes());
    let news = |name: &str| TraceNews {
        weak: digest("weak"),
        path_set: digest("path set"),
        strong: digest("strong"),
        trace: digest(name),
        outputs: Some(digest(name)),
        revoked: false,
    };
    let open = |pod: &Pod| Traces::open(pod.mesh.ledger().clone(), pod.mesh.members().clone()).unwrap();
    let (ours, theirs, guests) = (open(&a), open(&b), open(&guest));
    until("itself", &guest, |mesh| mesh.members().is_member(&guest.mesh.pod())).await;
    let guests_own = guests.announce(&guest.mesh.pod(), &news("3")).await.unwrap_err();
    assert!(matches!(guests_own, ChangeError::Forbidden(_)), "{guests_own}");
    for name in ["1", "2"] {
        theirs.announce(&b.mesh.pod(), &news(name)).await.unwrap();
    }
    let last = subject::trace(&b.mesh.pod(), &digest("2"));
    until("all traces", &a, |mesh| mesh.ledger().get(&last).unwrap().is_some()).await;
    let seen =
        |traces: &Traces| traces.of(&digest("weak")).into_iter().map(|a| a.news.trace).collect::<Vec<_>>();
    assert_eq!(seen(&ours), [digest("2"), digest("1")], "the newest first, and none of the guest's");
    // What was said is not said again; and what nobody was told of need not be revoked.
    let known = b.mesh.ledger().digest();
    theirs.announce(&b.mesh.pod(), &news("2")).await.unwrap();
    let revoked = |name: &str| TraceNews { revoked: true, ..news(name) };
    theirs.announce(&b.mesh.pod(), &revoked("4")).await.unwrap();
    assert_eq!(b.mesh.ledger().digest(), known);
    assert!(ours.has(&news("2")) && ours.revoked().is_empty());
    theirs.announce(&b.mesh.pod(), &revoked("2")).await.unwrap();
    until("the revocation", &a, |_| seen(&ours) == [digest("1")]).await;
    assert_eq!(ours.revoked(), [(b.mesh.pod(), digest("2"))]);
    // It stays so, also for who reads the ledger later.
    theirs.announce(&b.mesh.pod(), &news("2")).await.unwrap();
    assert_eq!(open(&b).revoked(), [(b.mesh.pod(), digest("2"))]);
    assert!(seen(&theirs).iter().all(|trace| *trace != digest("2")));
    a.mesh.federation().ban(&b.mesh.pod()).await.unwrap();
    assert!(seen(&ours).is_empty());
}

#[tokio::test]
async fn a_pod_that_was_away_while_the_key_changed_gets_the_new_one() {
    let (server, a) = twin().await;
    let invitation = invited(&a, &InviteOptions { uses: 2, ..InviteOptions::default() }).await;
    let b = enter(Arc::new(server.connect()), &invitation, "b", NOW).await.unwrap();
    let bus = Arc::new(server.connect());
    let c = enter(bus.clone(), &invitation, "c", NOW).await.unwrap();
    until("the members", &c, |mesh| mesh.members().list().len() == 3).await;
    bus.disconnect();
    a.mesh.federation().ban(&b.mesh.pod()).await.unwrap();
    let name = word_of(&a.mesh.pod(), "x");
    a.mesh.ledger().say(&name, json!(1)).await.unwrap();
    bus.reconnect();
    until("what it missed", &c, |mesh| mesh.ledger().get(&name).unwrap().is_some()).await;
    assert!(!c.mesh.members().is_member(&b.mesh.pod()));
}

#[tokio::test]
async fn who_leaves_does_not_know_the_next_key() {
    let (server, a) = twin().await;
    let invitation = invited(&a, &InviteOptions { uses: 2, ..InviteOptions::default() }).await;
    let b = enter(Arc::new(server.connect()), &invitation, "b", NOW).await.unwrap();
    let c = enter(Arc::new(server.connect()), &invitation, "c", NOW).await.unwrap();
    until("the members", &b, |mesh| mesh.members().list().len() == 3).await;
    b.mesh.federation().leave().await.unwrap();
    for pod in [&a, &c] {
        until("a new key", pod, |mesh| mesh.federation().ring.read().newest() == 2).await;
    }
    let name = word_of(&a.mesh.pod(), "x");
    a.mesh.ledger().say(&name, json!(1)).await.unwrap();
    until("what was said with it", &c, |mesh| mesh.ledger().get(&name).unwrap().is_some()).await;
    assert_eq!(b.mesh.federation().ring.read().newest(), 1);
    assert_eq!(b.mesh.ledger().get(&name).unwrap(), None);
}

#[tokio::test]
async fn a_banned_pod_cannot_keep_an_absent_one_from_coming_back() {
    let (server, a) = twin().await;
    let invitation = invited(&a, &InviteOptions { uses: 3, ..InviteOptions::default() }).await;
    let b = enter(Arc::new(server.connect()), &invitation, "b", NOW).await.unwrap();
    let d = enter(Arc::new(server.connect()), &invitation, "d", NOW).await.unwrap();
    let bus = Arc::new(server.connect());
    let c = enter(bus.clone(), &invitation, "c", NOW).await.unwrap();
    until("the members", &c, |mesh| mesh.members().list().len() == 4).await;
    let name = subject::key(&c.mesh.pod());
    until("its key", &a, |mesh| mesh.ledger().get(&name).unwrap().is_some()).await;
    let of_before = a.mesh.ledger().get(&name).unwrap().unwrap();
    let federation = b.mesh.federation();
    let epoch = crate::ledger::Epoch { revision: 99, ..of_before.epoch };
    let body = json!({ "generation": 999, "sealed": bs58::encode([7; 80]).into_string() });
    let forged = Entry::new(&federation.identity, &federation.id, &name, epoch, (NOW, body)).unwrap();
    // Its own word, and one that was a member's once.
    for (entry, banned, newest) in [(forged, &b, 2), (of_before, &d, 3)] {
        bus.disconnect();
        a.mesh.federation().ban(&banned.mesh.pod()).await.unwrap();
        let sealed = Bytes::from(entry.sealed(&federation.id, &federation.ring.read()).unwrap());
        server.connect().append(&name, sealed, Expect::Anything).await.unwrap();
        bus.reconnect();
        until("the new key", &c, |mesh| mesh.federation().ring.read().newest() == newest).await;
    }
}
