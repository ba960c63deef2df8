//! ComputePods: the library behind the binaries `pod` and `majordomo`.
//!
//! `majordomo` drives the build of one project; `cli` is what a person types and reads, `doctor` looks at the machine, `logs` keep what a pod that stands has said. Arrows run one way:
//! `cli` → `majordomo`, `mesh` → the pod's crates → `protocol`; a `mesh` is a pod in its federation.

pub mod cli;
pub mod doctor;
pub mod env_vars;
pub mod logs;
pub mod majordomo;
pub mod mesh;
