//! What can be wrong with a project file, and what to do about it.

use std::io;
use std::path::PathBuf;

use super::keys::STEP_KEYS;
use super::load::MAX_FILE_SIZE;
use super::value::MAX_TIMEOUT;
use super::{Located, PROJECT_FILE};

/// A project file that does something; shown where there is none.
pub const SMALLEST_EXAMPLE: &str = "[step.hello]\nrun = \"gcc -o hello hello.c\"\nout = \"hello\"";

/// What helps if a chef's plan is wrong.
pub const MEND_THE_CHEF: &str =
    "the chef has to be mended; a `majordomo.toml` with steps builds the project without it";

/// Why a project file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ProjectFileError {
    /// The folder has none.
    #[error("`{}` has no project file `{PROJECT_FILE}`", .folder.display())]
    Missing {
        /// The project's folder.
        folder: PathBuf,
    },
    /// The project's folder is not there, or is no folder.
    #[error("there is no folder `{}`", .folder.display())]
    NoFolder {
        /// What was named.
        folder: PathBuf,
    },
    /// Something else stands at its place.
    #[error("`{}` is {kind}, not a file", .file.display())]
    NotAFile {
        /// Where.
        file: PathBuf,
        /// What stands there, with its article.
        kind: &'static str,
    },
    /// It is larger than [`MAX_FILE_SIZE`].
    #[error("`{}` has more than {MAX_FILE_SIZE} bytes, which no project file needs", .file.display())]
    TooBig {
        /// The file.
        file: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot read `{}`", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error(transparent)]
    Wrong(#[from] Box<Located<Wrong>>),
}

/// What is wrong at a place of a project file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The bytes are no UTF-8.
    #[error("byte {byte:#04x} is no UTF-8 text")]
    NotUtf8 {
        /// The byte.
        byte: u8,
    },
    /// It starts with the mark of UTF-16.
    #[error("the file is UTF-16, and must be UTF-8")]
    Utf16,
    /// It is no TOML; the parser's words.
    #[error("no valid TOML: {0}")]
    Toml(String),
    /// A table or key that is not known.
    #[error("unknown {kind} `{name}` in {place}{}", .nearest.as_ref().map_or(String::new(), |near| format!("; the nearest known {kind} is `{near}`")))]
    Unknown {
        /// `key`, `table`, `projection` or `normaliser`.
        kind: &'static str,
        /// What was written.
        name: String,
        /// In which table, with its brackets, or `the file`.
        place: String,
        /// What may have been meant.
        nearest: Option<&'static str>,
        /// All that is known there.
        known: Vec<&'static str>,
    },
    /// A projection or a normaliser that cannot be.
    #[error("`{text}` cannot be: {why}")]
    Lens {
        /// What was written.
        text: String,
        /// Why not.
        why: String,
    },
    /// A lens that no chef brings.
    #[error("`{text}` is no {kind} that a chef brings: {why}")]
    ChefLens {
        /// What was written.
        text: String,
        /// `projection` or `normaliser`.
        kind: &'static str,
        /// Why not.
        why: String,
    },
    /// A value of another type than the key takes.
    #[error("`{key}` takes {wanted}, and this is {found}")]
    Type {
        /// The key.
        key: String,
        /// What it takes.
        wanted: &'static str,
        /// What was there, with its article.
        found: &'static str,
        /// What to write instead, where that is known.
        hint: Option<String>,
    },
    /// No `[step.…]` at all.
    #[error("the file has no step, so there is nothing to build")]
    NoSteps,
    /// A step without `run`.
    #[error("step `{step}` has no `run`, so it does nothing")]
    NoRun {
        /// The step.
        step: String,
    },
    /// A name that no step can have.
    #[error("`{name}` is no name for a step")]
    StepName {
        /// What was written.
        name: String,
    },
    /// Nothing where something must be.
    #[error("`{key}` is empty")]
    Empty {
        /// The key.
        key: String,
    },
    /// What podman could not have an image by.
    #[error("`{name}` is no name of an image")]
    NoImage {
        /// What was written.
        name: String,
    },
    /// A list of strings that looks like a list of commands.
    #[error("`run` is a list of strings, and so one command whose program would be `{first}`")]
    AmbiguousRun {
        /// Its first string.
        first: String,
    },
    /// A NUL, which no argument, variable or path can have.
    #[error("`{key}` has a NUL character, which the system cannot pass on")]
    Nul {
        /// The key.
        key: String,
    },
    /// Text that is no duration, or one out of bounds.
    #[error("`{text}` is no time-out between 1 ms and {} days", MAX_TIMEOUT.as_secs() / 86_400)]
    Timeout {
        /// What was written.
        text: String,
    },
    /// No name for a variable.
    #[error("`{name}` is no name for an environment variable")]
    VariableName {
        /// What was written.
        name: String,
    },
    /// A variable twice in a list.
    #[error("the environment variable `{name}` is named twice")]
    VariableTwice {
        /// Which.
        name: String,
    },
    /// A tool root that cannot be one.
    #[error("`{root}` cannot be a tool root: {why}")]
    ToolRoot {
        /// What was written.
        root: String,
        /// Why not.
        why: &'static str,
    },
}

