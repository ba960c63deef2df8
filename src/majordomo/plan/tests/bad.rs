use super::{said, try_plan};

/// A step `a` with these lines in it.
fn step(lines: &str) -> String {
    format!("[step.a]\nrun = \"true\"\n{lines}\n")
}

#[test]
fn patterns_that_match_nothing() {
    let names = "Makefile src/a.cc src/b.cc src/c.h src/deep/d.c docs/x/y.md .hidden/a.c";
    insta::assert_snapshot!(said(&step("each = \"src/*.c\""), names), @r#"
    demo/majordomo.toml:3:8: `src/*.c` in `each` of `a` matches no source and no declared output
      |
    3 | each = "src/*.c"
      |        ^^^^^^^^^
    hint: `src/**/*.c` would match 1, as `**` looks in all folders
    hint: `src/` has 2 × `*.cc`, 1 × `*.h`
    "#);
    insta::assert_snapshot!(said(&step("in = \"scr/*.cc\""), names), @r#"
    demo/majordomo.toml:3:6: `scr/*.cc` in `in` of `a` matches no source and no declared output
      |
    3 | in = "scr/*.cc"
      |      ^^^^^^^^^^
    hint: there is no folder `scr/`; did you mean `src/`?
    "#);
    insta::assert_snapshot!(said(&step("in = \"Src/*.cc\""), names), @r#"
    demo/majordomo.toml:3:6: `Src/*.cc` in `in` of `a` matches no source and no declared output
      |
    3 | in = "Src/*.cc"
      |      ^^^^^^^^^^
    hint: case counts: there is `src/a.cc`
    "#);
    insta::assert_snapshot!(said(&step("in = \"docs/x\""), names), @r#"
    demo/majordomo.toml:3:6: `docs/x` in `in` of `a` matches no source and no declared output
      |
    3 | in = "docs/x"
      |      ^^^^^^^^
    hint: `docs/x` is a folder: write `docs/x/` for all that is in it
    "#);
    insta::assert_snapshot!(said(&step("in = \"src/a.c\""), names), @r#"
    demo/majordomo.toml:3:6: `src/a.c` in `in` of `a` matches no source and no declared output
      |
    3 | in = "src/a.c"
      |      ^^^^^^^^^
    hint: did you mean `src/a.cc`?
    "#);
    insta::assert_snapshot!(said(&step("in = \".hidden/*.h\""), names), @r#"
    demo/majordomo.toml:3:6: `.hidden/*.h` in `in` of `a` matches no source and no declared output
      |
    3 | in = ".hidden/*.h"
      |      ^^^^^^^^^^^^^
    hint: `.hidden/` has 1 × `*.c`
    "#);
    insta::assert_snapshot!(said(&step("in = \"elsewhere/*\""), names), @r#"
    demo/majordomo.toml:3:6: `elsewhere/*` in `in` of `a` matches no source and no declared output
      |
    3 | in = "elsewhere/*"
      |      ^^^^^^^^^^^^^
    hint: there is no file in a folder `elsewhere/`
    "#);
    insta::assert_snapshot!(said(&step("each = \"*/*.cc\"\nin = \"{dir}/{stem}.hh\""), names), @r#"
    demo/majordomo.toml:4:6: `src/a.hh` in `in` of `a:src/a.cc` matches no source and no declared output
      |
    4 | in = "{dir}/{stem}.hh"
      |      ^^^^^^^^^^^^^^^^^
    hint: did you mean `src/a.cc`?
    "#);
    insta::assert_snapshot!(said(&step("in = \"*.c\""), ""), @r#"
    demo/majordomo.toml:3:6: `*.c` in `in` of `a` matches no source and no declared output
      |
    3 | in = "*.c"
      |      ^^^^^
    hint: the project has no files
    "#);
}

#[test]
fn patterns_that_are_none() {
    insta::assert_snapshot!(said(&step("in = \"../x\""), "x"), @r#"
    demo/majordomo.toml:3:6: `../x` in `in` of `a` is no pattern: it has an empty or `..` part, and patterns stay inside the project
      |
    3 | in = "../x"
      |      ^^^^^^
    hint: name it from the project's folder; tools outside of it are seen anyway
    "#);
    insta::assert_snapshot!(said(&step("each = \"/usr/*.c\""), "x"), @r#"
    demo/majordomo.toml:3:8: `/usr/*.c` in `each` of `a` is no pattern: it is absolute, and patterns stay inside the project
      |
    3 | each = "/usr/*.c"
      |        ^^^^^^^^^^
    hint: name it from the project's folder; tools outside of it are seen anyway
    "#);
    insta::assert_snapshot!(said(&step("each = \"{stem}.c\""), "x"), @r#"
    demo/majordomo.toml:3:8: `{stem}.c` in `each` of `a` is no pattern: `{stem}` is neither a placeholder nor a choice like `{a,b}`
      |
    3 | each = "{stem}.c"
      |        ^^^^^^^^^^
    hint: placeholders are `{in}`, `{stem}` and `{dir}`, not in `each`; a plain brace is `\{`
    "#);
    insta::assert_snapshot!(said(&step("in = [\"x\", \"[a\"]"), "x"), @r#"
    demo/majordomo.toml:3:12: `[a` in `in` of `a` is no pattern: a `[` has no matching `]`, or a range in it is backwards
      |
    3 | in = ["x", "[a"]
      |            ^^^^
    "#);
}

#[test]
fn placeholders_that_stand_for_nothing() {
    insta::assert_snapshot!(said("[step.a]\nrun = \"cc {in}\"", "x"), @r#"
    demo/majordomo.toml:2:7: `{in}` in `run` of `a` stands for nothing: the step has neither `each` nor `in`
      |
    2 | run = "cc {in}"
      |       ^^^^^^^^^
    hint: give the step `each`; inside of a shell text, `{''in}` is plain text
    "#);
    insta::assert_snapshot!(said("[step.a]\nrun = [\"cc\", \"{out}\"]", "x"), @r#"
    demo/majordomo.toml:2:14: `{out}` in `run` of `a` stands for nothing: the step has no `out`
      |
    2 | run = ["cc", "{out}"]
      |              ^^^^^^^
    hint: declare what the step makes in `out`, or write the text in another way
    "#);
    insta::assert_snapshot!(said(&step("out = \"{stem}.o\""), "x"), @r#"
    demo/majordomo.toml:3:7: `{stem}` in `out` of `a` stands for nothing: the step has no `each`
      |
    3 | out = "{stem}.o"
      |       ^^^^^^^^^^
    hint: give the step `each`; inside of a shell text, `{''in}` is plain text
    "#);
    insta::assert_snapshot!(said(&step("each = \"x\"\nout = \"{out}.o\""), "x"), @r#"
    demo/majordomo.toml:4:7: `{out}` in `out` of `a` stands for nothing: it can be used in `run` and `env` only
      |
    4 | out = "{out}.o"
      |       ^^^^^^^^^
    hint: declare what the step makes in `out`, or write the text in another way
    "#);
    insta::assert_snapshot!(said(&step("each = \"x\"\nout = \"{stme}.o\""), "x"), @r#"
    demo/majordomo.toml:4:7: `{stme}` in `out` is no placeholder; the nearest is `{stem}`
      |
    4 | out = "{stme}.o"
      |       ^^^^^^^^^^
    hint: the placeholders are `{in}`, `{out}`, `{stem}` and `{dir}`; a plain brace is `\x7b`
    "#);
    insta::assert_snapshot!(said(&step("each = \"x\"\nout = \"${stem}.o\""), "x"), @r#"
    demo/majordomo.toml:4:7: `${stem}` in `out` is no placeholder; the nearest is `{stem}`
      |
    4 | out = "${stem}.o"
      |       ^^^^^^^^^^^
    hint: the placeholders are `{in}`, `{out}`, `{stem}` and `{dir}`; a plain brace is `\x7b`
    "#);
    insta::assert_snapshot!(said("[step.a]\nin = \"*\"\nrun = [\"cc\", \"-I{in}\"]", "x y"), @r#"
    demo/majordomo.toml:3:14: `{in}` stands for 2 paths, and this word has room for one
      |
    3 | run = ["cc", "-I{in}"]
      |              ^^^^^^^^
    hint: let the word be nothing else, or use a shell text
    "#);
}

#[test]
fn paths_that_no_file_can_have() {
    for (long, is_one) in [
        ("x".repeat(255), true),
        ("x".repeat(256), false),
        ("x/".repeat(2047) + "x", true),
        ("x/".repeat(2048) + "x", false),
    ] {
        for key in ["out", "cwd", "scratch"] {
            let planned = try_plan(&step(&format!("{key} = \"{long}\"")), "y");
            let is_long =
                planned.is_err_and(|error| error.to_string().contains("is longer than a path can be"));
            assert_eq!(is_long, !is_one, "{key}: {} bytes", long.len());
        }
    }
}

#[test]
fn paths_that_cannot_be_promised() {
    insta::assert_snapshot!(said(&step("out = \"obj/*.o\""), "x"), @r#"
    demo/majordomo.toml:3:7: `out` takes paths, and `obj/*.o` is a pattern
      |
    3 | out = "obj/*.o"
      |       ^^^^^^^^^
    hint: name each path; a final `/` stands for a whole tree, and what is not declared is found out anyway (a plain `*` is `\x2a`)
    "#);
    insta::assert_snapshot!(said(&step("out = \"../x\""), "x"), @r#"
    demo/majordomo.toml:3:7: `../x` has an empty, `.` or `..` part, and `out` names something inside the project
      |
    3 | out = "../x"
      |       ^^^^^^
    hint: name it from the project's folder
    "#);
    insta::assert_snapshot!(said(&step("out = \"/tmp/x\""), "x"), @r#"
    demo/majordomo.toml:3:7: `/tmp/x` is absolute, and `out` names something inside the project
      |
    3 | out = "/tmp/x"
      |       ^^^^^^^^
    hint: name it from the project's folder
    "#);
    insta::assert_snapshot!(said(&step("out = \"./\""), "x"), @r#"
    demo/majordomo.toml:3:7: `a` cannot promise the project's own folder
      |
    3 | out = "./"
      |       ^^^^
    hint: name the files or folders that it makes
    "#);
    insta::assert_snapshot!(said(&step("out = \".git/hooks/x\""), "x"), @r#"
    demo/majordomo.toml:3:7: `a` promises `.git/hooks/x`, and no step may write `.git`
      |
    3 | out = ".git/hooks/x"
      |       ^^^^^^^^^^^^^^
    hint: write to another folder
    "#);
    insta::assert_snapshot!(said(&step("out = 'a\\b'"), "x"), @r#"
    demo/majordomo.toml:3:7: `a\b` has a lone backslash
      |
    3 | out = 'a\b'
      |       ^^^^^
    hint: write `\\` for a backslash, and `\xNN` for a byte (doubled in "…")
    "#);
    insta::assert_snapshot!(said(&step("cwd = \"../x\""), "x"), @r#"
    demo/majordomo.toml:3:7: `../x` has an empty, `.` or `..` part, and `cwd` names something inside the project
      |
    3 | cwd = "../x"
      |       ^^^^^^
    hint: name it from the project's folder
    "#);
}

#[test]
fn outputs_that_are_sources() {
    insta::assert_snapshot!(said(&step("out = \"src/a.c\""), "src/a.c"), @r#"
    demo/majordomo.toml:3:7: `a` promises `src/a.c`, which is a source: a step never changes a source
      |
    3 | out = "src/a.c"
      |       ^^^^^^^^^
    hint: write to another path; if an earlier build without the majordomo left it there, delete it
    "#);
    insta::assert_snapshot!(said(&step("out = \"src/\""), "src/a.c"), @r#"
    demo/majordomo.toml:3:7: `a` promises `src`, a folder with the source `src/a.c` in it: a step never changes a source
      |
    3 | out = "src/"
      |       ^^^^^^
    hint: write to another path; if an earlier build without the majordomo left it there, delete it
    "#);
    insta::assert_snapshot!(said(&step("out = \"README/x\""), "README"), @r#"
    demo/majordomo.toml:3:7: `a` promises `README/x`, and `README` is a source, not a folder: a step never changes a source
      |
    3 | out = "README/x"
      |       ^^^^^^^^^^
    hint: write to another path; if an earlier build without the majordomo left it there, delete it
    "#);
    insta::assert_snapshot!(said(&step("each = \"*.c\"\nout = \"{in}\"\nkeep = true"), "a.c"), @r#"
    demo/majordomo.toml:4:7: `a:a.c` promises `a.c`, which is a source: a step never changes a source
      |
    4 | out = "{in}"
      |       ^^^^^^
    hint: write to another path; if an earlier build without the majordomo left it there, delete it
    "#);
}

#[test]
fn outputs_that_clash() {
    let two = |a: &str, b: &str| format!("[step.a]\nrun = 'x'\nout = {a}\n[step.b]\nrun = 'x'\nout = {b}");
    insta::assert_snapshot!(said(&two("'x'", "['y', 'x']"), ""), @r#"
    demo/majordomo.toml:6:13: `a` and `b` both make `x`, and neither is after the other
      |
    6 | out = ['y', 'x']
      |             ^^^
    hint: let only one of them make it, or give the later one `after`, as in `after = "a"` of `b`
    "#);
    insta::assert_snapshot!(said(&two("'x/y'", "'x/'"), ""), @r#"
    demo/majordomo.toml:6:7: `a` and `b` make `x/` and `x/y` in it, and neither is after the other
      |
    6 | out = 'x/'
      |       ^^^^
    hint: let only one of them make it, or give the later one `after`, as in `after = "a"` of `b`
    "#);
    insta::assert_snapshot!(said(&two("'x/y'", "'x'"), ""), @"
    demo/majordomo.toml:6:7: `a` and `b` make `x` and `x/y`, and one cannot be a file and a folder
      |
    6 | out = 'x'
      |       ^^^
    hint: rename one of them
    ");
    insta::assert_snapshot!(said(&two("'x/'", "'x'"), ""), @"
    demo/majordomo.toml:6:7: `a` and `b` make `x`, once as a file and once as a tree
      |
    6 | out = 'x'
      |       ^^^
    hint: rename one of them
    ");
    insta::assert_snapshot!(said(&step("each = \"**/*.c\"\nout = \"obj/{stem}.o\""), "a/x.c b/x.c"), @r#"
    demo/majordomo.toml:4:7: `a:a/x.c` and `a:b/x.c` both make `obj/x.o`, and neither is after the other
      |
    4 | out = "obj/{stem}.o"
      |       ^^^^^^^^^^^^^^
    hint: tell the outputs of `each` apart by `{stem}` and `{dir}`
    "#);
    insta::assert_snapshot!(said(&step("each = \"**/*.c\"\nout = \"log\""), "a/x.c b/x.c"), @r#"
    demo/majordomo.toml:4:7: `a:a/x.c` and `a:b/x.c` both make `log`, and neither is after the other
      |
    4 | out = "log"
      |       ^^^^^
    hint: tell the outputs of `each` apart by `{stem}` and `{dir}`
    "#);
    insta::assert_snapshot!(said(&step("out = ['x', 'x/y']"), ""), @"
    demo/majordomo.toml:3:13: `a` would make `x` and `x/y`, and one cannot be a file and a folder
      |
    3 | out = ['x', 'x/y']
      |             ^^^^^
    hint: rename one of them
    ");
}

#[test]
fn orders_that_cannot_be() {
    insta::assert_snapshot!(said("[step.compile]\nrun = 'x'\n[step.b]\nrun = 'x'\nafter = ['complie']", ""), @"
    demo/majordomo.toml:5:10: `after` of `b` names `complie`, and there is no such step; the nearest is `compile`
      |
    5 | after = ['complie']
      |          ^^^^^^^^^
    hint: `after` takes names of rules (`compile`) and ids of steps (`compile:src/a.c`)
    ");
    insta::assert_snapshot!(said("[step.c]\neach = '*.c'\nrun = 'x'\n[step.b]\nrun = 'x'\nafter = 'c:b.c'", "a.c"), @"
    demo/majordomo.toml:6:9: `after` of `b` names `c:b.c`, and there is no such step; the nearest is `c:a.c`
      |
    6 | after = 'c:b.c'
      |         ^^^^^^^
    hint: `after` takes names of rules (`compile`) and ids of steps (`compile:src/a.c`)
    ");
    insta::assert_snapshot!(said(&step("after = 'a'"), ""), @"
    demo/majordomo.toml:3:9: `a` cannot be after itself
      |
    3 | after = 'a'
      |         ^^^
    hint: take it out; the steps of one rule have no order
    ");
    insta::assert_snapshot!(
        said("[step.a]\nrun = 'x'\nafter = 'c'\n[step.b]\nrun = 'x'\nafter = 'a'\n[step.c]\nrun = 'x'\nafter = 'b'", ""),
        @"
    demo/majordomo.toml:1:7: steps wait for each other: `a` is after `c`, `c` is after `b`, `b` is after `a`
      |
    1 | [step.a]
      |       ^
    hint: take one of these arrows out; a step that needs several passes over its own outputs takes `keep`
    "
    );
    insta::assert_snapshot!(
        said("[step.a]\nrun = 'x'\nin = 'b.txt'\nout = 'a.txt'\n[step.b]\nrun = 'x'\nin = '*.txt'\nout = 'b.txt'", ""),
        @"
    demo/majordomo.toml:1:7: steps wait for each other: `a` takes `b.txt` from `b`, `b` takes `a.txt` from `a`
      |
    1 | [step.a]
      |       ^
    hint: take one of these arrows out; a step that needs several passes over its own outputs takes `keep`
    "
    );
    insta::assert_snapshot!(
        said("[step.a]\nrun = 'x'\nout = 'a.txt'\nafter = 'b'\n[step.b]\nrun = 'x'\nin = 'a.txt'", ""),
        @"
    demo/majordomo.toml:7:6: `a.txt` in `in` of `b` matches no source and no declared output
      |
    7 | in = 'a.txt'
      |      ^^^^^^^
    hint: `a.txt` is made by `a`, which is after this step; take one of the two out
    "
    );
    let long: String =
        (0..20).map(|n| format!("[step.s{n}]\nrun = 'x'\nafter = 's{}'\n", (n + 1) % 20)).collect();
    insta::assert_snapshot!(said(&long, ""), @"
    demo/majordomo.toml:1:7: steps wait for each other: `s0` is after `s1`, `s1` is after `s2`, `s2` is after `s3`, `s3` is after `s4`, `s4` is after `s5`, `s5` is after `s6`, `s6` is after `s7`, `s7` is after `s8`, and 12 more
      |
    1 | [step.s0]
      |       ^^
    hint: take one of these arrows out; a step that needs several passes over its own outputs takes `keep`
    ");
}

#[test]
fn rules_that_feed_each_other() {
    let text = "[step.a]\neach = '**/*.x'\nrun = 'x'\nout = 'y/{stem}.y'\n\
                [step.b]\neach = '**/*.y'\nrun = 'x'\nout = 'x/{stem}.x'";
    insta::assert_snapshot!(said(text, "s.x"), @"
    demo/majordomo.toml:2:8: rules feed each other in a circle: `a` → `b` → `a`; it came to `x/s.x`
      |
    2 | each = '**/*.x'
      |        ^^^^^^^^
    hint: narrow one `each`, or write the outputs where no `each` looks
    ");
}

#[test]
fn names_that_are_not_known_yet() {
    let gen_docs = "[step.gen]\nrun = 'x'\nout = 'gen/'\n";
    insta::assert_snapshot!(said(&format!("{gen_docs}[step.a]\neach = 'gen/*.c'\nrun = 'x'"), ""), @"
    demo/majordomo.toml:5:8: `each` of `a` would need the names in `gen/`, which are not known before `gen` ran
      |
    5 | each = 'gen/*.c'
      |        ^^^^^^^^^
    hint: declare the files that it makes instead of the whole folder, or loop in one `run`
    ");
    insta::assert_snapshot!(said(&format!("{gen_docs}[step.a]\nin = 'gen/*.c'\nrun = 'cc {{in}}'"), ""), @"
    demo/majordomo.toml:5:6: `{in}` in `a` would need the names in `gen/`, which are not known before `gen` ran
      |
    5 | in = 'gen/*.c'
      |      ^^^^^^^^^
    hint: use `gen/` for the folder itself, or let the shell match: `$(ls gen/…)`
    ");
}

#[test]
fn words_that_are_too_long() {
    let names: String = (0..20_000).map(|n| format!("f{n:05}.c ")).collect();
    insta::assert_snapshot!(said("[step.a]\nin = '*.c'\nrun = 'cat {in}'", &names), @"
    demo/majordomo.toml:3:7: a word of `a` has 180003 bytes, and the system takes at most 131071
      |
    3 | run = 'cat {in}'
      |       ^^^^^^^^^^
    hint: use a list of words, in which `{in}` becomes a word for each path, or let the shell match
    ");
    let plan = super::plan("[step.a]\nin = '*.c'\nrun = ['cat', '{in}']", &names);
    assert_eq!(plan.steps[0].spec.commands[0].len(), 20_001);
}
