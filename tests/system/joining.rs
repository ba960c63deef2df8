//! `pod join`: what it can be told, what the home remembers of it, and `pod leave`.

use std::process::Command;

use backplane::server::{JetStream, Server, ServerOptions};

use crate::common::{Place, Running};
use crate::mesh::{Member, joins, joins_so, me, of, server, two};

#[test]
fn what_was_said_once_is_remembered() {
    let ground = Place::new();
    let server = server(&ground);
    let place = Place::new();
    let url = server.url();
    let detached = place.pod(&[
        "join",
        url,
        "--name",
        "ann",
        "--role",
        "full",
        "--slots",
        "3",
        "--memory",
        "1M",
        "--label",
        "disk=fast",
        "--label",
        "gpu=",
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
        "--detach",
        "--json",
    ]);
    let pods = detached.ok().json();
    let load = &me(&pods)["load"];
    assert_eq!((&load["slots"], &load["free_memory"]), (&3.into(), &(1 << 20).into()), "{pods}");
    assert_eq!((&load["labels"]["disk"], &load["labels"]["gpu"]), (&"fast".into(), &"".into()), "{pods}");
    let federation = pods["federation"].clone();
    place.pod(&["stop"]).ok();
    // The pod answers before it goes.
    place.assert_nothing_left();
    let pod = place.standing();
    let again = Member { place, pod };
    let pods = again.pods();
    assert_eq!(pods["federation"], federation);
    assert_eq!(me(&pods)["load"]["labels"]["disk"], "fast", "{pods}");
    again.leaves();
}

#[test]
fn a_pod_in_the_background_keeps_a_log_and_its_first_process_ends_as_it_does() {
    let ground = Place::new();
    let server = server(&ground);
    let place = Place::new();
    let refused = place.pod(&["logs"]).code(2);
    assert!(refused.stderr.contains("no pod has kept a log"), "{}", refused.stderr);
    let said = place.pod(&["join", server.url(), "--detach"]).ok();
    assert!(said.stderr.contains("the pod stands"), "{}", said.stderr);
    assert!(said.stdout.contains("this pod"), "{}", said.stdout);
    let second = place.pod(&["join", server.url(), "--detach"]).code(2);
    assert!(second.stderr.contains("a pod stands in the home"), "{}", second.stderr);
    let mut follows = Running::start(place.command("pod", &["logs", "--follow"]));
    follows.wait_for_line("the pod stands");
    place.pod(&["stop"]).ok();
    // All is said when nobody can ask any more.
    while place.home().join("pod.sock").exists() {
        std::thread::yield_now();
    }
    follows.signal(rustix::process::Signal::INT);
    let followed = follows.end();
    let lines = place.pod(&["logs", "--json"]).ok().json();
    for words in ["joined federation=", "the pod stands process=", "the pod goes"] {
        assert!(followed.stdout.contains(words), "`{words}` is not in {}", followed.stdout);
        let fits = |line: &serde_json::Value| line.as_str().unwrap().contains(words);
        assert_eq!(lines.as_array().unwrap().iter().filter(|line| fits(line)).count(), 1, "{words}: {lines}");
    }
    let nowhere = place.pod(&["join", "nats://127.0.0.1:1", "--home", "../other", "--detach"]).code(3);
    assert!(nowhere.stderr.contains("no NATS server answers"), "{}", nowhere.stderr);
}

