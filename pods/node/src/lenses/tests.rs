use protocol::WorkspaceId;

use super::*;
use crate::testing::{Place, spec};

const AUX: &str = "\\relax\n\\citation{knuth}\n\\@writefile{toc}{page 3}\n";

#[test]
fn a_change_beside_the_part_that_matters_is_none_and_is_told() {
    let place = Place::new();
    let bibtex = spec(&[("*.aux", "bibtex-aux"), ("*.log", "ignore")], &[]);
    let looks = [
        ("project/a.aux", Look::Content),
        ("project/a.aux", Look::Probe),
        ("project/a.log", Look::Content),
        ("project/b.log", Look::Probe),
        ("project/a.bib", Look::Content),
    ];
    let files = |aux, log, bib| [("a.aux", aux), ("a.log", log), ("b.log", log), ("a.bib", bib)];
    let before = place.project(&bibtex, &files(AUX, "log 1", "bib"));
    let (trace, set) = place.trace(&bibtex, &before, &looks);
    let shown: Vec<String> = trace
        .observations(&set)
        .unwrap()
        .map(|(path, look, seen)| format!("{path} {} {seen}", look.word()))
        .collect();
    let part = Digest::in_context(protocol::digest::context::PROJECTED, b"\\citation{knuth}\n");
    let wanted = [
        "project/a.aux kind file".to_owned(),
        format!("project/a.aux content {}", part.short()),
        format!("project/a.bib content {}", Digest::of(b"bib").short()),
        "project/a.log kind file".to_owned(),
        "project/b.log kind file".to_owned(),
    ];
    assert_eq!(shown, wanted);
    // Of what was read, and not all of which matters.
    assert_eq!(trace.raw, [(1, Digest::of(AUX.as_bytes())), (3, Digest::of(b"log 1"))]);

    place.larder.add_trace(&trace, &set, WorkspaceId::from_random(1)).unwrap();
    let moved = AUX.replace("page 3", "page 17");
    let after = place.project(&bibtex, &files(&moved, "another log", "bib"));
    assert!(place.hits(&bibtex, &after));
    let evaluator = place.evaluator();
    let hidden = place.runtime.block_on(evaluator.hidden(&trace, &set, &after, 9)).unwrap();
    let told: Vec<String> = hidden
        .iter()
        .map(|hidden| format!("{} {} {}", hidden.path, hidden.by.join(" "), hidden.now.short()))
        .collect();
    let wanted = [
        format!("project/a.aux bibtex-aux {}", Digest::of(moved.as_bytes()).short()),
        format!("project/a.log ignore {}", Digest::of(b"another log").short()),
    ];
    assert_eq!(told, wanted);
    assert_eq!(place.runtime.block_on(evaluator.hidden(&trace, &set, &before, 9)).unwrap(), []);

    let cited = AUX.replace("knuth", "lamport");
    assert!(!place.hits(&bibtex, &place.project(&bibtex, &files(&cited, "log 1", "bib"))));
    assert!(!place.hits(&bibtex, &place.project(&bibtex, &files(AUX, "log 1", "another bib"))));
    let gone = [("a.aux", AUX), ("b.log", ""), ("a.bib", "bib")];
    assert!(!place.hits(&bibtex, &place.project(&bibtex, &gone)), "that it is there still matters");
    // Nothing of this is for a step without the projections.
    assert!(!place.hits(&spec(&[], &[]), &place.project(&spec(&[], &[]), &files(AUX, "log 1", "bib"))));
}

#[test]
fn several_projections_of_one_file_add_up() {
    let place = Place::new();
    let both = spec(&[("c.toml", "toml:a"), ("*.toml", "toml:b"), ("c.*", "ignore")], &[]);
    let looks = [("project/c.toml", Look::Content)];
    let seen = |text| place.trace(&both, &place.project(&both, &[("c.toml", text)]), &looks).0.seen;
    assert_eq!(seen("a = 1\nb = 2\n"), seen("b = 2\nz = 3\na = 1\n"));
    assert_ne!(seen("a = 1\nb = 2\n"), seen("a = 2\nb = 2\n"));
    assert_ne!(seen("a = 1\nb = 2\n"), seen("a = 1\nb = 3\n"));
    let broken = Seen::Content { digest: Digest::of(b"a = "), exec: false };
    assert_eq!(seen("a = "), [broken]);
}

#[test]
fn long_files_are_projected_too() {
    let place = Place::new();
    let json = spec(&[("*", "json:v")], &[]);
    let text = |v: u32, padding: usize| format!("{{\"v\": {v}, \"padding\": \"{}\"}}", "x".repeat(padding));
    let seen = |text: String| {
        place.trace(&json, &place.project(&json, &[("f", &text)]), &[("project/f", Look::Content)]).0.seen
    };
    assert_eq!(seen(text(1, 2 * ELSEWHERE)), seen(text(1, 3 * ELSEWHERE)));
    assert_ne!(seen(text(1, 2 * ELSEWHERE)), seen(text(2, 2 * ELSEWHERE)));
}

