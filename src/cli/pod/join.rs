//! `pod join`.

use std::path::PathBuf;
use std::sync::Arc;

use backplane::bus::nats::NatsOptions;
use clap::Args;
use protocol::mesh::{Invitation, Role};
use swarm::Multiaddr;

use super::stand::news;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::place;
use crate::majordomo::request::Failure;
use crate::majordomo::standing;
use crate::mesh::{JoinOptions, join};

/// Make this pod part of a federation, and stay: what one pod has built the others need not build
///
/// Without an invitation, and in a home that belongs to no federation, it founds one and prints an invitation.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// The NATS server, with JetStream: `nats://[USER:PASSWORD@|TOKEN@]HOST[:PORT]`, or `tls://…`
    #[arg(value_name = "NATS-URL")]
    url: String,
    /// What people call this pod [default: the machine's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The invitation, as `pod invite` printed it
    #[arg(long, value_name = "TEXT")]
    invite: Option<Invitation>,
    /// What it does for the federation: everything, only keep objects, or nothing
    #[arg(long, value_name = "ROLE", value_parser = role, default_value = "full")]
    role: Role,
    /// Where it listens for other pods: `/ip4/10.0.0.2/tcp/4711` [default: loopback, a free port]
    #[arg(long, value_name = "MULTIADDR")]
    listen: Vec<Multiaddr>,
    /// Look for pods on the local network, and be seen there
    #[arg(long)]
    mdns: bool,
    /// A NATS credentials file
    #[arg(long, value_name = "FILE")]
    creds: Option<PathBuf>,
    /// Certificates (PEM) of authorities to trust besides the system's
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
}

/// Reads a role.
pub(super) fn role(text: &str) -> Result<Role, String> {
    match text {
        "full" => Ok(Role::Full),
        "store" => Ok(Role::Store),
        "guest" => Ok(Role::Guest),
        _ => Err("wanted `full`, `store` or `guest`".to_owned()),
    }
}

fn machine_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "pod".to_owned() } else { name }
}

impl JoinArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let home = place::home(context.home.as_deref(), &context.env, context.cwd.as_deref().ok())?;
        let Self { url, name, invite, role, listen, mdns, creds, tls_ca } = self;
        let server = NatsOptions { creds, tls_ca, ..NatsOptions::new(&url) };
        let name = name.unwrap_or_else(machine_name);
        let options = JoinOptions { server, name, role, listen, mdns, invitation: invite };
        context.arm()?;
        let (talk, style) = (context.talk.clone(), context.talk_style);
        let said = talk.clone();
        standing::stand(&home, &context.interrupt, &mut news(talk, style, &home), |holder| {
            let host = holder.host().clone();
            let joined = holder.runtime().block_on(join(&host.pod, options))?;
            let (federation, is_new) = (joined.federation(), joined.is_new());
            said.say(&format!("joined the federation {federation} as {}\n", joined.pod()));
            if is_new {
                let invitation = holder.runtime().block_on(joined.invite(Role::Full, 1, 24))?;
                said.say(&format!(
                    "it is new. On another machine, within 24 h:\n  pod join {} --invite {invitation}\n",
                    shown(&url)
                ));
            }
            // Whoever asks has it from the host; it goes with that.
            host.joined.set(Arc::new(joined)).ok();
            Ok(())
        })?;
        Ok(Exit::Done)
    }
}

/// The URL without what logs in.
fn shown(url: &str) -> String {
    let (scheme, _) = url.split_once("://").unwrap_or(("nats", url));
    format!("{scheme}://{}", NatsOptions::new(url).shown())
}
