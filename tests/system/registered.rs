//! Chefs that a user registers: content in the larder, asked beside the built-in ones.

use serde_json::{Value, json};

use crate::common::{Place, Project, Running};

const PAGE: &str = include_str!("../../docs/how-to/write-a-chef.md");

/// The chef that the book shows.
pub fn of_the_book() -> &'static str {
    let after = |text: &'static str| PAGE.split_once(text).map_or("", |(_, rest)| rest);
    after("```python\n").split("```\n").next().unwrap_or_default()
}

fn notes<'p>(place: &'p Place, name: &str) -> Project<'p> {
    let project = place.bare(name);
    project.write("one.note", "# One\nfirst\n");
    project.write("two.note", "# Two\nsecond\n");
    project
}

/// A project that holds chefs, and nothing else.
fn tools(place: &Place) -> Project<'_> {
    let tools = place.bare("tools");
    tools.write("notes.py", of_the_book());
    tools.chmod("notes.py", 0o755);
    tools
}

fn chef(place: &Place, arguments: &[&str]) -> String {
    place.pod(&[&["chef"], arguments].concat()).ok().stdout
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    place.pod(&[&["chef"], arguments, &["--json"]].concat()).ok().json()
}

#[test]
fn the_chef_of_the_book_is_registered_and_builds() {
    let place = Place::new();
    let (tools, project) = (tools(&place), notes(&place, "p"));
    let said = chef(&place, &["add", tools.at("notes.py").to_str().unwrap()]);
    assert_eq!(said, "the chef `notes` is registered: version 1.0\n");
    // The larder has it. As the book says it: in the folder, with no more words.
    tools.remove("notes.py");
    let mut bare = place.command("majordomo", &["build"]);
    bare.current_dir(project.path());
    Running::start(bare).end().ok();
    assert!(project.has("site/one.html"));
    project.write("one.note", "# One\nfirst, edited\n");
    let built = project.build(&[]).ok();
    assert_eq!(built.ran(), ["index", "page:one.note"]);
    assert_eq!(project.read("site/one.html"), "<h1>One</h1>\nfirst, edited\n");
    assert_eq!(project.read("index.txt"), "site/one.html\nsite/two.html\n");
    project.builds(&[]);
    project.write("two.note", "# Two\nsekond\n");
    project.builds(&["page:two.note"]);
    project.write("two.note", "Two\n");
    let failed = project.build(&[]).failed();
    assert!(
        failed.ended.stderr.contains("no title") && failed.ended.stderr.contains("two.note:1"),
        "{}",
        failed.ended.stderr
    );
    project.write("two.note", "# Two\n");
    // A note more is another plan, and so is one that the chef asks for by name.
    project.write("three.note", "# Three\n");
    let more = project.build(&[]).ok();
    assert!(
        more.ran().contains(&"chef:notes") && more.ran().contains(&"page:three.note"),
        "{:?}",
        more.ran()
    );
    place.assert_nothing_left();
}

#[test]
fn a_chef_is_asked_where_it_recognises_something() {
    let place = Place::new();
    let tools = tools(&place);
    chef(&place, &["add", tools.at("notes.py").to_str().unwrap()]);
    let other = place.bare("other");
    other.write("Makefile", "all:\n\techo made > made\n");
    let built = other.build(&[]).ok();
    assert!(!built.ran().contains(&"chef:notes"), "{:?}", built.ran());
    // A build with nothing to do sees that there is something to recognise now.
    other.builds(&[]);
    other.write("a.note", "# A\n");
    let built = other.build(&[]).ok();
    assert!(built.ran().contains(&"chef:notes"), "{:?}", built.ran());
    assert!(other.has("site/a.html"));
}

