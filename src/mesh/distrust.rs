//! What is not believed any more is revoked here: all that came from a pod that was banned, and what a pod has revoked itself.

use std::sync::Arc;

use backplane::Mesh;
use backplane::traces::Traces;
use larder::LarderError;
use node::Pod;
use protocol::mesh::Standing;
use protocol::{Digest, PodId};

use crate::majordomo::revoked;

/// Revokes, as the federation tells. Whoever was away catches up when it is back.
pub(super) async fn follow(mesh: Arc<Mesh>, traces: Arc<Traces>, pod: Pod) {
    let (mut members, mut revocations) = (mesh.members().watch(), traces.watch_revoked());
    loop {
        revocations.borrow_and_update();
        let list = members.borrow_and_update().clone();
        let banned = list.values().filter(|member| member.standing == Standing::Banned);
        let banned: Vec<PodId> = banned.map(|member| member.pod).collect();
        let (pod, taken_back) = (pod.clone(), traces.revoked());
        let done = tokio::task::spawn_blocking(move || revoke(&pod, &banned, &taken_back)).await;
        if let Ok(Err(error)) = done {
            tracing::error!(%error, "what is not believed any more could not be revoked");
        }
        let changed = tokio::select! {
            changed = members.changed() => changed,
            changed = revocations.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

fn revoke(pod: &Pod, banned: &[PodId], taken_back: &[(PodId, Digest)]) -> Result<(), LarderError> {
    let supply = pod.supply();
    let mut count = 0;
    for by in banned {
        count += supply.disown(by)?;
    }
    for (by, trace) in taken_back {
        count += usize::from(supply.disown_trace(by, trace)?);
    }
    if count > 0 {
        tracing::info!(count, "traces of other pods are revoked: their steps run again");
        revoked::note(pod.home().path());
    }
    Ok(())
}
