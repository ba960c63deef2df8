//! Pods in one federation, over a real NATS server: what one has built the others need not build.

use std::time::Duration;

use serde_json::Value;

use crate::common::{Nats, Place, Project, Running};

mod faults;
mod insider;
mod labels;
mod logins;
mod meanwhile;
mod memory;
mod monitor;
mod newcomer;
mod outages;
mod placing;
mod pools;
mod projects;
mod readers;
mod roles;
mod session;
mod skew;
mod steps;
mod strangers;
mod trust;
mod uses;

/// How often a federation is looked at that is to come together.
const POLL: Duration = Duration::from_millis(100);
/// How often at most.
const POLLS: usize = 600;

/// A place whose pod has joined.
pub struct Member {
    pub place: Place,
    pub pod: Running,
}

pub fn server(place: &Place) -> Nats {
    Nats::new(&place.path().join("nats"))
}

pub fn joins(place: Place, server: &Nats, name: &str, invitation: Option<&str>) -> Member {
    let invitation = invitation.into_iter().flat_map(|invitation| ["--invite", invitation]);
    joins_so(place, server, name, &invitation.collect::<Vec<_>>())
}

/// Joins with options.
pub fn joins_so(place: Place, server: &Nats, name: &str, options: &[&str]) -> Member {
    joins_over(place, server.url(), name, options)
}

/// Joins with options, over the server at a URL.
pub fn joins_over(place: Place, url: &str, name: &str, options: &[&str]) -> Member {
    let mut arguments = vec!["join", url, "--name", name];
    arguments.extend(options);
    let pod = Running::standing(place.command("pod", &arguments));
    Member { place, pod }
}

/// Two pods, `a` and `b`, in the federation that `a` has founded.
pub fn two() -> (Place, Nats, Member, Member) {
    let ground = Place::new();
    let server = server(&ground);
    let (a, b) = two_over(&server);
    (ground, server, a, b)
}

/// The same over a given server.
pub fn two_over(server: &Nats) -> (Member, Member) {
    let a = joins(Place::new(), server, "a", None);
    let b = joins(Place::new(), server, "b", Some(&a.invitation()));
    (a, b)
}

impl Member {
    pub fn invitation(&self) -> String {
        self.place.pod(&["invite"]).ok().stdout.trim().to_owned()
    }

    pub fn pods(&self) -> Value {
        self.place.pod(&["pods", "--json"]).ok().json()
    }

    /// Waits until what a command tells fits.
    #[track_caller]
    pub fn waits_for(&self, command: &[&str], what: &str, fits: impl Fn(&Value) -> bool) {
        let mut last = Value::Null;
        for _ in 0..POLLS {
            last = self.place.pod(command).ok().json();
            if fits(&last) {
                return;
            }
            std::thread::sleep(POLL);
        }
        panic!("{what}: never, but {last}");
    }

    /// Waits until what it tells of the federation fits.
    #[track_caller]
    pub fn waits_until(&self, what: &str, fits: impl Fn(&Value) -> bool) {
        self.waits_for(&["pods", "--json"], what, fits);
    }

    /// Waits until it sees just these other pods, all connected.
    #[track_caller]
    pub fn sees(&self, others: &[&str]) {
        self.waits_until(&format!("it sees {others:?}"), |pods| {
            let seen: Vec<_> = others_of(pods).collect();
            let mut names: Vec<_> = seen.iter().map(|pod| pod["name"].as_str().unwrap()).collect();
            names.sort_unstable();
            names == others && seen.iter().all(|pod| pod["connected"] == true)
        });
    }

    /// Waits until it has heard from all others, and so knows how much room they have.
    #[track_caller]
    pub fn hears_all(&self) {
        self.waits_until("it hears all", |pods| {
            others_of(pods).all(|pod| !pod["heard_seconds_ago"].is_null())
        });
    }

    /// Waits until it is connected with nobody.
    #[track_caller]
    fn sees_nobody(&self) {
        self.waits_until("it sees nobody", |pods| others_of(pods).all(|pod| pod["connected"] == false));
    }

