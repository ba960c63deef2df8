//! Credentials files and TLS, which need more than an argument of the server: accounts with signed claims, and certificates.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::bus::nats::{NatsBus, NatsOptions};
use crate::bus::{Bus, BusError};
use crate::server::{Server, ServerOptions};
use crate::testing::nats_servers;

/// What one key says of another, signed: a JSON web token as NATS has them.
fn claims(issuer: &KeyPair, subject: &KeyPair, name: &str, nats: Value) -> String {
    let body = json!({
        "jti": name, "iat": 1, "iss": issuer.public_key(), "name": name, "sub": subject.public_key(), "nats": nats,
    });
    let parts = [json!({"typ": "JWT", "alg": "ed25519-nkey"}), body];
    let text = parts.map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes())).join(".");
    let signature = issuer.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
}

fn credentials(account: &KeyPair, path: &Path) -> PathBuf {
    let user = KeyPair::new_user();
    let token = claims(
        account,
        &user,
        "ann",
        json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}),
    );
    let seed = user.seed().unwrap();
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    std::fs::write(path, text).unwrap();
    path.to_owned()
}

#[tokio::test]
async fn a_credentials_file_lets_its_user_in() {
    let folder = tempfile::tempdir().unwrap();
    let (operator, system, account) =
        (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
    let all = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_account = |key: &KeyPair, name: &str| {
        claims(&operator, key, name, json!({"type": "account", "version": 2, "limits": all}))
    };
    let bare = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1});
    let configuration = folder.path().join("accounts.conf");
    let text = format!(
        "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n {}: {}\n {}: {}\n}}\n",
        claims(
            &operator,
            &operator,
            "o",
            json!({"type": "operator", "version": 2, "system_account": system.public_key()})
        ),
        system.public_key(),
        system.public_key(),
        claims(&operator, &system, "system", json!({"type": "account", "version": 2, "limits": bare})),
        account.public_key(),
        of_account(&account, "a"),
    );
    std::fs::write(&configuration, text).unwrap();
    let good = credentials(&account, &folder.path().join("good.creds"));
    // An account that the operator knows nothing of.
    let bad = credentials(&KeyPair::new_account(), &folder.path().join("bad.creds"));
    for (number, program) in nats_servers().into_iter().enumerate() {
        let mut options = ServerOptions::of(&program, &folder.path().join(number.to_string()));
        options.arguments = vec!["-c".to_owned(), configuration.to_string_lossy().into_owned()];
        let server = Server::start(&options).unwrap();
        let with =
            |creds: &Path| NatsOptions { creds: Some(creds.to_owned()), ..NatsOptions::new(server.url()) };
        let bus = NatsBus::connect(&with(&good), "cp.test").await.unwrap();
        bus.log().await.unwrap();
        let Err(error) = NatsBus::connect(&with(&bad), "cp.test").await else { panic!("it was let in") };
        assert!(matches!(error, BusError::Refused { .. }), "{error:?}");
        let missing = folder.path().join("none.creds");
        let Err(error) = NatsBus::connect(&with(&missing), "cp.test").await else { panic!("there is none") };
        assert!(error.to_string().contains("none.creds"), "{error}");
    }
}

fn openssl(folder: &Path, words: &str) {
    let ended = Command::new("openssl")
        .current_dir(folder)
        .args(words.split_whitespace())
        .stdin(Stdio::null())
        .output();
    let ended = ended.expect("openssl");
    assert!(ended.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&ended.stderr));
}

#[tokio::test]
async fn tls_is_spoken_with_an_authority_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(folder.path(), &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=ours"));
    openssl(folder.path(), &format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
    std::fs::write(folder.path().join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    openssl(
        folder.path(),
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    );
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    for (number, program) in nats_servers().into_iter().enumerate() {
        let mut options = ServerOptions::of(&program, &folder.path().join(number.to_string()));
        options.arguments = vec![
            "--tls".to_owned(),
            "--tlscert".to_owned(),
            file("server.pem"),
            "--tlskey".to_owned(),
            file("server.key"),
        ];
        let server = Server::start(&options).unwrap();
        let url = format!("tls://127.0.0.1:{}", server.port());
        let ours = NatsOptions { tls_ca: Some(file("ca.pem").into()), ..NatsOptions::new(&url) };
        let bus = NatsBus::connect(&ours, "cp.test").await.unwrap();
        bus.log().await.unwrap();
        // Nobody on this machine knows that authority.
        assert!(
            NatsBus::connect(&NatsOptions::new(&url), "cp.test").await.is_err(),
            "a stranger was believed"
        );
        let missing = NatsOptions { tls_ca: Some(file("none.pem").into()), ..NatsOptions::new(&url) };
        let Err(error) = NatsBus::connect(&missing, "cp.test").await else { panic!("there is no such file") };
        assert!(error.to_string().contains("none.pem"), "{error}");
    }
}
