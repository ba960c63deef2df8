//! The session of the README, typed at a shell: two homes of one machine; and what a pod says to type on another machine.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{POLL, POLLS, is_all_of};
use crate::common::place::copy_all;
use crate::common::running::Ended;
use crate::common::{Hosts, Place, Running};

/// Our repository.
const OURS: &str = env!("CARGO_MANIFEST_DIR");
/// What stands for an invitation in the book, and what each begins with.
const INVITATION: (&str, &str) = ("invite1-…", "invite1-");

/// Somebody at a shell, in a folder.
struct Shell<'p> {
    place: &'p Place,
    folder: PathBuf,
}

impl Shell<'_> {
    fn types(&self, line: &str) -> Ended {
        Running::start(self.place.line(&self.folder, line)).end()
    }

    /// Types a command as it is, which says something, and with `--json`, which says JSON; that.
    #[track_caller]
    fn types_both(&self, line: &str, again: &str) -> Value {
        let said = self.types(line).ok();
        assert!(!said.stdout.trim().is_empty(), "`{line}` said nothing: {}", said.shown());
        self.types(&format!("{again} --json")).ok().json()
    }

    /// Types a command with `--json` until what it says fits.
    #[track_caller]
    fn types_until(&self, line: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let mut said = Value::Null;
        for _ in 0..POLLS {
            said = self.types(&format!("{line} --json")).ok().json();
            if fits(&said) {
                return said;
            }
            std::thread::sleep(POLL);
        }
        panic!("`{line}`: never, but {said}");
    }
}

/// What is typed in the first block below a heading of the README, and what it answers.
fn block(heading: &str) -> (Vec<String>, Vec<String>) {
    let text = fs::read_to_string(Path::new(OURS).join("README.md")).unwrap();
    let (_, below) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let (block, _) = below.split_once("```console\n").unwrap().1.split_once("\n```").unwrap();
    let (typed, said): (Vec<&str>, Vec<&str>) = block.lines().partition(|line| line.starts_with("$ "));
    let typed = typed.into_iter().map(|line| line.trim_start_matches("$ ").to_owned());
    (typed.collect(), said.into_iter().map(str::to_owned).collect())
}

/// The invitation that was printed.
#[track_caller]
fn invitation(ended: &Ended) -> String {
    let all = format!("{} {}", ended.stdout, ended.stderr);
    let found = all.split_whitespace().find(|word| word.starts_with(INVITATION.1));
    found.unwrap_or_else(|| panic!("no invitation: {}", ended.shown())).to_owned()
}

fn connected(pods: &Value) -> usize {
    super::others_of(pods).filter(|pod| pod["connected"] == true).count()
}

fn id(pods: &Value, fits: impl Fn(&Value) -> bool) -> &str {
    pods["pods"].as_array().unwrap().iter().find(|pod| fits(pod)).unwrap()["pod"].as_str().unwrap()
}

/// Our repository, as somebody has it who has cloned it.
fn cloned<'p>(place: &'p Place, shell_folder: &str) -> Shell<'p> {
    let folder = place.bare(shell_folder).at("");
    copy_all(&Path::new(OURS).join("examples/hello"), &folder.join("examples/hello"));
    let shell = Shell { place, folder };
    shell
        .types("git init -q && git add . && git -c user.name=a -c user.email=a@localhost commit -qm hello")
        .ok();
    shell
}

#[test]
fn the_session_of_the_readme_works_as_it_is_typed() {
    // The server's port is the usual one, in a network of its own.
    let Some(hosts) = Hosts::new(1) else { return };
    let place = Place::on(&hosts, 0);
    let shell = cloned(&place, "computepods");
    let (typed, said) = block("Several machines");
    let [server, found, join, build, again] = &typed[..] else { panic!("{typed:?}") };
    // It stays until the test ends, and its store goes with the place.
    let (server, _) = server.split_once(" &").unwrap();
    let mut command = place.line(&shell.folder, &format!("exec {server}"));
    command.env("TMPDIR", place.path().join("run"));
    let mut server = Running::start(command);
    server.wait_for_talk("Server is ready");

    let founded = shell.types(found).ok();
    shell.types(&join.replace(INVITATION.0, &invitation(&founded))).ok();
    let pods = shell.types_until("pod pods --home ~/pod-b", |pods| connected(pods) == 1);
    let built = shell.types(build).ok();
    assert!(built.stderr.contains("3 steps, 3 ran, 0 reused"), "{}", built.shown());
    shell.types_until("pod pods --home ~/pod-b", |there| {
        is_all_of(there, &shell.types("pod pods --home ~/pod-a --json").ok().json())
    });
    let built = shell.types(again).ok();
    for line in said {
        let (_, counts) = line.split_once(": ").unwrap();
        assert!(built.stderr.contains(counts), "`{counts}` is not in {}", built.shown());
    }
    let program =
        |folder: &str| fs::read(place.path().join(folder).join("examples/hello/bin/hello")).unwrap();
    assert!(program("projects/computepods") == program("user/clone"), "both programs are the same");

    let (a, b) = (id(&pods, |pod| pod["is_me"] == false), id(&pods, |pod| pod["is_me"] == true));
    all_commands(&shell, a, b);
}

