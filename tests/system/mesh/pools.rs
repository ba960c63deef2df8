//! Pools of a plan: their depth holds for the whole build, wherever its steps run.

use super::steps::{contents, two};

/// Edges of each kind.
const EDGES: usize = 10;

#[test]
fn a_pool_of_a_ninja_file_holds_for_all_pods_together() {
    let (_ground, _server, a, b) = two();
    let mut file = "pool two\n  depth = 2\nrule few\n  command = sleep 0.3; cat words > $out\n  pool = two\n\
                    rule free\n  command = sleep 0.3; cat words > $out\n"
        .to_owned();
    for number in 0..EDGES {
        file += &format!("build out/few-{number}: few\nbuild out/free-{number}: free\n");
    }
    let project = a.place.bare("p");
    project.write("build.ninja", &file);
    project.write("words", "few\n");
    let mut build = project.start(&["--jobs", "1"]);
    build.wait_for(|event| {
        event["event"] == "step-started"
            && event["pod"] == "b"
            && event["step"].as_str().is_some_and(|step| step.starts_with("out/few"))
    });
    let built = build.built().ok();
    assert_eq!(contents(&project, "out").len(), 2 * EDGES);
    assert!(built.at_once("out/few") <= 2, "{}", built.said());
    // There was room for more.
    assert!(built.at_once("out/") > 2, "{}", built.said());
    assert!(built.started_on()["here"] >= 1, "{:?}", built.started_on());
    b.leaves();
    a.leaves();
}
