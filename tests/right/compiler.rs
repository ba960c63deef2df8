//! A C compiler with its searches, its temporary names and its objects that do not depend on comments: T3, T10, T11, T13, T18.

use std::process::Command;

use crate::common::{Place, Project};

const FILE: &str = r#"
[step.compile]
each = "src/*.c"
run = "gcc -O1 -Wall -Iextra -Ifirst -Isecond -c {in} -o {out}"
out = "obj/{stem}.o"
[step.link]
run = "gcc -o prog obj/*.o"
out = "prog"
after = "compile"
"#;

/// `main` and `area` include `size.h`, from the second of three folders, of which the first is not there; `name` includes nothing.
fn program(place: &Place) -> Project<'_> {
    let project = place.project("p", FILE);
    project.write("first/unused.h", "#define UNUSED\n");
    project.write("second/size.h", "#define SIZE 2\n");
    project.write("src/area.c", "#include \"size.h\"\nint area(void) { return SIZE * SIZE; }\n");
    project.write("src/name.c", "const char *name(void) { return \"square\"; }\n");
    project.write(
        "src/main.c",
        "#include <stdio.h>\n#include \"size.h\"\nint area(void);\nconst char *name(void);\n\
         int main(void) { printf(\"%s %d: %d\\n\", name(), SIZE, area()); }\n",
    );
    project.builds(&["compile:src/area.c", "compile:src/main.c", "compile:src/name.c", "link"]);
    assert_eq!(says(&project), "square 2: 4\n");
    project.builds(&[]);
    project
}

/// What the program prints.
#[track_caller]
fn says(project: &Project<'_>) -> String {
    let said = Command::new(project.at("prog")).output().unwrap();
    String::from_utf8(said.stdout).unwrap()
}

const USERS: [&str; 3] = ["compile:src/area.c", "compile:src/main.c", "link"];

#[test]
fn t3_a_new_header_shadows_another_one() {
    let place = Place::new();
    let project = program(&place);
    // In a folder that is searched earlier.
    project.write("first/size.h", "#define SIZE 3\n");
    assert_eq!(project.builds(&USERS).reason("compile:src/area.c"), "first/size.h appeared");
    assert_eq!(says(&project), "square 3: 9\n");
    // In a folder that was not there at all, and is searched before that one.
    project.write("extra/size.h", "#define SIZE 4\n");
    // gcc looks for each folder that is named to it, whatever it is to compile.
    let all = ["compile:src/area.c", "compile:src/main.c", "compile:src/name.c", "link"];
    assert_eq!(project.builds(&all).reason("compile:src/area.c"), "extra appeared");
    assert_eq!(says(&project), "square 4: 16\n");
    // Beside the sources.
    project.write("src/size.h", "#define SIZE 5\n");
    assert_eq!(project.builds(&USERS).reason("compile:src/main.c"), "src/size.h appeared");
    assert_eq!(says(&project), "square 5: 25\n");
    // Each one gone again is a state that there was before.
    for (header, said) in
        [("src/size.h", "square 4: 16\n"), ("extra", "square 3: 9\n"), ("first/size.h", "square 2: 4\n")]
    {
        project.remove(header);
        project.builds(&[]);
        assert_eq!(says(&project), said);
    }
}

#[test]
fn t3_a_header_with_equal_bytes_that_shadows_another_one_compiles_and_links_nothing() {
    let place = Place::new();
    let project = program(&place);
    project.write("first/size.h", project.read("second/size.h"));
    project.builds(&["compile:src/area.c", "compile:src/main.c"]);
    // What is shadowed is read no more.
    project.write("second/size.h", "#define SIZE 7\n");
    project.builds(&[]);
    assert_eq!(says(&project), "square 2: 4\n");
}

#[test]
fn t3_a_header_that_no_search_comes_by_runs_nothing() {
    let place = Place::new();
    let project = program(&place);
    project.write("first/other.h", "#define SIZE 9\n");
    project.write("second/deeper/size.h", "#define SIZE 9\n");
    project.write("third/size.h", "#define SIZE 9\n");
    project.builds(&[]);
}

#[test]
fn t10_a_comment_is_one_command() {
    let place = Place::new();
    let project = program(&place);
    project.append("src/area.c", "/* An area has no sign. */\n");
    let edited = project.builds(&["compile:src/area.c"]);
    assert_eq!((edited.count("reused"), edited.count("written")), (3, 0));
    project.append("second/size.h", "/* In metres. */\n");
    assert_eq!(project.builds(&["compile:src/area.c", "compile:src/main.c"]).count("written"), 0);
    assert_eq!(says(&project), "square 2: 4\n");
}

#[test]
fn t11_a_reverted_edit_is_no_command() {
    let place = Place::new();
    let project = program(&place);
    let states: Vec<String> = (3..6).map(|size| format!("#define SIZE {size}\n")).collect();
    for state in &states {
        project.write("second/size.h", state);
        project.builds(&USERS);
    }
    // Back and forth between states, as between branches.
    for at in [0, 2, 1, 0, 1, 2] {
        project.write("second/size.h", &states[at]);
        let back = project.builds(&[]);
        assert_eq!(back.count("written"), 3);
        assert_eq!(says(&project), format!("square {}: {}\n", at + 3, (at + 3) * (at + 3)));
    }
    // Two files that were never changed together before: each has been compiled so, only the link is new.
    project.replace("src/name.c", "square", "plot");
    project.builds(&["compile:src/name.c", "link"]);
    project.write("second/size.h", &states[0]);
    project.builds(&["link"]);
    assert_eq!(says(&project), "plot 3: 9\n");
}

