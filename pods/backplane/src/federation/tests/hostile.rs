//! Members, and strangers at the NATS server, who say what they should not.

use super::*;
use crate::bus::Subscription;
use crate::keys::seal_to;

#[tokio::test]
async fn a_key_of_a_generation_that_nobody_agreed_upon_stops_nobody() {
    let (server, a) = twin().await;
    let invitation = invited(&a, &InviteOptions { uses: 2, ..InviteOptions::default() }).await;
    let b = enter(Arc::new(server.connect()), &invitation, "b", NOW).await.unwrap();
    let c = enter(Arc::new(server.connect()), &invitation, "c", NOW).await.unwrap();
    until("the members", &b, |mesh| mesh.members().list().len() == 3).await;
    for pod in [&a, &c] {
        until("what is agreed upon", pod, |mesh| mesh.members().generation().is_some()).await;
    }
    let mut ring = Ring::default();
    ring.add(u32::MAX, Zeroizing::new([6; 32]));
    ring.add(3, Zeroizing::new([7; 32]));
    let json = serde_json::to_vec(&ring.to_json()).unwrap();
    let epoch = Epoch { incarnation: a.mesh.bus().log().await.unwrap(), revision: 50 };
    for pod in [&a, &c] {
        let sealed = seal_to(&pod.mesh.federation().identity.seal_key(), &json).unwrap();
        let key = protocol::mesh::KeyEntry { generation: u32::MAX, sealed };
        let name = subject::key(&pod.mesh.pod());
        let says = b.mesh.federation();
        let word = (NOW, serde_json::to_value(key).unwrap());
        let key = Entry::new(&says.identity, &says.id, &name, epoch, word).unwrap();
        // All hear of it, so that whoever gives out the next key does.
        for hears in [&a, &c] {
            assert_eq!(hears.mesh.ledger().offer(&name, &key.signed).unwrap(), Taken::New);
        }
        assert!(pod.mesh.federation().ring.read().commitment(3).is_some(), "it opens, for all that is known");
        assert_eq!(pod.mesh.federation().ring.read().newest(), 1);
    }
    let name = word_of(&a.mesh.pod(), "x");
    a.mesh.ledger().say(&name, json!(1)).await.unwrap();
    until("what was said", &c, |mesh| mesh.ledger().get(&name).unwrap().is_some()).await;
    // And who has given it is sent away, with a key that those who stay get in place of that one.
    let bad = b.mesh.pod();
    a.mesh.federation().ban(&bad).await.unwrap();
    until("a new key", &c, |mesh| mesh.federation().ring.read().newest() == 2).await;
    let name = word_of(&c.mesh.pod(), "y");
    c.mesh.ledger().say(&name, json!(1)).await.unwrap();
    until("what was said", &a, |mesh| mesh.ledger().get(&name).unwrap().is_some()).await;
}

/// Says no to newcomers, as anybody can who reaches the server: to so many of each pod's attempts.
async fn says_no(bus: &MemoryBus, mut asked: Subscription, federation: &FederationId, attempts: u32) {
    let stranger = Identity::generate().unwrap();
    while let Some(message) = futures::StreamExt::next(&mut asked).await {
        let request: protocol::mesh::JoinRequest = serde_json::from_slice(&message.payload[128..]).unwrap();
        if request.attempt >= attempts {
            continue;
        }
        let why = format!("\x1b[2J{}", "go away ".repeat(1000));
        let no = protocol::mesh::JoinAnswer::No { why };
        let sealed = sealed(&stranger, federation, (&message.payload, &request.seal_key), &no).unwrap();
        bus.respond(&message.reply.unwrap(), Bytes::from(sealed)).await.unwrap();
    }
}

#[tokio::test]
async fn a_no_of_strangers_keeps_nobody_out() {
    let (server, a) = twin().await;
    let b = enter(Arc::new(server.connect()), &invited(&a, &InviteOptions::default()).await, "b", NOW).await;
    let b = b.unwrap();
    until("itself", &b, |mesh| mesh.members().is_member(&b.mesh.pod())).await;
    let invitation = invited(&b, &InviteOptions::default()).await;
    let name = subject::invitation(&invitation.id);
    until("the invitation", &a, |mesh| mesh.ledger().get(&name).unwrap().is_some()).await;
    // Whoever invited is away, so that others answer from the second attempt on.
    drop(b);
    let bus = server.connect();
    let asked = bus.subscribe(subject::JOIN).await.unwrap();
    let entering = enter(Arc::new(server.connect()), &invitation, "c", NOW);
    tokio::select! {
        entered = entering => assert!(entered.is_ok(), "{}", refused(entered)),
        () = says_no(&bus, asked, &invitation.federation, u32::MAX) => panic!("the bus was closed"),
    }
    drop(a);
    let bus = server.connect();
    let asked = bus.subscribe(subject::JOIN).await.unwrap();
    let entering = enter(Arc::new(server.connect()), &invitation, "d", NOW);
    tokio::select! {
        entered = entering => {
            let said = refused(entered);
            assert!(said.contains("go away") && !said.contains('\x1b') && said.len() < 2 * MAX_REASON, "{said:?}");
        }
        () = says_no(&bus, asked, &invitation.federation, u32::MAX) => panic!("the bus was closed"),
    }
}

