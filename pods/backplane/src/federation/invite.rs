//! Inviting.

use protocol::mesh::{Invitation, InvitationEntry, Role, subject};

use super::{ActError, Federation};
use crate::keys::{Identity, random};

/// How an invitation is made.
#[derive(Debug, Clone)]
pub struct InviteOptions {
    /// The most that the newcomer may become.
    pub role: Role,
    /// How long it holds, in milliseconds.
    pub holds_for: u64,
    /// How many pods may come in by it.
    pub uses: u32,
    /// Where newcomers find the NATS server; without user, password and token.
    pub server: String,
}

impl Default for InviteOptions {
    fn default() -> Self {
        Self { role: Role::Full, holds_for: 24 * 60 * 60 * 1000, uses: 1, server: String::new() }
    }
}

impl Federation {
    /// Makes an invitation. The text of it is a secret: whoever has it may come in.
    ///
    /// Dropping the future leaves at most an invitation that nobody has the text of, and that ends by its time.
    ///
    /// # Errors
    /// This pod is no full member, no secret can be made, or the log; nobody can come in then.
    pub async fn invite(&self, options: &InviteOptions) -> Result<Invitation, ActError> {
        self.must_be_full("invite")?;
        let invitation = Invitation {
            federation: self.id,
            server: options.server.clone(),
            by: self.pod(),
            id: random()?,
            secret: random()?,
        };
        let entry = InvitationEntry {
            by: self.pod(),
            key: *Identity::of_invitation(&invitation.secret).pod().as_bytes(),
            role: options.role,
            expires: self.clock.now().saturating_add(options.holds_for),
            uses: options.uses,
            used_by: Vec::new(),
        };
        self.ledger
            .change(&subject::invitation(&invitation.id), |_| {
                serde_json::to_value(&entry).map_err(|error| crate::ledger::Stop(error.to_string()))
            })
            .await?;
        Ok(invitation)
    }
}
