//! Registered projects: named from anywhere in the federation, and asked of the pod that has their workspace.
//!
//! Actors. [`Projects`] is both sides: [`asking`] sends an order to the pod that owns a project, and hands on its replies as they come; [`serving`] carries
//! orders out as if they had come over this pod's own socket, and sends the replies; [`using`] is for projects that use others. What a name means is
//! the federation's log's matter; a pod goes only into folders that it has registered itself, and serves full members alone. Steps' variables come
//! from the owner's environment: no pod gets another's.
//!
//! Errors of the owner travel as its [`Failure`]s; that it is not there, or goes, is one of this machine's. A crash of either side ends what was
//! asked: the owner hears that nobody wants it, whoever asked that nobody answers.

mod asking;
mod serving;
mod using;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use backplane::Mesh;
use backplane::beats::{Heard, Liveness};
use backplane::federation::ActError;
use backplane::ledger::{ChangeError, SETTLING};
use backplane::projects::{self, ProjectError};
use futures::future::BoxFuture;
use node::Pod;
use parking_lot::{Condvar, Mutex};
use protocol::event::Outcome;
use protocol::mesh::order::{ORDER, ORDER_CANCEL, ORDER_NEWS, ProjectCancel, ProjectNews, ProjectOrder};
use protocol::mesh::{NewsAnswer, ProjectEntry, ProjectName};
use protocol::{Digest, PodId, StepId, WorkspaceId};
use rustc_hash::FxHashMap;
use rustix::fs::statvfs;
use tokio::sync::mpsc;

use super::{Joined, join, presence, steps};
use crate::majordomo::border::{self, machine, mistake};
use crate::majordomo::build::{self, Asked};
use crate::majordomo::holder::Host;
use crate::majordomo::inspect;
use crate::majordomo::membership::Membership;
use crate::majordomo::request::{
    BuiltReport, Failure, FailureKind, Named, OfProject, OrderOptions, OwnOptions, ProjectMade,
    ProjectReport, ProjectsReport, ProjectsRequest, Reply, Report,
};
use crate::majordomo::service;
use crate::majordomo::sink::{Cancel, Sink};
use crate::majordomo::tree_files::{self, Brought};
use crate::majordomo::workspace::Workspace;

/// How long orders of others may take to end when the pod goes.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a new log is waited for until all pods have told it what they know.
const SETTLED_WITHIN: Duration = SETTLING.saturating_add(Duration::from_secs(5));
/// How often it is looked whether they have.
const SETTLE_POLL: Duration = Duration::from_millis(200);
/// Batches of replies that wait for whoever asked.
const NEWS_WAITING: usize = 64;

type Fallible<T> = Result<T, Box<Failure>>;

/// Both sides.
pub(super) struct Projects {
    mesh: Arc<Mesh>,
    /// What others have ordered here.
    served: Mutex<FxHashMap<(PodId, u64), serving::Served>>,
    /// One of them has ended.
    ended: Condvar,
    /// What was ordered of others.
    asked: Mutex<FxHashMap<(PodId, u64), mpsc::Sender<ProjectNews>>>,
    host: OnceLock<WeakHost>,
}

/// A [`Host`] that does not keep the federation alive: that has us.
struct WeakHost {
    host: Host,
    membership: Weak<OnceLock<Arc<dyn Membership>>>,
}

fn taken(mesh: &Mesh, taken: &ProjectEntry, asked: &Path) -> Failure {
    let owner = taken.owner.map(|owner| presence::name(mesh, &owner)).unwrap_or_default();
    let message = format!(
        "the name `{}` is taken by `{}` of the pod `{owner}`, and so `{}` cannot have it",
        taken.name,
        taken.folder,
        asked.display()
    );
    mistake(message).hint(format!(
        "give it another one: `--name NAME`; or take that one away: `majordomo projects remove {}`",
        taken.name
    ))
}

fn failed(mesh: &Mesh, error: &ProjectError, asked: &Path) -> Failure {
    match error {
        ProjectError::Taken(other) => taken(mesh, other, asked),
        ProjectError::Unknown(name) => unknown(name),
        ProjectError::Change(ChangeError::Forbidden(_)) => {
            join::act_failed(&ActError::NotFull("say which projects there are"))
        }
        error => Failure::new(FailureKind::Machine, error),
    }
}

fn unknown(name: &ProjectName) -> Failure {
    mistake(format!("no project of the federation is called `{name}`"))
        .hint("`majordomo projects list` lists them; `majordomo projects add DIR` registers one")
}

/// The variables that this pod's process has: what steps pass on of a build that somebody else asked for.
pub(super) fn own_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

