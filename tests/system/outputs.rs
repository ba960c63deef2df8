//! What steps make, in all its kinds: handed over as it was made, restored the same, and versions of one path in their order.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::common::{Place, Project};

/// Path, kind and permissions, and what a link points to.
fn shape(project: &Project<'_>, path: &str) -> String {
    let at = project.at(path);
    let meta = fs::symlink_metadata(&at).unwrap();
    match (meta.is_symlink(), meta.is_dir()) {
        (true, _) => format!("{path} -> {}", fs::read_link(&at).unwrap().display()),
        (_, true) => format!("{path}/ with {}", fs::read_dir(&at).unwrap().count()),
        _ => format!("{path} {:o} {} bytes", meta.mode() & 0o7777, meta.len()),
    }
}

#[test]
fn every_kind_is_handed_over_and_restored_as_it_was_made() {
    let place = Place::new();
    let script = r#"
mkdir -p o/empty o/deep/er
printf '#!/bin/sh\necho ran' > o/tool; chmod 700 o/tool
printf 'closed' > o/closed; chmod 600 o/closed
ln -s deep/er/file o/link; ln -s nowhere o/dangling; ln -s . o/self
printf 'x' > o/deep/er/file; ln o/deep/er/file o/twin
: > o/nothing
truncate -s 3000000 o/sparse
"#;
    let project = place.project("p", &format!("[step.s]\nrun = '''{script}'''\nout = 'o/'\n"));
    project.builds(&["s"]);
    let paths = [
        "o/empty",
        "o/tool",
        "o/closed",
        "o/link",
        "o/dangling",
        "o/self",
        "o/twin",
        "o/nothing",
        "o/sparse",
    ];
    let made: Vec<_> = paths.iter().map(|path| shape(&project, path)).collect();
    insta::assert_snapshot!(made.join("\n"), @r"
    o/empty/ with 0
    o/tool 755 18 bytes
    o/closed 644 6 bytes
    o/link -> deep/er/file
    o/dangling -> nowhere
    o/self -> .
    o/twin 644 1 bytes
    o/nothing 644 0 bytes
    o/sparse 644 3000000 bytes
    ");
    let said = std::process::Command::new(project.at("o/tool")).output().unwrap();
    assert_eq!(said.stdout, b"ran\n");
    project.builds(&[]);

    project.remove("o");
    assert!(project.builds(&[]).count("written") > 0);
    let restored: Vec<_> = paths.iter().map(|path| shape(&project, path)).collect();
    assert_eq!(restored, made);
    project.builds(&[]);
}

#[test]
fn what_is_handed_over_is_the_users_own_and_not_the_larders() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.s]\nrun = 'head -c 2000000 /dev/zero > big; cp source small'\nout = ['big', 'small']\n",
    );
    project.write("source", "1");
    project.builds(&["s"]);
    for name in ["big", "small"] {
        let before = project.at(name);
        assert_eq!(fs::metadata(&before).unwrap().nlink(), 1, "{name} is a link into the larder");
        fs::OpenOptions::new().append(true).open(&before).unwrap().set_len(1).unwrap();
    }
    project.build(&["--take-back"]).ok();
    assert_eq!(fs::metadata(project.at("big")).unwrap().len(), 2_000_000);
    assert_eq!(project.read("small"), "1");
    place.pod(&["fsck"]).ok();
}

#[test]
fn an_output_that_goes_away_is_removed_and_its_folder_too() {
    let place = Place::new();
    let project =
        place.project("p", "[step.s]\nrun = 'mkdir -p o; for n in $(cat names); do echo $n > o/$n; done'\n");
    project.write("names", "a b c");
    project.builds(&["s"]);
    assert_eq!(project.files("o"), ["o/a", "o/b", "o/c"]);
    project.write("o/mine", "not an output");
    project.write("names", "b");
    project.builds(&["s"]);
    assert_eq!(project.files("o"), ["o/b", "o/mine"]);
    project.remove("o/mine");
    project.write("majordomo.toml", "[step.t]\nrun = 'true'\n");
    project.builds(&["t"]);
    assert!(!project.has("o"), "{:?}", project.files(""));
}

#[test]
fn a_later_version_is_for_later_readers() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
        [step.first]
        run = "cp source o"
        out = "o"
        [step.between]
        run = "cp o seen-between"
        out = "seen-between"
        after = "first"
        [step.second]
        run = "echo more >> o"
        after = "first"
        [step.last]
        run = "cp o seen-last"
        out = "seen-last"
        after = "second"
        "#,
    );
    project.write("source", "1\n");
    project.build(&[]).ok();
    assert_eq!(project.read("seen-between"), "1\n");
    assert_eq!(project.read("seen-last"), "1\nmore\n");
    assert_eq!(project.read("o"), "1\nmore\n");
    project.builds(&[]);
    project.write("source", "2\n");
    project.builds(&["between", "first", "last", "second"]);
    assert_eq!((project.read("seen-between"), project.read("o")), ("2\n".into(), "2\nmore\n".into()));
}

