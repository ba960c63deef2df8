//! What a step sees of its project, and what not (DESIGN §4.3): sources, what others make of which somebody knows, and nothing
//! else that happens to lie there.

use crate::common::{Gate, Place};

const LOOK: &str = "if [ -e made/it ]; then cat made/it; else echo none; fi > seen";

#[test]
fn what_nobody_makes_any_more_is_not_seen_though_it_lies_there() {
    let place = Place::new();
    let reader = format!("[step.reader]\nrun = '{LOOK}'\nout = 'seen'\n");
    let writer = "[step.writer]\nrun = 'mkdir -p made; cp source made/it'\n";
    let project = place.project("p", &format!("{writer}{reader}"));
    project.write("source", "1\n");
    project.build(&[]).ok();
    assert_eq!((project.read("seen"), project.has("made/it")), ("1\n".into(), true));
    project.write("majordomo.toml", &reader);
    // It may be known from the first build, where it perhaps looked before `writer` was done.
    project.build(&[]).ok();
    assert_eq!((project.read("seen"), project.has("made")), ("none\n".into(), false));

    // A file of the user's own in its place is a source.
    project.write("made/it", "mine\n");
    project.builds(&["reader"]);
    assert_eq!(project.read("seen"), "mine\n");
}

#[test]
fn what_a_step_made_before_it_does_not_see_itself() {
    let place = Place::new();
    let command = "if [ -e own ]; then echo again; else echo first; fi > told; cat source > own; ls >> told";
    let project = place.project("p", &format!("[step.s]\nrun = '{command}'\nout = 'told'\n"));
    project.write("source", "1\n");
    project.builds(&["s"]);
    project.write("source", "2\n");
    project.builds(&["s"]);
    assert_eq!(project.read("told"), "first\nmajordomo.toml\nown\nsource\ntold\n");
    project.builds(&[]);
}

#[test]
fn the_folders_of_promised_outputs_are_there() {
    let place = Place::new();
    let file = "[step.s]\nrun = 'test -d deep/down && ls deep/down > {out}'\nout = 'deep/down/listed'\n\
                [step.other]\nrun = 'test -d deep/down; cp source deep/other'\nout = 'deep/other'\n";
    let project = place.project("p", file);
    project.write("source", "1\n");
    project.builds(&["other", "s"]);
    // Opened for writing before it is listed.
    assert_eq!(project.read("deep/down/listed"), "listed\n");
    project.builds(&[]);
}

#[test]
fn what_a_step_sees_stands_still_while_it_runs() {
    let place = Place::new();
    let (reader, writer) = (Gate::new(), Gate::new());
    let file = format!(
        "[step.reader]\nnetwork = true\nout = 'seen'\nrun = '''\n{LOOK}\n{}\n\
         if [ -e made/it ]; then cat made/it; else echo none; fi >> seen\nsed 's/^/saw /' seen\n'''\n\
         [step.writer]\nnetwork = true\nrun = '''\n{}\nmkdir -p made; cp source made/it\n'''\n",
        reader.command(),
        writer.command()
    );
    let project = place.project("p", &file);
    project.write("source", "1\n");
    let mut running = project.start(&["-j2"]);
    let first = reader.arrival();
    writer.arrival().go();
    running.wait_for(|event| event["event"] == "step-finished" && event["step"] == "writer");
    first.go();
    reader.arrival().go();
    let built = running.built().ok();
    // The run that began before it was made sees nothing to its end; the next one sees it from its beginning.
    let saw = |event: &&serde_json::Value| event["event"] == "step-output" && event["step"] == "reader";
    let saw: Vec<_> =
        built.events.iter().filter(saw).map(|event| event["text"].as_str().unwrap_or_default()).collect();
    assert_eq!(saw, ["saw none", "saw none", "saw 1", "saw 1"], "{}", built.said());
    assert_eq!(project.read("seen"), "1\n1\n");
    project.builds(&[]);
}
