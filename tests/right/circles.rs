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

fn ring_project<'p>(place: &'p Place, names: &[&str], declares: impl Fn(usize) -> bool) -> Project<'p> {
    let project = place.project("p", &ring(names, declares));
    names.iter().for_each(|name| project.write(format!("{name}.txt"), format!("of-{name}\n")));
    project
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
fn rings_of_any_size_in_any_order() {
    let rings: [&[&str]; 5] =
        [&["a", "b"], &["b", "a"], &["a", "b", "c", "d"], &["d", "b", "c", "a"], &["c", "a", "e", "b", "d"]];
    for (number, names) in rings.into_iter().enumerate() {
        // All declared, none, every other one.
        for declared in 0..3 {
            let place = Place::new();
            let project = ring_project(&place, names, |at| [true, false, at % 2 == 0][declared]);
            let first = project.build(&[]).ok();
            is_right(&project, names, &first);
            project.builds(&[]);
            let edited = names[number % names.len()];
            project.write(format!("{edited}.txt"), "new\nand-more\n");
            is_right(&project, names, &project.build(&[]).ok());
            project.builds(&[]);
        }
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

/// `turn` writes the opposite of what `echo` repeats.
const OPPOSITES: &str = "
[step.turn]
out = 'turned'
run = 'if [ -e repeated ] && grep -q yes repeated; then echo no; else echo yes; fi > turned'
[step.echo]
out = 'repeated'
run = 'if [ -e turned ]; then cat turned; fi > repeated'
";

#[test]
fn steps_that_contradict_each_other_are_named_in_each_build() {
    let place = Place::new();
    let project = place.project("p", OPPOSITES);
    let first = project.build(&[]).failed();
    let why = |built: &Built| {
        built.ended_as("failed").iter().map(|step| built.failure(step).to_owned()).collect::<String>()
    };
    let words = why(&first);
    assert!(words.contains("oscillate") && words.contains("period is 2"), "{}", first.said());
    assert!(words.contains("`turned`") && words.contains("`repeated`"), "{}", first.said());
    // What alternates, to be read.
    assert!(first.said().contains("yes") && first.said().contains("no"), "{}", first.said());
    // That the circle fails is one more start of who had come to a good end.
    assert!(words.contains("after pass 3") && first.passes("turn") <= 4, "{}", first.said());
    assert!(!project.has("turned") && !project.has("repeated"), "nothing of it is handed over");

    let again = project.build(&[]).failed();
    assert_eq!(again.ran(), Vec::<&str>::new(), "the passes are known");
    assert_eq!(why(&again), words);
    // What is outside of the circle is made if that is asked for.
    project.append("majordomo.toml", "[step.other]\nout = 'other'\nrun = 'echo other > other'\n");
    let other = project.build(&["other"]).ok();
    assert_eq!(other.ran(), ["other"]);
    project.replace("majordomo.toml", "echo no;", "echo yes;");
    project.build(&[]).ok();
    assert_eq!((project.read("turned"), project.read("repeated")), ("yes\n".into(), "yes\n".into()));
}

/// Each time round adds a line.
const GROWING: &str = "
[step.grow]
out = 'grown'
MAX
run = '{ if [ -e copied ]; then cat copied; fi; echo more; } > grown'
[step.copy]
out = 'copied'
run = 'if [ -e grown ]; then cat grown; fi > copied'
";

#[test]
fn what_never_settles_is_ended_and_says_what_still_changes() {
    for (limit, key) in [(8, ""), (3, "max_passes = 3")] {
        let place = Place::new();
        let project = place.project("p", &GROWING.replace("MAX", key));
        let first = project.build(&[]).failed();
        assert!((limit - 1..=limit + 1).contains(&first.passes("grow")), "{limit}: {}", first.said());
        let words = first.failure(first.ended_as("failed")[0]).to_owned();
        assert!(words.contains(&format!("did not settle in {limit} passes")), "{words}");
        // By how much: each pass makes them a line longer.
        let sizes = |path: &str| {
            let (_, words) =
                words.split_once(&format!("`{path}` (")).unwrap_or_else(|| panic!("{path}: {words}"));
            let numbers = words.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
            numbers.take(2).map(|number| number.parse().unwrap()).collect::<Vec<usize>>()
        };
        for path in ["grown", "copied"] {
            let sizes = sizes(path);
            assert_eq!(sizes[1] - sizes[0], "more\n".len(), "{words}");
        }
        assert!(!project.has("grown"));
        let again = project.build(&[]).failed();
        assert_eq!(again.ran(), Vec::<&str>::new());
        project.replace("majordomo.toml", "echo more;", "");
        project.replace("majordomo.toml", "if [ -e copied ]", ":; if [ -e copied ]");
        project.build(&[]).ok();
        assert_eq!(project.read("grown"), "");
    }
}

#[test]
fn who_failed_beside_a_circle_sees_what_it_settled_at_before() {
    let place = Place::new();
    let file = ring(&["hub", "near"], |_| false) + "[step.user]\nrun = 'cat made/near extra > made/user'\n";
    let project = place.project("p", &file);
    project.write("hub.txt", "of-hub\n");
    project.write("near.txt", "of-near\n");
    let first = project.build(&[]).failed();
    assert_eq!(first.ended_as("failed"), ["user"]);
    // The circle comes to what it had come to; the step that has never come to an end does not know that it is there.
    project.write("extra", "and-more\n");
    let second = project.build(&[]).ok();
    is_right(&project, &["hub", "near"], &second);
    assert_eq!(second.ran(), ["user"], "{}", second.said());
    assert!(project.read("made/user").ends_with("and-more\n"));
    project.builds(&[]);
}
