//! The golden files are read and written again, word for word.

use std::time::Duration;

use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::order::*;
use super::run::*;
use super::*;
use crate::event::{Event, Limited, Outcome, Stamped, Stream};
use crate::failure::{Failure, FailureKind};
use crate::report::{
    Differing, StatusReport, StepState, TargetKind, TargetReport, TargetsReport, VerifyDifference,
    VerifyReport,
};
use crate::{BuildId, Digest, ObjectKind, RelPath, StepId, WorkspaceId};

fn golden<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(name: &str, value: &T) {
    let path = format!("{}/src/mesh/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = serde_json::to_string_pretty(value).unwrap() + "\n";
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, wanted, "{name}: run with BLESS=1 if the change is meant");
    assert_eq!(serde_json::from_str::<T>(&wanted).unwrap(), *value);
}

fn pod(n: u8) -> PodId {
    PodId::from_bytes([n; 32])
}

fn member() -> Member {
    Member {
        pod: pod(1),
        name: "anvil".into(),
        role: Role::Full,
        standing: Standing::Member,
        seal_key: [2; 32],
        founding_salt: Some([3; 16]),
        knew_generation: None,
        admission: None,
        upheld: Vec::new(),
    }
}

fn invitation() -> Invitation {
    Invitation {
        federation: FederationId::founded_by(&pod(1), &[3; 16]),
        server: "nats://10.0.0.1:4222".into(),
        by: pod(1),
        id: [4; 16],
        secret: [5; 32],
    }
}

#[test]
fn entries_have_their_golden_form() {
    golden("member", &member());
    golden(
        "member.banned",
        &Member {
            standing: Standing::Banned,
            founding_salt: None,
            knew_generation: Some(2),
            admission: Some(vec![9; 8]),
            ..member()
        },
    );
    golden("addresses", &Addresses { addresses: vec!["/ip4/10.0.0.1/tcp/4711".into()] });
    golden("generation", &GenerationEntry { generation: 2, commitment: [6; 32] });
    golden("key", &KeyEntry { generation: 2, sealed: vec![7; 80] });
    golden(
        "invitation",
        &InvitationEntry {
            by: pod(1),
            key: [8; 32],
            role: Role::Store,
            expires: 1_000,
            uses: 2,
            used_by: vec![pod(2)],
        },
    );
    golden(
        "project",
        &ProjectEntry {
            name: "libfoo".parse().unwrap(),
            workspace: WorkspaceId::from_random(9),
            owner: Some(pod(1)),
            folder: "/home/me/libfoo".into(),
        },
    );
    let digest = Digest::of(b"tree");
    golden(
        "owner",
        &Ownership {
            workspace: WorkspaceId::from_random(9),
            path: RelPath::new(b"build/a.o").unwrap(),
            scope: ArtefactScope::Outputs,
            owner: Some(pod(1)),
            digest,
            size: 17,
            label: String::new(),
            made_for: None,
            promised_to: Some(pod(2)),
        },
    );
    let news = TraceNews {
        weak: digest,
        path_set: digest,
        strong: digest,
        trace: digest,
        outputs: Some(digest),
        revoked: false,
    };
    golden("trace", &news);
    golden("trace.revoked", &TraceNews { revoked: true, outputs: None, ..news });
}

#[test]
fn messages_have_their_golden_form() {
    golden(
        "beat",
        &Beat {
            free_slots: 1,
            slots: 2,
            queue: 0,
            load: 150,
            processors: 2,
            free_memory: 1 << 30,
            memory: Some(2 << 30),
            labels: [("arch".to_owned(), "x86_64".to_owned())].into(),
            knows: "00ff".into(),
        },
    );
    golden(
        "join.request",
        &JoinRequest {
            v: VERSION,
            pod: pod(2),
            name: "bench".into(),
            role: Role::Full,
            seal_key: [2; 32],
            invitation: [4; 16],
            attempt: 0,
        },
    );
    golden(
        "join.welcome",
        &JoinAnswer::Welcome { ring: serde_json::json!({ "1": "key" }), members: vec![vec![1, 2, 3]] },
    );
    golden("join.no", &JoinAnswer::No { why: "the invitation is used up".into() });
    golden("hand-over.take", &Exchange::Take { subject: "log.owner.x".into(), revision: 3 });
    golden("hand-over.refused", &ExchangeAnswer::Refused { why: "the disk is full".into() });
}

