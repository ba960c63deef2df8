//! Projects with a Makefile or a `configure` script, and no project file: what comes out is what make makes by itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::common::{Place, Project, debian};

/// Runs a program outside of any kitchen, with the environment of one; what it prints.
fn by_hand(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(folder).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    let ended = command.env("SOURCE_DATE_EPOCH", "946684800").output().unwrap();
    assert!(ended.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

/// The same where every step finds its project: debug information and what `configure` writes name that folder.
fn by_hand_at_project(folder: &Path, script: &str) -> String {
    let mut words = vec!["bwrap", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"];
    words.extend(["/usr", "/etc", "/bin", "/lib", "/lib64"].iter().flat_map(|at| ["--ro-bind-try", at, at]));
    words.extend(["--bind", folder.to_str().unwrap(), "/project", "--chdir", "/project"]);
    words.extend(["sh", "-c", script]);
    by_hand(folder, &words)
}

#[test]
fn lua_is_what_make_makes_by_itself_edits_included() {
    let place = Place::new();
    let (folder, plain) = (place.path().join("projects/lua"), place.path().join("plain"));
    if !debian::unpack_upstream("lua5.4", &folder) {
        return;
    }
    by_hand(Path::new("/"), &["cp", "-a", folder.to_str().unwrap(), plain.to_str().unwrap()]);
    let project = place.bare("lua");
    let is_same = || {
        by_hand(&plain, &["make"]);
        for made in ["src/lua", "src/luac", "src/liblua.a", "src/lvm.o"] {
            let (ours, theirs) =
                (std::fs::read(project.at(made)).unwrap(), std::fs::read(plain.join(made)).unwrap());
            assert!(ours == theirs, "{made}");
        }
    };
    assert_eq!(project.build(&[]).ok().ran_without_chefs(), ["make"]);
    is_same();
    for folder in [project.at("src/lvm.c"), plain.join("src/lvm.c")] {
        let text = std::fs::read_to_string(&folder).unwrap();
        let edited = text.replace("#define MAXTAGLOOP\t2000", "#define MAXTAGLOOP\t2001");
        assert_ne!(text, edited);
        std::fs::write(folder, edited).unwrap();
    }
    assert_eq!(project.build(&[]).ok().ran_without_chefs(), ["make"]);
    is_same();
}

/// The lines of a `config.log` that are those of every run: neither the machine's name, nor where its tools are, nor what the
/// compiler calls a file in `/tmp`, which is another name each time.
fn of_all(log: &[u8]) -> Vec<String> {
    let own = ["hostname = ", "on ", "PATH: "];
    let text = String::from_utf8_lossy(log);
    let lines = text.lines().filter(|line| own.iter().all(|own| !line.starts_with(own)));
    lines.filter(|line| !line.contains("/tmp/cc")).map(str::to_owned).collect()
}

/// Both folders hold the same files with the same bytes.
#[track_caller]
fn are_equal(ours: &Project<'_>, theirs: &Project<'_>) -> Vec<String> {
    let made = ours.files("");
    assert_eq!(made, theirs.files(""));
    for file in &made {
        let [ours, theirs] = [ours, theirs].map(|side| std::fs::read(side.at(file)).unwrap());
        match file.as_str() {
            "config.log" => assert_eq!(of_all(&ours), of_all(&theirs)),
            _ => assert!(ours == theirs, "{file}"),
        }
    }
    made
}

/// What was compiled, linked and archived, by the lines that make prints.
fn commands<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    lines.filter(|line| ["gcc ", "ar ", "ranlib "].iter().any(|program| line.starts_with(program))).collect()
}

#[test]
fn hello_is_what_configure_and_make_make_by_themselves_edits_included() {
    let place = Place::new();
    let (folder, plain) = (place.path().join("projects/hello"), place.path().join("plain"));
    if !debian::unpack("hello", &folder) {
        return;
    }
    by_hand(Path::new("/"), &["cp", "-a", folder.to_str().unwrap(), plain.to_str().unwrap()]);
    let project = place.bare("hello");
    assert_eq!(project.build(&[]).ok().ran_without_chefs(), ["configure", "make"]);
    by_hand_at_project(&plain, "./configure --quiet && make");
    let plain = Project::new(&place, plain);
    let made = are_equal(&project, &plain);
    assert!(made.contains(&"hello".to_owned()) && made.contains(&"src/hello.o".to_owned()), "{made:?}");

    // A source that one object is made of, and a header of several.
    let edits = [
        ("src/hello.c", "Hello, world!", "Hello, earth!"),
        ("lib/xalloc.h", "#endif", "#endif /* edited */"),
    ];
    for (file, from, to) in edits {
        [&project, &plain].into_iter().for_each(|side| side.replace(file, from, to));
        let edited = project.build(&[]).ok();
        assert_eq!(edited.ran_without_chefs(), ["make"], "{}", edited.said());
        let printed = by_hand_at_project(plain.path(), "make");
        let theirs = commands(printed.lines());
        assert_eq!(commands(edited.output("make").into_iter()), theirs, "{file}");
        assert!(theirs.iter().any(|line| line.contains(" -c ")), "{file}: {printed}");
        are_equal(&project, &plain);
    }
}

const MAKEFILE: &str = "CFLAGS = -O1\n\nprog: main.o\n\tcc -o $@ $^\n\n.PHONY: check clean install\ncheck: prog\n\t./prog > log\n\tgrep -q 7 log\n\n\
                        clean:\n\trm -f prog *.o\n\ninstall:\n\tfalse\n";

fn prog<'p>(place: &'p Place) -> Project<'p> {
    let project = place.bare("p");
    project.write("Makefile", MAKEFILE);
    project.write("main.c", "#include <stdio.h>\nint main(void) { printf(\"7\\n\"); return 0; }\n");
    project
}

