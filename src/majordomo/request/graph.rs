//! The answer of `graph`. `docs/reference/reports.md` describes it for programs.

use protocol::{RelPath, StepId};
use serde::{Deserialize, Serialize};

/// One arrow of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The step whose output was read, or that comes first.
    pub from: StepId,
    /// The step that read it, or comes after.
    pub to: StepId,
    /// The artefacts that make the edge: what was read, by the last traces.
    pub paths: Vec<RelPath>,
    /// How many more there are.
    pub more: u64,
    /// Artefacts of which the names alone were seen, in a listing.
    pub names: Vec<RelPath>,
    /// Whether the project file says so: `after`, or `in` and `each` that match outputs.
    pub declared: bool,
    /// Whether both ends are in one circle.
    pub in_cycle: bool,
}

/// Steps and what flows between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphReport {
    /// The project's name.
    pub project: String,
    /// All steps of the plan.
    pub steps: Vec<StepId>,
    /// What flows.
    pub edges: Vec<Edge>,
    /// Steps that feed each other, each circle sorted.
    pub cycles: Vec<Vec<StepId>>,
}
