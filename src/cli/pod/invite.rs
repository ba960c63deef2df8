//! `pod invite`.

use clap::Args;
use protocol::mesh::Role;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::majordomo::request::{Failure, Report, Request};

/// Print an invitation into this pod's federation; whoever has it may come in
#[derive(Debug, Args)]
pub struct InviteArgs {
    /// What newcomers may be at most
    #[arg(long, value_name = "ROLE", value_parser = super::join::role, default_value = "full")]
    role: Role,
    /// How many pods may come in by it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    uses: u32,
    /// For how many hours it holds
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=8760))]
    hours: u32,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

impl InviteArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let Self { role, uses, hours, json } = self;
        context.ask(Request::Invite { role, uses, hours }, json, |report, _| match report {
            Report::Invitation(made) => Some(Said::Both {
                data: format!("{}\n", made.invitation),
                talk: format!(
                    "\nlets {uses} in, for {hours} h. There:\n  pod join nats://{} --invite {}\n",
                    made.server, "INVITATION"
                ),
            }),
            _ => None,
        })
    }
}