fn paths() -> (RelPath, RelPath) {
    (RelPath::new(b"a.c").unwrap(), RelPath::new(b"a.o").unwrap())
}

#[test]
fn what_is_said_of_runs_has_its_golden_form() {
    let digest = Digest::of(b"blob");
    golden(
        "run.order",
        &RunOrder {
            run: 7,
            workspace: WorkspaceId::from_random(9),
            label: "p: link".into(),
            plan: digest,
            step: 1,
            sources: digest,
            over: vec![digest],
            made: vec![(0, digest)],
            ahead: vec![digest],
            lists: None,
            tool_roots: vec![RelPath::new(b"opt/tools").unwrap()],
            timeout: Some(Duration::from_millis(1500)),
            limits: RunLimits { memory: Some(1 << 30), ..RunLimits::default() },
            may_wait: true,
            memory: Some(1 << 29),
        },
    );
    golden("run.answer", &[RunAnswer::Accepted, RunAnswer::Waits, RunAnswer::Busy]);
    let news = RunNews {
        run: 7,
        number: 1,
        lines: Vec::new(),
        waits: false,
        end: None,
        usage: None,
        enclosed: Vec::new(),
        again: None,
        free_slots: 1,
    };
    golden("run.news", &RunNews { lines: vec![(Stream::Stderr, "a warning".into())], ..news.clone() });
    golden("run.news.again", &RunNews { again: Some("its kitchen died".into()), ..news.clone() });
    golden("run.news.waits", &RunNews { waits: true, ..news.clone() });
    let usage =
        RunUsage { user: Duration::from_millis(20), system: Duration::from_millis(10), memory: 1 << 20 };
    let ended = |number, end| RunNews { number, end: Some(end), usage: Some(usage), ..news.clone() };
    let enclosed = vec![Enclosed { kind: ObjectKind::PathSet, bytes: vec![0, 255, 7] }];
    let made = ended(2, RunEnd::Made { trace: digest, path_set: digest });
    golden("run.news.made", &RunNews { enclosed, ..made });
    let failure = RunFailure {
        exit: Some(1),
        why: "exit code 1".into(),
        limit: Some(Limited::Memory),
        command: 0,
        saw: Some(digest),
        path_set: Some(digest),
    };
    golden("run.news.failed", &ended(2, RunEnd::Failed(failure)));
    golden("run.news.unmade", &ended(2, RunEnd::Unmade(paths().1)));
    golden("run.news.not-run", &ended(2, RunEnd::NotRun("it has no disk".into())));
    // What a later version says of an end is no reason to take it for silent.
    let later = r#"{"run":7,"number":3,"end":{"paused":{"for":"ever"}},"free_slots":1}"#;
    let why = "it ended in a way that this version does not know".to_owned();
    let read: RunNews = serde_json::from_str(later).unwrap();
    assert_eq!(read, RunNews { number: 3, end: Some(RunEnd::NotRun(why)), ..news });
    golden("run.cancel", &RunCancel { run: 7 });
    golden("news.answer", &[NewsAnswer::Taken, NewsAnswer::Later, NewsAnswer::Unwanted]);
}

#[test]
fn what_is_asked_of_registered_projects_has_its_golden_form() {
    let name: ProjectName = "libfoo".parse().unwrap();
    let order = |what| ProjectOrder { run: 7, name: name.clone(), what };
    let targets = vec!["lib".to_owned()];
    let options = OrderOptions { keep_going: true, ..OrderOptions::default() };
    golden("project.build", &order(OfProject::Build { targets: targets.clone(), options }));
    let used_by = vec![UsedBy { workspace: WorkspaceId::from_random(8), name: "app".into() }];
    let build = Some(BuildId::from_random(6));
    golden("project.use", &order(OfProject::Use { targets, used_by, build, as_it_is: false }));
    golden("project.targets", &order(OfProject::Targets));
    golden("project.monitor", &order(OfProject::Monitor { step: Some("link".into()), once: true }));
    golden("project.cancel", &ProjectCancel { run: 7 });
}

