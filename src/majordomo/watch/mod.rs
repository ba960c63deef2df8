//! Watching: what changes in a project, as it changes, and builds that follow it.
//!
//! | file | what |
//! |---|---|
//! | `watcher` | the contract: who tells that something was touched |
//! | `by_events`, `by_polling`, `twin` | the kernel's events, none, and a test's |
//! | `settle` | when a series of changes is over |
//! | `told` | what is dirty |
//! | `watched`, `projects` | a project in memory, kept right; all of them |
//! | `kept` | the last good build, for the next one with nothing to do |
//! | `follow` | builds that follow what changes |

pub mod by_events;
pub mod by_polling;
pub mod follow;
pub mod kept;
pub mod projects;
pub mod settle;
pub mod told;
#[cfg(test)]
pub mod twin;
pub mod watched;
pub mod watcher;

#[cfg(test)]
mod laws;
