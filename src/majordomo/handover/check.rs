//! What has to be done to a project, found out before anything is.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{Digest, FileKind, RelPath};

use super::error::{Conflict, InTheWay};
use super::folders::Folders;
use super::{Changes, Delivery, HandOverError, Report, Site, Wanted};
use crate::majordomo::workspace::crew::{in_parallel, threads_for};
use crate::majordomo::workspace::standing::{Kind, Standing, stands, stands_in};
use crate::majordomo::workspace::{Made, Manifest, Output, Stamp};

/// A file or link to be written.
pub struct Write {
    pub path: RelPath,
    pub output: Output,
    /// What stands there and may be replaced; `None`: nothing may.
    pub replaces: Option<Stamp>,
}

impl Write {
    /// The blob with its bytes.
    pub fn digest(&self) -> Option<Digest> {
        match &self.output.made {
            Made::File { digest, .. } => Some(*digest),
            Made::Link(_) | Made::Folder => None,
        }
    }
}

/// What has to be done.
pub struct Checked {
    /// Outputs to remove first; sorted.
    pub removes: BTreeSet<RelPath>,
    /// Folders to make, each after the one that it is in.
    pub folders: Vec<(RelPath, Output)>,
    /// Files and links to write, sorted by path.
    pub writes: Vec<Write>,
    /// Changes of the manifest that need nothing done.
    pub changes: Changes,
    /// What is known already.
    pub report: Report,
    /// Folders that have to stay although nothing may be left in them.
    pub needed: BTreeSet<RelPath>,
    /// Folders that are outputs themselves and are to be made.
    wanted_folders: BTreeSet<RelPath>,
}

impl Checked {
    pub fn touches_the_project(&self) -> bool {
        !(self.removes.is_empty() && self.folders.is_empty() && self.writes.is_empty())
    }

    pub fn wants_folder(&self, path: &RelPath) -> bool {
        self.wanted_folders.contains(path)
    }

    /// What will be put where, sorted by path.
    pub fn intents(&self) -> Vec<(RelPath, Output)> {
        let writes = self.writes.iter().map(|write| (write.path.clone(), write.output.clone()));
        let mut intents: Vec<_> = writes.chain(self.folders.iter().cloned()).collect();
        intents.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        intents
    }
}

enum Verdict {
    Untouched(Option<(RelPath, Output)>),
    Own(RelPath),
    Write(Write),
    Folder(RelPath, Output),
    Conflict(Conflict),
}

/// Looks at every path that is wanted. An error if something of the user's is in the way.
pub fn check(site: &Site<'_>, manifest: &Manifest, delivery: &Delivery) -> Result<Checked, HandOverError> {
    let mut wanted = delivery.wanted.iter().map(|wanted| &wanted.path);
    if let Some((path, part)) = wanted.find_map(|path| Some((path, path.reserved()?))) {
        return Err(HandOverError::Reserved { path: path.clone(), part });
    }
    let mut removes: BTreeSet<RelPath> =
        delivery.obsolete.iter().filter(|path| manifest.get(path).is_some()).cloned().collect();
    // A file becomes a folder, or a folder a file.
    let turns = |wanted: &&Wanted| {
        manifest
            .get(&wanted.path)
            .is_some_and(|before| (before.made == Made::Folder) != (wanted.made == Made::Folder))
    };
    removes.extend(delivery.wanted.iter().filter(turns).map(|wanted| wanted.path.clone()));
    let (verdicts, failure) = in_parallel(
        &delivery.wanted,
        threads_for(delivery.wanted.len()),
        |_| site.folders(),
        |folders, wanted| look(site, folders, manifest, &removes, wanted),
    );
    if let Some(error) = failure {
        return Err(error);
    }
    let mut checked = Checked {
        removes: BTreeSet::new(),
        folders: Vec::new(),
        writes: Vec::new(),
        changes: Vec::new(),
        report: Report::default(),
        needed: BTreeSet::new(),
        wanted_folders: BTreeSet::new(),
    };
    let mut conflicts = Vec::new();
    for verdict in verdicts {
        match verdict {
            Verdict::Untouched(change) => {
                checked.report.untouched += 1;
                checked.changes.extend(change.map(|(path, output)| (path, Some(output))));
            }
            Verdict::Own(path) => checked.report.own.push(path),
            Verdict::Write(write) => checked.writes.push(write),
            Verdict::Folder(path, output) => {
                checked.wanted_folders.insert(path.clone());
                checked.folders.push((path, output));
            }
            Verdict::Conflict(conflict) => conflicts.push(conflict),
        }
    }
    if !conflicts.is_empty() {
        conflicts.sort_unstable();
        return Err(HandOverError::Conflicts(conflicts));
    }
    checked.report.own.sort_unstable();
    checked.writes.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    checked.removes = removes;
    checked.folders = missing_folders(site, manifest, &checked)?;
    let empty = delivery.wanted.iter().filter(|wanted| wanted.made == Made::Folder);
    checked.needed.extend(empty.map(|wanted| wanted.path.clone()));
    checked.needed.extend(checked.writes.iter().flat_map(|write| write.path.ancestors()));
    checked.needed.extend(checked.folders.iter().flat_map(|(path, _)| path.ancestors()));
    Ok(checked)
}

