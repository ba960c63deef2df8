//! What a chef says of itself: its `chef.toml`, or the lines of that in the comments of a chef that is one file.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::Glob;
use protocol::chef::PROTOCOL;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The file that makes a folder a chef.
pub const CHEF_FILE: &str = "chef.toml";
/// The comment that begins what a chef of one file says of itself, and the one that ends it.
const BEGIN: &str = "# /// chef";
const END: &str = "# ///";
/// A chef that has not answered by then is ended; its `chef.toml` may say fewer seconds.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest name or version of a chef, in bytes.
const MAX_NAME: usize = 64;
/// The most patterns, tools or lenses that a chef may name.
const MAX_NAMES: usize = 64;

/// `chef.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Its name.
    pub name: String,
    /// Which version of it this is, for people.
    pub version: String,
    /// The version of the protocol that it speaks.
    pub protocol: u32,
    /// The program, as seen from its folder.
    #[serde(default)]
    pub program: String,
    /// Patterns over a project's files: it is asked only where one of them matches. None: it is always asked.
    #[serde(default)]
    pub recognises: Vec<String>,
    /// Programs that it starts, or that its steps do.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Its projections, by its own names for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projections: Vec<String>,
    /// Its normalisers, and the patterns of the outputs that each is for where nobody says others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub normalisers: BTreeMap<String, Vec<String>>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Keys of every step that it plans, where the plan does not say them.
    #[serde(default)]
    pub defaults: Map<String, Value>,
}

