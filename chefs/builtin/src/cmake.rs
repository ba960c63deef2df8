//! A project with a `CMakeLists.txt`: configuring is a step, and each edge of the `build.ninja` that it writes is one.
//!
//! What CMake's Ninja generator writes besides what builds: the targets by which it would run itself again (configuring is
//! a step, and runs again when something that it looked at has changed), those that clean and install, and those that make
//! no file (`test`, `add_custom_target`).

use std::path::Path;

use chef_ninja::{Command, Edge};
use protocol::chef::{Detected, Planned};
use serde_json::Value;

use crate::ninja::{self, Kind};
use crate::{ChefError, build_folder, configure, is_file, sizes};

/// How sure a `CMakeLists.txt` makes it: more than a Makefile, which is often made by CMake or for it, and less than a
/// `configure` of Autoconf.
pub const SURE: u8 = 70;

/// Programs look for the project's own libraries from where they are themselves: where they were linked is no place of the
/// user's machine.
const ORIGIN: &str = "CMAKE_BUILD_RPATH_USE_ORIGIN=ON";

/// Rules that nobody needs whose build is made of steps.
const OWN_RULES: [&[u8]; 4] = [b"CLEAN", b"HELP", b"RERUN_CMAKE", b"VERIFY_GLOBS"];

/// Targets of CMake's own that do not build: what they would do, they would do to the user's machine or to the cache.
const OWN_TARGETS: [&[u8]; 6] = [
    b"edit_cache.util",
    b"install.util",
    b"install/local.util",
    b"install/strip.util",
    b"list_install_components.util",
    b"rebuild_cache.util",
];

/// What is special about the files that CMake writes.
const KIND: Kind = Kind { is_left_out, makes_nothing, is_link, env: &[] };

/// Whether it is one, and its first step.
///
/// # Errors
/// The folder for its outputs cannot be chosen.
pub fn detect(folder: &Path) -> Result<Detected, ChefError> {
    if !is_file(&folder.join("CMakeLists.txt")) {
        return Ok(Detected::default());
    }
    let build = build_folder::choose(folder)?;
    let sizes = sizes::by_cmake(folder)?;
    let command = format!("cmake -G Ninja -S . -B {build} -D{ORIGIN}");
    let plan = configure(&command, &build, sizes);
    Ok(Detected { sure: SURE, found: "a `CMakeLists.txt`".to_owned(), plan: Some(plan) })
}

/// The steps of the `build.ninja` that CMake wrote.
///
/// # Errors
/// It cannot be read, or is none.
pub fn replan(folder: &Path, ask: &Value) -> Result<Planned, ChefError> {
    ninja::configured(folder, ask, &KIND)
}

/// What stands in `CMakeFiles` of some folder is a name for a target that makes no file.
fn name_of_target(edge: &Edge) -> Option<&[u8]> {
    const FOLDER: &[u8] = b"CMakeFiles/";
    let path = edge.outputs.explicit.first()?.as_bytes();
    let start = path.windows(FOLDER.len()).rposition(|part| part == FOLDER)?;
    let is_start = start == 0 || path[start - 1] == b'/';
    is_start.then(|| &path[start + FOLDER.len()..])
}

fn is_left_out(edge: &Edge, command: &Command) -> bool {
    let is_own = |name: &[u8]| OWN_TARGETS.contains(&name);
    command.generator || OWN_RULES.contains(&&*command.rule) || name_of_target(edge).is_some_and(is_own)
}

fn makes_nothing(edge: &Edge, command: &Command) -> bool {
    let is_name = |name: &[u8]| !name.contains(&b'/') || name.ends_with(b".util");
    *command.rule == *b"CUSTOM_COMMAND" && name_of_target(edge).is_some_and(is_name)
}

fn is_link(_: &Edge, command: &Command) -> bool {
    command.rule.starts_with(b"CMAKE_SYMLINK_")
}
