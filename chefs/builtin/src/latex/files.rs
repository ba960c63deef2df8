//! The LaTeX files of a project, read within bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::source::Source;
use crate::{ChefError, entries, read};

/// How far below the project's folder documents are looked for.
pub const DEPTH: usize = 2;
/// So many folders are looked into.
const MAX_FOLDERS: usize = 256;
/// So much is read of a file, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// The endings of what is read.
const ENDINGS: [&str; 3] = ["cls", "sty", "tex"];

/// Documents, what they take in, and classes and packages of their own, by their paths below the project; those alone whose names
/// are UTF-8.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<PathBuf, Source>);

impl Files {
    /// Reads those of a project's folder and of [`DEPTH`] below it. Links and hidden folders are not followed.
    pub fn read(project: &Path) -> Result<Self, ChefError> {
        let mut files = Self::default();
        let mut folders = vec![(PathBuf::new(), 0)];
        let mut at = 0;
        while let Some((folder, depth)) = folders.get(at).cloned() {
            at += 1;
            let place = project.join(&folder);
            for entry in entries(&place)? {
                let path = folder.join(entry.file_name());
                let kind = entry.file_type().map_err(ChefError::unreadable(&path))?;
                let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                if kind.is_dir() && !is_hidden && depth < DEPTH {
                    folders.push((path, depth + 1));
                } else if kind.is_file()
                    && path.to_str().is_some()
                    && path.extension().is_some_and(|ending| ENDINGS.iter().any(|one| ending == *one))
                {
                    let text = read(&project.join(&path), MAX_FILE)?;
                    files.0.insert(path, Source::read(&text));
                }
            }
            // The order of a listing is that of its disk.
            folders[at..].sort();
            folders.truncate(MAX_FOLDERS);
        }
        Ok(files)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&Path, &Source)> {
        self.0.iter().map(|(path, source)| (path.as_path(), source))
    }

    /// A document, and all that it takes in, through any number of others, as far as it is here.
    pub fn with_inputs(&self, document: &Path) -> Vec<(PathBuf, &Source)> {
        let folder = document.parent().unwrap_or(Path::new(""));
        let mut paths = vec![document.to_owned()];
        let mut at = 0;
        while let Some(source) = paths.get(at).map(|path| self.0.get(path)) {
            at += 1;
            for (input, ending) in source.into_iter().flat_map(takes_in) {
                let plain = lexical(&folder.join(input));
                let with_ending = PathBuf::from(format!("{}.{ending}", plain.display()));
                for path in [plain, with_ending] {
                    if self.0.contains_key(&path) && !paths.contains(&path) {
                        paths.push(path);
                    }
                }
            }
        }
        paths.into_iter().filter_map(|path| self.0.get(&path).map(|source| (path, source))).collect()
    }
}

/// What a file takes in, with the ending that may be left out.
fn takes_in(source: &Source) -> impl Iterator<Item = (&str, &'static str)> {
    let classes = source.class.iter().chain(&source.loads_class).map(|name| (name.as_str(), "cls"));
    let packages = source.packages.iter().map(|(name, _)| (name.as_str(), "sty"));
    let inputs = source.inputs.iter().map(|path| (path.as_str(), "tex"));
    inputs.chain(classes).chain(packages)
}

/// What a document's engine writes for the parts that it includes: their `.aux`, without the ending.
pub fn included(document: &Path, sources: &[(PathBuf, &Source)]) -> BTreeSet<PathBuf> {
    let folder = document.parent().unwrap_or(Path::new(""));
    let all = sources.iter().flat_map(|(_, source)| &source.included);
    all.map(|path| lexical(&folder.join(path.trim_end_matches(".tex")))).collect()
}

/// What a document shows as figures, without the ending of a document's result.
pub fn figures(document: &Path, sources: &[(PathBuf, &Source)]) -> BTreeSet<PathBuf> {
    let folder = document.parent().unwrap_or(Path::new(""));
    let all = sources.iter().flat_map(|(_, source)| &source.figures);
    all.map(|path| lexical(&folder.join(path.trim_end_matches(".pdf")))).collect()
}

/// The path without `.` and `..`, as far as that goes without looking.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}
