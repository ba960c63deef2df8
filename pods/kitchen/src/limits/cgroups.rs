//! Control groups: one for each step that has a limit on memory, processors or processes.
//!
//! Both versions of the kernel's interface, whichever has the controller that a limit needs. Groups are made below one that is named after the
//! kitchen's scratch folder, which belongs to one pod alone: what is there at the start is a dead pod's, and goes. They are used again, for
//! making one costs milliseconds. A step's init enters by itself, through descriptors that it gets from the pod, so that nothing of
//! this has to be seen where it lives.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Limit, Limits};

/// Processes of a step that are not its own: its init.
const OWN_PROCESSES: u64 = 1;
/// Microseconds over which use of the processors is counted.
const PERIOD: u64 = 100_000;
/// The group of the pod itself, where it has to have one.
const OWN_GROUP: &str = "computepods-pod";
/// How often a group is tried to be removed that is busy, and how long lies between.
const REMOVALS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(2);
/// Groups that are kept for later steps at most.
const SPARE: usize = 64;

/// What is limited by a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Controller {
    Memory,
    Cpu,
    Pids,
}

const CONTROLLERS: [(Controller, &str); 3] =
    [(Controller::Memory, "memory"), (Controller::Cpu, "cpu"), (Controller::Pids, "pids")];

/// A folder below which groups can be made, and what they can limit.
#[derive(Debug, Clone)]
struct Place {
    folder: PathBuf,
    controllers: Vec<Controller>,
    is_unified: bool,
}

/// Where groups are made for the steps of one kitchen.
#[derive(Debug)]
pub(crate) struct Cgroups {
    places: Vec<Place>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    spare: Vec<u64>,
    last: u64,
}

/// A step's group. Dropped, it is kept for another step.
#[derive(Debug)]
pub(crate) struct Cgroup {
    all: Arc<Cgroups>,
    number: u64,
    /// Events that had been counted before the step.
    before: [u64; 2],
    limits: Limits,
}

/// Removes the groups of kitchens whose names begin so, and whose pod is dead.
pub(crate) fn sweep(prefix: &str) {
    named(prefix).iter().for_each(Place::remove);
}

/// The groups of kitchens whose names begin so.
pub(crate) fn count(prefix: &str) -> usize {
    named(prefix).len()
}

fn named(prefix: &str) -> Vec<Place> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut found = Vec::new();
    for place in candidates(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup")) {
        for group in fs::read_dir(&place.folder).into_iter().flatten().flatten() {
            if group.file_name().to_string_lossy().starts_with(prefix) {
                found.push(Place { folder: group.path(), ..place.clone() });
            }
        }
    }
    found
}

impl Cgroups {
    /// Finds out what can be limited, and removes what a dead pod has left. Where nothing can be, there is no place.
    pub(crate) fn open(name: &str) -> Arc<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let candidates = candidates(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
        let places = candidates.into_iter().filter_map(|place| place.prepare(name)).collect();
        Arc::new(Self { places, state: Mutex::default() })
    }

    /// What is left for the kernel's resource limits, for a step with a group or without one.
    pub(crate) fn leave(&self, limits: &Limits, has_group: bool) -> Limits {
        let held = |controller| has_group && self.place(controller).is_some();
        Limits {
            memory: limits.memory.filter(|_| !held(Controller::Memory)),
            processes: if held(Controller::Pids) { Limits::bounds().processes } else { limits.processes },
            ..*limits
        }
    }

    fn place(&self, controller: Controller) -> Option<&Place> {
        self.places.iter().find(|place| place.controllers.contains(&controller))
    }

