//! From the text of `out` and `cwd` to paths, and what a promise may not be.

use protocol::path::{BadPath, escape};
use protocol::step::Promise;
use protocol::{RelPath, StepId};

use super::error::Problem;
use super::sources::{Sources, contains, first_below};

/// The longest path, in bytes, and the longest name in one: what Linux takes.
pub(super) const MAX_PATH: usize = 4095;
pub(super) const MAX_NAME: usize = 255;

/// A path of the project: `.` parts are taken out, so that `{dir}/x` is right at the top too.
pub(super) fn project_path(key: &'static str, bytes: &[u8]) -> Result<RelPath, Problem> {
    let bad = |why| Problem::Path { key, why };
    if bytes.len() > MAX_PATH || bytes.split(|&b| b == b'/').any(|part| part.len() > MAX_NAME) {
        return Err(Problem::LongPath { key, text: escape(bytes) });
    }
    if bytes.starts_with(b"/") {
        return Err(bad(BadPath::Absolute(escape(bytes))));
    }
    let bytes = bytes.strip_suffix(b"/").unwrap_or(bytes);
    let parts: Vec<&[u8]> = bytes.split(|&b| b == b'/').filter(|part| *part != b".").collect();
    RelPath::new(&parts.join(&b'/')).map_err(|_| bad(BadPath::Part(escape(bytes))))
}

/// What `out` of a step promises.
pub(super) fn promise(step: &StepId, bytes: &[u8], sources: &dyn Sources) -> Result<Promise, Problem> {
    let path = project_path("out", bytes)?;
    if path.is_root() {
        return Err(Problem::OutIsRoot { step: step.clone() });
    }
    if let Some(part) = path.reserved() {
        return Err(Problem::OutIsReserved { step: step.clone(), path, part });
    }
    let met = if contains(sources, path.as_bytes()) {
        Some((path.clone(), "which is a source".to_owned()))
    } else if let Some(source) = first_below(sources, &path) {
        Some((source.clone(), format!("a folder with the source `{source}` in it")))
    } else {
        let above = path.ancestors().find(|folder| contains(sources, folder.as_bytes()));
        above.map(|source| (source.clone(), format!("and `{source}` is a source, not a folder")))
    };
    if let Some((source_path, how)) = met {
        return Err(Problem::OutIsSource { step: step.clone(), path, source_path, how });
    }
    Ok(if bytes.ends_with(b"/") { Promise::Tree(path) } else { Promise::File(path) })
}
