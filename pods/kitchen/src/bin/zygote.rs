//! A zygote and nothing else, for tests and benchmarks of this crate.

fn main() {
    kitchen::zygote_main()
}
