//! What is asked about chefs, and what is told of them.

use std::path::PathBuf;

use protocol::{Digest, PodId};
use serde::{Deserialize, Serialize};

/// What can be done with chefs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "chef", rename_all = "kebab-case")]
pub enum ChefRequest {
    /// Register the chef in this folder or file, in place of the one that has its name.
    Add {
        /// Absolute.
        from: PathBuf,
    },
    /// All of them.
    List,
    /// One.
    Show {
        /// Its name.
        name: String,
    },
    /// Forget a registered one.
    Remove {
        /// Its name.
        name: String,
    },
    /// Let one be asked, or not.
    Enable {
        /// Its name.
        name: String,
        /// Whether it may be asked.
        is_enabled: bool,
    },
    /// Ask a chef that need not be registered its own examples.
    Test {
        /// Its folder, absolute.
        from: PathBuf,
        /// The caller's environment, as of a build.
        environment: Vec<(String, String)>,
    },
}

/// A chef.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChefInfo {
    /// Its name.
    pub name: String,
    /// Which version of it.
    pub version: String,
    /// The version of the protocol that it speaks.
    pub protocol: u32,
    /// Whether it comes with this program.
    #[serde(rename = "built_in")]
    pub is_built_in: bool,
    /// Whether it may be asked.
    #[serde(rename = "enabled")]
    pub is_enabled: bool,
    /// Whether it is asked of projects that name no chef: a lent one only once it was enabled here.
    #[serde(rename = "asked", default)]
    pub is_asked: bool,
    /// Its files, as a tree of the larder; `None`: it is built in.
    pub tree: Option<Digest>,
    /// The pod of the federation that lends it; `None`: it is registered here, or built in.
    #[serde(default)]
    pub lent_by: Option<PodId>,
    /// Its program, in its folder.
    pub program: String,
    /// It is asked where one of these patterns matches; none: always.
    pub recognises: Vec<String>,
    /// Programs that it wants.
    pub tools: Vec<String>,
    /// Those of them that are not where steps look.
    pub missing: Vec<String>,
    /// Its projections.
    #[serde(default)]
    pub projections: Vec<String>,
    /// Its normalisers, and what each is for.
    #[serde(default)]
    pub normalisers: std::collections::BTreeMap<String, Vec<String>>,
    /// Seconds after which it is ended; `None`: it is built in.
    pub timeout: Option<u64>,
    /// Keys of its steps, where a plan does not say them.
    pub defaults: serde_json::Map<String, serde_json::Value>,
}

/// Chefs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChefsReport {
    /// By name; of one that was removed, what it was.
    pub chefs: Vec<ChefInfo>,
    /// The version of the one whose place was taken.
    pub replaced: Option<String>,
}

/// How a chef answered its own examples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChefTestReport {
    /// The chef.
    pub chef: String,
    /// Its version.
    pub version: String,
    /// By name.
    pub examples: Vec<ChefExample>,
}

/// One example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChefExample {
    /// Its folder.
    pub name: String,
    /// What is wrong; `None`: it answered as it should.
    pub failure: Option<String>,
}

/// What `init` wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitReport {
    /// The file.
    pub file: PathBuf,
    /// The chef whose plan it is.
    pub chef: String,
    /// What that chef found; empty: it did not say.
    pub found: String,
}
