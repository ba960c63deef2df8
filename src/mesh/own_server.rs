//! A NATS server that a pod brings itself, for trying out: on loopback, with JetStream in the home. It ends with the pod, however that ends.

use std::path::{Path, PathBuf};

use backplane::server::{Server, ServerError, ServerOptions};

/// Its folder in the home.
const FOLDER: &str = "nats";

fn folder(home: &Path) -> PathBuf {
    home.join(FOLDER)
}

/// Whether a `nats-server` is installed.
pub fn is_installed(home: &Path) -> bool {
    ServerOptions::installed(&folder(home)).is_ok()
}

/// Starts it: at the port that it had, if nobody has that now.
///
/// # Errors
/// There is no such program, or it does not listen.
pub fn start(home: &Path, port: Option<u16>) -> Result<Server, ServerError> {
    let folder = folder(home);
    sweep(&folder);
    let options = ServerOptions::installed(&folder)?;
    match Server::start(&ServerOptions { port, ..options.clone() }) {
        Err(error @ ServerError::Silent { .. }) if port.is_some() => {
            tracing::info!(%error, "the port of our own NATS server is taken: another one");
            Server::start(&options)
        }
        started => started,
    }
}

/// What a server that was killed left: it says where it listens in a file of its own.
fn sweep(folder: &Path) {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for file in files.filter(|file| file.path().extension().is_some_and(|ending| ending == "ports")) {
        if let Err(error) = std::fs::remove_file(file.path()) {
            tracing::debug!(%error, "an old file of our own NATS server stays");
        }
    }
}