impl ProjectFileError {
    /// What to do next, a sentence each.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing { folder } => vec![format!(
                "write `{}`; the smallest useful one is:\n{SMALLEST_EXAMPLE}",
                folder.join(PROJECT_FILE).display()
            )],
            Self::NoFolder { .. } => vec!["name the folder of a project: `majordomo build FOLDER`".into()],
            Self::NotAFile { .. } => {
                vec![format!("move it away, and write a file `{PROJECT_FILE}` in its place")]
            }
            Self::TooBig { .. } => {
                vec!["let a rule with `each` stand for many steps".into()]
            }
            Self::Unreadable { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => vec!["make it readable for yourself: `chmod u+r`".into()],
                _ => vec![],
            },
            Self::Wrong(located) => located.what.hints().into_iter().chain(located.mend()).collect(),
        }
    }
}

impl Wrong {
    /// What to do next, a sentence each.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NotUtf8 { .. } => "save the file as UTF-8; a byte of a path is written `\\\\xNN` (in '…': `\\xNN`)".into(),
            Self::Utf16 => "save the file as UTF-8".into(),
            Self::Toml(_) => return vec![],
            Self::Unknown { kind: "table", name, .. } if STEP_KEYS.iter().any(|key| key.name == name) => {
                format!("`{name}` belongs in a table of a step: write `[step.NAME]` above it")
            }
            Self::Unknown { known, .. } => format!("known here: {}", list(known)),
            Self::Lens { .. } => "the reference of projections and normalisers says what each takes".into(),
            Self::ChefLens { .. } => {
                "`pod chef show CHEF` says which a registered chef brings; the reference of projections and normalisers has those that are built in"
                    .into()
            }
            Self::Type { hint, .. } => match hint {
                Some(hint) => hint.clone(),
                None => return vec![],
            },
            Self::NoSteps => format!("the smallest useful file is:\n{SMALLEST_EXAMPLE}"),
            Self::NoRun { .. } => "say what it runs: `run = \"…\"`".into(),
            Self::StepName { .. } => "use letters, digits, `_`, `-`, `+`, `.`, `/`, `,`, `=`, `@` and `~`, start with a letter, a digit or `_`, and not more than 4096 bytes".into(),
            Self::Empty { key } => format!("give `{key}` a value, or take it out"),
            Self::NoImage { .. } => "write it as `podman images` shows it, in lower case, with its tag: `localhost/debian-gcc:12`".into(),
            Self::AmbiguousRun { .. } => {
                "for a shell command write `run = \"…\"`; for several, one string of several lines, or \
                 a list in which at least one command is a list of words: `run = [[\"gcc\", \"-c\", \"a.c\"], \"echo done\"]`"
                    .into()
            }
            Self::Nul { .. } => "take it out".into(),
            Self::Timeout { .. } => "write `\"90s\"`, `\"5m\"`, `\"1h30m\"`, or whole seconds; take `timeout` out for none".into(),
            Self::VariableName { .. } => "a name is not empty and has no `=`".into(),
            Self::VariableTwice { .. } => "name it once".into(),
            Self::ToolRoot { .. } => "give the absolute path of a folder with tools, such as `\"/srv/toolchain\"`".into(),
        };
        vec![hint]
    }
}

/// Words in back-ticks with commas between them.
pub(crate) fn list<T: AsRef<str>>(words: &[T]) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}