impl Projects {
    /// Answers from now on what concerns others' projects; own ones from when [`Projects::host`] is called.
    pub fn begin(mesh: &Arc<Mesh>) -> Arc<Self> {
        let projects = Arc::new(Self {
            mesh: mesh.clone(),
            served: Mutex::default(),
            ended: Condvar::new(),
            asked: Mutex::default(),
            host: OnceLock::new(),
        });
        // What the mesh has of it is weak: it has the mesh.
        let (orders, news, withdrawals) =
            (Arc::downgrade(&projects), Arc::downgrade(&projects), Arc::downgrade(&projects));
        steps::serve(mesh, ORDER, move |from, order: ProjectOrder| {
            let taken = match orders.upgrade() {
                Some(projects) => projects.take(from, order),
                None => Err("this pod goes".to_owned()),
            };
            std::future::ready(taken)
        });
        steps::serve_repeatable(mesh, ORDER_NEWS, move |from, said: ProjectNews| {
            let projects = news.upgrade();
            async move {
                match projects {
                    Some(projects) => Ok(projects.heard(from, said).await),
                    None => Ok(NewsAnswer::Unwanted),
                }
            }
        });
        steps::serve(mesh, ORDER_CANCEL, move |from, withdrawal: ProjectCancel| {
            let known = withdrawals.upgrade().is_some_and(|projects| {
                projects
                    .served
                    .lock()
                    .get(&(from, withdrawal.run))
                    .map(|served| served.cancel.set())
                    .is_some()
            });
            std::future::ready(Ok(known))
        });
        projects
    }

    /// From now on orders of others are carried out with this.
    pub fn host(&self, host: &Host) {
        let membership = Arc::downgrade(&host.membership);
        let host = Host { membership: Arc::default(), ..host.clone() };
        self.host.set(WeakHost { host, membership }).ok();
    }

    /// Ends what others have ordered here, but does not wait long for it.
    pub fn send_away(&self) {
        let deadline = Instant::now() + FAREWELL;
        let mut served = self.served.lock();
        served.values().for_each(|served| served.cancel.set());
        while !served.is_empty() && !self.ended.wait_until(&mut served, deadline).timed_out() {}
    }

    fn its_host(&self) -> Option<Host> {
        let WeakHost { host, membership } = self.host.get()?;
        Some(Host { membership: membership.upgrade()?, ..host.clone() })
    }

    /// A project of this pod.
    fn own(&self, name: &ProjectName) -> Result<Own, Failure> {
        let own = projects::own(&self.mesh, name)
            .map_err(|error| Failure::new(FailureKind::Machine, &error))?
            .ok_or_else(|| {
                machine(format!("the pod that has `{name}` has not registered it itself"))
                    .hint("register it there again: `majordomo projects add DIR`")
            })?;
        let folder = PathBuf::from(&own.folder);
        match Workspace::open(&folder) {
            Ok(Some(workspace)) if workspace.id() == own.workspace => {
                Ok(Own { name: own.name, workspace: own.workspace, folder })
            }
            Ok(_) => Err(machine(format!("`{}` is not the project `{name}` any more", own.folder))
                .hint("register it again where it is now: `majordomo projects add DIR`")),
            Err(error) => Err(border::workspace(&error)),
        }
    }
}

impl Projects {
    /// As it is told to this pod's own clients.
    fn own_report(&self, made: ProjectMade) -> BuiltReport {
        let owner = self.mesh.pod();
        BuiltReport { made, owner, owner_name: presence::name(&self.mesh, &owner), out: None }
    }
}

/// A project of this pod.
struct Own {
    name: ProjectName,
    workspace: WorkspaceId,
    folder: PathBuf,
}

/// What is asked of another pod. How a build goes on its owner's machine, and what of the owner's files it overwrites, is the owner's matter alone.
///
/// # Errors
/// It is not for others to ask.
fn of_another(own: OwnOptions) -> Result<(), Failure> {
    if own.take_back || own.sandbox.is_some() {
        let option = if own.take_back { "--take-back" } else { "--sandbox" };
        return Err(mistake(format!("`{option}` is the matter of whoever has the project"))
            .hint(format!("leave `{option}` away, or build where the project is")));
    }
    Ok(())
}

/// What was asked came to an end: how, of a build, and what it made.
type Carried = (Option<Outcome>, Option<ProjectMade>);

