//! `majordomo`: drives the build of one project for one user.

use std::process::ExitCode;

use computepods::cli;
use computepods::majordomo::session;

fn main() -> ExitCode {
    cli::zygote::become_it_if_asked();
    cli::guard::become_it_if_asked();
    if let Some(code) = cli::chef::serve_if_asked() {
        return code;
    }
    cli::majordomo_main(&session::open)
}
