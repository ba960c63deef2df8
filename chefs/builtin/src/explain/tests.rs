//! What programs really print, and what is made of it.

use super::*;

/// `PATH:LINE: text` of each reason.
fn told(output: &str) -> Vec<String> {
    let sources = |path: &str| {
        (path == "main.tex").then(|| "\\documentclass{article}\n\\usepackage{siunitx}\n".to_owned())
    };
    let place = |reason: &Reason| match (&reason.path, reason.line) {
        (Some(path), Some(line)) => format!("{path}:{line}: "),
        (Some(path), None) => format!("{path}: "),
        _ => String::new(),
    };
    reasons("", output, &sources).iter().map(|reason| format!("{}{}", place(reason), reason.text)).collect()
}

#[track_caller]
fn tells(output: &str, expected: &[&str]) {
    assert_eq!(told(output), expected, "{output}");
}

#[test]
fn who_says_nothing_known_gives_no_reason() {
    for output in [
        "",
        "\n",
        "hello\n",
        "error: \n",
        "a:b:c\n",
        ":1: error: x\n",
        "! \n",
        "*** \n",
        "make: *** [",
        "\u{fffd}:9:",
    ] {
        tells(output, &[]);
    }
}

#[test]
fn tex_errors_have_the_place_of_the_included_file() {
    tells(
        "./chap.tex:3: Undefined control sequence.\nl.3  $a_b$ and \\foo\n                   {bar} baz \n\
         Here is how much of TeX's memory you used:\n--\n./chap.tex:3:  ==> Fatal error occurred, no output PDF file produced!\n",
        &["chap.tex:3: `\\foo` is not defined"],
    );
    tells(
        "./my notes/a b.tex:4: Missing $ inserted.\n<inserted text> \n                $\nl.4 a_\n",
        &["my notes/a b.tex:4: Missing $ inserted"],
    );
    tells(
        "./a.tex:5: LaTeX Error: \\begin{itemize} on input line 3 ended by \\end{document}.\n",
        &["a.tex:5: \\begin{itemize} on input line 3 ended by \\end{document}"],
    );
}

#[test]
fn a_document_without_an_end() {
    tells(
        "! Emergency stop.\n<*> a\n      \n",
        &["the document does not end: there is no `\\end{document}`"],
    );
    tells("! I can't find file `b'.\n<*> b\n      \n! Emergency stop.\n<*> b\n", &[]);
}

#[test]
fn what_tex_misses_is_named_with_the_package_that_has_it() {
    let stop = "\nType X to quit or <RETURN> to proceed,\n\nEnter file name: \n./main.tex:3: Emergency stop.\n<read *> \n";
    // TeX had read one line on.
    tells(
        &format!("! LaTeX Error: File `siunitx.sty' not found.\n{stop}"),
        &[
            "main.tex:2: the package `siunitx` is not installed; Debian has it in the package `texlive-science`",
        ],
    );
    tells(
        &format!("! LaTeX Error: File `ours.cls' not found.\n{stop}"),
        &[
            "main.tex:3: the class `ours` is not installed; on Debian `apt-file search /ours.cls` names the package that has it",
        ],
    );
    tells(
        "./b.tex:3: LaTeX Error: File `plot.pdf' not found.\n",
        &["b.tex:3: `plot.pdf` is not there, and no step makes it"],
    );
    tells(
        "/usr/share/texlive/babel.sty:4357: Package babel Error: Unknown option 'ngerman'. Either you misspelled it\n\
         (babel)                or the language definition file ngerman.ldf was not found.\n",
        &["babel does not know the language `ngerman`; Debian has it in the package `texlive-lang-german` \
           (`/usr/share/texlive/babel.sty`, line 4357)"],
    );
    tells(
        "./bad6.tex:4: Package fontspec Error: The font \"No Such Font\" cannot be found.\n",
        &["bad6.tex:4: the font `No Such Font` is not installed"],
    );
}

