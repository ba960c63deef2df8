//! Which chefs a pod has registered, and so lends to the others.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Message: the chefs that a pod lends, all of them. Said again before the lease ends, when they change, and when somebody asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChefNews {
    /// By name.
    pub chefs: Vec<LentChef>,
    /// For how many seconds that is so.
    pub lease: u32,
}

/// A chef that a pod lends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LentChef {
    /// Its name.
    pub name: String,
    /// Which version of it.
    pub version: String,
    /// Its files; the tree is pulled over the swarm.
    pub tree: Digest,
}
