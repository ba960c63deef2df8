//! Projects that are registered: named from anywhere, and built by the pod that has their workspace.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{PodId, WorkspaceId};

/// The longest name of a project, in bytes.
pub const MAX_PROJECT_NAME: usize = 64;
/// What stands before the name where a word might mean something else.
pub const PROJECT_PREFIX: &str = "project:";

/// The name of a registered project: letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectName(String);

/// Why a text is no name of a project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` cannot name a project: wanted 1 to {MAX_PROJECT_NAME} letters, digits, `-`, `_` and `.`, the first a letter or digit",
    .0.escape_debug()
)]
pub struct BadProjectName(pub String);

impl ProjectName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProjectName {
    type Err = BadProjectName;

    fn from_str(text: &str) -> Result<Self, BadProjectName> {
        let is_good = text.len() <= MAX_PROJECT_NAME
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if is_good { Ok(Self(text.to_owned())) } else { Err(BadProjectName(text.to_owned())) }
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ProjectName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ProjectName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Entry: a registered project. Changed by compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectEntry {
    /// What it is called.
    pub name: ProjectName,
    /// Which workspace it is.
    pub workspace: WorkspaceId,
    /// The pod that has the workspace, and builds it; none: it is registered no more.
    pub owner: Option<PodId>,
    /// Where it is on that pod's machine. The owner goes by it only where it has said so itself.
    pub folder: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable_and_bounded() {
        let longest = "x".repeat(MAX_PROJECT_NAME);
        for good in ["p", "lib-foo_2.1", "9", &longest] {
            assert_eq!(good.parse::<ProjectName>().unwrap().to_string(), good);
        }
        let too_long = "x".repeat(MAX_PROJECT_NAME + 1);
        for bad in ["", ".", "-p", "a b", "a/b", "a:b", "a#b", "a\n", "é", &too_long] {
            assert_eq!(bad.parse::<ProjectName>(), Err(BadProjectName(bad.to_owned())), "{bad}");
        }
    }
}
