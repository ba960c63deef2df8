//! `majordomo`: drives the build of one project for one user.

use std::process::ExitCode;

use computepods::cli;
use computepods::majordomo::session;

fn main() -> ExitCode {
    cli::zygote::become_it_if_asked();
    cli::majordomo_main(&session::open)
}
