//! How a home joins: what `pod join` was told, kept so that the pod comes back by itself. `join.json`, for its owner's eyes only: a URL may have a
//! password in it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use backplane::bus::nats::NatsOptions;
use backplane::keys::write_private;
use protocol::mesh::{Invitation, Role};
use serde::{Deserialize, Serialize};
use swarm::Multiaddr;

use super::JoinOptions;
use crate::majordomo::border::{machine, mistake};
use crate::majordomo::request::Failure;

/// The file in the home.
pub const FILE: &str = "join.json";
const FORMAT: u32 = 1;

/// How a home joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joining {
    format: u32,
    /// Over which server.
    pub server: ServerAt,
    /// What people call the pod.
    pub name: String,
    /// What it does for the federation.
    pub role: Role,
    /// Where it listens for other pods; empty: where the server is reached from.
    #[serde(default)]
    pub listen: Vec<String>,
    /// Whether it looks for pods on the local network.
    #[serde(default)]
    pub mdns: bool,
    /// What it offers.
    #[serde(default)]
    pub offer: Offer,
}

/// A NATS server's URL as it was typed: it may have a password or a token in it, which is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// With everything in it.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&NatsOptions::new(&self.0).shown())
    }
}

/// Where a home's NATS server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "kebab-case")]
pub enum ServerAt {
    /// The pod brings its own.
    Own {
        /// The port that it had the last time.
        port: Option<u16>,
    },
    /// Somebody else's.
    Url {
        /// As it was typed.
        url: ServerUrl,
        /// A credentials file.
        creds: Option<PathBuf>,
        /// Certificates of authorities to trust.
        tls_ca: Option<PathBuf>,
    },
}

/// What a pod offers to others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Steps that run at once; none: one for each processor.
    pub slots: Option<u32>,
    /// Memory for them, in bytes; none: what is free.
    pub memory: Option<u64>,
    /// What it can do and is, by its user's words.
    pub labels: BTreeMap<String, String>,
}

impl Joining {
    /// Over a server, nothing else said.
    pub fn over(server: ServerAt, name: String) -> Self {
        let offer = Offer::default();
        Self { format: FORMAT, server, name, role: Role::Full, listen: Vec::new(), mdns: false, offer }
    }

    /// What a home keeps; none if it never joined.
    ///
    /// # Errors
    /// The file cannot be read, or was written by a later version.
    pub fn read(home: &Path) -> Result<Option<Self>, Failure> {
        let path = home.join(FILE);
        let bad = |why: String| {
            mistake(format!("cannot use `{}`: {why}", path.display()))
                .hint("`pod join NATS-URL` with all its options writes it again: remove it before")
        };
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(bad(error.to_string())),
        };
        let joining: Self = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
        match joining.format {
            FORMAT => Ok(Some(joining)),
            other => Err(bad(format!("its format is {other}, known is {FORMAT}"))),
        }
    }

    /// Writes it: whole or not at all.
    ///
    /// # Errors
    /// The home cannot be written.
    pub fn write(&self, home: &Path) -> Result<(), Failure> {
        let path = home.join(FILE);
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other);
        text.and_then(|text| write_private(&path, &text))
            .map_err(|error| machine(format!("cannot write `{}`: {error}", path.display())))
    }

    /// What joining needs, over the server at `url`.
    ///
    /// # Errors
    /// An address in it is none.
    pub fn options(&self, url: &str, invitation: Option<Invitation>) -> Result<JoinOptions, Failure> {
        let mut server = NatsOptions::new(url);
        if let ServerAt::Url { creds, tls_ca, .. } = &self.server {
            (server.creds, server.tls_ca) = (creds.clone(), tls_ca.clone());
        }
        let listen = self.listen.iter().map(|address| {
            address
                .parse::<Multiaddr>()
                .map_err(|error| mistake(format!("`{address}` is no address: {error}")))
        });
        Ok(JoinOptions {
            server,
            name: self.name.clone(),
            role: self.role,
            listen: listen.collect::<Result<_, _>>()?,
            mdns: self.mdns,
            offer: self.offer.clone(),
            invitation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_url_is_kept_and_not_shown() {
        let url: ServerUrl = "nats://ann:hunter2@example.org".parse().unwrap();
        let joining = Joining::over(ServerAt::Url { url, creds: None, tls_ca: None }, "a".to_owned());
        let kept: Joining = serde_json::from_str(&serde_json::to_string(&joining).unwrap()).unwrap();
        assert_eq!(kept, joining);
        assert!(matches!(&kept.server, ServerAt::Url { url, .. } if url.secret().contains("hunter2")));
        let debug = format!("{kept:?}");
        assert!(debug.contains("example.org") && !debug.contains("hunter2"), "{debug}");
    }
}
