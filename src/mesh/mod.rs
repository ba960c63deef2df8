//! A pod in its federation: back-plane and swarm put together, and given to the pod as what is elsewhere.
//!
//! Actors. [`Joined`] owns the back-plane's mesh, the swarm and the tasks between them: *addresses* tells the federation where this pod is
//! reached, *members* tells the swarm who belongs and where they are, *announce* announces traces, *distrust* revokes those that are not believed
//! any more, what was built before is announced by [`telling`], and [`expelled`] ends it all when this pod is sent away. [`owned::Estate`] is this
//! pod's part in the ownership of artefacts, [`chefs::Lending`] tells and takes chefs. [`others::Others`] is what the pod sees of it all
//! ([`node::Elsewhere`]); [`away::Away`] places its builds' steps on others, and [`kitchen::Kitchen`] runs theirs. [`projects::Projects`] builds
//! registered projects for others, and has others build theirs. When a [`Joined`] is dropped the pod is alone again; what it has fetched stays.
//!
//! Errors of joining are [`Failure`]s. Later ones – the server gone, a pod that lies – are no errors here: the back-plane goes on trying, the
//! swarm avoids, and builds go on with what is at hand. A crash loses announcements that nobody had heard: they
//! are made when their traces answer again, or when the pod joins again.

mod artefacts;
mod asked;
mod away;
mod back;
mod chefs;
mod claims;
mod copies;
mod distrust;
mod enclosing;
mod expelled;
mod join;
pub mod joining;
mod kitchen;
mod listen;
mod load;
mod others;
pub mod own_server;
mod owned;
mod presence;
mod projects;
mod steps;
mod telling;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use backplane::Mesh;
use backplane::beats::Liveness;
use backplane::federation::{self, KnownMember};
use backplane::mesh::{LEDGER_FILE, Running};
use parking_lot::Mutex;
use protocol::PodId;
use protocol::mesh::{FederationId, Role};
use swarm::Swarm;
use tokio::task::JoinHandle;

use copies::Copies;
pub use join::{JoinOptions, join};
use owned::Estate;
use projects::Projects;
use steps::Steps;
use telling::Telling;

use crate::majordomo::border::{self, mistake};
use crate::majordomo::request::{Failure, InvitationReport, LeaveReport, MemberReport, PodsReport};
use crate::majordomo::sink::Cancel;
use crate::majordomo::workspace::Workspace;

/// A pod that is in a federation.
pub struct Joined {
    mesh: Arc<Mesh>,
    swarm: Swarm,
    supply: node::Supply,
    estate: Estate,
    /// Pulls copies that others want.
    _copies: Arc<Copies>,
    projects: Arc<Projects>,
    tasks: Vec<JoinHandle<()>>,
    /// Announcements that wait.
    telling: Telling,
    /// None when it has left.
    running: Arc<Mutex<Option<(Running, Steps)>>>,
    /// Where the NATS server is, without secrets.
    server: String,
    /// Whether the federation was made by this very call.
    founded: bool,
    /// The address that it chose to listen on, if others than this machine's pods reach it there.
    listening: Option<IpAddr>,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.supply.part();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Joined {
    /// A build of a project had nothing to do: what was built before this pod joined is claimed.
    pub fn unchanged(&self, project: &Path) {
        if let Ok(Some(workspace)) = Workspace::open(project)
            && !self.estate.has_claimed(workspace.id())
        {
            self.estate.built(workspace.id(), &workspace.name());
        }
    }

    /// Which federation.
    pub fn federation(&self) -> FederationId {
        self.mesh.federation().id
    }

    /// Which pod.
    pub fn pod(&self) -> PodId {
        self.mesh.pod()
    }

    /// What people call a pod.
    pub fn name_of(&self, pod: &PodId) -> String {
        presence::name(&self.mesh, pod)
    }

    /// Whether joining it founded it.
    pub fn is_new(&self) -> bool {
        self.founded
    }

    /// The address that it chose to listen on, if others than this machine's pods reach it there.
    pub fn listening(&self) -> Option<IpAddr> {
        self.listening
    }

    /// Leaves the federation for good: hands over what it owns, says so, and the home forgets it. From then on the pod only waits for its end.
    /// Told on the way: how many records of how many are settled. `None`: it was cancelled while it handed over, and stays; what was given is given.
    ///
    /// # Errors
    /// The back-plane cannot be reached, the home cannot be written, or somebody should have taken what this pod owns and did not, unless it leaves
    /// `anyway`.
    pub async fn leave(
        &self,
        home: &Path,
        anyway: bool,
        (on_progress, cancel): (&(dyn Fn(u64, u64) + Sync), &Cancel),
    ) -> Result<Option<LeaveReport>, Failure> {
        let me = self.pod();
        let list = self.mesh.members().list();
        let is_keeper = |member: &&KnownMember| member.is_member() && member.role != Role::Guest;
        let keepers = list.values().filter(is_keeper).map(|member| member.pod).filter(|pod| *pod != me);
        let keepers: Vec<PodId> = keepers.collect();
        let is_there = |pod: &PodId| self.mesh.beats().liveness(pod) != Liveness::Lost;
        let (handed_over, kept) = match keepers.is_empty() {
            // With the last one the federation ends.
            true => (0, Vec::new()),
            false => {
                let there: Vec<PodId> = keepers.into_iter().filter(is_there).collect();
                tokio::select! {
                    settled = self.estate.give_all(&there, on_progress) => settled,
                    () = cancel.wait() => return Ok(None),
                }
            }
        };
        if let (Some((_, why)), false) = (kept.first(), anyway) {
            let message = format!("this pod owns {} artefacts that nobody took: {why}", kept.len());
            return Err(mistake(message).hint(
                "`pod artefacts` lists them; `pod leave --anyway` leaves them to whoever builds them again",
            ));
        }
        self.mesh.federation().leave().await.map_err(|error| join::act_failed(&error))?;
        // What goes on by itself would write the home's files again.
        drop(self.running.lock().take());
        self.supply.part();
        self.tasks.iter().for_each(JoinHandle::abort);
        // What others lent ends here.
        let (lender, larder) = (home.to_owned(), self.supply.larder().clone());
        let forgetting = tokio::task::spawn_blocking(move || chefs::forget(&lender, &larder)).await;
        forgetting.map_err(|_| border::machine("it ended in the middle"))??;
        for file in [federation::FILE, joining::FILE, LEDGER_FILE] {
            match std::fs::remove_file(home.join(file)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(border::machine(format!("cannot remove `{file}` from the home: {error}")));
                }
                _ => {}
            }
        }
        Ok(Some(LeaveReport {
            federation: self.federation(),
            handed_over: handed_over as u64,
            kept: kept.len() as u64,
        }))
    }

