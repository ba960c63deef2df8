//! What a step sees of the machine: its tools, traced, and nothing else; the same for root and for an ordinary user.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::common::private_mounts::{small_disk, unshare_mounts};
use crate::common::{Gate, Place, Project, Running};
use crate::engines::has_podman;

/// Runs a script in a step of its own, and gives what it printed.
#[track_caller]
fn step_says(project: &Project<'_>, script: &str) -> String {
    project.write("majordomo.toml", format!("[step.s]\nrun = '''\n{script}\n'''\n"));
    project.build(&[]).ok().output("s").join("\n")
}

const WHO: &str = r#"
echo "$(id -u):$(id -g) $(id -un) $HOME $(hostname) $(umask)"
echo "$(cat /etc/passwd | wc -l) users"
ls -d /run /sys /root /srv /mnt 2>/dev/null || true
ls -A /tmp /var/tmp /home/build
stat -c '%n %U %Y' majordomo.toml
date +%Z
test -w /usr && echo '/usr can be written'
touch /usr/x 2>/dev/null || echo 'no writing outside of the project'
cat /etc/shadow 2>/dev/null || echo 'no shadow'
ls /proc | grep -c '^[0-9]*$' | sed 's/^[1-9]$/few/'
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\t'
test -t 0 && echo 'a session' || echo 'no session'
env | cut -d= -f1 | grep -v '^_$' | sort | tr '\n' ' ' | sed 's/ $//'
"#;

#[test]
fn a_step_is_the_same_user_on_the_same_machine_whoever_calls_and_in_each_engine() {
    let says = |place: &Place, engine: &str| {
        let project = place.project(engine, &format!("[step.s]\nrun = '''\n{WHO}\n'''\n"));
        project.build(&["--sandbox", engine]).ok().output("s").join("\n")
    };
    let places = [Place::new(), Place::ordinary()];
    let as_caller = says(&places[0], "native");
    insta::assert_snapshot!(as_caller, @r"
    1000:1000 build /home/build kitchen 0022
    3 users
    /home/build:

    /tmp:

    /var/tmp:
    majordomo.toml build 946684800
    UTC
    no writing outside of the project
    no shadow
    few
    CapEff:0000000000000000
    NoNewPrivs:1
    Seccomp:2
    no session
    HOME LC_ALL PATH PWD SOURCE_DATE_EPOCH TZ USER
    ");
    assert_eq!(says(&places[1], "native"), as_caller);
    if has_podman() {
        for place in &places {
            assert_eq!(says(place, "podman"), as_caller);
        }
    }
}

#[test]
fn the_callers_files_are_not_there() {
    let place = Place::new();
    let project = place.project("p", "");
    fs::write(place.path().join("secret"), "secret").unwrap();
    let script = format!("ls -d '{0}' '{0}/secret' 2>/dev/null || echo nothing", place.path().display());
    assert_eq!(step_says(&project, &script), "nothing");
    let home = format!("ls '{}' 2>/dev/null || echo nothing", place.home().display());
    assert_eq!(step_says(&project, &home), "nothing");
}

#[test]
fn git_and_our_own_folder_are_no_part_of_the_project() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'ls -A > made'\nout = 'made'\n");
    project.write(".git/config", "x");
    project.write(".hidden", "x");
    project.builds(&["s"]);
    // The promised output has been opened for writing before `ls` looks.
    assert_eq!(project.read("made"), ".hidden\nmade\nmajordomo.toml\n");
    project.write(".git/config", "y");
    project.builds(&[]);
    // git's ignore rules hide nothing.
    project.write(".gitignore", "*.o\nbuild/\n");
    project.write("a.o", "x");
    project.build(&[]).ok();
    assert!(project.read("made").contains("a.o"));
}

