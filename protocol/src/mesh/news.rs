//! What is said to news of something that was ordered: a step's run, a build by name.

use serde::{Deserialize, Serialize};

/// Answer of the pod that ordered it. It comes at once: whoever cannot take more in yet says so, and is not taken for one that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewsAnswer {
    /// They are taken in, and more is wanted.
    Taken,
    /// They are wanted, but there is no room for them yet: they are to be said again.
    Later,
    /// Nothing more is wanted.
    Unwanted,
}
