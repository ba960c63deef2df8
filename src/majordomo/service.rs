//! Carries out requests in the process that holds the home.

use std::path::Path;

use node::Pod;
use protocol::BuildId;
use protocol::event::Outcome;

use super::holder::Host;
use super::membership::Membership;
use super::request::{
    BuildOptions, CollectReport, FsckReport, PodReport, Reply, Report, Request, UsedBy, WatchNews,
};
use super::sink::{Cancel, Sink};
use super::watch::follow::follow;
use super::workspace::Workspace;
use super::{border, build, chefs, collect, inspect, launch, noop, prepare, request::Failure, shell, uses};

/// Carries out one request to its end: the last reply is [`Reply::Done`] or [`Reply::Failed`]. When `cancel` is set it ends
/// soon; it must not be dropped before, or its end is not said.
pub async fn carry_out(host: Host, request: Request, sink: Sink, cancel: Cancel) {
    let reply = match answer(&host, request, &sink, &cancel).await {
        Ok(outcome) => Reply::Done { outcome },
        Err(failure) => Reply::Failed(*failure),
    };
    sink.reply(reply);
}

/// Carries out a request; its end is not said.
///
/// # Errors
/// It could not be carried out.
pub async fn answer(
    host: &Host,
    request: Request,
    sink: &Sink,
    cancel: &Cancel,
) -> Result<Option<Outcome>, Box<Failure>> {
    let pod = &host.pod;
    let report = match request {
        Request::Build { project, targets, options, environment } => {
            let asked = build::Asked { project, targets, options, environment };
            return build_for(host, asked, (&[], None), sink, cancel).await.map(Some);
        }
        Request::Watch { project, targets, options, environment, watching } => {
            let asked = build::Asked { project, targets, options, environment };
            let take_back = asked.options.take_back;
            let wanted = uses::Wanted { take_back, ..uses::Wanted::of(&asked.project) };
            if let Err(failure) = uses::bring(host, &wanted, sink, cancel).await {
                sink.reply(Reply::Watch(WatchNews::Refused(*failure)));
            }
            let project = asked.project.clone();
            let sink = &written_down(host, &project, sink)?;
            tokio::select! {
                followed = follow(pod, asked, watching, sink, (cancel, &host.leaving)) => {
                    return followed.map(|()| None);
                }
                () = uses::keep(host, &project, sink, cancel) => return Ok(None),
            }
        }
        Request::Monitor { project, step, once } => {
            let what = (step.as_deref(), once);
            tokio::select! {
                said = monitor(host, &project, what, sink, cancel) => return said,
                () = host.leaving.wait() => return Ok(None),
            }
        }
        Request::Init { project, environment } => {
            match chefs::init(pod, &project, environment, (sink, cancel)).await? {
                Some(written) => Report::Init(written),
                None => return Ok(Some(Outcome::Cancelled)),
            }
        }
        Request::Chef(asked) => match chefs::carry_out(pod, asked, (sink, cancel)).await? {
            Some(report) => report,
            None => return Ok(Some(Outcome::Cancelled)),
        },
        Request::Launch { folder, jobs, sandbox } => {
            let asked = launch::Asked { folder, jobs, sandbox };
            return launch::launch(pod, asked, sink, cancel).await.map(|()| None);
        }
        Request::Shell(asked) => return shell::shell(pod, *asked, sink, cancel).await.map(Some),
        Request::Status { project, environment } => {
            Report::Status(inspect::status(pod, &project, &environment).await?)
        }
        Request::Why { project, target, environment } => {
            let mut why = inspect::why(pod, &project, &target, &environment).await?;
            why.made_by_name = why.made_by.as_ref().map(|by| match host.membership.get() {
                Some(membership) => membership.name_of(by),
                None => by.to_string(),
            });
            Report::Why(Box::new(why))
        }
        Request::Trace { project, step, filter } => {
            Report::Trace(inspect::trace(pod, &project, &step, &filter).await?)
        }
        Request::Graph { project, environment } => {
            Report::Graph(inspect::graph(pod, &project, &environment).await?)
        }
        Request::Forget { project, step } => Report::Forget(inspect::forget(pod, &project, &step).await?),
        Request::Clean { project } => Report::Clean(inspect::clean(&project, sink).await?),
        Request::Fsck => Report::Fsck(fsck(pod, sink).await?),
        Request::Collect { days, dry_run } => Report::Collected(collected(pod, days, dry_run).await?),
        Request::PodStatus => Report::Pod(pod_status(host)?),
        Request::Pods => Report::Pods(membership(host)?.pods().await?),
        Request::Invite { role, uses, hours } => {
            Report::Invitation(membership(host)?.invite(role, uses, hours).await?)
        }
        Request::Ban { pod } => {
            let membership = membership(host)?;
            membership.ban(&pod).await?;
            Report::Pods(membership.pods().await?)
        }
        Request::Projects(asked) => Report::Projects(membership(host)?.projects(asked).await?),
        Request::Named(named) => return membership(host)?.ask_project(host, *named, sink, cancel).await,
        Request::Artefacts => Report::Artefacts(membership(host)?.artefacts()?),
        Request::Owner(named) => Report::Owner(Box::new(membership(host)?.owner(&named)?)),
        Request::Give { artefact, to, is_copy } => {
            Report::Owner(Box::new(membership(host)?.give(&artefact, &to, is_copy).await?))
        }
        Request::Refresh => Report::Refreshed(membership(host)?.refresh().await?),
        Request::Pull(named) => Report::Pulled(Box::new(membership(host)?.pull(&named).await?)),
        Request::Leave { anyway } => {
            let left = membership(host)?.leave(pod.home().path(), anyway, (sink, cancel)).await?;
            let Some(left) = left else { return Ok(Some(Outcome::Cancelled)) };
            stop(host)?;
            Report::Left(left)
        }
        Request::PodStop => {
            stop(host)?;
            Report::Pod(pod_status(host)?)
        }
    };
    sink.reply(Reply::Report(report));
    Ok(None)
}