#[test]
fn bibliographies() {
    tells(
        "I couldn't open database file nobib.bib\n---line 4 of file b1.aux\n : \\bibdata{nobib\n\
         I'm skipping whatever remains of this command\nI found no database files---while reading file b1.aux\n",
        &["the bibliography `nobib.bib` is not there, and no step makes it"],
    );
    tells(
        "I was expecting a `,' or a `}'---line 3 of file bad.bib\n : \n",
        &["bad.bib:3: I was expecting a `,` or a `}`"],
    );
    tells(
        "I couldn't open style file nostyle.bst\n---line 3 of file b2.aux\n",
        &["the bibliography style `nostyle` is not installed"],
    );
    tells(
        "[12] Utils.pm:411> ERROR - Cannot find 'nobib.bib'!\n",
        &["the bibliography `nobib.bib` is not there, and no step makes it"],
    );
    tells(
        "[1] Biber.pm:1> INFO - Found BibTeX data source 'refs/bad.bib'\n[2] Utils.pm:1> ERROR - BibTeX subsystem: \
         /tmp/biber_tmp_sD5D/c6_3877.utf8, line 3, syntax error: found \"title\", expected end of entry\n",
        &["refs/bad.bib:3: found \"title\", expected end of entry"],
    );
}

#[test]
fn compilers_and_linkers() {
    tells(
        "cc -c x.c\nx.c: In function ‘main’:\nx.c:1:21: error: ‘foo’ undeclared (first use in this function)\n\
         x.c:1:21: note: each undeclared identifier is reported only once\nmake: *** [<builtin>: x.o] Error 1\n",
        &["x.c:1: `foo` undeclared (first use in this function)"],
    );
    tells(
        "x.c:1:10: fatal error: nohead.h: No such file or directory\n",
        &["x.c:1: `nohead.h` is not there, neither in the project nor on this machine"],
    );
    tells(
        "make[1]: Entering directory '/project/src'\n../lib/a.c:7:1: error: expected ';' before '}' token\n",
        &["lib/a.c:7: expected `;` before `}` token"],
    );
    tells(
        "error[E0425]: cannot find value `x` in this scope\n --> src/main.rs:2:5\n  |\n2 |     x\nerror: aborting due to 1 previous error\n",
        &["src/main.rs:2: cannot find value `x` in this scope (E0425)"],
    );
    tells(
        "error: expected `;`, found `}`\n  --> crates/a/src/lib.rs:9:1\n",
        &["crates/a/src/lib.rs:9: expected `;`, found `}`"],
    );
    let undefined = "`f` is used, and nothing that is linked defines it";
    tells(
        "/usr/bin/ld: /tmp/cc.o: in function `main':\n/project/y.c:1: undefined reference to `f'\ncollect2: error: ld returned 1 exit status\n",
        &[&format!("y.c:1: {undefined}")],
    );
    tells(
        "/usr/bin/ld: /tmp/cc.o: in function `main':\ny.c:(.text+0x5): undefined reference to `f'\n",
        &[undefined],
    );
    // The first ones count.
    let many: String = (1..9).map(|line| format!("a.c:{line}:1: error: e{line}\n")).collect();
    tells(&many, &["a.c:1: e1", "a.c:2: e2", "a.c:3: e3"]);
    // What is not in the project is mended elsewhere.
    tells("/usr/include/x.h:3:1: error: bad\n", &["bad (`/usr/include/x.h`, line 3)"]);
}

