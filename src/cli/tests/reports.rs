//! The read-only commands: for people, and as JSON.

use protocol::{Digest, RelPath};

use super::*;
use crate::majordomo::report::{
    Cause, Change, CutOff, Edge, FailedRun, GraphReport, HiddenChange, KeyChange, Kind, LastRun, NamesChange,
    Now, Observation, Origin, Sight, TraceFilter, TraceReport, WhyReport, Within,
};
use crate::majordomo::request::{CleanReport, ForgetReport, FsckReport, PodReport, StatusReport, StepState};

fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

fn status() -> Report {
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

fn sight(text: &str, raw: Option<&str>) -> Sight {
    Sight { text: text.into(), digest: None, raw: raw.map(|raw| Digest::of(raw.as_bytes())) }
}

fn change(at: &str, look: &str, (before, now): (&str, &str), by: Option<&str>) -> Change {
    Change {
        path: path(at),
        look: look.into(),
        words: String::new(),
        before: sight(before, None),
        now: Some(sight(now, None)),
        origin: if at.starts_with("project") { Origin::Source } else { Origin::Tool },
        by: by.map(StepId::new),
        projections: vec![],
        names: None,
    }
}

fn cause(step: &str, reason: &str, changes: Vec<Change>) -> Cause {
    Cause { step: StepId::new(step), reason: reason.into(), changes, key: vec![], more: 0 }
}

/// A target that was made because of a source, and would be made again because of a tool and a variable.
fn why() -> WhyReport {
    let ran = vec![
        cause(
            "link",
            "obj/lapi.o changed",
            vec![
                change(
                    "project/obj/lapi.o",
                    "probe",
                    ("file of 10 bytes", "file of 12 bytes"),
                    Some("compile"),
                ),
                change("project/obj/lapi.o", "content", ("b3:11112222", "b3:33334444"), Some("compile")),
            ],
        ),
        Cause {
            key: vec![KeyChange {
                what: "its command".into(),
                before: Some("cc -O1".into()),
                now: Some("cc -O2".into()),
            }],
            ..cause("compile", "its command changed", vec![])
        },
    ];
    let mut aux = change("project/report.aux", "content", ("b3:55556666", "b3:77778888"), None);
    aux.before.raw = Some(Digest::of(b"before"));
    aux.now.as_mut().unwrap().raw = Some(Digest::of(b"now"));
    aux.projections = vec!["bibtex-aux".into()];
    let now = vec![Cause {
        more: 7,
        ..cause(
            "link",
            "usr/lib/libm.so appeared",
            vec![change("usr/lib/libm.so", "probe", ("absent", "file of 1024 bytes"), None), aux],
        )
    }];
    WhyReport {
        target: "bin/lua".into(),
        step: StepId::new("link"),
        trace: Some(Digest::of(b"trace")),
        reads_from: vec![StepId::new("compile")],
        last_run: Some(LastRun { at: 0, before: None, after: Digest::of(b"trace"), causes: ran }),
        failed: None,
        now: Now::Run { maybe: false, causes: now },
    }
}

#[test]
fn why_follows_what_differs_down_to_what_started_it() {
    insta::assert_snapshot!(run("majordomo why bin/lua", report(Report::Why(why()))).shown(), @r"
    --- stdout
    bin/lua is made by link
    the last trace of link is b3:6a544aa8
    it read outputs of compile
    it last ran because:
      link: obj/lapi.o changed
        content of obj/lapi.o, made by compile: b3:11112222 → b3:33334444
      compile: its command changed
        its command: cc -O1 → cc -O2
    it would run now, because:
      link: usr/lib/libm.so appeared
        probe of /usr/lib/libm.so, a tool: absent → file of 1024 bytes
        content of report.aux, a source: b3:55556666 → b3:77778888
          seen through bibtex-aux; the whole file: b3:18c52a7e → b3:470e9bee
        and 7 more
    --- exit code 0
    ");
}

#[test]
fn why_says_what_did_not_matter() {
    let now = Now::Reuse {
        trace: Digest::of(b"trace"),
        observations: 112,
        hidden: vec![HiddenChange {
            path: path("project/report.aux"),
            before: Digest::of(b"before"),
            now: Digest::of(b"now"),
            projections: vec!["bibtex-aux".into()],
        }],
        cut_off: vec![CutOff { step: StepId::new("compile"), reason: "src/a.c changed".into() }],
    };
    let why = WhyReport { now, last_run: None, ..why() };
    insta::assert_snapshot!(run("majordomo why bin/lua", report(Report::Why(why))).shown(), @r"
    --- stdout
    bin/lua is made by link
    the last trace of link is b3:6a544aa8
    it read outputs of compile
    it was made elsewhere, and never ran here
    it would not run now: all 112 observations of trace b3:6a544aa8 hold
      compile ran later, and changed nothing that it saw: src/a.c changed
      report.aux changed (b3:18c52a7e → b3:470e9bee), and bibtex-aux leaves that out
    --- exit code 0
    ");
}

#[test]
fn why_shows_names_and_the_lines_of_a_command_that_differ() {
    let mut listing = change("project/obj", "listing", ("names b3:11112222", "names b3:33334444"), None);
    listing.before.digest = Some(Digest::of(b"before"));
    listing.now.as_mut().unwrap().digest = Some(Digest::of(b"now"));
    listing.names = Some(NamesChange { appeared: vec!["new.o".into()], gone: vec!["old.o".into()] });
    let key = |before: &str, now: &str| KeyChange {
        what: "its command".into(),
        before: Some(before.into()),
        now: Some(now.into()),
    };
    let cause = Cause {
        key: vec![key("set -e\ncc -O1 a.c\nstrip a", "set -e\ncc -O2 a.c\ncc b.c\nstrip a")],
        ..cause("link", "its command changed", vec![listing])
    };
    let failed = Some(FailedRun { at: 0, failure: "exit code 1".into() });
    let now = Now::Run { maybe: false, causes: vec![cause] };
    let many = (1..=7).map(|number| StepId::new(&format!("s{number}"))).collect();
    let why = WhyReport { now, last_run: None, failed, reads_from: many, ..why() };
    insta::assert_snapshot!(run("majordomo why bin/lua", report(Report::Why(why))).shown(), @r"
    --- stdout
    bin/lua is made by link
    the last trace of link is b3:6a544aa8
    it read outputs of s1, s2, s3, s4, s5 and 2 more steps
    it was made elsewhere, and never ran here
    it ran and failed: exit code 1
    it would run now, because:
      link: its command changed
        its command:
          - cc -O1 a.c
          + cc -O2 a.c
          + cc b.c
        listing of obj: new.o appeared, old.o gone, a source (b3:18c52a7e → b3:470e9bee)
    --- exit code 0
    ");
}

#[test]
fn why_of_what_was_never_made() {
    let now =
        Now::Run { maybe: true, causes: vec![cause("link", "maybe: `compile` comes before it", vec![])] };
    let why = WhyReport { trace: None, reads_from: vec![], last_run: None, now, ..why() };
    insta::assert_snapshot!(run("majordomo why bin/lua", report(Report::Why(why))).shown(), @r"
    --- stdout
    bin/lua is made by link
    link has never been made here
    it may run now, because:
      link: maybe: `compile` comes before it
    --- exit code 0
    ");
}

fn trace() -> TraceReport {
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
        outputs: vec![(path("obj/main.o"), "b3:33334444".into())],
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

#[test]
fn graph_in_three_forms() {
    let edge = |from: &str, to: &str, paths: &[&str], in_cycle| Edge {
        from: StepId::new(from),
        to: StepId::new(to),
        paths: paths.iter().map(|text| path(text)).collect(),
        more: 0,
        names: vec![],
        declared: paths.is_empty(),
        in_cycle,
    };
    let graph = || {
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
    };
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
