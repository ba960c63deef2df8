//! Members, and strangers at the NATS server, who say what they should not.

use super::*;
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
        assert_eq!(pod.mesh.ledger().offer(&name, &key.signed).unwrap(), Taken::New);
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
