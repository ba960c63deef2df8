//! Steps of this pod's builds on other pods: where there is room, and runs that are under way there.
//!
//! Actors. [`Away`] answers the builds ([`OtherKitchens`]) from the beats, and counts what it has placed since. A run is ordered by a
//! question; from then on the running pod reports, and [`Away::heard`] hands its reports to whoever waits. A pod that falls silent is
//! asked whether it is there ([`presence`]); that it is not, or that it does not know the run any more, ends the run here.
//!
//! Errors are [`RunEnd::NotRun`]. Nothing here outlives a crash: the running pod then finds that nobody wants its run.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backplane::Mesh;
use backplane::beats::Liveness;
use backplane::bus::BusError;
use backplane::federation::{MAX_REASON, readable};
use backplane::keys::random;
use backplane::mesh::AskError;
use backplane::owners::Owners;
use futures::future::BoxFuture;
use node::{NewsOfRun, OtherKitchens, Place, PrintedLine, Wish, has_labels};
use parking_lot::Mutex;
use protocol::mesh::run::{
    Enclosed, REPORT_EVERY, RUN, RUN_CANCEL, RunAnswer, RunCancel, RunEnd, RunNews, RunOrder, RunUsage,
};
use protocol::mesh::{NewsAnswer, Role};
use protocol::{Digest, PodId, RelPath};
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, watch};

use super::presence;
use super::steps::hand_on;

/// How long a pod may take to answer an order.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a pod that fell silent with a step is given none, however much room it says that it has.
const SHUNNED_FOR: Duration = Duration::from_secs(60);
/// How long a pod whose tools differ is not asked again for steps that look at them.
const DIFFERS_FOR: Duration = Duration::from_secs(600);
/// Paths and programs that are remembered to differ, for each pod.
const MAX_DIFFERENT: usize = 1024;
/// Files of which it is remembered who made them.
const MAX_MAKERS: usize = 1 << 20;
/// How long a step waits at a pod for a slot before it is taken back: what it waits behind may take long, and others may have room.
const NEXT_FOR: Duration = Duration::from_secs(1);
/// How long a pod is given no steps to wait there after one waited in vain.
const NO_NEXT_FOR: Duration = Duration::from_secs(10);
/// Reports of a run that wait for the build.
const NEWS: usize = 64;

/// Other pods, as builds of this one see them.
pub(super) struct Away {
    mesh: Arc<Mesh>,
    owners: Arc<Owners>,
    pods: Mutex<FxHashMap<PodId, Known>>,
    runs: Mutex<FxHashMap<(PodId, u64), mpsc::Sender<RunNews>>>,
    /// Which pod made what.
    makers: Mutex<FxHashMap<Digest, PodId>>,
    changes: watch::Sender<u64>,
}

/// What is known of a pod.
struct Known {
    /// When it said how many slots are free.
    at: Instant,
    /// How many are, less those that were placed since.
    free: u32,
    /// Orders that it has not answered: it may not have counted them.
    asked: u32,
    /// Bytes of memory that were free there then, less what those need that were placed since.
    memory: u64,
    /// When it said so.
    memory_at: Instant,
    /// What those need that were asked for.
    memory_asked: u64,
    /// Bytes of memory that it has for steps in all, if it says so.
    memory_in_all: Option<u64>,
    /// Steps of ours that run there.
    running: u32,
    /// Steps of ours that wait there for a slot.
    next: u32,
    /// When one has waited in vain.
    in_vain: Option<Instant>,
    /// What it has otherwise than we, outside of projects, and since when.
    different: FxHashMap<RelPath, Instant>,
    /// Programs of steps that saw it.
    programs: FxHashMap<Vec<u8>, Instant>,
    /// What it is and has.
    labels: BTreeMap<String, String>,
    /// The load of each of its processors in the last minute, in hundredths.
    load: u32,
    /// When it fell silent with a step.
    silent: Option<Instant>,
}

impl Known {
    fn new() -> Self {
        Self {
            at: Instant::now(),
            free: 0,
            asked: 0,
            memory: 0,
            memory_at: Instant::now(),
            memory_asked: 0,
            memory_in_all: None,
            running: 0,
            next: 0,
            in_vain: None,
            different: FxHashMap::default(),
            programs: FxHashMap::default(),
            labels: BTreeMap::new(),
            load: 0,
            silent: None,
        }
    }

