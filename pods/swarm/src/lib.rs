//! Connections between pods that carry chunks, trees and traces, each verified before it is seen.

mod peer;

pub use peer::{peer_of, pod_of};
