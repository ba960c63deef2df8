//! The golden files are read and written again, word for word.

use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::run::{Enclosed, RunEnd, RunNews};
use super::*;
use crate::event::Stream;
use crate::{Digest, ObjectKind, RelPath, WorkspaceId};

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
    let news = TraceNews { weak: digest, path_set: digest, strong: digest, trace: digest, revoked: false };
    golden("trace", &news);
    golden("trace.revoked", &TraceNews { revoked: true, ..news });
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
            labels: [("arch".to_owned(), "x86_64".to_owned())].into(),
            leaving: false,
            knows: "00ff".into(),
        },
    );
    golden("demand", &Demand { objects: vec![Digest::of(b"blob")] });
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
    let news = RunNews {
        run: 7,
        lines: vec![(Stream::Stdout, "said".into())],
        end: Some(RunEnd::Made { trace: Digest::of(b"trace"), path_set: Digest::of(b"set") }),
        usage: None,
        enclosed: vec![Enclosed { kind: ObjectKind::PathSet, bytes: vec![0, 255, 7] }],
        free_slots: 1,
    };
    golden("run-news", &news);
    golden("hand-over.refused", &ExchangeAnswer::Refused { why: "the disk is full".into() });
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