/// Carries out on this machine what is asked of one of its projects. `options`: it is this pod that asks, and what it makes is for this machine.
fn carry_out<'a>(
    host: &'a Host,
    (own, options): (&'a Own, Option<OwnOptions>),
    what: OfProject,
    sink: &'a Sink,
    cancel: &'a Cancel,
) -> BoxFuture<'a, Fallible<Carried>> {
    // What a project uses may lead here again.
    Box::pin(async move {
        let environment = own_environment();
        let made = async |targets: &[String]| {
            let (made, kept_back) =
                inspect::handed_over(&host.pod, &own.folder, &environment, (targets, options.is_some()))
                    .await?;
            built(host, own, &made, kept_back)
        };
        let (targets, wanted, used_by, build) = match what {
            OfProject::Targets => {
                let targets = inspect::targets(&host.pod, &own.folder, &environment).await?;
                sink.reply(Reply::Report(Report::Targets(targets)));
                return Ok((None, None));
            }
            OfProject::Monitor { step, once } => {
                let what = (step.as_deref(), once);
                return Ok((service::monitor(host, &own.folder, what, sink, cancel).await?, None));
            }
            OfProject::Build { targets, options } => (targets, options, Vec::new(), None),
            OfProject::Use { targets, used_by, build, as_it_is } => {
                using::check(own, &used_by)?;
                if as_it_is {
                    return Ok((Some(Outcome::Success), Some(made(&targets).await?)));
                }
                (targets, OrderOptions::default(), used_by, build)
            }
        };
        let asked = Asked {
            project: own.folder.clone(),
            targets: targets.clone(),
            options: options.unwrap_or_default().with(wanted),
            environment: environment.clone(),
        };
        let outcome = service::build_for(host, asked, (&used_by, build), sink, cancel).await?;
        if wanted.dry_run || outcome != Outcome::Success {
            return Ok((Some(outcome), None));
        }
        Ok((Some(outcome), Some(made(&targets).await?)))
    })
}

fn built(host: &Host, own: &Own, made: &protocol::Tree, kept_back: Vec<StepId>) -> Fallible<ProjectMade> {
    let tree = host.pod.larder().put(protocol::ObjectKind::Tree, &made.encode());
    let (files, bytes) = tree_files::count(made);
    Ok(ProjectMade {
        name: own.name.clone(),
        folder: own.folder.display().to_string(),
        tree: tree.map_err(|error| Box::new(border::node(&error.into())))?,
        files,
        bytes,
        kept_back,
    })
}

impl Joined {
    /// From now on other pods' orders that concern projects of this pod are carried out.
    pub fn serve_projects(&self, host: &Host) {
        self.projects.host(host);
    }

    fn project_report(&self, project: &ProjectEntry, heard: &BTreeMap<PodId, Heard>) -> ProjectReport {
        let owner = project.owner.unwrap_or_else(|| self.pod());
        let is_mine = owner == self.pod();
        let heard = heard.get(&owner);
        ProjectReport {
            name: project.name.clone(),
            workspace: project.workspace,
            owner: project.owner,
            owner_name: presence::name(&self.mesh, &owner),
            is_mine,
            is_there: is_mine || self.mesh.beats().liveness(&owner) != Liveness::Lost,
            heard_seconds_ago: heard.map(|heard| heard.ago.as_secs()),
            folder: asking::line(&project.folder),
        }
    }

    /// Lists projects, registers one, or gives a name up.
    ///
    /// # Errors
    /// The name is no name, taken or unknown; or the back-plane cannot be reached.
    pub async fn projects(&self, asked: ProjectsRequest) -> Result<ProjectsReport, Failure> {
        let found = match asked {
            ProjectsRequest::List => {
                let all = projects::all(&self.mesh);
                all.map_err(|error| Failure::new(FailureKind::Machine, &error))?
            }
            ProjectsRequest::Remove { name } => {
                let removed = projects::remove(&self.mesh, &name).await;
                vec![removed.map_err(|error| failed(&self.mesh, &error, Path::new("")))?]
            }
            ProjectsRequest::Add { project, name } => vec![self.register(&project, name).await?],
        };
        let heard = self.mesh.beats().all();
        let projects = found.iter().map(|project| self.project_report(project, &heard)).collect();
        Ok(ProjectsReport { projects })
    }

