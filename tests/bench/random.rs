//! Edits of a random project (those of the acceptance test T19), against a clean rebuild after each of them.

use std::fs;

use crate::Stage;
use crate::chance::Random;
use crate::measure::run;
use crate::row::{Goal, Row};
use crate::world::model::Model;
use crate::world::{Files, Order, World};

/// Sources and outputs of the project.
const FILES: usize = 300;

/// The random numbers begin here: always the same project and edits.
const SEED: u64 = 4;

/// The row.
pub fn row(stage: &Stage) -> Row {
    let mut random = Random(SEED);
    let world = World::new(&mut random, FILES);
    let (ours, home) = (stage.fresh("random", 0), stage.fresh("random-home", 0));
    world.write(&ours, &Files::new(), Order::Hardly, &mut random);
    stage.give(&ours);
    stage.give(&home);
    run(&mut stage.majordomo(&ours, &home, &["-j2"]));
    let state = std::cell::RefCell::new((random, world, 0));
    // Both sides of a pair build the same state: whoever comes first makes the edit.
    let edit = |n: usize| {
        let (random, world, edits) = &mut *state.borrow_mut();
        if n < *edits {
            return;
        }
        *edits = n + 1;
        let before = world.sources.clone();
        for path in world.edit(random, &Model::of(world).outputs).deleted {
            fs::remove_file(ours.join(path)).ok();
        }
        world.write(&ours, &before, Order::Hardly, random);
        stage.give(&ours);
    };
    let cold = |n: usize| {
        edit(n);
        let (folder, home) = (stage.fresh("random-clean", n), stage.fresh("random-clean-home", n));
        state.borrow().1.write(&folder, &Files::new(), Order::Hardly, &mut Random(0));
        stage.give(&folder);
        stage.give(&home);
        let cost = run(&mut stage.majordomo(&folder, &home, &["-j2"]));
        fs::remove_dir_all(folder).expect("the clean build goes");
        fs::remove_dir_all(home).expect("its home goes");
        cost
    };
    let warm = |n: usize| {
        edit(n);
        run(&mut stage.majordomo(&ours, &home, &["-j2"]))
    };
    let goal = Goal { wall: 1.0, cpu: None };
    let runs = stage.runs * 4;
    Row::measure(
        "a random edit of a project of 300 files, order found out",
        "clean rebuild",
        goal,
        runs,
        cold,
        warm,
    )
}
