//! Random faults under builds that three pods share: whatever happens, outputs are what the sources ask for, and in the end every artefact has one owner.
//! Outputs are looked at after each round; owners after those with a cheap fault, each tenth and the last, when the federation has settled: two owners for a while
//! within ten rounds would not be seen here (that no two claims both succeed, `owners/tests.rs` of the back-plane shows).
//!
//! A round changes sources, builds, and has one or two faults come at random instants; some rounds hand an artefact over meanwhile. Then everything is
//! mended, and the next build is right. `COMPUTEPODS_FAULTS` says how many rounds, `COMPUTEPODS_SEED` where the random numbers start. As root each
//! pod is a host of its own, with a network that can be cut and a disk that can be full; else these two faults fall away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::{Member, joins_so};
use crate::common::larder::{files, flip};
use crate::common::private_mounts::{fill_disk, small_disk, unshare_mounts};
use crate::common::random::{Random, number};
use crate::common::{Hosts, Nats, Place, Project, Running};

const ROUNDS: u64 = 30;
const PODS: usize = 3;
const NAMES: [&str; PODS] = ["a", "b", "c"];
const PARTS: usize = 10;
/// The longest that a fault lasts, in milliseconds: mostly, and one time in eight, when pods give each other up.
const LASTS: [u64; 2] = [2500, 12_000];
/// How many rounds there are at most between two looks at who owns what.
const SETTLE_EVERY: u64 = 10;
/// A pod's disk, in KiB.
const DISK: u32 = 400 << 10;

/// What can happen to a pod, or to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    Pause,
    Partition,
    FullDisk,
    Flip,
    NoServer,
}

use Fault::{Flip, FullDisk, Kill, NoServer, Partition, Pause};

/// Ten parts that take a while, and a whole.
fn file() -> String {
    let parts = (0..PARTS).map(|i| {
        format!("[step.part{i}]\nrun = 'cat head in/{i} > parts/{i}; sleep 0.15'\nout = 'parts/{i}'\n")
    });
    parts.collect::<String>()
        + "[step.whole]\nrun = 'cat parts/* > whole; tr a-z A-Z < head >> whole'\nout = 'whole'\n"
}

/// The sources, from which the outputs follow.
struct Sources {
    head: String,
    inputs: Vec<String>,
}

impl Sources {
    /// How many parts are to be made anew.
    fn change(&mut self, random: &mut Random) -> usize {
        let mut changed = BTreeSet::new();
        for _ in 0..=random.below(PARTS as u64) {
            let i = random.index(PARTS);
            changed.insert(i);
            self.inputs[i] = format!("input {}\n", random.below(1 << 40));
        }
        if random.one_in(3) {
            self.head = format!("head {}\n", random.below(1 << 40));
            return PARTS;
        }
        changed.len()
    }

    fn write(&self, project: &Project<'_>) {
        project.write("head", &self.head);
        self.inputs.iter().enumerate().for_each(|(i, input)| project.write(format!("in/{i}"), input));
    }

    #[track_caller]
    fn assert_right(&self, project: &Project<'_>, round: &str) {
        let mut whole = String::new();
        for (i, input) in self.inputs.iter().enumerate() {
            let part = format!("{}{input}", self.head);
            assert_eq!(project.read(format!("parts/{i}")), part, "{round}");
            whole.push_str(&part);
        }
        assert_eq!(project.read("whole"), whole + &self.head.to_uppercase(), "{round}");
    }
}

/// Pods, and what can break under them.
struct World {
    hosts: Option<Hosts>,
    nats: Nats,
    pods: Vec<Member>,
    _ground: Place,
}

