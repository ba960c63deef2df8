//! Who stays when somebody is banned: all whom that one had let in until then, for everybody, whatever comes first.

use super::*;
use crate::federation::MemberList;

async fn enters(server: &MemoryServer, by: &Pod, name: &str) -> Pod {
    until("itself", by, |mesh| mesh.members().is_member(&by.mesh.pod())).await;
    let invitation = invited(by, &InviteOptions::default()).await;
    enter(Arc::new(server.connect()), &invitation, name, NOW).await.unwrap()
}

/// Who is in, and who was.
fn standings(list: &MemberList) -> Vec<(PodId, Role, Standing)> {
    list.values().map(|member| (member.pod, member.role, member.standing)).collect()
}

async fn agree(pods: &[&Pod], wanted: &[(&Pod, Standing)]) {
    let mut wanted: Vec<_> =
        wanted.iter().map(|(pod, standing)| (pod.mesh.pod(), Role::Full, *standing)).collect();
    wanted.sort_unstable_by_key(|(pod, ..)| *pod);
    for pod in pods {
        until("the same members", pod, |mesh| standings(&mesh.members().list()) == wanted).await;
    }
}

/// Asserts that the words about members come to the same in each order in which they are heard.
fn is_the_same_in_each_order(pod: &Pod) {
    let words = pod.mesh.ledger().all(subject::MEMBERS).unwrap();
    let wanted = standings(&pod.mesh.members().list());
    let mut order: Vec<usize> = (0..words.len()).collect();
    let mut counts = vec![0; words.len()];
    let hears = |order: &[usize]| {
        let server = MemoryServer::new();
        let kept = Kept { federation: pod.mesh.federation().id, salt: None, ring: Ring::default(), life: 0 };
        let identity = Arc::new(Identity::generate().unwrap());
        let fresh = Mesh::open(MeshParts::new(Arc::new(server.connect()), identity, kept)).unwrap();
        for word in order.iter().map(|at| &words[*at]) {
            fresh.ledger().offer(&word.subject, &word.signed).unwrap();
        }
        assert_eq!(standings(&fresh.members().list()), wanted, "{order:?}");
    };
    // Heap's algorithm: each order differs from the one before by one exchange.
    hears(&order);
    let mut at = 0;
    while at < order.len() {
        if counts[at] < at {
            order.swap(if at % 2 == 0 { 0 } else { counts[at] }, at);
            hears(&order);
            counts[at] += 1;
            at = 0;
        } else {
            counts[at] = 0;
            at += 1;
        }
    }
}

#[tokio::test]
async fn a_banned_founder_closes_nothing() {
    let (server, a) = twin().await;
    let old = invited(&a, &InviteOptions::default()).await;
    let b = enters(&server, &a, "b").await;
    let c = enters(&server, &b, "c").await;
    b.mesh.federation().ban(&a.mesh.pod()).await.unwrap();
    let d = enters(&server, &b, "d").await;
    let e = enters(&server, &d, "e").await;
    use Standing::{Banned, Member};
    let all = [(&a, Banned), (&b, Member), (&c, Member), (&d, Member), (&e, Member)];
    agree(&[&b, &c, &d, &e], &all).await;
    is_the_same_in_each_order(&e);
    // Whom it had invited nobody lets in any more.
    let said = refused(enter(Arc::new(server.connect()), &old, "f", NOW).await);
    assert!(said.contains("the pod that made the invitation was banned"), "{said}");
}

#[tokio::test]
async fn whom_a_banned_pod_had_let_in_stays_also_for_newcomers() {
    let (server, a) = twin().await;
    let b = enters(&server, &a, "b").await;
    let c = enters(&server, &b, "c").await;
    let left = enters(&server, &b, "left").await;
    let bad = enters(&server, &a, "bad").await;
    until("itself", &left, |mesh| mesh.members().is_member(&left.mesh.pod())).await;
    left.mesh.federation().leave().await.unwrap();
    b.mesh.federation().ban(&bad.mesh.pod()).await.unwrap();
    use Standing::{Banned, Left, Member};
    agree(&[&a], &[(&a, Member), (&b, Member), (&c, Member), (&left, Left), (&bad, Banned)]).await;
    a.mesh.federation().ban(&b.mesh.pod()).await.unwrap();
    let d = enters(&server, &a, "d").await;
    let all = [(&a, Member), (&b, Banned), (&c, Member), (&d, Member), (&left, Left), (&bad, Banned)];
    agree(&[&a, &c, &d], &all).await;
    is_the_same_in_each_order(&d);
}

