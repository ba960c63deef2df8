use super::*;
use proptest::prelude::*;

fn matching(glob: &str, paths: &[&str]) -> Vec<String> {
    let glob = Glob::new(glob).unwrap();
    paths.iter().filter(|path| glob.matches(path.as_bytes())).map(|path| (*path).to_owned()).collect()
}

#[test]
fn what_patterns_match() {
    let paths = [
        "a.c",
        "A.C",
        ".h.c",
        "src/a.c",
        "src/b.h",
        "src/deep/a.c",
        "src/.git/x.c",
        "é.c",
        "a,b",
        "docs/x/y",
    ];
    for (glob, wanted) in [
        ("*.c", &["a.c", "é.c"][..]),
        ("?.c", &["a.c", "é.c"]),
        ("[a-b].c", &["a.c"]),
        ("[!a-b].c", &["é.c"]),
        ("[é].c", &["é.c"]),
        (".*.c", &[".h.c"]),
        ("**/*.c", &["a.c", "src/a.c", "src/deep/a.c", "é.c"]),
        ("src/**", &["src/a.c", "src/b.h", "src/deep/a.c"]),
        ("src/", &["src/a.c", "src/b.h", "src/deep/a.c"]),
        ("src/**/a.c", &["src/a.c", "src/deep/a.c"]),
        ("src/.git/*", &["src/.git/x.c"]),
        ("{src,docs}/{a.c,x/y}", &["src/a.c", "docs/x/y"]),
        ("src/{a,{b,c}}.{c,h}", &["src/a.c", "src/b.h"]),
        ("./a.c", &["a.c"]),
        ("\\x61.c", &["a.c"]),
        ("a,b", &["a,b"]),
        ("**", &["a.c", "A.C", "src/a.c", "src/b.h", "src/deep/a.c", "é.c", "a,b", "docs/x/y"]),
        ("src", &[]),
        ("*/*/*/*", &[]),
    ] {
        assert_eq!(matching(glob, &paths), wanted, "{glob}");
    }
}

#[test]
fn bad_patterns_say_why() {
    let mut said = String::new();
    for bad in [
        "",
        "/a",
        "a//b",
        "../a",
        ".",
        "a**",
        "[a",
        "[b-a]",
        "{a",
        "a}",
        "{stm}.c",
        "a\\q",
        "\\x00",
        "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}",
    ] {
        said += &format!("{bad}: {}\n", Glob::new(bad).unwrap_err());
    }
    insta::assert_snapshot!(said, @r"
    : it is empty
    /a: it is absolute, and patterns stay inside the project
    a//b: it has an empty or `..` part, and patterns stay inside the project
    ../a: it has an empty or `..` part, and patterns stay inside the project
    .: it has an empty or `..` part, and patterns stay inside the project
    a**: `**` must stand alone between slashes
    [a: a `[` has no matching `]`, or a range in it is backwards
    [b-a]: a `[` has no matching `]`, or a range in it is backwards
    {a: a brace has no partner
    a}: a brace has no partner
    {stm}.c: `{stm}` is neither a placeholder nor a choice like `{a,b}`
    a\q: a lone backslash: write `\\`, `\xNN` for a byte, or `\*` for a plain `*`
    \x00: it has a NUL byte
    {a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}: its choices make more than 256 patterns
    ");
}

#[test]
fn stray_bytes_are_characters_of_their_own() {
    assert!(Glob::new("?.c").unwrap().matches(b"\xff.c"));
    assert!(Glob::new("\\xff.c").unwrap().matches(b"\xff.c"));
    assert!(Glob::new("[\\x80-\\xff].c").unwrap().matches(b"\xff.c"));
    assert!(!Glob::new("[\\x80-\\xff].c").unwrap().matches("é.c".as_bytes()));
}

#[test]
fn prefixes() {
    for (glob, prefix, literal) in [
        ("src/*.c", "src/", false),
        ("src/l*.c", "src/l", false),
        ("**/x", "", false),
        ("a/b", "a/b", true),
        ("a/", "a/", false),
    ] {
        let glob = Glob::new(glob).unwrap();
        let [pattern] = glob.patterns() else { panic!() };
        assert_eq!((pattern.prefix(), pattern.is_literal()), (prefix.as_bytes(), literal), "{glob}");
    }
}

#[test]
fn reach_into_folders() {
    let folder: RelPath = "gen/docs".parse().unwrap();
    for (glob, reach) in [
        ("gen/docs", Some(Reach::Whole)),
        ("gen/docs/", Some(Reach::Whole)),
        ("*/docs/**", Some(Reach::Whole)),
        ("gen/docs/*.html", Some(Reach::Inside)),
        ("gen/docs/**/x", Some(Reach::Inside)),
        ("gen/", None),
        ("**/docs", None),
        ("gen/*.c", None),
    ] {
        assert_eq!(Glob::new(glob).unwrap().reach(&folder), reach, "{glob}");
    }
}

/// The definition, without cleverness.
fn slow(parts: &[Part], names: &[&[u8]]) -> bool {
    match (parts.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((Part::AnyDepth, rest)), _) => {
            let hidden = names.first().is_some_and(|name| name[0] == b'.');
            (slow(rest, names) && !(rest.is_empty() && parts.len() == 1 && names.is_empty()))
                || (!names.is_empty()
                    && !hidden
                    && (slow(parts, &names[1..]) || (rest.is_empty() && names.len() == 1)))
        }
        (Some((Part::Name(name), rest)), Some((first, others))) => name.matches(first) && slow(rest, others),
        _ => false,
    }
}

proptest! {
    #[test]
    fn the_fast_matcher_agrees_with_the_definition(
        glob in "(a|\\.a|\\*|\\*b|\\*\\*|ab)(/(a|\\.a|\\*|\\*\\*|b\\*|ab)){0,5}",
        path in "(a|\\.a|ab|b)(/(a|\\.a|ab|b)){0,6}",
    ) {
        let glob = Glob::new(&glob).unwrap();
        let names: Vec<&[u8]> = path.as_bytes().split(|&b| b == b'/').collect();
        prop_assert_eq!(glob.matches(path.as_bytes()), slow(&glob.patterns()[0].parts, &names));
    }

    #[test]
    fn quoted_bytes_match_themselves_alone(path in proptest::collection::vec(any::<u8>(), 1..30)) {
        if let Ok(path) = RelPath::new(&path) {
            let glob = Glob::new(&Glob::quote(path.as_bytes())).unwrap();
            prop_assert!(glob.patterns()[0].is_literal());
            prop_assert!(glob.matches(path.as_bytes()));
            prop_assert_eq!(glob.patterns()[0].prefix(), path.as_bytes());
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,40}", odd in "[a*?\\[\\]{},/!\\\\x0-9-]{0,30}") {
        for text in [text, odd] {
            if let Ok(glob) = Glob::new(&text) {
                std::hint::black_box(glob.matches(text.as_bytes()));
            }
        }
    }
}