impl World {
    fn new() -> Self {
        let hosts = if unshare_mounts() { Hosts::new(PODS) } else { None };
        let ground = Place::new();
        let folder = ground.path().join("nats");
        let nats = hosts.as_ref().map_or_else(|| Nats::new(&folder), |hosts| hosts.server(&folder));
        let mut pods: Vec<Member> = Vec::new();
        for (i, name) in NAMES.iter().enumerate() {
            let place = hosts.as_ref().map_or_else(Place::new, |hosts| Place::on(hosts, i));
            let invitation = pods.first().map(Member::invitation);
            let mut options: Vec<String> = Vec::new();
            if let Some(hosts) = &hosts {
                small_disk(place.home(), DISK);
                options.extend(["--listen".to_owned(), format!("/ip4/{}/tcp/0", hosts.address(i))]);
            }
            options.extend(invitation.into_iter().flat_map(|invitation| ["--invite".to_owned(), invitation]));
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            pods.push(joins_so(place, &nats, name, &options));
        }
        Self { hosts, nats, pods, _ground: ground }
    }

    fn faults(&self) -> &'static [Fault] {
        match &self.hosts {
            Some(_) => &[Kill, Pause, Partition, FullDisk, Flip, NoServer],
            None => &[Kill, Pause, Flip, NoServer],
        }
    }

    fn breaks(&mut self, fault: Fault, pod: usize, random: &mut Random) {
        let member = &self.pods[pod];
        match fault {
            Kill => member.pod.signal(Signal::KILL),
            Pause => member.pod.signal(Signal::STOP),
            Partition => self.hosts.iter().for_each(|hosts| hosts.unplug(pod)),
            FullDisk => fill_disk(&member.place.home().join("filler")),
            Flip => {
                let mut objects = files(&member.place, "packs");
                objects.extend(files(&member.place, "blobs"));
                objects.retain(|path| fs::metadata(path).is_ok_and(|meta| meta.len() > 0));
                if !objects.is_empty() {
                    let object = random.pick(&objects);
                    let length = fs::metadata(object).map_or(1, |meta| meta.len());
                    flip(object, std::iter::once(random.below(length.max(1))));
                }
            }
            NoServer => self.nats.stops(),
        }
    }

    fn mends(&mut self, faults: &[(Fault, usize)]) {
        let mut mended = Vec::new();
        // Who is dead comes back into a world that is whole.
        let mut order = faults.to_vec();
        order.sort_by_key(|(fault, _)| *fault == Kill);
        for (fault, pod) in order {
            if mended.contains(&(fault, pod))
                || fault == NoServer && mended.iter().any(|(it, _)| *it == NoServer)
            {
                continue;
            }
            mended.push((fault, pod));
            let member = &mut self.pods[pod];
            match fault {
                Kill => member.comes_back(),
                Pause => member.pod.signal(Signal::CONT),
                Partition => self.hosts.iter().for_each(|hosts| hosts.plug(pod)),
                FullDisk => fs::remove_file(member.place.home().join("filler")).unwrap(),
                Flip => {}
                NoServer => self.nats.comes_back(),
            }
        }
    }

    /// Waits until all know the same, and asserts that each artefact has one owner, for everybody.
    #[track_caller]
    fn one_owner_each(&self, round: &str) {
        for pod in &self.pods {
            pod.waits_until(&format!("{round}: it sees all"), |pods| {
                super::others_of(pods).filter(|pod| pod["connected"] == true).count() == PODS - 1
            });
        }
        let all = |pod: &Member| pod.place.pod(&["artefacts", "--json"]).ok().json()["artefacts"].take();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut last = Value::Null;
        for _ in 0..super::POLLS {
            let told: Vec<Value> = self.pods.iter().map(all).collect();
            let mut mine: BTreeMap<String, usize> = BTreeMap::new();
            let owned: Vec<Vec<String>> = told
                .iter()
                .map(|all| {
                    let one = |one: &Value| {
                        let name = format!("{}:{}", text(&one["workspace"]), text(&one["path"]));
                        *mine.entry(name.clone()).or_default() += usize::from(one["is_mine"] == true);
                        assert!(!one["owner"].is_null());
                        format!("{name} {} {}", text(&one["owner"]), one["promised_to"])
                    };
                    all.as_array().unwrap().iter().map(one).collect()
                })
                .collect();
            if owned.windows(2).all(|two| two[0] == two[1]) && !owned[0].is_empty() {
                assert!(mine.values().all(|count| *count == 1), "{round}: {mine:?}");
                return;
            }
            last = told.into();
            std::thread::sleep(super::POLL);
        }
        panic!("{round}: they never agree on who owns what: {last}");
    }
}

