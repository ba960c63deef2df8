//! kill -9 at random instants: of the majordomo, of a step, of the zygote. After each the next build is right, nothing that was
//! finished is made again, and nothing is left mounted or running.
//!
//! `COMPUTEPODS_KILLS` says how many instants (for a soak: thousands), `COMPUTEPODS_SEED` where the random numbers start.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::subject::{Random, Subject, number};
use crate::common::{Built, Place, Running, left};

/// Instants for each kind of victim, if nobody says so.
const KILLS: u64 = 50;

/// Kills somebody at random instants, again and again. `kill` says whether there was somebody; whether the build goes on without is its own affair, for a
/// kitchen that goes under a step is replaced.
fn rounds(place: &Place, kills: u64, kill: impl Fn(&Place, &Running, &mut Random) -> bool) {
    let mut random = Random(number("COMPUTEPODS_SEED", 1));
    let mut subject = Subject::new(place);
    let first = subject.project.build(&[]).ok();
    subject.assert_right();
    let mut longest = first.ended.took;
    let (mut hits, mut round) = (0, 0);
    while hits < kills {
        round += 1;
        assert!(round <= 10 * kills, "too few kills hit a build: {hits}");
        subject.change(&mut random);
        let instant = Duration::from_micros(random.below(longest.as_micros() as u64 * 3 / 4));
        let mut running = subject.project.start(&[]);
        hits += u64::from(!running.ends_within(instant) && kill(place, &running, &mut random));
        let killed = running.built();
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
    println!("{kills} of {round} builds were hit");
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
    rounds(&place, number("COMPUTEPODS_KILLS", KILLS), |_, running, _| {
        running.signal(Signal::KILL);
        true
    });
}

#[test]
fn of_an_ordinary_users_majordomo() {
    let place = Place::ordinary();
    rounds(&place, number("COMPUTEPODS_KILLS", KILLS) / 3, |_, running, _| {
        running.signal(Signal::KILL);
        true
    });
}

#[test]
fn of_a_step_or_the_zygote() {
    let place = Place::new();
    rounds(&place, number("COMPUTEPODS_KILLS", KILLS), |place, running, random| {
        let majordomo = running.pid().as_raw_nonzero().get();
        let mut victims = left::pids(place.path());
        victims.retain(|pid| *pid != majordomo);
        if victims.is_empty() {
            return false;
        }
        let victim = victims[random.below(victims.len() as u64) as usize];
        // It may have ended meanwhile.
        Pid::from_raw(victim).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
    });
}

#[test]
fn of_the_first_build_in_a_new_home() {
    let mut random = Random(number("COMPUTEPODS_SEED", 1));
    let place = Place::new();
    let subject = Subject::new(&place);
    let longest = subject.project.build(&[]).ok().ended.took;
    for _ in 0..number("COMPUTEPODS_KILLS", KILLS) / 2 {
        std::fs::remove_dir_all(place.home()).unwrap();
        subject.project.remove(".majordomo");
        ["parts", "more", "big", "whole"]
            .iter()
            .filter(|out| subject.project.has(out))
            .for_each(|out| subject.project.remove(out));
        // Most of what is made but once is made early.
        let instant = random.below(longest.as_micros() as u64) * random.below(1000) / 1000;
        let mut running = subject.project.start(&[]);
        if !running.ends_within(Duration::from_micros(instant)) {
            running.signal(Signal::KILL);
        }
        running.built();
        left::assert_nothing(place.path());
        subject.project.build(&[]).ok();
        subject.assert_right();
    }
}