#[test]
fn make_and_programs() {
    let network = |host: &str| {
        format!(
            "it wants {host}, and steps have no network: fetch it beforehand, or say `network = true` for the step in `majordomo.toml`"
        )
    };
    tells(
        "curl -sSf https://example.org/x\ncurl: (6) Could not resolve host: example.org\nmake: *** [Makefile:4: z] Error 6\n",
        &[&network("`example.org`")],
    );
    tells("wget: unable to resolve host address ‘example.org’\n", &[&network("`example.org`")]);
    tells("[Errno -3] Temporary failure in name resolution\n", &[&network("the network")]);
    tells(
        "/bin/sh: 1: lualatex: not found\n",
        &["the program `lualatex` is not installed; Debian has it in the package `texlive-luatex`"],
    );
    tells(
        "make: nosuchprog: No such file or directory\n",
        &["the program `nosuchprog` is not installed where steps see it"],
    );
    tells(
        "./run.sh: line 3: flex: command not found\n",
        &["the program `flex` is not installed; Debian has it in the package `flex`"],
    );
    tells("cat: input: No such file or directory\n", &[]);
    tells(
        "make: *** No rule to make target 'miss.c', needed by 'all'.  Stop.\n",
        &["`miss.c` is not there, and no rule makes it; `all` needs it"],
    );
    tells("M2:2: *** missing separator.  Stop.\n", &["M2:2: missing separator"]);
    tells("make: *** [Makefile:2: all] Error 1\n", &["Makefile:2: the rule for `all` ended with 1"]);
    tells(
        "make[2]: Entering directory '/project/src'\nmake[2]: *** [Makefile:9: x] Error 1\nmake[2]: Leaving directory '/project/src'\nmake[1]: *** [Makefile:3: all] Error 2\n",
        &["src/Makefile:9: the rule for `x` ended with 1", "Makefile:3: the rule for `all` ended with 2"],
    );
    tells(
        "configure: error: no acceptable C compiler found in $PATH\n",
        &["no acceptable C compiler found in $PATH"],
    );
    tells(
        "error: no matching package named `serde` found\nlocation searched: registry `crates-io`\n",
        &[
            "Cargo.toml: the crate `serde` is not here, and steps have no network: `cargo vendor` brings it into the project",
        ],
    );
}

#[test]
fn what_cannot_be_configured() {
    tells(
        "CMake Error at deeper/CMakeLists.txt:1 (find_package):\n  By not providing \"FindX.cmake\" in CMAKE_MODULE_PATH this\n  project has asked\n\n  \
         Could not find a package configuration file provided by \"X\"\n  with any of the following names:\n\n    XConfig.cmake\n\n\n-- Configuring incomplete, errors occurred!\n",
        &["deeper/CMakeLists.txt:1: the package `X` is not on this machine"],
    );
    tells(
        "CMake Error at /usr/share/cmake-3.25/Modules/FindPackageHandleStandardArgs.cmake:230 (message):\n  Could NOT find PNG (missing: PNG_LIBRARY)\n\
         Call Stack (most recent call first):\n  /usr/share/cmake-3.25/Modules/FindPNG.cmake:163 (find_package_handle)\n  CMakeLists.txt:5 (find_package)\n\n\n",
        &["CMakeLists.txt:5: the package `PNG` is not on this machine"],
    );
    tells(
        "CMake Error at CMakeLists.txt:9 (add_subdirectory):\n  add_subdirectory given source \"deeper\" which is not an existing directory.\n\n\n",
        &["CMakeLists.txt:9: add_subdirectory given source \"deeper\" which is not an existing directory."],
    );
    tells("CMake Error at x:1 (message):\n\nCMake Error at y (message):\n", &[]);
    tells(
        "meson.build:13:0: ERROR: Nonexistent build file 'deeper/meson.build'\n",
        &["meson.build:13: Nonexistent build file `deeper/meson.build`"],
    );
}

#[test]
fn paths_are_those_of_the_project() {
    let first = |cwd: &str, output: &str| reasons(cwd, output, &|_| None).remove(0).path;
    assert_eq!(first("doc", "./ch/a.tex:3: Undefined control sequence.\n").as_deref(), Some("doc/ch/a.tex"));
    assert_eq!(first("doc", "../a.c:3:1: error: x\n").as_deref(), Some("a.c"));
    assert_eq!(first("doc", "../../../a.c:3:1: error: x\n"), None);
}
