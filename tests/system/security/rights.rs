//! Rights that no step has: over mounts, namespaces, other processes, the kernel.

use super::{Subject, for_each_subject, hostile};

for_each_subject! {
    mounts, namespaces, the_kernels_doors, keys, set_uid_programs, the_machines_switches, pinned,
}

fn mounts(subject: Subject) {
    subject.is_refused(&["EPERM"], &["mount", "umount", "fsopen", "chroot", "pivot-root"]);
}

fn namespaces(subject: Subject) {
    // User, network, mount, PID, UTS: by each call that makes them.
    let flags = [0x1000_0000, 0x4000_0000, 0x0002_0000, 0x2000_0000, 0x0400_0000];
    let mut lines: Vec<String> =
        flags.iter().flat_map(|flag| [format!("unshare {flag}"), format!("clone {flag}")]).collect();
    lines.push("setns".to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    subject.is_refused(&["EPERM"], &lines);
    subject.is_refused(&["ENOSYS", "EPERM"], &["clone3"]);
}

fn the_kernels_doors(subject: Subject) {
    subject.is_refused(
        &["EPERM", "ENOSYS"],
        &["bpf", "perf", "io-uring", "userfaultfd", "syslog", "sethostname"],
    );
}

fn keys(subject: Subject) {
    subject.is_refused(&["EPERM", "ENOSYS"], &["keyctl", "add-key"]);
    let place = subject.place();
    let built = subject.build(&hostile(&place), "", "cat /proc/keys; echo end").ok();
    assert_eq!(built.output("s"), ["end"]);
}

fn set_uid_programs(subject: Subject) {
    let script = "cp hostile /tmp/own; chmod 6755 /tmp/own; /tmp/own setuid\n\
                  for program in /usr/bin/su /usr/bin/passwd /usr/bin/mount; do if test -u $program; then echo set-uid; fi; done\n\
                  grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | tr '\\t' ' '\n\
                  grep -c '^Cap.*:.0000000000000000$' /proc/self/status";
    let place = subject.place();
    let built = subject.build(&hostile(&place), "", script).ok();
    let said = built.output("s");
    // There is no user 0 in there that one could become.
    assert!(["refused setuid: EPERM", "refused setuid: EINVAL"].contains(&said[0]), "{said:#?}");
    assert_eq!(said[1..], ["NoNewPrivs: 1", "Seccomp: 2", "5"]);
}

fn the_machines_switches(subject: Subject) {
    // `h` would only print a help text; nothing at all is written to the others.
    subject.is_refused(
        &["EROFS", "EACCES", "EPERM", "ENOENT"],
        &[
            "write /proc/sysrq-trigger h",
            "write /proc/sys/kernel/core_pattern",
            "write /proc/sys/kernel/sysrq",
            "write /proc/sys/vm/drop_caches",
            "write /proc/sys/user/max_user_namespaces",
            "write /proc/self/oom_score_adj",
            "write /proc/1/mem",
            "create /sys/x",
            "create /usr/x",
            "create /etc/x",
            "create /x",
        ],
    );
}

fn pinned(subject: Subject) {
    let script =
        "id -u; id -g; id -un; hostname; date +%Z; locale 2>/dev/null | grep ^LC_ALL; umask; echo $HOME";
    let place = subject.place();
    let built = subject.build(&hostile(&place), "", script).ok();
    let said = built.output("s");
    assert_eq!(said, ["1000", "1000", "build", "kitchen", "UTC", "LC_ALL=C.UTF-8", "0022", "/home/build"]);
}