#[test]
fn the_list_of_chefs_is_what_a_build_depends_on() {
    let place = Place::new();
    let (tools, project) = (tools(&place), notes(&place, "p"));
    let path = tools.at("notes.py").to_str().unwrap().to_owned();
    let unknown = project.build(&[]).code(2);
    assert!(!unknown.said().contains("`notes`"), "{}", unknown.said());
    chef(&place, &["add", &path]);
    project.build(&[]).ok();
    project.builds(&[]);

    // Another version takes the place of the first.
    tools.replace("notes.py", "\"1.0\"", "\"1.1\"");
    tools.replace("notes.py", "<h1>", "<h2>");
    assert_eq!(
        chef(&place, &["add", &path]),
        "the chef `notes` is registered: version 1.1, in place of version 1.0\n"
    );
    project.builds(&["chef:notes", "page:one.note", "page:two.note"]);
    assert!(project.read("site/one.html").starts_with("<h2>"));

    // Disabled it is asked no more, and says so to whoever names it.
    chef(&place, &["disable", "notes"]);
    let nobody = project.build(&[]).code(2);
    assert!(nobody.said().contains("has no project file"), "{}", nobody.said());
    project.write("majordomo.toml", "[project]\nchef = 'notes'\n");
    let disabled = project.build(&[]).code(2);
    assert!(disabled.said().contains("it is disabled: `pod chef enable notes`"), "{}", disabled.said());
    chef(&place, &["enable", "notes"]);
    // It lists the folder, which has a name more.
    project.builds(&["chef:notes"]);
    assert_eq!(chef(&place, &["remove", "notes"]), "the chef `notes` is forgotten\n");
    let gone = project.build(&[]).code(2);
    assert!(gone.said().contains("there is no such chef: the built-in ones are"), "{}", gone.said());
}

#[test]
fn chefs_are_shown() {
    let place = Place::new();
    let tools = tools(&place);
    chef(&place, &["add", tools.at("notes.py").to_str().unwrap()]);
    chef(&place, &["disable", "make"]);
    let list = json(&place, &["list"]);
    let chefs = list["chefs"].as_array().unwrap();
    let find = |name: &str| chefs.iter().find(|chef| chef["name"] == name).unwrap();
    assert_eq!((&find("make")["built_in"], &find("make")["enabled"]), (&json!(true), &json!(false)));
    assert_eq!((&find("notes")["built_in"], &find("notes")["enabled"]), (&json!(false), &json!(true)));
    let notes = json(&place, &["show", "notes"]);
    let notes = &notes["chefs"][0];
    assert_eq!(notes["recognises"], json!(["*.note"]));
    assert!(notes["tree"].as_str().unwrap().starts_with("b3:"));
    let shown = chef(&place, &["show", "notes"]);
    assert!(shown.starts_with("notes 1.0\n  protocol    1\n  content     b3:"), "{shown}");
    let listed = chef(&place, &["list"]);
    assert!(listed.contains("make") && listed.contains("disabled"), "{listed}");
}

#[test]
fn what_is_no_chef_is_not_registered() {
    let place = Place::new();
    let tools = tools(&place);
    let refused = |path: &str| place.pod(&["chef", "add", tools.at(path).to_str().unwrap()]).code(2).stderr;
    assert!(refused("nowhere").contains("is no chef that can be used"));
    tools.write("silent.sh", "#!/bin/sh\n");
    assert!(refused("silent.sh").contains("it says nothing of itself"));
    tools.chmod("notes.py", 0o644);
    assert!(refused("notes.py").contains("is no program: make it executable"));
    tools.chmod("notes.py", 0o755);
    tools.replace("notes.py", "name = \"notes\"", "name = \"make\"");
    assert!(refused("notes.py").contains("a built-in chef is called `make`, too"));
    tools.replace("notes.py", "protocol = 1", "protocol = 2");
    assert!(refused("notes.py").contains("version 2 of the chefs' protocol"));
    let unknown = place.pod(&["chef", "show", "mak"]).code(2).stderr;
    assert!(
        unknown.contains("there is no chef `mak`") && unknown.contains("the nearest is `make`"),
        "{unknown}"
    );
    let built_in = place.pod(&["chef", "remove", "make"]).code(2).stderr;
    assert!(built_in.contains("the chef `make` is built in"), "{built_in}");
}

#[test]
fn a_chef_that_wants_what_is_not_there_is_not_asked() {
    let place = Place::new();
    let (tools, project) = (tools(&place), notes(&place, "p"));
    tools.replace("notes.py", "\"sed\"", "\"no-such-tool\"");
    let said = chef(&place, &["add", tools.at("notes.py").to_str().unwrap()]);
    assert!(said.contains("it wants `no-such-tool`, which is not on this machine"), "{said}");
    let refused = project.build(&[]).code(2);
    let words = "the chef `notes` could not be asked: it wants `no-such-tool`";
    assert!(refused.said().contains(words), "{}", refused.said());
}