#[tokio::test]
async fn who_is_banned_lets_nobody_in_and_bans_nobody() {
    let (server, a) = twin().await;
    let b = enters(&server, &a, "b").await;
    let z = Identity::generate().unwrap();
    let says = |by: &Identity, about: &PodId, change: &dyn Fn(&mut serde_json::Value)| {
        let mut body = a.mesh.ledger().get(&subject::member(&b.mesh.pod())).unwrap().unwrap().body;
        body["pod"] = json!(about);
        change(&mut body);
        let known = a.mesh.ledger().get(&subject::member(&b.mesh.pod())).unwrap().unwrap();
        let epoch = Epoch { revision: known.epoch.revision + 7, ..known.epoch };
        let id = &a.mesh.federation().id;
        let name = subject::member(about);
        (name.clone(), Entry::new(by, id, &name, epoch, (NOW, body)).unwrap())
    };
    let admission = says(&b.mesh.federation().identity, &z.pod(), &|_| {});
    a.mesh.federation().ban(&b.mesh.pod()).await.unwrap();
    let bans_founder = says(&z, &a.mesh.pod(), &|body| {
        body["standing"] = json!("banned");
        body["admission"] = json!(bs58::encode(&admission.1.signed).into_string());
    });
    let d = enters(&server, &a, "d").await;
    for pod in [&a, &d] {
        for (name, word) in [&admission, &bans_founder] {
            let taken = pod.mesh.ledger().offer(name, &word.signed).unwrap();
            assert!(matches!(taken, Taken::Refused | Taken::Waits), "{name}: {taken:?}");
        }
        assert!(!pod.mesh.members().list().contains_key(&z.pod()));
        assert!(pod.mesh.members().is_member(&a.mesh.pod()));
    }
    // Who heard of the admission before it heard of the ban comes to the same.
    let words = d.mesh.ledger().all(subject::MEMBERS).unwrap();
    let (ban, others): (Vec<_>, Vec<_>) =
        words.iter().partition(|word| word.subject == subject::member(&b.mesh.pod()));
    let kept = Kept { federation: a.mesh.federation().id, salt: None, ring: Ring::default(), life: 0 };
    let bus = Arc::new(MemoryServer::new().connect());
    let fresh = Mesh::open(MeshParts::new(bus, Arc::new(Identity::generate().unwrap()), kept)).unwrap();
    let was = ban[0].body["admission"].as_str().unwrap();
    let was = bs58::decode(was).into_vec().unwrap();
    let offer = |name: &str, signed: &[u8]| fresh.ledger().offer(name, signed).unwrap();
    for word in others {
        offer(&word.subject, &word.signed);
    }
    assert_eq!(offer(&subject::member(&b.mesh.pod()), &was), Taken::New);
    assert_eq!(offer(&admission.0, &admission.1.signed), Taken::New);
    assert!(fresh.members().is_member(&z.pod()));
    assert_eq!(offer(&ban[0].subject, &ban[0].signed), Taken::New);
    assert!(!fresh.members().list().contains_key(&z.pod()));
}

/// Waits until all know the same.
async fn know_the_same(pods: &[&Pod]) {
    for pod in pods {
        until("all know the same", pod, |mesh| {
            pods.iter().all(|other| other.mesh.ledger().digest() == mesh.ledger().digest())
        })
        .await;
    }
}