    async fn register(&self, project: &Path, name: Option<String>) -> Result<ProjectEntry, Failure> {
        // Nothing is begun in a folder that is not to be one.
        let folder = Workspace::open_or_imagine(project).map_err(|error| border::workspace(&error))?;
        let name = name.unwrap_or_else(|| folder.name());
        let name: ProjectName = name.parse().map_err(|error: protocol::mesh::BadProjectName| {
            Failure::new(FailureKind::User, &error).hint("`--name NAME` gives it a name of its own")
        })?;
        let workspace = Workspace::open_or_create(project).map_err(|error| border::workspace(&error))?;
        let folder = workspace.project().to_str().ok_or_else(|| {
            mistake(format!("the path of the project is not UTF-8: `{}`", workspace.project().display()))
        })?;
        let begun = Instant::now();
        loop {
            match projects::register(&self.mesh, &name, workspace.id(), folder).await {
                // Most often it was this pod that has founded the federation a moment ago.
                Err(ProjectError::NotSettled) if begun.elapsed() < SETTLED_WITHIN => {
                    tokio::time::sleep(SETTLE_POLL).await;
                }
                registered => {
                    // What it has is this pod's from now on, as after a build.
                    self.estate.built(workspace.id(), &workspace.name());
                    return registered.map_err(|error| failed(&self.mesh, &error, project));
                }
            }
        }
    }

    /// Asks something of a project by its name: of this pod, or of the one that has it.
    ///
    /// # Errors
    /// Nobody has registered it, the pod that has it is not there or goes, or what that one says.
    pub async fn ask_project(
        &self,
        host: &Host,
        named: Named,
        sink: &Sink,
        cancel: &Cancel,
    ) -> Fallible<Option<Outcome>> {
        let Named { name, what, own, out } = named;
        out.as_deref().map_or(Ok(()), tree_files::could_be_site)?;
        let found = projects::get(&self.mesh, &name);
        let found = found.map_err(|error| Box::new(Failure::new(FailureKind::Machine, &error)))?;
        let owner = found.and_then(|project| project.owner).ok_or_else(|| Box::new(unknown(&name)))?;
        let (outcome, built) = if owner == self.pod() {
            let own_project = self.projects.own(&name)?;
            let (outcome, made) = carry_out(host, (&own_project, Some(own)), what, sink, cancel).await?;
            (outcome, made.map(|made| self.projects.own_report(made)))
        } else {
            of_another(own)?;
            let mut built = None;
            let mut take = |reply| match reply {
                Reply::Report(Report::Built(report)) => built = Some(report),
                reply => sink.reply(reply),
            };
            (self.projects.ask(&owner, &name, what, &mut take, cancel).await.map_err(Box::from)?, built)
        };
        if let Some(mut built) = built {
            if let Some(out) = &out
                && !self.write_out(&host.pod, (&name, &built), out, (sink, cancel)).await?
            {
                return Ok(Some(Outcome::Cancelled));
            }
            built.out = out;
            sink.reply(Reply::Report(Report::Built(built)));
        }
        Ok(outcome)
    }

    /// Writes what a build has made into a folder; false: it was cancelled.
    async fn write_out(
        &self,
        pod: &Pod,
        (name, built): (&ProjectName, &BuiltReport),
        out: &Path,
        (sink, cancel): (&Sink, &Cancel),
    ) -> Fallible<bool> {
        let site = tree_files::site(out)?;
        if !self.bring(pod, name, (built.owner, built.made.tree), cancel).await? {
            return Ok(false);
        }
        let Some(lock) = build::lock(&site, sink, cancel).await? else { return Ok(false) };
        let brought = Brought {
            project: name.clone(),
            owner: built.owner_name.clone(),
            tree: built.made.tree,
            take_back: false,
        };
        let larder = pod.larder().clone();
        let writing =
            tokio::task::spawn_blocking(move || tree_files::hand_over(&larder, &brought, (&site, &lock)));
        let written = writing.await.map_err(|_| Box::new(machine("writing ended in the middle")))?;
        written.map(|()| true).map_err(Box::new)
    }

    /// Brings what a project has made, with all bytes; false: it was cancelled.
    async fn bring(
        &self,
        pod: &Pod,
        name: &ProjectName,
        (owner, tree): (PodId, Digest),
        cancel: &Cancel,
    ) -> Fallible<bool> {
        let bringing = async {
            let made = self.estate.bring_tree(owner, tree).await?;
            let (_, bytes) = tree_files::count(&made);
            let room = statvfs(pod.home().path())
                .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
            if bytes > room {
                return Err(format!(
                    "it is said to have {bytes} bytes, and the disk of the home has room for {room}"
                ));
            }
            self.estate.bring(owner, tree).await
        };
        let brought = tokio::select! {
            brought = bringing => brought,
            () = cancel.wait() => return Ok(false),
        };
        brought.map(|()| true).map_err(|why| {
            let owner = presence::name(&self.mesh, &owner);
            let what = format!("what `{name}` made did not come from `{owner}`: {why}");
            Box::new(machine(what).hint("`pod pods` shows who is connected"))
        })
    }
}
