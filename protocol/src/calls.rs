//! What a program that calls functions and the majordomo say to each other, over one socket.
//!
//! Frames, in both directions: the length of a header as a little-endian `u32`, the length of a body as a little-endian `u64`, the header
//! (one JSON object), the body (raw bytes: a pickle, a file). Headers are [`Ask`] one way and [`Answer`] the other; the first frame of
//! either side is its `hello`. Both lengths are bounded, and whoever reads checks them before it reads on. Unknown fields are
//! ignored; an unknown header ends the talk.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::RelPath;

/// The version that both sides say in their `hello`; another one is refused with a sentence.
pub const PROTOCOL: u32 = 1;
/// Bytes of the longest header.
pub const MAX_HEADER: u32 = 64 << 10;
/// Bytes of the longest body: arguments, a result, a function that travels as a value.
pub const MAX_BODY: u64 = 256 << 20;
/// Calls of one program that may be under way; the next one is not read until another has ended.
pub const MAX_CALLS: usize = 1024;

/// What the program says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// Always first.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// The interpreter that runs the functions, as a path in the root of steps, or a name for their `PATH`.
        python: String,
        /// Folders of tools beyond the usual ones, absolute: a virtual environment.
        #[serde(default)]
        roots: Vec<String>,
    },
    /// A file that all later calls see beside our package, at this path; the body is its bytes.
    Part {
        /// Where, relative to the folder of our package's parts.
        path: RelPath,
    },
    /// A function that cannot be imported by its name; the body is its pickle. Later calls name it by the number.
    Code {
        /// Its number, of the program's choice.
        code: u64,
    },
    /// A call; the body is the pickle of its arguments.
    Call(Call),
    /// Nobody waits for a call any more.
    Cancel {
        /// Which.
        call: u64,
    },
}

/// One call of a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its number, of the program's choice; not used again.
    pub call: u64,
    /// The module that the function is imported from.
    pub module: String,
    /// Its qualified name there, which is what people read, too.
    pub name: String,
    /// Where it comes from instead, if it cannot be imported: an [`Ask::Code`].
    #[serde(default)]
    pub code: Option<u64>,
    /// When an attempt is ended, in milliseconds.
    pub timeout_ms: u64,
    /// When a failed attempt is followed by another one.
    #[serde(default)]
    pub retries: Retries,
    /// Whether an equal call that has come to a good end answers for this one.
    #[serde(default)]
    pub cache: bool,
    /// Whether it may use the network.
    #[serde(default)]
    pub network: bool,
    /// Bytes of memory that it may use.
    #[serde(default)]
    pub memory: Option<u64>,
    /// How many processors it may keep busy.
    #[serde(default)]
    pub cpus: Option<f64>,
    /// Variables that it sets.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The image that it runs over, instead of this machine.
    #[serde(default)]
    pub image: Option<String>,
    /// What it finds in `/run/secrets`, by name.
    #[serde(default)]
    pub secrets: BTreeMap<String, Hidden>,
    /// Whether what it returns may run code as it is read: then only this machine's own results answer for it.
    #[serde(default)]
    pub trusts: bool,
}

/// A text that is shown nowhere.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("***")
    }
}

/// When a failed attempt is followed by another one. A failure of the machine is not the function's, and not tried again so.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Retries {
    /// How many more attempts there may be.
    pub most: u32,
    /// Milliseconds before the second attempt.
    #[serde(default)]
    pub delay_ms: u64,
    /// By how much each wait is longer than the one before.
    #[serde(default)]
    pub backoff: f64,
}

/// The longest wait between two attempts, in milliseconds.
pub const MAX_DELAY_MS: u64 = 60_000;

impl Retries {
    /// Milliseconds to wait before an attempt; the first is 1.
    pub fn delay_before(&self, attempt: u32) -> u64 {
        let factor = self.backoff.max(1.0).powi(attempt.saturating_sub(2).min(64) as i32);
        // Whatever is too large, or no number, is the longest.
        (self.delay_ms as f64 * factor).min(MAX_DELAY_MS as f64) as u64
    }
}

/// What the majordomo says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// Always first.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
    },
    /// A call came to a good end; the body is the pickle of what it returned.
    Returned {
        /// Which.
        call: u64,
        /// Whether an earlier call answered for it.
        reused: bool,
    },
    /// The function raised; the body is the worker's pickle of that.
    Raised {
        /// Which.
        call: u64,
    },
    /// The call came to no end of its own.
    Failed {
        /// Which.
        call: u64,
        /// How.
        how: CallFailure,
        /// Why, one line for people.
        words: String,
    },
}

/// How a call came to no end of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallFailure {
    /// Its process ended before the function did.
    Exited,
    /// Its time was up.
    TimedOut,
    /// What it did is what no step may.
    Refused,
    /// It asks for what cannot be.
    Mistake,
    /// It was cancelled.
    Cancelled,
    /// The machine failed.
    Machine,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_fixed() {
        let call = Call {
            call: 3,
            module: "hello".into(),
            name: "square".into(),
            code: None,
            timeout_ms: 300_000,
            retries: Retries { most: 2, delay_ms: 1000, backoff: 2.0 },
            cache: true,
            network: false,
            memory: None,
            cpus: None,
            env: BTreeMap::new(),
            image: None,
            secrets: BTreeMap::from([("KEY".to_owned(), Hidden("value".to_owned()))]),
            trusts: true,
        };
        assert!(!format!("{call:?}").contains("value"));
        let asks = [
            Ask::Hello { protocol: PROTOCOL, python: "python3".into(), roots: vec![] },
            Ask::Call(call),
            Ask::Cancel { call: 3 },
        ];
        let answers = [
            Answer::Returned { call: 3, reused: false },
            Answer::Failed { call: 3, how: CallFailure::TimedOut, words: "why".into() },
        ];
        let asks = asks.iter().map(|ask| serde_json::to_string(ask).unwrap());
        let answers = answers.iter().map(|answer| serde_json::to_string(answer).unwrap());
        let lines: Vec<String> = asks.chain(answers).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"ask":"hello","protocol":1,"python":"python3","roots":[]}
        {"ask":"call","call":3,"module":"hello","name":"square","code":null,"timeout_ms":300000,"retries":{"most":2,"delay_ms":1000,"backoff":2.0},"cache":true,"network":false,"memory":null,"cpus":null,"env":{},"image":null,"secrets":{"KEY":"value"},"trusts":true}
        {"ask":"cancel","call":3}
        {"answer":"returned","call":3,"reused":false}
        {"answer":"failed","call":3,"how":"timed-out","words":"why"}
        "#);
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        let retries = Retries { most: 9, delay_ms: 1000, backoff: 2.0 };
        assert_eq!([2, 3, 4].map(|attempt| retries.delay_before(attempt)), [1000, 2000, 4000]);
        assert_eq!(retries.delay_before(u32::MAX), MAX_DELAY_MS);
        assert_eq!(Retries { backoff: f64::NAN, ..retries.clone() }.delay_before(9), 1000);
        assert_eq!(Retries::default().delay_before(2), 0);
    }
}
