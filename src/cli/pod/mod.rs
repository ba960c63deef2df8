//! The commands of `pod`, one file each.

use clap::{Parser, Subcommand};

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::global::GlobalArgs;
use crate::cli::majordomo::CompletionsArgs;
use crate::majordomo::request::Failure;

mod artefacts;
mod ban;
mod chef;
mod collect;
mod detach;
mod doctor;
mod fsck;
mod invite;
mod join;
mod leave;
mod logs;
mod pods;
mod stand;
mod status;
mod stop;

/// One node of a build mesh: its larder, and where its steps run
///
/// Without a command it starts a pod that stays until it is stopped: builds find it warm. It goes back into the federation of its home; without one, and where
/// `nats-server` is installed, it founds one on this machine, with a server of its own, for trying out.
#[derive(Debug, Parser)]
#[command(name = "pod", version)]
pub struct Cli {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What `pod` can do.
#[derive(Debug, Subcommand)]
enum Command {
    Chef(chef::ChefArgs),
    Join(Box<join::JoinArgs>),
    Leave(leave::LeaveArgs),
    Pods(pods::PodsArgs),
    Invite(invite::InviteArgs),
    Ban(ban::BanArgs),
    Artefacts(artefacts::ArtefactsArgs),
    Owner(artefacts::OwnerArgs),
    Give(artefacts::GiveArgs),
    Pull(artefacts::PullArgs),
    Doctor(doctor::DoctorArgs),
    Fsck(fsck::FsckArgs),
    Collect(collect::CollectArgs),
    Status(status::PodStatusArgs),
    Logs(logs::LogsArgs),
    Stop(stop::PodStopArgs),
    Completions(CompletionsArgs),
}

impl Cli {
    /// Carries it out.
    ///
    /// # Errors
    /// What was asked could not be done.
    pub fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        match self.command {
            Some(Command::Chef(args)) => args.run(context),
            Some(Command::Join(args)) => args.run(context),
            Some(Command::Leave(args)) => args.run(context),
            Some(Command::Pods(args)) => args.run(context),
            Some(Command::Invite(args)) => args.run(context),
            Some(Command::Ban(args)) => args.run(context),
            Some(Command::Artefacts(args)) => args.run(context),
            Some(Command::Owner(args)) => args.run(context),
            Some(Command::Give(args)) => args.run(context),
            Some(Command::Pull(args)) => args.run(context),
            Some(Command::Doctor(args)) => args.run(context),
            Some(Command::Fsck(args)) => args.run(context),
            Some(Command::Collect(args)) => args.run(context),
            Some(Command::Status(args)) => args.run(context),
            Some(Command::Logs(args)) => args.run(context),
            Some(Command::Stop(args)) => args.run(context),
            Some(Command::Completions(args)) => args.run::<Self>(context, "pod"),
            None => stand::stand(context),
        }
    }
}
