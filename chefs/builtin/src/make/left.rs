//! What a make outside of any kitchen has left in a project: objects, archives and programs that its rules would make.
//!
//! All sources are equally old for a step, so make would take them for up to date, whatever was edited since. Which files they
//! are, make knows: those that are looked at are none of a project's texts, and make is asked for each whether it would make it. What
//! a project ships as it is (test data, firmware) no rule makes, and stays a source.

use std::fs::{DirEntry, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::NAMES;
use crate::{ChefError, entries, is_file};

/// How far below the project's folder is looked.
const DEPTH: usize = 4;
/// So many folders are looked into.
const MAX_FOLDERS: usize = 256;
/// Of so many files make is asked.
const MAX_ASKED: usize = 16;

/// The beginnings of ELF files and of archives.
const BEGINNINGS: [&[u8]; 2] = [b"\x7fELF", b"!<arch>"];

/// Whether such a file is there.
///
/// # Errors
/// One is; or a folder cannot be read.
pub fn check(project: &Path) -> Result<(), ChefError> {
    let mut folders = vec![(PathBuf::new(), 0)];
    let (mut at, mut asked) = (0, 0);
    while let Some((folder, depth)) = folders.get(at).cloned() {
        at += 1;
        for entry in entries(&project.join(&folder))? {
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(ChefError::unreadable(&path))?;
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if kind.is_dir() && !is_hidden && depth < DEPTH && folders.len() < MAX_FOLDERS {
                folders.push((path, depth + 1));
            } else if kind.is_file()
                && asked < MAX_ASKED
                && could_be(&path, &entry)
                && is_compiled(&project.join(&path))
            {
                asked += 1;
                if is_made(project, &path) {
                    return Err(ChefError::Left { path });
                }
            }
        }
    }
    Ok(())
}

/// Whether it is called as what compilers make; programs and libraries may have no ending, or a number, and can be executed.
fn could_be(path: &Path, entry: &DirEntry) -> bool {
    let is_program = || entry.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0);
    match path.extension().and_then(|ending| ending.to_str()) {
        None => is_program(),
        Some("o" | "a" | "so" | "lo" | "obj" | "exe") => true,
        Some(ending) => ending.bytes().all(|byte| byte.is_ascii_digit()) && is_program(),
    }
}

/// Whether a file begins as what compilers and archivers write. One that cannot be read matters to nobody.
fn is_compiled(path: &Path) -> bool {
    let mut begin = [0; 7];
    let length = File::open(path).and_then(|mut file| file.read(&mut begin)).unwrap_or(0);
    BEGINNINGS.iter().any(|magic| begin[..length].starts_with(magic))
}

/// Whether a rule makes it: that of the Makefile beside it or in a folder above it.
fn is_made(project: &Path, path: &Path) -> bool {
    let above = path.ancestors().skip(1);
    above.filter(|folder| NAMES.iter().any(|name| is_file(&project.join(folder).join(name)))).any(|folder| {
        let Ok(name) = path.strip_prefix(folder) else { return false };
        // Commands are printed and not run; of what is up to date by its times, too.
        let mut make = Command::new("make");
        make.args(["--silent", "-n", "-B", "-C"]).arg(project.join(folder)).arg("--").arg(name);
        let ended = make.stdin(Stdio::null()).stderr(Stdio::null()).output();
        ended.is_ok_and(|ended| ended.status.success() && !ended.stdout.trim_ascii().is_empty())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const OBJECT: &[u8] = b"\x7fELF, or nearly";

    #[test]
    fn what_a_rule_makes_is_left_and_what_none_makes_is_a_source() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &[u8]| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        let left = || match check(folder.path()) {
            Err(ChefError::Left { path }) => Some(path.display().to_string()),
            other => other.map(|()| None).unwrap(),
        };
        write("Makefile", b"all:\n\t$(MAKE) -C src\nprog: prog.c\n\tcc -o $@ $<\n");
        write("src/Makefile", b"tool: tool.c\n\tcc -o $@ $<\n");
        for source in ["prog.c", "src/tool.c", "lib/part.c"] {
            write(source, b"int x;\n");
        }
        // Of these no rule knows; a script is none, whatever it is called.
        write("data/firmware.o", OBJECT);
        write("prog", b"#!/bin/sh\n");
        assert_eq!(left(), None);
        for (path, by) in [("src/tool", OBJECT), ("lib/part.o", OBJECT), ("prog", b"!<arch>\n")] {
            write(path, by);
            assert_eq!(left().as_deref(), Some(path));
            fs::remove_file(folder.path().join(path)).unwrap();
        }
    }
}
