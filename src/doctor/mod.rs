//! Whether this machine can run a build, and how well: what `pod doctor` looks at.
//!
//! Each check looks at one thing and comes to a [`Finding`]: fine, works but slower, or missing; why it matters; and one command that
//! mends it. What can be tried is tried – a kitchen is started and a step run in it, with each engine – and what can only be read is read. Nothing is
//! left behind, and a pod that runs is not disturbed: all happens in a folder of its own beside the home.

mod bus;
mod home;
mod machine;
mod trial;

use std::path::{Path, PathBuf};

use serde::Serialize;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Fine,
    /// Builds run, but slower or with less than they could have.
    Slower,
    /// What needs it does not work.
    Missing,
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// Why it matters.
    pub why: &'static str,
    /// What mends it: one command, or a sentence; `None` where nothing has to be.
    pub mend: Option<String>,
    /// Whether no build runs without it.
    pub needed: bool,
}

impl Finding {
    fn fine(name: &'static str, found: impl Into<String>, why: &'static str) -> Self {
        Self { name, state: State::Fine, found: found.into(), why, mend: None, needed: false }
    }

    fn is(mut self, state: State, mend: impl Into<String>) -> Self {
        self.state = state;
        self.mend = Some(mend.into());
        self
    }

    fn needed(mut self) -> Self {
        self.needed = true;
        self
    }
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The version of this form.
    pub schema: u32,
    /// Whether a build can run.
    pub can_build: bool,
    /// Every check, in the order in which they are shown.
    pub findings: Vec<Finding>,
}

/// The version of [`Health`].
const SCHEMA: u32 = 1;

/// Looks at everything. `home` may not be there yet; `bus`: the NATS server to be reached.
pub fn examine(home: &Path, bus: Option<&str>) -> Health {
    let place = Place::beside(home);
    let mut findings = vec![machine::kernel()];
    match &place {
        Ok(place) => findings.extend(trial::all(place)),
        Err(error) => {
            let found = format!("no folder can be made beside `{}`: {error}", home.display());
            let why = "the home holds the larder and what steps write";
            let mend = "name a home that you may write: `--home DIR`";
            findings.push(Finding::fine("home", found, why).is(State::Missing, mend).needed());
        }
    }
    findings.extend([machine::user_namespaces(), machine::request_time_out(), machine::control_groups()]);
    findings.extend([machine::watches(), machine::clock()]);
    findings.extend(home::all(home));
    findings.extend(bus.map(bus::reach));
    // One engine is enough.
    let engines = findings.iter().filter(|finding| trial::ENGINES.contains(&finding.name));
    let an_engine_works = engines.clone().any(|engine| engine.state != State::Missing);
    let all_needed = !findings.iter().any(|finding| finding.needed && finding.state == State::Missing);
    Health { schema: SCHEMA, can_build: an_engine_works && all_needed, findings }
}

/// A folder of the doctor's own on the home's file system. Dropped, it is removed.
struct Place(PathBuf);

impl Place {
    fn beside(home: &Path) -> std::io::Result<Self> {
        let above = home.ancestors().skip(1).find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
        // A home may be a disk of its own.
        let folder = if home.is_dir() { home } else { above };
        let path = folder.join(format!(".doctor-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = kitchen::remove_tree(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the doctor's folder is left");
        }
    }
}
