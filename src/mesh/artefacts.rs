//! What is asked about artefacts: who owns what, and what is given and pulled.
//!
//! A person names an artefact by a path on this machine, or as `WORKSPACE:PATH`, where the workspace is its id or its project's name; `WORKSPACE:` alone
//! is its sources.

use std::path::Path;

use backplane::owners::{GiveError, OwnerKey};
use protocol::mesh::{ArtefactScope, Ownership};
use protocol::{Digest, PodId, RelPath, WorkspaceId};

use super::Joined;
use super::copies::Pulled;
use crate::majordomo::border::{machine, mistake};
use crate::majordomo::request::{
    ArtefactName, ArtefactReport, ArtefactsReport, Failure, FailureKind, FileReport, Lacking, OwnerReport,
    PulledReport, RefreshedReport,
};
use crate::majordomo::workspace::Workspace;

/// What a person means.
struct Meant {
    workspace: WorkspaceId,
    path: RelPath,
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(FailureKind::Machine, error)
}

/// The project's name in a record's label.
fn project(label: &str) -> &str {
    label.split_once(": ").map_or(label, |(project, _)| project)
}

impl Joined {
    /// All records.
    fn records(&self) -> Result<Vec<(OwnerKey, Ownership)>, Failure> {
        let entries = self.mesh.ledger().all(protocol::mesh::subject::OWNERS);
        let entries = entries.map_err(|error| failed(&error))?;
        let record = |entry: &backplane::ledger::Entry| {
            Some((OwnerKey::of_subject(&entry.subject)?, backplane::owners::ownership(entry)?))
        };
        Ok(entries.iter().filter_map(record).filter(|(_, record)| record.owner.is_some()).collect())
    }

    fn report(&self, ownership: &Ownership) -> ArtefactReport {
        let list = self.mesh.members().list();
        let name = |pod: &PodId| list.get(pod).map(|member| member.name.clone()).unwrap_or_default();
        ArtefactReport {
            workspace: ownership.workspace,
            project: project(&ownership.label).to_owned(),
            path: ownership.path.clone(),
            is_sources: ownership.scope == ArtefactScope::Sources,
            label: ownership.label.clone(),
            owner: ownership.owner,
            owner_name: ownership.owner.as_ref().map(name).unwrap_or_default(),
            is_mine: ownership.owner == Some(self.pod()),
            promised_to: ownership.promised_to,
            digest: ownership.digest,
            bytes: ownership.size,
        }
    }