/// Why something is not what a chef says of itself.
#[derive(Debug, thiserror::Error)]
pub enum BadAbout {
    /// No TOML, or not in this form.
    #[error("its `{CHEF_FILE}` is none")]
    Form(#[source] toml::de::Error),
    /// A name that is none.
    #[error("`{0}` is no name for a chef: it has letters, digits, `_` and `-`, and starts with a letter")]
    Name(String),
    /// A version that is none.
    #[error("`{0}` is no version: it is one word of at most {MAX_NAME} bytes")]
    Word(String),
    /// It speaks another version.
    #[error("it speaks version {0} of the chefs' protocol, and version {PROTOCOL} is understood")]
    Version(u32),
    /// A pattern that is none.
    #[error("`{0}` has `{1}`, which is no pattern")]
    Pattern(&'static str, String, #[source] protocol::glob::BadGlob),
    /// A name that no lens can have.
    #[error(
        "`{0}` has `{1}`, which is no name: it has letters, digits, `_` and `-`, and starts with a letter"
    )]
    Lens(&'static str, String),
    /// A lens that nobody could name.
    #[error("it brings projections or normalisers, and `{0}` is a built-in one: nobody could name them")]
    Hidden(String),
    /// Not the name of a program.
    #[error("`tools` has `{0}`, which is no name of a program")]
    Tool(String),
    /// Too much.
    #[error("`{0}` has more than {MAX_NAMES} entries")]
    TooMany(&'static str),
    /// A chef of one file that says nothing of itself.
    #[error("it says nothing of itself: a comment `{BEGIN}` begins that, and `{END}` ends it")]
    Silent,
}

impl About {
    /// Reads a `chef.toml`.
    ///
    /// # Errors
    /// It is none, or of another version.
    pub fn read(text: &str) -> Result<Self, BadAbout> {
        /// Whatever else a later version may say, it says its number.
        #[derive(Deserialize)]
        struct Spoken {
            protocol: u32,
        }
        let Spoken { protocol } = toml::from_str(text).map_err(BadAbout::Form)?;
        if protocol != PROTOCOL {
            return Err(BadAbout::Version(protocol));
        }
        let about: Self = toml::from_str(text).map_err(BadAbout::Form)?;
        about.check()?;
        Ok(about)
    }

    /// Reads what a chef of one file says of itself in its comments.
    ///
    /// # Errors
    /// It says nothing, or what it says is no `chef.toml`.
    pub fn read_inside(text: &str, program: &str) -> Result<Self, BadAbout> {
        let mut lines = text.lines().map(str::trim_end).skip_while(|line| *line != BEGIN);
        lines.next().ok_or(BadAbout::Silent)?;
        let inside: Vec<&str> = lines
            .by_ref()
            .take_while(|line| *line != END)
            .map(|line| line.strip_prefix("# ").or_else(|| line.strip_prefix('#')).unwrap_or(line))
            .collect();
        Ok(Self { program: program.to_owned(), ..Self::read(&inside.join("\n"))? })
    }

    fn check(&self) -> Result<(), BadAbout> {
        if !is_name(&self.name) {
            return Err(BadAbout::Name(self.name.clone()));
        }
        let is_word = |word: &str| {
            !word.is_empty()
                && word.len() <= MAX_NAME
                && word.chars().all(|c| !c.is_whitespace() && !c.is_control())
        };
        if !is_word(&self.version) {
            return Err(BadAbout::Word(self.version.clone()));
        }
        let counts = [
            ("recognises", self.recognises.len()),
            ("tools", self.tools.len()),
            ("projections", self.projections.len()),
            ("normalisers", self.normalisers.len()),
        ];
        if let Some((what, _)) = counts.into_iter().find(|(_, count)| *count > MAX_NAMES) {
            return Err(BadAbout::TooMany(what));
        }
        let ours = self.normalisers.values().flatten().map(|pattern| ("normalisers", pattern));
        for (what, pattern) in self.recognises.iter().map(|pattern| ("recognises", pattern)).chain(ours) {
            Glob::new(pattern).map_err(|why| BadAbout::Pattern(what, pattern.clone(), why))?;
        }
        let lenses = self.projections.iter().map(|name| ("projections", name));
        let mut lenses = lenses.chain(self.normalisers.keys().map(|name| ("normalisers", name))).peekable();
        let is_built_in =
            lens::builtin().projection(&self.name).is_ok() || lens::builtin().normaliser(&self.name).is_ok();
        if lenses.peek().is_some() && is_built_in {
            return Err(BadAbout::Hidden(self.name.clone()));
        }
        if let Some((what, name)) = lenses.find(|(_, name)| !is_name(name)) {
            return Err(BadAbout::Lens(what, name.clone()));
        }
        match self.tools.iter().find(|tool| !is_word(tool) || tool.contains('/')) {
            Some(tool) => Err(BadAbout::Tool(tool.clone())),
            None => Ok(()),
        }
    }

    /// When it is ended.
    pub fn patience(&self) -> Duration {
        self.timeout.map_or(MAX_TIMEOUT, |seconds| Duration::from_secs(seconds.max(1)).min(MAX_TIMEOUT))
    }

    /// Its patterns.
    pub fn patterns(&self) -> Vec<Glob> {
        self.recognises.iter().filter_map(|pattern| Glob::new(pattern).ok()).collect()
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_stand_in_paths_and_ids() {
        assert!(["a", "cmake", "my_chef-2"].iter().all(|name| is_name(name)));
        let long = "a".repeat(MAX_NAME + 1);
        assert!(["", "-a", "1", "a/b", "..", "a:b", "é", &long].iter().all(|name| !is_name(name)));
    }

    const ALL: &str = "name = 'notes'\nversion = '1.0'\nprotocol = 1\nprogram = 'run'\nrecognises = ['**/*.note']\n\
                       tools = ['python3']\ntimeout = 100\nprojections = ['title']\n\
                       normalisers = { plain = ['*.html'] }\n[defaults]\ntimeout = 5\n";

    #[test]
    fn a_chef_says_what_it_is() {
        let about = About::read(ALL).unwrap();
        assert_eq!((about.name.as_str(), about.patience()), ("notes", MAX_TIMEOUT));
        assert!(about.patterns()[0].matches(b"a/b.note"));
        assert_eq!(about.defaults["timeout"], 5);
        let inside: String = ALL.lines().map(|line| format!("# {line}\n")).collect();
        let file = format!("#!/bin/sh\n# words\n{BEGIN}\n{inside}{END}\n# more\n");
        assert_eq!(About::read_inside(&file, "run").unwrap(), about);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |from: &str, to: &str| About::read(&ALL.replace(from, to)).unwrap_err().to_string();
        assert!(said("'notes'", "'no tes'").contains("`no tes` is no name for a chef"));
        assert!(said("'1.0'", "''").contains("is no version"));
        assert!(said("protocol = 1", "protocol = 2").contains("version 2 of the chefs' protocol"));
        assert!(said("**/*.note", "[").contains("which is no pattern"));
        assert!(said("*.html", "[").contains("`normalisers` has `[`, which is no pattern"));
        assert!(said("'title'", "'a:b'").contains("`projections` has `a:b`, which is no name"));
        assert!(said("'notes'", "'json'").contains("`json` is a built-in one"));
        assert!(said("'python3'", "'/bin/python3'").contains("no name of a program"));
        let unknown = About::read("name = 'a'\nversion = '1'\nprotocol = 1\nprogam = 'x'\n").unwrap_err();
        let BadAbout::Form(why) = unknown else { panic!("{unknown}") };
        assert!(why.to_string().contains("unknown field `progam`"), "{why}");
        assert!(matches!(About::read_inside("#!/bin/sh\n", "x"), Err(BadAbout::Silent)));
    }
}
