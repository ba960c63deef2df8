//! What variables stand for, and when.

use super::{commands, manifest, texts};

#[test]
fn values_are_expanded_where_they_are_set_and_commands_when_all_is_read() {
    let text = "\
a = 1
b = ${a}-$a.x
a = 2
rule r
  command = $a $b $c [$undefined] $in > $out
c = late
build x: r y
build z: r y
  c = own $a
a = 3
build w: r y
";
    assert_eq!(commands(text), ["3 1-1.x late [] y > x", "3 1-1.x own 2 [] y > z", "3 1-1.x late [] y > w"]);
}

#[test]
fn the_edge_comes_before_the_rule_and_the_rule_before_the_file() {
    let text = "\
flags = file
rule r
  command = $description
  description = $flags $pool$restat
  restat = rule
build x: r
  none = 1
build y: r
  flags = edge
build z: r
  description = edge $flags
";
    assert_eq!(commands(text), ["file rule", "edge rule", "edge file"]);
}

#[test]
fn variables_of_a_block_do_not_see_each_other_but_paths_see_them() {
    let text = "\
a = file
rule r
  command = $b $in $out
build $a.o: r $a.c | ${a}h
  b = <$a>
  a = own
";
    assert_eq!(commands(text), ["<file> own.c own.o"]);
    assert_eq!(texts(&manifest(text).edges()[0].inputs.implicit), ["ownh"]);
}

#[test]
fn lists_of_paths_are_quoted_for_the_shell_but_not_where_the_value_is_a_path() {
    let text = "\
rule r
  command = cc $in -o $out @$rspfile
  depfile = $out.d
  rspfile = $out.rsp
  rspfile_content = $in_newline
build a$ b c@: r x$:y it's | hidden || later
";
    assert_eq!(commands(text), ["cc 'x:y' 'it'\\''s' -o 'a b' 'c@' @'a b' 'c@'.rsp"]);
    let manifest = manifest(text);
    let command = manifest.edges()[0].command().unwrap();
    assert_eq!(command.depfile.as_ref().unwrap().to_string(), "a b c@.d");
    let response = command.response_file.as_ref().unwrap();
    assert_eq!(response.path.to_string(), "a b c@.rsp");
    assert_eq!(response.content, b"'x:y'\n'it'\\''s'");
}

#[test]
fn dollars_and_continued_lines() {
    let text = "\
rule r
  command = a$$b$ c$:d $
      e$
      f $x-y ${x.y}z $x.y | g: #h  $
  
x-y = 1
x.y = 2
x = 3
build $
    out $
  : r $
   in
";
    assert_eq!(commands(text), ["a$b c:d ef 1 2z 3.y | g: #h  "]);
}

#[test]
fn words_are_keywords_only_at_the_start_of_a_line() {
    let text = "\
rule build
  command = $pool/$default $in
build rule: build include subninja
  default = pool
  pool =
build default: phony rule
default default
";
    assert_eq!(commands(text), ["/pool include subninja"]);
}

#[test]
fn lines_may_end_as_on_windows_and_comments_may_be_indented() {
    let text =
        "# c\r\nrule r\r\n  # c\r\n  command = a $\r\n   b\r\n#c\r\n  restat = 1\r\n  \r\nbuild x: r y\r\n";
    assert_eq!(commands(text), ["a b"]);
    assert!(manifest(text).edges()[0].command().unwrap().restat);
}

#[test]
fn an_oddity_of_ninja_without_a_block_the_file_comes_before_the_rule() {
    let text = "\
description = file
rule r
  command = $description
  description = rule
build x: r
build y: r
  a = 1
";
    assert_eq!(commands(text), ["file", "rule"]);
}
