//! A Rust project: `cargo build`, without the network, over the `target` folder that it left.
//!
//! The folder is one of its own below the usual one, for what an ordinary cargo has left there is of other paths and
//! times. It stays in the larder; the programs alone are handed over. Crates have to be in the project (`cargo vendor`) or
//! on the machine, by a `[source]` of the project's `.cargo/config.toml`.

use std::path::Path;

use protocol::chef::Detected;
use serde_json::{Value, json};

use crate::{ChefError, is_file, plan};

mod manifest;

/// How sure a `Cargo.toml` makes it: more than a Makefile beside it, which mostly calls cargo.
pub const SURE: u8 = 60;

/// The folder that cargo writes to. Ignored by whoever ignores cargo's own, and removed by `cargo clean`.
pub const TARGET: &str = "target/majordomo";

/// What cargo and rustc know of: of each they note what was made of it. Any other file may be a build script's.
const KNOWN: [&str; 5] =
    ["**/Cargo.toml", "**/Cargo.lock", "**/.cargo/*", "**/.cargo-checksum.json", "**/*.rs"];

/// Whether it is one, and its plan.
///
/// # Errors
/// A `Cargo.toml` that has to be known cannot be read, or is none.
pub fn detect(folder: &Path) -> Result<Detected, ChefError> {
    let manifest = folder.join(manifest::NAME);
    if !is_file(&manifest) {
        return Ok(Detected::default());
    }
    // A lock is a source, which no step may change.
    let way = if is_file(&folder.join("Cargo.lock")) { "--frozen" } else { "--offline" };
    let programs = manifest::programs(folder)?;
    let places: Vec<String> = match manifest::builds_elsewhere(folder)? {
        true => vec![],
        false => programs.iter().map(|name| format!("{TARGET}/debug/{name}")).collect(),
    };
    let environment = json!({ "CARGO_TARGET_DIR": TARGET });
    let mut build = json!({ "run": format!("cargo build --quiet {way}"), "keep": true, "notices": KNOWN, "env": environment });
    if !places.is_empty() {
        build["out"] = json!(places);
    }
    let test = json!({ "run": format!("cargo test --quiet --workspace {way}"), "after": "cargo", "env": environment });
    let wanted: Vec<&str> = match places.is_empty() {
        true => vec!["cargo"],
        false => places.iter().map(String::as_str).collect(),
    };
    let steps: [(String, Value); 2] = [("cargo".to_owned(), build), ("test".to_owned(), test)];
    Ok(Detected { sure: SURE, found: format!("a `{}`", manifest::NAME), plan: Some(plan(steps, &wanted)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, path: &str, text: &str) {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn file(folder: &Path) -> Value {
        Value::Object(detect(folder).unwrap().plan.unwrap().file)
    }

    #[test]
    fn programs_are_what_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert_eq!(detect(at).unwrap(), Detected::default());
        write(at, "Cargo.toml", "[package]\nname = \"my-tool\"\nversion = \"1.0.0\"\n");
        let env = json!({ "CARGO_TARGET_DIR": "target/majordomo" });
        let test = json!({ "run": "cargo test --quiet --workspace --offline", "after": "cargo", "env": env });
        let library =
            json!({ "run": "cargo build --quiet --offline", "keep": true, "notices": KNOWN, "env": env });
        assert_eq!(
            file(at),
            json!({ "project": { "targets": ["cargo"] }, "step": { "cargo": library, "test": test } })
        );

        write(at, "src/main.rs", "");
        write(at, "Cargo.lock", "");
        let step = &file(at)["step"]["cargo"];
        assert_eq!(step["run"], "cargo build --quiet --frozen");
        assert_eq!(step["out"], json!(["target/majordomo/debug/my-tool"]));
        assert_eq!(file(at)["project"]["targets"], step["out"]);

        // For another machine it is put elsewhere.
        write(at, ".cargo/config.toml", "[build]\ntarget = \"wasm32-unknown-unknown\"\n");
        assert_eq!(file(at)["step"]["cargo"]["out"], Value::Null);
    }

    #[test]
    fn a_manifest_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "Cargo.toml", "[package\n");
        let error = detect(folder.path()).unwrap_err().to_string();
        assert!(error.contains("Cargo.toml") && error.contains("cannot be understood"), "{error}");
    }
}
