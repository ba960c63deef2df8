//! Secrets of functions: variables of the program's environment, as files for those calls alone.

use std::fs;
use std::path::Path;

use super::Program;
use crate::common::{Place, Running};

const PROGRAM: &str = r#"
import hashlib, os

@app.function(secrets=["TOKEN"])
def use():
    with open("/run/secrets/TOKEN") as file:
        token = file.read()
    print("it is", token)
    return hashlib.sha256(token.encode()).hexdigest()[:8], os.environ.get("TOKEN"), os.listdir("/run/secrets")

@app.function()
def other():
    return os.path.exists("/run/secrets/TOKEN")

@app.local_entrypoint()
def main():
    print(use.remote(), other.remote())
    try:
        computepods.App().function(secrets="TOKEN", cache=True)(print)
    except ValueError as error:
        print(error)

@app.local_entrypoint()
def without():
    try:
        use.remote()
    except computepods.Refused as error:
        print(error)
"#;

const TOKEN: &str = "the-token-that-nobody-sees";

/// The files below a folder in which a text stands.
fn that_hold(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(that_hold(&entry.path(), text)),
            Ok(kind) if kind.is_file() => {
                let bytes = fs::read(entry.path()).unwrap_or_default();
                if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
                    found.push(entry.path().display().to_string());
                }
            }
            _ => {}
        }
    }
    found
}

#[test]
fn a_function_finds_its_secrets_and_nobody_else_does() {
    let place = Place::new();
    Program::new(&place, PROGRAM);
    let mut launch = place.command("majordomo", &["launch", "program/program.py::main"]);
    launch.env("TOKEN", TOKEN);
    let said = Running::start(launch).end().ok();
    let expected = "('e115b8f4', None, ['TOKEN']) False\n`print` has secrets, and what it makes of them is not kept: take `cache` out\n";
    assert_eq!(said.stdout, expected, "{}", said.shown());
    assert!(said.stderr.contains("it is ***") && !said.stderr.contains(TOKEN), "{}", said.stderr);
    assert_eq!(that_hold(place.path(), TOKEN), [""; 0]);
    let missing =
        Running::start(place.command("majordomo", &["launch", "-q", "program/program.py::without"]))
            .end()
            .ok();
    let words = "the secret `TOKEN` of `use` is not in the environment: set `TOKEN` and launch again\n";
    assert_eq!(missing.stdout, words);
    place.assert_nothing_left();
}