#[test]
fn what_owners_say_has_its_golden_form() {
    let (source, output) = paths();
    let step = StepId::new("link");
    let failure = Failure {
        kind: FailureKind::Step,
        message: "it failed".into(),
        causes: vec!["no disk".into()],
        hints: vec!["mend it".into()],
    };
    let event = Event::StepOutput { step: step.clone(), stream: Stream::Stdout, text: "hi".into() };
    let replies = [
        ProjectReply::Event(Stamped { at: 0.5, event }),
        ProjectReply::Waiting("another build is running".into()),
        ProjectReply::Refused(failure.clone()),
        ProjectReply::Targets(TargetsReport {
            project: "libfoo".into(),
            default: vec!["lib".into()],
            targets: vec![TargetReport {
                target: "a.o".into(),
                kind: TargetKind::Output,
                step: Some(step.clone()),
            }],
        }),
        ProjectReply::Status(StatusReport {
            project: "libfoo".into(),
            sources: 1,
            steps: vec![StepState {
                step: step.clone(),
                up_to_date: false,
                reason: "`a.c` changed".into(),
                failed: None,
            }],
            edited: vec![output],
            missing: vec![source],
        }),
        ProjectReply::Verify(VerifyReport {
            steps: 1,
            differences: vec![VerifyDifference {
                step: step.clone(),
                differing: Differing::NotDeterministic,
                words: "`a.o` differs".into(),
            }],
        }),
        ProjectReply::Made(ProjectMade {
            name: "libfoo".parse().unwrap(),
            folder: "/src/libfoo".into(),
            tree: Digest::of(b"tree"),
            files: 1,
            bytes: 10,
            kept_back: vec![step],
        }),
        ProjectReply::Done { outcome: Some(Outcome::Success) },
        ProjectReply::Failed(failure),
    ];
    golden("project.replies", &replies);
    // Of a later program there may be others among them.
    let replies = replies.iter().map(|reply| serde_json::to_value(reply).unwrap());
    golden("project.news", &ProjectNews { run: 7, number: 1, replies: replies.take(1).collect() });
}

#[test]
fn an_invitation_is_one_line_that_reads_back() {
    let text = invitation().to_string();
    assert!(text.starts_with("invite1-") && !text.contains(char::is_whitespace));
    assert_eq!(format!("  {text}\n").parse::<Invitation>(), Ok(invitation()));
    assert_eq!("hello".parse::<Invitation>(), Err(BadInvitation::NoInvitation));
    assert!(!format!("{:?}", invitation()).contains(&bs58::encode([5; 32]).into_string()));
}

#[test]
fn only_its_founder_founds_a_federation() {
    let federation = invitation().federation;
    assert!(member().founded(&federation));
    assert!(!Member { pod: pod(2), ..member() }.founded(&federation));
    assert!(!Member { founding_salt: Some([0; 16]), ..member() }.founded(&federation));
    assert_eq!(federation.to_string().parse::<FederationId>().unwrap(), federation);
}

proptest! {
    #[test]
    fn a_damaged_invitation_is_refused(at in 8usize..200, letter in "[1-9A-HJ-NP-Za-km-z]") {
        let mut text = invitation().to_string();
        let at = at.min(text.len() - 1);
        if text[at..=at] != letter {
            text.replace_range(at..=at, &letter);
            prop_assert_eq!(text.parse::<Invitation>(), Err(BadInvitation::Damaged));
        }
        text.truncate(at);
        prop_assert_eq!(text.parse::<Invitation>(), Err(BadInvitation::Damaged));
    }
}