#[test]
fn a_step_may_remove_what_an_earlier_one_made() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.make]\nrun = 'mkdir t; cp source t/a; cp source t/b'\n\
         [step.strip]\nrun = 'rm t/a; ls t > left'\nafter = 'make'\n",
    );
    project.write("source", "1");
    project.builds(&["make", "strip"]);
    assert_eq!((project.read("left"), project.has("t/a"), project.has("t/b")), ("b\n".into(), false, true));
    project.builds(&[]);
    project.remove("t");
    project.builds(&[]);
    assert_eq!(project.files("t"), ["t/b"]);
}

#[test]
fn the_project_may_be_a_folder_with_a_strange_name_and_a_deep_home() {
    let place = Place::new();
    let deep = place.path().join("a-name-of-thirty-two-characters--".repeat(5)).join("home");
    let project = place.project(
        "it's a \"strange\" \u{fc}ber-folder\n$x",
        "[step.s]\nrun = 'cp source made'\nout = 'made'\n",
    );
    project.write("source", "1");
    let mut command = place.command("majordomo", &["build", "--events", "-", "--home"]);
    command.arg(&deep).arg("-p").arg(project.path());
    assert_eq!(crate::common::Running::start(command).built().ok().ran(), ["s"]);
    assert_eq!(project.read("made"), "1");
}

#[test]
fn a_step_may_alter_sources_for_those_after_it() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
[step.configure]
run = "mkdir out; mv config.h config.h.old; echo altered >> input; sed s/1/2/ config.h.old > out/config.h"
out = "out/"
alters = true
[step.after]
run = "cat input *.old out/config.h > seen; ls *.* >> seen"
out = "seen"
after = "configure"
[step.aside]
run = "cat input config.h > aside"
out = "aside"
"#,
    );
    project.write("config.h", "config 1\n");
    project.write("input", "input\n");
    project.builds(&["after", "aside", "configure"]);
    let names = "config.h.old\nmajordomo.toml\n";
    assert_eq!(project.read("seen"), format!("input\naltered\nconfig 1\nconfig 2\n{names}"));
    assert_eq!(project.read("aside"), "input\nconfig 1\n");
    // What is the user's own stays so.
    assert_eq!((project.read("config.h"), project.read("input")), ("config 1\n".into(), "input\n".into()));
    project.builds(&[]);
    let other = project.checkout("q");
    for made in ["aside", "config.h.old", "out", "seen"] {
        other.remove(made);
    }
    other.builds(&[]);
    assert_eq!(other.read("config.h"), "config 1\n");

    project.write("config.h", "config 3\n");
    project.builds(&["after", "aside", "configure"]);
    assert!(project.read("seen").starts_with("input\naltered\nconfig 3\nconfig 3\n"));
    project.replace("majordomo.toml", "alters = true\n", "");
    project.build(&[]).code(1);
}

#[test]
fn what_nobody_wants_is_no_output() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
[step.compile]
each = "*.c"
run = "gcc -MD -MF {stem}.d -c {in} -o {out}; echo > wanted"
out = "{stem}.o"
scratch = ["{stem}.d", "never-made"]
"#,
    );
    project.write("a.c", "int a;\n");
    project.builds(&["compile:a.c"]);
    assert!(project.has("a.o") && project.has("wanted") && !project.has("a.d"));
    project.builds(&[]);
}

#[test]
fn sizes_may_not_matter() {
    let place = Place::new();
    let steps = r#"
[step.strict]
run = "test -f input && test -f new || true"
[step.lax]
run = "test -f input && test -f new || true"
sizes = false
"#;
    let project = place.project("p", steps);
    project.write("input", "1\n");
    project.builds(&["lax", "strict"]);
    project.write("input", "longer\n");
    project.builds(&["strict"]);
    project.write("new", "");
    project.builds(&["lax", "strict"]);
}

/// Each would do something, outside of any kitchen, the next time that the user works in the folder.
#[test]
fn what_programs_run_or_believe_is_nobodys_output() {
    let place = Place::new();
    let project = place.bare("p");
    let refused = |command: &str, path: &str, part: &str| {
        project.write("Makefile", format!("all:\n\t{command}\n"));
        let built = project.build(&[]).failed();
        let expected = format!("it wrote `{path}`, and no step may write `{part}`");
        assert!(built.said().contains(&expected), "{}", built.said());
        assert!(!project.has(path), "{path}");
    };
    refused("mkdir -p .git/hooks; echo echo harm > .git/hooks/pre-commit", ".git/hooks/pre-commit", ".git");
    refused("mkdir -p sub/.git; echo x > sub/.git/config", "sub/.git/config", ".git");
    refused("echo gitdir: /elsewhere > .git", ".git", ".git");
    refused("mkdir -p .majordomo; echo x > .majordomo/evil", ".majordomo/evil", ".majordomo");
    refused("echo '[step.s]' > majordomo.toml", "majordomo.toml", "majordomo.toml");
    assert!(!project.has("majordomo.toml"));
    // Deeper down it is a file like any other.
    project.write("Makefile", "all:\n\tmkdir -p sub; echo '[step.s]' > sub/majordomo.toml\n");
    project.build(&[]).ok();
    assert_eq!(project.read("sub/majordomo.toml"), "[step.s]\n");
}