#[test]
fn a_chef_answers_its_own_examples() {
    let place = Place::new();
    let tools = place.bare("tools");
    let about =
        "name = 'notes'\nversion = '1.0'\nprotocol = 1\nprogram = 'notes.py'\n[defaults]\ntimeout = 60\n";
    tools.write("notes/chef.toml", about);
    tools.write("notes/notes.py", of_the_book());
    tools.chmod("notes/notes.py", 0o755);
    tools.write("notes/examples/nothing/request.json", r#"{"protocol":1,"request":"detect"}"#);
    tools.write("notes/examples/nothing/answer.json", r#"{"protocol":1,"answer":"detect","sure":0}"#);
    tools.write(
        "notes/examples/title/request.json",
        r#"{"protocol":1,"request":"explain","step":"page:a.note","exit":1,"output":"a.note:1: no title\n"}"#,
    );
    let reasons = r#"[{"text":"no title","path":"a.note","line":1}]"#;
    tools.write(
        "notes/examples/title/answer.json",
        format!(r#"{{"protocol":1,"answer":"explain","reasons":{reasons}}}"#),
    );
    let path = tools.at("notes").to_str().unwrap().to_owned();
    let good = chef(&place, &["test", &path]);
    assert_eq!(
        good,
        "nothing: as it should be\ntitle: as it should be\nthe chef `notes` 1.0: 2 of 2 examples answered as they should\n"
    );
    // A note in the project of an example is found, and that is another answer.
    tools.write("notes/examples/nothing/project/a.note", "# A\n");
    tools.write("notes/examples/unreadable/answer.json", "{}");
    let bad = place.pod(&["chef", "test", &path, "--json"]).code(1);
    let report: Value = serde_json::from_str(&bad.stdout).unwrap();
    let failures: Vec<&Value> =
        report["examples"].as_array().unwrap().iter().map(|example| &example["failure"]).collect();
    assert!(failures[0].as_str().unwrap().contains("and was to say"), "{report}");
    assert_eq!(failures[1], &Value::Null);
    assert!(failures[2].as_str().unwrap().contains("`request.json` cannot be read"), "{report}");
    // One that is a single program has them beside it, as the book shows.
    tools.write("notes.py", of_the_book());
    tools.chmod("notes.py", 0o755);
    tools.write("examples/detect/request.json", r#"{"protocol":1,"request":"detect"}"#);
    tools.write("examples/detect/answer.json", r#"{"protocol":1,"answer":"detect","sure":0}"#);
    assert_eq!(
        chef(&place, &["test", tools.at("notes.py").to_str().unwrap()]),
        "detect: as it should be\nthe chef `notes` 1.0: 1 of 1 example answered as they should\n"
    );
    // Nothing is left beside the chef, and it may be registered with its examples.
    assert!(!tools.has("notes/examples/nothing/project/.majordomo"));
    chef(&place, &["add", &path]);
    let project = notes(&place, "p");
    project.build(&[]).ok();
    let shown = project.ask("init", &[]).ok();
    assert!(shown.stderr.contains("`notes` found 2 notes"), "{}", shown.stderr);
    assert!(project.read("majordomo.toml").contains("timeout = 60"), "{}", project.read("majordomo.toml"));
}

#[test]
fn a_chef_that_lacks_its_program_is_no_matter_of_other_projects() {
    let place = Place::new();
    let tools = place.bare("tools");
    tools.write(
        "chef.toml",
        "name = \"typst\"\nversion = \"1\"\nprotocol = 1\nprogram = \"run\"\ntools = [\"no-such-typst\"]\n",
    );
    tools.write("run", "#!/bin/sh\nexit 3\n");
    tools.chmod("run", 0o755);
    chef(&place, &["add", tools.path().to_str().unwrap()]);
    let project = place.bare("p");
    project.write("Makefile", "made: source\n\tcp source made\n");
    project.write("source", "1\n");
    let built = project.build(&[]).ok();
    assert!(!built.said().contains("typst"), "{}", built.said());
    assert!(project.has(".majordomo/stamps"), "the next build has nothing to do, and knows it at once");
    // Who finds nobody is told.
    let nobody = place.bare("nobody");
    nobody.write("words", "some\n");
    let refused = nobody.build(&[]).code(2);
    assert!(refused.said().contains("it wants `no-such-typst`"), "{}", refused.said());
}
