//! What stands beside `why`: `trace` with its filters, `build --explain`, and `graph`.

use serde_json::Value;

use super::chain;
use crate::common::Place;

#[test]
fn a_trace_can_be_filtered() {
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    let trace = |arguments: &[&str]| {
        let json = project.ask("trace", &[&["compile:src/main.c", "--json"], arguments].concat()).ok().json();
        let rows = json["observations"].as_array().unwrap().clone();
        let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
        rows.iter().map(|row| (text(row, "shown"), text(row, "look"), text(row, "text"))).collect::<Vec<_>>()
    };
    let all = trace(&[]);
    let (inside, outside) = (trace(&["--inside"]), trace(&["--outside"]));
    assert!(!inside.is_empty() && !outside.is_empty());
    assert_eq!(inside.len() + outside.len(), all.len());
    assert!(
        inside.iter().all(|row| !row.0.starts_with('/')) && outside.iter().all(|row| row.0.starts_with('/'))
    );
    let files: Vec<_> = trace(&["--inside", "--kind", "content"]).into_iter().map(|row| row.0).collect();
    assert_eq!(files, ["include/greet.h", "src/main.c"]);
    let absent = trace(&["--kind", "absent"]);
    assert!(absent.len() > 10 && absent.iter().all(|row| row.2 == "absent"));
    assert!(trace(&["--path", "/usr/include/**"]).iter().any(|row| row.0 == "/usr/include/stdio.h"));
    let both = trace(&["--kind", "content,listing,link"]);
    assert!(
        both.iter().all(|row| ["content", "listing", "link"].contains(&row.1.as_str())) && !both.is_empty()
    );
    insta::assert_snapshot!(project.ask("trace", &["link", "--path", "obj/["]).code(2).stderr, @"error: `obj/[` is no glob: a `[` has no matching `]`, or a range in it is backwards");
}

#[test]
fn explain_says_how_many_observations_differ_or_hold() {
    let place = Place::new();
    let project = chain(&place);
    project.build(&[]).ok();
    project.write("source", "# b\n1\n");
    let said = project.build(&["--explain"]).ok().ended.stderr;
    insta::assert_snapshot!(said, @r"
    strip ran: source changed (1 of [N] observations differ) ([TIME])
    copy reused: all [N] observations of b3:[DIGEST] hold
    built in [TIME]: 2 steps, 1 ran, 1 reused
    ");
}

#[test]
fn a_graph_marks_circles() {
    let place = Place::new();
    let file = "[step.a]\nrun = 'cat from-b > from-a 2>/dev/null || echo 0 > from-a'\n\
                [step.b]\nrun = 'sort from-a > from-b'\n[step.c]\nafter = ['b']\nrun = 'touch from-c'\n";
    let project = place.project("p", file);
    project.build(&[]).ok();
    insta::assert_snapshot!(project.ask("graph", &[]).ok().stdout, @r"
    project `p`: 3 steps
      a
        reads from-b of b
      b
        reads from-a of a
      c
        comes after b
    in a circle: a, b
    ");
    insta::assert_snapshot!(project.ask("graph", &["--dot"]).ok().stdout, @r#"
    digraph "p" {
      rankdir=LR;
      node [shape=box];
      "a";
      "b";
      "c";
      "b" -> "a" [label="from-b", color=red];
      "a" -> "b" [label="from-a", color=red];
      "b" -> "c" [style=dashed];
    }
    "#);
    let json = project.ask("graph", &["--json"]).ok().json();
    assert_eq!(json["cycles"], serde_json::json!([["a", "b"]]));
    insta::assert_snapshot!(project.ask("status", &[]).ok().stdout, @"project `p`: 1 source, 3 steps, nothing to do");
}
