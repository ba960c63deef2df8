//! A hundred pods in one process, on the twin: all come to know the same. How long that takes, `examples/scale.rs` says.

use protocol::mesh::Member;

use super::*;

const PODS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_pods_come_to_know_the_same() {
    let server = MemoryServer::new();
    let identities: Vec<Arc<Identity>> = (0..PODS).map(|_| Arc::new(Identity::generate().unwrap())).collect();
    let salt = [3; 16];
    let federation = FederationId::founded_by(&identities[0].pod(), &salt);
    let mut ring = Ring::default();
    ring.add(1, Zeroizing::new([9; 32]));
    let started = |identity: &Arc<Identity>| {
        let kept = Kept { federation, salt: Some(salt), ring: ring.clone(), life: 0 };
        let bus = Arc::new(server.connect());
        // They beat as in earnest, by which pods find out that they know something else.
        (start_so(MeshParts::new(bus.clone(), identity.clone(), kept)), bus)
    };
    let (founder, _bus) = started(&identities[0]);
    founder.mesh.federation().found("founder", salt).await.unwrap();
    let member = |identity: &Identity| Member {
        pod: identity.pod(),
        name: "pod".to_owned(),
        role: Role::Full,
        standing: Standing::Member,
        seal_key: identity.seal_key(),
        founding_salt: None,
        knew_generation: None,
        admission: None,
        upheld: Vec::new(),
    };
    let mut pods = Vec::new();
    for identity in &identities[1..] {
        let body = serde_json::to_value(member(identity)).unwrap();
        let name = subject::member(&identity.pod());
        founder.mesh.ledger().change(&name, |_| Ok(body.clone())).await.unwrap();
        pods.push(started(identity));
    }
    // One hears nothing of what is said now.
    let (absent, bus) = pods.pop().unwrap();
    until("it is let in", &absent, |mesh| mesh.members().list().len() == PODS).await;
    bus.disconnect();
    let speakers = || pods.iter().map(|(pod, _)| pod).step_by(10);
    for pod in speakers() {
        let name = word_of(&pod.mesh.pod(), "word");
        // It may not have heard yet that it is let in.
        pod.mesh.ledger().insist(&name, json!(1)).await.unwrap();
    }
    let all = |mesh: &Mesh| {
        let said = |pod: &Pod| mesh.ledger().get(&word_of(&pod.mesh.pod(), "word")).unwrap();
        speakers().all(|pod| said(pod).is_some())
    };
    for pod in pods.iter().map(|(pod, _)| pod).chain([&founder]) {
        until("all know all", pod, |mesh| mesh.members().list().len() == PODS && all(mesh)).await;
    }
    assert!(!all(&absent.mesh));
    bus.reconnect();
    until("it is told", &absent, all).await;
    // Not only that: what each knows is the same to the last word.
    let same = |mesh: &Mesh| {
        mesh.ledger().settled().unwrap() && mesh.ledger().digest() == founder.mesh.ledger().digest()
    };
    for pod in pods.iter().map(|(pod, _)| pod).chain([&absent]) {
        until("all know the same", pod, same).await;
    }
}
