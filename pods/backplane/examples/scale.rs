//! How the back-plane does at scale: a hundred pods in one process on the twin, and a map of a million owners. Prints the tables of `docs/scale.md`.
//!
//! `cargo run --release -p computepods-backplane --example scale [PODS] [ARTEFACTS]`

use std::sync::Arc;
use std::time::{Duration, Instant};

use backplane::beats::EVERY;
use backplane::bus::memory::MemoryServer;
use backplane::bus::{Bus, Incarnation};
use backplane::federation::Kept;
use backplane::keys::{Identity, Ring};
use backplane::ledger::{Entry, Epoch};
use backplane::mesh::{Mesh, MeshParts, Running};
use backplane::owners::{OwnerKey, Owners, Puller};
use protocol::mesh::{ArtefactScope, FederationId, Member, Ownership, Role, Standing, subject};
use protocol::{Digest, PodId, RelPath, WorkspaceId};

type Failure = Box<dyn std::error::Error>;

const SALT: [u8; 16] = [7; 16];

struct NoPuller;

impl Puller for NoPuller {
    fn pull(&self, _: PodId, _: Digest) -> futures::future::BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages * 4096
}

fn kept(federation: FederationId) -> Kept {
    let mut ring = Ring::default();
    ring.add(1, zeroize::Zeroizing::new([9; 32]));
    Kept { federation, salt: Some(SALT), ring, life: 0 }
}

fn member(identity: &Identity) -> Member {
    Member {
        pod: identity.pod(),
        name: "pod".to_owned(),
        role: Role::Full,
        standing: Standing::Member,
        seal_key: identity.seal_key(),
        founding_salt: None,
        knew_generation: None,
        admission: None,
        upheld: Vec::new(),
    }
}

