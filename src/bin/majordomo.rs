//! majordomo
fn main() {}
