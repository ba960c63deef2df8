//! `pod join`.

use std::path::{Path, PathBuf};

use clap::Args;
use protocol::mesh::{Invitation, Role};
use swarm::Multiaddr;

use super::detach::detach;
use super::pods;
use super::stand::{Stay, stay};
use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::{border, place};
use crate::majordomo::project_file::size;
use crate::majordomo::request::{Failure, Report, Request};
use crate::mesh::joining::{Joining, ServerAt, ServerUrl};

/// Make this pod part of a federation, and stay: what one pod has built the others need not build
///
/// Without an invitation, and in a home that belongs to no federation, it founds one and prints an invitation. The home remembers all that is said
/// here: `pod` alone goes back into the federation, and what is said again replaces what was said before.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// The NATS server, with JetStream: `nats://[USER:PASSWORD@|TOKEN@]HOST[:PORT]`, or `tls://…` [default: the one of the last time]
    #[arg(value_name = "NATS-URL")]
    url: Option<ServerUrl>,
    /// What people call this pod [default: the machine's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The invitation, as `pod invite` printed it, or `@FILE` with it: what stands in a command all users of the machine can see
    #[arg(long, value_name = "TEXT|@FILE")]
    invite: Option<String>,
    /// What it does for the federation: everything (`full`), keep objects and run nothing (`store`), or serve nothing (`guest`) [default: full]
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Option<Role>,
    /// Where it listens for other pods: `/ip4/10.0.0.2/tcp/4711` [default: the address by which it reaches the server, a free port]
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
    /// Steps of others that run here at once [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    slots: Option<u32>,
    /// Memory for steps, such as `8G`: those of others that need more than is left of it wait or go elsewhere [default: what is free]
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    memory: Option<u64>,
    /// What this pod has or is, for steps that want it
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// Go on in the background: return when it stands
    #[arg(long)]
    detach: bool,
    /// Write who is in the federation as JSON, when it stands
    #[arg(long)]
    json: bool,
    #[arg(long, hide = true)]
    detached: bool,
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

/// Reads an invitation. It is a secret, also when it is damaged: no message has it.
fn invitation(text: &str, cwd: &Path) -> Result<Invitation, Failure> {
    let read = match text.strip_prefix('@') {
        None => text.to_owned(),
        Some(file) => {
            let file = cwd.join(file);
            std::fs::read_to_string(&file).map_err(|error| {
                border::mistake(format!("cannot read the invitation in `{}`: {error}", file.display()))
            })?
        }
    };
    read.parse().map_err(|error| {
        border::mistake(format!("the invitation cannot be used: {error}"))
            .hint("`pod invite` at a pod of the federation prints another one")
    })
}

fn memory(text: &str) -> Result<u64, String> {
    size(text).filter(|size| *size > 0).ok_or_else(|| "wanted a size such as `512M` or `8G`".to_owned())
}

fn label(text: &str) -> Result<(String, String), String> {
    let is_key = |key: &str| {
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    match text.split_once('=') {
        Some((key, value)) if is_key(key) => Ok((key.to_owned(), value.to_owned())),
        _ => Err("wanted `KEY=VALUE`, the key of letters, digits, `-`, `_` and `.`".to_owned()),
    }
}

pub(super) fn machine_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "pod".to_owned() } else { name }
}

impl JoinArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let home = place::home(context.home.as_deref(), &context.env, context.cwd.as_deref().ok())?;
        if self.detach {
            return match detach()? {
                Some(ended) => Ok(ended),
                None => context.ask(Request::Pods, self.json, |report, _| match report {
                    Report::Pods(found) => Some(Said::Data(pods::render(found))),
                    _ => None,
                }),
            };
        }
        let cwd = context.cwd()?.to_owned();
        let invitation = self.invite.as_deref().map(|text| invitation(text, &cwd)).transpose()?;
        let joining = self.joining(Joining::read(&home)?, |file| cwd.join(file))?;
        let Self { json, detached, .. } = self;
        stay(context, &home, Stay { joining: Some(joining), invitation, json, detached })
    }

    /// What was said before, and what is said now in its place.
    fn joining(
        &self,
        before: Option<Joining>,
        absolute: impl Fn(&PathBuf) -> PathBuf,
    ) -> Result<Joining, Failure> {
        let server = match (&self.url, before.as_ref().map(|before| &before.server)) {
            // How to log in there is said again with another server.
            (Some(url), Some(same @ ServerAt::Url { url: before, .. })) if url == before => same.clone(),
            (Some(url), _) => ServerAt::Url { url: url.clone(), creds: None, tls_ca: None },
            (None, Some(server)) => server.clone(),
            (None, None) => {
                return Err(border::mistake(
                    "over which NATS server is not said, and this home never joined",
                )
                .hint(
                    "`pod join nats://HOST:4222`; `pod` alone brings a server of its own, for trying out",
                ));
            }
        };
        let mut joining = before.unwrap_or_else(|| Joining::over(server.clone(), machine_name()));
        joining.server = server;
        if let ServerAt::Url { creds, tls_ca, .. } = &mut joining.server {
            *creds = self.creds.as_ref().map(&absolute).or_else(|| creds.take());
            *tls_ca = self.tls_ca.as_ref().map(&absolute).or_else(|| tls_ca.take());
        }
        if let Some(name) = &self.name {
            joining.name.clone_from(name);
        }
        joining.role = self.role.unwrap_or(joining.role);
        if !self.listen.is_empty() {
            joining.listen = self.listen.iter().map(ToString::to_string).collect();
        }
        joining.mdns |= self.mdns;
        joining.offer.slots = self.slots.or(joining.offer.slots);
        joining.offer.memory = self.memory.or(joining.offer.memory);
        if !self.label.is_empty() {
            joining.offer.labels = self.label.iter().cloned().collect();
        }
        Ok(joining)
    }
}
