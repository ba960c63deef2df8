//! How pods log in at the NATS server, with both versions of it that there are: whoever may comes in, all others are told.

use std::path::Path;

use backplane::server::ServerOptions;
use backplane::testing::nats_servers;

use super::{Member, STEPS, is_announced, joins, joins_over, two_over};
use crate::common::logins::{Accounts, Certified};
use crate::common::{Nats, Place, Running};

/// A server of a version, started with more arguments.
fn server_with(program: &Path, place: &Place, arguments: &[String]) -> Nats {
    let mut options = ServerOptions::of(program, &place.path().join("nats"));
    options.arguments = arguments.to_vec();
    Nats::of(options)
}

/// Two pods come in by a URL and options, and come back by what their homes remember; without them nobody does, and is told so.
#[track_caller]
fn only_so(url: &str, options: &[&str], others: &[(&str, &[&str])]) {
    let comes = |name: &str, invitation: Option<&str>| {
        let invitation = invitation.into_iter().flat_map(|invitation| ["--invite", invitation]);
        let options: Vec<&str> = options.iter().copied().chain(invitation).collect();
        joins_over(Place::new(), url, name, &options)
    };
    let a = comes("a", None);
    let mut b = comes("b", Some(&a.invitation()));
    a.sees(&["b"]);
    b.comes_back();
    b.sees(&["a"]);
    let invitation = a.invitation();
    for (url, options) in others {
        let stranger = Place::new();
        let words = [&["join", url, "--invite", &invitation][..], options].concat();
        let refused = stranger.pod(&words);
        assert!(matches!(refused.code, Some(2 | 3)), "{words:?}: {}", refused.shown());
        assert!(refused.stderr.contains("127.0.0.1"), "{words:?}: {}", refused.shown());
        assert!(!refused.shown().contains("hunter"), "a secret is shown: {}", refused.shown());
        assert!(!stranger.home().join("join.json").exists(), "what failed is not remembered");
    }
    b.leaves();
    a.leaves();
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Who has the secret with which each version of the server was started comes in; `written`: as it stands in the URL.
fn only_by_the_secret(arguments: &str, written: fn(&str) -> String) {
    for program in nats_servers() {
        let ground = Place::new();
        let server = server_with(&program, &ground, &words(arguments));
        let at = server.url().trim_start_matches("nats://");
        let [good, wrong] = ["hunter2", "hunter3"].map(|secret| format!("nats://{}@{at}", written(secret)));
        only_so(&good, &[], &[(&wrong, &[]), (server.url(), &[])]);
    }
}

#[test]
fn a_user_comes_in_by_the_password_in_the_url() {
    only_by_the_secret("--user ann --pass hunter2", |password| format!("ann:{password}"));
}

#[test]
fn whoever_has_the_token_comes_in() {
    only_by_the_secret("--auth hunter2", str::to_owned);
}

#[test]
fn a_user_comes_in_by_a_credentials_file() {
    for program in nats_servers() {
        let ground = Place::new();
        let accounts = Accounts::new(ground.path());
        let server = server_with(&program, &ground, &accounts.arguments);
        let [good, bad] = [&accounts.good, &accounts.bad].map(|file| file.to_str().unwrap());
        only_so(server.url(), &["--creds", good], &[(server.url(), &["--creds", bad]), (server.url(), &[])]);
    }
}

#[test]
fn a_server_is_believed_by_the_authority_that_was_named() {
    for program in nats_servers() {
        let ground = Place::new();
        let certified = Certified::new(ground.path());
        let server = server_with(&program, &ground, &certified.arguments);
        let (_, port) = server.url().rsplit_once(':').unwrap();
        let url = format!("tls://127.0.0.1:{port}");
        only_so(&url, &["--tls-ca", certified.authority.to_str().unwrap()], &[(&url, &[])]);
    }
}

#[test]
fn a_federation_stands_over_each_version_of_the_server() {
    for program in nats_servers() {
        let ground = Place::new();
        let mut server = server_with(&program, &ground, &[]);
        let (a, b) = two_over(&server);
        a.sees(&["b"]);
        let build = |pod: &Member, words: &str, ran: &[&str]| {
            let project = pod.place.project("p", STEPS);
            project.write("words", words);
            project.builds(ran);
        };
        build(&a, "over it\n", &["twice", "upper"]);
        is_announced(&b, &a);
        build(&b, "over it\n", &[]);
        // What was said while it was away is heard when it is back.
        server.stops();
        build(&a, "without it\n", &["twice", "upper"]);
        server.comes_back();
        is_announced(&b, &a);
        build(&b, "without it\n", &[]);
        b.leaves();
        a.leaves();
    }
}

#[test]
fn an_invitation_for_two_lets_two_in() {
    let ground = Place::new();
    let server = super::server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let invited = a.place.pod(&["invite", "--uses", "2", "--json"]).ok().json();
    let invitation = invited["invitation"].as_str().unwrap();
    // Both at once.
    let coming = ["b", "c"].map(|name| {
        let place = Place::new();
        let words = ["join", server.url(), "--name", name, "--invite", invitation];
        let pod = Running::start(place.command("pod", &words));
        Member { place, pod }
    });
    let [b, c] = coming.map(|mut member| {
        member.pod.wait_for_talk("the pod stands");
        member
    });
    a.sees(&["b", "c"]);
    let late = Place::new();
    let refused = late.pod(&["join", server.url(), "--invite", invitation]).code(2);
    assert!(refused.stderr.contains("the federation does not let this pod in"), "{}", refused.stderr);
    a.sees(&["b", "c"]);
    [c, b, a].into_iter().for_each(Member::leaves);
}
