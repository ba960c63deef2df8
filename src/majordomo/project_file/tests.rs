//! Transcripts: a file, and what is said about it.

use std::path::Path;
use std::time::Duration;

use super::*;

fn parse(text: &str) -> Result<ProjectFile, ProjectFileError> {
    ProjectFile::parse(Path::new("demo/majordomo.toml"), text.as_bytes())
}

/// One step with these lines in it.
fn step(lines: &str) -> String {
    format!("[step.a]\n{lines}\n")
}

fn report(error: &ProjectFileError) -> String {
    let hints: String = error.hints().iter().map(|hint| format!("\nhint: {hint}")).collect();
    format!("{error}{hints}")
}

fn said(text: &str) -> String {
    report(&parse(text).unwrap_err())
}

fn run_of(text: &str) -> Vec<Command> {
    parse(&step(text)).unwrap().steps.remove(0).run
}

fn words(command: &Command) -> Vec<&str> {
    match command {
        Command::Shell(text) => vec!["sh:", &text.value],
        Command::Argv(words) => words.iter().map(|word| word.value.as_str()).collect(),
    }
}

#[test]
fn the_whole_vocabulary_is_read() {
    let file = parse(
        r#"
        [project]
        name = "all"
        targets = "x"
        [step.zeta]
        run = "true"
        [step.alpha]
        run = ["cc", "-c", "{in}"]
        each = "src/*.c"
        out = ["obj/{stem}.o", "tree/"]
        in = "include/**"
        after = ["zeta"]
        env = { LANG = "C" }
        cwd = "sub"
        timeout = "5m"
        limits = { memory = "512M", cpus = 1.5, processes = 100, open_files = 64, disk = 1000, time = "1h" }
        image = "localhost/gcc:12"
        pool = "few"
        on = { gpu = "yes" }
        secrets = ["TOKEN"]
        cache = false
        network = true
        keep = ["*.aux"]
        anew = "*.mk"
        notices = "*.toml"
        max_passes = 12
        project = { "*.aux" = "bibtex-aux", "c.toml" = ["toml:a", "toml:b"] }
        normalise = ["pdf"]
        scratch = "obj/{stem}.d"
        alters = true
        sizes = false
        verbatim = true
        volatile = true
        strict = true
        [pools]
        few = 2
        [alias]
        most = ["x", "zeta"]
        [tools]
        roots = ["/srv/tools/"]
        "#,
    )
    .unwrap();
    assert_eq!((file.name.as_str(), file.targets[0].value.as_str()), ("all", "x"));
    assert_eq!(file.tool_roots, [Path::new("/srv/tools")]);
    let names: Vec<_> = file.steps.iter().map(|rule| rule.name.value.as_str()).collect();
    assert_eq!(names, ["zeta", "alpha"], "in the order of the file");
    let rule = &file.steps[1];
    assert_eq!(words(&rule.run[0]), ["cc", "-c", "{in}"]);
    assert_eq!((rule.each.len(), rule.out.len(), rule.inputs.len(), rule.after.len()), (1, 2, 1, 1));
    assert_eq!(rule.timeout, Some(Duration::from_secs(300)));
    assert_eq!((rule.limits.memory, rule.limits.milli_cpus), (Some(512 << 20), Some(1500)));
    assert_eq!(
        (rule.limits.processes, rule.limits.open_files, rule.limits.disk),
        (Some(100), Some(64), Some(1000))
    );
    assert_eq!(rule.limits.time, Some(Duration::from_secs(3600)));
    assert_eq!(rule.scratch[0].value, "obj/{stem}.d");
    assert!(rule.network && rule.volatile && rule.strict && rule.alters && rule.verbatim && !rule.sizes);
    let (alias, targets) = &file.aliases[0];
    assert_eq!((alias.value.as_str(), targets.len(), targets[1].value.as_str()), ("most", 2, "zeta"));
    assert_eq!(rule.image.as_deref(), Some("localhost/gcc:12"));
    assert_eq!((rule.secrets[0].name.as_str(), rule.cache), ("TOKEN", Some(false)));
    assert_eq!(rule.max_passes, Some(12));
    assert_eq!((rule.pool.as_ref().unwrap().value.as_str(), file.pools[0].1), ("few", 2));
    assert_eq!(rule.on.iter().collect::<Vec<_>>(), [(&"gpu".to_owned(), &"yes".to_owned())]);
    assert_eq!((&*rule.anew[0].value, &*rule.notices[0].value), ("*.mk", "*.toml"));
    assert!(matches!(&rule.keep, KeepRule::Matching(globs) if globs.len() == 1));
    assert!(matches!(&rule.env[0], Variable::Set(name, value) if name.value == "LANG" && value.value == "C"));
    let shown = |rules: &[LensRule]| {
        rules.iter().map(|rule| format!("{} {}", rule.pattern.value, rule.lens.value)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&rule.projections), ["*.aux bibtex-aux", "c.toml toml:a", "c.toml toml:b"]);
    assert_eq!(shown(&rule.normalisers), ["**/*.pdf pdf"]);
    for key in keys::STEP_KEYS {
        assert!(
            file.text.as_str().contains(&format!("\n        {} = ", key.name)),
            "`{}` is not read here",
            key.name
        );
    }
}

