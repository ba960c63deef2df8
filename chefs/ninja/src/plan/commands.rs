//! The commands of a step: the edge's, and what ninja itself does around it.
//!
//! ninja makes the folders of outputs and depfile, writes the response file, runs the command, and removes the response file.
//! The folders of declared outputs are there in every step; the rest are commands of the step. The edge's own command stays as
//! it is, so that it is the same text as `ninja -t commands` shows, with the shell to itself.

use std::collections::BTreeSet;

use protocol::RelPath;

use super::{Layout, MAX_WORD, PlanError};
use crate::manifest::{Command, Edge, ResponseFile};
use crate::path::BuildPath;

/// The content of a response file is handed to the shell in words of this length, since one that fits into a single word
/// would have needed no file.
const CHUNK: usize = 64 << 10;

/// How many of them one command takes: 1 MiB, half of what Linux takes as arguments with the usual stack.
const CHUNKS: usize = 16;

pub(super) fn commands(
    edge: &Edge,
    command: &Command,
    layout: &Layout,
    out: &BTreeSet<RelPath>,
) -> Result<Vec<Vec<Vec<u8>>>, PlanError> {
    if command.text.len() > MAX_WORD {
        return Err(PlanError::LongCommand { place: edge.place.clone(), bytes: command.text.len() });
    }
    let response = command.response_file.as_ref();
    let mut commands = Vec::new();
    let mut folders: Vec<&[u8]> = Vec::new();
    for path in command.depfile.iter().chain(response.map(|file| &file.path)) {
        if let Some(folder) = missing_folder(path, layout, out).filter(|folder| !folders.contains(folder)) {
            folders.push(folder);
        }
    }
    if !folders.is_empty() {
        let words: [&[u8]; 3] = [b"mkdir", b"-p", b"--"];
        commands.push(words.iter().chain(&folders).map(|word| word.to_vec()).collect());
    }
    commands.extend(response.into_iter().flat_map(write));
    commands.push(vec![b"/bin/sh".to_vec(), b"-c".to_vec(), command.text.clone()]);
    if let Some(file) = response {
        let words: [&[u8]; 4] = [b"rm", b"-f", b"--", file.path.as_bytes()];
        commands.push(words.map(<[u8]>::to_vec).to_vec());
    }
    Ok(commands)
}

/// The folder of a file, unless it is there in every run: that of the build, those of outputs and all above them.
fn missing_folder<'p>(path: &'p BuildPath, layout: &Layout, out: &BTreeSet<RelPath>) -> Option<&'p [u8]> {
    let end = path.as_bytes().iter().rposition(|&b| b == b'/').filter(|&end| end > 0)?;
    if let Some(folder) = layout.inside(path).and_then(|path| path.parent()) {
        let made = out.iter().filter_map(RelPath::parent).any(|parent| parent.is_within(&folder));
        if made || layout.build.is_within(&folder) {
            return None;
        }
    }
    Some(&path.as_bytes()[..end])
}

/// Commands that write a response file; `$0` is its path.
fn write(file: &ResponseFile) -> Vec<Vec<Vec<u8>>> {
    let chunks: Vec<&[u8]> = file.content.chunks(CHUNK).collect();
    let words = |script: &[u8], chunks: &[&[u8]]| {
        let start: [&[u8]; 4] = [b"/bin/sh", b"-c", script, file.path.as_bytes()];
        start.iter().chain(chunks).map(|word| word.to_vec()).collect::<Vec<Vec<u8>>>()
    };
    let mut batches = chunks.chunks(CHUNKS);
    let first = words(b"printf %s \"$@\" > \"$0\"", batches.next().unwrap_or_default());
    let rest = batches.map(|batch| words(b"printf %s \"$@\" >> \"$0\"", batch));
    std::iter::once(first).chain(rest).collect()
}
