//! Circles of steps without TeX: any number of steps, any order, what settles and what never does.

use crate::common::{Built, Place, Project};

/// Each step passes on the words of its source and those that come round, a step older, until they are three steps old. So there
/// is one state that settles, whatever they start from.
fn ring(names: &[&str], declares: impl Fn(usize) -> bool) -> String {
    let step = |at: usize| {
        let (own, before) = (names[at], names[(at + names.len() - 1) % names.len()]);
        let out = if declares(at) { format!("out = 'made/{own}'\n") } else { String::new() };
        format!(
            "[step.{own}]\n{out}run = '''\nmkdir -p made\n{{ sed \"s/$/ 0/\" {own}.txt; if [ -e made/{before} ]; then\n\
             sed -n \"s/ 2\\$/ 3/p; s/ 1\\$/ 2/p; s/ 0\\$/ 1/p\" made/{before}; fi; }} | sort -u > made/{own}\n'''\n"
        )
    };
    (0..names.len()).map(step).collect()
}

/// What each step of the ring must have made.
#[track_caller]
fn is_right(project: &Project<'_>, names: &[&str], built: &Built) {
    for (at, name) in names.iter().enumerate() {
        let mut words: Vec<String> = Vec::new();
        for age in 0..4 {
            let from = names[(at + names.len() * 4 - age) % names.len()];
            let source = project.read(format!("{from}.txt"));
            words.extend(source.lines().map(|word| format!("{word} {age}")));
        }
        words.sort();
        words.dedup();
        let made = project.read(format!("made/{name}"));
        assert_eq!(made.lines().collect::<Vec<_>>(), words, "`{name}` of {names:?}\n{}", built.said());
    }
}

#[test]
fn who_stands_outside_of_a_circle_runs_once_when_it_has_settled() {
    let place = Place::new();
    let tail = "if [ -e made/far ]; then cat made/far; fi | sort -u > made/far2; cp made/far2 made/far3";
    let file = ring(&["hub", "near"], |_| true)
        + &format!("[step.user]\nout = ['made/far2', 'made/far3']\nrun = '{tail}'\n")
        + "[step.far]\nout = 'made/far'\nrun = 'cat made/hub made/near | sort -u > made/far'\n";
    let project = place.project("p", &file);
    project.write("hub.txt", "of-hub\n");
    project.write("near.txt", "of-near\n");
    is_right(&project, &["hub", "near"], &project.build(&[]).ok());
    assert_eq!(
        project.read("made/far3"),
        "of-hub 0\nof-hub 1\nof-hub 2\nof-hub 3\nof-near 0\nof-near 1\nof-near 2\nof-near 3\n"
    );
    project.builds(&[]);
    // Who stands outside of the circle runs when it has settled, and once.
    project.write("hub.txt", "other\n");
    let edited = project.build(&[]).ok();
    assert_eq!((edited.passes("far"), edited.passes("user")), (1, 1), "{}", edited.said());
    assert!(project.read("made/far3").starts_with("of-near 0\n"));
}
