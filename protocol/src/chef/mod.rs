//! What is asked of a chef, and what it answers: one JSON object on its stdin, one on its stdout.
//!
//! Actors: the majordomo asks, in the kitchen; a chef's program answers, over the project in its current folder. Both
//! say [`PROTOCOL`] in `protocol`; another number is refused with a sentence before anything else is read. Unknown fields
//! are ignored, so that a later minor may add some; an unknown request is for the chef to refuse, by a failure and words on
//! stderr. Nothing here reads or writes; a chef's words are foreign bytes, and [`Answer::read`] bounds and checks them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
mod twins;

/// The version of requests and answers.
pub const PROTOCOL: u32 = 1;

/// The longest answer, in bytes.
pub const MAX_ANSWER: u64 = 64 << 20;

/// As sure as a chef can be.
pub const SUREST: u8 = 100;

/// The most stages of a plan: its first, and those that it is planned again for.
pub const MAX_STAGES: usize = 8;

/// One question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Ask {
    /// Is this project yours, and how sure are you? The answer may carry the plan.
    Detect {},
    /// The plan of the project.
    Plan {},
    /// More steps, now that a step has come to its end.
    Replan {
        /// The step.
        after: String,
        /// What the chef had asked itself to be asked, in [`Replan::ask`].
        ask: Value,
    },
    /// The part of a file that matters to its readers.
    Project {
        /// The projection, by the chef's name for it.
        lens: String,
        /// The file.
        path: String,
    },
    /// A file in its normal form.
    Normalise {
        /// The normaliser, by the chef's name for it.
        lens: String,
        /// The file.
        path: String,
    },
    /// Why a step failed, in short.
    Explain {
        /// The step.
        step: String,
        /// Its exit code, if it ended by itself.
        exit: Option<i32>,
        /// The folder of the project in which its commands started, which paths in the output may be relative to; nothing: the
        /// project's own.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        cwd: String,
        /// What it printed; not UTF-8 is replaced.
        output: String,
    },
}

impl Request {
    /// Asks.
    pub fn new(ask: Ask) -> Self {
        Self { protocol: PROTOCOL, ask }
    }

    /// Reads a question.
    ///
    /// # Errors
    /// It is none, or one of another version.
    pub fn read(bytes: &[u8]) -> Result<Self, BadWords> {
        read(bytes)
    }

    /// The line that the chef reads.
    pub fn line(&self) -> String {
        // Numbers, texts and trees of them always have a form.
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// What is answered.
    #[serde(flatten)]
    pub say: Say,
}

/// What can be answered, each to the request of the same name; [`Say::Plan`] to `replan`, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Say {
    /// Whether the project is the chef's.
    Detect(Detected),
    /// Steps.
    Plan(Planned),
    /// The part that matters; neither a text nor a file: all of it.
    Project(Left),
    /// The normal form; neither a text nor a file: the file stays as it is.
    Normalise(Left),
    /// Why a step failed.
    Explain {
        /// Reasons, the likeliest first; none: the chef knows no more than the exit code.
        reasons: Vec<Reason>,
    },
}

/// What a projection or a normaliser leaves of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Left {
    /// It, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// It, as the bytes of a file that the chef wrote in its current folder; counts only where there is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// Whether a project is the chef's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Detected {
    /// From 0, not at all, to [`SUREST`].
    pub sure: u8,
    /// What was found, for people: `a Makefile`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub found: String,
    /// The plan, if the chef has it already; else it is asked for if the project turns out to be the chef's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Planned>,
}

/// Steps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Planned {
    /// The tables and keys of a project file, as JSON: `{"step": {"make": {"run": "make"}}}`. Held to the same strict rules.
    pub file: Map<String, Value>,
    /// Steps after which the chef wants to be asked again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replan: Vec<Replan>,
    /// What the user should know, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A wish to be asked again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replan {
    /// The step after which.
    pub after: String,
    /// What to ask then.
    #[serde(default)]
    pub ask: Value,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// One sentence.
    pub text: String,
    /// The file where it is to be mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line in it, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

/// Why something is no request or answer.
#[derive(Debug, thiserror::Error)]
pub enum BadWords {
    /// Nothing at all.
    #[error("nothing was said")]
    Nothing,
    /// Another version.
    #[error("version {0} of the chefs' protocol was spoken, and version {PROTOCOL} is understood")]
    Version(u64),
    /// Too much.
    #[error("more than {} MiB were said", MAX_ANSWER >> 20)]
    TooLong,
    /// More sure than sure.
    #[error("`sure` is {0}, and goes from 0 to {SUREST}")]
    Sure(u8),
    /// No JSON, or not in this form.
    #[error("it is not in the form of the chefs' protocol")]
    Form(#[source] serde_json::Error),
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, BadWords> {
    #[derive(Deserialize)]
    struct Version {
        protocol: u64,
    }
    if bytes.len() as u64 > MAX_ANSWER {
        return Err(BadWords::TooLong);
    }
    if bytes.trim_ascii().is_empty() {
        return Err(BadWords::Nothing);
    }
    // Whatever else a later version may say, it says its number.
    let Version { protocol } = serde_json::from_slice(bytes).map_err(BadWords::Form)?;
    if protocol != u64::from(PROTOCOL) {
        return Err(BadWords::Version(protocol));
    }
    serde_json::from_slice::<twins::NoTwins>(bytes).map_err(BadWords::Form)?;
    serde_json::from_slice(bytes).map_err(BadWords::Form)
}

impl Answer {
    /// Answers.
    pub fn new(say: Say) -> Self {
        Self { protocol: PROTOCOL, say }
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// It is none, one of another version, or out of bounds.
    pub fn read(bytes: &[u8]) -> Result<Self, BadWords> {
        let answer: Self = read(bytes)?;
        match &answer.say {
            Say::Detect(detected) if detected.sure > SUREST => Err(BadWords::Sure(detected.sure)),
            _ => Ok(answer),
        }
    }

    /// The line that the chef writes.
    pub fn line(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}
