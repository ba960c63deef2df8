//! What is there instead of what a pattern was looking for. Runs only when something is wrong, so it may take its time.

use std::collections::BTreeMap;

use protocol::path::escape;
use protocol::{Glob, RelPath};

use crate::majordomo::project_file::nearest::nearest;

use super::outputs::Outputs;
use super::sources::Sources;

/// How many kinds of files are named.
const SHOWN_KINDS: usize = 5;

/// Hints for a pattern that matches nothing.
pub(super) fn no_match(glob: &Glob, sources: &dyn Sources, outputs: &Outputs) -> Vec<String> {
    let names: Vec<&RelPath> = (0..sources.count())
        .map(|index| sources.name(index))
        .chain(outputs.all().iter().map(|o| o.path()))
        .collect();
    let text = glob.as_str();
    let (folder, last) = text.rsplit_once('/').unwrap_or((".", text));
    if let Some(name) = differs_in_case(glob, &names) {
        return vec![format!("case counts: there is `{name}`")];
    }
    if is_plain(text) {
        let path = text.trim_start_matches("./");
        if names.iter().any(|name| RelPath::new(path.as_bytes()).is_ok_and(|folder| name.is_within(&folder)))
        {
            return vec![format!("`{path}` is a folder: write `{path}/` for all that is in it")];
        }
        let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
        if let Some(near) = nearest(path, texts.iter().map(String::as_str)) {
            return vec![format!("did you mean `{near}`?")];
        }
    }
    if folder != "." && is_plain(folder) && !names.iter().any(|name| in_folder(name, folder)) {
        return vec![no_folder(folder, &names)];
    }
    let mut hints = Vec::new();
    let deeper = if folder == "." { format!("**/{last}") } else { format!("{folder}/**/{last}") };
    if !last.is_empty()
        && let Ok(deeper) = Glob::new(&deeper)
    {
        match names.iter().filter(|name| deeper.matches(name.as_bytes())).count() {
            0 => {}
            count => hints.push(format!("`{deeper}` would match {count}, as `**` looks in all folders")),
        }
    }
    let place = if folder == "." { "the project".to_owned() } else { format!("`{folder}/`") };
    match kinds(folder, &names) {
        kinds if !kinds.is_empty() => hints.push(format!("{place} has {kinds}")),
        _ if names.iter().any(|name| in_folder(name, folder)) => {
            hints.push(format!(
                "{place} has no visible files directly in it; a leading dot must be written: `.*`"
            ));
        }
        _ => hints.push(format!("{place} has no files")),
    }
    hints
}

fn is_plain(text: &str) -> bool {
    !text.contains(['*', '?', '[', '{', '\\'])
}

/// Whether a name stands directly or deeper in a folder, `.` being the project's.
fn in_folder(name: &RelPath, folder: &str) -> bool {
    let folder = folder.trim_start_matches("./");
    folder == "." || folder.parse().is_ok_and(|folder: RelPath| name.is_within(&folder))
}

fn differs_in_case(glob: &Glob, names: &[&RelPath]) -> Option<RelPath> {
    let lower = Glob::new(&glob.as_str().to_lowercase()).ok()?;
    names.iter().find(|name| lower.matches(&name.as_bytes().to_ascii_lowercase())).map(|name| (*name).clone())
}

fn no_folder(folder: &str, names: &[&RelPath]) -> String {
    let mut folders: Vec<String> = Vec::new();
    for name in names {
        for ancestor in name.ancestors() {
            let text = ancestor.to_string();
            if folders.last() == Some(&text) {
                break;
            }
            folders.push(text);
        }
    }
    folders.sort();
    folders.dedup();
    match nearest(folder, folders.iter().map(String::as_str)) {
        Some(near) => format!("there is no folder `{folder}/`; did you mean `{near}/`?"),
        // Whether it is empty or not there at all: names are known of files alone.
        None => format!("there is no file in a folder `{folder}/`"),
    }
}

/// The extensions of the visible files directly in a folder, the most frequent first.
fn kinds(folder: &str, names: &[&RelPath]) -> String {
    let folder = if is_plain(folder) { folder.parse().unwrap_or(RelPath::root()) } else { RelPath::root() };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in
        names.iter().filter_map(|name| name.strip_prefix(&folder)).filter(|rest| rest.parts().count() == 1)
    {
        let bytes = name.as_bytes();
        if bytes[0] != b'.' {
            let kind = match bytes.iter().rposition(|&b| b == b'.') {
                Some(dot) => format!("`*{}`", escape(&bytes[dot..])),
                None => "names without extension".to_owned(),
            };
            *counts.entry(kind).or_default() += 1;
        }
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown: Vec<String> =
        counts.iter().take(SHOWN_KINDS).map(|(kind, count)| format!("{count} × {kind}")).collect();
    shown.join(", ")
}
