//! The majordomo: drives the build of one project for one user.
//!
//! | module | what |
//! |---|---|
//! | `request` | what can be asked, and what is answered: plain data |
//! | `session`, `client`, `serve` | a client's side, and the holder's side of `pod.sock` |
//! | `holder`, `standing` | who holds a home: a majordomo while it builds, or a pod of its own |
//! | `membership` | what is asked of the federation, if the pod is in one: `mesh` answers |
//! | `service` | carries out requests; `border` finds the words for failures |
//! | `noop` | the build with nothing to do |
//! | `recall`, `records`, `facets`, `failures` | what is remembered of the last build, of each step, of its key, of how it failed |
//! | `prepare` | workspace, `snapshot`, `project_file`, `plan` and tools together |
//! | `chefs` | who plans a project that says no steps |
//! | `build` | attempts, order, one step, hand-over |
//! | `launch` | programs of functions: each call a step |
//! | `shell` | somebody who looks into a step's root |
//! | `watch` | what changes, as it changes; builds that follow it |
//! | `tree_files` | trees of the larder as files of a folder |
//! | `journal` | what the last builds said, for whoever follows them |
//! | `uses` | what a project takes of other projects |
//! | `inspect` | status, why, trace, graph; forget and clean |

pub mod border;
pub mod build;
pub mod chefs;
pub mod client;
mod collect;
mod door;
pub mod facets;
pub mod failures;
pub mod handover;
pub mod holder;
pub mod images;
pub mod inspect;
pub mod journal;
pub mod launch;
pub mod membership;
pub mod noop;
pub mod plan;
pub mod prepare;
pub mod project_file;
pub mod recall;
pub mod records;
pub mod request;
pub mod revoked;
pub mod secrets;
pub mod serve;
pub mod service;
pub mod session;
pub mod shell;
pub mod sink;
pub mod snapshot;
pub mod sources;
pub mod standing;
pub mod tool_roots;
pub mod tree_files;
pub mod uses;
pub mod watch;
pub mod workspace;

use std::path::Path;

use request::{Failure, Reply, Request};

use crate::interrupt::Interrupt;

/// A majordomo as its client sees it: in this process, or behind `pod.sock`.
pub trait Majordomo {
    /// Carries out a request, and returns when it has ended. `on` is called for each reply in order, on this thread;
    /// the last one is [`Reply::Done`], unless an `Err` is returned.
    ///
    /// When `interrupt` is set, the request is cancelled: it ends within a second, as a build with the outcome
    /// `Cancelled`, and leaves nothing behind.
    ///
    /// # Errors
    /// The request could not be carried out. A step that failed is no such error.
    fn ask(&self, request: Request, interrupt: &Interrupt, on: &mut dyn FnMut(Reply)) -> Result<(), Failure>;
}

/// Finds or makes the majordomo of a home.
pub type Open<'a> = &'a dyn Fn(&Path) -> Result<Box<dyn Majordomo>, Failure>;
