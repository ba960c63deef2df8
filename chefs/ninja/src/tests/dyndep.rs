//! Dyndep files, and what they add.

use super::{manifest, texts};
use crate::{BuildPath, Limits, Manifest, read_dyndep};

const FORTRAN: &str = "\
rule f95
  command = f95 -o $out -c $in
build all.dd: f95 foo.f90 bar.f90
build foo.o: f95 foo.f90 || all.dd
  dyndep = all.dd
build bar.o: f95 bar.f90 || all.dd
  dyndep = ./all.dd
build other.o: f95 other.f90
";

fn path(text: &str) -> BuildPath {
    BuildPath::new(text.as_bytes()).unwrap()
}

fn add(text: &str) -> Result<Manifest, String> {
    let file = path("all.dd");
    let dyndep = read_dyndep(&file, text.as_bytes(), &Limits::default()).map_err(|e| e.to_string())?;
    manifest(FORTRAN).with_dyndep(&file, &dyndep).map_err(|e| e.to_string())
}

#[test]
fn a_module_becomes_known() {
    let manifest =
        add("# found\nninja_dyndep_version = 1.0\n\nbuild foo.o | foo.mod: dyndep\n  restat = 1\nbuild ./bar.o: dyndep | foo.mod\n")
            .unwrap();
    let [foo, bar] = [1, 2].map(|index| &manifest.edges()[index]);
    assert_eq!(texts(&foo.outputs.implicit), ["foo.mod"]);
    assert!(foo.command().unwrap().restat && !bar.command().unwrap().restat);
    assert_eq!(texts(&bar.inputs.implicit), ["foo.mod"]);
    assert_eq!(manifest.producer(&path("foo.mod")), Some(1));
    let place = |edge: usize| manifest.order().iter().position(|other| *other == edge).unwrap();
    assert!(place(1) < place(2));
    // What the shell gets does not change.
    assert_eq!(foo.command().unwrap().text, b"f95 -o foo.o -c foo.f90");
}

#[test]
fn mistakes() {
    let mut wrong = String::new();
    let version = "ninja_dyndep_version = 1\n";
    for (text, error) in [
        ("", "all.dd:1:1: expected `ninja_dyndep_version = 1`, found the end of the file"),
        ("build foo.o: dyndep\n", "all.dd:1:1: expected `ninja_dyndep_version = 1`, found `build`"),
        (
            "ninja_dyndep_version = 2\n",
            "all.dd:1:1: needs ninja 2; the language of dyndep files 1.0 is known here",
        ),
        (
            "ninja_dyndep_versoin = 1\n",
            "all.dd:1:1: unknown variable `ninja_dyndep_versoin`; the nearest known is `ninja_dyndep_version`",
        ),
        ("V", "build.ninja:4:1: `foo.o` is not mentioned in its dyndep file `all.dd`"),
        ("Vbuild foo.o", "all.dd:2:7: the file ends within a line: it must end with a newline"),
        ("Vbuild foo.o: dyndep\n", "build.ninja:6:1: `bar.o` is not mentioned in its dyndep file `all.dd`"),
        ("Vbuild foo.o: f95\n", "all.dd:2:14: unknown rule `f95`; the nearest known is `dyndep`"),
        ("Vbuild foo.o: dyndep in\n", "all.dd:2:21: expected the end of the line, found a word"),
        ("Vbuild foo.o: dyndep || in\n", "all.dd:2:21: expected the end of the line, found `||`"),
        ("Vbuild foo.o bar.o: dyndep\n", "all.dd:2:13: expected `:` (in a path, write `$:`), found a word"),
        ("Vbuild foo.o: dyndep\n  pool = x\n", "all.dd:3:3: unknown variable `pool`"),
        (
            "Vbuild foo.o: dyndep\nbuild ./foo.o: dyndep\n",
            "all.dd:3:1: statement for `foo.o` a second time: first at all.dd:2:1",
        ),
        ("Vbuild other.o: dyndep\n", "all.dd:2:1: the build statement of `other.o` has no `dyndep = all.dd`"),
        (
            "Vbuild foo.o | other.o: dyndep\nbuild bar.o: dyndep\n",
            "all.dd:2:1: output `other.o` a second time: first at build.ninja:8:1",
        ),
        (
            "Vbuild foo.o | a: dyndep | b\nbuild bar.o | b: dyndep | a\n",
            "build.ninja:4:1: a circle: `a` → `b` → `a`",
        ),
        ("Vx = 1\n", "all.dd:2:1: expected `build`, found a word"),
    ] {
        let found = add(&text.replace('V', version)).unwrap_err();
        if found != error {
            wrong.push_str(&format!("{text}\n  found  {found}\n  wanted {error}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
