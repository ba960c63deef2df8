//! Devices: the usual six, and none that a step could make or leave behind.

use super::{Subject, for_each_subject, hostile};

for_each_subject! { the_usual_six_and_no_others, no_new_ones, none_as_outputs }

fn the_usual_six_and_no_others(subject: Subject) {
    let place = subject.place();
    let script =
        "cd /dev; for name in *; do if test ! -h $name -a ! -d $name; then stat -Lc '%n %F' $name; fi; done";
    let built = subject.build(&hostile(&place), "", script).ok();
    let six = ["full", "null", "random", "tty", "urandom", "zero"]
        .map(|name| format!("{name} character special file"));
    assert_eq!(built.output("s"), six);
    let lines =
        ["mem", "kmem", "port", "kmsg", "fuse", "kvm", "net/tun", "loop0", "vda", "sda", "vsock", "console"];
    let lines = lines.map(|name| format!("read /dev/{name}"));
    subject.is_refused(&["ENOENT", "EACCES"], &lines.each_ref().map(String::as_str));
}

fn no_new_ones(subject: Subject) {
    subject.is_refused(&["EPERM"], &["mknod"]);
}

fn none_as_outputs(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    for (script, what) in [
        ("mkfifo made", "a FIFO"),
        ("cp hostile made; chmod u+s made", "a set-id file"),
        ("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"made\")'", "a socket"),
    ] {
        if what == "a socket" && !std::fs::exists("/usr/bin/python3").unwrap() {
            continue;
        }
        let built = subject.build(&project, "", script).failed();
        assert!(built.failure("s").contains(&format!("`made`, which is {what}")), "{}", built.said());
        assert!(!project.has("made"));
    }
}