    /// All artefacts that somebody owns, by project and path.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn artefacts(&self) -> Result<ArtefactsReport, Failure> {
        let mut artefacts: Vec<ArtefactReport> =
            self.records()?.iter().map(|(_, record)| self.report(record)).collect();
        artefacts.sort_by(|a, b| (&a.project, a.workspace, &a.path).cmp(&(&b.project, b.workspace, &b.path)));
        let files = self.estate.owners.map().files() as u64;
        Ok(ArtefactsReport { files, artefacts })
    }

    /// What a person means by a word.
    fn meant(&self, named: &ArtefactName) -> Result<Meant, Failure> {
        let ArtefactName { word, cwd } = named;
        let on_disk = cwd.join(word);
        if let Some((workspace, path)) = word.split_once(':')
            && !on_disk.exists()
        {
            let path = path.parse().map_err(|error| mistake(format!("{error}")))?;
            return Ok(Meant { workspace: self.workspace(workspace)?, path });
        }
        let on_disk = on_disk.canonicalize().unwrap_or(on_disk);
        for folder in on_disk.ancestors() {
            let Some(workspace) = Workspace::open(folder).ok().flatten() else { continue };
            let below = on_disk.strip_prefix(folder).unwrap_or(Path::new(""));
            let path = RelPath::new(std::os::unix::ffi::OsStrExt::as_bytes(below.as_os_str()));
            let path = path.map_err(|error| mistake(format!("{error}")))?;
            return Ok(Meant { workspace: workspace.id(), path });
        }
        Err(mistake(format!("`{word}` is in no project that was built"))
            .hint("name a path in one, or `PROJECT:PATH`; `pod artefacts` lists them"))
    }

    fn workspace(&self, name: &str) -> Result<WorkspaceId, Failure> {
        if let Ok(id) = name.parse::<WorkspaceId>() {
            return Ok(id);
        }
        let records = self.records()?;
        let mut fits: Vec<WorkspaceId> = records
            .iter()
            .filter(|(_, record)| project(&record.label) == name)
            .map(|(_, record)| record.workspace)
            .collect();
        fits.sort_unstable();
        fits.dedup();
        match fits[..] {
            [one] => Ok(one),
            [] => Err(mistake(format!("no project of the federation is called `{name}`"))
                .hint("`pod artefacts` lists them")),
            _ => Err(mistake(format!("{} workspaces are called `{name}`", fits.len()))
                .hint("say the workspace's id, as `pod artefacts --json` shows it")),
        }
    }

    /// The record that covers what a person means, and the file, if it is one.
    fn covering(&self, named: &ArtefactName) -> Result<(OwnerKey, Ownership, Option<FileReport>), Failure> {
        let Meant { workspace, path } = self.meant(named)?;
        let map = self.estate.owners.map();
        let file = map.artefact(workspace, &path);
        let key = file.map_or_else(|| OwnerKey::new(workspace, &path), |file| file.record);
        let record = self.estate.record(key).map_err(|error| failed(&error))?;
        let record = record.map(|(record, _)| record).filter(|record| record.owner.is_some());
        let record = record.ok_or_else(|| {
            mistake(format!("nobody owns `{}`", named.word)).hint(
                "what a build has made, and the sources that it read, belong to the pod that built; `pod artefacts` lists them",
            )
        })?;
        let file = file.map(|file| {
            let mut holders = map.holders(&file.digest);
            holders.retain(|pod| self.mesh.members().is_member(pod));
            FileReport {
                path,
                digest: file.digest,
                bytes: file.size,
                exec: file.exec,
                holder_names: holders.iter().map(|pod| self.name_of(pod)).collect(),
                holders,
            }
        });
        Ok((key, record, file))
    }

    /// Who owns what a person means.
    ///
    /// # Errors
    /// Nobody, or there is no such thing.
    pub fn owner(&self, named: &ArtefactName) -> Result<OwnerReport, Failure> {
        let (_, record, file) = self.covering(named)?;
        Ok(OwnerReport { artefact: self.report(&record), file })
    }

    /// Hands what a person means over to another pod, with all that its record covers; or has it pull a copy, and the owner stays.
    ///
    /// # Errors
    /// This pod does not own it, or the other did not take it, or did not get it.
    pub async fn give(&self, named: &ArtefactName, to: &str, is_copy: bool) -> Result<OwnerReport, Failure> {
        let to = self.named(to)?;
        self.estate.claims_are_made().await;
        let (key, record, _) = self.covering(named)?;
        if is_copy {
            if to == self.pod() {
                self.pull(named).await?;
            } else if record.owner != Some(to) {
                let copied = self.estate.copy_to(key, to).await;
                copied.map_err(|why| {
                    machine(format!("`{}` did not come to `{}`: {why}", named.word, self.name_of(&to)))
                        .hint("`pod pods` shows who is connected")
                })?;
            }
            return self.owner(named);
        }
        if to != self.pod() || record.owner != Some(to) {
            self.estate.owners.give(key, to).await.map_err(|error| self.not_given(&error))?;
        }
        self.owner(named)
    }

    fn not_given(&self, error: &GiveError) -> Failure {
        match error {
            GiveError::NotOurs(Some(owner)) => {
                let name = self.name_of(owner);
                mistake("this pod does not own it").hint(format!("`{name}` does: it can be given away there"))
            }
            GiveError::NotOurs(None) => mistake("nobody owns it any more"),
            GiveError::Promised(_) => Failure::new(FailureKind::User, error)
                .hint("it is taken back by itself when the other pod does not come"),
            GiveError::NotTaken(_) => {
                failed(error).hint("`pod pods` shows who is there; `pod give` can be said again")
            }
            error => failed(error),
        }
    }

    /// Brings what a person means into this pod's larder, verified: a file, or all that a record covers.
    ///
    /// # Errors
    /// Nobody who can be reached has it.
    pub async fn pull(&self, named: &ArtefactName) -> Result<PulledReport, Failure> {
        self.estate.claims_are_made().await;
        let (_, record, _) = self.covering(named)?;
        self.pull_record(&record).await.map_err(|why| {
            machine(format!("`{}` did not come: {why}", named.word)).hint("`pod pods` shows who is connected")
        })
    }

    /// Brings all that was pulled before to what it officially is now; what is gone, or this pod's own by now, is left alone.
    ///
    /// # Errors
    /// The ledger or the larder cannot be read. What does not come is told in the report.
    pub async fn refresh(&self) -> Result<RefreshedReport, Failure> {
        let mut report = RefreshedReport::default();
        let mut records = self.records()?;
        records.sort_by(|(_, a), (_, b)| (a.workspace, &a.path).cmp(&(b.workspace, &b.path)));
        for (_, record) in records {
            if record.owner == Some(self.pod()) {
                continue;
            }
            match self.estate.pulled(&record).map_err(|error| failed(&error))? {
                Pulled::Never => {}
                Pulled::UpToDate => report.up_to_date += 1,
                Pulled::Stale => match self.pull_record(&record).await {
                    Ok(pulled) => report.pulled.push(pulled),
                    Err(why) => report.lacking.push(Lacking { artefact: self.report(&record), why }),
                },
            }
        }
        Ok(report)
    }

    async fn pull_record(&self, record: &Ownership) -> Result<PulledReport, String> {
        let tree = self.estate.pull(record).await?;
        let files: Vec<(u64, Digest)> = tree
            .entries()
            .iter()
            .filter_map(|(_, entry)| match entry {
                protocol::TreeEntry::File { digest, size, .. } => Some((*size, *digest)),
                _ => None,
            })
            .collect();
        let bytes = files.iter().map(|(size, _)| size).sum();
        Ok(PulledReport { artefact: self.report(record), files: files.len() as u64, bytes })
    }
}
