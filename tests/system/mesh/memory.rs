//! Memory that a pod offers: steps go where there is enough of it, and together take no more.

use rustix::process::Signal;

use super::steps::{Full, starts_at};
use super::{joins, joins_so, of, server};
use crate::common::{Nats, Place, Project};
use crate::mesh::Member;

/// Two pods, of which the second offers its slots and 64 MiB; what the first does before that comes.
fn two(before: impl FnOnce(&Member)) -> (Place, Nats, Member, Member) {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    before(&a);
    let options = ["--slots", "4", "--memory", "64M", "--label", "gpu=yes", "--invite", &a.invitation()];
    let b = joins_so(Place::new(), &server, "b", &options);
    a.sees(&["b"]);
    b.sees(&["a"]);
    a.waits_until("what it offers is heard", |pods| {
        let load = &of(pods, "b")["load"];
        load["memory"] == 64 << 20 && load["free_memory"].as_u64().is_some_and(|free| free <= 64 << 20)
    });
    // Who says nothing of it has what its machine has.
    b.waits_until("what the machine has is heard", |pods| {
        let load = &of(pods, "a")["load"];
        load["free_memory"]
            .as_u64()
            .is_some_and(|free| load["memory"].as_u64().is_some_and(|all| all >= free))
    });
    (ground, server, a, b)
}

/// `large` may use more than the other pod offers; `hungry` may use anything, and uses more than that.
const STEPS: &str = "
[step.first]
run = 'cat words > first'
out = 'first'

[step.large]
limits = { memory = '128M' }
run = 'cat words > large'
out = 'large'

[step.hungry]
run = 'head -c 100000000 /dev/zero | tail -c 100000000 | wc -c > hungry; cat words >> hungry'
out = 'hungry'

[step.small]
limits = { memory = '32M' }
run = 'cat words > small'
out = 'small'
";

#[test]
fn a_step_goes_only_where_its_memory_is() {
    let (_ground, _server, a, b) = two(|a| {
        let project = a.place.project("p", STEPS);
        project.write("words", "what it uses is seen at home\n");
        assert_eq!(project.build(&[]).ok().started_on()["here"], 4);
    });
    let project = a.place.project("p", STEPS);
    project.write("words", "now there is another pod\n");
    let full = Full::new(&a);
    let mut build = project.start(&["--jobs", "1"]);
    let small = starts_at(&mut build, "b");
    assert_eq!(small["step"], "small");
    build.wait_for(|event| event["event"] == "step-finished" && event["step"] == "small");
    full.ends();
    let built = build.built().ok();
    let pods = built.started_on();
    assert_eq!((pods["b"], pods["here"]), (1, 3), "{}", built.said());
    assert_eq!(project.read("hungry"), "100000000\nnow there is another pod\n");
    b.leaves();
    a.leaves();
}

/// When the commands of each step ran, in nanoseconds: those first that began first.
fn times(project: &Project<'_>) -> Vec<[u64; 2]> {
    let mut times: Vec<[u64; 2]> = (0..STEPS_ELSEWHERE)
        .map(|n| {
            let text = project.read(format!("out/{n}"));
            let [began, ended] = text.lines().map(|line| line.parse().unwrap()).collect::<Vec<_>>()[..]
            else {
                panic!("{text}")
            };
            [began, ended]
        })
        .collect();
    times.sort_unstable();
    times
}

const STEPS_ELSEWHERE: usize = 4;

#[test]
fn steps_that_are_too_much_together_run_one_after_another() {
    let (_ground, _server, a, b) = two(|_| {});
    let step = |n: usize| {
        format!(
            "[step.s{n}]\non = {{ gpu = 'yes' }}\nlimits = {{ memory = '40M' }}\n\
             run = '(date +%s%N; sleep 0.3; date +%s%N) > out/{n}'\nout = 'out/{n}'\n"
        )
    };
    let file: String = (0..STEPS_ELSEWHERE).map(step).collect();
    let project = a.place.project("p", &file);
    let built = project.build(&["--jobs", "4"]).ok();
    assert_eq!(built.started_on()["b"], STEPS_ELSEWHERE, "{}", built.said());
    let alone = times(&project);
    assert!(alone.windows(2).all(|two| two[0][1] < two[1][0]), "{alone:?}\n{}", built.said());
    // With room for all of them they run together.
    let project = a.place.project("q", &file.replace("40M", "16M").replace("0.3", "0.4"));
    let built = project.build(&["--jobs", "4"]).ok();
    assert_eq!(built.started_on()["b"], STEPS_ELSEWHERE, "{}", built.said());
    let together = times(&project);
    assert!(together.windows(2).any(|two| two[0][1] > two[1][0]), "{together:?}\n{}", built.said());
    // What has to wait for long is said, once.
    let project = a.place.project("s", &file.replace("0.3", "4020"));
    let mut build = project.start(&["--jobs", "4"]);
    let said = build.wait_for(|event| event["event"] == "note");
    let text = said["text"].as_str().unwrap();
    assert!(text.contains("waits for room on a pod with `gpu=yes`, and as much free memory as"), "{text}");
    build.signal(Signal::INT);
    build.end().code(130);
    // What nobody offers is not waited for.
    let project = a.place.project("r", &file.replace("40M", "65M").replace("0.3", "0.5"));
    let built = project.build(&["--keep-going"]).failed();
    let why = built.failure("s0");
    assert!(why.contains("none of those offers steps as much as its memory limit of 65 MiB"), "{why}");
    b.leaves();
    a.leaves();
}
