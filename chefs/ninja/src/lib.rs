//! Reads `build.ninja` as ninja itself does, and says which steps its edges are.
//!
//! The language is that of ninja's manual, version 1.12 (<https://ninja-build.org/manual.html>). The way through:
//!
//! 1. [`read`]: the top file and all that it includes become a [`Manifest`], every variable expanded, every path in its
//!    canonical form, no two edges with one output, no circle. Files come from a [`Files`], so that any view will do.
//! 2. [`read_dyndep`] and [`Manifest::with_dyndep`]: what a dyndep file adds, once a step has made it.
//! 3. [`Plan::new`]: the manifest as plain steps in a project, `phony` edges resolved to the steps behind them.
//!
//! The parts: `lexer` (tokens and `$`), `expr` (text with variables), `scope` (who says what a variable is), `rule`,
//! `parser` and `statement` (a file, an edge), `circle` (order), `plan`.
//!
//! **Strict**: what ninja refuses is refused, and also what it only notices when it is too late or never – circles that no
//! wanted target reaches, `deps` without `depfile`, NUL bytes, a redefined `phony`. **Bounded**: sizes, depth, and the work of
//! expansion have named limits ([`Limits`]), so that no file can exhaust the machine. It never panics.
//!
//! An [`Error`] has file, line, column, what is wrong, and the nearest known word. The functions are pure but for what
//! [`Files`] does; nothing is kept between calls. Not here: running anything, and what is up to date.

mod budget;
mod circle;
mod dyndep;
mod error;
mod expr;
mod files;
mod lexer;
mod manifest;
mod nearest;
mod parser;
mod path;
mod plan;
mod rule;
mod scope;
mod statement;

#[cfg(test)]
mod tests;

pub use budget::Limits;
pub use dyndep::{Dyndep, DyndepEntry, read_dyndep};
pub use error::{Error, Place, Wrong};
pub use files::{Files, Folder};
pub use manifest::{
    Action, Command, Deps, Edge, Inputs, Manifest, Outputs, PoolName, ResponseFile, Warning, WarningKind,
};
pub use parser::read;
pub use path::BuildPath;
pub use plan::{Layout, Plan, PlanError, Step, Target};
