//! Joining: founds a federation, comes into one by an invitation, or comes back to the one that the home belongs to.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backplane::Mesh;
use backplane::bus::nats::{FirstConnect, NatsBus, NatsOptions};
use backplane::bus::{Bus, BusError};
use backplane::federation::{ActError, JoinError, Kept, KnownMember, MemberList};
use backplane::keys::{Identity, Ring, random};
use backplane::mesh::MeshParts;
use backplane::traces::Traces;
use node::{Pod, Stock};
use protocol::PodId;
use protocol::mesh::{Addresses, Beat, FederationId, Invitation, Role, subject};
use swarm::{Keypair, Multiaddr, Protocol, Swarm, SwarmError};
use tokio::task::JoinHandle;

use super::back::BackError;
use super::chefs::Lending;
use super::copies::Copies;
use super::joining::Offer;
use super::others::Others;
use super::owned::Estate;
use super::projects::Projects;
use super::steps::Steps;
use super::telling::Telling;
use super::{Joined, back, distrust, expelled, listen, load, telling};
use crate::majordomo::border::mistake;
use crate::majordomo::request::{Failure, FailureKind};

/// How long a pod that comes back waits until the log has been read.
pub(super) const READING: Duration = Duration::from_secs(15);
/// Where chunk lists are kept, in the home.
const CHUNK_LISTS: &str = "chunks";

/// How a pod joins.
#[derive(Debug, Clone)]
pub struct JoinOptions {
    /// Where the NATS server is, and who we are to it.
    pub server: NatsOptions,
    /// What people call this pod.
    pub name: String,
    /// What it does for the federation.
    pub role: Role,
    /// Where it listens; empty: on the local address by which it reaches the server, at a free port.
    pub listen: Vec<Multiaddr>,
    /// Whether it looks for pods on the local network.
    pub mdns: bool,
    /// What it offers to others.
    pub offer: Offer,
    /// The invitation, for a newcomer.
    pub invitation: Option<Invitation>,
}

fn machine(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(FailureKind::Machine, error)
}

pub(super) fn act_failed(error: &ActError) -> Failure {
    match error {
        ActError::NotFull(_) | ActError::NoMember(_) => Failure::new(FailureKind::User, error),
        error => machine(error),
    }
}

pub(super) fn swarm_failed(error: &SwarmError) -> Failure {
    machine(error)
}

fn bus_failed(error: &BusError, server: &str) -> Failure {
    match error {
        BusError::BadInput { .. } => Failure::new(FailureKind::User, error),
        BusError::Refused { .. } => machine(error).hint(
            "who this pod is to the server stands in the URL: `nats://USER:PASSWORD@HOST`, `nats://TOKEN@HOST`; or in a file: `--creds FILE`",
        ),
        error => machine(error).hint(format!(
            "is a NATS server with JetStream running at {server}? `nats-server -js` starts one"
        )),
    }
}

/// What joining comes to for this home.
enum Way {
    /// It belongs to a federation.
    Back(Kept),
    /// It is invited.
    In(Invitation),
    /// Nobody is there: it founds one.
    Found,
}

fn way(pod: &Pod, options: &JoinOptions) -> Result<Way, Failure> {
    let kept = Kept::read(pod.home().path()).map_err(|error| machine(&error))?;
    match (kept, &options.invitation) {
        (Some(kept), Some(invitation)) if kept.federation != invitation.federation => {
            let message = format!(
                "this home belongs to the federation {} already, and the invitation is for {}",
                kept.federation, invitation.federation
            );
            Err(mistake(message).hint("`pod leave` first, or use another home: `--home DIR`"))
        }
        (Some(kept), _) => Ok(Way::Back(kept)),
        (None, Some(invitation)) => Ok(Way::In(invitation.clone())),
        (None, None) => Ok(Way::Found),
    }
}

/// Whether a founder was killed in the middle, and begins again: the log is read to its end, and nobody is in it. One that has lost its
/// ledger finds itself there.
async fn is_unfounded(mesh: &Mesh) -> bool {
    let nobody = || mesh.members().list().is_empty();
    if !nobody() {
        return false;
    }
    let mut status = mesh.ledger().status();
    let read = tokio::time::timeout(READING, status.wait_for(|status| status.caught_up)).await;
    matches!(read, Ok(Ok(_))) && nobody()
}

