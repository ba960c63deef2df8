//! `pod`: one node of the mesh.

use std::process::ExitCode;

use computepods::cli;
use computepods::majordomo::session;

fn main() -> ExitCode {
    cli::zygote::become_it_if_asked();
    if let Some(code) = cli::chef::serve_if_asked() {
        return code;
    }
    cli::pod_main(&session::open)
}