#[test]
fn random_faults_under_builds() {
    let (rounds, seed) = (number("COMPUTEPODS_FAULTS", ROUNDS), number("COMPUTEPODS_SEED", 1));
    let mut random = Random(seed);
    let mut world = World::new();
    world.pods.iter().for_each(Member::hears_all);
    let mut sources = Sources { head: "head\n".to_owned(), inputs: vec!["first\n".to_owned(); PARTS] };
    // The project is told to a place that is borrowed while pods come and go.
    let path = world.pods[0].place.project("p", &file()).at("");
    let mut hit: BTreeMap<String, u64> = BTreeMap::new();
    let (began, mut hits) = (Instant::now(), 0);
    for n in 0..rounds {
        let changed = sources.change(&mut random);
        sources.write(&Project::new(&world.pods[0].place, path.clone()));
        let gives = random.one_in(3).then(|| {
            let (artefact, to) = (format!("p:parts/{}", random.index(PARTS)), *random.pick(&NAMES));
            let from = random.index(PODS);
            Running::start(world.pods[from].place.command("pod", &["give", &artefact, to]))
        });
        let mut build = Project::new(&world.pods[0].place, path.clone()).start(&["--jobs", "1"]);
        let mut faults: Vec<(Fault, usize)> = Vec::new();
        let mut is_hit = false;
        // By how far the build is, and not by the clock alone: a quick machine is to be hit as often as a slow one.
        build.waits_for_starts(random.index(changed));
        for _ in 0..=random.below(2) {
            build.ends_within(Duration::from_millis(random.below(200)));
            let fault = (*random.pick(world.faults()), random.index(PODS));
            let again =
                |(was, pod): &(Fault, usize)| *was == fault.0 && (*pod == fault.1 || fault.0 == NoServer);
            // A dead pod is neither stopped nor cut open.
            let is_dead = |(was, pod): &(Fault, usize)| *was == Kill && *pod == fault.1;
            if faults.iter().any(|known| again(known) || is_dead(known)) {
                continue;
            }
            is_hit |= !build.ends_within(Duration::ZERO);
            world.breaks(fault.0, fault.1, &mut random);
            faults.push(fault);
        }
        let round = format!("COMPUTEPODS_SEED={seed}, round {n}: {faults:?}");
        println!("{:6.1} s {round}", began.elapsed().as_secs_f32());
        faults.iter().for_each(|(fault, _)| *hit.entry(format!("{fault:?}")).or_default() += 1);
        hits += u64::from(is_hit);
        let lasts = LASTS[usize::from(random.one_in(8))];
        build.ends_within(Duration::from_millis(random.below(lasts)));
        world.mends(&faults);
        // Of the pod that builds the death and the full disk end the build, and nothing else does.
        let may_end = |(fault, pod): &(Fault, usize)| *pod == 0 && matches!(fault, Kill | FullDisk);
        let ended = build.end();
        let project = Project::new(&world.pods[0].place, path.clone());
        match ended.code {
            Some(0) => sources.assert_right(&project, &round),
            code => assert!(
                code == Some(3) && faults.iter().any(may_end),
                "{round}: it ended with {code:?}\n{}",
                ended.shown()
            ),
        }
        let next = project.build(&[]);
        assert_eq!(next.ended.code, Some(0), "{round}, and once more: {}", next.said());
        sources.assert_right(&project, &round);
        // Whether it was given or not both sides will agree.
        gives.into_iter().for_each(|gives| drop(gives.end()));
        // Where nobody has to find the others again it costs next to nothing.
        let is_cheap = faults.iter().all(|(fault, _)| matches!(fault, Pause | FullDisk | Flip));
        if is_cheap || n % SETTLE_EVERY == SETTLE_EVERY - 1 || n + 1 == rounds {
            world.one_owner_each(&round);
        }
    }
    println!("{rounds} rounds in {} s, {hits} of them hit a build: {hit:?}", began.elapsed().as_secs());
    assert!(hits >= rounds / 2, "too few faults hit a build: {hits} of {rounds}");
    world.pods.drain(..).rev().for_each(Member::leaves);
}