    /// It said at a moment that so many are free.
    fn say(&mut self, free: u32, at: Instant) {
        (self.free, self.at) = (free.saturating_sub(self.asked), at);
    }

    fn count(&mut self, stage: Stage) -> &mut u32 {
        match stage {
            Stage::Asked => &mut self.asked,
            Stage::Next => &mut self.next,
            Stage::Runs => &mut self.running,
        }
    }

    /// A run comes to a stage, and needs so much memory.
    fn begins(&mut self, stage: Stage, memory: u64) {
        *self.count(stage) += 1;
        match stage {
            Stage::Asked => self.memory_asked += memory,
            Stage::Runs => self.memory = self.memory.saturating_sub(memory),
            Stage::Next => {}
        }
    }

    /// A run is at a stage no more.
    fn ends(&mut self, stage: Stage, memory: u64) {
        let count = self.count(stage);
        *count = count.saturating_sub(1);
        match stage {
            Stage::Asked => self.memory_asked = self.memory_asked.saturating_sub(memory),
            Stage::Runs => self.memory = self.memory.saturating_add(memory),
            Stage::Next => {}
        }
    }

    /// How many more steps may wait there: one behind each of ours that runs.
    fn room_for_next(&self) -> u32 {
        match self.in_vain.is_some_and(|since| since.elapsed() < NO_NEXT_FOR) {
            true => 0,
            false => self.running.saturating_sub(self.next),
        }
    }

    /// Whether it has these labels, and so much memory in all.
    fn is_enough(&self, on: &BTreeMap<String, String>, memory: Option<u64>) -> bool {
        let fits = |memory| self.memory_in_all.is_none_or(|in_all| memory <= in_all);
        has_labels(&self.labels, on) && memory.is_none_or(fits)
    }

    fn fits(&self, wish: &Wish) -> bool {
        if !self.is_enough(&wish.on, wish.memory) {
            return false;
        }
        if wish.memory.is_some_and(|memory| memory > self.memory.saturating_sub(self.memory_asked)) {
            return false;
        }
        if self.silent.is_some_and(|since| since.elapsed() < SHUNNED_FOR) {
            return false;
        }
        let lasts = |since: Option<&Instant>| since.is_some_and(|since| since.elapsed() < DIFFERS_FOR);
        if wish.tools.is_empty() {
            return !wish.programs.iter().any(|program| lasts(self.programs.get(program)));
        }
        !wish.tools.iter().any(|path| lasts(self.different.get(path)))
    }
}

/// Why a step is rather placed here than there: the greater, the better.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Merit {
    /// Of its inputs.
    bytes: u64,
    /// More steps that it takes.
    room: u32,
    load: Reverse<u32>,
}

impl Away {
    /// Over a mesh, and with what is known of who has what.
    pub fn new(mesh: Arc<Mesh>, owners: Arc<Owners>) -> Arc<Self> {
        Arc::new(Self {
            mesh,
            owners,
            pods: Mutex::default(),
            runs: Mutex::default(),
            makers: Mutex::default(),
            changes: watch::Sender::new(0),
        })
    }