/// Joins, and gives the pod what is elsewhere from now on. Dropping the future half-way leaves at most a federation that nobody uses.
///
/// # Errors
/// The server cannot be reached or has no JetStream, the invitation is refused, or the home's keys cannot be used.
pub async fn join(pod: &Pod, mut options: JoinOptions) -> Result<Joined, Failure> {
    let home = pod.home().path().to_owned();
    let identity =
        Arc::new(Identity::of_home(&home).map_err(|error| Failure::new(FailureKind::User, &error))?);
    let way = way(pod, &options)?;
    let salt = random::<16>().map_err(|error| machine(&error))?;
    let federation = match &way {
        Way::Back(kept) => kept.federation,
        Way::In(invitation) => invitation.federation,
        Way::Found => FederationId::founded_by(&identity.pod(), &salt),
    };
    can_listen(&options.listen)?;
    let server = options.server.shown();
    let is_back = matches!(way, Way::Back(_));
    let first = if is_back { FirstConnect::Eventually } else { FirstConnect::Required };
    let connected =
        NatsBus::connect(&NatsOptions { first, ..options.server.clone() }, &federation.root()).await;
    let bus: Arc<dyn Bus> = Arc::new(connected.map_err(|error| bus_failed(&error, &server))?);
    if first == FirstConnect::Required {
        // Whether there is JetStream shows now, and not when the first word is said.
        bus.log().await.map_err(|error| bus_failed(&error, &server))?;
    }
    let ours = backplane::federation::JoinOptions { name: options.name.clone(), role: options.role };
    let (mut founded, mut welcome) = (false, Vec::new());
    let kept = match way {
        Way::Back(kept) => kept,
        Way::Found => {
            founded = true;
            Kept { federation, salt: Some(salt), ring: Ring::default(), life: 0 }
        }
        Way::In(invitation) => {
            let let_in = backplane::federation::join(&*bus, &identity, &invitation, &ours).await;
            let let_in = let_in.map_err(|error| refused(&error, &server))?;
            welcome = let_in.members;
            Kept { federation, salt: None, ring: let_in.ring, life: 0 }
        }
    };
    let our_salt = kept.salt;
    let mut parts = MeshParts::new(Arc::clone(&bus), Arc::clone(&identity), kept);
    parts.home = Some(home);
    let mesh = Mesh::open(parts).map_err(|error| machine(&error))?;
    for (name, signed) in welcome {
        mesh.ledger().offer(&name, &signed).map_err(|error| machine(&error))?;
    }
    let traces = Traces::open(mesh.ledger().clone(), mesh.members().clone());
    let traces = Arc::new(traces.map_err(|error| machine(&error))?);
    if is_back {
        back::is_alone(&mesh).await?;
    }
    let running = mesh.start();
    if let Some(salt) = our_salt
        && (founded || is_unfounded(&mesh).await)
    {
        mesh.federation().found(&options.name, salt).await.map_err(|error| act_failed(&error))?;
    }
    if is_back {
        let again = back::is_in(&mesh, (options.invitation.as_ref(), &ours)).await;
        let again = again.map_err(|error| match error {
            BackError::Out(failure) => failure,
            BackError::Join(error) => refused(&error, &server),
        })?;
        if let Some(welcome) = again {
            mesh.federation().ring.write().merge(welcome.ring);
            for (name, signed) in welcome.members {
                mesh.ledger().offer(&name, &signed).map_err(|error| machine(&error))?;
            }
        }
    }
    // What the federation let it in as, whatever it would like to be.
    if let Some(us) = mesh.members().list().get(&mesh.pod()) {
        options.role = options.role.min(us.role);
    }
    let mut listening = None;
    if options.listen.is_empty()
        && let Some(address) = listen::towards(&options.server).await
    {
        options.listen.push(Multiaddr::from(address).with(Protocol::Tcp(0)));
        listening = Some(address).filter(|address| !address.is_loopback());
    }
    let swarm = swarm(pod, &identity, &mesh, &options)?;
    let (loaded, offer, role) = (pod.clone(), options.offer.clone(), options.role);
    let (telling, offered) = Telling::new(traces.clone());
    let tasks = vec![
        tokio::spawn(tell_addresses(mesh.clone(), swarm.clone())),
        tokio::spawn(tell_members(mesh.clone(), swarm.clone())),
        tokio::spawn(telling::run(mesh.pod(), telling.clone(), offered)),
        tokio::spawn(distrust::follow(mesh.clone(), traces.clone(), pod.clone())),
    ];
    let keeps = options.role != Role::Guest;
    let estate = Estate::open(&mesh, pod.larder().clone(), swarm.clone(), keeps);
    let estate = estate.map_err(|error| machine(&error))?;
    let steps = Steps::begin(&mesh, &estate, pod, (load::slots(&options.offer, role), options.offer.memory));
    let waiting = steps.waiting();
    mesh.set_load(move || Beat { queue: waiting(), ..load::beat(&loaded, &offer, role) });
    let others = Others {
        me: mesh.pod(),
        traces,
        swarm: swarm.clone(),
        telling: telling.clone(),
        estate: estate.clone(),
        lacking: parking_lot::Mutex::default(),
    };
    let supply = pod.supply().clone();
    supply.join(Arc::new(others));
    let mut tasks: Vec<JoinHandle<()>> = tasks;
    tasks.extend(estate.start());
    let lending = Lending { mesh: mesh.clone(), estate: estate.clone(), home: pod.home().path().to_owned() };
    tasks.push(tokio::spawn(lending.run()));
    let (home, earlier) = (pod.clone(), telling.clone());
    tasks.push(tokio::task::spawn_blocking(move || earlier.earlier(&home)));
    let running = Arc::new(parking_lot::Mutex::new(Some((running, steps))));
    let (supply_too, ours) = (supply.clone(), Arc::downgrade(&running));
    tasks.push(tokio::spawn(expelled::watch(mesh.clone(), swarm.clone(), supply_too, ours)));
    let projects = Projects::begin(&mesh);
    let _copies = Copies::serve(&estate);
    Ok(Joined {
        mesh,
        swarm,
        supply,
        estate,
        _copies,
        projects,
        tasks,
        telling,
        running,
        server,
        founded,
        listening,
    })
}

