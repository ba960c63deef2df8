//! `ignore`: a file that never makes its reader run again, such as a log that it looks through for a word.

use crate::lens::{LensId, Projection, Role};

#[derive(Debug)]
pub(crate) struct Ignore(LensId);

impl Ignore {
    pub const NAME: &str = "ignore";

    pub fn new() -> Self {
        let (name, parameters) = (Self::NAME.to_owned(), String::new());
        Self(LensId { role: Role::Projection, name, version: 1, parameters })
    }
}

impl Projection for Ignore {
    fn id(&self) -> &LensId {
        &self.0
    }

    fn project(&self, _: &[u8]) -> Option<Vec<u8>> {
        Some(Vec::new())
    }

    fn is_blind(&self) -> bool {
        true
    }
}
