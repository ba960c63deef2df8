//! T14. What was made once is made nowhere again: another checkout with the same home, another home with the same objects.

use std::fs;
use std::path::Path;

use crate::common::{Built, Place, Project, Running};

/// Compilers write the folder that they work in into what they make, so that must be the same everywhere.
const FILE: &str = r#"
[step.compile]
each = "src/*.c"
run = "gcc -g -O1 -Wall -c {in} -o {out}"
out = "obj/{stem}.o"
[step.link]
run = "gcc -g -o prog obj/*.o; pwd > where; echo linked"
out = "prog"
after = "compile"
"#;

fn program(place: &Place) -> Project<'_> {
    let project = place.project("p", FILE);
    project.write("src/main.c", "int one(void);\nint main(void) { return one() - 1; }\n");
    project.write("src/one.c", "int one(void) { return 1; }\n");
    project
}

const ALL: [&str; 3] = ["compile:src/main.c", "compile:src/one.c", "link"];

/// Builds a project with another home.
#[track_caller]
fn with_home(place: &Place, project: &Project<'_>, home: &Path) -> Built {
    let mut command = place.command("majordomo", &["build", "--events", "-", "--home"]);
    command.arg(home).arg("-p").arg(project.path());
    Running::start(command).built()
}

/// All outputs, byte by byte.
fn outputs(project: &Project<'_>) -> Vec<Vec<u8>> {
    ["obj/main.o", "obj/one.o", "prog", "where"].map(|path| fs::read(project.at(path)).unwrap()).to_vec()
}

#[test]
fn t14_another_folder_with_the_same_home() {
    let place = Place::new();
    let project = program(&place);
    let fresh = ["longer-name-of-a-checkout", "x", "deep/er/down"].map(|name| {
        fs::create_dir_all(project.path().with_file_name(name).parent().unwrap()).unwrap();
        project.checkout(name)
    });
    project.builds(&ALL);
    let made = outputs(&project);
    assert_eq!(project.read("where"), "/project\n");
    for other in fresh {
        let built = other.builds(&[]);
        assert_eq!(built.count("written"), 4);
        assert_eq!(built.output("link"), ["linked"], "what it printed is told again");
        assert_eq!(outputs(&other), made);
        other.builds(&[]);
    }
    // What one of them makes anew serves the others.
    let other = Project::new(&place, project.path().with_file_name("x"));
    for checkout in [&other, &project] {
        checkout.append("src/one.c", "int two(void) { return 2; }\n");
    }
    other.builds(&["compile:src/one.c", "link"]);
    project.builds(&[]);
    assert_eq!(outputs(&project), outputs(&other));
}

#[test]
fn t14_a_checkout_that_moves() {
    let place = Place::new();
    let project = program(&place);
    project.builds(&ALL);
    let moved = project.path().with_file_name("moved");
    fs::rename(project.path(), &moved).unwrap();
    let moved = Project::new(&place, moved);
    assert_eq!(moved.builds(&[]).count("written"), 0);
    moved.append("src/one.c", "/* a comment */\n");
    // With `-g` a comment behind all code changes nothing either.
    moved.builds(&["compile:src/one.c"]);
}

#[test]
fn t14_an_edit_in_a_checkout_that_was_never_built() {
    let place = Place::new();
    // Named so that it comes first among those that could open a circle; the folder that all make is nobody's promise.
    let file = "[step.all]\nrun = 'cat o/*.txt > all'\nout = 'all'\n\
                [step.one]\neach = 'src/*.in'\nrun = 'cat {in} common > {out}; mkdir -p d/{stem}'\nout = 'o/{stem}.txt'\n";
    let project = place.project("p", file);
    project.write("common", "1\n");
    (10..22).for_each(|n| project.write(format!("src/f{n}.in"), format!("{n}\n")));
    let other = project.checkout("other");
    assert_eq!(project.build(&[]).ok().ran().len(), 13);
    // All has been made, and nothing of it holds: that is no circle.
    other.write("common", "2\n");
    let built = other.build(&[]).ok();
    assert_eq!(built.ran().len(), 13);
    assert_eq!(built.passes("all"), 1, "{}", built.said());
    assert!(!built.has_restarted(), "{}", built.said());
    assert_eq!(built.output("all"), [""; 0]);
    assert_eq!(other.read("all"), (10..22).map(|n| format!("{n}\n2\n")).collect::<String>());
}

#[test]
fn t14_another_home_that_is_given_the_same_objects() {
    let place = Place::new();
    let project = program(&place);
    let [fresh, again] = ["fresh", "again"].map(|name| project.checkout(name));
    project.builds(&ALL);
    let made = outputs(&project);
    let other_home = place.path().join("other-home");
    // Objects alone: no index, no record of a workspace.
    fs::create_dir_all(other_home.join("larder")).unwrap();
    for folder in ["packs", "blobs"] {
        copy(&place.home().join("larder").join(folder), &other_home.join("larder").join(folder));
    }
    place.give(&other_home);
    let built = with_home(&place, &fresh, &other_home).ok();
    assert!(built.ran().is_empty(), "{}", built.said());
    assert_eq!(built.count("written"), 4);
    assert_eq!(outputs(&fresh), made);
    assert_eq!(built.output("link"), ["linked"]);
    // A home without them knows nothing.
    let empty = with_home(&place, &again, &place.path().join("empty-home"));
    assert_eq!(empty.ok().ran(), ALL);
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}
