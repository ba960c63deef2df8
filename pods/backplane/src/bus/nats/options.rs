//! How a NATS server is reached.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::bus::BusError;

/// How long a connection or a reply of the server may take.
pub const SERVER_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the connection is checked; a dead one is noticed after two.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);
/// The longest pause between two attempts to connect again.
pub const MAX_RECONNECT_PAUSE: Duration = Duration::from_secs(2);

/// Where the server is, and who we are to it.
#[derive(Clone)]
pub struct NatsOptions {
    /// `nats://[user:password@|token@]host[:port]`, or `tls://…`; several with commas between them.
    pub url: String,
    /// A credentials file, as `nsc` writes it.
    pub creds: Option<PathBuf>,
    /// Certificates (PEM) of authorities that are trusted besides the system's.
    pub tls_ca: Option<PathBuf>,
    /// What the server shows as this connection's name.
    pub name: String,
    /// Whether the server must be there now.
    pub first: FirstConnect,
}

/// What happens if the server is not there when the bus is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstConnect {
    /// An error: somebody waits for the answer.
    Required,
    /// The bus begins as disconnected, and goes on trying.
    Eventually,
}

impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, creds, tls_ca, name, first } = self;
        let mut shown = f.debug_struct("NatsOptions");
        shown.field("url", &self.shown()).field("creds", creds).field("tls_ca", tls_ca);
        shown.field("name", name).field("first", first).finish()
    }
}

impl NatsOptions {
    /// The server at a URL, nothing else set.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            creds: None,
            tls_ca: None,
            name: "computepods".to_owned(),
            first: FirstConnect::Required,
        }
    }

    /// The servers without user, password and token, for people to read.
    pub fn shown(&self) -> String {
        match self.parsed() {
            Ok(parsed) => parsed.to_string(),
            Err(_) => "the URL that was given".to_owned(),
        }
    }

    /// Host and port of each server that the URL names.
    ///
    /// # Errors
    /// The URL is none.
    pub fn places(&self) -> Result<Vec<(String, u16)>, BusError> {
        let place = |server: &async_nats::ServerAddr| (server.host().to_owned(), server.port());
        Ok(self.parsed()?.addresses.iter().map(place).collect())
    }

    pub(super) fn parsed(&self) -> Result<Servers, BusError> {
        self.url.parse()
    }
}

/// A list of servers, with what the URL says about who we are: of several the last that says something.
pub(super) struct Servers {
    pub(super) addresses: Vec<async_nats::ServerAddr>,
    pub(super) login: Option<Login>,
}

/// Who we are, as a URL has it.
#[derive(PartialEq, Eq)]
pub(super) enum Login {
    User(String, String),
    Token(String),
}

impl FromStr for Servers {
    type Err = BusError;

    fn from_str(text: &str) -> Result<Self, BusError> {
        let bad = |cause: String| BusError::BadInput {
            what: "the NATS URL cannot be read (wanted `nats://host:4222`)".to_owned(),
            cause,
        };
        let mut login = None;
        let mut addresses = Vec::new();
        for part in text.split(',') {
            let address: async_nats::ServerAddr =
                part.trim().parse().map_err(|error: std::io::Error| bad(error.to_string()))?;
            if address.host().is_empty() {
                return Err(bad("it has no host".to_owned()));
            }
            match (address.username(), address.password()) {
                (Some(user), Some(password)) => login = Some(Login::User(decoded(user), decoded(password))),
                (Some(token), None) => login = Some(Login::Token(decoded(token))),
                (None, _) => {}
            }
            let bare = format!("{}://{}:{}", address.scheme(), bracketed(address.host()), address.port());
            addresses.push(bare.parse().map_err(|error: std::io::Error| bad(error.to_string()))?);
        }
        Ok(Self { addresses, login })
    }
}

/// A part of a URL without its `%XX`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        let hex = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &more[2..];
            }
            _ => {
                bytes.push(first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, address) in self.addresses.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{}:{}", bracketed(address.host()), address.port())?;
        }
        Ok(())
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown() {
        for url in
            ["nats://ann:hunter2@example.org:4333", "nats://s3cr3t@example.org:4333", "example.org:4333"]
        {
            let options = NatsOptions::new(url);
            assert_eq!(options.shown(), "example.org:4333");
            let debug = format!("{options:?}");
            assert!(debug.contains("example.org") && !debug.contains("hunter2"), "{debug}");
            assert!(!debug.contains("s3cr3t"), "{debug}");
        }
        assert_eq!(NatsOptions::new("nats://[::1]").shown(), "[::1]:4222");
        assert!("nats://".parse::<Servers>().is_err());
    }

    #[test]
    fn who_we_are_is_in_the_url() {
        let login = |url: &str| url.parse::<Servers>().ok().and_then(|servers| servers.login);
        assert!(login("nats://s3cr3t@h") == Some(Login::Token("s3cr3t".to_owned())));
        assert!(login("nats://a:p%40ss%@h:1") == Some(Login::User("a".to_owned(), "p@ss%".to_owned())));
        assert!(login("nats://h,nats://a:b@i") == Some(Login::User("a".to_owned(), "b".to_owned())));
        assert!(login("h").is_none());
    }
}
