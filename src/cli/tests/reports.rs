//! The read-only commands: for people, and as JSON.

use protocol::Digest;

use super::why::sight;
use super::*;
use crate::majordomo::request::graph::{Edge, GraphReport};
use crate::majordomo::request::trace::{Kind, Observation, Output, TraceFilter, TraceReport, Within};
use crate::majordomo::request::{CleanReport, ForgetReport, FsckReport, PodReport, StatusReport, StepState};

pub(super) fn status() -> Report {
    let state = |step: &str, reason: &str| StepState {
        step: StepId::new(step),
        up_to_date: reason.is_empty(),
        reason: reason.to_owned(),
        failed: None,
    };
    let failed =
        StepState { failed: Some("exit code 1".into()), ..state("compile:src/lapi.c", "src/lapi.h changed") };
    Report::Status(StatusReport {
        project: "lua".into(),
        sources: 61,
        steps: vec![failed, state("compile:src/lgc.c", "")],
        edited: vec![path("bin/lua")],
        missing: vec![path("obj/lgc.o")],
    })
}

#[test]
fn status_for_people_and_programs() {
    insta::assert_snapshot!(run("majordomo status", report(status())).shown(), @r"
    --- stdout
    project `lua`: 61 sources, 2 steps: 1 would run, 1 up to date
      compile:src/lapi.c  src/lapi.h chang… its last run failed: exit code 1
    edited by hand:
      bin/lua
    gone, to be written again:
      obj/lgc.o
    --- exit code 0
    ");
    insta::assert_snapshot!(run("majordomo status --json", report(status())).out, @r#"
    {
      "schema": 1,
      "report": "status",
      "project": "lua",
      "sources": 61,
      "steps": [
        {
          "step": "compile:src/lapi.c",
          "up_to_date": false,
          "reason": "src/lapi.h changed",
          "failed": "exit code 1"
        },
        {
          "step": "compile:src/lgc.c",
          "up_to_date": true,
          "reason": "",
          "failed": null
        }
      ],
      "edited": [
        "bin/lua"
      ],
      "missing": [
        "obj/lgc.o"
      ]
    }
    "#);
}

pub(super) fn trace() -> TraceReport {
    let seen = |at: &str, look: &str, seen: &str, raw| Observation {
        path: path(at),
        shown: crate::majordomo::build::reason::shown(&path(at)),
        look: look.into(),
        seen: sight(seen, raw),
    };
    TraceReport {
        step: StepId::new("compile:main.c"),
        trace: Digest::of(b"trace"),
        millis: 214,
        all: 2,
        observations: vec![
            seen("project/greet.h", "content", "b3:11112222", None),
            seen("usr/local/include/greet.h", "probe", "absent", None),
        ],
        more: 0,
        outputs: vec![Output { path: path("obj/main.o"), text: "b3:33334444".into(), digest: None }],
        printed: "main.c:1: warning\n".into(),
    }
}

#[test]
fn trace_shows_observations_outputs_and_print() {
    let shown = |trace| run("majordomo trace compile:main.c", report(Report::Trace(trace))).shown();
    insta::assert_snapshot!(shown(trace()), @r"
    --- stdout
    compile:main.c: trace b3:6a544aa849abf414a4bafe0a1d64fbbeefcf49c3434b4a3aa9a54faf8071b7e8, ran for 0.21 s
    it saw 2 things:
      greet.h                     content  b3:11112222
      /usr/local/include/greet.h  probe    absent
    it made 1 thing:
      obj/main.o  b3:33334444
    it printed:
      main.c:1: warning
    --- exit code 0
    ");
    let mut projected = trace();
    projected.all = 20_000;
    projected.more = 3;
    projected.observations[0].seen.raw = Some(Digest::of(b"whole"));
    insta::assert_snapshot!(shown(projected), @r"
    --- stdout
    compile:main.c: trace b3:6a544aa849abf414a4bafe0a1d64fbbeefcf49c3434b4a3aa9a54faf8071b7e8, ran for 0.21 s
    of 20000 things that it saw 5 as asked:
      greet.h                     content  b3:11112222  of b3:c381e7db
      /usr/local/include/greet.h  probe    absent
      and 3 more: ask for less, by --kind or --path
    it made 1 thing:
      obj/main.o  b3:33334444
    it printed:
      main.c:1: warning
    --- exit code 0
    ");
}

#[test]
fn trace_asks_for_what_is_wanted() {
    let line = "majordomo trace link --kind content,absent --kind listing --path src/** --outside --json";
    let asked = run(line, report(Report::Trace(trace()))).asked;
    let Some(Request::Trace { filter, .. }) = asked else { panic!("{asked:?}") };
    let kinds = vec![Kind::Content, Kind::Absent, Kind::Listing];
    assert_eq!(filter, TraceFilter { kinds, path: Some("src/**".into()), place: Some(Within::Tools) });
}

pub(super) fn graph() -> Report {
    let edge = |from: &str, to: &str, paths: &[&str], in_cycle| Edge {
        from: StepId::new(from),
        to: StepId::new(to),
        paths: paths.iter().map(|text| path(text)).collect(),
        more: 0,
        names: vec![],
        declared: paths.is_empty(),
        in_cycle,
    };
    let many = Edge { more: 96, ..edge("tex", "bib", &["a.aux", "b.aux", "c.aux", "d.aux"], true) };
    Report::Graph(GraphReport {
        project: "a \"report\"".into(),
        steps: ["fetch", "tex", "bib"].map(StepId::new).into(),
        edges: vec![
            many,
            edge("fetch", "tex", &[], false),
            edge("bib", "tex", &["report.bbl"], true),
            Edge { names: vec![path("x"), path("y")], ..edge("fetch", "bib", &[], false) },
        ],
        cycles: vec![vec![StepId::new("bib"), StepId::new("tex")]],
    })
}

#[test]
fn graph_in_three_forms() {
    insta::assert_snapshot!(run("majordomo graph", report(graph())).out, @r#"
    project `a "report"`: 3 steps
      fetch
      tex
        comes after fetch
        reads report.bbl of bib
      bib
        reads a.aux of tex
        reads b.aux of tex
        reads c.aux of tex
        reads d.aux of tex
        reads 96 more of tex
        lists x, y of fetch
    in a circle: bib, tex
    "#);
    insta::assert_snapshot!(run("majordomo graph --dot", report(graph())).out, @r#"
    digraph "a \"report\"" {
      rankdir=LR;
      node [shape=box];
      "fetch";
      "tex";
      "bib";
      "tex" -> "bib" [label="a.aux\nb.aux\nc.aux\nand 97 more", color=red];
      "fetch" -> "tex" [style=dashed];
      "bib" -> "tex" [label="report.bbl", color=red];
      "fetch" -> "bib" [label="x\ny", style=dotted];
    }
    "#);
    assert!(run("majordomo graph --json", report(graph())).out.contains(r#""report": "graph""#));
}

#[test]
fn forget_and_clean_say_what_they_did() {
    let forgotten = ForgetReport { revoked: vec![(StepId::new("link"), 2)] };
    let ran = run("majordomo forget link", report(Report::Forget(forgotten)));
    assert_eq!((ran.out.as_str(), ran.talk.as_str()), ("", "link: 2 traces revoked\n"));
    let cleaned = CleanReport { removed: 35, kept: vec![path("bin/lua")] };
    let ran = run("majordomo clean", report(Report::Clean(cleaned)));
    assert_eq!(ran.talk, "35 outputs removed\nkept `bin/lua`: it was edited by hand\n");
}

#[test]
fn a_damaged_larder_is_the_machines_failure() {
    let found = |quarantined: &[&str]| {
        let quarantined = quarantined.iter().map(ToString::to_string).collect();
        report(Report::Fsck(FsckReport { objects: 1234, bytes: 5 << 20, quarantined }))
    };
    insta::assert_snapshot!(run("pod fsck", found(&[])).shown(), @r"
    --- stdout
    1234 objects, 5.0 MiB: all as they should be
    --- exit code 0
    ");
    insta::assert_snapshot!(run("pod fsck", found(&["blob b3:11112222: other bytes"])).shown(), @r"
    --- stdout
    1234 objects, 5.0 MiB: 1 wrong, now in quarantine:
      blob b3:11112222: other bytes
    --- exit code 3
    ");
}

#[test]
fn pod_status_for_people() {
    let pod = PodReport {
        home: "/home/me/.local/share/computepods".into(),
        pid: Some(4711),
        embedded: true,
        slots: 2,
        objects: 35,
        bytes: 3 << 20,
        repairs: vec!["a torn record at the end of pack 3 was cut off".into()],
        banned_from: None,
    };
    insta::assert_snapshot!(run("pod status", report(Report::Pod(pod))).out, @r"
    home    /home/me/.local/share/computepods
    held by process 4711, inside of a majordomo
    kitchen 2 steps at once
    larder  35 objects, 3.0 MiB
    repair  a torn record at the end of pack 3 was cut off
    ");
}

#[test]
fn a_reader_that_left_is_no_error() {
    let (_scratch, project) = a_project();
    let (code, talk, _) = run_in(&project, "majordomo status", report(status()), Closed);
    assert_eq!((code, talk.as_str()), (0, ""));
}

#[test]
fn completions_come_from_the_tree() {
    let ran = run("majordomo completions bash", Fake::default());
    assert!(ran.out.contains("--keep-going") && !ran.out.contains("zygote"), "{}", ran.out);
}

#[test]
fn an_answer_that_does_not_come_is_named() {
    let ran = run("majordomo status", Fake::default());
    assert_eq!(ran.code, 3);
    assert!(ran.talk.starts_with("error: the pod ended the request without an answer\n"), "{}", ran.talk);
}
