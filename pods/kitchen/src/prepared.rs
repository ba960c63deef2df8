//! Roots that are made before it is known for which step, while others run.

use std::os::fd::{AsFd, OwnedFd};

use tokio::sync::oneshot;

use crate::error::KitchenError;
use crate::kitchen::{Kitchen, Running};
use crate::packet;
use crate::steps::End;
use crate::wire::ToZygote;

/// A root with an init in it that waits for its step; see [`Kitchen::run_in`]. Dropped, nothing is left of it a moment later.
#[derive(Debug)]
#[must_use = "dropping it takes the root away"]
pub struct Prepared {
    /// The name of the root in both mounts.
    pub(crate) root: u64,
    pub(crate) running: Running,
    pub(crate) ended: oneshot::Receiver<End>,
    /// Where its init waits.
    pub(crate) orders: OwnedFd,
}

impl Kitchen {
    /// Begins to make the root with this name, which must stand in both mounts, for a step that comes later: one without network, secrets,
    /// limits and folders of its own. If the root cannot be made, that step learns why.
    ///
    /// # Errors
    /// The zygote cannot be told.
    pub fn prepare(&self, root: u64) -> Result<Prepared, KitchenError> {
        let (orders, theirs) = packet::pair().map_err(KitchenError::Talk)?;
        let (mut running, ended) = self.register(None)?;
        let (step, folder) = (running.step, running.folder.number);
        self.order(&mut running, &ToZygote::Prepare { step, root, folder }, &[theirs.as_fd()])?;
        Ok(Prepared { root, running, ended, orders })
    }
}
