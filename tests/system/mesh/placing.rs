//! To which of several pods with room a step goes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::steps::Full;
use super::{joins, joins_so, of, server};
use crate::common::Place;

/// What is made at b and at c, and of each two steps that read it; whoever reads most of b's reads a little of c's as well.
fn steps() -> String {
    let made = |pod: &str| {
        format!(
            "[step.make_{pod}]\non = {{ at = '{pod}' }}\nout = ['large_{pod}', 'small_{pod}']\n\
             run = \"head -c 300000 /dev/zero | tr '\\\\0' {pod} > large_{pod}; echo {pod} > small_{pod}\"\n"
        )
    };
    let read = |pod: &str, other: &str, n: u32| {
        format!("[step.read_{pod}{n}]\nrun = 'cat words large_{pod} small_{other} | wc -c; : {n}'\n")
    };
    let reads = [("b", "c"), ("c", "b")].map(|(pod, other)| read(pod, other, 1) + &read(pod, other, 2));
    format!("[step.first]\nrun = 'cat words'\n{}{}{}", made("b"), made("c"), reads.concat())
}

#[test]
fn a_step_goes_to_the_pod_that_has_its_bytes() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let invited = |name: &str| {
        let (label, invitation) = (format!("at={name}"), a.invitation());
        let options = ["--label", &label, "--slots", "4", "--invite", &invitation];
        joins_so(Place::new(), &server, name, &options)
    };
    let (b, c) = (invited("b"), invited("c"));
    a.sees(&["b", "c"]);
    for pod in ["b", "c"] {
        a.waits_until("its labels are heard", |pods| of(pods, pod)["load"]["labels"]["at"] == pod);
    }
    let project = a.place.project("p", &steps());
    project.write("words", "cold\n");
    let built = project.build(&[]).ok();
    assert_eq!((built.started_at("make_b"), built.started_at("make_c")), (vec!["b"], vec!["c"]));
    // What is wanted has come home, and its files are known by the time that somebody reads them.
    let asked = ["owner", "p:small_c", "--json"];
    a.waits_for_artefacts("all is owned", |all| all.iter().any(|one| one["path"] == "large_c"));
    // Now it is known what they read; and this pod has no room.
    project.write("words", "warm\n");
    let full = Full::new(&a);
    let mut build = project.start(&["--jobs", "1"]);
    for _ in 0..4 {
        build.wait_for(|event| {
            event["event"] == "step-finished"
                && event["step"].as_str().is_some_and(|step| step.starts_with("read_"))
        });
    }
    full.ends();
    let built = build.built().ok();
    for (step, pod) in [("read_b1", "b"), ("read_b2", "b"), ("read_c1", "c"), ("read_c2", "c")] {
        assert_eq!(built.started_at(step), [pod], "{step}");
    }
    // Whoever ran a step has what it read, until it is sent away.
    let holders = |told: &Value| -> BTreeSet<String> {
        let names = told["file"]["holder_names"].as_array().unwrap();
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    a.waits_for(&asked, "b has it, too", |told| {
        holders(told).is_superset(&["a", "b"].map(str::to_owned).into())
    });
    a.place.pod(&["ban", "b"]).ok();
    a.waits_for(&asked, "b is not counted on", |told| !holders(told).contains("b"));
    assert!(holders(&a.place.pod(&asked).ok().json()).contains("a"));
    for pod in [b, c, a] {
        pod.leaves();
    }
}