#[tokio::test]
async fn what_a_banned_pod_had_said_is_known_to_nobody_any_more() {
    let (server, a) = twin().await;
    let b = enters(&server, &a, "b").await;
    let c = enters(&server, &a, "c").await;
    let (theirs, ours) = (word_of(&b.mesh.pod(), "theirs"), word_of(&c.mesh.pod(), "ours"));
    until("itself", &b, |mesh| mesh.members().is_member(&b.mesh.pod())).await;
    b.mesh.ledger().say(&theirs, json!(1)).await.unwrap();
    invited(&b, &InviteOptions::default()).await;
    until("itself", &c, |mesh| mesh.members().is_member(&c.mesh.pod())).await;
    c.mesh.ledger().say(&ours, json!(1)).await.unwrap();
    for pod in [&a, &c] {
        until("both words", pod, |mesh| {
            [&theirs, &ours].iter().all(|name| mesh.ledger().get(name).unwrap().is_some())
        })
        .await;
    }
    a.mesh.federation().ban(&b.mesh.pod()).await.unwrap();
    let d = enters(&server, &a, "d").await;
    until("a word", &d, |mesh| mesh.ledger().get(&ours).unwrap().is_some()).await;
    know_the_same(&[&a, &c, &d]).await;
    for pod in [&a, &c, &d] {
        let about: Vec<_> = pod.mesh.ledger().all("").unwrap();
        let of_it = about.iter().filter(|word| word.from == b.mesh.pod());
        let is_invitation = |word: &Entry| word.subject.starts_with(subject::INVITATIONS);
        assert!(of_it.clone().all(is_invitation), "{:?}", of_it.collect::<Vec<_>>());
        assert!(pod.mesh.ledger().get(&ours).unwrap().is_some());
    }
}

/// Waits until all have the key that was agreed upon last, and those who are out have not, for a key that was made before both bans were heard of may have been
/// sealed to one of them; and reads with it what another one says.
async fn read_each_other(pods: &[&Pod], out: &[&Pod]) {
    for pod in pods {
        until("those who are out are out, and all have the key", pod, |mesh| {
            let federation = mesh.federation();
            let agreed = mesh.members().generation();
            out.iter().all(|out| mesh.members().standing(&out.mesh.pod()) == Some(Standing::Banned))
                && agreed.is_some_and(|agreed| {
                    let of_it = |out: &&Pod| out.mesh.federation().ring.read().newest() >= agreed.generation;
                    let ring = federation.ring.read();
                    !out.iter().any(of_it)
                        && ring.newest() == agreed.generation
                        && ring.commitment(agreed.generation) == Some(agreed.commitment)
                })
        })
        .await;
    }
    know_the_same(pods).await;
    for (number, by) in pods.iter().enumerate() {
        let name = word_of(&by.mesh.pod(), "read by all");
        by.mesh.ledger().say(&name, json!(number)).await.unwrap();
        for pod in pods {
            until("a word", pod, |mesh| {
                mesh.ledger().get(&name).unwrap().is_some_and(|word| word.body == json!(number))
            })
            .await;
        }
        for out in out {
            assert_eq!(out.mesh.ledger().get(&name).unwrap(), None);
        }
    }
}

#[tokio::test]
async fn two_bans_at_once_are_both_in_force() {
    for _ in 0..5 {
        let (server, a) = twin().await;
        let b = enters(&server, &a, "b").await;
        let c = enters(&server, &a, "c").await;
        let (x, y) = (enters(&server, &a, "x").await, enters(&server, &b, "y").await);
        for pod in [&a, &b, &c] {
            until("all", pod, |mesh| mesh.members().list().len() == 5).await;
        }
        let (one, other) = (x.mesh.pod(), y.mesh.pod());
        let (by_a, by_b) = tokio::join!(a.mesh.federation().ban(&one), b.mesh.federation().ban(&other));
        by_a.unwrap();
        by_b.unwrap();
        read_each_other(&[&a, &b, &c], &[&x, &y]).await;
    }
}

#[tokio::test]
async fn who_was_given_a_key_after_its_ban_has_none_of_the_present() {
    let (server, a) = twin().await;
    let b = enters(&server, &a, "b").await;
    let y = enters(&server, &a, "y").await;
    until("itself", &y, |mesh| mesh.members().is_member(&y.mesh.pod())).await;
    a.mesh.federation().ban(&y.mesh.pod()).await.unwrap();
    // As by a pod that makes a key and has not heard of the ban.
    let federation = a.mesh.federation();
    let seal_key = y.mesh.federation().identity.seal_key();
    federation.seal_ring_to(&y.mesh.pod(), &seal_key).await.unwrap();
    until("it has the key", &y, |mesh| mesh.federation().ring.read().newest() == 2).await;
    for pod in [&a, &b] {
        until("another one", pod, |mesh| mesh.federation().ring.read().newest() == 3).await;
    }
    read_each_other(&[&a, &b], &[&y]).await;
    assert_eq!(y.mesh.federation().ring.read().newest(), 2);
}
