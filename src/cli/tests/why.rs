//! What `why` says.

use protocol::Digest;

use super::*;
use crate::majordomo::request::trace::Sight;
use crate::majordomo::request::why::{
    Cause, Change, CutOff, FailedRun, HiddenChange, KeyChange, LastRun, NamesChange, Now, Origin, WhyReport,
};

pub(super) fn sight(text: &str, raw: Option<&str>) -> Sight {
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
pub(super) fn would_run() -> WhyReport {
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
        made_by: None,
        made_by_name: None,
        reads_from: vec![StepId::new("compile")],
        last_run: Some(LastRun { at: 0, before: None, after: Digest::of(b"trace"), causes: ran }),
        failed: None,
        now: Now::Run { maybe: false, causes: now },
    }
}

#[test]
fn why_follows_what_differs_down_to_what_started_it() {
    insta::assert_snapshot!(run("majordomo why bin/lua", report(Report::Why(Box::new(would_run())))).shown(), @r"
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

/// One that would be adopted.
pub(super) fn would_not_run() -> WhyReport {
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
    WhyReport { now, last_run: None, ..would_run() }
}

#[test]
fn why_says_what_did_not_matter() {
    let why = would_not_run();
    insta::assert_snapshot!(run("majordomo why bin/lua", report(Report::Why(Box::new(why)))).shown(), @r"
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

/// One whose last run failed, with names that came and went.
pub(super) fn failed() -> WhyReport {
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
    WhyReport { now, last_run: None, failed, reads_from: many, ..would_run() }
}

#[test]
fn why_shows_names_and_the_lines_of_a_command_that_differ() {
    let why = failed();
    insta::assert_snapshot!(run("majordomo why bin/lua", report(Report::Why(Box::new(why)))).shown(), @r"
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
    let why = WhyReport { trace: None, reads_from: vec![], last_run: None, now, ..would_run() };
    insta::assert_snapshot!(run("majordomo why bin/lua", report(Report::Why(Box::new(why)))).shown(), @r"
    --- stdout
    bin/lua is made by link
    link has never been made here
    it may run now, because:
      link: maybe: `compile` comes before it
    --- exit code 0
    ");
}