    /// Passes on that beats were heard, and forgets what those have who have gone. Ends with the mesh.
    pub async fn follow(self: Arc<Self>) {
        let (mut beats, mut members) = (self.mesh.beats().watch(), self.mesh.members().watch());
        loop {
            let list = members.borrow_and_update().clone();
            let gone: Vec<PodId> =
                list.values().filter(|member| !member.is_member()).map(|member| member.pod).collect();
            gone.iter().for_each(|pod| self.owners.map().forget_holder(pod));
            self.makers.lock().retain(|_, pod| !gone.contains(pod));
            loop {
                let heard = tokio::select! {
                    heard = beats.changed() => heard,
                    told = members.changed() => match told {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                };
                if heard.is_err() {
                    return;
                }
                self.changed();
            }
        }
    }

    /// How many of these bytes each pod has, as far as is known: by the owners' map, and by what was placed there a moment ago.
    fn bytes_of(&self, inputs: &[(Digest, u64)]) -> FxHashMap<PodId, u64> {
        let map = self.owners.map();
        let known = map.most_of(inputs.iter().map(|(digest, size)| (digest, *size)));
        let mut has: FxHashMap<PodId, u64> = known.into_iter().collect();
        let makers = self.makers.lock();
        let made = inputs.iter().filter_map(|(digest, size)| Some((digest, *size, *makers.get(digest)?)));
        for (_, size, pod) in made.filter(|(digest, _, pod)| !map.holders(digest).contains(pod)) {
            *has.entry(pod).or_default() += size;
        }
        has
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Takes in what a running pod reports.
    pub async fn heard(&self, from: PodId, news: RunNews) -> NewsAnswer {
        if let Some(known) = self.pods.lock().get_mut(&from) {
            known.say(news.free_slots, Instant::now());
        }
        let key = (from, news.run);
        let run = self.runs.lock().get(&key).cloned();
        let answer = hand_on(run, news).await;
        self.changed();
        answer
    }

    /// The pods that run steps for this one and are heard, brought up to what their last beats say.
    fn refreshed(&self, pods: &mut FxHashMap<PodId, Known>) -> Vec<PodId> {
        if !self.mesh.members().is_believed(&self.mesh.pod()) {
            return Vec::new();
        }
        let members = self.mesh.members().list();
        let heard = self.mesh.beats().all();
        pods.retain(|pod, _| members.contains_key(pod));
        let alive = heard.into_iter().filter(|(pod, heard)| {
            let is_full =
                members.get(pod).is_some_and(|member| member.is_member() && member.role == Role::Full);
            is_full && heard.liveness == Liveness::Alive
        });
        let mut all = Vec::new();
        for (pod, heard) in alive {
            let known = pods.entry(pod).or_insert_with(|| Known {
                at: heard.at,
                free: heard.beat.free_slots,
                memory: heard.beat.free_memory,
                ..Known::new()
            });
            if heard.at > known.at {
                known.say(heard.beat.free_slots, heard.at);
            }
            if heard.at > known.memory_at {
                (known.memory, known.memory_at) = (heard.beat.free_memory, heard.at);
            }
            known.memory_in_all = heard.beat.memory;
            known.load = heard.beat.load / heard.beat.processors.max(1);
            known.labels = heard.beat.labels;
            all.push(pod);
        }
        all
    }
}

/// How far a run has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is ordered for a free slot, and there is no answer.
    Asked,
    /// It waits for a slot, or is ordered to.
    Next,
    /// It has one.
    Runs,
}

/// A run, counted in what is known of its pod until this is dropped.
struct Counted {
    away: Arc<Away>,
    pod: PodId,
    stage: Stage,
    /// Bytes that it needs.
    memory: u64,
}

impl Counted {
    fn turns(&mut self, stage: Stage) {
        if let Some(known) = self.away.pods.lock().get_mut(&self.pod) {
            known.ends(self.stage, self.memory);
            known.begins(stage, self.memory);
        }
        self.stage = stage;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(known) = self.away.pods.lock().get_mut(&self.pod) {
            known.ends(self.stage, self.memory);
        }
    }
}

/// The kitchens of other pods, as a build sees them.
pub(super) struct OtherPods(pub Arc<Away>);

impl OtherKitchens for OtherPods {
    fn free(&self) -> usize {
        let mut pods = self.0.pods.lock();
        let alive = self.0.refreshed(&mut pods);
        let known = alive.iter().filter_map(|pod| pods.get(pod));
        known.map(|known| (known.free + known.room_for_next()) as usize).sum()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn is_here(&self, on: &BTreeMap<String, String>) -> bool {
        has_labels(&self.0.mesh.load().labels, on)
    }

    fn is_elsewhere(&self, on: &BTreeMap<String, String>, memory: Option<u64>) -> bool {
        let mut pods = self.0.pods.lock();
        let alive = self.0.refreshed(&mut pods);
        alive.iter().filter_map(|pod| pods.get(pod)).any(|known| known.is_enough(on, memory))
    }

    fn place(&self, wish: &Wish) -> Option<Box<dyn Place>> {
        let has = self.0.bytes_of(&wish.inputs);
        let mut pods = self.0.pods.lock();
        let alive = self.0.refreshed(&mut pods);
        let best = |room: fn(&Known) -> u32| {
            let known = alive.iter().filter_map(|pod| Some((pod, pods.get(pod)?)));
            let with_room = known.filter(|(_, known)| room(known) > 0 && known.fits(wish));
            let best = with_room.max_by_key(|(pod, known)| Merit {
                bytes: has.get(pod).copied().unwrap_or(0),
                room: room(known),
                load: Reverse(known.load),
            });
            best.map(|(pod, _)| *pod)
        };
        let (pod, stage) = match best(|known| known.free) {
            Some(pod) => (pod, Stage::Asked),
            None if wish.may_wait => (best(Known::room_for_next)?, Stage::Next),
            None => return None,
        };
        let known = pods.get_mut(&pod)?;
        if stage == Stage::Asked {
            known.free -= 1;
        }
        let memory = wish.memory.unwrap_or_default();
        known.begins(stage, memory);
        drop(pods);
        let counted = Counted { away: self.0.clone(), pod, stage, memory };
        let name = presence::name(&self.0.mesh, &pod);
        Some(Box::new(Reserved {
            name,
            pod,
            away: self.0.clone(),
            stage,
            counted: Mutex::new(Some(counted)),
        }))
    }
}

/// A slot of another pod that is kept for a step.
struct Reserved {
    pod: PodId,
    name: String,
    away: Arc<Away>,
    stage: Stage,
    /// Until it is run.
    counted: Mutex<Option<Counted>>,
}

impl Place for Reserved {
    fn pod(&self) -> &str {
        &self.name
    }

