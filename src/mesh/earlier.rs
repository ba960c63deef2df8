//! What was built before the pod joined, or while it stood alone: others need not build it either.

use larder::LarderError;
use node::{Home, Pod};
use protocol::WorkspaceId;

use crate::majordomo::records;

/// Announces the traces that last answered for the steps of all workspaces of a home.
pub(super) fn announce(pod: &Pod) {
    for workspace in Home::workspaces(pod.home().path()) {
        if let Err(error) = announce_of(pod, workspace) {
            tracing::warn!(%workspace, %error, "what was built earlier is not announced");
        }
    }
}

fn announce_of(pod: &Pod, workspace: WorkspaceId) -> Result<(), LarderError> {
    for record in records::all(pod.larder(), workspace)?.into_values() {
        if !pod.larder().is_revoked(&record.trace)?
            && let Some((trace, _)) = records::trace(pod.larder(), &record.trace)?
        {
            pod.supply().announce(&trace, record.trace);
        }
    }
    Ok(())
}
