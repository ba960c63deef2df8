//! `forget` revokes traces; `clean` removes what was handed over.

use std::path::Path;

use node::Pod;

use super::{Fallible, built, larder_failed};
use crate::majordomo::records;
use crate::majordomo::request::{CleanReport, ForgetReport};
use crate::majordomo::sink::{Cancel, Sink};
use crate::majordomo::{border, build, handover, noop, recall};

/// Revokes all traces that the last runs of a step, or of all steps of a rule, could adopt.
pub async fn forget(pod: &Pod, project: &Path, step: &str) -> Fallible<ForgetReport> {
    let workspace = built(project)?;
    noop::forget(&workspace);
    recall::forget(pod.home().path(), workspace.id()).map_err(|e| Box::new(border::workspace(&e)))?;
    let all = records::all(pod.larder(), workspace.id()).map_err(larder_failed)?;
    let mut chosen: Vec<_> =
        all.into_iter().filter(|(id, _)| id.as_str() == step || id.rule() == step).collect();
    chosen.sort_by(|a, b| a.0.cmp(&b.0));
    if chosen.is_empty() {
        // Says which id is near.
        super::trace::record(pod, workspace.id(), step)?;
    }
    let mut revoked = Vec::new();
    for (id, record) in chosen {
        let found = records::trace(pod.larder(), &record.trace).map_err(larder_failed)?;
        let mut count = 0;
        if let Some((trace, _)) = found {
            for digest in pod.larder().traces_of(&trace.weak).map_err(larder_failed)? {
                pod.supply().revoke(&digest).map_err(larder_failed)?;
                count += 1;
            }
        }
        revoked.push((id, count));
    }
    Ok(ForgetReport { revoked })
}

/// Removes what was handed over and not edited.
pub async fn clean(project: &Path, sink: &Sink) -> Fallible<CleanReport> {
    let workspace = built(project)?;
    let Some(lock) = build::lock(&workspace, sink, &Cancel::default()).await? else {
        return Ok(CleanReport { removed: 0, kept: Vec::new() });
    };
    noop::forget(&workspace);
    let cleaned = handover::clean(&workspace, &lock).map_err(|e| Box::new(border::handover(&e)))?;
    Ok(CleanReport { removed: cleaned.removed as u64, kept: cleaned.kept })
}
