//! Small news: how a pod does, and what it has traced.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Message: a pod is alive, and how busy it is. Each few seconds, and at once when its free slots change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Slots that nothing runs in.
    pub free_slots: u32,
    /// Slots that it has.
    pub slots: u32,
    /// Steps that wait for a slot.
    pub queue: u32,
    /// The load of the last minute, in hundredths of one processor, of all its processors.
    pub load: u32,
    /// Its processors.
    pub processors: u32,
    /// Memory that a step can have now, in bytes.
    pub free_memory: u64,
    /// Memory for steps in all, in bytes; none: it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// What it can do and is, for placement (`os`, `arch`, what its user says).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// A hash of all entries that it knows, in hexadecimal digits: two pods with the same one know the same.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub knows: String,
}

/// Entry: there is a trace, at the pod that signs this; or there was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceNews {
    /// The key of all that is static about the step.
    pub weak: Digest,
    /// Which questions it asked.
    pub path_set: Digest,
    /// The key of their answers.
    pub strong: Digest,
    /// What it made of them. The object is pulled over the swarm.
    pub trace: Digest,
    /// The tree that it made, so that who has made something else of the same knows without fetching the trace. None: the pod does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Digest>,
    /// The pod has revoked it: it is not adopted, and whoever has adopted it takes it back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
}
