//! The hidden first argument `zygote`: this program once more, as the process that mounts and forks steps.

/// The hidden argument.
pub const ZYGOTE: &str = "zygote";

/// Becomes the zygote if the first argument says so, and then never returns. To be called before anything else in
/// `main`: the zygote must be small, single-threaded and without handlers of its own.
pub fn become_it_if_asked() {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == ZYGOTE) {
        kitchen::zygote_main();
    }
}