    fn id(&self) -> PodId {
        self.pod
    }

    fn is_next(&self) -> bool {
        self.stage == Stage::Next
    }

    fn run<'a>(
        &'a self,
        order: RunOrder,
        on_news: &'a (dyn Fn(NewsOfRun) + Send + Sync),
        cancel: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, RunEnd> {
        Box::pin(async move {
            let Ok(run) = random::<8>().map(u64::from_le_bytes) else {
                return RunEnd::NotRun("the system gives no random numbers".to_owned());
            };
            let (sender, news) = mpsc::channel(NEWS);
            self.away.runs.lock().insert((self.pod, run), sender);
            let wanted = Wanted { away: self.away.clone(), pod: self.pod, run, is_over: false };
            let Some(counted) = self.counted.lock().take() else {
                return RunEnd::NotRun("this place was used before".to_owned());
            };
            let order = RunOrder { run, may_wait: self.is_next(), ..order };
            wanted.run((order, counted), news, on_news, cancel).await
        })
    }

    fn differs(&self, wish: &Wish, path: &RelPath) -> bool {
        let mut pods = self.away.pods.lock();
        let known = pods.entry(self.pod).or_insert_with(Known::new);
        if known.different.len() + known.programs.len() >= MAX_DIFFERENT {
            known.different.clear();
            known.programs.clear();
        }
        let now = Instant::now();
        known.programs.extend(wish.programs.iter().map(|program| (program.clone(), now)));
        let before = known.different.insert(path.clone(), now);
        before.is_none_or(|before| before.elapsed() >= DIFFERS_FOR)
    }

