//! A hermetic place for whole-system tests: a home, projects, the real binaries, and what they left behind.
//!
//! Actors: a [`Place`] owns one temporary folder with everything that a test touches, and removes it; a [`Project`] is a
//! folder in it; a [`Running`] is a binary at work, whose events can be waited for; a [`Built`] is how a build ended. Every wait has
//! an end ([`running::LIMIT`]). Each build's events are held against the laws of `docs/reference/events.md`, and when a
//! place goes, nothing of it may be mounted or running any more.

pub mod built;
pub mod clock;
pub mod debian;
pub mod engine;
pub mod gate;
pub mod hosts;
pub mod image;
pub mod larder;
pub mod left;
pub mod logins;
pub mod nats;
pub mod place;
pub mod private_mounts;
pub mod project;
pub mod random;
pub mod running;
pub mod subject;
pub mod tap;
pub mod terminal;

pub use built::Built;
pub use clock::Clock;
pub use gate::Gate;
pub use hosts::Hosts;
pub use nats::Nats;
pub use place::Place;
pub use project::Project;
pub use running::Running;
pub use tap::Tap;