#[test]
fn unknown_lenses_are_named() {
    let mut other = spec(&[("*", "pdf")], &[]);
    assert_eq!(Lenses::of(&other, None).missing(), None);
    other.projections[0].id = Digest::of(b"a newer version");
    assert_eq!(Lenses::of(&other, None).missing(), Some("pdf"));
    let mut unknown = spec(&[], &[("*", "pdf")]);
    unknown.normalisers[0].lens = "dvi".to_owned();
    assert_eq!(Lenses::of(&unknown, None).missing(), Some("dvi"));
}

/// A cache as glibc writes it, of libraries in `/usr/lib`.
fn ld_cache_of(names: &[&str]) -> Vec<u8> {
    let mut strings: Vec<u8> = Vec::new();
    let base = 48 + 24 * names.len();
    let mut bytes = b"glibc-ld.so.cache1.1".to_vec();
    bytes.extend((names.len() as u32).to_le_bytes());
    bytes.resize(48, 0);
    for name in names {
        bytes.extend(0x303u32.to_le_bytes());
        for text in [(*name).to_owned(), format!("/usr/lib/{name}")] {
            bytes.extend(((base + strings.len()) as u32).to_le_bytes());
            strings.extend(text.as_bytes());
            strings.push(0);
        }
        bytes.extend([0; 12]);
    }
    bytes.extend(strings);
    bytes
}

#[test]
fn the_dynamic_linkers_cache_matters_by_library() {
    let place = Place::new();
    let install =
        |names: &[&str]| std::fs::write(place.host().join("etc/ld.so.cache"), ld_cache_of(names)).unwrap();
    let put = |name: &str, text: &str| std::fs::write(place.host().join("usr/lib").join(name), text).unwrap();
    let plain = spec(&[], &[]);
    let project = place.project(&plain, &[]);
    let looks = [
        ("etc/ld.so.cache", Look::Content),
        ("etc/ld.so.cache", Look::Probe),
        ("usr/lib/libc.so.6", Look::Content),
        ("usr/lib/libmissing.so.1", Look::Probe),
    ];
    put("libc.so.6", "c 1");
    install(&["libz.so.1", "libc.so.6"]);
    let (trace, set) = place.trace(&plain, &project, &looks);
    place.larder.add_trace(&trace, &set, WorkspaceId::from_random(1)).unwrap();
    assert!(place.hits(&plain, &project));

    install(&["libzstd.so.1", "libz.so.1", "libnew.so.4", "libc.so.6"]);
    assert!(place.hits(&plain, &project), "an unrelated library is installed");
    let hidden = place.evaluator();
    let hidden = place.runtime.block_on(hidden.hidden(&trace, &set, &project, 9)).unwrap();
    assert_eq!(hidden.iter().map(|hidden| hidden.path.to_string()).collect::<Vec<_>>(), ["etc/ld.so.cache"]);
    assert!(hidden[0].by == ["ld.so.cache"]);

    install(&["libmissing.so.1", "libz.so.1", "libc.so.6"]);
    assert!(!place.hits(&plain, &project), "a library comes that was looked for");
    install(&["libz.so.1"]);
    assert!(!place.hits(&plain, &project), "an entry that was used is gone");
    install(&["libz.so.1", "libc.so.6"]);
    assert!(place.hits(&plain, &project));
    put("libc.so.6", "c 2, upgraded");
    assert!(!place.hits(&plain, &project), "a library that was opened is another one");
    put("libc.so.6", "c 1");
    std::fs::write(place.host().join("etc/ld.so.cache"), "garbage").unwrap();
    assert!(!place.hits(&plain, &project), "what is not understood is seen whole");
}

#[test]
fn normal_forms_of_outputs() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let lenses = Lenses::of(&spec(&[], &[("**/*.pdf", "pdf")]), None);
    let pdf = "%PDF-1.4\n<< /ModDate (D:20240101) >>";
    let normal = |path: &str, text: &str| {
        let path = path.parse().unwrap();
        lenses
            .normalised(&path, text.len() as u64, || Ok(text.as_bytes().to_vec()), runtime.handle())
            .unwrap()
            .unwrap()
    };
    assert_eq!(normal("a.pdf", pdf).unwrap(), pdf.replace("20240101", "20000101").as_bytes());
    assert!(normal("doc/a.pdf", pdf).is_some());
    assert_eq!(normal("a.txt", pdf), None);
    assert_eq!(normal("a.pdf", "no PDF"), None);
    let unread =
        lenses.normalised(&"a.txt".parse().unwrap(), 1, || panic!("nothing is for it"), runtime.handle());
    assert_eq!(unread.unwrap().unwrap(), None);
    let too_long = lenses.normalised(
        &"a.pdf".parse().unwrap(),
        MAX_LENSED + 1,
        || panic!("it is not read"),
        runtime.handle(),
    );
    assert_eq!(too_long.unwrap().unwrap(), None);
}