    /// Waits until what it tells of all artefacts fits.
    #[track_caller]
    pub fn waits_for_artefacts(&self, what: &str, fits: impl Fn(&[Value]) -> bool) {
        self.waits_for(&["artefacts", "--json"], what, |told| fits(told["artefacts"].as_array().unwrap()));
    }

    /// kill -9, and a new start, by what the home remembers.
    pub fn comes_back(&mut self) {
        self.pod.signal(rustix::process::Signal::KILL);
        let again = || Running::start(self.place.command("pod", &[]));
        std::mem::replace(&mut self.pod, again()).end();
        self.pod.wait_for_talk("the pod stands");
    }

    /// Ends; the place is left, and what it remembers.
    pub fn stops(self) -> Place {
        self.place.pod(&["stop"]).ok();
        self.pod.end();
        self.place
    }

    pub fn leaves(self) {
        self.stops().assert_nothing_left();
    }
}

/// All pods that were told of, without the one that tells.
pub fn others_of(pods: &Value) -> impl Iterator<Item = &Value> {
    pods["pods"].as_array().unwrap().iter().filter(|pod| pod["is_me"] == false)
}

/// What is told of the one that tells.
pub fn me(pods: &Value) -> &Value {
    pods["pods"].as_array().unwrap().iter().find(|pod| pod["is_me"] == true).unwrap()
}

/// What is told of a pod; nothing: it is not there.
pub fn of<'p>(pods: &'p Value, name: &str) -> &'p Value {
    others_of(pods).find(|pod| pod["name"] == name).unwrap_or(&Value::Null)
}

/// Waits until a pod's announcements have reached another one.
#[track_caller]
pub fn is_announced(to: &Member, by: &Member) {
    to.waits_until("both know the same", |pods| is_all_of(pods, &by.pods()));
}

/// Whether a pod has heard all that another one has to tell, as both tell of the federation.
pub fn is_all_of(there: &Value, by: &Value) -> bool {
    by["untold"] == 0 && there["known"] == by["known"]
}

pub const STEPS: &str = "
[step.upper]
run = 'tr a-z A-Z < words > upper; echo made upper'
out = 'upper'

[step.twice]
run = 'cat upper upper > twice'
out = 'twice'
";

#[test]
fn what_one_has_built_another_with_an_empty_larder_need_not_build() {
    let (_ground, _server, a, b) = two();
    a.sees(&["b"]);
    b.sees(&["a"]);
    let there = a.place.project("p", STEPS);
    there.write("words", "to be built once\n");
    assert_eq!(there.build(&[]).ok().ran(), ["twice", "upper"]);
    is_announced(&b, &a);
    let here = b.place.project("q", STEPS);
    here.write("words", "to be built once\n");
    let built = here.build(&[]).ok();
    assert_eq!(built.ran(), [""; 0]);
    assert_eq!(built.output("upper"), ["made upper"]);
    assert_eq!(here.read("twice"), there.read("twice"));
    // What differs is run, and known at the other one from then on.
    here.write("words", "something else\n");
    assert_eq!(here.build(&[]).ok().ran(), ["twice", "upper"]);
    is_announced(&a, &b);
    there.write("words", "something else\n");
    assert_eq!(there.build(&[]).ok().ran(), [""; 0]);
    assert_eq!(there.read("upper"), "SOMETHING ELSE\n");
    b.leaves();
    // Alone again it builds as ever.
    there.write("words", "alone\n");
    assert_eq!(there.build(&[]).ok().ran(), ["twice", "upper"]);
    a.leaves();
}

