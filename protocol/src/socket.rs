//! What travels over `<home>/pod.sock`: JSON lines. Each side's first line is a [`Greeting`].

use serde::{Deserialize, Serialize};

/// The protocol's name in the greeting.
pub const SOCKET_PROTOCOL: &str = "computepods-pod";
/// The protocol's version in the greeting; another one is refused with a sentence.
pub const SOCKET_VERSION: u32 = 1;
/// The longest line that a side reads, in bytes.
pub const MAX_LINE: usize = 4 << 20;

/// The first line of either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// [`SOCKET_PROTOCOL`].
    pub protocol: String,
    /// [`SOCKET_VERSION`].
    pub version: u32,
}

impl Greeting {
    /// Ours.
    pub fn ours() -> Self {
        Self { protocol: SOCKET_PROTOCOL.to_owned(), version: SOCKET_VERSION }
    }

    /// Says in a sentence why the other side cannot be talked to.
    pub fn check(&self) -> Result<(), String> {
        if self.protocol != SOCKET_PROTOCOL {
            return Err(format!("the other side speaks `{}`, not `{SOCKET_PROTOCOL}`", self.protocol));
        }
        if self.version != SOCKET_VERSION {
            return Err(format!(
                "the running pod speaks version {} of the pod protocol, this program version {SOCKET_VERSION}: \
                 stop that pod, or use its own `majordomo`",
                self.version
            ));
        }
        Ok(())
    }
}