#[test]
fn tools_elsewhere_are_named_by_tool_roots_and_traced() {
    // Tools have to be where a step has nothing of its own, and everybody may read.
    if !unshare_mounts() {
        return;
    }
    small_disk(Path::new("/mnt"), 1024);
    let place = Place::new();
    let tools = Path::new("/mnt/tools");
    let program = tools.join("bin/mytool");
    fs::create_dir_all(tools.join("bin")).unwrap();
    let write = |text: &str| {
        fs::write(&program, format!("#!/bin/sh\necho {text} \"$@\"\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("one");
    let rule = "[step.s]\nrun = 'mytool x > made'\nout = 'made'\n[step.other]\nrun = 'echo y > other'\nout = 'other'\n";
    let project = place.project("p", rule);
    let missing = project.build(&["s"]).failed();
    assert_eq!(missing.failure("s"), "exit code 127");
    project.write("majordomo.toml", format!("[tools]\nroots = ['{}']\n{rule}", tools.display()));
    project.builds(&["other", "s"]);
    assert_eq!(project.read("made"), "one x\n");
    project.builds(&[]);
    write("two");
    let built = project.builds(&["s"]);
    assert_eq!(built.reason("s"), format!("{} changed", program.display()));
    assert_eq!(project.read("made"), "two x\n");
    write("one");
    project.builds(&[]);
    assert_eq!(project.read("made"), "one x\n");
}

/// A folder with a program `mytool` that prints a word.
fn toolchain(folder: &Path, word: &str) {
    let program = folder.join("bin/mytool");
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::write(&program, format!("#!/bin/sh\necho {word}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_tool_root_behind_a_link_that_leads_elsewhere_now() {
    if !unshare_mounts() {
        return;
    }
    small_disk(Path::new("/mnt"), 1024);
    let place = Place::new();
    let link = Path::new("/mnt/current");
    let point = |to: &str| {
        fs::remove_file(link).ok();
        symlink(to, link).unwrap();
    };
    ["one", "two"].iter().for_each(|word| toolchain(&Path::new("/mnt").join(word), word));
    point("one");
    let file = "[tools]\nroots = ['/mnt/current']\n[step.s]\nrun = 'mytool > made'\nout = 'made'\n";
    let project = place.project("p", file);
    project.builds(&["s"]);
    project.builds(&[]);
    point("two");
    project.builds(&["s"]);
    assert_eq!(project.read("made"), "two\n");
    project.builds(&[]);
}

#[test]
fn rustups_default_toolchain_is_the_callers_of_now() {
    if !unshare_mounts() {
        return;
    }
    small_disk(Path::new("/mnt"), 1024);
    let place = Place::new();
    let gate = Gate::new();
    let rustup = |home: &str, default: &str| {
        fs::create_dir_all(home).unwrap();
        fs::write(format!("{home}/settings.toml"), format!("default_toolchain = '{default}'\n")).unwrap();
    };
    for word in ["stable", "nightly"] {
        toolchain(&Path::new("/mnt/rustup/toolchains").join(word), word);
    }
    toolchain(Path::new("/mnt/other/toolchains/stable"), "other");
    rustup("/mnt/rustup", "stable");
    rustup("/mnt/other", "stable");
    let project = place.project("p", "[step.s]\nrun = 'mytool > made'\nout = 'made'\n");
    let build_with = |home: &str| {
        let mut command = place.command("majordomo", &["build", "--events", "-", "-p"]);
        command.arg(project.path()).env("RUSTUP_HOME", home);
        let built = Running::start(command).built().ok();
        (built.ran().len(), project.read("made"))
    };
    assert_eq!(build_with("/mnt/rustup"), (1, "stable\n".into()));
    assert_eq!(build_with("/mnt/rustup"), (0, "stable\n".into()));
    rustup("/mnt/rustup", "nightly");
    assert_eq!(build_with("/mnt/rustup"), (1, "nightly\n".into()));
    // Another process holds the pod, and has no rustup at all.
    let gated = format!("[step.s]\nnetwork = true\nrun = \"\"\"\n{}\"\"\"\n", gate.command());
    let holder_project = place.project("holder", &gated);
    let holder = holder_project.start(&[]);
    let at_the_gate = gate.arrival();
    assert_eq!(build_with("/mnt/other"), (1, "other\n".into()));
    assert_eq!(build_with("/mnt/other"), (0, "other\n".into()));
    at_the_gate.go();
    holder.built().ok();
}

#[test]
fn tool_roots_that_no_step_could_see_are_refused() {
    let place = Place::new();
    let project = place.project("p", "[tools]\nroots = ['/no/such/folder']\n[step.s]\nrun = 'true'\n");
    insta::assert_snapshot!(project.build(&[]).code(2).said(), @r"
    error: the tool root `/no/such/folder` cannot be used: No such file or directory (os error 2)

    hint: `[tools] roots` names folders of this machine, by absolute paths
    ");
    let file = |root: &str| {
        project.write("majordomo.toml", format!("[tools]\nroots = ['{root}']\n[step.s]\nrun = 'true'\n"))
    };
    file("/tmp");
    insta::assert_snapshot!(project.build(&[]).code(2).said(), @r#"
    error: [PLACE]/projects/p/majordomo.toml:2:10: `/tmp` cannot be a tool root: steps have a folder of their own there
      |
    2 | roots = ['/tmp']
      |          ^^^^^^

    hint: give the absolute path of a folder with tools, such as `"/srv/toolchain"`
    "#);
    for own in ["/tmp/below", "/var/tmp/below", "/home/build"] {
        file(own);
        let said = project.build(&[]).code(2).said().to_owned();
        assert!(said.contains(&format!("`{own}` cannot be a tool root")), "{said}");
    }
}

#[test]
fn no_step_sees_another_ones_temporary_files_or_processes() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.a]\nrun = 'echo x > /tmp/mine; echo x > /var/tmp/mine; echo x > $HOME/mine; (sleep 1000 &); echo a > a'\nout = 'a'\n\
         [step.b]\nrun = 'cat a; ls -A /tmp /var/tmp $HOME; ps ax 2>/dev/null | grep -c [s]leep || true'\nafter = 'a'\n",
    );
    let built = project.builds(&["a", "b"]);
    let said = built.output("b").join(" ");
    assert!(!said.contains("mine"), "{said}");
    place.assert_nothing_left();
}
