//! Calls in CMake's and Meson's languages by which a project may ask how big files are.

use std::collections::BTreeSet;

/// What of CMake's `file(…)` says nothing of sizes.
const FILE_OPERATIONS: [&str; 31] = [
    "read",
    "strings",
    "md5",
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sha3_224",
    "sha3_256",
    "sha3_384",
    "sha3_512",
    "timestamp",
    "write",
    "append",
    "touch",
    "touch_nocreate",
    "generate",
    "configure",
    "glob",
    "glob_recurse",
    "make_directory",
    "remove",
    "remove_recurse",
    "rename",
    "copy",
    "install",
    "real_path",
    "relative_path",
    "to_cmake_path",
    "to_native_path",
];

/// Programs that look for no file of the project, as they may be named: what they tell has nothing of its sizes.
const HARMLESS: [&str; 16] = [
    "git",
    "${git_executable}",
    "uname",
    "date",
    "hostname",
    "whoami",
    "nproc",
    "pkg-config",
    "${pkg_config_executable}",
    "llvm-config",
    "xcrun",
    "xcode-select",
    "sw_vers",
    "${cmake_c_compiler}",
    "${cmake_cxx_compiler}",
    "ldconfig",
];

/// Commands of CMake that may run, by whatever name, what asks.
const INDIRECT: [&str; 2] = ["exec_program", "cmake_language"];

/// Commands of CMake by which any folder may be taken in.
const TAKING: [&str; 3] = ["subdirs", "fetchcontent_makeavailable", "fetchcontent_populate"];

/// What of `cmake -E` looks for no file, or opens it.
const TOOLS: [&str; 9] = [
    "echo",
    "echo_append",
    "make_directory",
    "remove",
    "rm",
    "remove_directory",
    "touch",
    "copy",
    "create_symlink",
];

pub(super) fn ask_in_cmake(text: &str) -> bool {
    let text = without_comments(text);
    let is_unknown = |rest: &str| !FILE_OPERATIONS.contains(&word(rest));
    let is_foreign = |rest: &str| {
        let file = word(rest).trim_matches('"');
        !file.ends_with(".cmake") && !file.ends_with('}') && file.contains('.')
    };
    INDIRECT.iter().any(|name| calls(&text, name).next().is_some())
        || calls(&text, "file").any(is_unknown)
        || calls(&text, "include").any(is_foreign)
        || calls(&text, "execute_process").any(|rest| !runs_harmless(rest))
}

pub(super) fn is_cmake_project(text: &str) -> bool {
    calls(&without_comments(text), "project").next().is_some()
}

/// The folders that a CMake project takes in.
#[derive(Default)]
pub(super) struct Taken {
    /// Their last names.
    names: BTreeSet<String>,
    /// Any, for all that can be told.
    is_any: bool,
}

impl Taken {
    /// Notes which ones this file takes in.
    pub(super) fn by(&mut self, text: &str) {
        let text = without_comments(text);
        self.is_any |= TAKING.iter().any(|name| calls(&text, name).next().is_some());
        // Of a project, if not of files.
        let of_files = |rest: &str| arguments(rest, b'"').is_some_and(|all| all.contains("sources"));
        self.is_any |=
            ["try_compile", "try_run"].iter().any(|name| calls(&text, name).any(|rest| !of_files(rest)));
        for rest in calls(&text, "add_subdirectory") {
            let folder = word(rest).trim_matches('"').trim_end_matches('/');
            let name = folder.rsplit('/').next().unwrap_or_default();
            self.is_any |= name.contains(['$', '#', '.', '[']);
            self.names.insert(name.to_owned());
        }
    }

    /// All that another one takes in, too.
    pub(super) fn join(&mut self, other: Self) {
        self.is_any |= other.is_any;
        self.names.extend(other.names);
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.is_any || self.names.contains(name)
    }
}

pub(super) fn ask_in_meson(text: &str) -> bool {
    let text = without_comments(text);
    let is_harmless = |rest: &str| HARMLESS.contains(&word(rest).trim_matches('\''));
    ["size", "add_postconf_script"].iter().any(|name| calls(&text, name).next().is_some())
        || calls(&text, "run_command").any(|rest| !is_harmless(rest))
        || calls(&text, "configure_file")
            .any(|rest| arguments(rest, b'\'').is_none_or(|all| all.contains("command")))
}

/// In lower case, without lines that are comments as a whole.
fn without_comments(text: &str) -> String {
    let said = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    said.flat_map(|line| [line, "\n"]).collect::<String>().to_ascii_lowercase()
}

