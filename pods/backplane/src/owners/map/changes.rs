//! Tells which workspaces have other outputs than they had.

use protocol::WorkspaceId;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// Changes that wait for a listener; one that is slower hears that anything may have changed.
pub const MAX_CHANGES: usize = 1024;

/// Whoever tells.
pub(super) struct Told(broadcast::Sender<WorkspaceId>);

impl Default for Told {
    fn default() -> Self {
        Self(broadcast::channel(MAX_CHANGES).0)
    }
}

impl Told {
    /// Nobody has to listen.
    pub(super) fn tell(&self, workspace: WorkspaceId) {
        self.0.send(workspace).ok();
    }

    pub(super) fn listen(&self) -> Changes {
        Changes(self.0.subscribe())
    }
}

/// Changes from when it was asked for.
pub struct Changes(broadcast::Receiver<WorkspaceId>);

impl Changes {
    /// The next workspace whose steps have other outputs; none: it may be any. Waits for ever once the map is gone. Safe to cancel.
    pub async fn next(&mut self) -> Option<WorkspaceId> {
        match self.0.recv().await {
            Ok(workspace) => Some(workspace),
            Err(RecvError::Lagged(_)) => None,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    /// What has been told until now is known.
    pub fn settle(&mut self) {
        while !matches!(self.0.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
    }
}
