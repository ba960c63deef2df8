//! What can be wrong with a ninja file, and where.

use std::fmt;
use std::io;
use std::sync::Arc;

use protocol::path::escape;

/// How many characters of something that was in a file are shown.
const MAX_SHOWN: usize = 200;

/// How many paths of a circle are shown.
const MAX_CIRCLE: usize = 12;

/// A place in a file. Lines and columns count from 1; columns are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the including file names it.
    pub file: Arc<str>,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A mistake in a ninja file. Its words are place and mistake; its source, if it has one, is what the system said.
#[derive(Debug)]
pub struct Error {
    /// Where it was noticed; for an unreadable file, where it is included.
    pub place: Place,
    /// What it is.
    pub wrong: Box<Wrong>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.wrong)
    }
}

impl std::error::Error for Error {
    /// Not `wrong`, whose words are in those of this error already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.wrong.source()
    }
}

/// What is wrong. Texts from the file are shortened and shown as [`escape`] shows bytes.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    Unreadable {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// Files include each other deeper than the limit.
    #[error("files include each other more than {limit} deep; does one include itself?")]
    Depth {
        /// The most that may be open at once.
        limit: usize,
    },
    /// One of the [`Limits`](crate::Limits).
    #[error("more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
    /// Something else was expected.
    #[error("expected {wanted}, found {found}")]
    Expected {
        /// What may stand here.
        wanted: &'static str,
        /// What stands here.
        found: &'static str,
    },
    /// A line starts with a word that is neither a statement nor assigned to.
    #[error("`{word}` starts no statement, and no `=` follows it{}", hint(.nearest))]
    NoStatement {
        /// The word.
        word: String,
        /// The keyword that may have been meant.
        nearest: Option<String>,
    },
    /// A tab where ninja wants spaces.
    #[error("tabs are not allowed here, use spaces")]
    Tab,
    /// A NUL byte.
    #[error("a NUL byte: this is no text")]
    Nul,
    /// A carriage return without newline.
    #[error("a carriage return that no newline follows")]
    CarriageReturn,
    /// A byte that starts nothing.
    #[error("`{byte}` is not allowed here")]
    Byte {
        /// The byte.
        byte: String,
    },
    /// A `$` that starts nothing.
    #[error("bad `$`-escape (write a literal `$` as `$$`)")]
    Escape,
    /// The file ends in the middle of a line.
    #[error("the file ends within a line: it must end with a newline")]
    Cut,
    /// An expanded path is empty.
    #[error("empty path")]
    EmptyPath,
    /// A rule, pool, target or variable that is not known.
    #[error("unknown {kind} `{name}`{}", hint(.nearest))]
    Unknown {
        /// What kind of thing.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// Something is said a second time.
    #[error("{kind} `{name}` a second time: first at {first}")]
    Twice {
        /// What kind of thing.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where it was said first.
        first: Place,
    },
    /// Something that ninja has built in cannot be defined.
    #[error("the {kind} `{name}` is built in")]
    BuiltIn {
        /// What kind of thing.
        kind: &'static str,
        /// Its name.
        name: &'static str,
    },
    /// A rule without command.
    #[error("rule `{name}` has no `command`")]
    NoCommand {
        /// The rule.
        name: String,
    },
    /// A response file without content, or the other way round.
    #[error("rule `{name}` has only one of `rspfile` and `rspfile_content`: they need each other")]
    HalfResponseFile {
        /// The rule.
        name: String,
    },
    /// A pool without depth.
    #[error("pool `{name}` has no `depth`")]
    NoDepth {
        /// The pool.
        name: String,
    },
    /// A depth that is no number.
    #[error("`{value}` is no pool depth: wanted a number, 0 for no limit")]
    BadDepth {
        /// What was written.
        value: String,
    },
    /// A version that is none.
    #[error("`{value}` is no version: wanted `1` or `1.2`, with anything behind")]
    BadVersion {
        /// What was written.
        value: String,
    },
    /// The file needs a newer ninja.
    #[error("needs ninja {wanted}; the language of {known} is known here")]
    Version {
        /// What it needs.
        wanted: String,
        /// What is known.
        known: String,
    },
    /// Variables of a rule that need each other.
    #[error("variables of rule `{rule}` need each other: {}", circle(.names))]
    VariableCircle {
        /// The rule.
        rule: String,
        /// Each needs the next, the last the first.
        names: Vec<String>,
    },
    /// `deps` without `depfile`.
    #[error("`deps = gcc` needs a `depfile`")]
    DepsWithoutDepfile,
    /// A dyndep file that is no input.
    #[error("the dyndep file `{path}` is no input of its build statement")]
    DyndepNotInput {
        /// The dyndep file.
        path: String,
    },
    /// An edge of the manifest that its dyndep file does not mention.
    #[error("`{output}` is not mentioned in its dyndep file `{path}`")]
    DyndepSilent {
        /// The edge's first output.
        output: String,
        /// The dyndep file.
        path: String,
    },
    /// A dyndep file that speaks of an edge that does not name it.
    #[error("the build statement of `{output}` has no `dyndep = {path}`")]
    DyndepUnasked {
        /// The output.
        output: String,
        /// The dyndep file.
        path: String,
    },
    /// Paths that need each other.
    #[error("a circle: {}", circle(.paths))]
    Circle {
        /// Each needs the next, the last the first.
        paths: Vec<String>,
    },
}

impl Wrong {
    pub(crate) fn at(self, place: Place) -> Error {
        Error { place, wrong: Box::new(self) }
    }
}

/// Bytes of a file for a message.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let text = escape(&bytes[..bytes.len().min(MAX_SHOWN * 4)]);
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or(String::new(), |near| format!("; the nearest known is `{near}`"))
}

fn circle(paths: &[String]) -> String {
    let mut text: String = paths.iter().take(MAX_CIRCLE).map(|path| format!("`{path}` → ")).collect();
    if let Some(more) = paths.len().checked_sub(MAX_CIRCLE).filter(|more| *more > 0) {
        text.push_str(&format!("({more} more) → "));
    }
    if let Some(first) = paths.first() {
        text.push_str(&format!("`{first}`"));
    }
    text
}
