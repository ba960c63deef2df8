//! `pod`: one node of the mesh.

use std::path::Path;
use std::process::ExitCode;

use computepods::cli::{self, Majordomo, border};
use computepods::majordomo::request::{Failure, FailureKind};

fn main() -> ExitCode {
    cli::zygote::become_it_if_asked();
    cli::pod_main(&open)
}

/// CONNECT(engine): `computepods::majordomo::session::open`.
fn open(home: &Path) -> Result<Box<dyn Majordomo>, Failure> {
    let message = format!("the pod in `{}` cannot be asked: this program has no engine yet", home.display());
    Err(border::failure(FailureKind::Machine, message))
}
