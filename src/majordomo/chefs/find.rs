//! Who may be asked: the built-in chefs, those that are registered, and those in a folder of the project.

use std::collections::VecDeque;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use larder::Larder;
use protocol::step::PATH;
use protocol::{Glob, RelPath};

use super::program::{Program, ProgramError, built_in, host_file, of_content, taken_in};
use super::registry::{Registered, Registry};
use crate::majordomo::build::Stop;
use crate::majordomo::request::{Failure, FailureKind};
use crate::majordomo::snapshot::{Entry, HostFile, Snapshot};

/// All chefs that a project can have.
pub(super) struct Finder {
    /// Where their files go.
    pub larder: Larder,
    /// Which are registered.
    pub registry: Registry,
    /// The project's folder.
    pub project: PathBuf,
    /// Folders of programs beyond the usual ones.
    pub programs: Vec<PathBuf>,
}

impl Finder {
    /// The names of all that could know a project, by name: nothing that one of them recognises is there, and it is left out.
    pub fn candidates(&self, snapshot: &Snapshot) -> Vec<String> {
        let built_in = chef_builtin::ALL.iter().map(|chef| chef.name);
        let built_in = built_in.filter(|name| self.registry.is_enabled(name));
        let is_asked = |chef: &&Registered| {
            self.registry.is_asked(chef) && is_recognised(&chef.about.patterns(), snapshot)
        };
        let registered = self.registry.chefs.iter().filter(is_asked).map(|chef| chef.about.name.as_str());
        let mut names: Vec<String> = built_in.chain(registered).map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The chef of a name, or, if there is a `/` in it, in the folder or file that it says, as seen from the project.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn program(&self, said: &str) -> Result<Program, ProgramError> {
        if said.contains('/') {
            let (about, tree, files) = taken_in(&self.larder, &self.project.join(said))?;
            self.check_tools(&about.tools)?;
            return Ok(Program { said: said.to_owned(), ..of_content(&about, &tree, files) });
        }
        if !self.registry.is_enabled(said) {
            return Err(ProgramError::Disabled(said.to_owned()));
        }
        if let Some(chef) = self.registry.find(said) {
            self.check_tools(&chef.about.tools)?;
            let program = of_content(&chef.about, &chef.files(&self.larder)?, Vec::new());
            return Ok(Program { is_lent: chef.from.is_some(), ..program });
        }
        built_in(&self.larder, said)?.ok_or_else(|| ProgramError::Unknown(self.known()))
    }

    fn check_tools(&self, tools: &[String]) -> Result<(), ProgramError> {
        match tools.iter().find(|tool| !is_there(tool, &self.programs)) {
            Some(tool) => Err(ProgramError::NoTool(tool.clone())),
            None => Ok(()),
        }
    }

    /// Where a program is looked for, and what is there now.
    ///
    /// # Errors
    /// One of these places cannot be looked at.
    pub fn places(&self, tool: &str) -> Result<Vec<HostFile>, Stop> {
        let folders = PATH.split(':').map(Path::new).chain(self.programs.iter().map(PathBuf::as_path));
        let files = folders.map(|folder| host_file(&folder.join(tool)));
        let files: Result<Vec<HostFile>, ProgramError> = files.collect();
        files.map_err(|error| Stop::Fatal(Box::new(Failure::new(FailureKind::Machine, &error))))
    }

    /// All names, in words.
    fn known(&self) -> String {
        let shown = |names: Vec<&str>| {
            names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        let built_in = shown(chef_builtin::ALL.iter().map(|chef| chef.name).collect());
        let registered: Vec<&str> = self.registry.chefs.iter().map(|chef| chef.about.name.as_str()).collect();
        match registered.is_empty() {
            true => format!("the built-in ones are {built_in}"),
            false => format!("the built-in ones are {built_in}; registered are {}", shown(registered)),
        }
    }
}

/// Whether a program is where steps look for programs.
pub(super) fn is_there(tool: &str, more: &[PathBuf]) -> bool {
    let folders = PATH.split(':').map(Path::new).chain(more.iter().map(PathBuf::as_path));
    folders.map(|folder| folder.join(tool)).any(|path| path.is_file())
}

/// The most entries of a folder that are looked at for whether a registered chef may know it.
const MAX_LOOKED_AT: usize = 10_000;

/// Whether a chef that is registered in a home may know a folder: it recognises something in it. One that is asked of everything says
/// nothing of this one.
pub fn may_know(home: &Path, folder: &Path) -> bool {
    let Ok(registry) = Registry::load(home) else { return false };
    let enabled = registry.chefs.iter().filter(|chef| registry.is_enabled(&chef.about.name));
    let patterns: Vec<Glob> = enabled.flat_map(|chef| chef.about.patterns()).collect();
    !patterns.is_empty() && has_match(folder, &patterns)
}

/// Whether one of the patterns matches a file in a folder or not far below.
fn has_match(folder: &Path, patterns: &[Glob]) -> bool {
    let mut todo = VecDeque::from([(folder.to_owned(), RelPath::root())]);
    let mut left = MAX_LOOKED_AT;
    while let Some((place, path)) = todo.pop_front() {
        for entry in std::fs::read_dir(&place).into_iter().flatten().flatten() {
            let Some(inside) = path.child(entry.file_name().as_bytes()) else { continue };
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_folder && patterns.iter().any(|pattern| pattern.matches(inside.as_bytes())) {
                return true;
            }
            if is_folder && inside.reserved().is_none() {
                todo.push_back((entry.path(), inside));
            }
            left -= 1;
            if left == 0 {
                return false;
            }
        }
    }
    false
}

/// Whether one of the patterns matches a file of the project; no pattern: it may be anything.
fn is_recognised(patterns: &[Glob], snapshot: &Snapshot) -> bool {
    let mut is_found = patterns.is_empty();
    if !is_found {
        snapshot.walk(&RelPath::root(), |path, entry| {
            is_found |= entry != Entry::Dir && patterns.iter().any(|pattern| pattern.matches(path));
        });
    }
    is_found
}