#[test]
fn what_chefs_have_answered_one_another_need_not_ask() {
    let (_ground, _server, a, b) = two();
    a.sees(&["b"]);
    b.sees(&["a"]);
    let without_a_file = |pod: &Member| {
        let folder = pod.place.project("make", STEPS).at("");
        std::fs::remove_file(folder.join("majordomo.toml")).unwrap();
        folder
    };
    let (there, here) = (without_a_file(&a), without_a_file(&b));
    for (pod, folder) in [(&a, &there), (&b, &here)] {
        let project = Project::new(&pod.place, folder.clone());
        project.write("Makefile", "made: words\n\ttr a-z A-Z < words > made\n");
        project.write("words", "to be made once\n");
    }
    let there = Project::new(&a.place, there);
    assert_eq!(there.build(&[]).ok().ran_without_chefs(), ["make"]);
    is_announced(&b, &a);
    let here = Project::new(&b.place, here);
    assert_eq!(here.build(&[]).ok().ran(), [""; 0]);
    assert_eq!(here.read("made"), "TO BE MADE ONCE\n");
    b.leaves();
    a.leaves();
}

#[test]
fn what_was_built_before_joining_need_not_be_built_either() {
    let ground = Place::new();
    let server = server(&ground);
    let place = Place::new();
    let alone = place.project("p", STEPS);
    alone.write("words", "built alone\n");
    assert_eq!(alone.build(&[]).ok().ran(), ["twice", "upper"]);
    let a = joins(place, &server, "a", None);
    let b = joins(Place::new(), &server, "b", Some(&a.invitation()));
    b.sees(&["a"]);
    is_announced(&b, &a);
    let here = b.place.project("q", STEPS);
    here.write("words", "built alone\n");
    assert_eq!(here.build(&[]).ok().ran(), [""; 0]);
    assert_eq!(here.read("twice"), "BUILT ALONE\n".repeat(2));
    b.leaves();
    a.leaves();
}

#[test]
fn what_is_revoked_or_came_from_a_banned_pod_is_made_again() {
    let (_ground, _server, a, b) = two();
    b.sees(&["a"]);
    let there = a.place.project("p", STEPS);
    there.write("words", "not to be trusted\n");
    there.build(&[]).ok();
    is_announced(&b, &a);
    let here = b.place.project("q", STEPS);
    here.write("words", "not to be trusted\n");
    assert_eq!(here.build(&[]).ok().ran(), [""; 0]);
    // Whoever made it takes it back, for all.
    there.ask("forget", &["twice"]).ok();
    builds_in_the_end(&here, &["twice"]);
    assert_eq!(here.build(&[]).ok().ran(), [""; 0]);
    // Whoever is sent away is not believed in anything.
    b.place.pod(&["ban", "a"]).ok();
    builds_in_the_end(&here, &["upper"]);
    assert_eq!(here.build(&[]).ok().ran(), [""; 0]);
    b.leaves();
    a.leaves();
}

/// Builds until just these steps have run: before that nothing does.
#[track_caller]
pub fn builds_in_the_end(project: &Project, ran: &[&str]) {
    for _ in 0..POLLS {
        let built = project.build(&[]).ok();
        if built.ran() == ran {
            return;
        }
        assert_eq!(built.ran(), [""; 0]);
        std::thread::sleep(POLL);
    }
    panic!("{ran:?} never ran");
}

#[test]
fn what_was_made_of_a_secret_stays_where_it_was_made() {
    let (_ground, _server, a, b) = two();
    b.sees(&["a"]);
    let steps = "[step.kept]\nrun = 'cat /run/secrets/TOKEN > kept'\nout = 'kept'\nsecrets = { TOKEN = \"~/token\" }\ncache = true\n\
                 [step.told]\nrun = 'cp words told'\nout = 'told'\n";
    let build = |member: &Member, token: &str| {
        let project = member.place.project("p", steps);
        project.write("words", "w");
        std::fs::write(member.place.path().join("user/token"), token).unwrap();
        let built = project.build(&[]).ok();
        (built.ran().into_iter().map(str::to_owned).collect::<Vec<_>>(), project.read("kept"))
    };
    assert_eq!(build(&a, "of a"), (vec!["kept".to_owned(), "told".to_owned()], "of a".to_owned()));
    // Not when it is used again either.
    build(&a, "of a");
    is_announced(&b, &a);
    assert_eq!(build(&b, "of b"), (vec!["kept".to_owned()], "of b".to_owned()));
    b.leaves();
    a.leaves();
}

