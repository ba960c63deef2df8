//! `pod` without a command: everything on one machine, for trying out.

use std::net::TcpStream;
use std::process::Command;

use rustix::process::Signal;

use crate::common::{Place, Running};
use crate::mesh::Member;

fn trial(place: Place) -> (Member, String) {
    let mut pod = Running::start(place.command("pod", &[]));
    let said = pod.wait_for_talk("majordomo build PROJECT");
    (Member { place, pod }, said)
}

/// What it proposes to type for another pod: the URL and the invitation.
fn proposed(said: &str) -> (String, String) {
    let line = said
        .lines()
        .find(|line| line.trim_start().starts_with("pod join"))
        .unwrap_or_else(|| panic!("{said}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((words[3], words[4], words[5]), ("--home", "DIR", "--invite"), "{line}");
    (words[2].to_owned(), words[6].to_owned())
}

#[test]
fn it_brings_a_server_and_says_what_to_type_next() {
    let (a, said) = trial(Place::new());
    let (url, invitation) = proposed(&said);
    let b = Place::new();
    let pod = Running::standing(b.command("pod", &["join", &url, "--name", "b", "--invite", &invitation]));
    let b = Member { place: b, pod };
    a.sees(&["b"]);
    b.leaves();
    a.leaves();
    let gone = TcpStream::connect(url.trim_start_matches("nats://"));
    assert!(gone.is_err(), "its server has not ended with it");
}

#[test]
fn it_comes_back_after_it_was_killed_and_its_server_was_killed_with_it() {
    let (Member { place, pod }, said) = trial(Place::new());
    let (url, _) = proposed(&said);
    let federation = place.pod(&["pods", "--json"]).ok().json()["federation"].clone();
    pod.signal(Signal::KILL);
    pod.end();
    // It is a process of its own, so that its end comes a moment later.
    while TcpStream::connect(url.trim_start_matches("nats://")).is_ok() {}
    let (again, said) = trial(place);
    assert!(!said.contains("it is new"), "{said}");
    let pods = again.pods();
    assert_eq!(pods["federation"], federation);
    assert_eq!(pods["server"], url.trim_start_matches("nats://"), "others know it by its port");
    again.leaves();
}

#[test]
fn without_a_server_it_stands_and_says_what_to_install() {
    let place = Place::new();
    let pod = place.command("pod", &[]);
    // `nats-server` is on no path, and where Debian puts it is something else.
    let script = "mount --bind /dev/null /usr/sbin/nats-server 2>/dev/null; PATH=/nowhere exec \"$0\"";
    let mut hidden = Command::new("unshare");
    let user: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["-r"] };
    hidden.args(user).args(["-m", "sh", "-c", script]).arg(pod.get_program()).env_clear();
    hidden.envs(pod.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut pod = Running::start(hidden);
    let said = pod.wait_for_talk("the pod stands");
    assert!(said.contains("Debian's package `nats-server`"), "{said}");
    let refused = place.pod(&["pods"]).code(2);
    assert!(refused.stderr.contains("this pod is in no federation"), "{}", refused.stderr);
    place.stops(pod).ok();
}
