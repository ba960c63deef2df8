//! Whoever holds a home: the pod in it, the runtime that it lives on, and the socket on which others ask it.
//!
//! Actors. A [`Holder`] is made by a majordomo that finds the home free (the pod is *embedded* and goes with it), or by `pod`, which
//! *stands* until it is told to go. [`Host`] is what requests are carried out with. Errors are [`Failure`]s. A crash
//! leaves the socket's file and the scratch folder; the next holder removes both.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::ValueEnum;
use kitchen::ZygoteProgram;
use node::{Home, Pod, PodOptions};
use tokio::runtime::Runtime;

use super::border;
use super::journal::Journals;
use super::membership::Membership;
use super::project_file::{PODS_FILE, PodsFile, ProjectFileError, pods_file};
use super::request::{Failure, Sandbox};
use super::serve::Listener;
use super::sink::Cancel;
use crate::env_vars::COMPUTEPODS_SANDBOX;
use crate::myself::zygote::ZYGOTE;

/// How long tasks may take to go when the pod does.
const LAST_TASKS: Duration = Duration::from_millis(200);

/// What requests are carried out with. Clones are one host.
#[derive(Clone)]
pub struct Host {
    /// The pod.
    pub pod: Pod,
    /// Set when the pod goes as soon as nobody builds any more: whoever only watches is told.
    pub leaving: Cancel,
    /// What its builds have said.
    pub journals: Journals,
    /// Its federation, if it is in one.
    pub membership: Arc<OnceLock<Arc<dyn Membership>>>,
    /// Set when a pod that stands is asked to go; `None`: it is embedded, and goes by itself.
    pub stop: Option<Cancel>,
}

/// A home that is held, and served.
pub struct Holder {
    host: Host,
    listener: Listener,
    runtime: Runtime,
}

/// The runtime of a pod.
fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().thread_name("pod").enable_all().build()
}

/// What the pod's owner wants: `pod.toml` in the home, if it is there.
fn pods_file_of(home: &Path) -> Result<PodsFile, Failure> {
    let file = home.join(PODS_FILE);
    match std::fs::read_to_string(&file) {
        Ok(text) => pods_file(&file, &text).map_err(|wrong| border::project_file(&wrong.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(PodsFile::default()),
        Err(source) => Err(border::project_file(&ProjectFileError::Unreadable { file, source })),
    }
}

/// The engine that this pod has for a default: `says` is what its owner's file says.
fn sandbox(says: Option<Sandbox>) -> Result<Sandbox, Failure> {
    let Some(said) = std::env::var_os(COMPUTEPODS_SANDBOX.name).filter(|said| !said.is_empty()) else {
        return Ok(says.unwrap_or_default());
    };
    let said = said.to_string_lossy();
    Sandbox::from_str(&said, false).map_err(|_| {
        let engines: Vec<_> =
            Sandbox::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect();
        let names: Vec<_> = engines.iter().map(|engine| format!("`{}`", engine.get_name())).collect();
        let message = format!("`{said}` in `{}` is no engine", COMPUTEPODS_SANDBOX.name);
        border::mistake(message).hint(format!("use one of {}", names.join(", ")))
    })
}

impl Holder {
    /// Opens the larder of a home, and listens. `stop`: see [`Host`].
    ///
    /// # Errors
    /// The larder cannot be opened, or nobody could ask.
    pub fn begin(home: Home, stop: Option<Cancel>) -> Result<Self, Failure> {
        let runtime = runtime().map_err(|e| border::machine(format!("cannot start a runtime: {e}")))?;
        let PodsFile { sandbox: says, limits, tool_roots, pool } = pods_file_of(home.path())?;
        let options = PodOptions {
            zygote: ZygoteProgram::myself(ZYGOTE),
            larder: larder::Options::default(),
            limits,
            tool_roots,
            sandbox: sandbox(says)?.into(),
            pool,
        };
        let socket = Home::socket(home.path());
        let pod = Pod::open(home, options, runtime.handle().clone()).map_err(|e| border::node(&e))?;
        let journals = Journals::of(pod.home().path());
        let host = Host { pod, journals, leaving: Cancel::default(), membership: Arc::default(), stop };
        let listener = Listener::start(&socket, host.clone())
            .map_err(|e| border::machine(format!("cannot listen on `{}`: {e}", socket.display())))?;
        Ok(Self { host, listener, runtime })
    }

    /// What requests are carried out with.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The runtime.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Who asks.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Goes: stops to listen, ends steps that still run, and frees the home.
    pub fn end(self) {
        let Self { host, listener, runtime } = self;
        listener.stop();
        runtime.block_on(host.pod.stop());
        if let Err(error) = host.pod.larder().flush() {
            tracing::warn!(%error, "the larder's index could not be written; it is mended at the next start");
        }
        drop(host);
        runtime.shutdown_timeout(LAST_TASKS);
    }
}
