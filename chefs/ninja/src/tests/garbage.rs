//! Whatever the bytes are: an answer, and no panic.

use proptest::prelude::*;

use crate::{BuildPath, Layout, Limits, Plan, read, read_dyndep};

/// Small enough that no case takes long.
fn limits() -> Limits {
    Limits {
        file_bytes: 1 << 16,
        all_bytes: 1 << 18,
        files: 20,
        depth: 5,
        value_bytes: 1 << 14,
        expansion: 1 << 18,
    }
}

/// Reads all that can be read of these bytes, which are also the file that they may include.
fn swallow(bytes: &[u8]) {
    let mut files = |_: &[u8]| Ok(bytes.to_vec());
    let path = BuildPath::new(b"x").unwrap();
    let dyndep = read_dyndep(&path, bytes, &limits());
    if let Err(error) = &dyndep {
        assert!(error.to_string().len() < 10_000);
    }
    match read(b"build.ninja", &mut files, &limits()) {
        Ok(manifest) => {
            assert_eq!(manifest.order().len(), manifest.edges().len());
            let layout = Layout { build: "b".parse().unwrap(), project: BuildPath::new(b"/p").unwrap() };
            if let Ok(plan) = Plan::new(&manifest, &layout) {
                for (index, step) in plan.steps.iter().enumerate() {
                    assert!(!step.needs.contains(&index) && !step.order_only.contains(&index));
                }
            }
            if let Ok(dyndep) = dyndep {
                manifest.with_dyndep(&path, &dyndep).ok();
            }
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() < 10_000, "{text}");
            assert!(error.place.line > 0 && error.place.column > 0);
        }
    }
}

/// Pieces of the language, so that more than the first line is reached.
const PIECES: [&str; 36] = [
    "rule r\n",
    "rule s\n  command = s $in $out\n",
    "  command = c $in $x\n",
    "  command = $rspfile $out\n",
    "  depfile = $out.d\n",
    "  rspfile = $x\n",
    "  rspfile_content = $in_newline\n",
    "  deps = gcc\n",
    "  restat = $x\n",
    "  pool = p\n",
    "  dyndep = x\n",
    "  x = $y$x\n",
    "pool p\n",
    "  depth = 2\n",
    "build a: s b\n",
    "build x | y: s a || b |@ c\n",
    "build b: phony c d\n",
    "build ",
    "x",
    ": r",
    ": phony",
    " | ",
    " || ",
    "|@ ",
    "\n",
    "  ",
    "$",
    "$\n",
    "x = $x$x\n",
    "y = ${x}z\n",
    "default x\n",
    "include f\n",
    "subninja f\n",
    "ninja_dyndep_version = 1\n",
    "build x: dyndep | d\n",
    "#c\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        swallow(&bytes);
    }

    #[test]
    fn letters(text in "[a-c $:|@=\\n\\r\\t#{}./\0]{0,100}") {
        swallow(text.as_bytes());
    }

    #[test]
    fn pieces(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..30)) {
        swallow(pieces.concat().as_bytes());
    }

    #[test]
    fn cut_and_changed(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..20), cut: usize, byte: u8) {
        let mut bytes = pieces.concat().into_bytes();
        if !bytes.is_empty() {
            let at = cut % bytes.len();
            bytes[at] = byte;
            swallow(&bytes);
            swallow(&bytes[..at]);
        }
    }
}
