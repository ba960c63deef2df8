//! Files that include files.

use std::error::Error;
use std::fs;

use super::{command, texts, with_files};
use crate::{Folder, Limits, read};

#[test]
fn include_shares_the_scope_and_subninja_has_its_own() {
    let top = "\
a = top
rule r
  command = $a $b
include shared.ninja
build x: r
subninja sub/own.ninja
build y: r
";
    let others = [
        ("shared.ninja", "b = shared\n"),
        ("sub/own.ninja", "a = own\nrule r\n  command = mine $a $b\nbuild z: r\nsubninja deeper.ninja\n"),
        ("deeper.ninja", "b = deeper\nbuild w: r\n"),
    ];
    let manifest = with_files(top, &others, &Limits::default()).unwrap();
    let commands: Vec<String> = manifest.edges().iter().filter_map(command).collect();
    assert_eq!(commands, ["top shared", "mine own shared", "mine own deeper", "top shared"]);
    let files: Vec<_> = manifest.files().iter().map(|file| String::from_utf8_lossy(file)).collect();
    assert_eq!(files, ["build.ninja", "shared.ninja", "sub/own.ninja", "deeper.ninja"]);
}

#[test]
fn mistakes_in_other_files_name_them() {
    let others = [("sub.ninja", "rule r\n  command = r\nbuild x: s\n")];
    let error = with_files("subninja sub.ninja\n", &others, &Limits::default()).unwrap_err();
    insta::assert_snapshot!(error, @"sub.ninja:3:10: unknown rule `s`");
    let error = with_files("a = 1\ninclude no.ninja\n", &others, &Limits::default()).unwrap_err();
    insta::assert_snapshot!(error, @"build.ninja:2:9: cannot read `no.ninja`");
    let error = with_files("include build.ninja\n", &others, &Limits::default()).unwrap_err();
    insta::assert_snapshot!(error, @"build.ninja:1:9: files include each other more than 64 deep; does one include itself?");
}

#[test]
fn files_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("build.ninja"), "include sub/a\n").unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/a"), "build x: phony y\n").unwrap();
    let mut files = Folder::new(folder.path());
    let manifest = read(b"build.ninja", &mut files, &Limits::default()).unwrap();
    assert_eq!(texts(manifest.edges()[0].outputs.all()), ["x"]);
    let error = read(b"sub", &mut files, &Limits::default()).unwrap_err();
    insta::assert_snapshot!(error, @"sub:1:1: cannot read `sub`");
    insta::assert_snapshot!(error.source().unwrap(), @"it is no file");
    let small = Limits { file_bytes: 10, ..Limits::default() };
    let error = read(b"build.ninja", &mut files, &small).unwrap_err();
    insta::assert_snapshot!(error, @"build.ninja:1:1: more than 10 bytes in a file");
}
