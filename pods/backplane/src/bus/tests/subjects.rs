//! What the laws are run on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;

use crate::bus::memory::MemoryServer;
use crate::bus::nats::{NatsBus, NatsOptions};
use crate::bus::{Bus, Connection};
use crate::server::{JetStream, Server, ServerOptions};

/// Bounds what waits for an event, so that a law that fails ends. No law takes long.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub enum Subject {
    Memory(MemoryServer),
    Nats(Nats),
}

pub struct Nats {
    folder: TempDir,
    program: PathBuf,
    server: Mutex<Option<Server>>,
    port: Mutex<u16>,
}

impl Nats {
    pub fn start(program: &Path) -> Self {
        let nats = Self {
            folder: tempfile::tempdir().unwrap(),
            program: program.to_owned(),
            server: Mutex::new(None),
            port: Mutex::new(0),
        };
        nats.run(None);
        nats
    }

    fn run(&self, port: Option<u16>) {
        let mut options = ServerOptions::of(&self.program, self.folder.path());
        options.port = port;
        options.jetstream = JetStream::On;
        let server = Server::start(&options).unwrap();
        *self.port.lock() = server.port();
        *self.server.lock() = Some(server);
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", *self.port.lock())
    }
}

impl Subject {
    pub async fn connect(&self) -> Arc<dyn Bus> {
        match self {
            Self::Memory(server) => Arc::new(server.connect()),
            Self::Nats(nats) => {
                Arc::new(NatsBus::connect(&NatsOptions::new(&nats.url()), "cp.test").await.unwrap())
            }
        }
    }

    pub fn stop(&self) {
        match self {
            Self::Memory(server) => server.stop(),
            Self::Nats(nats) => drop(nats.server.lock().take()),
        }
    }

    pub fn start(&self) {
        match self {
            Self::Memory(server) => server.start(),
            Self::Nats(nats) => {
                let port = *nats.port.lock();
                nats.run(Some(port));
            }
        }
    }

    /// The server is killed, and comes back without its storage.
    pub fn lose_log(&self) {
        self.stop();
        match self {
            Self::Memory(server) => server.lose_log(),
            Self::Nats(nats) => std::fs::remove_dir_all(nats.folder.path().join("store")).unwrap(),
        }
        self.start();
    }

    /// The server is killed, and comes back with the storage of a moment before `after`.
    pub async fn roll_back_over<F: Future<Output = u64>>(&self, after: F) {
        match self {
            Self::Memory(server) => {
                let appends = after.await;
                server.stop();
                server.roll_back(appends);
                server.start();
            }
            Self::Nats(nats) => {
                let (store, copy) = (nats.folder.path().join("store"), nats.folder.path().join("copy"));
                self.stop();
                let status =
                    std::process::Command::new("cp").arg("-a").args([&store, &copy]).status().unwrap();
                assert!(status.success());
                self.start();
                after.await;
                self.stop();
                std::fs::remove_dir_all(&store).unwrap();
                std::fs::rename(&copy, &store).unwrap();
                self.start();
            }
        }
    }
}

/// Waits until the bus is in a state.
pub async fn until(bus: &dyn Bus, wanted: fn(&Connection) -> bool) {
    let mut connection = bus.connection();
    tokio::time::timeout(PATIENCE, connection.wait_for(wanted)).await.expect("it never came").unwrap();
}
