//! How people log in at a NATS server where an argument is not enough: accounts with signed claims for credentials files, and certificates for TLS.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

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

/// A server that lets in who has a credentials file.
pub struct Accounts {
    /// What the server is started with.
    pub arguments: Vec<String>,
    /// A file that lets its user in.
    pub good: PathBuf,
    /// One of an account that the server's operator knows nothing of.
    pub bad: PathBuf,
}

impl Accounts {
    /// With its files in a folder.
    pub fn new(folder: &Path) -> Self {
        let (operator, system, account) =
            (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
        let all = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
            "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        let bare = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        });
        let of_account = |key: &KeyPair, name: &str, limits: &Value| {
            claims(&operator, key, name, json!({"type": "account", "version": 2, "limits": limits}))
        };
        let of_operator = claims(
            &operator,
            &operator,
            "o",
            json!({"type": "operator", "version": 2, "system_account": system.public_key()}),
        );
        let configuration = folder.join("accounts.conf");
        let text = format!(
            "operator: {of_operator}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n {}: {}\n {}: {}\n}}\n",
            system.public_key(),
            system.public_key(),
            of_account(&system, "system", &bare),
            account.public_key(),
            of_account(&account, "a", &all),
        );
        std::fs::write(&configuration, text).unwrap();
        Self {
            arguments: vec!["-c".to_owned(), configuration.to_string_lossy().into_owned()],
            good: credentials(&account, &folder.join("good.creds")),
            bad: credentials(&KeyPair::new_account(), &folder.join("bad.creds")),
        }
    }
}

/// A server that speaks TLS, and shows a certificate of an authority that nobody on this machine knows.
pub struct Certified {
    /// What the server is started with.
    pub arguments: Vec<String>,
    /// The authority's certificate.
    pub authority: PathBuf,
}

impl Certified {
    /// With its files in a folder.
    pub fn new(folder: &Path) -> Self {
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(folder, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=ours"));
        openssl(folder, &format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
        std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
        openssl(
            folder,
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
        );
        let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let words = [
            "--tls".to_owned(),
            "--tlscert".to_owned(),
            file("server.pem"),
            "--tlskey".to_owned(),
            file("server.key"),
        ];
        Self { arguments: words.into(), authority: folder.join("ca.pem") }
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
