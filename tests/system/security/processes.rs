//! Processes: others are out of reach, and none outlives its step.

use super::{Subject, for_each_subject, hostile};

for_each_subject! { other_processes, what_wants_to_stay, fork_bomb, memory_hog, many_open_files }

fn other_processes(subject: Subject) {
    let me = std::process::id();
    // The test's own process by its number out here; the step's init; and all that there are in there.
    subject.is_refused(&["ESRCH", "EPERM"], &[&format!("ptrace {me}"), &format!("kill {me}"), "ptrace 1"]);
    let place = subject.place();
    // Its init, the shell, and what lists them.
    let script = "ls /proc | grep -c '^[0-9]*$'";
    let built = subject.build(&hostile(&place), "", script).ok();
    assert_eq!(built.output("s"), ["4"]);
}

fn what_wants_to_stay(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    // Tests run side by side: each looks for seconds of its own.
    let seconds = if subject.ordinary { 82_615 } else { 82_616 };
    // Its init, the shell, the one that hides, and what lists them.
    let script = format!("./hostile hides {seconds}; ls /proc | grep -c '^[0-9]*$'");
    assert_eq!(subject.build(&project, "", &script).ok().output("s"), ["5"]);
    let stays = || {
        let line = format!("sleep\0{seconds}\0").into_bytes();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|found| found == line))
            .count()
    };
    assert_eq!(stays(), 0);
    let built = subject
        .build(
            &project,
            "timeout = '1s'",
            &format!("trap '' TERM; ./hostile hides {seconds}; sleep {seconds}"),
        )
        .failed();
    assert!(built.failure("s").contains("`timeout`"), "{}", built.said());
    assert_eq!(stays(), 0);
    place.assert_nothing_left();
}

fn fork_bomb(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    let script = "echo before; ./hostile forks 3000";
    let built = subject.build(&project, "limits = { processes = 100 }", script);
    assert!(!built.output("s").contains(&"HARM forks"), "{}", built.said());
    assert_eq!(built.output("s")[0], "before");
    if subject.has_groups() {
        assert_eq!(built.failed().failure("s"), "killed: over its limit of 100 processes");
    }
    place.assert_nothing_left();
}

fn memory_hog(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    let script = "echo before; ./hostile hogs 300";
    let built = subject.build(&project, "limits = { memory = '64M' }", script);
    assert!(!built.output("s").contains(&"HARM hogs"), "{}", built.said());
    assert_eq!(built.output("s")[0], "before");
    if subject.has_groups() {
        assert_eq!(built.failed().failure("s"), "killed: over its memory limit of 64 MiB");
    }
}

fn many_open_files(subject: Subject) {
    let place = subject.place();
    let built = subject.build(&hostile(&place), "limits = { open_files = 64 }", "./hostile opens 100").ok();
    assert_eq!(built.output("s"), ["refused opens: EMFILE"]);
}
