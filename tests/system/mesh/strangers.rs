//! Those who are not let in, those who lie inside, and those who say again what others said: real pods, a real server.
//!
//! What goes wrong on a swarm's own streams – half frames, lengths of 4 GB, silence after the handshake – is in `pods/swarm/tests/swarm/liars.rs`,
//! over real sockets: nobody comes so far from outside. Invitations that are used, old or made by a banned pod are in `mesh`, `skew` and `trust`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use backplane::bus::Expect;
use backplane::keys::Identity;
use backplane::ledger::{ChangeError, Entry};
use protocol::mesh::{Ownership, TraceNews, subject};
use protocol::{Digest, PodId};
use rustix::process::Signal;
use serde_json::Value;
use swarm::{Keypair, MemoryStore, Swarm};

use super::insider::{self, Insider};
use super::steps::{Full, alone, contents, starts_at, two, wide};
use super::{Member, STEPS, is_announced, joins, me, others_of};
use crate::common::{Place, Tap};
use crate::owning::owners;

/// The TCP port at which a pod's swarm listens.
fn port(member: &Member) -> u16 {
    let pods = member.pods();
    let address = me(&pods)["addresses"][0].as_str().unwrap().to_owned();
    address.split('/').nth(4).unwrap().parse().unwrap()
}

/// Builds on one pod, and takes it on the other: all is well between the two.
#[track_caller]
fn work_together(a: &Member, b: &Member, words: &str) {
    let there = a.place.project("together", STEPS);
    there.write("words", words);
    there.builds(&["twice", "upper"]);
    is_announced(b, a);
    let here = b.place.project("together", STEPS);
    here.write("words", words);
    here.builds(&[]);
    assert_eq!(here.read("twice"), words.to_uppercase().repeat(2));
}