    /// A group with these limits, as far as there can be one; `None` if none of them needs one, or none can be had.
    pub(crate) fn take(self: &Arc<Self>, limits: &Limits) -> io::Result<Option<Cgroup>> {
        let wanted = [
            (Controller::Memory, limits.memory),
            (Controller::Cpu, limits.milli_cpus),
            (Controller::Pids, limits.processes.filter(|most| Some(*most) != Limits::bounds().processes)),
        ];
        if !wanted.iter().any(|(controller, limit)| limit.is_some() && self.place(*controller).is_some()) {
            return Ok(None);
        }
        let number = {
            let mut state = self.state.lock();
            state.spare.pop().unwrap_or_else(|| {
                state.last += 1;
                state.last
            })
        };
        let mut group = Cgroup { all: self.clone(), number, before: [0; 2], limits: *limits };
        for place in &self.places {
            let folder = place.folder.join(number.to_string());
            match fs::create_dir(&folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            for (controller, limit) in wanted {
                if place.controllers.contains(&controller) {
                    place.limit(&folder, controller, limit)?;
                }
            }
        }
        group.before = group.events();
        Ok(Some(group))
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for place in &self.places {
            place.remove();
        }
    }
}

impl Cgroup {
    /// Descriptors to which a process writes `0` to enter.
    pub(crate) fn doors(&self) -> io::Result<Vec<OwnedFd>> {
        let door = |place: &Place| {
            let file = place.folder.join(self.number.to_string()).join("cgroup.procs");
            Ok(OpenOptions::new().write(true).open(file)?.into())
        };
        self.all.places.iter().map(door).collect()
    }

    /// The limit that the step has reached, if any: the kernel has ended something in it, or has refused it a process.
    pub(crate) fn reached(&self) -> Option<Limit> {
        let [killed, refused] = self.events();
        let memory = self.limits.memory.filter(|_| killed > self.before[0]);
        let processes = self.limits.processes.filter(|_| refused > self.before[1]);
        memory.map(Limit::Memory).or(processes.map(Limit::Processes))
    }

    /// How often something was killed for its memory, and refused for the number of processes.
    fn events(&self) -> [u64; 2] {
        let count = |controller, files: [&str; 2], event: &str| {
            let Some(place) = self.all.place(controller) else { return 0 };
            let file = place.folder.join(self.number.to_string()).join(files[usize::from(place.is_unified)]);
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(event)?.strip_prefix(' '));
            line.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        [
            count(Controller::Memory, ["memory.oom_control", "memory.events"], "oom_kill"),
            count(Controller::Pids, ["pids.events", "pids.events"], "max"),
        ]
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let mut state = self.all.state.lock();
        if state.spare.len() < SPARE {
            state.spare.push(self.number);
        }
    }
}

impl Place {
    /// Makes the kitchen's own group, and lets those below it limit; `None` where that is not allowed.
    fn prepare(mut self, name: &str) -> Option<Self> {
        let above = self.folder.clone();
        self.folder.push(name);
        self.remove();
        fs::create_dir(&self.folder).ok()?;
        if self.is_unified {
            make_room(&above);
            for folder in [&above, &self.folder] {
                for (controller, name) in CONTROLLERS {
                    // Each by itself: one that is not there would take the others with it. Above, it may be on already, and not be ours.
                    let on = self.controllers.contains(&controller) && switch_on(folder, name);
                    if folder == &self.folder && !on {
                        self.controllers.retain(|known| *known != controller);
                    }
                }
            }
        }
        if self.controllers.is_empty() {
            self.remove();
            return None;
        }
        Some(self)
    }

    /// Removes the kitchen's group and all in it; processes of a dead pod's steps have died with it.
    fn remove(&self) {
        let inner = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for group in inner.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            remove_group(&group.path());
        }
        remove_group(&self.folder);
    }

