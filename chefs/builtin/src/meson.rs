//! A project with a `meson.build`: setting up is a step, and each edge of the `build.ninja` that it writes is one.

use std::path::Path;

use chef_ninja::{Command, Edge};
use protocol::chef::{Detected, Planned};
use serde_json::Value;

use crate::ninja::{self, Kind};
use crate::{ChefError, build_folder, configure, is_file, sizes};

/// How sure a `meson.build` makes it: a little less than a `CMakeLists.txt`, so that a project with both builds.
pub const SURE: u8 = 69;

/// The edges of Meson's own targets.
const INTERNAL: &[u8] = b"meson-internal__";

/// Those of them that do not build: they would act on the user's machine or on the sources, or ask a version control.
const LEFT_OUT: [&[u8]; 11] = [
    b"TAGS",
    b"clang-format",
    b"clang-format-check",
    b"clang-tidy",
    b"clean",
    b"clean-dist",
    b"cscope",
    b"ctags",
    b"dist",
    b"install",
    b"uninstall",
];

/// Meson puts `ccache` before the compiler where it finds one. A step has nothing that could be in it.
const ENV: [(&str, &str); 1] = [("CCACHE_DISABLE", "1")];

/// What is special about the files that Meson writes.
const KIND: Kind = Kind { is_left_out, makes_nothing, is_link: |_, _| false, env: &ENV };

/// Whether it is one, and its first step.
///
/// # Errors
/// The folder for its outputs cannot be chosen.
pub fn detect(folder: &Path) -> Result<Detected, ChefError> {
    if !is_file(&folder.join("meson.build")) {
        return Ok(Detected::default());
    }
    let build = build_folder::choose(folder)?;
    let sizes = sizes::by_meson(folder)?;
    let plan = configure(&format!("meson setup --wrap-mode nodownload {build}"), &build, sizes);
    Ok(Detected { sure: SURE, found: "a `meson.build`".to_owned(), plan: Some(plan) })
}

/// The steps of the `build.ninja` that Meson wrote.
///
/// # Errors
/// It cannot be read, or is none.
pub fn replan(folder: &Path, ask: &Value) -> Result<Planned, ChefError> {
    ninja::configured(folder, ask, &KIND)
}

fn internal(edge: &Edge) -> Option<&[u8]> {
    edge.outputs.explicit.first()?.as_bytes().strip_prefix(INTERNAL)
}

fn is_left_out(edge: &Edge, command: &Command) -> bool {
    command.generator || internal(edge).is_some_and(|name| LEFT_OUT.contains(&name))
}

fn makes_nothing(edge: &Edge, _: &Command) -> bool {
    internal(edge).is_some()
}