    fn holds(&self, objects: &[Digest]) {
        let map = self.away.owners.map();
        objects.iter().for_each(|digest| map.note_holder(self.pod, digest));
        let mut makers = self.away.makers.lock();
        if makers.len() + objects.len() > MAX_MAKERS {
            makers.clear();
        }
        makers.extend(objects.iter().map(|digest| (*digest, self.pod)));
    }
}

/// A run that is under way elsewhere. Dropping it has the other pod end it.
struct Wanted {
    away: Arc<Away>,
    pod: PodId,
    run: u64,
    is_over: bool,
}

impl Wanted {
    async fn run(
        mut self,
        (order, mut counted): (RunOrder, Counted),
        mut news: mpsc::Receiver<RunNews>,
        on_news: &(dyn Fn(NewsOfRun) + Send + Sync),
        mut cancel: BoxFuture<'_, ()>,
    ) -> RunEnd {
        let mesh = self.away.mesh.clone();
        let ordered = tokio::select! {
            answer = mesh.ask::<_, RunAnswer>(&self.pod, RUN, &order, ANSWER) => answer,
            () = &mut cancel => return RunEnd::Cancelled,
        };
        let ordered_at = Instant::now();
        match ordered {
            Ok(RunAnswer::Accepted) => {
                counted.turns(Stage::Runs);
                on_news(NewsOfRun::Begun);
                // Another one may come next.
                self.away.changed();
            }
            Ok(RunAnswer::Waits) => counted.turns(Stage::Next),
            Ok(RunAnswer::Busy) => {
                self.is_over = true;
                self.waited_in_vain(&counted);
                self.has_no_room();
                return RunEnd::NotRun("all of its slots or all of its memory are taken".to_owned());
            }
            Err(error) => {
                let is_its_fault = !matches!(error, AskError::Bus(BusError::TooLarge { .. }));
                if is_its_fault {
                    self.has_no_room();
                }
                return RunEnd::NotRun(error.to_string());
            }
        }
        let (mut heard, mut last) = (Instant::now(), 0);
        loop {
            tokio::select! {
                report = news.recv() => {
                    heard = Instant::now();
                    let Some(RunNews { number, lines, waits, again, end, usage, enclosed, .. }) = report else { break };
                    if number <= last {
                        continue;
                    }
                    last = number;
                    if counted.stage == Stage::Next && !waits {
                        counted.turns(Stage::Runs);
                        on_news(NewsOfRun::Begun);
                        self.away.changed();
                    } else if counted.stage == Stage::Next && end.is_none() && ordered_at.elapsed() >= NEXT_FOR {
                        self.waited_in_vain(&counted);
                        return RunEnd::NotRun("none of its slots came free".to_owned());
                    }
                    if let Some(why) = again {
                        on_news(NewsOfRun::Again(readable(&why, MAX_REASON)));
                    }
                    for (stream, text) in lines {
                        on_news(NewsOfRun::Line(PrintedLine { stream, bytes: text.into_bytes() }));
                    }
                    if let Some(usage) = usage {
                        on_news(NewsOfRun::Used(self.believable(usage)));
                    }
                    if let Some(end) = end {
                        let fitting = Enclosed::fitting(enclosed);
                        fitting.into_iter().for_each(|object| on_news(NewsOfRun::Enclosed(object)));
                        self.is_over = true;
                        if matches!(end, RunEnd::NotRun(_)) {
                            self.waited_in_vain(&counted);
                        }
                        return end;
                    }
                }
                () = &mut cancel => return RunEnd::Cancelled,
                () = tokio::time::sleep(REPORT_EVERY) => {
                    if presence::is_gone(&self.away.mesh, &self.pod, heard.elapsed()).await {
                        self.shun();
                        break;
                    }
                }
            }
        }
        RunEnd::NotRun("it is silent".to_owned())
    }

    /// Gives the pod no steps to wait there for a while, if this one did.
    fn waited_in_vain(&self, counted: &Counted) {
        if counted.stage == Stage::Next
            && let Some(known) = self.away.pods.lock().get_mut(&self.pod)
        {
            known.in_vain = Some(Instant::now());
        }
    }

    /// What a run has used, and no more memory than its pod has: by that it is placed the next time.
    fn believable(&self, usage: RunUsage) -> RunUsage {
        let most = self.away.pods.lock().get(&self.pod).and_then(|known| known.memory_in_all);
        RunUsage { memory: most.map_or(usage.memory, |most| usage.memory.min(most)), ..usage }
    }

    /// Gives the pod no steps until it is heard again.
    fn has_no_room(&self) {
        if let Some(known) = self.away.pods.lock().get_mut(&self.pod) {
            (known.free, known.at) = (0, Instant::now());
        }
    }

    /// Gives the pod no steps for a while, unless it is the back-plane that is away.
    fn shun(&self) {
        if !presence::is_down(&self.away.mesh)
            && let Some(known) = self.away.pods.lock().get_mut(&self.pod)
        {
            known.silent = Some(Instant::now());
        }
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.away.runs.lock().remove(&(self.pod, self.run));
        if !self.is_over
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (mesh, pod, run) = (self.away.mesh.clone(), self.pod, self.run);
            // The pod that does not hear of it finds out when it reports.
            runtime.spawn(async move {
                mesh.ask::<_, bool>(&pod, RUN_CANCEL, &RunCancel { run }, ANSWER).await.ok()
            });
        }
        self.away.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_before_room_and_room_before_load() {
        let merit = |bytes, room, load| Merit { bytes, room, load: Reverse(load) };
        assert!(merit(2, 1, 900) > merit(1, 8, 0));
        assert!(merit(1, 8, 900) > merit(1, 7, 0));
        assert!(merit(1, 8, 10) > merit(1, 8, 20));
    }
}