    fn limit(&self, folder: &Path, controller: Controller, limit: Option<u64>) -> io::Result<()> {
        let put = |file: &str, value: String| write(&folder.join(file), &value);
        let or_max = |limit: Option<u64>| limit.map_or_else(|| "max".to_owned(), |limit| limit.to_string());
        match (controller, self.is_unified) {
            (Controller::Pids, _) => put("pids.max", or_max(limit.map(|limit| limit + OWN_PROCESSES))),
            (Controller::Memory, true) => {
                put("memory.max", or_max(limit))?;
                // The whole step ends, and what cannot be had as memory is not had as swap either. Older kernels have no such files.
                put("memory.oom.group", "1".to_owned()).or_else(unless_missing)?;
                put("memory.swap.max", limit.map_or("max", |_| "0").to_owned()).or_else(unless_missing)
            }
            (Controller::Memory, false) => {
                // With swap it must never be less than without: so up first, or down last.
                let bytes = limit.map_or_else(|| "-1".to_owned(), |limit| limit.to_string());
                put("memory.memsw.limit_in_bytes", "-1".to_owned()).or_else(unless_missing)?;
                put("memory.limit_in_bytes", bytes.clone())?;
                put("memory.memsw.limit_in_bytes", bytes).or_else(unless_missing)
            }
            (Controller::Cpu, true) => {
                let quota = limit.map(|milli| milli * PERIOD / 1000);
                put("cpu.max", format!("{} {PERIOD}", or_max(quota)))
            }
            (Controller::Cpu, false) => {
                put("cpu.cfs_period_us", PERIOD.to_string())?;
                let quota = limit.map(|milli| (milli * PERIOD / 1000).to_string());
                put("cpu.cfs_quota_us", quota.unwrap_or_else(|| "-1".to_owned()))
            }
        }
    }
}

/// A group with processes gives no controllers to those below it. If this process is the only one, as in a scope that was made for it, it moves
/// into a group of its own.
fn make_room(above: &Path) {
    let me = std::process::id().to_string();
    let alone = fs::read_to_string(above.join("cgroup.procs")).is_ok_and(|processes| processes.trim() == me);
    if alone {
        let own = above.join(OWN_GROUP);
        let moved = fs::create_dir(&own).and_then(|()| write(&own.join("cgroup.procs"), &me));
        if let Err(error) = moved {
            tracing::debug!(%error, "the pod stays in its control group, and so steps have none");
        }
    }
}

fn unless_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn write(file: &Path, value: &str) -> io::Result<()> {
    io::Write::write_all(&mut OpenOptions::new().write(true).open(file)?, value.as_bytes())
}

fn switch_on(folder: &Path, controller: &str) -> bool {
    let control = folder.join("cgroup.subtree_control");
    let is_on =
        || fs::read_to_string(&control).is_ok_and(|on| on.split_whitespace().any(|on| on == controller));
    is_on() || (write(&control, &format!("+{controller}")).is_ok() && is_on())
}

fn remove_group(folder: &Path) {
    for attempt in 1..=REMOVALS {
        match fs::remove_dir(folder) {
            // Processes that were just killed are in it for a moment.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && attempt < REMOVALS => {
                std::thread::sleep(PAUSE);
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // The next start tries again.
                tracing::debug!(folder = %folder.display(), %error, "a control group is not removed");
                return;
            }
            _ => return,
        }
    }
}

/// Where groups may be made: below this process's own group in each hierarchy; as root below the topmost that is to be seen, because
/// a group that has processes can have none below it in the unified one.
fn candidates(mountinfo: &str, own: &str) -> Vec<Place> {
    let is_root = rustix::process::geteuid().is_root();
    let mut places = Vec::new();
    for line in mountinfo.lines() {
        let Some((mount, file_system)) = line.split_once(" - ") else { continue };
        let mut fields = mount.split(' ').skip(3);
        let (Some(root), Some(at)) = (fields.next(), fields.next()) else { continue };
        let mut kind = file_system.split(' ');
        let (kind, options) = (kind.next().unwrap_or_default(), kind.nth(1).unwrap_or_default());
        let is_unified = match kind {
            "cgroup2" => true,
            "cgroup" => false,
            _ => continue,
        };
        let has = |name: &str| options.split(',').any(|option| option == name);
        let mine = own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let fits = if is_unified {
                controllers.is_empty()
            } else {
                controllers.split(',').any(has) && !controllers.is_empty()
            };
            fits.then_some(path)
        });
        let Some(mine) = mine else { continue };
        let below = if is_root { "" } else { mine.strip_prefix(root.trim_end_matches('/')).unwrap_or(mine) };
        let folder = Path::new(at).join(below.trim_start_matches('/'));
        let known = if is_unified {
            let known = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
            CONTROLLERS
                .iter()
                .filter(|(_, name)| known.split_whitespace().any(|known| known == *name))
                .map(|(c, _)| *c)
                .collect()
        } else {
            CONTROLLERS.iter().filter(|(_, name)| has(name)).map(|(controller, _)| *controller).collect()
        };
        places.push(Place { folder, controllers: known, is_unified });
    }
    places.retain(|place| !place.controllers.is_empty());
    places
}

