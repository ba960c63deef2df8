//! kill -9 at random instants: of the majordomo, of a step, of the zygote. After each the next build is right, nothing that was
//! finished is made again, and nothing is left mounted or running.
//!
//! `COMPUTEPODS_KILLS` says how many instants (for a soak: thousands), `COMPUTEPODS_SEED` where the random numbers start.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{Built, Place, Project, Running, left};

/// Instants for each kind of victim, if nobody says so.
const KILLS: u64 = 50;

/// Eight parts are made of eight sources and a common header; one of them as many undeclared files; one whole of all.
const FILE: &str = r#"
[step.part]
each = "in/*"
run = "mkdir -p more; cat head {in} > {out}; tr a-z A-Z < {in} > more/{stem}; sleep 0.01"
out = "parts/{stem}"
[step.big]
run = "for i in 1 2 3 4 5 6 7 8 9 10; do cat head in/*; head -c 200000 /dev/zero; done > {out}"
out = "big"
[step.whole]
run = "cat parts/* more/* > {out}; cksum < big >> {out}"
out = "whole"
after = ["part", "big"]
"#;

const PARTS: usize = 8;

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The project, and what its outputs have to be.
struct Subject<'p> {
    project: Project<'p>,
    head: String,
    inputs: Vec<String>,
}

impl<'p> Subject<'p> {
    fn new(place: &'p Place) -> Self {
        let project = place.project("p", FILE);
        let inputs = (0..PARTS).map(|i| format!("input {i}\n")).collect();
        let subject = Self { project, head: "head\n".to_owned(), inputs };
        subject.project.write("head", &subject.head);
        (0..PARTS).for_each(|i| subject.write(i));
        subject
    }

    fn write(&self, i: usize) {
        self.project.write(format!("in/{i}"), &self.inputs[i]);
    }

    /// Changes some of the sources, or deletes some of the outputs.
    fn change(&mut self, random: &mut Random) {
        for _ in 0..=random.below(3) {
            let i = random.below(PARTS as u64) as usize;
            self.inputs[i] = format!("input {i} is {}\n", random.below(1 << 40));
            self.write(i);
        }
        match random.below(8) {
            0 => {
                self.head = format!("head {}\n", random.below(1 << 40));
                self.project.write("head", &self.head);
            }
            1 if self.project.has("parts") => self.project.remove("parts"),
            2 if self.project.has("whole") => self.project.remove("whole"),
            _ => {}
        }
    }

    /// Asserts that all outputs are what the sources ask for, and that nothing else is there.
    #[track_caller]
    fn assert_right(&self) {
        let mut whole = String::new();
        for (i, input) in self.inputs.iter().enumerate() {
            let part = self.project.read(format!("parts/{i}"));
            assert_eq!(part, format!("{}{input}", self.head));
            whole.push_str(&part);
        }
        for (i, input) in self.inputs.iter().enumerate() {
            assert_eq!(self.project.read(format!("more/{i}")), input.to_uppercase());
            whole.push_str(&input.to_uppercase());
        }
        assert!(self.project.read("whole").starts_with(&whole));
        let big = self.project.read("big");
        assert!(big.starts_with(&format!("{}{}", self.head, self.inputs[0])));
        let inputs: usize = self.inputs.iter().map(String::len).sum();
        assert_eq!(big.len(), 10 * (self.head.len() + inputs + 200_000));
        let expected = 2 + 3 * PARTS + 2;
        let files = self.project.files("");
        assert_eq!(files.len(), expected, "{files:?}");
        let temporary = std::fs::read_dir(self.project.at(".majordomo/tmp")).unwrap().count();
        assert_eq!(temporary, 0, "temporary files are left in the project");
    }
}

/// Kills somebody at random instants, again and again.
fn rounds(place: &Place, kills: u64, kill: impl Fn(&Place, &Running, &mut Random)) {
    let mut random = Random(number("COMPUTEPODS_SEED", 1));
    let mut subject = Subject::new(place);
    let first = subject.project.build(&[]).ok();
    subject.assert_right();
    let mut longest = first.ended.took;
    let mut unfinished = 0;
    for round in 0..kills {
        subject.change(&mut random);
        let instant = Duration::from_micros(random.below(longest.as_micros() as u64 * 5 / 4));
        let mut running = subject.project.start(&[]);
        if !running.ends_within(instant) {
            kill(place, &running, &mut random);
        }
        let killed = running.built();
        unfinished += u64::from(killed.ended.code != Some(0));
        left::assert_nothing(place.path());
        let next = subject.project.build(&[]).ok();
        subject.assert_right();
        let lost: Vec<&str> =
            finished(&killed).into_iter().filter(|step| next.ran().contains(step)).collect();
        assert!(
            lost.is_empty(),
            "round {round}: finished, and made again: {lost:?}\n{}{}",
            killed.ended.stdout,
            next.ended.stdout
        );
        longest = longest.max(next.ended.took);
    }
    assert!(unfinished > 0, "no kill hit a build");
    place.pod(&["fsck"]).ok();
    subject.project.builds(&[]);
    place.assert_nothing_left();
}

/// The steps that had said that they ran.
fn finished(killed: &Built) -> Vec<&str> {
    killed.ended_as("ran")
}

#[test]
fn of_the_majordomo() {
    let place = Place::new();
    rounds(&place, number("COMPUTEPODS_KILLS", KILLS), |_, running, _| running.signal(Signal::KILL));
}

#[test]
fn of_an_ordinary_users_majordomo() {
    let place = Place::ordinary();
    rounds(&place, number("COMPUTEPODS_KILLS", KILLS) / 3, |_, running, _| running.signal(Signal::KILL));
}

#[test]
fn of_a_step_or_the_zygote() {
    let place = Place::new();
    rounds(&place, number("COMPUTEPODS_KILLS", KILLS), |place, running, random| {
        let majordomo = running.pid().as_raw_nonzero().get();
        let mut victims = left::pids(place.path());
        victims.retain(|pid| *pid != majordomo);
        if victims.is_empty() {
            return;
        }
        let victim = victims[random.below(victims.len() as u64) as usize];
        // It may have ended meanwhile.
        Pid::from_raw(victim).map(|pid| kill_process(pid, Signal::KILL).ok());
    });
}
