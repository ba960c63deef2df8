//! What people do to a project, at random; and how it reaches the disk.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::chance::Random;

use super::{Entry, FOLDERS, Files, NAMES, Op, Order, Promise, World, text};

/// What was done.
pub struct Edit {
    /// In words.
    pub said: String,
    /// Outputs that are deleted by hand.
    pub deleted: Vec<String>,
}

impl Edit {
    fn of(said: impl Into<String>) -> Self {
        Self { said: said.into(), deleted: Vec::new() }
    }
}

impl World {
    /// Does one thing.
    pub fn edit(&mut self, random: &mut Random, outputs: &Files) -> Edit {
        let files: Vec<String> = self
            .sources
            .keys()
            .filter(|path| path.starts_with('s') && !path.ends_with("anchor"))
            .cloned()
            .collect();
        match random.below(16) {
            0..=3 if !files.is_empty() => self.rewrite(random, &files),
            4 if !files.is_empty() => self.comment(random, &files),
            5 | 6 => Edit::of(format!("writes {}", self.add_source(random))),
            7 if !files.is_empty() => {
                let path = random.pick(&files);
                self.sources.remove(path);
                Edit::of(format!("removes {path}"))
            }
            8 if !files.is_empty() => {
                let from = random.pick(&files);
                let kind = from.rsplit_once('/').map_or("h", |(_, name)| &name[..1]);
                let to = format!("{}/{kind}{}", random.pick(&FOLDERS), random.below(NAMES));
                let entry = self.sources.remove(from).expect("it was just there");
                // What moves to a lower name might include itself.
                let entry = match entry {
                    Entry::File { exec, .. } if kind == "h" => {
                        let number = to.rsplit_once('h').map_or(0, |(_, number)| number.parse().unwrap_or(0));
                        Entry::File { text: text(random, number), exec }
                    }
                    other => other,
                };
                self.sources.insert(to.clone(), entry);
                Edit::of(format!("renames {from} to {to}"))
            }
            9 if !files.is_empty() => {
                let path = random.pick(&files);
                if let Some(Entry::File { exec, .. }) = self.sources.get_mut(path) {
                    *exec = !*exec;
                }
                Edit::of(format!("lets {path} be executed, or not any more"))
            }
            10 if self.steps.len() > 1 => {
                let step = self.steps.remove(random.index(self.steps.len()));
                Edit::of(format!("drops {}", step.name))
            }
            11 => Edit::of(format!("adds {}", self.add_step(random))),
            12 if !self.steps.is_empty() => self.reword(random),
            13 if !outputs.is_empty() => {
                let all: Vec<&String> = outputs.keys().collect();
                let deleted = (0..=random.below(5)).map(|_| (*random.pick(&all)).clone()).collect();
                Edit { said: format!("deletes the outputs {deleted:?}"), deleted }
            }
            14 => {
                let deleted = outputs.keys().cloned().collect();
                Edit { said: "deletes all outputs".to_owned(), deleted }
            }
            _ => Edit::of("only touches"),
        }
    }

    fn rewrite(&mut self, random: &mut Random, files: &[String]) -> Edit {
        let path = random.pick(files);
        let name = path.rsplit_once('/').map_or("", |(_, name)| name);
        let number = name[1..].parse().unwrap_or(0);
        match self.sources.get_mut(path) {
            Some(Entry::Link(target)) => *target = format!("h{}", random.below(NAMES)),
            Some(Entry::File { text: words, .. }) if name.starts_with('w') => {
                *words = (0..random.below(5)).map(|_| format!("w{}\n", random.below(8))).collect();
            }
            Some(Entry::File { text: old, .. }) => *old = text(random, number),
            None => {}
        }
        Edit::of(format!("edits {path}"))
    }

    fn comment(&mut self, random: &mut Random, files: &[String]) -> Edit {
        let path = random.pick(files);
        if let Some(Entry::File { text, .. }) = self.sources.get_mut(path)
            && path.contains("/h")
        {
            text.push_str(&format!("# comment {}\n", random.below(1000)));
        }
        Edit::of(format!("adds a comment to {path}"))
    }

    fn reword(&mut self, random: &mut Random) -> Edit {
        let at = random.index(self.steps.len());
        let layer = self.steps[at].layer;
        let op = self.op(random, layer);
        let step = &mut self.steps[at];
        let said = match random.below(4) {
            0 => {
                step.ops.push(op);
                "does one thing more"
            }
            1 if !step.ops.is_empty() => {
                step.ops.remove(0);
                "does one thing less"
            }
            2 => {
                step.extra = match step.extra.take() {
                    Some(_) => None,
                    None => Some(format!("u{layer}/e{}", &step.name[4..])),
                };
                "makes another thing, or not any more"
            }
            _ => {
                step.salt = random.below(3);
                "has another command"
            }
        };
        Edit::of(format!("{} {said}", step.name))
    }

    /// Whether two steps would promise one path; an edit never makes it so.
    pub fn is_sound(&self) -> bool {
        let mut promised: Vec<_> = self
            .steps
            .iter()
            .map(|step| match &step.promise {
                Promise::File(path) => path,
                Promise::Tree { folder, .. } => folder,
            })
            .collect();
        promised.sort();
        promised.windows(2).all(|pair| pair[0] != pair[1])
            && self
                .steps
                .iter()
                .all(|step| step.ops.iter().all(|op| !matches!(op, Op::Include(_, s) if s.is_empty())))
    }

    /// Brings a folder from what it was to what it is now, in one of the ways in which files are written.
    pub fn write(&self, folder: &Path, before: &Files, order: Order, random: &mut Random) {
        for path in before.keys().filter(|path| !self.sources.contains_key(*path)) {
            fs::remove_file(folder.join(path)).expect("a source goes");
        }
        for (path, entry) in &self.sources {
            if before.get(path) != Some(entry) {
                put(&folder.join(path), entry, random);
            }
        }
        let (file, text) = (folder.join("majordomo.toml"), self.file(order));
        if fs::read_to_string(&file).ok().as_ref() != Some(&text) {
            fs::write(file, text).expect("the project file is written");
        }
    }
}

/// Writes a source: in place, or under another name first; now and then with the times that it had.
fn put(path: &Path, entry: &Entry, random: &mut Random) {
    fs::create_dir_all(path.parent().expect("it has a folder")).expect("folders are made");
    let (text, exec) = match entry {
        Entry::File { text, exec } => (text, *exec),
        Entry::Link(target) => {
            fs::remove_file(path).ok();
            return symlink(target, path).expect("a link is made");
        }
    };
    let before = fs::symlink_metadata(path).ok();
    if before.as_ref().is_some_and(fs::Metadata::is_symlink) {
        fs::remove_file(path).expect("a link goes");
    }
    let beside = path.with_extension("beside");
    let to = if random.one_in(2) { beside.as_path() } else { path };
    fs::write(to, text).expect("a source is written");
    fs::set_permissions(to, fs::Permissions::from_mode(if exec { 0o755 } else { 0o644 }))
        .expect("it has its mode");
    if let Some(before) = before
        && random.one_in(3)
    {
        let times = before.modified().expect("files have times");
        File::options()
            .write(true)
            .open(to)
            .and_then(|file| file.set_modified(times))
            .expect("times are set");
    }
    if to == beside {
        fs::rename(beside, path).expect("it gets its name");
    }
}
