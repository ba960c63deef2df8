//! Whether a pod of which something is awaited is still there.
//!
//! A pod that falls silent is asked whether it is there. While the back-plane itself is down nobody is given up until [`DOWN_FOR`] has passed.

use std::time::Duration;

use backplane::Mesh;
use backplane::bus::{BusError, Connection};
use backplane::mesh::AskError;
use protocol::PodId;
use protocol::mesh::run::{REPORT_EVERY, RUN_CANCEL, RunCancel};

/// A pod that is silent for so long is asked whether it is there.
const SILENT: Duration = Duration::from_millis(1500);
/// One that is silent for so long is given up.
const LOST: Duration = Duration::from_secs(10);
/// How long a pod is waited for while the back-plane is down.
const DOWN_FOR: Duration = Duration::from_secs(30);

/// Whether the back-plane is down.
pub(super) fn is_down(mesh: &Mesh) -> bool {
    matches!(&*mesh.bus().connection().borrow(), Connection::Down(_))
}

/// Whether a pod that has been silent for so long is there no more.
pub(super) async fn is_gone(mesh: &Mesh, pod: &PodId, silent: Duration) -> bool {
    if is_down(mesh) {
        return silent >= DOWN_FOR;
    }
    if silent < SILENT {
        return false;
    }
    // It never had such a run: whoever answers is there.
    let asked = mesh.ask::<_, bool>(pod, RUN_CANCEL, &RunCancel { run: 0 }, REPORT_EVERY).await;
    matches!(asked, Err(AskError::Bus(BusError::Nobody(_)))) || silent >= LOST
}

/// What people call a pod.
pub(super) fn name(mesh: &Mesh, pod: &PodId) -> String {
    mesh.members().list().get(pod).map_or_else(|| pod.to_string(), |member| member.name.clone())
}
