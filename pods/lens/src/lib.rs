//! Lenses: the part of a file that matters to its reader, and the normal form of an output.
//!
//! A [`Projection`] stands between a file and one reader: the digest of what it leaves takes the place of the content's digest
//! in the reader's trace, so a change that it hides runs nothing. A [`Normaliser`] rewrites what a step made, before it
//! is stored, for all readers. Both are pure functions from bytes to bytes, with a [`LensId`] whose digest is part of the
//! weak key of every step that they apply to. Bytes of a format that they do not know stay as they are; they never fail.
//!
//! - [`lens`]: the traits, which are the contract; [`registry`]: lenses by name;
//! - [`memo`]: what projections left of which bytes, so that they run once;
//! - `pdf`, `bibtex_aux`, `ignore`, `key_path`: what is built in; - [`ld_cache`]: the one that every step looks through.
//!
//! The mechanism is open: whoever has another lens adds it to a [`Registry`]. A chef's will be a program, whose digest is
//! then among its parameters. Not here: which lens applies to which path of which step (the node's).

mod bibtex_aux;
mod ignore;
mod key_path;
pub mod ld_cache;
pub mod lens;
pub mod memo;
mod pdf;
pub mod registry;

#[cfg(test)]
mod tests;

pub use lens::{LensId, Normaliser, Projection};
pub use memo::Memo;
pub use registry::{BadLens, Registry, builtin};
