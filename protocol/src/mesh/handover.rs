//! What two pods say while one hands an ownership over to the other. The log decides; these only move it on.

use serde::{Deserialize, Serialize};

/// The owner asks; each question may be asked again, and is answered as the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Exchange {
    /// It is promised to you: pull its bytes.
    Take {
        /// The ownership's subject.
        subject: String,
        /// The number of the promise, so that an answer to an earlier one is told from this.
        revision: u64,
    },
}

/// What the receiver says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum ExchangeAnswer {
    /// Bytes are on their way: ask again later.
    Pulling,
    /// All bytes are here, verified.
    Holding,
    /// It cannot or will not.
    Refused {
        /// In words.
        why: String,
    },
}
