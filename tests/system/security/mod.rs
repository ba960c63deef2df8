//! Hostile steps: what each tries, and that it comes to nothing. Once for each engine and each kind of user.
//!
//! A hole would do no real damage: `hostile.c` counts what it does, uses values that change nothing, and targets that are thrown away.

mod devices;
mod files;
mod network;
mod processes;
mod rights;

use std::path::Path;
use std::process::Command;

use crate::common::{Built, Place, Project};

/// Under what a hostile step runs.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// What `--sandbox` says.
    pub engine: &'static str,
    /// Whether the caller is no root.
    pub ordinary: bool,
}

impl Subject {
    pub fn place(self) -> Place {
        if self.ordinary { Place::ordinary() } else { Place::new() }
    }
}

/// The tests of a module, for each subject. Another engine is another line here.
macro_rules! for_each_subject {
    ($($(#[$about:meta])* $test:ident),* $(,)?) => {
        for_each_subject!(@ native, "native", false: $($(#[$about])* $test),*);
        for_each_subject!(@ native_ordinary, "native", true: $($(#[$about])* $test),*);
        for_each_subject!(@ podman, "podman", false: $($(#[$about])* $test),*);
        for_each_subject!(@ podman_ordinary, "podman", true: $($(#[$about])* $test),*);
    };
    (@ $name:ident, $engine:literal, $ordinary:literal: $($(#[$about:meta])* $test:ident),*) => {
        mod $name {
            $(#[test] $(#[$about])* fn $test() {
                crate::security::under($engine, $ordinary, super::$test);
            })*
        }
    };
}
pub(crate) use for_each_subject;

/// Runs a test under an engine, if this machine has it.
pub fn under(engine: &'static str, ordinary: bool, test: fn(Subject)) {
    if engine == "podman" && !crate::engines::has_podman() {
        return;
    }
    test(Subject { engine, ordinary });
}

/// Where nothing holds it, the program does what it is refused elsewhere: a refusal says something.
#[test]
fn hostile_does_what_it_says() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root may do all that steps may not");
        return;
    }
    let place = Place::new();
    let project = hostile(&place);
    let run = |program: &mut Command| {
        let ended = program.current_dir(project.path()).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).unwrap()
    };
    run(Command::new("cc").args(["-w", "-o", "hostile", "hostile.c"]));
    for line in [
        &["mount"][..],
        &["fsopen"],
        &["chroot"],
        &["unshare", "131072"],
        &["clone", "131072"],
        &["clone3"],
        &["setns"],
        &["kill", "1"],
        &["sethostname"],
        &["setuid"],
        &["mknod"],
        &["raw"],
        &["packet"],
        &["read", "/etc/shadow"],
        &["list", "/root"],
        &["create", "file"],
        &["write", "file", "h"],
        &["forks", "3"],
        &["hogs", "3"],
        &["fills", "file", "1"],
        &["opens", "3"],
    ] {
        // Its mounts, names and processes are its own, and end with it.
        let mut program = Command::new("unshare");
        program
            .args([
                "--mount",
                "--uts",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "--",
                "./hostile",
            ])
            .args(line);
        assert_eq!(run(&mut program), format!("HARM {}\n", line[0]));
    }
}

/// A project with the program `./hostile`.
pub fn hostile<'p>(place: &'p Place) -> Project<'p> {
    let project = place.project("p", "");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/security/hostile.c");
    project.write("hostile.c", std::fs::read(source).unwrap());
    project
}

/// The project file with the step `s`, which may run `./hostile`.
pub fn with_step(project: &Project<'_>, keys: &str, script: &str) {
    let hostile = "[step.hostile]\nrun = 'cc -w -o hostile hostile.c'\nout = 'hostile'\n";
    project.write("majordomo.toml", format!("{hostile}[step.s]\n{keys}\nrun = '''\n{script}\n'''\n"));
}

impl Subject {
    /// Whether this machine's control groups hold whole steps to limits for this caller, so that it can be said which one was reached.
    pub fn has_groups(self) -> bool {
        let hierarchies = ["memory/cgroup.procs", "pids/cgroup.procs", "cgroup.subtree_control"];
        !self.ordinary
            && hierarchies.iter().any(|file| std::fs::exists(Path::new("/sys/fs/cgroup").join(file)).unwrap())
    }

    /// Builds the step `s`.
    pub fn build(self, project: &Project<'_>, keys: &str, script: &str) -> Built {
        with_step(project, keys, script);
        project.build(&["--sandbox", self.engine])
    }

    /// Runs lines of `hostile` in one step, and gives what each came to: `refused mount: EPERM`.
    #[track_caller]
    pub fn tries(self, keys: &str, lines: &[&str]) -> Vec<String> {
        let place = self.place();
        let project = hostile(&place);
        let script = lines.iter().map(|line| format!("./hostile {line}\n")).collect::<String>();
        let built = self.build(&project, keys, &script).ok();
        let said: Vec<String> = built.output("s").into_iter().map(str::to_owned).collect();
        assert_eq!(said.len(), lines.len(), "{said:#?}");
        said
    }

    /// Asserts that each line is refused with one of these errors.
    #[track_caller]
    pub fn is_refused(self, errors: &[&str], lines: &[&str]) {
        for (said, line) in self.tries("", lines).iter().zip(lines) {
            let refused = said.starts_with("refused ");
            assert!(refused && errors.iter().any(|error| said.ends_with(error)), "{line}: {said}");
        }
    }
}