fn look(
    site: &Site<'_>,
    folders: &mut Folders<'_>,
    manifest: &Manifest,
    removes: &BTreeSet<RelPath>,
    wanted: &Wanted,
) -> Result<Verdict, HandOverError> {
    let Wanted { path, made, step } = wanted;
    let output = |stamp| Output { made: made.clone(), stamp, step: step.clone() };
    let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
        return Err(HandOverError::io("written", path, std::io::ErrorKind::InvalidInput));
    };
    let known = manifest.get(path);
    let write = |replaces| match made {
        Made::Folder => Verdict::Folder(path.clone(), output(None)),
        _ => Verdict::Write(Write { path: path.clone(), output: output(None), replaces }),
    };
    let conflict = |what| Ok(Verdict::Conflict(Conflict { path: path.clone(), what }));
    let folder = match folders.get(&parent) {
        Ok(Some(folder)) => folder,
        Ok(None) => return Ok(write(None)),
        // A file that will be gone by then.
        Err(HandOverError::NoFolder { part, .. }) if removes.contains(&part) => return Ok(write(None)),
        Err(HandOverError::NoFolder { part, .. }) => {
            return Err(HandOverError::NoFolder { path: path.clone(), part });
        }
        Err(error) => return Err(error),
    };
    match stands_in(folder, name, known).map_err(|error| HandOverError::io("read", path, error))? {
        Standing::Absent | Standing::Beyond(_) => Ok(write(None)),
        Standing::Torn(stamp) => Ok(write(Some(stamp))),
        Standing::Agrees { stamp, believed, exec_agrees } => {
            let Some(known) = known else { return Ok(write(None)) };
            if removes.contains(path) {
                return Ok(write(None));
            }
            if known.made != *made || !exec_agrees {
                return Ok(write(Some(stamp)));
            }
            let new = output(believed.then_some(stamp));
            Ok(Verdict::Untouched((*known != new).then(|| (path.clone(), new))))
        }
        // A folder that we made, and that is to be a file: if something is left in it, it stays, and says so.
        Standing::Differs(_, Kind::Known(FileKind::Dir)) if *made == Made::Folder => {
            Ok(Verdict::Untouched(None))
        }
        Standing::Differs(_, Kind::Known(FileKind::Dir)) => conflict(InTheWay::Folder),
        Standing::Differs(..) if known.is_some_and(|known| known.made != Made::Folder) => {
            conflict(InTheWay::Edited)
        }
        Standing::Differs(..) => match stands(site.workspace.root(), path, Some(&output(None))) {
            Ok(Standing::Agrees { exec_agrees: true, .. }) => Ok(Verdict::Own(path.clone())),
            Ok(_) => conflict(InTheWay::Own),
            Err(error) => Err(HandOverError::io("read", path, error)),
        },
    }
}

/// Folders to make: those that are wanted, and those above what is to be written, from the top.
fn missing_folders(
    site: &Site<'_>,
    manifest: &Manifest,
    checked: &Checked,
) -> Result<Vec<(RelPath, Output)>, HandOverError> {
    let mut missing: BTreeMap<RelPath, Output> = checked.folders.iter().cloned().collect();
    let mut there: BTreeSet<RelPath> = BTreeSet::new();
    let writes = checked.writes.iter().map(|write| (&write.path, &write.output));
    let needs: Vec<_> = writes.chain(checked.folders.iter().map(|(path, output)| (path, output))).collect();
    for (path, output) in needs {
        // From the nearest up, until one is known.
        for folder in path.ancestors() {
            if there.contains(&folder) || missing.contains_key(&folder) {
                break;
            }
            let known = manifest.get(&folder);
            match stands(site.workspace.root(), &folder, known) {
                Ok(Standing::Differs(_, Kind::Known(FileKind::Dir))) => there.insert(folder),
                Ok(Standing::Agrees { .. }) if known.is_some_and(|known| known.made == Made::Folder) => {
                    there.insert(folder)
                }
                // A file of ours goes, and a folder comes.
                Ok(Standing::Agrees { .. }) if !checked.removes.contains(&folder) => {
                    return Err(HandOverError::NoFolder { path: path.clone(), part: folder });
                }
                Ok(Standing::Absent | Standing::Beyond(_) | Standing::Agrees { .. }) => {
                    missing.insert(folder, Output { made: Made::Folder, stamp: None, ..output.clone() });
                    continue;
                }
                Ok(_) => return Err(HandOverError::NoFolder { path: path.clone(), part: folder }),
                Err(error) => return Err(HandOverError::io("read", &folder, error)),
            };
            break;
        }
    }
    Ok(missing.into_iter().collect())
}
