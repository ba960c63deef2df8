//! Engines: what a zygote runs in.
//!
//! The zygote is the same program with the same protocol in each, and steps run in namespaces that the zygote makes; so what a step
//! sees, does and leaves is the same, and an engine is part of no key. `native` starts the zygote as a child; `podman` as process 1 of a
//! container ([`podman`]), which adds a wall around the zygote and a control group around all of its steps.

pub(crate) mod podman;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::error::KitchenError;
use crate::kitchen::ZygoteProgram;
pub use podman::{ImageRoot, Podman, Runtime};

/// What a kitchen's zygote runs in.
#[derive(Debug, Clone, Default)]
pub enum Engine {
    /// Beside the pod, as a child of it.
    #[default]
    Native,
    /// In a podman container.
    Podman(Podman),
}

/// A zygote that was started, or whose container is starting.
pub(crate) struct Started {
    /// Native: the zygote. Podman: `podman run`, which goes when the container runs.
    child: Child,
    /// What podman says when it fails.
    said: Option<File>,
}

impl Started {
    /// The zygote as a child; its standard input is the socket.
    pub(crate) fn natively(program: &ZygoteProgram, socket: OwnedFd) -> Result<Self, KitchenError> {
        let child = Command::new(&program.program)
            .args(&program.arguments)
            .env_clear()
            .stdin(Stdio::from(socket))
            .stdout(Stdio::null())
            .spawn()
            .map_err(|source| KitchenError::Spawn { program: program.program.clone(), source })?;
        Ok(Self { child, said: None })
    }

    /// Reaps what has already ended.
    pub(crate) fn look_after(&mut self) {
        if let Err(error) = self.child.try_wait() {
            tracing::debug!(%error, "what started the zygote cannot be waited for");
        }
    }

    /// Waits for its end; gives how it ended, and what podman said.
    pub(crate) fn end(mut self) -> io::Result<(ExitStatus, String)> {
        let status = self.child.wait()?;
        let mut said = String::new();
        if let Some(mut file) = self.said {
            file.rewind()?;
            file.read_to_string(&mut said)?;
        }
        Ok((status, said))
    }
}
