//! What holds for every plan.

use std::time::Instant;

use proptest::prelude::*;
use protocol::RelPath;

use super::super::Plan;
use super::{file, show};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn plans_are_orders_and_repeat(
        rules in proptest::collection::vec((0u8..4, proptest::sample::select(vec!["*.a", "*.b", "d/**", "**/*.c"]), 0u8..3), 1..6),
        names in proptest::collection::btree_set("(d/)?[xyz]\\.[abc]", 1..8),
    ) {
        let mut text = String::new();
        for (index, (kind, pattern, out)) in rules.iter().enumerate() {
            text += &format!("[step.s{index}]\nrun = 'true'\n");
            let stem = if kind % 2 == 0 {
                text += &format!("each = '{pattern}'\n");
                "{stem}"
            } else {
                text += &format!("in = '{pattern}'\n");
                "all"
            };
            text += &format!("out = 'o{index}/{stem}.{}'\n", ["a", "b", "c"][usize::from(*out)]);
        }
        let names: Vec<RelPath> = names.iter().map(|name| name.parse().unwrap()).collect();
        let caller = |_: &str| None;
        let Ok(plan) = Plan::new(&file(&text), &names, &caller) else { return Ok(()) };
        let again = Plan::new(&file(&text), &names, &caller).unwrap();
        prop_assert_eq!(show(&plan), show(&again));
        let order = plan.one_by_one();
        for (index, step) in plan.steps.iter().enumerate() {
            prop_assert!(step.after.is_sorted_by(|a, b| a < b));
            let place = |step: usize| order.iter().position(|&other| other == step);
            for &before in step.after.iter() {
                prop_assert!(place(before) < place(index));
            }
            for path in step.declared_inputs() {
                match plan.producer(path) {
                    Some(maker) => prop_assert!(step.after.contains(&maker)),
                    None => prop_assert!(names.binary_search(path).is_ok()),
                }
            }
            prop_assert_eq!(plan.step(&step.id), Some(index));
        }
        prop_assert_eq!(plan.wanted(&[]).unwrap().steps.len(), plan.steps.len());
    }
}

/// A guard against a wrong growth, not a benchmark: 5 000 steps over 100 000 names take some 50 ms unoptimised.
#[test]
fn many_names_and_steps_are_quick() {
    let mut names: Vec<RelPath> = (0..100_000u32)
        .map(|n| match n % 20 {
            0 => format!("src/m{}/f{n}.c", n % 97),
            _ => format!("data/d{}/f{n}.bin", n % 311),
        })
        .map(|name| name.parse().unwrap())
        .collect();
    names.sort();
    let file = file(
        "[step.compile]\neach = 'src/**/*.c'\nin = '{dir}/{stem}.c'\nrun = 'cc -c {in} -o {out}'\nout = 'obj/{dir}/{stem}.o'\n\
         [step.strip]\neach = 'obj/**'\nrun = 'strip {in} -o {out}'\nout = 'bin/{stem}.o'\n\
         [step.link]\nrun = 'ld bin/*.o'\nafter = 'strip'\nout = 'x'\n\
         [step.test]\neach = 'data/d1/*'\nrun = 'x {in}'\nafter = 'strip'",
    );
    let started = Instant::now();
    let plan = Plan::new(&file, &names, &|_| None).unwrap();
    let elapsed = started.elapsed();
    eprintln!("{} steps over {} names: {elapsed:?}", plan.steps.len(), names.len());
    assert!(plan.steps.len() > 10_000);
    assert!(elapsed.as_secs() < 5, "{elapsed:?}");
}
