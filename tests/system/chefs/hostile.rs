//! Chefs that plan what no project file may say, or more than any project needs: each is refused by the chef's name and the
//! step's, with code 2, and no step of theirs runs.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::{asks, chef, saying};
use crate::common::{Built, Place, Project};

/// A chef in Python, for answers that no text of a test should hold.
fn python(project: &Project<'_>, lines: &str) {
    let program = format!("#!/usr/bin/env python3\nimport json, sys\n{lines}\n");
    chef(project, "c", &program);
    asks(project, &["c"]);
}

/// A chef that plans these steps.
fn plans(project: &Project<'_>, steps: &Value) -> Built {
    let answer =
        json!({ "protocol": 1, "answer": "detect", "sure": 1, "plan": { "file": { "step": steps } } });
    chef(project, "c", &saying(&answer.to_string()));
    asks(project, &["c"]);
    project.build(&[])
}

/// Asserts that a plan was refused by name, and that nothing of it ran.
#[track_caller]
fn refused(built: Built, step: &str, words: &str) {
    let built = built.code(2);
    let said = built.said();
    assert!(said.contains("the plan of the chef `c`"), "{said}");
    assert!(said.contains(step), "no `{step}`: {said}");
    assert!(said.contains(words), "no `{words}`: {said}");
    assert!(said.contains("a `majordomo.toml` with steps builds the project without"), "no way out: {said}");
    assert!(said.len() < 8 << 10, "{} bytes are said", said.len());
    assert_eq!(built.ran_without_chefs(), [] as [&str; 0]);
}

#[test]
fn each_rule_of_project_files_holds_for_a_plan() {
    let place = Place::new();
    let project = place.bare("p");
    project.write("source/a.c", "int a;\n");
    symlink("/etc", project.at("away")).unwrap();
    symlink("source", project.at("inside")).unwrap();
    let run = |more: Value| {
        let mut step = json!({ "run": "touch never" });
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "guilty": step, "innocent": { "run": "touch other", "out": "other" } })
    };
    let with = [
        (json!({ "runs": "x" }), "unknown key `runs`"),
        (json!({ "run": 7 }), "`run` takes a string"),
        (json!({ "run": "" }), "`run` is empty"),
        (json!({ "run": [] }), "`run` is empty"),
        (json!({ "run": ["touch x", "y"] }), "one command whose program would be `touch x`"),
        (json!({ "run": "a\u{0}b" }), "a NUL character"),
        (json!({ "out": "../x" }), "`../x` has an empty, `.` or `..` part"),
        (json!({ "out": "a/../../x" }), "has an empty, `.` or `..` part"),
        (json!({ "out": "/tmp/x" }), "`/tmp/x` is absolute"),
        (json!({ "out": "./" }), "the project's own folder"),
        (json!({ "out": ".git/hooks/x" }), "no step may write `.git`"),
        (json!({ "out": ".majordomo/x" }), "no step may write `.majordomo`"),
        (json!({ "out": "majordomo.toml" }), "no step may write `majordomo.toml`"),
        (json!({ "out": "source/a.c" }), "a step never changes a source"),
        (json!({ "out": "source/a.c/x" }), "a step never changes a source"),
        (json!({ "out": "away/cron.d/x" }), "a step never changes a source"),
        (json!({ "out": "inside/x" }), "a step never changes a source"),
        (json!({ "out": "*.o" }), "`out` takes paths"),
        (json!({ "out": "a\\b" }), "a lone backslash"),
        (json!({ "out": "{stem}.o" }), "the step has no `each`"),
        (json!({ "out": "x{y}" }), "is no placeholder"),
        (json!({ "out": "other" }), "other"),
        (json!({ "scratch": "../x" }), "`scratch` names something inside the project"),
        (json!({ "cwd": "/etc" }), "`/etc` is absolute"),
        (json!({ "cwd": "../.." }), "has an empty, `.` or `..` part"),
        (json!({ "in": "../*" }), "patterns stay inside the project"),
        (json!({ "in": "nothing/*" }), "matches no source"),
        (json!({ "each": "/etc/*" }), "it is absolute"),
        (json!({ "anew": "[a" }), "is no pattern"),
        (json!({ "keep": "../*" }), "is no pattern"),
        (json!({ "run": "cc {in}" }), "the step has neither `each` nor `in`"),
        (json!({ "after": "nobody" }), "there is no such step"),
        (json!({ "after": "guilty" }), "cannot be after itself"),
        (json!({ "env": { "A=B": "x" } }), "is no name for an environment variable"),
        (json!({ "timeout": "for ever" }), "is no time-out"),
        (json!({ "max_passes": 100_000 }), "from 1 to 1000"),
        (json!({ "pool": "none" }), "`[pools]` has none"),
        (json!({ "image": "--privileged" }), "is no name of an image"),
        (json!({ "project": { "*": "magic" } }), "magic"),
        (json!({ "normalise": "magic" }), "magic"),
        (json!({ "limits": { "memory": "all" } }), "a size such as"),
        (json!({ "secrets": ["HOME"] }), "only a project's own file may do"),
    ];
    for (more, words) in with {
        println!("{more}");
        refused(plans(&project, &run(more)), "guilty", words);
    }
    for (name, words) in
        [("a b", "is no name for a step"), ("../x", "is no name for a step"), ("", "is no name")]
    {
        refused(plans(&project, &json!({ name: { "run": "true" } })), name, words);
    }
    refused(plans(&project, &json!({ "chef": { "run": "true" } })), "chef", "the steps that ask chefs");
    assert!(!project.has("never") && !project.has("other"));
    // What the rules allow is built, in a project whose links lead out of it.
    plans(&project, &run(json!({ "out": "never" }))).ok();
    assert!(project.has("never") && project.has("other"));
    place.assert_nothing_left();
}

