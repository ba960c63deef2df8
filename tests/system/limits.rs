//! Limits of steps: whose word counts, that none of them is part of a key, and what is said where one is wrong.

use crate::common::Place;

const HOG: &str = "head -c 100M /dev/zero | tail -n 1 | wc -c > made";

#[test]
fn the_nearest_word_counts_and_no_limit_is_in_a_key() {
    let place = Place::new();
    // Disk, because that can be held on every machine.
    let project = place.project("p", "");
    let run = "run = 'head -c 3M /dev/zero > made'\nout = 'made'\n";
    let file = |of_project: &str, of_step: &str| {
        project.write("majordomo.toml", format!("[project]\n{of_project}\n[step.s]\n{of_step}\n{run}"));
    };
    std::fs::create_dir_all(place.home()).unwrap();
    let pod = |text: &str| std::fs::write(place.home().join("pod.toml"), text).unwrap();
    pod("[limits]\ndisk = '1M'\n");
    file("", "");
    assert_eq!(project.build(&[]).failed().failure("s"), "killed: over its disk limit of 1 MiB");
    file("limits = { disk = '2M' }", "");
    assert_eq!(project.build(&[]).failed().failure("s"), "killed: over its disk limit of 2 MiB");
    file("limits = { disk = '2M' }", "limits = { disk = '4M' }");
    project.builds(&["s"]);
    // What has run under one limit is good under any other.
    file(
        "",
        "limits = { disk = '1M', processes = 7, memory = '1M', cpus = 0.5, open_files = 5, time = '1s' }",
    );
    project.builds(&[]);
}

#[test]
fn the_pods_own_file_is_read_strictly() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'true'\n");
    std::fs::create_dir_all(place.home()).unwrap();
    std::fs::write(place.home().join("pod.toml"), "[limits]\nmem = '1M'\n").unwrap();
    insta::assert_snapshot!(project.build(&[]).code(2).said(), @r"
    error: [PLACE]/home/pod.toml:2:1: unknown key `mem` in `[limits]`; the nearest known key is `memory`
      |
    2 | mem = '1M'
      | ^^^

    hint: known here: `memory`, `cpus`, `processes`, `open_files`, `disk`, `time`
    ");
    std::fs::write(place.home().join("pod.toml"), "[limits]\ntime = '300ms'\n").unwrap();
    project.write("majordomo.toml", "[step.s]\nrun = 'echo said; sleep 61527'\n");
    let built = project.build(&[]).failed();
    assert_eq!(built.output("s"), ["said"]);
    assert_eq!(built.failure("s"), "it was ended after the `time` that the pod's `pod.toml` gives to a step");
}

#[test]
fn limits_that_cannot_be() {
    let place = Place::new();
    let project = place.project("p", "");
    let said = |limits: &str| {
        project.write("majordomo.toml", format!("[step.s]\nrun = 'true'\nlimits = {{ {limits} }}\n"));
        project.build(&[]).code(2).said().lines().next().unwrap().to_owned()
    };
    insta::assert_snapshot!(said("memory = '1 GB'"), @r#"error: [PLACE]/projects/p/majordomo.toml:3:21: `memory` takes a size such as "512M" or "4G", and this is a string"#);
    insta::assert_snapshot!(said("cpus = 0"), @"error: [PLACE]/projects/p/majordomo.toml:3:19: `cpus` takes a number from 0.01 to 10000, and this is a number");
    insta::assert_snapshot!(said("pids = 5"), @"error: [PLACE]/projects/p/majordomo.toml:3:12: unknown key `pids` in `[limits]`; the nearest known key is `processes`");
}

#[test]
fn a_step_that_makes_light_of_its_limit_has_failed_all_the_same() {
    let place = Place::new();
    let project = place.project("p", "");
    project.write(
        "majordomo.toml",
        format!(
            "[step.s]\nlimits = {{ memory = '32M' }}\nrun = '({HOG}) || true; echo x > made'\nout = 'made'\n"
        ),
    );
    let built = project.build(&[]);
    let groups = ["memory/cgroup.procs", "cgroup.subtree_control"];
    if groups.iter().any(|file| std::path::Path::new("/sys/fs/cgroup").join(file).exists())
        && rustix::process::geteuid().is_root()
    {
        assert_eq!(built.failed().failure("s"), "killed: over its memory limit of 32 MiB");
        assert!(!project.has("made"));
    }
}
