//! A project of a test, and the builds of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::built::Built;
use super::place::{Place, copy_all};
use super::running::{Ended, Running};

/// A project in a [`Place`].
pub struct Project<'p> {
    place: &'p Place,
    path: PathBuf,
}

impl<'p> Project<'p> {
    /// A folder that is there.
    pub fn new(place: &'p Place, path: PathBuf) -> Self {
        Self { place, path }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of something in it.
    pub fn at(&self, path: impl AsRef<OsStr>) -> PathBuf {
        self.path.join(Path::new(path.as_ref()))
    }

    /// What one of its programs prints.
    #[track_caller]
    pub fn says(&self, program: &str, arguments: &[&str]) -> String {
        let ended = Command::new(self.at(program)).args(arguments).env("LC_ALL", "C").output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).unwrap()
    }

    /// Writes a file, making the folders above it.
    pub fn write(&self, path: impl AsRef<OsStr>, text: impl AsRef<[u8]>) {
        let path = self.at(path);
        let mut new: Vec<&Path> = path.ancestors().skip(1).take_while(|folder| !folder.exists()).collect();
        while let Some(folder) = new.pop() {
            fs::create_dir(folder).unwrap();
            self.place.give(folder);
        }
        fs::write(&path, text).unwrap();
        self.place.give(&path);
    }

    /// Appends to a file.
    pub fn append(&self, path: &str, text: &str) {
        let before = self.read(path);
        self.write(path, before + text);
    }

    /// Replaces a text that must be in a file.
    #[track_caller]
    pub fn replace(&self, path: &str, from: &str, to: &str) {
        let before = self.read(path);
        assert!(before.contains(from), "no `{from}` in {before}");
        self.write(path, before.replace(from, to));
    }

    /// Reads a file.
    #[track_caller]
    pub fn read(&self, path: impl AsRef<OsStr>) -> String {
        let path = self.at(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Whether something stands at a path.
    pub fn has(&self, path: impl AsRef<OsStr>) -> bool {
        fs::symlink_metadata(self.at(path)).is_ok()
    }

    /// Removes a file or a folder with all that is in it.
    pub fn remove(&self, path: impl AsRef<OsStr>) {
        let path = self.at(path);
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    /// Sets the permissions of something.
    pub fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// All files below a folder, as text, sorted; `.majordomo` left out.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let mut files = Vec::new();
        list(&self.at(folder), &mut files);
        let short = |file: &PathBuf| file.strip_prefix(&self.path).unwrap().to_string_lossy().into_owned();
        let mut files: Vec<_> = files.iter().map(short).collect();
        files.sort();
        files
    }

    /// All files below it with their bytes; `.majordomo` left out.
    pub fn bytes(&self) -> BTreeMap<String, Vec<u8>> {
        let all = self.files("");
        all.into_iter().map(|file| (file.clone(), fs::read(self.at(&file)).unwrap())).collect()
    }

    /// A copy of the sources beside it, under another name.
    pub fn checkout(&self, name: &str) -> Project<'p> {
        let path = self.path.with_file_name(name);
        copy_all(&self.path, &path);
        self.place.give(&path);
        Project { place: self.place, path }
    }

    /// Starts a build.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.place.command("majordomo", &["build", "--events", "-"]);
        command.arg("-p").arg(&self.path).args(arguments);
        Running::start(command)
    }

    /// Builds.
    #[track_caller]
    pub fn build(&self, arguments: &[&str]) -> Built {
        self.start(arguments).built()
    }

    /// Builds with success, and asserts which steps ran.
    #[track_caller]
    pub fn builds(&self, ran: &[&str]) -> Built {
        let built = self.build(&[]).ok();
        assert_eq!(built.ran(), ran, "{}", built.said());
        built
    }

    /// Runs a `majordomo` command about it: `status`, or `why` with its argument …
    #[track_caller]
    pub fn ask(&self, command: &str, arguments: &[&str]) -> Ended {
        let mut ask = self.place.command("majordomo", &[command, "-p"]);
        ask.arg(&self.path).args(arguments);
        Running::start(ask).end()
    }
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != ".majordomo" {
                list(&entry.path(), files);
            }
        } else {
            files.push(entry.path());
        }
    }
}