#[test]
fn circles_and_clashes_of_a_plan_are_refused_with_the_names_of_all() {
    let place = Place::new();
    let project = place.bare("p");
    let circle = json!({
        "one": { "run": "true", "after": "two" },
        "two": { "run": "true", "after": "three" },
        "three": { "run": "true", "after": "one" },
    });
    refused(plans(&project, &circle), "one", "steps wait for each other");
    let by_inputs = json!({
        "one": { "run": "true", "in": "b", "out": "a" },
        "two": { "run": "true", "in": "a", "out": "b" },
    });
    refused(plans(&project, &by_inputs), "two", "steps wait for each other");
    let same = json!({
        "one": { "run": "true", "out": "same" },
        "two": { "run": "true", "out": "same" },
    });
    refused(plans(&project, &same), "`one` and `two`", "same");
    let within = json!({
        "one": { "run": "true", "out": "same" },
        "two": { "run": "true", "out": "same/x" },
    });
    refused(plans(&project, &within), "`one` and `two`", "same");
    place.assert_nothing_left();
}

#[test]
fn a_plan_that_is_too_large_is_refused_within_bounds() {
    let place = Place::new();
    let project = place.bare("p");
    let plan = |steps: &str| {
        let lines = format!(
            "{steps}\nplan = {{'file': {{'step': steps}}}}\nprint(json.dumps({{'protocol': 1, 'answer': 'detect', 'sure': 1, 'plan': plan}}))"
        );
        python(&project, &lines);
        project.build(&[])
    };
    let million = "steps = {'s%d' % n: {'run': 'true'} for n in range(1000000)}";
    refused(plan(million), "", "it has 1000000 steps, and 131072 is the most");
    refused(plan("steps = {'s' * 100000: {'run': 'true'}}"), "ssss", "is no name for a step");
    refused(plan("steps = {'guilty': {'run': 'x' * (50 << 20)}}"), "guilty", "the system takes at most");
    refused(plan("steps = {'guilty': {'run': 'true', 'k' * (1 << 20): 1}}"), "guilty", "unknown key");
    refused(plan("steps = {'guilty': {'run': 'true', 'after': 'x' * (1 << 20)}}"), "guilty", "no such step");
    refused(
        plan("steps = {'guilty': {'run': 'true', 'out': 'x/' * (1 << 20) + 'x'}}"),
        "guilty",
        "longer than a path can be",
    );
    let deep =
        plan("steps = {'guilty': {'run': 'true'}}\nfor n in range(400): steps = {'deep': steps}").code(2);
    assert!(deep.said().contains("the chef `c` could not be asked: "), "{}", deep.said());
    place.assert_nothing_left();
}

