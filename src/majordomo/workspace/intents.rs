//! Intents: what a hand-over is about to put into the project, written down before the first file is touched.
//!
//! A hand-over writes intents, changes files, writes the manifest, removes the intents. If it is killed between, each
//! path holds what was there before, or what was intended, or nothing – or something that the user put there since.
//! [`settle`] finds out which by comparing bytes, so a half-done hand-over is never taken for the user's edit.
//! Intents name the manifest that they change; left-over ones of an older manifest are ignored.

use std::fs;
use std::io;

use protocol::codec::Writer;
use protocol::{Digest, RelPath};

use super::form::{self, FORMAT, INTENTS};
use super::manifest::{Manifest, Output};
use super::standing::{Standing, stands};
use super::{Workspace, WorkspaceError};

/// Writes down what is about to be put where; sorted by path.
pub fn write(
    workspace: &Workspace,
    manifest: &Manifest,
    intents: &[(RelPath, Output)],
) -> Result<(), WorkspaceError> {
    let mut writer = Writer::with_format(FORMAT);
    writer.digest(&manifest.base()).bytes(&form::encode(intents));
    INTENTS.write(&workspace.intents_path(), &workspace.tmp(), &writer.finish())?;
    Ok(())
}

/// Forgets intents that were carried out, or given up.
pub fn clear(workspace: &Workspace) -> Result<(), WorkspaceError> {
    let path = workspace.intents_path();
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(WorkspaceError::io("written", &path, error))
        }
        _ => Ok(()),
    }
}

fn read(workspace: &Workspace, base: Digest) -> Result<Vec<(RelPath, Output)>, WorkspaceError> {
    let path = workspace.intents_path();
    let Some(sealed) = INTENTS.read(&path)? else { return Ok(Vec::new()) };
    let parse = || {
        let mut reader = protocol::codec::Reader::with_format(sealed.body(), FORMAT)?;
        if reader.digest()? != base {
            return Ok(Vec::new());
        }
        form::decode(reader.bytes()?)
    };
    parse().map_err(|bad| WorkspaceError::Damaged { path: path.clone(), why: bad.to_string() })
}

/// Brings the manifest up to what an interrupted hand-over did, in memory.
pub fn settle(workspace: &Workspace, manifest: &mut Manifest) -> Result<(), WorkspaceError> {
    let intents = read(workspace, manifest.base())?;
    if intents.is_empty() {
        return Ok(());
    }
    let mut changes = Vec::new();
    for (path, intent) in intents {
        let look = |output: &Output| {
            stands(workspace.root(), &path, Some(output))
                .map_err(|error| WorkspaceError::io("read", &path.under(workspace.project()), error))
        };
        let before = manifest.get(&path);
        // Not reached yet, or removed since: as before.
        if let Some(Standing::Agrees { .. } | Standing::Absent) = before.map(look).transpose()? {
            continue;
        }
        match look(&intent)? {
            Standing::Agrees { stamp, believed, .. } => {
                changes.push((path, Some(Output { stamp: believed.then_some(stamp), ..intent })));
            }
            Standing::Absent | Standing::Beyond(_) => {}
            // What was put there, and edited since; or the user's own. Both must not be overwritten.
            _ if before.is_none() => changes.push((path, Some(intent))),
            _ => {}
        }
    }
    manifest.apply(changes);
    manifest.unsaved = true;
    Ok(())
}