#[test]
fn links_that_lead_out_of_the_project_are_no_outputs() {
    let place = Place::new();
    for (target, link) in
        [("/etc/passwd", "abs"), ("/proc/self/exe", "pe"), ("../../../../etc/hostname", "rel"), ("/", "root")]
    {
        let project =
            place.project(link, &format!("[step.s]\nrun = 'mkdir -p d; ln -s {target} d/{link}'\n"));
        let built = project.build(&[]).failed();
        let words = format!(
            "s failed: it made the link `d/{link}` to `{target}`: a link may lead to what is in the project"
        );
        assert!(built.said().contains(&words), "{}", built.said());
        assert!(built.said().contains("name it in `scratch`"), "{}", built.said());
        assert!(!project.has("d"));
        // What the sentence says helps.
        project.write(
            "majordomo.toml",
            format!("[step.s]\nrun = 'mkdir -p d; ln -s {target} d/{link}'\nscratch = 'd/{link}'\n"),
        );
        project.build(&[]).ok();
    }
    // What a link leads to that another one leads to is looked at with each of them.
    let project = place.project("chain", "[step.s]\nrun = 'mkdir d; ln -s .. d/up; ln -s d/up/../x out'\n");
    let built = project.build(&[]).failed();
    assert!(built.said().contains("it made the link `out` to `d/up/../x`"), "{}", built.said());
}

#[test]
fn links_lead_where_they_led_in_the_step() {
    let place = Place::new();
    let script = r#"
mkdir -p o/lib
echo one > o/lib/lib.so.1; ln -s lib.so.1 o/lib/lib.so
ln -s /project/source o/source; ln -s ../../project/source o/out-and-back
ln -s /usr/bin/env o/env; ln -s ../../usr/bin/env o/relative-env
mkdir -p o/etc; ln -s /dev/null o/etc/masked.service; ln -s /etc/alternatives/awk o/awk
mkdir -p o/deep/real; ln -s deep/real o/alias; echo a > o/deep/a.c; ln -s alias/../a.c o/aa
mkdir o/build; ln -s "$(pwd)/o/lib" o/build/lib
cat o/source o/build/lib/lib.so > o/read
"#;
    let rule = format!(
        "[step.s]\nrun = '''{script}'''\nout = 'o/'\n[step.t]\nrun = 'cat o/source o/build/lib/lib.so > t'\nout = 't'\n"
    );
    let project = place.project("p", &rule);
    project.write("source", "precious\n");
    project.builds(&["s", "t"]);
    let links = [
        "lib/lib.so",
        "source",
        "out-and-back",
        "env",
        "relative-env",
        "build/lib",
        "etc/masked.service",
        "awk",
        "aa",
    ];
    let links = links.map(|link| shape(&project, &format!("o/{link}")));
    insta::assert_snapshot!(links.join("\n"), @r"
    o/lib/lib.so -> lib.so.1
    o/source -> ../source
    o/out-and-back -> ../source
    o/env -> /usr/bin/env
    o/relative-env -> /usr/bin/env
    o/build/lib -> ../lib
    o/etc/masked.service -> /dev/null
    o/awk -> /etc/alternatives/awk
    o/aa -> deep/a.c
    ");
    for read in ["o/read", "t"] {
        assert_eq!(project.read(read), "precious\none\n");
    }
    assert_eq!(project.read("o/source"), "precious\n", "it leads elsewhere here");
    project.builds(&[]);
}

#[test]
fn a_step_that_keeps_its_links_settles() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.s]\nrun = 'mkdir -p k; ln -sf /project/source k/l; echo x >> k/count; tail -n 1 k/count > k/count.new; mv k/count.new k/count'\nkeep = ['k/**']\nout = 'k/'\n",
    );
    project.write("source", "1");
    project.build(&[]).ok();
    assert_eq!(shape(&project, "k/l"), "k/l -> ../source");
    project.builds(&[]);
}

#[test]
fn a_mark_is_seen_by_steps_and_given_to_nobody() {
    let place = Place::new();
    let file = "[step.made]\nrun = 'echo made > thing; touch done'\nout = ['done', 'thing']\nscratch = 'done'\n\
                [step.after]\nrun = 'cat done thing > copy'\nout = 'copy'\n";
    let project = place.project("p", file);
    project.builds(&["after", "made"]);
    assert_eq!(project.files(""), ["copy", "majordomo.toml", "thing"]);
    let status = project.ask("status", &["--json"]).ok().json();
    assert_eq!(status["missing"], serde_json::json!([]));
    project.builds(&[]);
    // Not even where it is asked for; and it has to be made.
    project.build(&["done"]).ok();
    assert!(!project.has("done"));
    project.replace("majordomo.toml", "\nscratch = 'done'", "");
    project.build(&[]).ok();
    assert!(project.has("done"));
    project.write("majordomo.toml", file);
    project.build(&[]).ok();
    assert!(!project.has("done"));
    project.replace("majordomo.toml", "; touch done", "");
    let failed = project.build(&[]).failed();
    assert!(failed.failure("made").contains("`done`"), "{}", failed.said());
}
