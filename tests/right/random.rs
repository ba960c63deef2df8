//! T19. Random projects against a naive oracle: after every random edit the outputs are those of a clean build, and no step
//! has run whose observations had not changed.
//!
//! The oracle (`world/model.rs`) says what a clean build makes and what each step sees, in Rust; at the end of each project a real
//! clean build has to agree with it. `COMPUTEPODS_PROJECTS` says how many projects, `COMPUTEPODS_EDITS` how many edits of each,
//! `COMPUTEPODS_SEED` where the random numbers start. What fails prints its seed and all that was done.

use std::collections::BTreeSet;

use crate::chance::{Random, number};
use crate::common::{Built, Place, Project};

use crate::world::model::Model;
use crate::world::{Entry, Files, Order, Step, World};

/// How many sources and outputs the projects have, by their seeds in turn.
const SIZES: [usize; 4] = [20, 60, 120, 300];

/// A project under test, and all that is known of it.
struct Subject<'p> {
    project: Project<'p>,
    order: Order,
    random: Random,
    world: World,
    model: Model,
    /// What steps saw in builds before: none of it may run again.
    seen: BTreeSet<String>,
    history: String,
}

impl<'p> Subject<'p> {
    fn new(place: &'p Place, order: Order, seed: u64, files: usize) -> Self {
        let mut random = Random(seed);
        let world = World::new(&mut random, files);
        let project = place.project(&format!("p{seed}"), "");
        world.write(project.path(), &Files::new(), order, &mut random);
        let model = Model::of(&world);
        let history = format!("COMPUTEPODS_SEED={seed}, {files} files, order: {order:?}\n");
        Self { project, order, random, world, model, seen: BTreeSet::new(), history }
    }

    /// Does something, builds, and looks.
    fn edit(&mut self) {
        let before = self.world.sources.clone();
        let edit = self.world.edit(&mut self.random, &self.model.outputs);
        assert!(self.world.is_sound());
        self.history.push_str(&format!("{}\n", edit.said));
        for path in edit.deleted {
            if self.project.has(&path) {
                self.project.remove(&path);
            }
        }
        self.world.write(self.project.path(), &before, self.order, &mut self.random);
        self.model = Model::of(&self.world);
        if self.random.one_in(5) {
            self.build_one();
        }
        self.build();
        if self.random.one_in(3) {
            self.nothing_is_left_to_do();
        }
    }

    /// Builds one output alone.
    fn build_one(&mut self) {
        let outputs: Vec<_> = self.model.outputs.keys().cloned().collect();
        let Some(target) = (!outputs.is_empty()).then(|| self.random.pick(&outputs).clone()) else { return };
        self.history.push_str(&format!("(builds {target})\n"));
        let built = self.project.build(&[&target]);
        self.check(&built);
        let Entry::File { text, .. } = &self.model.outputs[&target] else { return };
        assert_eq!(&self.project.read(&target), text, "{target}\n{}", self.history);
        // What ran has been seen; the others have not.
        for step in built.ran() {
            self.seen.insert(self.model.steps[step].seen.clone());
        }
    }

    #[track_caller]
    fn build(&mut self) -> Built {
        let built = self.project.build(&[]);
        self.check(&built);
        self.assert_outputs(&self.project);
        self.seen.extend(self.model.steps.values().map(|step| step.seen.clone()));
        self.history.push_str(&format!("(ran {:?})\n", built.ran()));
        built
    }

    /// It succeeded, and no step has run that saw nothing new.
    #[track_caller]
    fn check(&self, built: &Built) {
        assert_eq!(built.ended.code, Some(0), "{}\n{}", self.history, built.ended.shown());
        for step in built.ran() {
            let seen = &self.model.steps[step].seen;
            assert!(
                !self.seen.contains(seen),
                "`{step}` ran ({}) although it sees what it saw before:\n{seen}\n{}\n{}",
                built.reason(step),
                self.history,
                built.ended.shown()
            );
        }
    }

    #[track_caller]
    fn assert_outputs(&self, project: &Project<'_>) {
        let mut expected: BTreeSet<String> = self.model.outputs.keys().cloned().collect();
        expected.extend(self.world.sources.keys().cloned());
        expected.insert("majordomo.toml".to_owned());
        let found: BTreeSet<String> = project.files("").into_iter().collect();
        let difference: Vec<_> = expected.symmetric_difference(&found).collect();
        assert!(difference.is_empty(), "not there, or too many: {difference:?}\n{}", self.history);
        for (path, entry) in &self.model.outputs {
            let Entry::File { text, .. } = entry else { continue };
            let made = project.read(path);
            if made != *text {
                let maker = self.world.steps.iter().find(|step| step.target() == *path);
                let maker =
                    maker.map_or_else(String::new, |step| format!("{}: {}", step.name, step.script()));
                panic!("`{path}` is\n{made}\nand should be\n{text}\nmade by {maker}\n{}", self.history);
            }
        }
    }

    /// The steps that ran, why, and what they are.
    fn shown(&self, built: &Built) -> String {
        let ran = self.world.steps.iter().filter(|step| built.ran().contains(&step.name.as_str()));
        let shown = |step: &Step| format!("{}: {}\n{}", step.name, built.reason(&step.name), step.script());
        ran.map(shown).collect()
    }

    #[track_caller]
    fn nothing_is_left_to_do(&self) {
        let again = self.project.build(&[]).ok();
        assert!(again.ran().is_empty(), "{:?} ran again\n{}", again.ran(), self.history);
    }

    /// A checkout of the sources alone.
    fn checkout(&self, place: &'p Place, name: &str) -> Project<'p> {
        let other = place.project(name, "");
        self.world.write(other.path(), &Files::new(), self.order, &mut Random(0));
        other
    }
}

fn rounds(order: Order) {
    let (first, projects) = (number("COMPUTEPODS_SEED", 1), number("COMPUTEPODS_PROJECTS", 4));
    for round in 0..projects {
        let begun = std::time::Instant::now();
        let place = Place::new();
        let seed = first + round;
        let files = SIZES[(seed as usize + SIZES.len() - 1) % SIZES.len()];
        let mut subject = Subject::new(&place, order, seed, files);
        let all = subject.build();
        assert_eq!(all.ran().len(), subject.model.steps.len(), "{}", subject.history);
        for _ in 0..number("COMPUTEPODS_EDITS", 25) {
            subject.edit();
        }
        // A folder elsewhere, with the same home: nothing runs.
        let elsewhere = subject.checkout(&place, "elsewhere");
        let built = elsewhere.build(&[]).ok();
        assert!(built.ran().is_empty(), "ran elsewhere: {}\n{}", subject.shown(&built), subject.history);
        subject.assert_outputs(&elsewhere);
        // A clean build in a new home: the oracle is right.
        let clean = Place::new();
        let cleanly = subject.checkout(&clean, "clean");
        cleanly.build(&[]).ok();
        subject.assert_outputs(&cleanly);
        println!(
            "seed {seed}: {files} files, {} steps, {} states, {:.1} s",
            subject.model.steps.len(),
            subject.seen.len(),
            begun.elapsed().as_secs_f64()
        );
    }
}

#[test]
fn t19_random_projects_whose_order_is_declared() {
    rounds(Order::Declared);
}

#[test]
fn t19_random_projects_whose_order_is_found_out() {
    rounds(Order::Hardly);
}
