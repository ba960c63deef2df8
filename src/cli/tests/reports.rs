//! The read-only commands: for people, and as JSON.

use protocol::{Digest, RelPath};

use super::*;
use crate::majordomo::request::{
    Change, CleanReport, Edge, ForgetReport, FsckReport, GraphReport, Observation, PodReport, StatusReport,
    StepState, TraceReport, WhyReport,
};

fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

fn status() -> Report {
    let state = |step: &str, reason: &str| StepState {
        step: StepId::new(step),
        up_to_date: reason.is_empty(),
        reason: reason.to_owned(),
    };
    Report::Status(StatusReport {
        project: "lua".into(),
        sources: 61,
        steps: vec![state("compile:src/lapi.c", "src/lapi.h changed"), state("compile:src/lgc.c", "")],
        edited: vec![path("bin/lua")],
        missing: vec![path("obj/lgc.o")],
    })
}

#[test]
fn status_for_people_and_programs() {
    insta::assert_snapshot!(run("majordomo status", report(status())).shown(), @r"
    --- stdout
    project `lua`: 61 sources, 2 steps: 1 would run, 1 up to date
      compile:src/lapi.c  src/lapi.h changed
    edited by hand:
      bin/lua
    gone, to be written again:
      obj/lgc.o
    --- exit code 0
    ");
    insta::assert_snapshot!(run("majordomo status --json", report(status())).out, @r#"
    {
      "report": "status",
      "project": "lua",
      "sources": 61,
      "steps": [
        {
          "step": "compile:src/lapi.c",
          "up_to_date": false,
          "reason": "src/lapi.h changed"
        },
        {
          "step": "compile:src/lgc.c",
          "up_to_date": true,
          "reason": ""
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

#[test]
fn why_names_what_differs() {
    let why = WhyReport {
        target: "bin/lua".into(),
        step: StepId::new("link"),
        trace: Some(Digest::of(b"trace")),
        last_reason: Some("obj/lapi.o changed".into()),
        changes: vec![
            Change {
                path: path("project/obj/lapi.o"),
                look: "content".into(),
                before: "b3:11112222".into(),
                now: "b3:33334444".into(),
            },
            Change {
                path: path("usr/local/lib/x86_64-linux-gnu/libm.so"),
                look: "probe".into(),
                before: "absent".into(),
                now: "file of 1024 bytes".into(),
            },
        ],
        reads_from: vec![StepId::new("compile:src/lapi.c")],
    };
    insta::assert_snapshot!(run("majordomo why bin/lua", report(Report::Why(why))).shown(), @r"
    --- stdout
    bin/lua is made by link
    it comes from trace b3:6a544aa8, which ran: obj/lapi.o changed
    it read outputs of:
      compile:src/lapi.c
    it would run again, for it would not see the same:
      path                          look     then         now
      project/obj/lapi.o            content  b3:11112222  b3:33334444
      usr/local…-linux-gnu/libm.so  probe    absent       file of 1024 bytes
    --- exit code 0
    ");
}

#[test]
fn trace_shows_observations_outputs_and_print() {
    let seen = |at: &str, look: &str, seen: &str| Observation {
        path: path(at),
        look: look.into(),
        seen: seen.into(),
    };
    let trace = TraceReport {
        step: StepId::new("compile:main.c"),
        trace: Digest::of(b"trace"),
        millis: 214,
        observations: vec![
            seen("project/greet.h", "content", "b3:11112222"),
            seen("usr/local/include/greet.h", "probe", "absent"),
        ],
        outputs: vec![(path("obj/main.o"), "b3:33334444".into())],
        printed: "main.c:1: warning\n".into(),
    };
    insta::assert_snapshot!(run("majordomo trace compile:main.c", report(Report::Trace(trace))).shown(), @r"
    --- stdout
    compile:main.c: trace b3:6a544aa849abf414a4bafe0a1d64fbbeefcf49c3434b4a3aa9a54faf8071b7e8, ran for 0.21 s
    it saw 2 things:
      project/greet.h            content  b3:11112222
      usr/local/include/greet.h  probe    absent
    it made 1 thing:
      obj/main.o  b3:33334444
    it printed:
      main.c:1: warning
    --- exit code 0
    ");
}

#[test]
fn graph_in_three_forms() {
    let graph = || {
        Report::Graph(GraphReport {
            project: "hello".into(),
            steps: ["compile:main.c", "link"].map(StepId::new).into(),
            edges: vec![
                Edge {
                    from: StepId::new("compile:main.c"),
                    to: StepId::new("link"),
                    path: Some(path("obj/main.o")),
                },
                Edge { from: StepId::new("compile:main.c"), to: StepId::new("link"), path: None },
            ],
        })
    };
    insta::assert_snapshot!(run("majordomo graph", report(graph())).out, @r"
    project `hello`: 2 steps
      compile:main.c
      link
        reads obj/main.o of compile:main.c
        comes after compile:main.c
    ");
    insta::assert_snapshot!(run("majordomo graph --dot", report(graph())).out, @r#"
    digraph "hello" {
      rankdir=LR;
      node [shape=box];
      "compile:main.c";
      "link";
      "compile:main.c" -> "link" [label="obj/main.o"];
      "compile:main.c" -> "link" [style=dashed];
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
        pid: 4711,
        embedded: true,
        slots: 2,
        objects: 35,
        bytes: 3 << 20,
        repairs: vec!["a torn record at the end of pack 3 was cut off".into()],
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