#[test]
fn what_a_chef_says_besides_is_shown_in_bounds() {
    let place = Place::new();
    let project = place.bare("p");
    python(
        &project,
        "sys.stderr.write('a line\\n' * (1 << 20))\n\
         plan = {'file': {'step': {'s': {'run': 'touch made', 'out': 'made'}}}, 'notes': ['\\x1b[2J' + 'n' * (1 << 14)] * 1000}\n\
         print(json.dumps({'protocol': 1, 'answer': 'detect', 'sure': 1, 'found': 'f' * (8 << 20), 'plan': plan}))",
    );
    let built = project.build(&[]).ok();
    let notes: Vec<&str> = built.notes().into_iter().filter(|note| note.starts_with("c: ")).collect();
    assert_eq!(notes.len(), 17, "{}", notes.len());
    assert!(notes.iter().all(|note| note.len() <= 1100 && !note.contains('\x1b')));
    assert_eq!(notes[16], "c: and 984 notes more");
    let lines = built.output("chef:c");
    assert!((9000..10_000).contains(&lines.len()), "{}", lines.len());
    assert_eq!(lines.last(), Some(&"… and more, which is not shown"));
    assert!(project.has("made"));
    place.assert_nothing_left();
}

/// A plan of one step, in Python.
const SAYS: &str = "plan = {'file': {'step': {'s': {'run': 'touch made', 'out': 'made'}}}, 'notes': notes}\n\
                    print(json.dumps({'protocol': 1, 'answer': 'detect', 'sure': 1, 'plan': plan}))";

#[test]
fn a_chef_reaches_nothing_and_leaves_nothing() {
    let place = Place::new();
    let project = place.bare("p");
    let outside = place.path().join("outside");
    std::fs::write(&outside, "mine\n").unwrap();
    let paths = format!("['{}', '/usr/bin/true', '/etc/hosts', '../x', '.majordomo/x']", outside.display());
    python(
        &project,
        &format!(
            "import os, socket, subprocess\n\
             notes = []\n\
             for path in {paths}:\n\
             \x20   try: open(path, 'rb').read(); notes.append('read ' + path)\n\
             \x20   except OSError: pass\n\
             \x20   try: open(path, 'w').write('taken')\n\
             \x20   except OSError: pass\n\
             subprocess.Popen(['tail', '-f', '/dev/null'])\n\
             try: socket.create_connection(('192.0.2.1', 80), 1)\n\
             except OSError as error: notes.append(error.strerror or str(error))\n{SAYS}"
        ),
    );
    let built = project.build(&[]).ok();
    // Of the machine it sees its tools alone.
    assert_eq!(built.notes(), ["c: read /usr/bin/true", "c: read /etc/hosts", "c: Network is unreachable"]);
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "mine\n");
    assert!(!project.has(".majordomo/x") && project.has("made"));
    place.assert_nothing_left();
}

#[test]
fn what_a_chef_may_not_leave_is_said() {
    let place = Place::new();
    let project = place.bare("p");
    project.write("source", "mine\n");
    let leaves = |lines: &str, words: &str| {
        python(&project, &format!("import os\nnotes = []\n{lines}\n{SAYS}"));
        let refused = project.build(&[]).code(2);
        assert!(refused.said().contains("the chef `c` could not be asked: "), "{}", refused.said());
        assert!(refused.said().contains(words), "no `{words}`: {}", refused.said());
        assert!(!project.has("made"));
    };
    leaves("open('source', 'w').write('taken')", "`source`");
    leaves("os.remove('source')", "`source`");
    leaves("os.symlink('/etc/passwd', 'link')", "it made the link `link` to `/etc/passwd`");
    leaves("os.mkfifo('pipe')", "`pipe`");
    // An answer that is a link is none.
    let answer =
        "os.remove('.majordomo/chef/c/answer'); os.symlink('/usr/bin/true', '.majordomo/chef/c/answer')";
    leaves(answer, "nothing was said");
    assert_eq!(project.read("source"), "mine\n");
    place.assert_nothing_left();
}
