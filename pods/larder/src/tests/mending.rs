//! Damage that is mended.