/// Every other command of the session, at two pods that are called `a` and `b` here.
fn all_commands(shell: &Shell<'_>, a: &str, b: &str) {
    let both = |words: &str, home: &str| {
        let line = format!("pod {words} --home ~/pod-{home}");
        shell.types_both(&line, &line)
    };
    assert_eq!(connected(&both("pods", "a")), 1);
    assert!(both("status", "a")["objects"].as_u64() > Some(3));
    assert!(both("logs", "a").as_array().unwrap().len() > 1);
    let program = "examples/hello/bin/hello";
    let owner = format!("pod owner {program} --home ~/pod-a");
    shell.types_until("pod artefacts --home ~/pod-a", |told| {
        let all = told["artefacts"].as_array().unwrap();
        all.iter().any(|one| one["path"] == "bin/hello" && one["is_mine"] == true)
    });
    assert!(both("artefacts", "b")["artefacts"].as_array().unwrap().len() >= 3);
    assert_eq!(shell.types_both(&owner, &owner)["artefact"]["owner"], *a);
    let given = shell.types_both(
        &format!("pod give {program} {b} --home ~/pod-a"),
        &format!("pod give examples/hello/obj/main.o {b} --home ~/pod-a"),
    );
    assert_eq!(given["artefact"]["owner"], *b);
    let pulled = both(&format!("pull {program}"), "a");
    assert_eq!((&pulled["artefact"]["owner"], &pulled["files"]), (&b.into(), &1.into()));

    // Two more come in by one invitation, and are sent away.
    let invited = both("invite --uses 2", "a");
    let invitation = invited["invitation"].as_str().unwrap();
    let newcomer = |name: &str| {
        let line =
            format!("pod join nats://127.0.0.1:4222 --name {name} --detach --home ~/pod-{name} --invite");
        let pods = shell.types(&format!("{line} {invitation} --json")).ok().json();
        id(&pods, |pod| pod["is_me"] == true).to_owned()
    };
    let (c, d) = (newcomer("c"), newcomer("d"));
    let left =
        shell.types_both(&format!("pod ban {c} --home ~/pod-a"), &format!("pod ban {d} --home ~/pod-a"));
    assert_eq!(left["pods"].as_array().unwrap().len(), 2, "{left}");
    shell.types_until("pod pods --home ~/pod-b", |pods| super::others_of(pods).count() == 1);
    let stopped = shell.types_both("pod stop --home ~/pod-c", "pod stop --home ~/pod-d");
    assert!(stopped["pid"].is_u64(), "{stopped}");

    // Who leaves hands over what it was given; with the last one the federation ends.
    let left = shell.types("pod leave --home ~/pod-b --json").ok().json();
    assert!(left["handed_over"].as_u64() >= Some(2) && left["kept"] == 0, "{left}");
    let left = shell.types("pod leave --home ~/pod-a").ok();
    assert!(left.stdout.contains("left the federation"), "{}", left.shown());
}

#[test]
fn what_a_pod_says_to_type_on_another_machine_is_typed_there() {
    let Some(hosts) = Hosts::new(2) else { return };
    let ground = Place::new();
    let server = hosts.server(&ground.path().join("nats"));
    let places = [Place::on(&hosts, 0), Place::on(&hosts, 1)];
    let shells = places.each_ref().map(|place| cloned(place, "computepods"));
    let [here, there] = &shells;
    let founded = here.types(&format!("pod join {} --detach", server.url())).ok();
    let (_, said) = founded.stderr.split_once("On another machine, within 24 h:\n").unwrap();
    let line = said.lines().next().unwrap().trim();
    there.types(&format!("{line} --detach")).ok();
    for (shell, host) in shells.iter().zip([1, 0]) {
        let pods = shell.types_until("pod pods", |pods| connected(pods) == 1);
        let other = super::others_of(&pods).next().unwrap();
        assert!(other["addresses"].to_string().contains(&hosts.address(host)), "{other}");
    }
    here.types("majordomo build examples/hello").ok();
    there.types_until("pod pods", |pods| is_all_of(pods, &here.types("pod pods --json").ok().json()));
    let built = there.types("majordomo build examples/hello").ok();
    assert!(built.stderr.contains("3 steps, 0 ran, 3 reused"), "{}", built.shown());
    assert_eq!(there.types("examples/hello/bin/hello").ok().stdout, "Hello from ComputePods!\n");
    shells.iter().for_each(|shell| drop(shell.types("pod stop").ok()));
}