#[test]
fn a_stranger_gets_neither_in_nor_in_the_way() {
    let (_ground, server, a, b) = two();
    // Without an invitation a pod founds a federation of its own on the same server, and the two know nothing of each other.
    let x = joins(Place::new(), &server, "x", None);
    assert_ne!(x.pods()["federation"], a.pods()["federation"]);
    assert_eq!(others_of(&x.pods()).count(), 0);
    // At the swarm's door: garbage, a frame of 4 GB, nothing at all; and a pod of the right protocol that is nobody's member.
    let door = port(&a);
    let mut lines: Vec<TcpStream> =
        (0..60).map(|_| TcpStream::connect(("127.0.0.1", door)).unwrap()).collect();
    for (i, line) in lines.iter_mut().enumerate() {
        let said: &[u8] = match i % 3 {
            0 => &[0x13; 70_000],
            1 => b"\x13/multistream/1.0.0\n\x07/noise\n\xff\xff\xff\xff\xff\xff\xff\xff",
            _ => &[],
        };
        // It may be hung up before all is said.
        line.write_all(said).ok();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let said = runtime.block_on(async {
        let identity = Identity::generate().unwrap();
        let key = Keypair::ed25519_from_bytes(&mut *identity.secret()).unwrap();
        let store = Arc::new(MemoryStore::default());
        let stranger =
            Swarm::start(key, swarm::Options::default(), store, Arc::new(|_: &PodId| true)).unwrap();
        let pod: PodId = me(&a.pods())["pod"].as_str().unwrap().parse().unwrap();
        stranger.learn(pod, vec![format!("/ip4/127.0.0.1/tcp/{door}").parse().unwrap()]).await.unwrap();
        loop {
            let known = stranger.pods().await.unwrap();
            let status = known.iter().find(|status| status.pod == pod);
            assert!(!status.is_some_and(|status| status.connected), "it was let in");
            if let Some(trouble) = status.and_then(|status| status.trouble.clone()) {
                return trouble;
            }
            tokio::time::sleep(super::POLL).await;
        }
    });
    assert!(!said.is_empty());
    work_together(&a, &b, "beside strangers\n");
    assert_eq!(others_of(&a.pods()).count(), 1);
    // Who said what is no protocol is hung up on.
    let mut rest = Vec::new();
    lines[0].set_read_timeout(Some(crate::common::running::LIMIT)).unwrap();
    match lines[0].read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    drop(lines);
    [x, b, a].into_iter().for_each(Member::leaves);
}

/// What a pod knows of the federation, and how often steps have run on it: what must stay as it is.
fn known(member: &Member) -> Value {
    let names: Vec<Value> = others_of(&member.pods()).map(|pod| pod["name"].clone()).collect();
    let status = member.place.pod(&["status", "--json"]).ok().json();
    let artefacts = member.place.pod(&["artefacts", "--json"]).ok().json();
    serde_json::json!([names, status["objects"], artefacts["artefacts"]])
}

#[test]
fn what_was_said_once_counts_once() {
    let (_ground, server, a, b) = two();
    let mut tap = Tap::new(&server);
    // Of all that pods say: joining, beats, orders of steps, results, a hand-over, a ban.
    let c = joins(Place::new(), &server, "c", Some(&a.invitation()));
    let project = a.place.project("p", &(wide(4, "0.1") + STEPS));
    project.write("words", "said once\n");
    let full = Full::new(&a);
    let mut build = project.start(&["--jobs", "1"]);
    // Either of the others may be the quicker one.
    build.wait_for(|event| event["event"] == "step-started" && event["pod"] != "here");
    full.ends();
    build.built().ok();
    let count = |all: &[Value]| all.iter().filter(|one| one["project"] == "p").count();
    b.waits_for_artefacts("all is owned", |all| count(all) == 7);
    a.place.pod(&["give", "p/upper", "b"]).ok();
    a.place.pod(&["give", "p/twice", "c"]).ok();
    a.place.pod(&["ban", "c"]).ok();
    a.sees(&["b"]);
    b.sees(&["a"]);
    is_announced(&b, &a);
    let said = tap.overheard();
    let subjects = |part: &str| said.iter().filter(|(subject, _)| subject.contains(part)).count();
    for part in [".join", ".beat.", ".run", ".log.owner.", ".log.member.", ".log.trace."] {
        assert!(subjects(part) > 0, "nothing was heard on `{part}`");
    }
    let before = [known(&a), known(&b)];
    // All of it again, the oldest last, and what is no message at all.
    said.iter().for_each(|(subject, payload)| tap.says(subject, payload));
    said.iter().rev().for_each(|(subject, payload)| tap.says(subject, payload));
    let garbage: [&[u8]; 3] = [&[], b"{}", &[0xff; 300_000]];
    for (subject, _) in &said {
        garbage.iter().for_each(|payload| tap.says(subject, payload));
    }
    tap.settles();
    // Each answers after all that has come to it.
    assert_eq!([known(&a), known(&b)], before);
    work_together(&a, &b, "after all that\n");
    a.sees(&["b"]);
    // A newcomer, who reads the log as it is now, hears the rest from those who know.
    let d = joins(Place::new(), &server, "d", Some(&b.invitation()));
    for pod in [&a, &b, &d] {
        pod.waits_until("all that stay", |pods| {
            others_of(pods).filter(|pod| pod["connected"] == true).count() == 2
                && others_of(pods).count() == 2
        });
    }
    d.waits_for_artefacts("the last owner counts", |all| owners(all).contains(&"upper b".to_owned()));
    c.pod.signal(Signal::KILL);
    c.pod.end();
    [d, b, a].into_iter().for_each(Member::leaves);
}

#[test]
fn a_member_that_lies_costs_time_and_no_result() {
    let (_ground, server, a, b) = two();
    let liar = Insider::new(&server, &a.invitation());
    let ledger = liar.mesh.ledger().clone();
    for pod in [&a, &b] {
        pod.waits_until("the liar is heard and connected", |pods| {
            let liar = super::of(pods, insider::NAME);
            liar["connected"] == true && liar["load"]["free_slots"].as_u64() > Some(100)
        });
    }
    // Content: it has everything, it says.
    work_together(&a, &b, "beside a liar\n");

    // Traces: one in another one's name, and one of its own that is not what it says.
    let found = || -> Option<(Entry, TraceNews)> {
        let a = me(&a.pods())["pod"].as_str().unwrap().to_owned();
        let all = ledger.all(subject::TRACES).unwrap().into_iter();
        let mut of_a = all.filter(|entry| entry.from.to_string() == a);
        of_a.find_map(|entry| Some((entry.clone(), serde_json::from_value(entry.body).ok()?)))
    };
    let (of_a, news) = loop {
        match found() {
            Some(found) => break found,
            None => std::thread::sleep(super::POLL),
        }
    };
    let garbage = Digest::of(b"no trace at all");
    liar.runtime.block_on(async {
        let forged = serde_json::to_value(TraceNews { trace: garbage, ..news.clone() }).unwrap();
        let in_its_name = subject::trace(&of_a.from, &garbage);
        let refused = ledger.say(&in_its_name, forged.clone()).await.unwrap_err();
        assert!(matches!(refused, ChangeError::Forbidden(_)), "{refused}");
        // With a program that does not ask itself, too.
        let federation = liar.mesh.federation();
        let entry = Entry::new(
            &federation.identity,
            &federation.id,
            &in_its_name,
            of_a.epoch,
            (of_a.at, forged.clone()),
        );
        let sealed = entry.unwrap().sealed(&federation.id, &federation.ring.read()).unwrap();
        liar.mesh.bus().append(&in_its_name, sealed.into(), Expect::Anything).await.unwrap();
        ledger.say(&subject::trace(&liar.mesh.pod(), &garbage), forged).await.unwrap();
    });

    // Ownership: what others have made is its own, and has another digest.
    let owner = ["owner", "together/upper", "--json"];
    let is_of = |name: &'static str| move |told: &Value| told["artefact"]["owner_name"] == name;
    a.waits_for_artefacts("it is owned", |all| owners(all).contains(&"upper a".to_owned()));
    a.waits_for(&owner, "it is its maker's", is_of("a"));
    let workspace = a.place.pod(&owner).ok().json()["artefact"]["workspace"].as_str().unwrap().to_owned();
    let mut records = ledger.all(subject::OWNERS).unwrap();
    records.retain(|entry| entry.body["path"] == "upper" && entry.body["workspace"] == workspace.as_str());
    assert_eq!(records.len(), 1);
    let claim = ledger.change(&records[0].subject, |known| {
        let mut ownership: Ownership = serde_json::from_value(known.unwrap().body.clone()).unwrap();
        (ownership.owner, ownership.digest) = (Some(liar.mesh.pod()), garbage);
        Ok(serde_json::to_value(ownership).unwrap())
    });
    liar.runtime.block_on(claim).unwrap();
    a.waits_for(&["artefacts", "--json"], "the liar says that it is its own", |told| {
        let all = told["artefacts"].as_array().unwrap();
        all.iter().any(|one| one["workspace"] == workspace.as_str() && one["owner_name"] == insider::NAME)
    });
    let pulled = a.place.pod(&["pull", &format!("{workspace}:upper")]).code(3);
    assert!(pulled.stderr.contains("did not come"), "{}", pulled.stderr);

    // A newcomer believes none of it, and what changes is built as ever.
    let d = joins(Place::new(), &server, "d", Some(&a.invitation()));
    d.waits_until("all are connected", |pods| {
        others_of(pods).count() == 3 && others_of(pods).all(|pod| pod["connected"] == true)
    });
    is_announced(&d, &b);
    let there = d.place.project("together", STEPS);
    there.write("words", "beside a liar\n");
    there.builds(&[]);
    assert_eq!(there.read("upper"), "BESIDE A LIAR\n");
    work_together(&a, &b, "and once more\n");

    // Load: it takes every step, and says nothing of them again.
    let project = a.place.project("p", &wide(4, "0"));
    project.write("words", "kept waiting\n");
    let full = Full::new(&a);
    let mut build = project.start(&["--jobs", "1"]);
    starts_at(&mut build, insider::NAME);
    full.ends();
    build.built().ok();
    assert_eq!(contents(&project, "out"), alone(&wide(4, "0"), &[("words", "kept waiting\n")], "out"));

    // It can be named, and sent away; then what it took is its maker's again.
    a.place.pod(&["ban", insider::NAME]).ok();
    for pod in [&a, &b, &d] {
        pod.waits_until("it is out", |pods| super::of(pods, insider::NAME).is_null());
    }
    work_together(&a, &b, "without it\n");
    a.waits_for(&owner, "it is its maker's again", is_of("a"));
    drop(liar);
    [d, b, a].into_iter().for_each(Member::leaves);
}
