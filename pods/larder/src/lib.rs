//! A pod's content-addressed store.
