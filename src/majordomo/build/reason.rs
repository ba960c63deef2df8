//! Finds words for why a step has to run: one line, the first thing that differs from its last trace.

use node::{Evaluator, NodeError, Project};
use protocol::{Look, PathSet, RelPath, Seen, Trace};

use crate::majordomo::request::why::KeyChange;

/// Why a step runs of which nothing is known.
pub const NEVER_BUILT: &str = "it was never built here";

/// Why a step runs that always does.
pub const VOLATILE: &str = "it is volatile";

/// Why a step runs that came to no good end.
pub const FAILED: &str = "its last run failed";

/// Why a step runs that was made to be forgotten.
pub const REVOKED: &str = "its traces were revoked";

/// How a change of one observation reads.
pub fn of_change(path: &RelPath, look: Look, before: &Seen, now: &Seen) -> String {
    let path = shown(path);
    match (before, now) {
        (Seen::Absent, _) => format!("{path} appeared"),
        (_, Seen::Absent) => format!("{path} is gone"),
        (Seen::File { exec: a, size: s }, Seen::File { exec: b, size: t }) if a != b && s == t => {
            let may = if *b { "may now be executed" } else { "may no longer be executed" };
            format!("{path} {may}")
        }
        (Seen::Content { exec: a, digest: d }, Seen::Content { exec: b, digest: e }) if a != b && d == e => {
            let may = if *b { "may now be executed" } else { "may no longer be executed" };
            format!("{path} {may}")
        }
        (_, Seen::Kind(kind)) if !matches!(before, Seen::Kind(_)) => {
            format!("{path} is a {} now", kind.word())
        }
        _ => match look {
            Look::Listing => format!("names in {path} changed"),
            Look::Link => format!("the link {path} points elsewhere"),
            Look::Kind | Look::Probe | Look::Content => format!("{path} changed"),
        },
    }
}

/// A path of the step's root as the user knows it: relative for the project, absolute for tools.
pub fn shown(path: &RelPath) -> String {
    match path.as_bytes().strip_prefix(b"project/") {
        Some(inside) => protocol::path::escape(inside),
        None if path.as_bytes() == b"project" => "the project's folder".to_owned(),
        None => format!("/{path}"),
    }
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The first thing that differs.
    First,
    /// Also how many things differ.
    Counted,
}

/// How a change of a step's key reads.
pub fn of_key(changes: &[KeyChange]) -> String {
    let one = |change: &KeyChange| match (&change.before, &change.now) {
        (None, _) => format!("{} is new", change.what),
        (_, None) => format!("{} is gone", change.what),
        (Some(_), Some(_)) => format!("{} changed", change.what),
    };
    match changes {
        [] => "its command, environment or promises changed".to_owned(),
        [change] => one(change),
        [change, rest @ ..] => format!("{}, and {} more of its key", one(change), rest.len()),
    }
}

/// Why the last trace does not answer any more; `key`: what changed of its key, if that did.
pub async fn of_last(
    (evaluator, project): (&Evaluator, &Project),
    weak: &protocol::Digest,
    last: Option<(&Trace, &PathSet)>,
    key: impl FnOnce() -> Vec<KeyChange>,
    detail: Detail,
) -> Result<String, NodeError> {
    let Some((trace, set)) = last else { return Ok(NEVER_BUILT.to_owned()) };
    if trace.weak != *weak {
        return Ok(of_key(&key()));
    }
    let found = match evaluator.differences(trace, set, project, 1).await {
        // Words are no reason to make anything.
        Err(NodeError::Source(view::SourceError::NotYet { path })) => {
            return Ok(format!("{path} has to be made first"));
        }
        found => found?,
    };
    Ok(match found.first() {
        Some((path, look, before, now)) if detail == Detail::Counted => {
            let words = of_change(path, *look, before, now);
            let differ = evaluator.compare(trace, set, project).await?.len();
            format!("{words} ({differ} of {} observations differ)", set.looks().len())
        }
        Some((path, look, before, now)) => of_change(path, *look, before, now),
        None => "what it made is no longer in the larder".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Digest, FileKind};

    #[test]
    fn words() {
        let header: RelPath = "usr/include/stdio.h".parse().unwrap();
        let source: RelPath = "project/src/a.c".parse().unwrap();
        let content = |text: &str, exec| Seen::Content { digest: Digest::of(text.as_bytes()), exec };
        let cases = [
            of_change(&source, Look::Content, &content("a", false), &content("b", false)),
            of_change(&source, Look::Content, &content("a", false), &content("a", true)),
            of_change(&header, Look::Probe, &Seen::Absent, &Seen::File { size: 1, exec: false }),
            of_change(&header, Look::Content, &content("a", false), &Seen::Absent),
            of_change(&source, Look::Content, &content("a", false), &Seen::Kind(FileKind::Dir)),
            of_change(
                &"project".parse().unwrap(),
                Look::Listing,
                &Seen::Names(Digest::of(b"1")),
                &Seen::Names(Digest::of(b"2")),
            ),
        ];
        insta::assert_snapshot!(cases.join("\n"), @r"
        src/a.c changed
        src/a.c may now be executed
        /usr/include/stdio.h appeared
        /usr/include/stdio.h is gone
        src/a.c is a folder now
        names in the project's folder changed
        ");
    }
}
