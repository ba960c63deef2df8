//! Where a difference leads: what became of what a step saw, and who made it.

use node::{Difference, project_prefix};
use protocol::{FileKind, PathSet, RelPath, Seen, StepId, Trace};
use view::Source;

use super::Fallible;
use super::looked::Looked;
use super::names::{self, CameAndWent, Listing};
use crate::majordomo::build::reason;
use crate::majordomo::request::trace::Sight;
use crate::majordomo::request::why::{Change, NamesChange, Origin};

/// The most observations that are listed of a step.
pub const MAX_CHANGES: usize = 100;

/// What became of the outputs of a step that is none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Went {
    /// They went with it.
    WithIt,
    /// They had come.
    Later,
}

/// An observation that differs, and where it leads.
pub struct Lead {
    pub change: Change,
    /// The paths of the project that became others.
    pub paths: Vec<RelPath>,
    /// Who makes them.
    pub makers: Vec<usize>,
    /// Who made them, and is no step any more.
    pub former: Option<(StepId, Went)>,
}

/// Paths of a step's root, and what stood there.
pub type Listed = Vec<(RelPath, FileKind)>;

/// What a trace saw that was there.
pub fn seen_paths<'a>(trace: &'a Trace, set: &'a PathSet) -> impl Iterator<Item = (RelPath, FileKind)> + 'a {
    trace.observations(set).into_iter().flatten().filter_map(|(path, _, seen)| {
        let kind = match seen {
            Seen::Absent => return None,
            Seen::Kind(kind) => *kind,
            Seen::Names(_) => FileKind::Dir,
            Seen::Target(_) => FileKind::Link,
            Seen::File { .. } | Seen::Content { .. } => FileKind::File,
        };
        Some((path.clone(), kind))
    })
}

/// Differences as they are listed, those of the project first; and how many are left out.
pub async fn leads(
    looked: &Looked,
    step: usize,
    differences: Vec<Difference>,
    known: &Listed,
) -> Fallible<(Vec<Lead>, u64)> {
    let is_inside = |difference: &Difference| difference.path.is_within(&project_prefix());
    let (inside, outside): (Vec<_>, Vec<_>) = differences.into_iter().partition(is_inside);
    let more = (inside.len() + outside.len()).saturating_sub(MAX_CHANGES) as u64;
    let mut leads = Vec::new();
    for difference in inside.into_iter().chain(outside).take(MAX_CHANGES) {
        leads.push(lead(looked, step, difference, known).await?);
    }
    Ok((leads, more))
}

async fn lead(looked: &Looked, step: usize, difference: Difference, known: &Listed) -> Fallible<Lead> {
    let inside = difference.path.strip_prefix(&project_prefix());
    let names = names_change(looked, step, &difference, known).await;
    let Difference { path, look, before, raw_before, now, raw_now, by } = difference;
    let paths: Vec<RelPath> = match (&inside, &names) {
        (None, _) => Vec::new(),
        (Some(inside), None) => vec![inside.clone()],
        (Some(inside), Some((appeared, gone))) => {
            appeared.iter().chain(gone).filter_map(|name| inside.child(name)).collect()
        }
    };
    let mut makers: Vec<usize> = paths.iter().flat_map(|path| looked.makers(path, step)).collect();
    makers.sort_unstable();
    makers.dedup();
    let is_gone = now == Some(Seen::Absent) || names.as_ref().is_some_and(|(_, gone)| !gone.is_empty());
    let is_nowhere = |path: &&RelPath| makers.is_empty() && looked.prepared.snapshot.get(path).is_none();
    let former = match paths.iter().rfind(is_nowhere) {
        Some(path) => looked.former_maker(path)?,
        None => None,
    };
    let former = former.map(|id| (id, if is_gone { Went::WithIt } else { Went::Later }));
    let maker = match &makers[..] {
        [maker] => Some(looked.id(*maker)),
        _ => former.as_ref().map(|(id, _)| id.clone()),
    };
    let origin = match (&inside, &maker) {
        (None, _) => Origin::Tool,
        (Some(_), None) if makers.is_empty() => Origin::Source,
        (Some(_), _) => Origin::Output,
    };
    let projections = match (by.is_empty(), raw_now.or(raw_before)) {
        (true, Some(_)) => node::projections(&looked.project(step), &path),
        _ => by,
    };
    let texts = |names: Vec<Vec<u8>>| names.iter().map(|name| protocol::path::escape(name)).collect();
    let change = Change {
        look: look.word().to_owned(),
        words: match &now {
            Some(now) => reason::of_change(&path, look, &before, now),
            None => format!("{} has to be made first", reason::shown(&path)),
        },
        before: Sight::new(&before, raw_before),
        now: now.map(|now| Sight::new(&now, raw_now)),
        origin,
        by: maker,
        projections,
        names: names.map(|(appeared, gone)| NamesChange { appeared: texts(appeared), gone: texts(gone) }),
        path,
    };
    Ok(Lead { change, paths, makers, former })
}

/// The names that came and went in a folder of the project, if it was a listing that changed and they can be found out.
async fn names_change(
    looked: &Looked,
    step: usize,
    difference: &Difference,
    known: &Listed,
) -> Option<CameAndWent> {
    let (Seen::Names(before), Some(Seen::Names(after))) = (&difference.before, &difference.now) else {
        return None;
    };
    let inside = difference.path.strip_prefix(&project_prefix())?;
    let now = looked.project(step).list(&inside).await.ok()??;
    let now: Listing = now.iter().map(|(name, kind)| (name.to_vec(), *kind)).collect();
    let in_it = |(path, kind): &(RelPath, FileKind)| {
        (path.parent().as_ref() == Some(&difference.path)).then(|| Some((path.name()?.to_vec(), *kind)))?
    };
    let mut candidates: Listing = known.iter().filter_map(in_it).collect();
    candidates.extend(looked.former_names(&inside));
    names::between(before, after, &now, &candidates)
}
