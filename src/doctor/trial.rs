//! Trials: a kitchen with each engine, and a step in it.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use kitchen::{Engine, HowEnded, Kitchen, KitchenError, Missing, Order, Podman, Runtime, ZygoteProgram};
use tokio::sync::mpsc;
use view::{Flavour, HostOptions, HostTools, MemorySource, Mount, NoMemo};

use super::{Finding, Place, State};
use crate::myself::zygote::ZYGOTE;

/// The names of the engines' findings.
pub(super) const ENGINES: [&str; 3] = [NATIVE, CRUN, RUNC];
const NATIVE: &str = "native engine";
const CRUN: &str = "podman with crun";
const RUNC: &str = "podman with runc";

const WHY_NATIVE: &str = "it runs steps in bare namespaces; without podman it is the only engine";
const WHY_PODMAN: &str = "it puts a container around the engine, as one more wall";
const WHY_PASSTHROUGH: &str = "with it the kernel reads large files of the view by itself, at native speed";
const WHY_NESTED: &str = "a caller who is no root has the overlay of his steps in a user namespace";

/// What a trial came to.
struct Tried {
    passes_through: bool,
}

/// Why none came of it.
enum Failed {
    Missing(Missing),
    Other(String),
}

impl From<KitchenError> for Failed {
    fn from(error: KitchenError) -> Self {
        match error.missing() {
            Some(missing) => Failed::Missing(missing.clone()),
            None => {
                let causes = std::iter::successors(std::error::Error::source(&error), |error| error.source());
                Failed::Other(causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}")))
            }
        }
    }
}

/// All trials, one after the other.
pub(super) fn all(place: &Place) -> Vec<Finding> {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let found = format!("no threads can be started: {error}");
            return vec![Finding::fine(NATIVE, found, WHY_NATIVE).is(State::Missing, "end other programs")];
        }
    };
    let mut findings = Vec::new();
    let native = runtime.block_on(attempt(Engine::Native, &place.0.join("native")));
    findings.push(finding(NATIVE, WHY_NATIVE, &native));
    if let Ok(tried) = &native {
        findings.push(passthrough(tried));
    }
    findings.push(nested_overlay(&place.0));
    for (wanted, name) in [(Runtime::Crun, CRUN), (Runtime::Runc, RUNC)] {
        findings.push(podman(&runtime, &place.0, wanted, name));
    }
    runtime.shutdown_background();
    findings
}

/// Starts a kitchen and runs `true` in it, over the tools of this machine.
async fn attempt(engine: Engine, scratch: &Path) -> Result<Tried, Failed> {
    let place = kitchen::scratch_place(scratch, &format!("doctor-{}", std::process::id()));
    let tried = attempt_at(engine, &place.path).await;
    if place.instead_of.is_some()
        && let Err(error) = kitchen::remove_tree(&place.path)
    {
        tracing::warn!(path = %place.path.display(), %error, "the doctor's folder is left");
    }
    tried
}

async fn attempt_at(engine: Engine, scratch: &Path) -> Result<Tried, Failed> {
    let zygote = ZygoteProgram { program: "/proc/self/exe".into(), arguments: vec![OsString::from(ZYGOTE)] };
    let (kitchen, fds) =
        Kitchen::start(kitchen::Options { zygote, engine, scratch: scratch.to_owned() }).await?;
    let other = |error: &dyn std::error::Error| Failed::Other(error.to_string());
    let (uid, gid) = kitchen.step_uid();
    let options = || view::Options { uid, gid, ..view::Options::default() };
    let handle = tokio::runtime::Handle::current;
    let tools = Mount::serve(fds.tools, Flavour::Tools, options(), handle()).map_err(|e| other(&e))?;
    let project = Mount::serve(fds.project, Flavour::Project, options(), handle()).map_err(|e| other(&e))?;
    let host = HostTools::new(HostOptions::default(), Arc::new(NoMemo)).map_err(|e| other(&e))?;
    let _tools = tools.add_root(1, Arc::new(host)).map_err(|e| other(&e))?;
    let _project = project.add_root(1, Arc::new(MemorySource::new())).map_err(|e| other(&e))?;
    let mut order = Order::new(1, vec![vec![b"true".to_vec()]]);
    order.env = vec![(b"PATH".to_vec(), protocol::step::PATH.into())];
    let (lines, mut said) = mpsc::channel(16);
    let listen = async { while said.recv().await.is_some() {} };
    let (ended, ()) = tokio::join!(kitchen.run(order, lines, std::future::pending()), listen);
    let how = ended?.how;
    kitchen.settled().await;
    match how {
        HowEnded::Exit(0) => Ok(Tried { passes_through: tools.passes_through() }),
        how => Err(Failed::Other(format!("a step with `true` ended badly: {how:?}"))),
    }
}

