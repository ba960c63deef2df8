//! What a projection and a normaliser are.

use std::fmt::{Debug, Display, Formatter, Result};

use protocol::Digest;
use protocol::codec::Writer;
use protocol::digest::context;

/// The form of what [`LensId::digest`] hashes.
const ID_FORMAT: u8 = 1;

/// Whether a lens stands before a reader or behind a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A [`Projection`].
    Projection,
    /// A [`Normaliser`].
    Normaliser,
}

/// What names a lens: two with equal ids give equal bytes for equal bytes, wherever and whenever they run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LensId {
    /// Which of the two it is.
    pub role: Role,
    /// Its name, without `:`.
    pub name: String,
    /// Raised whenever it gives other bytes for some input.
    pub version: u32,
    /// What was written behind the name's `:`, in one spelling for one meaning; empty if nothing was.
    pub parameters: String,
}

impl LensId {
    /// The digest that stands for it in weak keys.
    pub fn digest(&self) -> Digest {
        let mut writer = Writer::with_format(ID_FORMAT);
        writer.byte(match self.role {
            Role::Projection => 0,
            Role::Normaliser => 1,
        });
        writer.bytes(self.name.as_bytes()).number(self.version.into()).bytes(self.parameters.as_bytes());
        Digest::in_context(context::LENS, &writer.finish())
    }
}

impl Display for LensId {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(&self.name)?;
        if self.parameters.is_empty() { Ok(()) } else { write!(f, ":{}", self.parameters) }
    }
}

/// The part of a file that matters to a reader.
pub trait Projection: Debug + Send + Sync {
    /// Its name, version and parameters.
    fn id(&self) -> &LensId;

    /// What is left of these bytes. `None`: they are of no format that it knows, and all of them matter. Equal parts give equal
    /// bytes. Pure; ends in time linear in the length, or nearly so.
    fn project(&self, bytes: &[u8]) -> Option<Vec<u8>>;

    /// Whether nothing at all is left of any file: its reader is told apart only by the kind of what stands there. The bytes
    /// are then never looked at.
    fn is_blind(&self) -> bool {
        false
    }
}

/// The normal form of an output.
pub trait Normaliser: Debug + Send + Sync {
    /// Its name, version and parameters.
    fn id(&self) -> &LensId;

    /// The patterns of the outputs that it is for, where the project file names none.
    fn patterns(&self) -> &[&'static str];

    /// The normal form. `None`: these bytes stay as they are, since they are of no format that it knows, or normal already. What it
    /// gave it leaves as it is. Pure; ends in time linear in the length, or nearly so.
    fn normalise(&self, bytes: &[u8]) -> Option<Vec<u8>>;
}

/// What a projection leaves of a file, as a digest: that of the whole file if all of it matters.
pub fn projected(projection: &dyn Projection, bytes: &[u8], raw: &Digest) -> Digest {
    match projection.project(bytes) {
        Some(left) => Digest::in_context(context::PROJECTED, &left),
        None => *raw,
    }
}

/// What several projections leave of one file: all of their parts matter.
pub fn together(parts: &[Digest], raw: &Digest) -> Digest {
    match parts {
        [one] => *one,
        parts if parts.is_empty() || parts.contains(raw) => *raw,
        parts => {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| *part.as_bytes()).collect();
            Digest::in_context(context::PROJECTED, &bytes)
        }
    }
}
