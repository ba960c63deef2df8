//! Random files of a small language: few names, so that they meet.

use std::fs;

use chef_ninja::Wrong;
use proptest::prelude::*;
use proptest::sample::select;

use crate::tool::{compare, ours, targets};

/// How many files; the environment variable `PROPTEST_CASES` asks for more.
const CASES: u32 = 60;

fn value() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "a",
        "b/c",
        " ",
        "  ",
        "$x",
        "${y}",
        "$in",
        "$out",
        "$in_newline",
        "$description",
        "$$",
        "$ ",
        "$:",
        ":",
        "|",
        "'",
        "#",
        "$\n   ",
        "../",
        "./",
        "//",
        "o-",
        "é",
    ];
    proptest::collection::vec(select(PIECES), 0..6).prop_map(|pieces| pieces.concat())
}

fn path() -> impl Strategy<Value = String> {
    const PIECES: &[&str] =
        &["a", "b", "c", "d", "e", "./", "s/", "s/../", "../", "$x", "${y}", "$ ", "$:", "'", "$$", "$\n "];
    proptest::collection::vec(select(PIECES), 1..4).prop_map(|pieces| pieces.concat())
}

fn paths(most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(path(), 0..=most).prop_map(|paths| paths.join(" "))
}

fn behind(mark: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 1 => paths(2).prop_map(move |paths| format!(" {mark} {paths}"))]
}

fn binding() -> impl Strategy<Value = String> {
    const NAMES: &[&str] = &["x", "y", "description", "depfile", "command", "restat", "pool"];
    (select(NAMES), value()).prop_map(|(name, value)| format!("  {name} = {value}\n"))
}

fn edge() -> impl Strategy<Value = String> {
    let rule = select(&["r", "s", "phony"][..]);
    // The number makes most outputs new.
    let head = (0..1000u32, paths(2), behind("|"), rule);
    let tail = (paths(3), behind("|"), behind("||"), behind("|@"));
    let bindings = proptest::collection::vec(binding(), 0..3);
    (head, tail, bindings).prop_map(
        |((n, outputs, more, rule), (inputs, implicit, order, validations), bindings)| {
            let outputs = if n % 4 == 0 { outputs } else { format!("{n}.o$x") };
            format!(
                "build {outputs}{more}: {rule} {inputs}{implicit}{order}{validations}\n{}",
                bindings.concat()
            )
        },
    )
}

fn statement() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => (select(&["x", "y", "description", "in"][..]), value()).prop_map(|(name, value)| format!("{name} = {value}\n")),
        6 => edge(),
        1 => path().prop_map(|path| format!("default {path}\n")),
        1 => select(&["# c\n", "\n", "  \n", "pool p\n  depth = 1\n", "include i\n", "subninja i\n"][..]).prop_map(str::to_owned),
    ]
}

fn rule(name: &'static str) -> impl Strategy<Value = String> {
    (value(), proptest::collection::vec(binding(), 0..3)).prop_filter_map(
        "y is no rule variable",
        move |(command, bindings)| {
            let bindings: String = bindings
                .into_iter()
                .filter(|line| !line.starts_with("  x") && !line.starts_with("  y"))
                .collect();
            Some(format!("rule {name}\n  command = c{command}\n{bindings}"))
        },
    )
}

fn text(most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(statement(), 0..most).prop_map(|statements| statements.concat())
}

fn cases() -> u32 {
    if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { CASES }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files(r in rule("r"), s in rule("s"), top in text(8), included in text(3)) {
        let folder = tempfile::tempdir().unwrap();
        let included: String = included.split_inclusive('\n').filter(|line| !line.contains("ninja i")).collect();
        let included = included.replace("include i\n", "");
        fs::write(folder.path().join("build.ninja"), format!("{r}{s}{top}")).unwrap();
        fs::write(folder.path().join("i"), included).unwrap();
        match (ours(folder.path()), targets(folder.path())) {
            (Ok(manifest), Ok(_)) => {
                // The root is the empty path for ninja before 1.12.
                let mut paths = manifest.edges().iter().flat_map(|edge| edge.outputs.all().chain(edge.inputs.all()));
                if !paths.any(|path| path.as_bytes() == b"/") {
                    compare(folder.path(), &manifest);
                }
            }
            (Err(_), Err(_)) => {}
            (Ok(_), Err(theirs)) => prop_assert!(false, "ninja refuses: {theirs}"),
            (Err(error), Ok(_)) => match *error.wrong {
                // Looked for by ninja only when it builds, or shows the command.
                Wrong::Circle { .. } | Wrong::VariableCircle { .. } => {}
                _ => prop_assert!(false, "we refuse: {error}"),
            },
        }
    }
}
