//! The federation: who is in it, its durable log, and small messages over NATS.
//!
//! Actors: a [`bus`] carries messages and the log; all that stands above it is written against the trait, and is tested
//! on the twin in memory. [`keys`] signs and seals; the [`ledger`] is what this pod knows of the log; [`federation`] says who belongs to it;
//! [`beats`] who is there; a [`mesh`] is all of it together. Upon it stand [`owners`], [`projects`] and [`traces`]. This crate knows no build and no
//! swarm: what it carries for them is small, and opaque to it.

pub mod beats;
pub mod bus;
pub mod clock;
pub mod federation;
pub mod keys;
pub mod ledger;
pub mod mesh;
pub mod owners;
pub mod projects;
pub mod server;
pub mod testing;
pub mod traces;

pub use bus::{Bus, BusError};
pub use mesh::Mesh;
