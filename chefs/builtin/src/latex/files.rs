//! The LaTeX files of a project, read within bounds.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::source::Source;
use crate::ChefError;

/// How far below the project's folder documents are looked for.
pub const DEPTH: usize = 2;
/// So many folders are looked into.
const MAX_FOLDERS: usize = 256;
/// So much is read of a file, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// The files with the ending `.tex`, by their paths below the project; those alone whose names are UTF-8.
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
            for entry in fs::read_dir(&place).map_err(ChefError::unreadable(&place))? {
                let entry = entry.map_err(ChefError::unreadable(&place))?;
                let path = folder.join(entry.file_name());
                let kind = entry.file_type().map_err(ChefError::unreadable(&path))?;
                let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                if kind.is_dir() && !is_hidden && depth < DEPTH {
                    folders.push((path, depth + 1));
                } else if kind.is_file()
                    && path.to_str().is_some()
                    && path.extension().is_some_and(|ending| ending == "tex")
                {
                    files.0.insert(path.clone(), read(&project.join(&path))?);
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
    pub fn with_inputs(&self, document: &Path) -> Vec<&Source> {
        let folder = document.parent().unwrap_or(Path::new(""));
        let mut paths = vec![document.to_owned()];
        let mut at = 0;
        while let Some(source) = paths.get(at).map(|path| self.0.get(path)) {
            at += 1;
            for input in source.into_iter().flat_map(|source| &source.inputs) {
                let plain = lexical(&folder.join(input));
                let with_ending = PathBuf::from(format!("{}.tex", plain.display()));
                for path in [plain, with_ending] {
                    if self.0.contains_key(&path) && !paths.contains(&path) {
                        paths.push(path);
                    }
                }
            }
        }
        paths.iter().filter_map(|path| self.0.get(path)).collect()
    }
}

fn read(path: &Path) -> Result<Source, ChefError> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(ChefError::unreadable(path))?;
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(ChefError::unreadable(path))?;
    Ok(Source::read(&String::from_utf8_lossy(&bytes)))
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
