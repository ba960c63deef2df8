//! The federation: who is in it, its durable log, and small messages over NATS.
//!
//! Actors: a [`bus`] carries messages and the log; all that stands above it is written against the trait, and is tested
//! on the twin in memory. This crate knows no build and no swarm: what it carries for them is small, and opaque to it.

pub mod bus;
pub mod clock;
pub mod keys;
pub mod ledger;
pub mod server;
pub mod testing;

pub use bus::{Bus, BusError};

pub mod map;
