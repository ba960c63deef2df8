//! Files that ask for too much.

use std::fmt::Write;

use super::{mistake, with_files};
use crate::Limits;

#[test]
fn variables_that_double_end_at_a_limit() {
    let mut text = "x0 = 0123456789\n".to_owned();
    for n in 1..100 {
        writeln!(text, "x{n} = $x{0}$x{0}", n - 1).unwrap();
    }
    assert!(mistake(&text).ends_with("more than 67108864 bytes in an expanded value"), "{}", mistake(&text));
}

#[test]
fn rules_that_multiply_nothing_end_at_a_limit() {
    let names = ["command", "description", "depfile", "dyndep", "generator", "pool", "restat", "deps"];
    let mut text = "rule r\n".to_owned();
    for pair in names.windows(2) {
        writeln!(text, "  {} = {}", pair[0], format!("${}", pair[1]).repeat(200)).unwrap();
    }
    text.push_str("build x: r\n");
    let limits = Limits { expansion: 100_000, ..Limits::default() };
    let error = with_files(&text, &[], &limits).unwrap_err();
    insta::assert_snapshot!(error, @"build.ninja:9:1: more than 100000 bytes and look-ups of expanded variables");
}

#[test]
fn many_files_end_at_a_limit() {
    let limits = Limits { files: 5, all_bytes: 100, ..Limits::default() };
    let error = with_files(&"include a\n".repeat(9), &[("a", "")], &limits).unwrap_err();
    insta::assert_snapshot!(error, @"build.ninja:5:9: more than 5 files");
    let a = "#\n".repeat(12);
    let error = with_files(&"include a\n".repeat(4), &[("a", &a)], &limits).unwrap_err();
    insta::assert_snapshot!(error, @"a:1:1: more than 100 bytes in all files");
}

#[test]
fn a_long_chain_and_a_long_block_take_neither_stack_nor_square_time() {
    let mut text = "rule r\n  command = r\n".to_owned();
    for n in 0..100_000 {
        writeln!(text, "build x{n}: phony x{}", n + 1).unwrap();
    }
    text.push_str("build y: r\n");
    for n in 0..100_000 {
        writeln!(text, "  v{n} = {n}").unwrap();
    }
    assert_eq!(super::manifest(&text).edges().len(), 100_001);
}