/// What stands in the brackets of each call of this name, and all behind it.
fn calls<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = &'t str> {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.match_indices(name).filter_map(move |(at, _)| {
        let is_whole = at == 0 || !is_of_name(text.as_bytes()[at - 1]);
        let rest = text[at + name.len()..].trim_start().strip_prefix('(')?;
        is_whole.then(|| rest.trim_start())
    })
}

fn word(text: &str) -> &str {
    text.split(|c: char| c.is_ascii_whitespace() || matches!(c, ')' | ',')).next().unwrap_or_default()
}

/// What stands in the brackets, with this mark around texts; `None` if it is not simply seen where they end.
fn arguments(text: &str, mark: u8) -> Option<&str> {
    let (mut depth, mut is_text, mut bytes) = (1, false, text.bytes().enumerate());
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => _ = bytes.next(),
            _ if byte == mark => is_text = !is_text,
            _ if is_text => {}
            b'#' => return None,
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.get(..at);
        }
    }
    None
}

/// Whether all that this `execute_process` runs is harmless.
fn runs_harmless(text: &str) -> bool {
    // Texts in `[[` and `]]` have no marks.
    let Some(all) = arguments(text, b'"').filter(|all| !all.contains('[')) else { return false };
    let words: Vec<&str> = all
        .split([' ', '\t', '\r', '\n', ';'])
        .filter(|word| !word.is_empty())
        .map(|word| word.trim_matches('"'))
        .collect();
    let is_known = |at: usize| match words.get(at..).unwrap_or_default() {
        ["${cmake_command}", "-e", tool, ..] => TOOLS.contains(tool),
        [program, ..] => HARMLESS.contains(program),
        [] => false,
    };
    let mut runs = words.iter().enumerate().filter(|(_, word)| **word == "command").peekable();
    // A variable could be a whole command.
    runs.peek().is_some_and(|(at, _)| *at == 0) && runs.all(|(at, _)| is_known(at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cmake_asks() {
        for text in [
            "file(SIZE data.bin N)",
            "set(x y)\nFILE (\n  SIZE data.bin N)",
            "file(  SIZE data.bin N)",
            "file(\tSIZE data.bin N)",
            "file( # of it\n SIZE data.bin N)",
            "file(\n  # of it\n SIZE data.bin N)",
            "set(OP SIZE)\nfile(${OP} data.bin N)",
            "cmake_language(CALL file SIZE data.bin N)",
            "execute_process(COMMAND sh ${CMAKE_SOURCE_DIR}/s.sh OUTPUT_VARIABLE N)",
            "execute_process(\n  COMMAND \"python3\" sz.py)",
            "execute_process(COMMAND git log COMMAND ./gen)",
            "execute_process(COMMAND git log \"\\\")\" COMMAND ./gen)",
            "execute_process(COMMAND git log [=[)]=] COMMAND ./gen)",
            "execute_process(${WHAT} COMMAND git log)",
            "execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files a b)",
            "exec_program(du ARGS -b data.bin)",
            "include(sizes.inc)",
        ] {
            assert!(ask_in_cmake(text), "{text}");
        }
    }

    #[test]
    fn cmake_does_not_ask() {
        for text in [
            "file(GLOB sources *.c)\nfile (READ version.h v)",
            "configure_file(${CMAKE_SOURCE_DIR}/a.in a)\nread_file(size)\n# file (see there)",
            "execute_process(COMMAND git describe --tags\n  OUTPUT_VARIABLE v)\nadd_custom_command(COMMAND sh gen.sh)",
            "execute_process(COMMAND ${CMAKE_COMMAND} -E echo \"${WINSDK_SETENV}\"\n  OUTPUT_VARIABLE winsdk)",
            "include(GNUInstallDirs)\ninclude(\"cmake/JoinPaths.cmake\")\ninclude(${CPACK_FILE})",
        ] {
            assert!(!ask_in_cmake(text), "{text}");
        }
    }

    #[test]
    fn meson_asks() {
        for (text, asks) in [
            ("n = import('fs').size('data.bin')", true),
            ("n = fs.size (\n  'data.bin')", true),
            ("v = run_command('sh', 'gen.sh', check: true)", true),
            ("v = run_command(gen)", true),
            ("configure_file(input: 'a', output: 'b', command: [gen, '@INPUT@'])", true),
            ("configure_file(input: 'a', output: 'b', configuration: data({}))", false),
            ("configure_file(input: files(')'), output: 'b', command: [gen])", true),
            ("meson.add_postconf_script('gen.sh')", true),
            ("v = run_command('git', 'describe', check: false)", false),
            ("configure_file(input: 'a', output: 'b', configuration: data)", false),
            ("custom_target('x', command: [gen], output: 'y')\nsize = 3", false),
        ] {
            assert_eq!(ask_in_meson(text), asks, "{text}");
        }
    }
}