#[test]
fn goals_are_there_for_who_asks() {
    let place = Place::new();
    let project = prog(&place);
    assert_eq!(project.build(&[]).ok().ran_without_chefs(), ["make"]);
    let checked = project.build(&["check"]).ok();
    assert_eq!(checked.ran_without_chefs(), ["check"]);
    // It found the program that the default goal has made.
    assert!(checked.output("check").iter().all(|line| !line.starts_with("cc")), "{}", checked.said());
    project.builds(&[]);
    for goal in ["clean", "install"] {
        let refused = project.build(&[goal]).code(2);
        assert!(refused.said().contains(&format!("no step makes `{goal}`")), "{}", refused.said());
    }
    project.replace("main.c", "\"7\\n\"", "\"8\\n\"");
    let wrong = project.build(&["check"]).failed();
    assert_eq!((wrong.ended_as("failed"), wrong.ran_without_chefs()), (vec!["check"], vec!["check", "make"]));
    assert!(wrong.said().contains("why: Makefile:9: the rule for `check` ended with 1"), "{}", wrong.said());
}

#[test]
fn a_makefile_that_wants_the_network() {
    let place = Place::new();
    let project = prog(&place);
    project.replace(
        "Makefile",
        "prog: main.o\n",
        "prog: main.o\n\techo made > part\n\tbash -c 'exec 3<> /dev/tcp/example.org/80'\n",
    );
    let wrong = project.build(&[]).failed();
    let words = "steps have no network: fetch it beforehand, or say `network = true` for the step in `majordomo.toml`";
    assert_eq!(
        wrong.said().lines().filter(|line| line.trim().starts_with("why: ")).count(),
        1,
        "{}",
        wrong.said()
    );
    assert!(wrong.said().contains(words), "{}", wrong.said());
    // Nothing of it is kept: neither what it made before it failed, nor that it failed.
    assert!(!project.has("part") && !project.has("main.o"));
    let again = project.build(&[]).failed();
    assert_eq!((again.ran_without_chefs(), again.failure("make")), (vec!["make"], wrong.failure("make")));
}

#[test]
fn what_a_compiler_or_make_says_has_its_place() {
    let place = Place::new();
    let project = prog(&place);
    project.replace("main.c", "return 0", "retrun 0");
    let wrong = project.build(&[]).failed();
    assert!(wrong.said().contains("why: main.c:2: `retrun` undeclared"), "{}", wrong.said());
    project.write("main.c", "#include \"nowhere.h\"\nint main(void) { return 0; }\n");
    let wrong = project.build(&[]).failed();
    let words = "why: main.c:1: `nowhere.h` is not there, neither in the project nor on this machine";
    assert!(wrong.said().contains(words), "{}", wrong.said());
    project.write("main.c", "int f(void);\nint main(void) { return f(); }\n");
    let wrong = project.build(&[]).failed();
    assert!(
        wrong.said().contains("why: `f` is used, and nothing that is linked defines it"),
        "{}",
        wrong.said()
    );
    project.replace("Makefile", "prog: main.o", "prog: main.o missing.c");
    let wrong = project.build(&[]).failed();
    assert!(
        wrong.said().contains("why: `missing.c` is not there, and no rule makes it; `prog` needs it"),
        "{}",
        wrong.said()
    );
}

#[test]
fn steps_of_a_project_file_are_explained_too() {
    let place = Place::new();
    let project = place.project("p", "[step.object]\nrun = 'cc -c a.c'\ncwd = 'src'\n");
    project.write("src/a.c", "int a = b;\n");
    let wrong = project.build(&[]).failed();
    assert!(
        wrong.said().contains("  why: src/a.c:1: `b` undeclared here (not in a function)"),
        "{}",
        wrong.said()
    );
    let explained = wrong.events.iter().find(|event| event["event"] == "step-explained").unwrap();
    assert_eq!((&explained["step"], &explained["reasons"][0]["line"]), (&"object".into(), &1.into()));
    // What nobody knows is left at what was printed.
    project.write("majordomo.toml", "[step.odd]\nrun = 'echo odd; exit 3'\n");
    let odd = project.build(&[]).failed();
    assert!(!odd.said().contains("why: "), "{}", odd.said());
}

#[test]
fn a_file_that_is_named_runs_no_other_goal() {
    let place = Place::new();
    let project = place.bare("p");
    project.write(
        "Makefile",
        "all: out/a.txt\nout/a.txt: in\n\tmkdir -p out; cp in $@\n.PHONY: flash deploy\nflash:\n\techo FLASHING\n\
         deploy:\n\texit 3\n",
    );
    project.write("in", "1\n");
    let built = project.build(&["out/a.txt"]).ok();
    assert_eq!(built.ran_without_chefs(), ["make"], "{}", built.said());
    assert_eq!(project.read("out/a.txt"), "1\n");
}
