//! Credentials files and TLS, which need more than an argument of the server.

use std::path::Path;

use logins::{Accounts, Certified};

use crate::bus::nats::{NatsBus, NatsOptions};
use crate::bus::{Bus, BusError};
use crate::server::{Server, ServerOptions};
use crate::testing::nats_servers;

#[path = "../../../../../tests/common/logins.rs"]
mod logins;

#[tokio::test]
async fn a_credentials_file_lets_its_user_in() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = Accounts::new(folder.path());
    for (number, program) in nats_servers().into_iter().enumerate() {
        let mut options = ServerOptions::of(&program, &folder.path().join(number.to_string()));
        options.arguments.clone_from(&accounts.arguments);
        let server = Server::start(&options).unwrap();
        let with =
            |creds: &Path| NatsOptions { creds: Some(creds.to_owned()), ..NatsOptions::new(server.url()) };
        let bus = NatsBus::connect(&with(&accounts.good), "cp.test").await.unwrap();
        bus.log().await.unwrap();
        let Err(error) = NatsBus::connect(&with(&accounts.bad), "cp.test").await else {
            panic!("it was let in")
        };
        assert!(matches!(error, BusError::Refused { .. }), "{error:?}");
        let missing = folder.path().join("none.creds");
        let Err(error) = NatsBus::connect(&with(&missing), "cp.test").await else { panic!("there is none") };
        assert!(error.to_string().contains("none.creds"), "{error}");
    }
}

#[tokio::test]
async fn tls_is_spoken_with_an_authority_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let certified = Certified::new(folder.path());
    for (number, program) in nats_servers().into_iter().enumerate() {
        let mut options = ServerOptions::of(&program, &folder.path().join(number.to_string()));
        options.arguments.clone_from(&certified.arguments);
        let server = Server::start(&options).unwrap();
        let url = format!("tls://127.0.0.1:{}", server.port());
        let ours = NatsOptions { tls_ca: Some(certified.authority.clone()), ..NatsOptions::new(&url) };
        let bus = NatsBus::connect(&ours, "cp.test").await.unwrap();
        bus.log().await.unwrap();
        // Nobody on this machine knows that authority.
        assert!(
            NatsBus::connect(&NatsOptions::new(&url), "cp.test").await.is_err(),
            "a stranger was believed"
        );
        let missing = NatsOptions { tls_ca: Some(folder.path().join("none.pem")), ..NatsOptions::new(&url) };
        let Err(error) = NatsBus::connect(&missing, "cp.test").await else { panic!("there is no such file") };
        assert!(error.to_string().contains("none.pem"), "{error}");
    }
}
