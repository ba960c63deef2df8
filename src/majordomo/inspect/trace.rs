//! `trace`: all that a step saw when it last ran, and what it made.

use std::path::Path;

use node::{Pod, Printed};
use protocol::{StepId, TreeEntry, WorkspaceId};

use super::{Fallible, built, larder_failed, tree};
use crate::majordomo::border;
use crate::majordomo::records::{self, Record};
use crate::majordomo::request::{Observation, TraceReport};

/// The record of a step, by its id; an error that names the nearest id if there is none.
pub fn record(pod: &Pod, workspace: WorkspaceId, step: &str) -> Fallible<(StepId, Record)> {
    let mut all = records::all(pod.larder(), workspace).map_err(larder_failed)?;
    let id = StepId::new(step);
    if let Some(record) = all.remove(&id) {
        return Ok((id, record));
    }
    let nearest = crate::majordomo::project_file::nearest::nearest(step, all.keys().map(StepId::as_str));
    let failure = border::mistake(format!("no step `{step}` was ever built here"));
    Err(Box::new(match nearest {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`majordomo graph` shows all steps"),
    }))
}

/// A step's last trace.
pub async fn trace(pod: &Pod, project: &Path, step: &str) -> Fallible<TraceReport> {
    let workspace = built(project)?;
    let (step, record) = record(pod, workspace.id(), step)?;
    let gone = || {
        let failure = border::mistake(format!("the last trace of `{step}` is no longer in the larder"));
        Box::new(failure.hint("build it again"))
    };
    let (trace, set) =
        records::trace(pod.larder(), &record.trace).map_err(larder_failed)?.ok_or_else(gone)?;
    let outputs = tree(pod, &trace.outputs)?.ok_or_else(gone)?;
    let printed = match &trace.printed {
        Some(digest) => {
            let bytes = pod.larder().get(larder::ObjectKind::Blob, digest).map_err(larder_failed)?;
            bytes.and_then(|bytes| Printed::decode(&bytes).ok()).unwrap_or_default().text()
        }
        None => String::new(),
    };
    let observations = trace.observations(&set).into_iter().flatten();
    Ok(TraceReport {
        step: step.clone(),
        trace: record.trace,
        millis: trace.millis,
        observations: observations
            .map(|(path, look, seen)| Observation {
                path: path.clone(),
                look: look.word().to_owned(),
                seen: seen.to_string(),
            })
            .collect(),
        outputs: outputs.entries().iter().map(|(path, entry)| (path.clone(), shown(entry))).collect(),
        printed,
    })
}

fn shown(entry: &TreeEntry) -> String {
    match entry {
        TreeEntry::File { digest, exec: false, .. } => digest.to_string(),
        TreeEntry::File { digest, exec: true, .. } => format!("{digest} (exec)"),
        TreeEntry::Link { target } => format!("link to `{}`", protocol::path::escape(target)),
        TreeEntry::EmptyDir => "empty folder".to_owned(),
        TreeEntry::Deleted => "deleted".to_owned(),
    }
}
