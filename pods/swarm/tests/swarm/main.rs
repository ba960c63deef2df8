//! The swarm as a whole: the same laws over the twin and over real sockets, pods that lie, and pods that die.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod breaks;
mod federation;
mod laws;
mod liars;
mod memory;
mod order;
mod partition;
mod raw;
