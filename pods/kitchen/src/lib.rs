//! kitchen.