#[test]
fn forms_of_run() {
    let both = run_of(r#"run = [["cc", "-c"], "echo done"]"#);
    assert_eq!(both.iter().map(words).collect::<Vec<_>>(), [vec!["cc", "-c"], vec!["sh:", "echo done"]]);
    assert_eq!(run_of(r#"run = ["echo", "a b"]"#).iter().map(words).collect::<Vec<_>>(), [["echo", "a b"]]);
    assert_eq!(run_of(r#"run = [["true"]]"#).iter().map(words).collect::<Vec<_>>(), [["true"]]);
    assert_eq!(run_of("run = '''\na\nb'''").iter().map(words).collect::<Vec<_>>(), [["sh:", "a\nb"]]);
    insta::assert_snapshot!(said(&step(r#"run = ["./configure --quiet", "make"]"#)), @r#"
    demo/majordomo.toml:2:8: `run` is a list of strings, and so one command whose program would be `./configure --quiet`
      |
    2 | run = ["./configure --quiet", "make"]
      |        ^^^^^^^^^^^^^^^^^^^^^
    hint: for a shell command write `run = "…"`; for several, one string of several lines, or a list in which at least one command is a list of words: `run = [["gcc", "-c", "a.c"], "echo done"]`
    "#);
    insta::assert_snapshot!(said(&step(r#"run = []"#)), @"
    demo/majordomo.toml:2:7: `run` is empty
      |
    2 | run = []
      |       ^^
    hint: give `run` a value, or take it out
    ");
    insta::assert_snapshot!(said(&step(r#"run = [["true"], []]"#)), @r#"
    demo/majordomo.toml:2:18: `run` is empty
      |
    2 | run = [["true"], []]
      |                  ^^
    hint: give `run` a value, or take it out
    "#);
    insta::assert_snapshot!(said(&step(r#"run = "  ""#)), @r#"
    demo/majordomo.toml:2:7: `run` is empty
      |
    2 | run = "  "
      |       ^^^^
    hint: give `run` a value, or take it out
    "#);
    insta::assert_snapshot!(said(&step(r#"run = ["sleep", 5]"#)), @r#"
    demo/majordomo.toml:2:17: `run` takes words that are strings, and this is a number
      |
    2 | run = ["sleep", 5]
      |                 ^
    hint: write it as a string: `"5"`
    "#);
    insta::assert_snapshot!(said(&step(r#"run = {a = 1}"#)), @"
    demo/majordomo.toml:2:7: `run` takes a string, a list of words, or a list of commands, and this is a table
      |
    2 | run = {a = 1}
      |       ^^^^^^^
    ");
    insta::assert_snapshot!(said(&step(r#"run = ["a\u0000"]"#)), @r#"
    demo/majordomo.toml:2:8: `run` has a NUL character, which the system cannot pass on
      |
    2 | run = ["a\u0000"]
      |        ^^^^^^^^^
    hint: take it out
    "#);
    insta::assert_snapshot!(said("[step.a]\nout = \"x\""), @r#"
    demo/majordomo.toml:1:7: step `a` has no `run`, so it does nothing
      |
    1 | [step.a]
      |       ^
    hint: say what it runs: `run = "…"`
    "#);
}

#[test]
fn unknown_words_get_the_nearest_known() {
    insta::assert_snapshot!(said("[step.a]\nrun = \"true\"\n\tmakes = \"x\""), @r#"
    demo/majordomo.toml:3:2: unknown key `makes` in `[step.a]`
      |
    3 | 	makes = "x"
      | 	^^^^^
    hint: known here: `run`, `each`, `out`, `in`, `after`, `env`, `cwd`, `timeout`, `limits`, `image`, `pool`, `on`, `secrets`, `cache`, `network`, `keep`, `anew`, `notices`, `max_passes`, `project`, `normalise`, `scratch`, `alters`, `sizes`, `verbatim`, `volatile`, `strict`
    "#);
    insta::assert_snapshot!(said(&step("run = 'true'\neahc = \"x\"")), @r#"
    demo/majordomo.toml:3:1: unknown key `eahc` in `[step.a]`; the nearest known key is `each`
      |
    3 | eahc = "x"
      | ^^^^
    hint: known here: `run`, `each`, `out`, `in`, `after`, `env`, `cwd`, `timeout`, `limits`, `image`, `pool`, `on`, `secrets`, `cache`, `network`, `keep`, `anew`, `notices`, `max_passes`, `project`, `normalise`, `scratch`, `alters`, `sizes`, `verbatim`, `volatile`, `strict`
    "#);
    insta::assert_snapshot!(said(&step("run = 'true'\noutputs = \"x\"")), @r#"
    demo/majordomo.toml:3:1: unknown key `outputs` in `[step.a]`; the nearest known key is `out`
      |
    3 | outputs = "x"
      | ^^^^^^^
    hint: known here: `run`, `each`, `out`, `in`, `after`, `env`, `cwd`, `timeout`, `limits`, `image`, `pool`, `on`, `secrets`, `cache`, `network`, `keep`, `anew`, `notices`, `max_passes`, `project`, `normalise`, `scratch`, `alters`, `sizes`, `verbatim`, `volatile`, `strict`
    "#);
    insta::assert_snapshot!(said(&step("run = 'true'\nretries = 3")), @"
    demo/majordomo.toml:3:1: unknown key `retries` in `[step.a]`
      |
    3 | retries = 3
      | ^^^^^^^
    hint: known here: `run`, `each`, `out`, `in`, `after`, `env`, `cwd`, `timeout`, `limits`, `image`, `pool`, `on`, `secrets`, `cache`, `network`, `keep`, `anew`, `notices`, `max_passes`, `project`, `normalise`, `scratch`, `alters`, `sizes`, `verbatim`, `volatile`, `strict`
    ");
    insta::assert_snapshot!(said("[project]\ntarget = []"), @"
    demo/majordomo.toml:2:1: unknown key `target` in `[project]`; the nearest known key is `targets`
      |
    2 | target = []
      | ^^^^^^
    hint: known here: `name`, `targets`, `chef`, `limits`, `image`
    ");
    insta::assert_snapshot!(said("[steps.a]\nrun = 'true'"), @"
    demo/majordomo.toml:1:2: unknown table `steps` in the file; the nearest known table is `step`
      |
    1 | [steps.a]
      |  ^^^^^
    hint: known here: `alias`, `pools`, `project`, `step`, `tools`, `uses`
    ");
    insta::assert_snapshot!(said("run = 'true'"), @"
    demo/majordomo.toml:1:1: unknown table `run` in the file
      |
    1 | run = 'true'
      | ^^^
    hint: `run` belongs in a table of a step: write `[step.NAME]` above it
    ");
    insta::assert_snapshot!(said("[tools]\npath = '/x'"), @"
    demo/majordomo.toml:2:1: unknown key `path` in `[tools]`
      |
    2 | path = '/x'
      | ^^^^
    hint: known here: `roots`
    ");
    for later in ["images", "uses"] {
        assert!(said(&step(&format!("run = 'true'\n{later} = 1"))).contains("unknown key"), "{later}");
    }
}

#[test]
fn values_of_the_wrong_type() {
    insta::assert_snapshot!(said(&step("run = 'true'\nnetwork = \"true\"")), @r#"
    demo/majordomo.toml:3:11: `network` takes true or false, and this is a string
      |
    3 | network = "true"
      |           ^^^^^^
    hint: write it without quotes: `network = true`
    "#);
    insta::assert_snapshot!(said(&step("run = 'true'\nout = ['a', 3]")), @"
    demo/majordomo.toml:3:13: `out` takes a string or a list of strings, and this is a number
      |
    3 | out = ['a', 3]
      |             ^
    ");
    insta::assert_snapshot!(said(&step("run = 'true'\nout = ''")), @"
    demo/majordomo.toml:3:7: `out` is empty
      |
    3 | out = ''
      |       ^^
    hint: give `out` a value, or take it out
    ");
    for good in
        ["localhost/gcc:12", "tiny", "Registry.example.com:5000/a/b:Tag", "sha256:0a1b", "a@sha256:0A"]
    {
        parse(&step(&format!("run = 'true'\nimage = '{good}'"))).unwrap();
    }
    for bad in ["-v x", "-v", "two words", "LOCALHOST/Tiny:1", "Tiny"] {
        let said = said(&step(&format!("run = 'true'\nimage = '{bad}'")));
        assert!(said.contains(&format!("3:9: `{bad}` is no name of an image")), "{said}");
    }
    insta::assert_snapshot!(said(&step("run = 'true'\neach = []")), @"
    demo/majordomo.toml:3:8: `each` is empty
      |
    3 | each = []
      |        ^^
    hint: give `each` a value, or take it out
    ");
    insta::assert_snapshot!(said(&step("run = 'true'\nkeep = 1")), @"
    demo/majordomo.toml:3:8: `keep` takes true, false, a pattern or a list of patterns, and this is a number
      |
    3 | keep = 1
      |        ^
    ");
    insta::assert_snapshot!(said("step = 'true'"), @"
    demo/majordomo.toml:1:8: `step` takes a table `[step.NAME]` for each step, and this is a string
      |
    1 | step = 'true'
      |        ^^^^^^
    ");
    insta::assert_snapshot!(said("[[step]]\nrun = 'true'"), @"
    demo/majordomo.toml:1:1: `step` takes a table `[step.NAME]` for each step, and this is a list
      |
    1 | [[step]]
      | ^^^^^^^^
    ");
    insta::assert_snapshot!(said("[step]\na = 'true'"), @"
    demo/majordomo.toml:2:5: `a` takes a table `[step.NAME]`, and this is a string
      |
    2 | a = 'true'
      |     ^^^^^^
    ");
}

#[test]
fn step_names() {
    insta::assert_snapshot!(said("[step.\"a:b\"]\nrun = 'true'"), @r#"
    demo/majordomo.toml:1:7: `a:b` is no name for a step
      |
    1 | [step."a:b"]
      |       ^^^^^
    hint: use letters, digits, `_`, `-`, `+`, `.`, `/`, `,`, `=`, `@` and `~`, start with a letter, a digit or `_`, and not more than 4096 bytes
    "#);
    for bad in ["", "a b", "-x", ".x", "a#1", "/a"] {
        assert!(said(&format!("[step.\"{bad}\"]\nrun = 'true'")).contains("no name for a step"), "{bad}");
    }
    assert_eq!(parse("[step.\"2.c++_é\"]\nrun = 'true'").unwrap().steps[0].name.value, "2.c++_é");
}

#[test]
fn timeouts() {
    let of = |text: &str| parse(&step(&format!("run = 'true'\ntimeout = {text}"))).unwrap().steps[0].timeout;
    assert_eq!(of("90"), Some(Duration::from_secs(90)));
    assert_eq!(of("'1h30m'"), Some(Duration::from_secs(5400)));
    insta::assert_snapshot!(said(&step("run = 'true'\ntimeout = \"5 minutes\"")), @r#"
    demo/majordomo.toml:3:11: `5 minutes` is no time-out between 1 ms and 30 days
      |
    3 | timeout = "5 minutes"
      |           ^^^^^^^^^^^
    hint: write `"90s"`, `"5m"`, `"1h30m"`, or whole seconds; take `timeout` out for none
    "#);
    for bad in ["0", "-1", "'0s'", "'31h31'", "'9999h'", "1.5", "true"] {
        assert!(parse(&step(&format!("run = 'true'\ntimeout = {bad}"))).is_err(), "{bad}");
    }
}

#[test]
fn environments() {
    let file = parse(&step("run = 'true'\nenv = ['CC', 'A=b=c']")).unwrap();
    assert!(matches!(&file.steps[0].env[0], Variable::Pass(name) if name.value == "CC"));
    assert!(
        matches!(&file.steps[0].env[1], Variable::Set(name, value) if name.value == "A" && value.value == "b=c")
    );
    insta::assert_snapshot!(said(&step("run = 'true'\nenv = { JOBS = 4 }")), @r#"
    demo/majordomo.toml:3:16: `env` takes values that are strings, and this is a number
      |
    3 | env = { JOBS = 4 }
      |                ^
    hint: write `"4"`
    "#);
    insta::assert_snapshot!(said(&step("run = 'true'\nenv = ['A', 'A=1']")), @"
    demo/majordomo.toml:3:13: the environment variable `A` is named twice
      |
    3 | env = ['A', 'A=1']
      |             ^^^^^
    hint: name it once
    ");
    insta::assert_snapshot!(said(&step("run = 'true'\nenv = ['=x']")), @"
    demo/majordomo.toml:3:8: `` is no name for an environment variable
      |
    3 | env = ['=x']
      |        ^^^^
    hint: a name is not empty and has no `=`
    ");
}

#[test]
fn tool_roots() {
    let root = |root: &str| said(&format!("[tools]\nroots = ['{root}']\n[step.a]\nrun = 'true'"));
    insta::assert_snapshot!(root("~/.cargo"), @r#"
    demo/majordomo.toml:2:10: `~/.cargo` cannot be a tool root: `~` is not expanded
      |
    2 | roots = ['~/.cargo']
      |          ^^^^^^^^^^
    hint: give the absolute path of a folder with tools, such as `"/srv/toolchain"`
    "#);
    insta::assert_snapshot!(root("tools"), @r#"
    demo/majordomo.toml:2:10: `tools` cannot be a tool root: it is not absolute
      |
    2 | roots = ['tools']
      |          ^^^^^^^
    hint: give the absolute path of a folder with tools, such as `"/srv/toolchain"`
    "#);
    insta::assert_snapshot!(root("/proc/1"), @r#"
    demo/majordomo.toml:2:10: `/proc/1` cannot be a tool root: steps have a folder of their own there
      |
    2 | roots = ['/proc/1']
      |          ^^^^^^^^^
    hint: give the absolute path of a folder with tools, such as `"/srv/toolchain"`
    "#);
    assert!(root("/").contains("the whole machine"));
    assert!(root("/a/../b").contains("`..`"));
}

#[test]
fn no_toml() {
    insta::assert_snapshot!(said(""), @r#"
    demo/majordomo.toml:1:1: the file has no step, so there is nothing to build
      |
    1 | 
      | ^
    hint: the smallest useful file is:
    [step.hello]
    run = "gcc -o hello hello.c"
    out = "hello"
    "#);
    insta::assert_snapshot!(said("[step.a]\nrun = gcc"), @"
    demo/majordomo.toml:2:7: no valid TOML: string values must be quoted, expected literal string
      |
    2 | run = gcc
      |       ^^^
    ");
    insta::assert_snapshot!(said("[step.a]\nrun = 'a'\nrun = 'b'"), @"
    demo/majordomo.toml:3:1: no valid TOML: duplicate key
      |
    3 | run = 'b'
      | ^^^
    ");
    insta::assert_snapshot!(said("[step.a]\nrun = 'a'\n[step.a]\nrun = 'b'"), @"
    demo/majordomo.toml:3:7: no valid TOML: duplicate key
      |
    3 | [step.a]
      |       ^
    ");
    insta::assert_snapshot!(said("[step.a\nrun = 'a'"), @"
    demo/majordomo.toml:1:8: no valid TOML: unclosed table, expected `]`
      |
    1 | [step.a
      |        ^
    ");
    insta::assert_snapshot!(said("x = \"\u{1b}[31m\""), @r#"
    demo/majordomo.toml:1:6: no valid TOML: invalid basic string, expected non-double-quote visible characters, `\`
      |
    1 | x = "�[31m"
      |      ^
    "#);
}

#[test]
fn encodings() {
    assert!(parse("\u{feff}[step.a]\r\nrun = 'true'\r\n").is_ok());
    let raw = |bytes: &[u8]| report(&ProjectFile::parse(Path::new("majordomo.toml"), bytes).unwrap_err());
    insta::assert_snapshot!(raw(b"[step.a]\nrun = 'caf\xe9'\n"), @r"
    majordomo.toml:2:11: byte 0xe9 is no UTF-8 text
      |
    2 | run = 'caf�'
      |           ^
    hint: save the file as UTF-8; a byte of a path is written `\\xNN` (in '…': `\xNN`)
    ");
    insta::assert_snapshot!(raw(b"\xff\xfe[\0s\0"), @"
    majordomo.toml:1:1: the file is UTF-16, and must be UTF-8
      |
    1 | ��[�s�
      | ^
    hint: save the file as UTF-8
    ");
}

#[test]
fn long_lines_are_cut() {
    let list = "'a', ".repeat(200);
    insta::assert_snapshot!(said(&step(&format!("run = [{list} 5, {list}]"))), @r#"
    demo/majordomo.toml:2:1009: `run` takes words that are strings, and this is a number
      |
    2 | …a', 'a', 'a', 'a', 'a',  5, 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a…
      |                           ^
    hint: write it as a string: `"5"`
    "#);
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let said = |folder: &Path, base: &Path| {
        let text = report(&ProjectFile::load(folder).unwrap_err());
        text.replace(&base.display().to_string(), "BASE")
    };
    let base = folder.path();
    insta::assert_snapshot!(said(base, base), @r#"
    `BASE` has no project file `majordomo.toml`
    hint: write `BASE/majordomo.toml`; the smallest useful one is:
    [step.hello]
    run = "gcc -o hello hello.c"
    out = "hello"
    "#);
    insta::assert_snapshot!(said(&base.join("nowhere"), base), @"
    there is no folder `BASE/nowhere`
    hint: name the folder of a project: `majordomo build FOLDER`
    ");
    let file = base.join(PROJECT_FILE);
    std::os::unix::fs::symlink("nowhere", &file).unwrap();
    insta::assert_snapshot!(said(base, base), @"cannot read `BASE/majordomo.toml`");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    insta::assert_snapshot!(said(base, base), @"
    `BASE/majordomo.toml` is a folder, not a file
    hint: move it away, and write a file `majordomo.toml` in its place
    ");
    std::fs::remove_dir(&file).unwrap();
    std::fs::write(&file, "#".repeat(load::MAX_FILE_SIZE as usize + 1)).unwrap();
    insta::assert_snapshot!(said(base, base), @"
    `BASE/majordomo.toml` has more than 4194304 bytes, which no project file needs
    hint: let a rule with `each` stand for many steps
    ");
    std::fs::write(&file, "[step.a]\nrun = 'true'").unwrap();
    let name = base.file_name().unwrap().to_str().unwrap();
    assert_eq!(ProjectFile::load(base).unwrap().name, name);
    assert!(ProjectFile::load(&base.join("majordomo.toml/..")).is_err());
}

#[test]
fn lenses() {
    let dotted =
        parse(&step("run = 'true'\nproject.'*.aux' = 'bibtex-aux'\nnormalise.'doc/*' = 'pdf'")).unwrap();
    let rule = &dotted.steps[0];
    assert_eq!(
        (rule.projections[0].pattern.value.as_str(), rule.projections[0].lens.value.as_str()),
        ("*.aux", "bibtex-aux")
    );
    assert_eq!(rule.normalisers[0].pattern.value, "doc/*");
    assert_ne!(rule.projections[0].id, rule.normalisers[0].id);
    assert_eq!(parse(&step("run = 'true'\nnormalise = []")).unwrap().steps[0].normalisers, []);
    insta::assert_snapshot!(said(&step("run = 'true'\nproject.'*.aux' = 'bibtex_aux'")), @r#"
    demo/majordomo.toml:3:19: unknown projection `bibtex_aux` in `project`; the nearest known projection is `bibtex-aux`
      |
    3 | project.'*.aux' = 'bibtex_aux'
      |                   ^^^^^^^^^^^^
    hint: known here: `bibtex-aux`, `ignore`, `json`, `pdf`, `toml`, `yaml`
    "#);
    insta::assert_snapshot!(said(&step("run = 'true'\nproject = { '*.aux' = ['ignore', 7] }")), @r#"
    demo/majordomo.toml:3:34: `*.aux` takes a string or a list of strings, and this is a number
      |
    3 | project = { '*.aux' = ['ignore', 7] }
      |                                  ^
    "#);
    insta::assert_snapshot!(said(&step("run = 'true'\nproject = 'ignore'")), @r#"
    demo/majordomo.toml:3:11: `project` takes a table of patterns and projections, such as { "*.aux" = "bibtex-aux" }, and this is a string
      |
    3 | project = 'ignore'
      |           ^^^^^^^^
    "#);
    insta::assert_snapshot!(said(&step("run = 'true'\nproject.'c.json' = 'json:a..b'")), @r#"
    demo/majordomo.toml:3:20: `json:a..b` cannot be: behind the `:` stands the path of a key, such as `a.b` or `a."b.c"`
      |
    3 | project.'c.json' = 'json:a..b'
      |                    ^^^^^^^^^^^
    hint: the reference of projections and normalisers says what each takes
    "#);
    insta::assert_snapshot!(said(&step("run = 'true'\nproject.'*' = []")), @r#"
    demo/majordomo.toml:3:15: `*` is empty
      |
    3 | project.'*' = []
      |               ^^
    hint: give `*` a value, or take it out
    "#);
    insta::assert_snapshot!(said(&step("run = 'true'\nnormalise = ['pdf', 'dvi']")), @r#"
    demo/majordomo.toml:3:21: unknown normaliser `dvi` in `normalise`
      |
    3 | normalise = ['pdf', 'dvi']
      |                     ^^^^^
    hint: known here: `pdf`
    "#);
    insta::assert_snapshot!(said(&step("run = 'true'\nnormalise.'*.pdf' = 'ignore'")), @r#"
    demo/majordomo.toml:3:21: unknown normaliser `ignore` in `normalise`
      |
    3 | normalise.'*.pdf' = 'ignore'
      |                     ^^^^^^^^
    hint: known here: `pdf`
    "#);
    insta::assert_snapshot!(said(&step("run = 'true'\nnormalize = 'pdf'")), @r#"
    demo/majordomo.toml:3:1: unknown key `normalize` in `[step.a]`; the nearest known key is `normalise`
      |
    3 | normalize = 'pdf'
      | ^^^^^^^^^
    hint: known here: `run`, `each`, `out`, `in`, `after`, `env`, `cwd`, `timeout`, `limits`, `image`, `pool`, `on`, `secrets`, `cache`, `network`, `keep`, `anew`, `notices`, `max_passes`, `project`, `normalise`, `scratch`, `alters`, `sizes`, `verbatim`, `volatile`, `strict`
    "#);
}
