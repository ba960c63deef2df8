//! ComputePods.