fn finding(name: &'static str, why: &'static str, tried: &Result<Tried, Failed>) -> Finding {
    match tried {
        Ok(_) => Finding::fine(name, "a step has run", why),
        Err(Failed::Missing(missing)) => {
            Finding::fine(name, missing.what.clone(), missing.why).is(State::Missing, missing.mend.clone())
        }
        Err(Failed::Other(said)) => {
            let mend = "tell us, with the output of `COMPUTEPODS_LOG=debug pod doctor`";
            Finding::fine(name, said.clone(), why).is(State::Missing, mend)
        }
    }
}

fn passthrough(tried: &Tried) -> Finding {
    let name = "FUSE passthrough";
    match tried.passes_through {
        true => Finding::fine(name, "used", WHY_PASSTHROUGH),
        false if !rustix::process::geteuid().is_root() => {
            Finding::fine(name, "only root may use it", WHY_PASSTHROUGH)
                .is(State::Slower, "run the pod as root, if the difference matters")
        }
        false => Finding::fine(name, "the kernel has none, or the home is on an overlay", WHY_PASSTHROUGH)
            .is(State::Slower, "use Linux 6.9 or later, and a home on a disk such as ext4, xfs or btrfs"),
    }
}

/// An overlay in a user namespace, as an ordinary user's steps have it.
fn nested_overlay(place: &Path) -> Finding {
    let name = "overlayfs in a user namespace";
    let folders = ["lower", "upper", "work", "merged"].map(|name| place.join(name));
    if let Some(error) = folders.iter().find_map(|folder| std::fs::create_dir(folder).err()) {
        return Finding::fine(name, format!("not tried: {error}"), WHY_NESTED)
            .is(State::Slower, "make room on the disk of the home");
    }
    let [lower, upper, work, merged] = folders.map(|folder| folder.display().to_string());
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work},userxattr");
    let tried = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "mount",
            "-t",
            "overlay",
            "x",
            "-o",
            &options,
            &merged,
        ])
        .stdin(Stdio::null())
        .output();
    match tried {
        Ok(ended) if ended.status.success() => Finding::fine(name, "can be mounted", WHY_NESTED),
        Ok(ended) => {
            let said = String::from_utf8_lossy(&ended.stderr);
            let said = said.lines().next().unwrap_or("refused").to_owned();
            Finding::fine(name, said, WHY_NESTED).is(
                State::Slower,
                "use Linux 5.11 or later and a home on a local disk, or run the pod as root",
            )
        }
        Err(_) => Finding::fine(name, "not tried: there is no `unshare`", WHY_NESTED)
            .is(State::Slower, "sudo apt-get install util-linux"),
    }
}

/// A container with this runtime and no other. Which one was used is what the kitchen remembers.
fn podman(runtime: &tokio::runtime::Runtime, place: &Path, wanted: Runtime, name: &'static str) -> Finding {
    let folder = place.join(wanted.name());
    let remembered = folder.join("runtime");
    let mend = format!("sudo apt-get install podman {}, or use another engine", wanted.name());
    if let Err(error) = std::fs::create_dir(&folder).and_then(|()| std::fs::write(&remembered, wanted.name()))
    {
        return Finding::fine(name, format!("not tried: {error}"), WHY_PODMAN).is(State::Slower, mend);
    }
    let owner = format!("doctor-{}-{}", std::process::id(), wanted.name());
    let engine = Engine::Podman(Podman { owner, folder: folder.clone() });
    let tried = runtime.block_on(attempt(engine, &folder.join("scratch")));
    let used = std::fs::read_to_string(&remembered).unwrap_or_default();
    if tried.is_ok() && used.trim() != wanted.name() {
        let found = format!("it starts no container; {} does", used.trim());
        return Finding::fine(name, found, WHY_PODMAN)
            .is(State::Missing, "use the other one: it is chosen by itself");
    }
    finding(name, WHY_PODMAN, &tried)
}
