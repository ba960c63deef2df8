//! pod
fn main() {}