async fn until(
    pods: &[(Arc<Mesh>, Running)],
    what: &str,
    wanted: impl Fn(&Mesh) -> bool,
) -> Result<Duration, Failure> {
    let began = Instant::now();
    while !pods.iter().all(|(mesh, _)| wanted(mesh)) {
        if began.elapsed() > Duration::from_secs(300) {
            return Err(format!("never: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(began.elapsed())
}

async fn many_pods(count: usize) -> Result<(), Failure> {
    let before = resident();
    let server = MemoryServer::new();
    let identities: Vec<Arc<Identity>> =
        (0..count).map(|_| Identity::generate().map(Arc::new)).collect::<Result<_, _>>()?;
    let federation = FederationId::founded_by(&identities[0].pod(), &SALT);
    let start = |identity: &Arc<Identity>| -> Result<(Arc<Mesh>, Running), Failure> {
        let bus: Arc<dyn Bus> = Arc::new(server.connect());
        let mesh = Mesh::open(MeshParts::new(bus, identity.clone(), kept(federation)))?;
        let running = mesh.start();
        Ok((mesh, running))
    };
    let began = Instant::now();
    let mut pods = vec![start(&identities[0])?];
    let founder = pods[0].0.clone();
    founder.federation().found("founder", SALT).await?;
    for identity in &identities[1..] {
        let body = serde_json::to_value(member(identity))?;
        founder.ledger().change(&subject::member(&identity.pod()), |_| Ok(body.clone())).await?;
        pods.push(start(identity)?);
    }
    until(&pods, "all know all", |mesh| mesh.members().list().len() == count).await?;
    until(&pods, "all are told", |mesh| mesh.ledger().settled().unwrap_or_default()).await?;
    println!(
        "| {count} pods, from the first start until each knows all and the log is told all | {:.1} s |",
        began.elapsed().as_secs_f64()
    );
    println!(
        "| memory for each pod | {:.2} MB |",
        resident().saturating_sub(before) as f64 / count as f64 / 1e6
    );

    let writer = &pods[count / 2].0;
    let began = Instant::now();
    let note = |mesh: &Mesh, n: u64| subject::trace(&mesh.pod(), &Digest::of(&n.to_le_bytes()));
    let entry = writer.ledger().say(&note(writer, 0), serde_json::json!(1)).await?;
    until(&pods, "one word", |mesh| mesh.ledger().get(&entry.subject).is_ok_and(|known| known.is_some()))
        .await?;
    println!("| one word, until all know it | {:.0} ms |", began.elapsed().as_secs_f64() * 1e3);

    let began = Instant::now();
    for (mesh, _) in &pods {
        for n in 1..=10 {
            mesh.ledger().say(&note(mesh, n), serde_json::json!(n)).await?;
        }
    }
    let digest = |mesh: &Mesh| mesh.ledger().digest();
    until(&pods, "ten words of each", |mesh| digest(mesh) == digest(&pods[0].0)).await?;
    println!("| 10 words of each pod, until all know the same | {:.1} s |", began.elapsed().as_secs_f64());

    let before = server.counts();
    let beats = 10;
    tokio::time::sleep(EVERY * beats).await;
    let after = server.counts();
    let each = |count: u64| count as f64 / (EVERY.as_secs_f64() * f64::from(beats)) / pods.len() as f64;
    println!(
        "| idle: messages sent by each pod in a second | {:.2} |",
        each(after.published - before.published)
    );
    println!(
        "| idle: messages that reach each pod in a second | {:.1} |",
        each(after.delivered - before.delivered)
    );
    println!(
        "| idle: bytes that reach each pod in a second | {:.0} |",
        each(after.delivered_bytes - before.delivered_bytes)
    );

    let began = Instant::now();
    let old = founder.ledger().status().borrow().incarnation;
    server.lose_log();
    until(&pods, "a new log", |mesh| {
        mesh.ledger().status().borrow().incarnation > old && mesh.ledger().settled().unwrap_or_default()
    })
    .await?;
    println!(
        "| the log is lost: until a new one is told all, and claims may be made | {:.1} s |",
        began.elapsed().as_secs_f64()
    );

    let banned = identities[1].pod();
    let began = Instant::now();
    founder.federation().ban(&banned).await?;
    let stays: Vec<_> = pods.into_iter().filter(|(mesh, _)| mesh.pod() != banned).collect();
    until(&stays, "a new key", |mesh| mesh.federation().ring.read().newest() == 2).await?;
    println!(
        "| a pod is banned: until all others have the new key | {:.1} s |",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

async fn many_owners(count: u64) -> Result<(), Failure> {
    let home = tempfile::tempdir()?;
    let identity = Arc::new(Identity::generate()?);
    let federation = FederationId::founded_by(&identity.pod(), &SALT);
    let server = MemoryServer::new();
    let open = || -> Result<Arc<Mesh>, Failure> {
        let mut parts = MeshParts::new(Arc::new(server.connect()), identity.clone(), kept(federation));
        parts.home = Some(home.path().to_owned());
        Ok(Mesh::open(parts)?)
    };
    let path = |n: u64| RelPath::new(format!("build/part{}/object{n}.o", n / 1000).as_bytes());
    let workspace = WorkspaceId::from_random(1);
    let pods: Vec<PodId> = (0..20u8).map(|n| PodId::from_bytes([n; 32])).collect();
    {
        let mesh = open()?;
        let body = serde_json::to_value(Member { founding_salt: Some(SALT), ..member(&identity) })?;
        let epoch = Epoch { incarnation: Incarnation { number: 1, nonce: 1 }, revision: 1 };
        let subject_of_us = subject::member(&identity.pod());
        let us = Entry::new(&identity, &federation, &subject_of_us, epoch, (1, body))?;
        mesh.ledger().offer(&subject_of_us, &us.signed)?;
        let mut batch = Vec::new();
        for n in 0..count {
            let path = path(n)?;
            let name = subject::owner(workspace, &path);
            let body = serde_json::to_value(Ownership {
                workspace,
                path,
                scope: ArtefactScope::Outputs,
                owner: Some(pods[(n % 20) as usize]),
                digest: Digest::of(&n.to_le_bytes()),
                size: n % 4096,
                label: String::new(),
                made_for: None,
                promised_to: None,
            })?;
            let entry = Entry::new(&identity, &federation, &name, epoch, (1, body))?;
            batch.push((name, entry.signed));
            if batch.len() == 10_000 || n + 1 == count {
                mesh.ledger().offer_many(&batch)?;
                batch.clear();
            }
        }
    }
    let before = resident();
    let began = Instant::now();
    let mesh = open()?;
    let opened = began.elapsed();
    let owners = Owners::open(mesh, Arc::new(NoPuller))?;
    println!(
        "| start-up: ledger, then map, of {count} artefacts | {:.2} s ({:.2} + {:.2}) |",
        began.elapsed().as_secs_f64(),
        opened.as_secs_f64(),
        (began.elapsed() - opened).as_secs_f64()
    );
    println!("| memory of both | {:.0} MB |", resident().saturating_sub(before) as f64 / 1e6);
    let keys: Vec<OwnerKey> = (0..count)
        .step_by(7919)
        .map(|n| path(n).map(|path| OwnerKey::new(workspace, &path)))
        .collect::<Result<_, _>>()?;
    let rounds = 1_000_000 / keys.len().max(1);
    let began = Instant::now();
    let mut bytes = 0;
    for _ in 0..rounds {
        for key in &keys {
            bytes += owners.map().get(*key).map_or(0, |owner| owner.size);
        }
    }
    let each = began.elapsed().as_nanos() as f64 / (rounds * keys.len()) as f64;
    println!("| one look-up | {each:.0} ns |");
    assert!(bytes > 0, "the map is empty");
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let pods = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let artefacts = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!("| {pods} pods in one process, on the twin | |\n|---|---|");
    runtime.block_on(many_pods(pods))?;
    println!("\n| a map of {artefacts} artefacts | |\n|---|---|");
    runtime.block_on(many_owners(artefacts))
}