/// Builds, once what the project uses of others is up to date; `used_by`: the projects for which it is built, and the build of the first of them.
///
/// # Errors
/// It cannot be built, or what it uses cannot be had.
pub async fn build_for(
    host: &Host,
    asked: build::Asked,
    (used_by, build): (&[UsedBy], Option<BuildId>),
    sink: &Sink,
    cancel: &Cancel,
) -> Result<Outcome, Box<Failure>> {
    let BuildOptions { dry_run, take_back, .. } = asked.options;
    let wanted = uses::Wanted { build, used_by, dry_run, take_back, ..uses::Wanted::of(&asked.project) };
    if !uses::bring(host, &wanted, sink, cancel).await? {
        return Ok(Outcome::Cancelled);
    }
    if answered(&host.pod, &asked, sink).await {
        if let Some(membership) = host.membership.get() {
            membership.unchanged(&asked.project);
        }
        return Ok(Outcome::Success);
    }
    if dry_run {
        return build::build(&host.pod, asked, sink, cancel).await;
    }
    let sink = written_down(host, &asked.project, sink)?;
    build::build(&host.pod, asked, &sink, cancel).await
}

/// A sink of builds of a project, which are written down.
fn written_down(host: &Host, project: &Path, sink: &Sink) -> Result<Sink, Box<Failure>> {
    // What cannot be one does not become a project.
    prepare::outside(host.pod.home().path(), project)?;
    let workspace =
        Workspace::open_or_create(project).map_err(|error| Box::new(border::workspace(&error)))?;
    Ok(sink.written_down(host.journals.write(workspace.id())))
}

/// Says what was built of a project, and what is.
///
/// # Errors
/// It was never built, or what is known of it cannot be read.
pub async fn monitor(
    host: &Host,
    project: &Path,
    what: (Option<&str>, bool),
    sink: &Sink,
    cancel: &Cancel,
) -> Result<Option<Outcome>, Box<Failure>> {
    let workspace = inspect::built(project)?;
    host.journals.follow(workspace.id(), what, sink, cancel).await
}

/// Whether a build had nothing to do, and that has been said.
async fn answered(pod: &Pod, asked: &build::Asked, sink: &Sink) -> bool {
    let (home, asked, sink) = (pod.home().path().to_owned(), asked.clone(), sink.clone());
    let answering = tokio::task::spawn_blocking(move || noop::answers(&home, &asked, &sink, &mut || {}));
    answering.await.unwrap_or(false)
}

fn failed(error: larder::LarderError) -> Box<Failure> {
    Box::new(border::node(&error.into()))
}

async fn collected(pod: &Pod, days: u32, dry_run: bool) -> Result<CollectReport, Box<Failure>> {
    let home = pod.home().path().to_owned();
    let collecting = tokio::task::spawn_blocking(move || collect::collect(&home, days, dry_run));
    let collected = collecting.await.map_err(|_| Box::new(border::machine("it ended in the middle")))?;
    collected.map_err(|error| Box::new(border::machine(format!("what is old cannot be taken out: {error}"))))
}

async fn fsck(pod: &Pod, sink: &Sink) -> Result<FsckReport, Box<Failure>> {
    let (larder, sink) = (pod.larder().clone(), sink.clone());
    let checking = tokio::task::spawn_blocking(move || {
        larder.fsck(&mut |progress| {
            sink.reply(Reply::Progress {
                done: progress.done,
                total: Some(progress.total),
                unit: "objects".to_owned(),
            });
        })
    });
    let report = checking.await.map_err(|_| Box::new(border::machine("the check ended in the middle")))?;
    let report = report.map_err(failed)?;
    Ok(FsckReport {
        objects: report.objects,
        bytes: report.bytes,
        quarantined: report.wrong.iter().map(ToString::to_string).collect(),
    })
}

/// The pod's membership in its federation.
///
/// # Errors
/// It is in none, or was sent away.
pub fn membership(host: &Host) -> Result<&dyn Membership, Box<Failure>> {
    let membership = host.membership.get().map(|membership| &**membership).ok_or_else(|| {
        Box::new(match backplane::federation::is_member(host.pod.home().path()) {
            false => border::no_federation(),
            true => border::mistake("this home belongs to a federation, but no pod stands in it")
                .hint("`pod` goes back into it, and stays"),
        })
    })?;
    membership.refusal().map_or(Ok(membership), |failure| Err(Box::new(failure)))
}

fn stop(host: &Host) -> Result<(), Box<Failure>> {
    match &host.stop {
        Some(stop) => {
            stop.set();
            Ok(())
        }
        None => {
            let failure = border::mistake("no pod of its own stands in this home");
            Err(Box::new(failure.hint("what a majordomo brings goes by itself when that has ended")))
        }
    }
}

fn pod_status(host: &Host) -> Result<PodReport, Box<Failure>> {
    let pod = &host.pod;
    let stats = pod.larder().stats().map_err(failed)?;
    Ok(PodReport {
        home: pod.home().path().to_owned(),
        pid: Some(std::process::id()),
        embedded: host.stop.is_none(),
        slots: build::default_jobs() as u64,
        objects: stats.objects,
        bytes: stats.bytes,
        repairs: pod.larder().repairs().iter().map(ToString::to_string).collect(),
        banned_from: host.membership.get().and_then(|membership| membership.banned_from()),
    })
}
