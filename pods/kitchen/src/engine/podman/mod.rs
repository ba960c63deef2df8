//! The engine `podman`: the zygote as process 1 of a container.
//!
//! The container is started once ([`run`](Podman::start)) and serves many steps; to start one costs 0.2–0.4 s, to start a step in it what it costs
//! natively. Its root is an empty folder with this program and the libraries that it has loaded ([`program`]), the scratch folder,
//! and `/dev/fuse`: nothing of the machine or of an image, for what a step sees comes from the view. It has the
//! machine's network, so that a step may be given it; steps without get a namespace of their own. It has the rights that the zygote needs to mount and to make
//! namespaces, and no others; a step has none at all.
//!
//! Ends. The socket reaches the zygote through podman, the monitor and the runtime as descriptor 3. When the pod dies in any way
//! the socket closes and the zygote ends; with it, as process 1, everything in the container; the monitor (`conmon`), which lives on its own,
//! then has podman remove what is left. If the monitor is killed the zygote is killed with it; the container's record remains, and
//! the next start of a pod with the same home removes it by its label ([`sweep`]).

mod ask;
mod command;
mod image;
mod program;
mod runtime;
pub(crate) mod sweep;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::Started;
use crate::error::KitchenError;
use crate::kitchen::ZygoteProgram;

pub use image::ImageRoot;
pub use runtime::Runtime;

/// How a container is started.
#[derive(Debug, Clone)]
pub struct Podman {
    /// Names the pod's home in labels: letters, digits and dashes. Containers with this name that are not this process's are removed.
    pub owner: String,
    /// A folder of the kitchen's own, for the container's root and what was learned of podman. Made where it is missing.
    pub folder: PathBuf,
}

impl Podman {
    /// The runtimes to be tried, one after the other: what worked last first.
    pub(crate) fn runtimes(&self) -> Vec<Runtime> {
        runtime::in_turn(&self.folder)
    }

    /// Starts a container. What comes of it is heard over the socket, whose last copy closes if it fails.
    pub(crate) fn start(
        &self,
        runtime: Runtime,
        zygote: &ZygoteProgram,
        scratch: &Path,
        socket: OwnedFd,
    ) -> Result<Started, KitchenError> {
        let io = |doing| move |source| KitchenError::Start { doing, source };
        let root = program::prepare_root(&self.folder).map_err(io("making the container's root folder"))?;
        let shown = program::Shown::of(zygote).map_err(io("finding this program's libraries"))?;
        let mut command = command::run(self, runtime, &root, scratch, &shown);
        command::start(&mut command, socket)
    }

    /// Keeps in mind that this runtime works.
    pub(crate) fn works(&self, runtime: Runtime) {
        runtime::remember(&self.folder, runtime);
    }

    /// The error if no runtime starts a container, from what was said by each.
    pub(crate) fn refused(said: &[(Runtime, String)]) -> KitchenError {
        runtime::refused(said)
    }
}
