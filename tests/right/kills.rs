//! T15. kill -9 at random instants of a step, of the majordomo, and of the pod that another majordomo embeds: the next build is
//! right, nothing that was finished runs again, and what was in the middle was never published.
//!
//! `COMPUTEPODS_KILLS` says how many instants (30 without it, as in CI; 200 for a release), `COMPUTEPODS_SEED` where the random
//! numbers start. `tests/system/kills.rs` has the same for ordinary users, new homes and the zygote.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::subject::{Random, Subject, number};
use crate::common::{Built, Gate, Place, Project, Running, left};

/// Half of them where the order is declared, and half of them where it is found out.
const KILLS: u64 = 30;

/// Who is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    /// The majordomo that builds, and the pod in it.
    Majordomo,
    /// The pod, which another majordomo embeds.
    Pod,
    /// The majordomo that is that pod's client.
    Client,
    /// Any process of a step, or the zygote.
    Step,
}

/// Another project's build, which holds the pod and stands before its gate.
struct Holder<'p> {
    project: Project<'p>,
    gate: Gate,
}

impl<'p> Holder<'p> {
    fn new(place: &'p Place) -> Self {
        let gate = Gate::new();
        let file = format!("[step.s]\nvolatile = true\nnetwork = true\nrun = '''{}'''\n", gate.command());
        Self { project: place.project("holder", &file), gate }
    }
}

/// One build that somebody is killed in.
fn kill_in(
    place: &Place,
    subject: &Subject<'_>,
    holder: &Holder<'_>,
    victim: Victim,
    instant: Duration,
    random: &mut Random,
) -> Built {
    let is_shared = matches!(victim, Victim::Pod | Victim::Client);
    let holding = is_shared.then(|| (holder.project.start(&[]), holder.gate.arrival()));
    let mut running = subject.project.start(&[]);
    if !running.ends_within(instant) {
        match victim {
            Victim::Majordomo | Victim::Client => running.signal(Signal::KILL),
            Victim::Pod => holding.iter().for_each(|(holding, _)| holding.signal(Signal::KILL)),
            Victim::Step => kill_a_step(place, &running, random),
        }
    }
    let ended = running.end();
    let killed = match victim {
        Victim::Pod if ended.code == Some(3) => Built::cut_off(ended),
        _ => Built::new(ended),
    };
    if let Some((holding, visitor)) = holding {
        visitor.go();
        let ended = holding.end();
        let was_killed = ended.signal == Some(9);
        assert!(was_killed || ended.code == Some(0), "the holder: {}", ended.shown());
        assert!(!was_killed || matches!(victim, Victim::Pod), "somebody else killed the holder");
    }
    killed
}

fn kill_a_step(place: &Place, running: &Running, random: &mut Random) {
    let majordomo = running.pid().as_raw_nonzero().get();
    let mut steps = left::pids(place.path());
    steps.retain(|pid| *pid != majordomo);
    if !steps.is_empty() {
        // It may have ended meanwhile.
        Pid::from_raw(*random.pick(&steps)).map(|pid| kill_process(pid, Signal::KILL).ok());
    }
}

#[test]
fn t15_whoever_is_killed() {
    rounds(|place| Subject::new(place));
}

#[test]
fn t15_whoever_is_killed_while_the_order_is_found_out() {
    rounds(|place| Subject::without_order(place));
}

fn rounds(subject: for<'p> fn(&'p Place) -> Subject<'p>) {
    let mut random = Random(number("COMPUTEPODS_SEED", 1));
    let kills = number("COMPUTEPODS_KILLS", KILLS).div_ceil(2);
    let place = Place::new();
    let holder = Holder::new(&place);
    let mut subject = subject(&place);
    let mut longest = subject.project.build(&[]).ok().ended.took;
    subject.assert_right();
    let (mut hits, mut rounds) = (0, 0);
    while hits < kills {
        rounds += 1;
        assert!(rounds <= 10 * kills, "too few kills hit a build: {hits}");
        subject.change(&mut random);
        let victim = *random.pick(&[Victim::Majordomo, Victim::Pod, Victim::Client, Victim::Step]);
        let instant = Duration::from_micros(random.below(longest.as_micros() as u64 * 3 / 4));
        let killed = kill_in(&place, &subject, &holder, victim, instant, &mut random);
        hits += u64::from(killed.ended.code != Some(0));
        left::assert_nothing(place.path());
        let next = subject.project.build(&[]).ok();
        subject.assert_right();
        let ran = next.ran();
        let lost: Vec<_> = killed.ended_as("ran").into_iter().filter(|step| ran.contains(step)).collect();
        assert!(
            lost.is_empty(),
            "{victim:?}, round {rounds}: finished, and made again: {lost:?}\n{}{}",
            killed.ended.stdout,
            next.ended.stdout
        );
        longest = longest.max(next.ended.took);
    }
    println!("{hits} of {rounds} builds were hit");
    place.pod(&["fsck"]).ok();
    subject.project.builds(&[]);
    place.assert_nothing_left();
}
