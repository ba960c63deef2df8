//! Files: what is not for steps to read, ways out of the project, and outputs of every awkward kind.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use crate::common::Gate;

use super::{Subject, for_each_subject, hostile, under};

for_each_subject! {
    what_belongs_to_others, ways_out_of_the_project, names_of_every_kind, names_that_differ_by_case,
    hard_links, other_steps_folders, disk_filler, a_sparse_terabyte,
}

fn what_belongs_to_others(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    let mine = place.path().join("user/diary");
    fs::write(&mine, "mine").unwrap();
    // While it runs, another step of the same pod has a folder of its own in the scratch folder.
    let home = place.home().display();
    let places = [
        "read /etc/shadow".to_owned(),
        "read /etc/gshadow".to_owned(),
        "list /root".to_owned(),
        "list /run".to_owned(),
        "list /sys".to_owned(),
        "list /var/lib/dpkg".to_owned(),
        format!("read {}", mine.display()),
        format!("list {}", place.path().join("user").display()),
        format!("list {home}"),
        format!("list {home}/larder"),
        format!("list {home}/scratch"),
        format!("read {home}/lock"),
        format!("unix {home}/pod.sock"),
        "read /proc/1/environ".to_owned(),
        "list /proc/1/root".to_owned(),
        "list /proc/1/cwd".to_owned(),
        "list /proc/1/fd".to_owned(),
    ];
    let script: String = places.iter().map(|line| format!("./hostile {line}\n")).collect();
    let built = subject.build(&project, "", &script).ok();
    for (said, line) in built.output("s").iter().zip(&places) {
        assert!(said.starts_with("refused "), "{line}: {said}");
    }
    assert_eq!(built.output("s").len(), places.len());
}

fn other_steps_folders(subject: Subject) {
    let place = subject.place();
    let gate = Gate::new();
    // While it looks around, another one stands in its own root, with a file in each of its folders.
    let stands = format!(
        "for folder in /tmp /var/tmp /home/build /dev/shm; do echo x > $folder/not-for-you; done\n{}\necho x > made",
        gate.command()
    );
    let looks = "find / -path /project -prune -o -name not-for-you -print 2>/dev/null || true; ls /tmp /var/tmp /dev/shm; ps -e 2>/dev/null | grep -c bash || true; echo end";
    let file = format!(
        "[step.stands]\nnetwork = true\nrun = '''\n{stands}\n'''\nout = 'made'\n[step.s]\nvolatile = true\nrun = '''\n{looks}\n'''\n"
    );
    let project = place.project("p", &file);
    let mut building = project.start(&["--sandbox", subject.engine, "-j", "2"]);
    let stands = gate.arrival();
    building.wait_for(|event| event["event"] == "step-finished" && event["step"] == "s");
    stands.go();
    let built = building.built().ok();
    let said: Vec<&str> =
        built.output("s").into_iter().filter(|line| !line.ends_with(':') && !line.is_empty()).collect();
    assert_eq!(said, ["0", "end"], "{}", built.said());
}

fn ways_out_of_the_project(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    let victims = place.path().join("victims");
    fs::create_dir(&victims).unwrap();
    fs::write(victims.join("file"), "whole").unwrap();
    place.give(&victims);
    // A link that the sources have, by a relative and by an absolute way.
    symlink("../../victims", project.at("near")).unwrap();
    symlink(&victims, project.at("far")).unwrap();
    let script = "for way in near/file far/file near/new far/new ../../victims/new; do ./hostile create $way; done\n\
                  ln -s / all; ./hostile create all/usr/new; rm all";
    let built = subject.build(&project, "", script).ok();
    let said = built.output("s");
    assert!(said.len() == 6 && said.iter().all(|said| said.starts_with("refused ")), "{said:#?}");
    // A link that a step makes where it promised a folder: nobody is led out by it at the hand-over either.
    project.remove("near");
    project.remove("far");
    let script = format!("ln -s {} tree; echo x > tree/new || true", victims.display());
    let built = subject.build(&project, "out = 'tree/'", &script);
    assert_eq!(fs::read_dir(&victims).unwrap().count(), 1, "{}", built.said());
    assert_eq!(fs::read_to_string(victims.join("file")).unwrap(), "whole");
}

