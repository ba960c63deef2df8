//! `trace`: all that a step saw when it last ran, and what it made.

use std::path::Path;

use node::{Pod, Printed};
use protocol::{Glob, RelPath, StepId, TreeEntry, WorkspaceId};

use super::{Fallible, built, larder_failed, target, tree};
use crate::majordomo::border;
use crate::majordomo::build::reason;
use crate::majordomo::failures;
use crate::majordomo::records::{self, Record};
use crate::majordomo::request::trace::{Kind, Observation, Output, Sight, TraceFilter, TraceReport, Within};

/// The record of a step, by its id; an error that names the nearest id if there is none.
pub fn record(pod: &Pod, workspace: WorkspaceId, step: &str) -> Fallible<(StepId, Record)> {
    let mut all = records::all(pod.larder(), workspace).map_err(larder_failed)?;
    let id = StepId::new(step);
    if let Some(record) = all.remove(&id) {
        return Ok((id, record));
    }
    let failed = failures::all(pod.larder(), workspace).map_err(larder_failed)?;
    if failed.contains_key(&id) {
        let failure = border::mistake(format!("`{step}` left no trace: it failed whenever it ran here"));
        return Err(Box::new(failure.hint(format!("`majordomo why {step}` tells how"))));
    }
    let failure = border::mistake(format!("no step `{step}` was ever built here"));
    Err(target::unknown(failure, step, all.keys().chain(failed.keys()).map(StepId::as_str)))
}

/// The most observations that are listed: as many as fit into one message.
const MAX_OBSERVATIONS: usize = 10_000;

/// Whether a path of a step's root is wanted.
struct Wanted<'a> {
    filter: &'a TraceFilter,
    glob: Option<Glob>,
}

impl<'a> Wanted<'a> {
    fn new(filter: &'a TraceFilter) -> Fallible<Self> {
        let glob = filter.path.as_deref().map(|text| {
            // As people know them: relative in the project, from `/` elsewhere.
            let pattern = match text.strip_prefix('/') {
                Some(outside) => outside.to_owned(),
                None => format!("{}/{}", node::project_prefix(), text.trim_start_matches("./")),
            };
            Glob::new(&pattern)
                .map_err(|bad| Box::new(border::mistake(format!("`{text}` is no glob: {bad}"))))
        });
        Ok(Self { filter, glob: glob.transpose()? })
    }

    fn has(&self, path: &RelPath, kind: Kind) -> bool {
        let within = match path.is_within(&node::project_prefix()) {
            true => Within::Project,
            false => Within::Tools,
        };
        (self.filter.kinds.is_empty() || self.filter.kinds.contains(&kind))
            && self.filter.place.is_none_or(|place| place == within)
            && self.glob.as_ref().is_none_or(|glob| glob.matches(path.as_bytes()))
    }
}

/// A step's last trace.
pub async fn trace(pod: &Pod, project: &Path, step: &str, filter: &TraceFilter) -> Fallible<TraceReport> {
    let wanted = Wanted::new(filter)?;
    let workspace = built(project)?;
    let made = records::outputs(pod.larder(), workspace.id()).map_err(larder_failed)?;
    let by = target::as_path(step).and_then(|path| made.iter().find(|(made, ..)| *made == path));
    let (step, record) = record(pod, workspace.id(), by.map_or(step, |(.., by)| by.as_str()))?;
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
    let observations = trace.observations(&set).into_iter().flatten().enumerate();
    let mut observations: Vec<Observation> = observations
        .filter(|(_, (path, look, seen))| wanted.has(path, Kind::of(*look, seen)))
        .map(|(place, (path, look, seen))| Observation {
            path: path.clone(),
            shown: reason::shown(path),
            look: look.word().to_owned(),
            seen: Sight::new(seen, trace.raw_at(place).copied()),
        })
        .collect();
    let more = observations.len().saturating_sub(MAX_OBSERVATIONS) as u64;
    observations.truncate(MAX_OBSERVATIONS);
    Ok(TraceReport {
        step: step.clone(),
        trace: record.trace,
        millis: trace.millis,
        all: trace.seen.len() as u64,
        observations,
        more,
        outputs: outputs.entries().iter().map(output).collect(),
        printed,
    })
}

fn output((path, entry): &(RelPath, TreeEntry)) -> Output {
    let digest = match entry {
        TreeEntry::File { digest, .. } => Some(*digest),
        TreeEntry::Link { .. } | TreeEntry::EmptyDir | TreeEntry::Deleted => None,
    };
    Output { path: path.clone(), text: shown(entry), digest }
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
