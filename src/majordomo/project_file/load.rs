//! From the disk to text: bounded, a real file, UTF-8.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::{ProjectFileError, Wrong};
use super::{PROJECT_FILE, ProjectFile, Text, read};

/// The largest project file that is read, in bytes.
pub const MAX_FILE_SIZE: u64 = 4 << 20;

impl ProjectFile {
    /// Reads the project file in a project's folder.
    pub fn load(folder: &Path) -> Result<Self, ProjectFileError> {
        let file = folder.join(PROJECT_FILE);
        let bytes = read_bounded(folder, &file)?;
        let name = folder.canonicalize().ok().and_then(|path| name_of(&path));
        Self::parse_named(&file, &bytes, name)
    }

    /// Reads a project file's bytes; `file` is where they come from, for messages and for the name of the project.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self, ProjectFileError> {
        Self::parse_named(file, bytes, file.parent().and_then(name_of))
    }

    /// Reads the text of a plan that no file holds; `said_by` is who made it, for messages. How long it may be is for the caller.
    pub fn parse_said(said_by: &str, name: &str, text: &str) -> Result<Self, ProjectFileError> {
        read::project_file(Text::said(said_by, text), name.to_owned()).map_err(ProjectFileError::from)
    }

    fn parse_named(file: &Path, bytes: &[u8], name: Option<String>) -> Result<Self, ProjectFileError> {
        if bytes.len() as u64 > MAX_FILE_SIZE {
            return Err(ProjectFileError::TooBig { file: file.to_owned() });
        }
        let text = text(file, bytes)?;
        read::project_file(text, name.unwrap_or_else(|| "project".to_owned())).map_err(ProjectFileError::from)
    }
}

fn name_of(folder: &Path) -> Option<String> {
    folder.file_name().map(|name| name.to_string_lossy().into_owned())
}

fn read_bounded(folder: &Path, file: &Path) -> Result<Vec<u8>, ProjectFileError> {
    let unreadable = |source| ProjectFileError::Unreadable { file: file.to_owned(), source };
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            let folder = folder.to_owned();
            // A link that leads nowhere is there, and yet not found.
            return Err(match (folder.is_dir(), file.is_symlink()) {
                (false, _) => ProjectFileError::NoFolder { folder },
                (true, true) => unreadable(error),
                (true, false) => ProjectFileError::Missing { folder },
            });
        }
        Err(error) => return Err(unreadable(error)),
    };
    // Opening a FIFO would wait for a writer.
    if !metadata.is_file() {
        let kind = if metadata.is_dir() { "a folder" } else { "a special file" };
        return Err(ProjectFileError::NotAFile { file: file.to_owned(), kind });
    }
    let mut bytes = Vec::new();
    let mut reader = File::open(file).map_err(unreadable)?.take(MAX_FILE_SIZE + 1);
    reader.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Checks the encoding; a byte-order mark of UTF-8 is taken off, as editors write it unasked.
fn text(file: &Path, bytes: &[u8]) -> Result<Text, ProjectFileError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(Text::new(file, text)),
        Err(error) => error,
    };
    let at = error.valid_up_to();
    let wrong = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Wrong::Utf16,
        _ => Wrong::NotUtf8 { byte: bytes.get(at).copied().unwrap_or_default() },
    };
    Err(Text::new(file, String::from_utf8_lossy(bytes)).locate(at..at + 1, wrong).into())
}
