//! A project with a `build.ninja`, and what CMake and Meson have in common: each edge is a step.
//!
//! What an edge declares to make is declared; what it declares to need orders the steps, and no more: what a step reads is
//! seen. So header files need no depfiles, `restat` is how everything works, and an edge that ninja would always run again
//! runs when something that it looked at has changed. Links: [`chef_ninja`] reads the files, and says what of ninja is not
//! needed here.

mod steps;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use chef_ninja::{BuildPath, Command, Edge, Folder, Layout, Limits, Manifest};
use protocol::RelPath;
use protocol::chef::{Detected, Planned, Replan};
use serde_json::{Value, json};

use crate::{CONFIGURE, ChefError, is_file};

/// How sure a `build.ninja` makes it: less than what may have written it, more than a Makefile.
pub const SURE: u8 = 55;

/// The file.
const FILE: &str = "build.ninja";

/// What is special about the ninja files of some program.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// An edge that is no step: nobody needs it whose build is made of steps.
    pub is_left_out: fn(&Edge, &Command) -> bool,
    /// Its outputs are names for it: it makes none of them.
    pub makes_nothing: fn(&Edge, &Command) -> bool,
    /// Its outputs are links to what it needs.
    pub is_link: fn(&Edge, &Command) -> bool,
    /// What all steps have in their environment.
    pub env: &'static [(&'static str, &'static str)],
}

/// Whether it is one. What is in the file is read with the plan: a broken one is a mistake, and no reason to take the
/// project for another kind.
///
/// # Errors
/// None; as all chefs.
pub fn detect(folder: &Path) -> Result<Detected, ChefError> {
    if !is_file(&folder.join(FILE)) {
        return Ok(Detected::default());
    }
    Ok(Detected { sure: SURE, found: format!("a `{FILE}`"), plan: None })
}

/// The steps of a project's own file. What writes that file itself runs before all others, and the rest of the plan follows from what it has left.
///
/// # Errors
/// It cannot be read, or is none.
pub fn plan(folder: &Path) -> Result<Planned, ChefError> {
    let manifest = read(folder, &RelPath::root())?;
    let rewrites = |edge: &&Edge| is_rewriting(&manifest, edge);
    let mut run = Vec::new();
    for edge in manifest.edges().iter().filter(rewrites) {
        let Some(command) = edge.command() else { continue };
        let text = String::from_utf8(command.text.clone());
        let text = text.map_err(|_| ChefError::NoText { place: edge.place.clone() })?;
        run.push(json!(["/bin/sh", "-c", text]));
    }
    if run.is_empty() {
        return steps_of(folder, &manifest);
    }
    let step = json!({ "run": run, "alters": true, "verbatim": true });
    let again = Replan { after: FILE.to_owned(), ask: Value::Null };
    Ok(Planned { replan: vec![again], ..crate::plan([(FILE.to_owned(), step)], &[]) })
}

/// The steps of the file that its own rules have written.
///
/// # Errors
/// It cannot be read, or is none.
pub fn replan(folder: &Path, _: &Value) -> Result<Planned, ChefError> {
    steps_of(folder, &read(folder, &RelPath::root())?)
}

/// Whether an edge makes what was read.
fn is_rewriting(manifest: &Manifest, edge: &Edge) -> bool {
    let is_read = |path: &[u8]| manifest.files().iter().any(|file| file == path);
    edge.outputs.all().any(|path| is_read(path.as_bytes()))
}

fn steps_of(folder: &Path, manifest: &Manifest) -> Result<Planned, ChefError> {
    missing(folder, manifest)?;
    let is_left_out = |edge: &Edge, _: &Command| is_rewriting(manifest, edge);
    steps::planned(manifest, &layout(RelPath::root())?, None, &is_left_out, &OWN)
}

/// A source that what is wanted needs, and that is not there: ninja refuses it before it runs anything.
fn missing(folder: &Path, manifest: &Manifest) -> Result<(), ChefError> {
    let edges = manifest.edges();
    if edges.iter().filter_map(Edge::command).any(|command| command.dyndep.is_some()) {
        // What some edges make is not known yet.
        return Ok(());
    }
    let mut todo: Vec<usize> = manifest.wanted().iter().filter_map(|path| manifest.producer(path)).collect();
    let mut seen = BTreeSet::new();
    while let Some(edge) = todo.pop() {
        if !seen.insert(edge) {
            continue;
        }
        for path in edges[edge].inputs.all() {
            match manifest.producer(path) {
                Some(other) => todo.push(other),
                None if folder.join(OsStr::from_bytes(path.as_bytes())).exists() => {}
                None => {
                    let (place, path) = (edges[edge].place.clone(), path.clone());
                    return Err(ChefError::NoSource { place, path });
                }
            }
        }
    }
    Ok(())
}

/// Nothing is special about a file that somebody wrote.
const OWN: Kind =
    Kind { is_left_out: |_, _| false, makes_nothing: |_, _| false, is_link: |_, _| false, env: &[] };

/// The steps of a file that `configure` wrote, into the folder that is said.
///
/// # Errors
/// It cannot be read, or is none.
pub fn configured(folder: &Path, ask: &Value, kind: &Kind) -> Result<Planned, ChefError> {
    let build = ask["folder"].as_str().and_then(|build| build.parse::<RelPath>().ok());
    let build = build.ok_or(ChefError::Again)?;
    let manifest = read(folder, &build)?;
    let on_disk = folder.join(build.as_path());
    steps::planned(&manifest, &layout(build)?, Some((CONFIGURE, &on_disk)), &kind.is_left_out, kind)
}

fn read(folder: &Path, build: &RelPath) -> Result<Manifest, ChefError> {
    let folder: PathBuf = folder.join(build.as_path());
    Ok(chef_ninja::read(FILE.as_bytes(), &mut Folder::new(&folder), &Limits::default())?)
}

fn layout(build: RelPath) -> Result<Layout, ChefError> {
    let project = format!("/{}", protocol::step::PROJECT);
    Ok(Layout { build, project: BuildPath::new(project.as_bytes()).ok_or(ChefError::Again)? })
}
