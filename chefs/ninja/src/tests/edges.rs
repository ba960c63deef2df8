//! What edges need and make.

use super::{manifest, texts};
use crate::{Deps, WarningKind};

#[test]
fn all_kinds_of_inputs_and_outputs() {
    let text = "\
rule r
  command = r
build a b | c d: r e f | g || h i |@ j
build j: r a
build | k: r
";
    let manifest = manifest(text);
    let edge = &manifest.edges()[0];
    assert_eq!(texts(&edge.outputs.explicit), ["a", "b"]);
    assert_eq!(texts(&edge.outputs.implicit), ["c", "d"]);
    assert_eq!(texts(&edge.inputs.explicit), ["e", "f"]);
    assert_eq!(texts(&edge.inputs.implicit), ["g"]);
    assert_eq!(texts(&edge.inputs.order_only), ["h", "i"]);
    // A validation may need what asks for it.
    assert_eq!(texts(&edge.validations), ["j"]);
    assert_eq!(texts(&manifest.edges()[2].outputs.implicit), ["k"]);
    assert_eq!(edge.place.to_string(), "build.ninja:3:1");
    assert_eq!(texts(&manifest.wanted()), ["b", "c", "d", "j", "k"]);
}

#[test]
fn flags_of_a_rule() {
    let text = "\
builddir = out/ninja
pool two
  depth = 2
rule gcc
  command = x
  deps = gcc
  depfile = $out.d
  generator = 1
  pool = two
rule cl
  command = y
  deps = msvc
  msvc_deps_prefix = Note: $prefix
  description = CL $out
prefix = p
build a: gcc
build b: cl
  pool = console
build c: gcc
  pool =
  generator =
default b c
";
    let manifest = manifest(text);
    let [a, b, c] = [0, 1, 2].map(|index| manifest.edges()[index].command().unwrap());
    assert_eq!(a.deps, Some(Deps::Gcc));
    assert!(a.generator && !a.restat);
    assert_eq!(a.pool.as_ref().unwrap().as_bytes(), b"two");
    assert_eq!(b.deps, Some(Deps::Msvc { prefix: b"Note: p".to_vec() }));
    assert_eq!(b.description, b"CL b");
    assert!(b.pool.as_ref().unwrap().is_console());
    assert!(c.pool.is_none() && !c.generator);
    assert_eq!(manifest.pools().values().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(texts(manifest.defaults()), ["b", "c"]);
    assert_eq!(manifest.builddir(), Some(&b"out/ninja"[..]));
}

#[test]
fn paths_are_one_when_their_canonical_forms_are() {
    let text = "rule r\n  command = r $in\nbuild ./a//b: r x/../y\nbuild c: r a/./b\ndefault ././c\n";
    let manifest = manifest(text);
    assert_eq!(manifest.producer(&manifest.edges()[1].inputs.explicit[0]), Some(0));
    assert_eq!(texts(manifest.defaults()), ["c"]);
}

#[test]
fn a_phony_that_needs_itself_is_odd_and_no_circle() {
    let manifest = manifest("build a: phony a b\n");
    assert_eq!(texts(&manifest.edges()[0].inputs.explicit), ["b"]);
    assert!(matches!(manifest.warnings()[0].kind, WarningKind::PhonyNeedsItself { .. }));
}

#[test]
fn the_order_has_makers_first() {
    let text = "rule r\n  command = r\nbuild a: r b || c\nbuild c: phony d\nbuild b: r c\nbuild d: r\n";
    let manifest = manifest(text);
    let place = |edge: usize| manifest.order().iter().position(|other| *other == edge).unwrap();
    assert!(place(3) < place(1) && place(1) < place(2) && place(2) < place(0));
    assert_eq!(manifest.order().len(), 4);
}

#[test]
fn an_older_language_is_odd_and_a_newer_one_is_refused() {
    assert_eq!(manifest("ninja_required_version = 1.12.1.git\n").warnings().len(), 0);
    assert_eq!(manifest("ninja_required_version = 0.9\n").warnings().len(), 1);
}
