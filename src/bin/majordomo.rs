//! `majordomo`: drives the build of one project for one user.

use std::process::ExitCode;

use computepods::cli;
use computepods::majordomo::session;
use computepods::myself;

fn main() -> ExitCode {
    myself::zygote::become_it_if_asked();
    myself::guard::become_it_if_asked();
    if let Some(code) = myself::chef::serve_if_asked() {
        return code;
    }
    cli::majordomo_main(&session::open)
}