#[test]
fn bytes_that_were_promised_and_went_are_made_again() {
    let (_ground, _server, a, b) = two();
    b.sees(&["a"]);
    let there = a.place.project("p", STEPS);
    there.write("words", "gone\n");
    there.build(&[]).ok();
    is_announced(&b, &a);
    a.leaves();
    b.sees_nobody();
    let here = b.place.project("q", STEPS);
    here.write("words", "gone\n");
    assert_eq!(here.build(&[]).ok().ran(), ["twice", "upper"]);
    b.leaves();
}

#[test]
fn a_pod_comes_back_by_itself_and_a_banned_one_does_not() {
    let (_ground, server, a, b) = two();
    a.sees(&["b"]);
    let place = b.stops();
    let b = joins(place, &server, "b", None);
    b.sees(&["a"]);
    a.place.pod(&["ban", "b"]).ok();
    a.sees(&[]);
    // It is told at once, says so wherever it is asked, and builds alone.
    b.waits_for(&["status", "--json"], "it knows", |told| !told["banned_from"].is_null());
    let status = b.place.pod(&["status"]).ok().stdout;
    assert!(status.contains("banned  from the federation"), "{status}");
    for question in [&["pods"][..], &["artefacts"], &["invite"]] {
        let said = b.place.pod(question).code(2).stderr;
        assert!(said.contains("this pod was banned from the federation"), "{said}");
    }
    b.waits_for(&["logs", "--json"], "it says so", |log| log.to_string().contains("this pod was banned"));
    let project = b.place.project("p", STEPS);
    project.write("words", "alone\n");
    project.builds(&["twice", "upper"]);
    b.leaves();
    a.leaves();
}

#[test]
fn a_founder_that_has_lost_its_ledger_comes_back_and_bans_others_alone() {
    let (_ground, server, a, b) = two();
    a.sees(&["b"]);
    let place = a.stops();
    for entry in std::fs::read_dir(place.home()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("ledger.sqlite") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let a = joins(place, &server, "a", None);
    a.sees(&["b"]);
    let refused = a.place.pod(&["ban", "a"]).code(2);
    insta::assert_snapshot!(refused.stderr, @r"
    error: a pod cannot ban itself

    hint: `pod leave` leaves the federation
    ");
    a.sees(&["b"]);
    a.place.pod(&["ban", "b"]).ok();
    a.sees(&[]);
    b.leaves();
    a.leaves();
}

#[test]
fn strangers_are_refused_with_a_sentence() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let invitation = a.invitation();
    let b = joins(Place::new(), &server, "b", Some(&invitation));
    // It was good for one.
    let late = Place::new();
    let refused =
        Running::start(late.command("pod", &["join", server.url(), "--invite", &invitation])).end().code(2);
    assert!(refused.stderr.contains("the federation does not let this pod in"), "{}", refused.stderr);
    // A damaged one is a secret nearly as well.
    let damaged = late.pod(&["join", server.url(), "--invite", &format!("{invitation}x")]).code(2);
    assert!(damaged.stderr.contains("the invitation is damaged"), "{}", damaged.stderr);
    assert!(!damaged.stderr.contains(&invitation), "{}", damaged.stderr);
    let nowhere = late.pod(&["join", "nats://127.0.0.1:1"]).code(3);
    assert!(nowhere.stderr.contains("no NATS server answers at 127.0.0.1:1"), "{}", nowhere.stderr);
    late.assert_nothing_left();
    b.leaves();
    a.leaves();
}

#[test]
fn who_is_in_no_federation_is_told_so() {
    let place = Place::new();
    let ended = place.pod(&["pods"]).code(2);
    insta::assert_snapshot!(ended.stderr, @r"
    error: this pod is in no federation

    hint: `pod join nats://HOST:4222` founds one, or comes into one by an invitation
    ");
}
