//! ComputePods: the library behind the binaries `pod` and `majordomo`.
//!
//! `cli` is what a person types and reads, `majordomo` drives the build of one project, `mesh` is a pod in its federation, `doctor` looks at the
//! machine, `logs` keep what a pod that stands has said. Beneath them: `interrupt` (Ctrl-C), `myself` (this program as another process), `words`,
//! `env_vars`. Arrows of use run one way: `cli` → `mesh` → `majordomo` → the pod's crates → `protocol`; what the majordomo asks of a federation stands
//! behind a trait of its own, which `mesh` implements. `tests/architecture.rs` has the table.

pub mod cli;
pub mod doctor;
pub mod env_vars;
pub mod interrupt;
pub mod logs;
pub mod majordomo;
pub mod mesh;
pub mod myself;
pub mod words;
