//! `pod`: one node of the mesh.

use std::process::ExitCode;

use computepods::cli;
use computepods::majordomo::session;

fn main() -> ExitCode {
    cli::zygote::become_it_if_asked();
    cli::pod_main(&session::open)
}