    /// Makes an invitation: text that lets so many pods in, for so long.
    ///
    /// # Errors
    /// The back-plane cannot be reached, or this pod may not invite.
    pub async fn invite(&self, role: Role, uses: u32, hours: u32) -> Result<InvitationReport, Failure> {
        let holds_for = u64::from(hours) * 60 * 60 * 1000;
        let options =
            backplane::federation::InviteOptions { role, holds_for, uses, server: self.server.clone() };
        let invitation = self.mesh.federation().invite(&options).await;
        let invitation = invitation.map_err(|error| join::act_failed(&error))?.to_string();
        Ok(InvitationReport { invitation, server: self.server.clone(), uses, hours })
    }

    /// Sends a pod away: nothing that it says counts from now on.
    ///
    /// # Errors
    /// As [`Joined::invite`], or there is no such member.
    pub async fn ban(&self, name: &str) -> Result<(), Failure> {
        let pod = self.named(name)?;
        if pod == self.mesh.pod() {
            return Err(mistake("a pod cannot ban itself").hint("`pod leave` leaves the federation"));
        }
        self.mesh.federation().ban(&pod).await.map_err(|error| join::act_failed(&error))?;
        self.swarm.forget(pod).await.map_err(|error| join::swarm_failed(&error))
    }

    /// The member that is meant by a name or an id.
    fn named(&self, name: &str) -> Result<PodId, Failure> {
        let list = self.mesh.members().list();
        let members = list.values().filter(|member| member.is_member());
        // An id means one pod, whatever others are called.
        if let Some(member) =
            name.parse().ok().and_then(|pod| list.get(&pod)).filter(|member| member.is_member())
        {
            return Ok(member.pod);
        }
        let fits: Vec<PodId> =
            members.filter(|member| member.name == name).map(|member| member.pod).collect();
        match fits[..] {
            [one] => Ok(one),
            [] => {
                Err(mistake(format!("no pod of the federation is called `{name}`"))
                    .hint("`pod pods` lists them"))
            }
            _ => Err(mistake(format!("{} pods are called `{name}`", fits.len()))
                .hint("say its id, as `pod pods` shows it")),
        }
    }

    /// Who belongs to the federation, and how they are reached.
    ///
    /// # Errors
    /// The swarm has ended.
    pub async fn pods(&self) -> Result<PodsReport, Failure> {
        let known = self.swarm.pods().await.map_err(|error| join::swarm_failed(&error))?;
        let heard = self.mesh.beats().all();
        let me = self.pod();
        let list = self.mesh.members().list();
        let pods = list.values().filter(|member| member.is_member()).map(|member| {
            let status = known.iter().find(|status| status.pod == member.pod);
            // It may be what the other pod said when it went.
            let trouble = status.and_then(|status| status.trouble.as_deref());
            let trouble = trouble.map(|trouble| federation::readable(trouble, federation::MAX_REASON));
            MemberReport {
                pod: member.pod,
                name: member.name.clone(),
                role: member.role,
                is_me: member.pod == me,
                connected: member.pod == me || status.is_some_and(|status| status.connected),
                heard_seconds_ago: heard.get(&member.pod).map(|heard| heard.ago.as_secs()),
                addresses: member.addresses.clone(),
                trouble: self.mesh.clock_ahead(&member.pod).map(clock_apart).or(trouble),
                received: status.map_or(0, |status| status.received),
                load: match member.pod == me {
                    true => Some(self.mesh.load()),
                    false => heard.get(&member.pod).map(|heard| heard.beat.clone()),
                },
            }
        });
        let connection = match &*self.mesh.bus().connection().borrow() {
            backplane::bus::Connection::Up => None,
            backplane::bus::Connection::Down(why) => Some(why.clone()),
        };
        Ok(PodsReport {
            federation: self.federation(),
            server: self.server.clone(),
            down: connection,
            known: format!("{:032x}", self.mesh.ledger().digest()),
            untold: self.telling.untold(),
            pods: pods.collect(),
        })
    }
}

/// That a pod is not heard since its clock is so many milliseconds ahead of this pod's.
fn clock_apart(ahead: i64) -> String {
    let minutes = (ahead.unsigned_abs() + 30_000) / 60_000;
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    format!(
        "its clock is {} h {} min {side} this pod's, so that what it says is not heard: set the clocks",
        minutes / 60,
        minutes % 60
    )
}
