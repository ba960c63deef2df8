//! Options that every command of both binaries takes.

use std::path::PathBuf;

use clap::Args;

use crate::cli::style::ColorChoice;

/// Options that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct GlobalArgs {
    /// The pod's home: larder, lock and socket [default: `$COMPUTEPODS_HOME`, else `computepods` in the XDG data folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}
