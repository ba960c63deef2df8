//! A pod that is sent away while it stands: it says so, and does nothing for the federation any more.
//!
//! It hears of its ban as everybody does, for that is sealed with a key which it still has. What it builds from then on it builds alone. A crash
//! changes nothing: who comes back is told so ([`super::back`]).

use std::sync::{Arc, Weak};

use backplane::Mesh;
use backplane::mesh::Running;
use node::Supply;
use parking_lot::Mutex;
use protocol::mesh::{FederationId, Standing};
use swarm::Swarm;

use super::Joined;
use super::steps::Steps;
use crate::majordomo::border::mistake;
use crate::majordomo::request::Failure;

/// That a pod was sent away, in words.
pub(super) fn banned(federation: FederationId) -> Failure {
    mistake(format!("this pod was banned from the federation {federation}"))
        .hint("it is for good: another home (`--home DIR`) can be invited as another pod")
}

fn is_out(mesh: &Mesh) -> bool {
    mesh.members().standing(&mesh.pod()) == Some(Standing::Banned)
}

/// Waits for a ban, and ends what goes on by itself.
pub(super) async fn watch(
    mesh: Arc<Mesh>,
    swarm: Swarm,
    supply: Supply,
    running: Weak<Mutex<Option<(Running, Steps)>>>,
) {
    let mut members = mesh.members().watch();
    while !is_out(&mesh) {
        if members.changed().await.is_err() {
            return;
        }
    }
    let federation = mesh.federation().id;
    tracing::error!(%federation, "this pod was banned from the federation: it serves nobody there any more, and builds alone");
    supply.part();
    if let Some(running) = running.upgrade() {
        drop(running.lock().take());
    }
    for pod in mesh.members().list().keys().filter(|pod| **pod != mesh.pod()) {
        if let Err(error) = swarm.forget(*pod).await {
            tracing::debug!(%pod, %error, "a connection was not closed");
        }
    }
}

impl Joined {
    /// The federation that has sent this pod away.
    pub fn banned_from(&self) -> Option<FederationId> {
        is_out(&self.mesh).then(|| self.federation())
    }

    /// Why nothing can be asked of the federation, if so.
    pub fn refusal(&self) -> Option<Failure> {
        self.banned_from().map(banned)
    }
}
