//! What a home keeps of its federation: `federation.json`, for its owner's eyes only.

use std::io;
use std::path::{Path, PathBuf};

use protocol::mesh::FederationId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keys::{Ring, write_private};

/// The file in the home.
pub const FILE: &str = "federation.json";
const FORMAT: u32 = 1;

/// Whether a home belongs to a federation, or did until it was banned.
pub fn is_member(home: &Path) -> bool {
    home.join(FILE).exists()
}

/// It cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot use `{path}`: {cause}")]
pub struct KeptError {
    path: PathBuf,
    cause: String,
}

/// Which federation a home belongs to, and with which keys.
#[derive(Clone)]
pub struct Kept {
    /// Which.
    pub federation: FederationId,
    /// The founder's salt, if this is the founder.
    pub salt: Option<[u8; 16]>,
    /// The group's keys.
    pub ring: Ring,
    /// The number of this start: greater than that of each earlier one.
    pub life: u64,
}

#[derive(Serialize, Deserialize)]
struct Form {
    format: u32,
    federation: FederationId,
    salt: Option<[u8; 16]>,
    ring: serde_json::Value,
    life: u64,
}

impl Kept {
    /// What a home keeps; none if it belongs to no federation.
    ///
    /// # Errors
    /// The file is there and cannot be read, or has a form that is not known.
    pub fn read(home: &Path) -> Result<Option<Self>, KeptError> {
        let path = home.join(FILE);
        let failed = |cause: String| KeptError { path: path.clone(), cause };
        let text = match std::fs::read(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
        };
        let form: Form = serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
        if form.format != FORMAT {
            return Err(failed(format!("its format is {}, known is {FORMAT}", form.format)));
        }
        let ring = Ring::from_json(form.ring).map_err(|error| failed(error.to_string()))?;
        Ok(Some(Self { federation: form.federation, salt: form.salt, ring, life: form.life }))
    }

    /// Writes it: whole or not at all, mode 0600.
    ///
    /// # Errors
    /// The home cannot be written.
    pub fn write(&self, home: &Path) -> Result<(), KeptError> {
        let path = home.join(FILE);
        let form = Form {
            format: FORMAT,
            federation: self.federation,
            salt: self.salt,
            ring: self.ring.to_json(),
            life: self.life,
        };
        let written = serde_json::to_vec_pretty(&form).map_err(io::Error::other);
        let written = written.and_then(|text| write_private(&path, &Zeroizing::new(text)));
        written.map_err(|error| KeptError { path, cause: error.to_string() })
    }

    /// The number of the next start.
    pub fn next_life(&self, now: u64) -> u64 {
        now.max(self.life + 1)
    }
}