#[tokio::test]
async fn no_pod_is_called_by_what_nobody_can_read_or_by_another_ones_id() {
    let (server, a) = twin().await;
    let invitation = invited(&a, &InviteOptions { uses: 9, ..InviteOptions::default() }).await;
    for name in ["", "\x1b[2Jb", &a.mesh.pod().to_string()] {
        let said = refused(enter(Arc::new(server.connect()), &invitation, name, NOW).await);
        assert!(said.contains("--name"), "{said}");
    }
    // What a full member says of a pod that it lets in is not believed to be fit for a terminal.
    let mut body = a.mesh.ledger().get(&subject::member(&a.mesh.pod())).unwrap().unwrap().body;
    let (pod, name) = (PodId::from_bytes([1; 32]), "bad\x1b[2J\u{202e}");
    body["pod"] = json!(pod);
    body["name"] = json!(name);
    body["founding_salt"] = json!(null);
    a.mesh.ledger().change(&subject::member(&pod), |_| Ok(body.clone())).await.unwrap();
    assert_eq!(a.mesh.members().list()[&pod].name, "bad[2J");
}

/// Says yes to newcomers as a banned pod would that knows nothing of its ban: to each request as often as anybody listens.
async fn lets_all_in(bad: &Pod, asked: Subscription, known: &[Vec<u8>]) {
    let federation = bad.mesh.federation();
    let mut asked = asked;
    while let Some(message) = futures::StreamExt::next(&mut asked).await {
        let request: protocol::mesh::JoinRequest = serde_json::from_slice(&message.payload[128..]).unwrap();
        let mut body = bad.mesh.ledger().get(&subject::member(&bad.mesh.pod())).unwrap().unwrap().body;
        body["pod"] = json!(request.pod);
        body["name"] = json!(request.name);
        body["seal_key"] = serde_json::to_value(&request).unwrap()["seal_key"].clone();
        let name = subject::member(&request.pod);
        let epoch = Epoch { incarnation: bad.mesh.bus().log().await.unwrap(), revision: 1 };
        let admission = Entry::new(&federation.identity, &federation.id, &name, epoch, (NOW, body)).unwrap();
        let mut members = known.to_vec();
        members.push(admission.signed.to_vec());
        let answer = protocol::mesh::JoinAnswer::Welcome { ring: federation.ring.read().to_json(), members };
        let reply = message.reply.unwrap();
        for _ in 0..20 {
            let to = (&*message.payload, &request.seal_key);
            let sealed = sealed(&federation.identity, &federation.id, to, &answer).unwrap();
            bad.mesh.bus().respond(&reply, Bytes::from(sealed)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_banned_pod_takes_no_newcomer_for_itself_however_often_it_says_yes() {
    let (server, a) = twin().await;
    let invitation = invited(&a, &InviteOptions { uses: 2, ..InviteOptions::default() }).await;
    let b = enter(Arc::new(server.connect()), &invitation, "b", NOW).await.unwrap();
    let bad = enter(Arc::new(server.connect()), &invitation, "bad", NOW).await.unwrap();
    until("the members", &b, |mesh| mesh.members().list().len() == 3).await;
    until("the members", &bad, |mesh| mesh.members().list().len() == 3).await;
    let invitation = invited(&b, &InviteOptions::default()).await;
    let name = subject::invitation(&invitation.id);
    until("the invitation", &a, |mesh| mesh.ledger().get(&name).unwrap().is_some()).await;
    let known = bad.mesh.ledger().all(subject::MEMBERS).unwrap();
    let known: Vec<Vec<u8>> = known.iter().map(|entry| entry.signed.to_vec()).collect();
    a.mesh.federation().ban(&bad.mesh.pod()).await.unwrap();
    // Whoever invited is away: all others have to be heard.
    drop(b);
    let asked = bad.mesh.bus().subscribe(subject::JOIN).await.unwrap();
    let entering = enter(Arc::new(server.connect()), &invitation, "c", NOW);
    tokio::select! {
        entered = entering => {
            let c = entered.ok().unwrap();
            assert!(!c.mesh.members().is_member(&bad.mesh.pod()), "it is in the banned pod's world");
            until("the new key", &c, |mesh| mesh.federation().ring.read().newest() == 2).await;
        }
        () = lets_all_in(&bad, asked, &known) => panic!("the bus was closed"),
    }
}
