//! What only a real server can show: JetStream switched off, credentials, no server.

use bytes::Bytes;

use super::subjects::until;
use crate::bus::nats::{FirstConnect, NatsBus, NatsOptions};
use crate::bus::{Bus, BusError, Connection, Expect};
use crate::server::{JetStream, Server, ServerOptions};
use crate::testing::nats_servers;

#[tokio::test]
async fn without_jetstream_it_says_how_to_switch_it_on() {
    for program in nats_servers() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = ServerOptions::of(&program, folder.path());
        options.jetstream = JetStream::Off;
        let server = Server::start(&options).unwrap();
        let bus = NatsBus::connect(&NatsOptions::new(server.url()), "cp.test").await.unwrap();
        let error = bus.log().await.unwrap_err();
        assert!(matches!(error, BusError::NoJetStream), "{error:?}");
        assert!(error.to_string().contains("nats-server -js"), "{error}");
        let error = bus.append("log.a", Bytes::new(), Expect::Anything).await.unwrap_err();
        assert!(matches!(error, BusError::NoJetStream), "{error:?}");
        bus.publish("beat", Bytes::new()).await.unwrap();
    }
}

#[tokio::test]
async fn users_passwords_and_tokens_of_the_url_are_used() {
    for program in nats_servers() {
        for (arguments, good, bad) in [
            (vec!["--user", "ann", "--pass", "pw"], "ann:pw@", "ann:wrong@"),
            (vec!["--auth", "s3cr3t"], "s3cr3t@", "wrong@"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut options = ServerOptions::of(&program, folder.path());
            options.arguments = arguments.into_iter().map(str::to_owned).collect();
            let server = Server::start(&options).unwrap();
            let url = |user: &str| server.url().replace("nats://", &format!("nats://{user}"));
            let bus = NatsBus::connect(&NatsOptions::new(&url(good)), "cp.test").await.unwrap();
            bus.log().await.unwrap();
            for url in [url(bad), url("")] {
                let Err(error) = NatsBus::connect(&NatsOptions::new(&url), "cp.test").await else {
                    panic!("`{url}` was let in");
                };
                assert!(matches!(error, BusError::Refused { .. }), "{error:?}");
                assert!(!error.to_string().contains("wrong"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_or_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let program = nats_servers().remove(0);
    let port = Server::start(&ServerOptions::of(&program, folder.path())).unwrap().port();
    let mut options = NatsOptions::new(&format!("nats://127.0.0.1:{port}"));
    let Err(error) = NatsBus::connect(&options, "cp.test").await else { panic!("nobody is there") };
    assert!(matches!(error, BusError::Offline(_)), "{error:?}");
    options.first = FirstConnect::Eventually;
    let bus = NatsBus::connect(&options, "cp.test").await.unwrap();
    assert!(matches!(bus.publish("beat", Bytes::new()).await, Err(BusError::Offline(_))));
    let mut again = ServerOptions::of(&program, folder.path());
    again.port = Some(port);
    let _server = Server::start(&again).unwrap();
    until(&bus, |state| *state == Connection::Up).await;
    bus.log().await.unwrap();
}

#[test]
fn a_server_ends_with_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&ServerOptions::of(&nats_servers()[0], folder.path())).unwrap();
    let process = format!("/proc/{}", server.pid());
    assert!(std::path::Path::new(&process).exists());
    drop(server);
    assert!(!std::path::Path::new(&process).exists());
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = ServerOptions::of(&nats_servers()[0], folder.path());
    options.arguments = vec!["--no-such-option".to_owned()];
    let Err(error) = Server::start(&options) else { panic!("it started") };
    assert!(error.to_string().contains("it ended at once"), "{error}");
    let Err(error) = Server::start(&ServerOptions::of(&folder.path().join("none"), folder.path())) else {
        panic!("it started");
    };
    assert!(error.to_string().contains("cannot start"), "{error}");
}