/// Whether the addresses can be listened at: before anything is said to a federation.
fn can_listen(addresses: &[Multiaddr]) -> Result<(), Failure> {
    for address in addresses {
        let (mut ip, mut port) = (None, None);
        for part in address {
            match part {
                Protocol::Ip4(found) => ip = Some(IpAddr::V4(found)),
                Protocol::Ip6(found) => ip = Some(IpAddr::V6(found)),
                Protocol::Tcp(found) => port = Some(found),
                _ => {}
            }
        }
        let (Some(ip), Some(port)) = (ip, port) else { continue };
        std::net::TcpListener::bind((ip, port)).map_err(|error| {
            mistake(format!("cannot listen on `{address}`: {error}"))
                .hint("`--listen` wants an address of this machine and a free port, 0 for any: `/ip4/10.0.0.2/tcp/0`")
        })?;
    }
    Ok(())
}

fn refused(error: &JoinError, server: &str) -> Failure {
    match error {
        JoinError::Refused(_) => Failure::new(FailureKind::User, error)
            .hint("ask for another invitation: `pod invite` at a pod of the federation prints one"),
        JoinError::Bus(error) => bus_failed(error, server),
        error => machine(error),
    }
}

fn swarm(pod: &Pod, identity: &Identity, mesh: &Arc<Mesh>, options: &JoinOptions) -> Result<Swarm, Failure> {
    let lists: PathBuf = pod.home().path().join(CHUNK_LISTS);
    let stock = Stock::new(pod.larder().clone(), &lists).map_err(|error| machine(&error))?;
    let mut secret = identity.secret();
    let key = Keypair::ed25519_from_bytes(&mut *secret).map_err(|error| machine(&error))?;
    let mut how = swarm::Options { mdns: options.mdns, ..swarm::Options::default() };
    how.limits.serves = options.role != Role::Guest;
    if !options.listen.is_empty() {
        how.listen.clone_from(&options.listen);
    }
    let members = mesh.members().clone();
    let admits = move |pod: &PodId| members.is_member(pod);
    Swarm::start(key, how, Arc::new(stock), Arc::new(admits)).map_err(|error| swarm_failed(&error))
}

/// Tells the federation where this pod is reached, as that changes.
async fn tell_addresses(mesh: Arc<Mesh>, swarm: Swarm) {
    let mut addresses = swarm.watch_addresses();
    loop {
        let now: Vec<String> = addresses.borrow_and_update().iter().map(ToString::to_string).collect();
        if !now.is_empty() {
            let Ok(body) = serde_json::to_value(Addresses { addresses: now }) else { continue };
            let name = subject::address(&mesh.pod());
            if let Err(error) = mesh.ledger().insist(&name, body).await {
                tracing::warn!(%error, "the federation is not told where this pod is reached");
            }
        }
        if addresses.changed().await.is_err() {
            return;
        }
    }
}

/// Tells the swarm who belongs to the federation, and where they are.
async fn tell_members(mesh: Arc<Mesh>, swarm: Swarm) {
    let mut members = mesh.members().watch();
    let me = mesh.pod();
    let mut before = Arc::new(MemberList::default());
    loop {
        let list = members.borrow_and_update().clone();
        // Whoever is told of is dialled at once: one pod that comes and goes has nobody dial all those that are away.
        let is_news = |member: &&KnownMember| {
            before.get(&member.pod).is_none_or(|before| {
                (before.is_member(), &before.addresses) != (member.is_member(), &member.addresses)
            })
        };
        for member in list.values().filter(|member| member.pod != me).filter(is_news) {
            let addresses: Vec<Multiaddr> =
                member.addresses.iter().filter_map(|address| address.parse().ok()).collect();
            let told = match member.is_member() {
                true => swarm.learn(member.pod, addresses).await,
                false => swarm.forget(member.pod).await,
            };
            if told.is_err() {
                return;
            }
        }
        // Who is counted in no more without having gone is no member either.
        for pod in before.keys().filter(|pod| !list.contains_key(pod)) {
            if swarm.forget(*pod).await.is_err() {
                return;
            }
        }
        before = list;
        if members.changed().await.is_err() {
            return;
        }
    }
}
