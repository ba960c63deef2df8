//! Words in a `configure` script by which it may ask how big files are. Autoconf's own macros ask it of nothing but what they made themselves.

use std::collections::BTreeSet;

const ASKING: [&str; 10] =
    ["test -s", "[ -s", "! -s ", "-size", "ls -l", "ls -s", "stat -", "du -", "getsize", "os.stat("];

/// What Autoconf's macros make, and look at.
const OWN_FILES: [&str; 2] = ["conftest", "confdefs"];

/// Scripts that come with the Autotools. They are told what to look at, and it is no source.
const OWN_SCRIPTS: [&str; 15] = [
    "ar-lib",
    "compile",
    "config.guess",
    "config.rpath",
    "config.status",
    "config.sub",
    "configure",
    "depcomp",
    "install-sh",
    "ltmain.sh",
    "mdate-sh",
    "missing",
    "mkinstalldirs",
    "test-driver",
    "ylwrap",
];

/// What compilers and macro processors read, which nobody runs.
const SOURCES: [&str; 14] =
    [".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".m", ".s", ".S", ".in", ".ac", ".am", ".m4"];

/// Whether a file of this name is a source for a compiler, or a template.
pub(super) fn is_source(name: &str) -> bool {
    SOURCES.iter().any(|end| name.ends_with(end))
}

pub(super) fn asks(script: &str) -> bool {
    let is_own = |line: &str| OWN_FILES.iter().any(|file| line.contains(file));
    said(script).filter(|line| !is_own(line)).any(|line| ASKING.iter().any(|word| line.contains(word)))
}

/// All that could be the name of a file in it.
pub(super) fn names(script: &str) -> BTreeSet<&str> {
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
    said(script).flat_map(|line| line.split(move |c| !is_of_name(c))).collect()
}

/// Whether a file of this name, which begins so, is a script of the project's own.
pub(super) fn is_script(name: &str, begins: &str) -> bool {
    let is_named_so = [".sh", ".py", ".pl", ".awk"].iter().any(|end| name.ends_with(end));
    (begins == "#!" || is_named_so) && !OWN_SCRIPTS.contains(&name)
}

fn said(script: &str) -> impl Iterator<Item = &str> {
    script.lines().filter(|line| !line.trim_start().starts_with('#'))
}
