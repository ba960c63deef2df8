use std::fmt::Write;

use super::super::{Meaning, Plan};
use super::plan;

const PROJECT: &str = r#"
[step.compile]
each = "*.c"
run = "true"
out = "obj/{stem}.o"
[step.link]
run = "true"
out = ["bin/x", "bin/y"]
after = "compile"
[step.docs]
run = "true"
out = "html/"
[step.test]
run = "true"
after = "link"
"#;

fn transcript(plan: &Plan, targets: &[&str]) -> String {
    let targets: Vec<String> = targets.iter().map(|target| (*target).to_owned()).collect();
    let wanted = match plan.wanted(&targets) {
        Ok(wanted) => wanted,
        Err(error) => return format!("{error}\nhint: {}", error.hints().join("\nhint: ")),
    };
    let mut text = String::new();
    let id = |step: &usize| plan.steps[*step].id.to_string();
    for target in &wanted.targets {
        let meaning = match &target.meaning {
            Meaning::Everything => "everything".into(),
            Meaning::Steps(steps) => format!("steps {}", steps.iter().map(id).collect::<Vec<_>>().join(" ")),
            Meaning::Outputs(outputs) => outputs
                .iter()
                .map(|(path, step)| format!("{path} by {}", id(step)))
                .collect::<Vec<_>>()
                .join(", "),
            Meaning::Undeclared(path) => format!("undeclared {path}"),
        };
        writeln!(text, "{}: {meaning}", target.asked).unwrap();
    }
    writeln!(text, "needs {}", wanted.steps.iter().map(id).collect::<Vec<_>>().join(" ")).unwrap();
    text
}

#[test]
fn what_targets_mean() {
    let plan = plan(PROJECT, "a.c b.c");
    let said = |targets: &[&str]| transcript(&plan, targets);
    insta::assert_snapshot!(said(&[]), @"
    everything: everything
    needs compile:a.c compile:b.c link docs test
    ");
    insta::assert_snapshot!(said(&["bin/y", "docs"]), @"
    bin/y: bin/y by link
    docs: steps docs
    needs compile:a.c compile:b.c link docs
    ");
    insta::assert_snapshot!(said(&["compile"]), @"
    compile: steps compile:a.c compile:b.c
    needs compile:a.c compile:b.c
    ");
    insta::assert_snapshot!(said(&["compile:b.c"]), @"
    compile:b.c: steps compile:b.c
    needs compile:b.c
    ");
    insta::assert_snapshot!(said(&["./obj/a.o", "html/index.html", "html/"]), @"
    ./obj/a.o: obj/a.o by compile:a.c
    html/index.html: html/index.html by docs
    html/: html by docs
    needs compile:a.c docs
    ");
    insta::assert_snapshot!(said(&["obj/*.o", "bin"]), @"
    obj/*.o: obj/a.o by compile:a.c, obj/b.o by compile:b.c
    bin: bin/x by link, bin/y by link
    needs compile:a.c compile:b.c link
    ");
    insta::assert_snapshot!(said(&["hello", "./link"]), @"
    hello: undeclared hello
    ./link: undeclared link
    needs
    ");
    insta::assert_snapshot!(said(&["compile:c.c"]), @"
    there is no step `compile:c.c`
    hint: did you mean `compile:a.c`?
    ");
    insta::assert_snapshot!(said(&["obj/*.obj"]), @"
    target `obj/*.obj` matches no declared output
    hint: did you mean `obj/a.o`?
    ");
    insta::assert_snapshot!(said(&["obj/[*"]), @"
    target `obj/[*` is no pattern: a `[` has no matching `]`, or a range in it is backwards
    hint: quote a pattern for your shell: `'obj/*.o'`
    ");
    insta::assert_snapshot!(said(&["/etc/passwd"]), @"
    target `/etc/passwd` is absolute, and targets are inside the project
    hint: name it from the project's folder; `-p FOLDER` names another project
    ");
    insta::assert_snapshot!(said(&["../x"]), @"
    target `../x` has an empty, `.` or `..` part, and targets are inside the project
    hint: name it from the project's folder; `-p FOLDER` names another project
    ");
    assert_eq!(plan.nearest("dosc"), Some("docs".to_owned()));
}

#[test]
fn the_project_says_what_a_bare_build_wants() {
    let plan = plan(&format!("[project]\ntargets = ['docs']\n{PROJECT}"), "a.c");
    insta::assert_snapshot!(transcript(&plan, &[]), @"
    docs: steps docs
    needs docs
    ");
}

#[test]
fn an_alias_stands_for_its_targets() {
    let plan = plan(
        &format!("{PROJECT}[alias]\nmost = ['bin/x', 'docs']\ntest = 'docs'\nbad = 'nothing*'\n"),
        "a.c",
    );
    insta::assert_snapshot!(transcript(&plan, &["most"]), @r"
    bin/x: bin/x by link
    docs: steps docs
    needs compile:a.c link docs
    ");
    // A step's name is the step.
    assert_eq!(transcript(&plan, &["test"]), transcript(&self::plan(PROJECT, "a.c"), &["test"]));
    assert!(transcript(&plan, &["bad"]).contains("`nothing*`"));
}