#[test]
fn t11_a_reverted_command_is_no_command() {
    let place = Place::new();
    let project = program(&place);
    let before = project.read("majordomo.toml");
    project.replace("majordomo.toml", "-O1", "-O1 -DSIZE=8");
    // `SIZE` is defined twice: a warning each, and other objects only where `-W` says so.
    let changed = project.build(&[]).ok();
    assert_eq!(changed.reason("compile:src/name.c"), "its command changed");
    project.write("majordomo.toml", before);
    project.builds(&[]);
    assert_eq!(says(&project), "square 2: 4\n");
}

/// Names that are other ones in each run: the compiler's own in `/tmp`, and those of `mktemp` in the project.
const RANDOM_NAMES: &str = r#"
[step.compile]
run = "gcc -O1 -c source.c -o made.o"
out = "made.o"
[step.sort]
run = '''
kept=$(mktemp -d work.XXXXXX)
sort words > $(mktemp $kept/XXXXXX)
cat $kept/* > $(mktemp)
cat /tmp/tmp.* > sorted
rm -r $kept
'''
out = "sorted"
"#;

#[test]
fn t13_random_temporary_names_spoil_no_hit() {
    let place = Place::new();
    let project = place.project("p", RANDOM_NAMES);
    project.write("source.c", "int one(void) { return 1; }\n");
    project.write("words", "b\na\n");
    project.builds(&["compile", "sort"]);
    assert_eq!(project.read("sorted"), "a\nb\n");
    project.builds(&[]);
    for step in ["compile", "sort"] {
        let trace = project.ask("trace", &[step, "--json"]).ok().stdout;
        for name in ["tmp/cc", "tmp/tmp."] {
            assert!(!trace.contains(name), "`{name}` is in the trace of `{step}`: {trace}");
        }
    }
    // Run again with other names, they have seen the same and made the same.
    let cold = project.build(&["--cold"]).ok();
    assert_eq!((cold.ran(), cold.notes()), (vec!["compile", "sort"], vec![]));
    let other = project.checkout("elsewhere");
    other.remove("made.o");
    other.remove("sorted");
    other.builds(&[]);
    for words in ["d\nc\n", "f\ne\n", "h\ng\n"] {
        project.write("words", words);
        project.builds(&["sort"]);
    }
    for words in ["f\ne\n", "d\nc\n", "b\na\n"] {
        project.write("words", words);
        project.builds(&[]);
    }
    assert_eq!(project.files(""), ["made.o", "majordomo.toml", "sorted", "source.c", "words"]);
}

#[test]
fn t18_a_renamed_source_is_another_step_and_the_old_object_goes() {
    let place = Place::new();
    let project = program(&place);
    std::fs::rename(project.at("src/area.c"), project.at("src/surface.c")).unwrap();
    let renamed = project.builds(&["compile:src/surface.c", "link"]);
    assert_eq!(renamed.reason("link"), "names in obj changed");
    assert_eq!(project.files("obj"), ["obj/main.o", "obj/name.o", "obj/surface.o"]);
    assert_eq!(says(&project), "square 2: 4\n");
    std::fs::rename(project.at("src/surface.c"), project.at("src/area.c")).unwrap();
    project.builds(&[]);
    assert_eq!(project.files("obj"), ["obj/area.o", "obj/main.o", "obj/name.o"]);
}

#[test]
fn t18_a_renamed_header_is_missed_and_found() {
    let place = Place::new();
    let project = program(&place);
    std::fs::rename(project.at("second/size.h"), project.at("second/extent.h")).unwrap();
    let missed = project.build(&["-k"]).failed();
    assert_eq!(missed.ended_as("failed"), ["compile:src/area.c", "compile:src/main.c"]);
    assert_eq!(missed.reason("compile:src/area.c"), "second/size.h is gone");
    // It moves to where it is looked for earlier.
    std::fs::rename(project.at("second/extent.h"), project.at("first/size.h")).unwrap();
    project.builds(&["compile:src/area.c", "compile:src/main.c"]);
    std::fs::rename(project.at("first/size.h"), project.at("second/size.h")).unwrap();
    project.builds(&[]);
    assert_eq!(says(&project), "square 2: 4\n");
}

#[test]
fn t18_two_names_exchanged() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'cat one two > made'\nout = 'made'\n");
    project.write("one", "1");
    project.write("two", "2");
    project.builds(&["s"]);
    let [one, two, aside] = ["one", "two", "aside"].map(|name| project.at(name));
    for (from, to) in [(&one, &aside), (&two, &one), (&aside, &two)] {
        std::fs::rename(from, to).unwrap();
    }
    project.builds(&["s"]);
    assert_eq!(project.read("made"), "21");
}