#[test]
fn a_server_that_refuses_the_password_is_none_that_is_missing() {
    let place = Place::new();
    let mut options = ServerOptions::installed(&place.path().join("nats")).unwrap();
    options.arguments = ["--user", "ann", "--pass", "right"].map(str::to_owned).to_vec();
    let server = Server::start(&options).unwrap();
    let url = server.url().replace("nats://", "nats://ann:wrong@");
    let refused = place.pod(&["join", &url, "--detach"]).code(3);
    assert!(refused.stderr.contains("refuses these credentials"), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("hint: who this pod is to the server stands in the URL"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_store_offers_no_slots() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let options = ["--role", "store", "--slots", "8", "--invite", &a.invitation()];
    let b = joins_so(Place::new(), &server, "b", &options);
    a.waits_until("it hears the store", |pods| {
        of(pods, "b")["role"] == "store" && of(pods, "b")["load"]["slots"] == 0
    });
    b.leaves();
    a.leaves();
}

#[test]
fn who_leaves_is_out_and_may_be_invited_again() {
    let (_ground, server, a, b) = two();
    a.sees(&["b"]);
    let Member { place, pod } = b;
    let left = place.pod(&["leave", "--json"]).ok().json();
    assert_eq!(left["federation"], a.pods()["federation"]);
    pod.end();
    a.sees(&[]);
    let again = place.pod(&["leave"]).code(2);
    assert!(again.stderr.contains("this pod is in no federation"), "{}", again.stderr);
    let b = joins(place, &server, "b", Some(&a.invitation()));
    a.sees(&["b"]);
    b.leaves();
    a.leaves();
}

#[test]
fn a_server_without_jetstream_is_told_how_to_have_it() {
    let ground = Place::new();
    let mut options = ServerOptions::installed(&ground.path().join("nats")).unwrap();
    options.jetstream = JetStream::Off;
    let server = Server::start(&options).unwrap();
    let place = Place::new();
    let refused = place.pod(&["join", server.url()]).code(3);
    assert!(refused.stderr.contains("has JetStream switched off"), "{}", refused.stderr);
    assert!(refused.stderr.contains("nats-server -js"), "{}", refused.stderr);
    assert!(!place.home().join("federation.json").exists());
}

/// In a network of its own, where another address of the machine than loopback can be made.
#[test]
fn it_listens_on_the_address_by_which_it_reaches_the_server() {
    let place = Place::new();
    let pod = place.command("pod", &[]);
    let script = "ip link set lo up && ip addr add 10.77.0.1/32 dev lo && \
        { nats-server -js -a 10.77.0.1 -p 4222 -sd \"$1\" >/dev/null 2>&1 & } && server=$! && \
        until (exec 3<>/dev/tcp/10.77.0.1/4222) 2>/dev/null; do kill -0 $server || exit 9; done; \
        \"$0\" join nats://10.77.0.1:4222 --detach >/dev/null && \
        until \"$0\" pods --json | grep -o '/ip4/10.77.0.1/tcp/'; do :; done; \"$0\" stop >/dev/null; kill $server; wait";
    let mut apart = Command::new("unshare");
    let user: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["-r"] };
    apart
        .args(user)
        .args(["-n", "bash", "-c", script])
        .arg(pod.get_program())
        .arg(place.path().join("store"));
    apart.env_clear().envs(pod.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = Running::start(apart).end();
    assert!(ended.stderr.contains("it listens for other pods on 10.77.0.1"), "{}", ended.shown());
    assert!(ended.stderr.contains("On another machine, within 24 h"), "{}", ended.shown());
    assert_eq!(ended.stdout, "/ip4/10.77.0.1/tcp/\n", "{}", ended.shown());
}

#[test]
fn mistakes_are_told() {
    let place = Place::new();
    let nowhere = place.pod(&["join"]).code(2);
    assert!(nowhere.stderr.contains("this home never joined"), "{}", nowhere.stderr);
    for (words, said) in [
        (["--slots", "0"], "0 is not in 1..=4096"),
        (["--memory", "much"], "wanted a size such as `512M` or `8G`"),
        (["--label", "fast"], "wanted `KEY=VALUE`"),
        (["--role", "king"], "wanted `full`, `store` or `guest`"),
        (["--listen", "here"], "invalid value 'here'"),
        (["--creds", "none"], "the credentials file"),
        (["--tls-ca", "none"], "the certificate file"),
    ] {
        let refused = place.pod(&[&["join", "nats://127.0.0.1:1"][..], &words].concat()).code(2);
        assert!(refused.stderr.contains(said), "{words:?}: {}", refused.stderr);
    }
    assert!(!place.home().join("join.json").exists(), "what failed is not remembered");
}
