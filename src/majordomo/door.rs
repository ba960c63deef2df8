//! The socket at which a program or a visitor comes in: one, once, of the pod's own user.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{UnixListener, UnixStream};

use crate::majordomo::client::by_short_path;

/// A number for each door of this process.
static DOORS: AtomicU64 = AtomicU64::new(0);

/// A socket that somebody may connect to once. Its file goes with it.
pub struct Door {
    path: PathBuf,
    listener: UnixListener,
}

impl Door {
    /// Makes it in the home, which this process holds; what dead holders left goes.
    pub fn open(home: &Path) -> io::Result<Self> {
        let folder = home.join("launch");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let mine = format!("{}-", std::process::id());
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with(&mine) {
                std::fs::remove_file(entry.path())?;
            }
        }
        let path = folder.join(format!("{mine}{}.sock", DOORS.fetch_add(1, Ordering::Relaxed)));
        let listener = by_short_path(&path, |path| StdListener::bind(path))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { path, listener: UnixListener::from_std(listener)? })
    }

    /// Where to connect.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the one who comes. Strangers are sent away.
    pub async fn enter(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            if stream.peer_cred()?.uid() == rustix::process::geteuid().as_raw() {
                return Ok(stream);
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "a program's socket is not removed");
        }
    }
}