/// What control groups can hold a whole step to, for this user on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holds {
    /// Memory; else each process is held to it by itself.
    pub memory: bool,
    /// Processors; else nothing is.
    pub cpus: bool,
    /// Processes; else all steps of the pod are counted together.
    pub processes: bool,
}

/// Tries what can be limited for a whole step: makes a group, and removes it.
pub fn what_groups_hold() -> Holds {
    let groups = Cgroups::open(&format!("computepods-try-{}", std::process::id()));
    let [memory, cpus, processes] = CONTROLLERS.map(|(controller, _)| groups.place(controller).is_some());
    Holds { memory, cpus, processes }
}

/// Enters a group through its door.
pub(crate) fn enter(door: OwnedFd) -> io::Result<()> {
    io::Write::write_all(&mut File::from(door), b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place made of ordinary files, as the unified hierarchy would have them.
    fn twin(folder: &Path, files: &[&str]) -> Place {
        fs::create_dir(folder.join("1")).unwrap();
        for file in files {
            fs::write(folder.join("1").join(file), "").unwrap();
        }
        Place {
            folder: folder.to_owned(),
            controllers: CONTROLLERS.map(|(c, _)| c).to_vec(),
            is_unified: true,
        }
    }

    #[test]
    fn the_unified_hierarchy_is_told_in_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["memory.max", "memory.swap.max", "memory.events", "pids.max", "pids.events", "cpu.max"];
        let place = twin(folder.path(), &files);
        let all = Arc::new(Cgroups { places: vec![place], state: Mutex::default() });
        let limits = Limits {
            memory: Some(1 << 20),
            milli_cpus: Some(1500),
            processes: Some(10),
            ..Limits::default()
        };
        let read = |file: &str| fs::read_to_string(folder.path().join("1").join(file)).unwrap();
        let put = |file: &str, text: &str| fs::write(folder.path().join("1").join(file), text).unwrap();
        put("memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n");
        let group = all.take(&limits).unwrap().unwrap();
        let told = ["memory.max", "memory.swap.max", "pids.max", "cpu.max"].map(read);
        assert_eq!(told, ["1048576", "0", "11", "150000 100000"]);
        // What an earlier step has met is not this one's.
        assert_eq!(group.reached(), None);
        put("pids.events", "max 1\n");
        assert_eq!(group.reached(), Some(Limit::Processes(10)));
        put("memory.events", "oom_kill 3\n");
        assert_eq!(group.reached(), Some(Limit::Memory(1 << 20)));
        // Nothing of it holds for the next one.
        drop(group);
        for file in files {
            put(file, "");
        }
        let group = all.take(&Limits { memory: Some(7), ..Limits::default() }).unwrap().unwrap();
        assert_eq!(["memory.max", "pids.max", "cpu.max"].map(read), ["7", "max", "max 100000"]);
        drop(group);
        assert!(all.take(&Limits::bounds()).unwrap().is_none());
    }

    #[test]
    fn hierarchies_are_found_where_they_are_mounted() {
        let mounts = "30 24 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      31 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      32 24 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
                      33 24 0:30 / /nowhere/unified rw - cgroup2 cgroup2 rw\n";
        let own = "5:memory:/user/7\n4:cpu,cpuacct:/\n1:name=systemd:/x\n0::/user\n";
        let found = candidates(mounts, own);
        let found: Vec<_> = found.iter().map(|place| (place.controllers.clone(), place.is_unified)).collect();
        assert_eq!(found, [(vec![Controller::Memory], false), (vec![Controller::Cpu], false)]);
    }
}