fn names_of_every_kind(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    let script = r#"mkdir odd; cd odd
echo 1 > "$(printf 'new\nline')"; echo 2 > "$(printf 'not \377 text')"; echo 3 > "$(printf '%0255d' 0)"
echo 4 > ' '; echo 5 > '-rf'; echo 6 > '\'; echo 7 > '*'; echo 8 > '~'"#;
    subject.build(&project, "out = 'odd/'", script).ok();
    let long = "0".repeat(255);
    let names: [&[u8]; 8] =
        [b"new\nline", b"not \xff text", long.as_bytes(), b" ", b"-rf", b"\\", b"*", b"~"];
    for (name, number) in names.into_iter().zip(1..) {
        let file = project.at("odd").join(OsStr::from_bytes(name));
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{number}\n"), "{}", file.display());
    }
    assert_eq!(fs::read_dir(project.at("odd")).unwrap().count(), names.len());
    project.builds(&[]);
}

/// Once for each engine, for it takes its time: so many names go through overlay, judgement, tree and hand-over.
#[test]
fn a_folder_of_100_000() {
    under("native", false, many_names);
}

#[test]
fn a_folder_of_100_000_in_podman() {
    under("podman", false, many_names);
}

fn many_names(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    subject.build(&project, "out = 'many/'", "mkdir many; cd many; seq 100000 | xargs touch").ok();
    assert_eq!(fs::read_dir(project.at("many")).unwrap().count(), 100_000);
}

fn names_that_differ_by_case(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    subject.build(&project, "out = ['made', 'MADE']", "echo small > made; echo large > MADE").ok();
    assert_eq!((project.read("made").as_str(), project.read("MADE").as_str()), ("small\n", "large\n"));
}

fn hard_links(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    project.write("source", "source\n");
    // Across outputs: two files, whose fates part.
    let script = "echo x > one; ln one two; mkdir tree; ln one tree/three";
    subject.build(&project, "out = ['one', 'two', 'tree/']", script).ok();
    fs::write(project.at("one"), "changed").unwrap();
    assert_eq!((project.read("two").as_str(), project.read("tree/three").as_str()), ("x\n", "x\n"));
    project.remove("one");
    project.remove("two");
    // To a source, and to a tool: neither becomes writable by its other name.
    let script = "ln source other && echo more >> other; ln /usr/bin/env tool 2>/dev/null && echo more >> tool; rm -f other tool; echo end";
    subject.build(&project, "", script);
    assert_eq!(project.read("source"), "source\n");
}

fn disk_filler(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    let keys = "limits = { disk = '20M' }";
    let over = "killed: over its disk limit of 20 MiB";
    let built = subject.build(&project, keys, "echo before; exec ./hostile fills made 50").failed();
    assert_eq!((built.failure("s"), built.output("s")[0]), (over, "before"));
    // In many files, for as long as it is let.
    let script = "i=0; while true; do i=$((i+1)); ./hostile fills file$i 5 > /dev/null; done";
    assert_eq!(subject.build(&project, keys, script).failed().failure("s"), over);
    // In memory.
    let built =
        subject.build(&project, keys, "./hostile fills /tmp/a 15; ./hostile fills /var/tmp/b 15").ok();
    assert_eq!(built.output("s"), ["HARM fills", "refused fills: ENOSPC"], "the first one is within bounds");
    assert!(!project.has("made") && !project.has("file1"));
}

fn a_sparse_terabyte(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    let built = subject.build(&project, "out = 'made'", "truncate -s 1T made").failed();
    assert_eq!(built.failure("s"), "killed: over its disk limit of 64 GiB");
    assert!(!project.has("made"));
}
