//! Steps that go on from what they left: what they make is what a clean build makes, whatever their tools do not know of.

use crate::common::{Built, Place, Project};

/// make is told of the sources, and neither of the header nor of what the recipe of `all.txt` lists.
const MAKEFILE: &str = "CFLAGS = -O1 -Ifirst -Isecond
OBJS = $(patsubst %.c,%.o,$(wildcard *.c))

all: prog all.txt

prog: $(OBJS)
\tcc -o $@ $^

all.txt: order.txt
\tcat texts/* > $@
";

const HEADER: &str = "#define WORD \"one\"\n";

fn prog(place: &Place) -> Project<'_> {
    let project = place.bare("p");
    project.write("Makefile", MAKEFILE);
    project.write("second/word.h", HEADER);
    project.write("texts/a", "a\n");
    project.write("order.txt", "");
    let main = "#include <stdio.h>\n#include \"word.h\"\nvoid other(void) __attribute__((weak));\n\
                int main(void) { puts(WORD); if (other) other(); return 0; }\n";
    project.write("main.c", main);
    project.write("other.c", "#include <stdio.h>\n#include \"word.h\"\nvoid other(void) { puts(WORD); }\n");
    project
}

/// Builds, and holds all that is there against what a clean build of these sources leaves on a pod that knows nothing.
#[track_caller]
fn builds_as_clean(project: &Project<'_>, made: &[&str]) -> Built {
    let built = project.build(&[]).ok();
    let place = Place::new();
    let clean = place.bare("clean");
    for file in project.files("").iter().filter(|file| !made.contains(&file.as_str())) {
        clean.write(file, std::fs::read(project.at(file)).unwrap());
    }
    clean.build(&[]).ok();
    assert_eq!(project.files(""), clean.files(""), "{}", built.said());
    for file in clean.files("") {
        let [ours, theirs] = [project, &clean].map(|side| std::fs::read(side.at(&file)).unwrap());
        assert!(ours == theirs, "{file} is not what a clean build makes: {}", built.said());
    }
    project.builds(&[]);
    built
}

const MADE: [&str; 4] = ["prog", "all.txt", "main.o", "other.o"];

/// The objects that make made.
fn compiled(built: &Built) -> Vec<&str> {
    let lines = built.output("make").into_iter().filter_map(|line| line.split(" -c ").nth(1));
    lines.filter_map(|line| line.split(' ').next_back()).collect()
}

#[test]
fn make_makes_what_it_has_to_and_no_more() {
    let place = Place::new();
    let project = prog(&place);
    project.build(&[]).ok();
    project.append("main.c", "int more;\n");
    assert_eq!(compiled(&builds_as_clean(&project, &MADE)), ["main.c"]);
    // A name more, which make finds itself; and one that is nothing to it.
    project.write("third.c", "int third;\n");
    assert_eq!(compiled(&builds_as_clean(&project, &[&MADE[..], &["third.o"]].concat())), ["third.c"]);
    project.write("notes", "");
    assert_eq!(compiled(&project.build(&[]).ok()), [] as [&str; 0]);
}

#[test]
fn a_header_that_no_rule_names() {
    let place = Place::new();
    let project = prog(&place);
    project.build(&[]).ok();
    project.replace("second/word.h", "one", "two");
    let built = builds_as_clean(&project, &MADE);
    assert!(built.reason("make").contains("second/word.h changed"), "{}", built.said());
    // One of those who read it is made again in any case; the other is not.
    project.replace("second/word.h", "two", "three");
    project.append("main.c", "int more;\n");
    builds_as_clean(&project, &MADE);
    // Back where it was, nothing runs.
    project.replace("second/word.h", "three", "two");
    project.replace("main.c", "int more;\n", "");
    project.builds(&[]);
}

#[test]
fn a_header_that_rules_have_learnt_of() {
    let place = Place::new();
    let project = prog(&place);
    project.write("third.c", "int third;\n");
    project.append("Makefile", "\nCFLAGS += -MMD\n-include $(OBJS:.o=.d)\n");
    let made = [&MADE[..], &["third.o", "main.d", "other.d", "third.d"]].concat();
    project.build(&[]).ok();
    for edit in ["int more;\n", "int most;\n"] {
        project.append("main.c", edit);
        assert_eq!(compiled(&builds_as_clean(&project, &made)), ["main.c"]);
    }
    // However often one of its readers has read it.
    for words in [["one", "two"], ["two", "three"]] {
        project.replace("second/word.h", words[0], words[1]);
        let built = builds_as_clean(&project, &made);
        let mut names = compiled(&built);
        names.sort_unstable();
        assert_eq!(names, ["main.c", "other.c"]);
    }
}

#[test]
fn a_header_that_others_begin_and_cease_to_read() {
    let place = Place::new();
    let project = prog(&place);
    project.write("third.c", "int third;\n");
    let made = [&MADE[..], &["third.o"]].concat();
    project.build(&[]).ok();
    // As often as before, but not by those who had.
    project.replace("second/word.h", "one", "two");
    project.write("third.c", "#include \"word.h\"\nchar third[] = WORD;\n");
    project.append("main.c", "int more;\n");
    builds_as_clean(&project, &made);
    // One that is younger than what was made of the header before.
    project.write("fourth.c", "#include \"word.h\"\nchar fourth[] = WORD;\n");
    let made = [&made[..], &["fourth.o"]].concat();
    assert_eq!(compiled(&builds_as_clean(&project, &made)), ["fourth.c"]);
    project.replace("second/word.h", "two", "three");
    for source in ["main.c", "other.c", "third.c"] {
        project.append(source, "/* more */\n");
    }
    builds_as_clean(&project, &made);
}

#[test]
fn what_make_reads_in_each_pass() {
    let place = Place::new();
    let project = place.bare("p");
    let makefile = "V := $(shell cat VERSION)\ninclude settings\n\nprog: main.o other.o\n\tcc -o $@ $^ && echo $(V) > about\n";
    project.write("Makefile", makefile);
    project.write("settings", "CFLAGS = -DN=1\n");
    project.write("VERSION", "1.0\n");
    project.write("main.c", "int main(void) { return N; }\n");
    project.write("other.c", "int other = N;\n");
    let made = ["prog", "main.o", "other.o", "about"];
    project.build(&[]).ok();
    for (file, text) in [("VERSION", "2.0\n"), ("settings", "CFLAGS = -DN=2\n"), ("VERSION", "3.0\n")] {
        project.write(file, text);
        builds_as_clean(&project, &made);
    }
    project.append("main.c", "int more;\n");
    assert_eq!(compiled(&builds_as_clean(&project, &made)), ["main.c"]);
    assert_eq!(project.read("about"), "3.0\n");
}

#[test]
fn what_make_has_the_shell_read_for_each_recipe() {
    let place = Place::new();
    let project = place.bare("p");
    let makefile = "V = $(shell cat VERSION)\n\nall: $(patsubst %.in,%.out,$(wildcard *.in))\n\n\
                    %.out: %.in\n\t(cat $<; echo $(V)) > $@\n";
    project.write("Makefile", makefile);
    project.write("VERSION", "1.0\n");
    project.write("a.in", "a\n");
    project.build(&[]).ok();
    for name in ["b", "c"] {
        project.write(format!("{name}.in"), name);
        project.build(&[]).ok();
    }
    // All readings have the same words; two of three are not all.
    project.write("VERSION", "2.0\n");
    project.append("a.in", "more\n");
    project.append("b.in", "more\n");
    builds_as_clean(&project, &["a.out", "b.out", "c.out"]);
}

#[test]
fn a_header_that_hides_another_one() {
    let place = Place::new();
    let project = prog(&place);
    project.write("first/unused", "");
    project.build(&[]).ok();
    project.write("first/word.h", "#define WORD \"first\"\n");
    let built = builds_as_clean(&project, &MADE);
    assert_eq!(built.reason("make"), "from nothing: first/word.h appeared");
    project.remove("first/word.h");
    builds_as_clean(&project, &MADE);
}

#[test]
fn sources_that_come_and_go() {
    let place = Place::new();
    let project = prog(&place);
    project.build(&[]).ok();
    assert!(project.has("other.o"));
    project.remove("other.c");
    builds_as_clean(&project, &MADE);
    assert!(!project.has("other.o"));
    // The recipe lists them, and make does not.
    project.write("texts/b", "b\n");
    builds_as_clean(&project, &MADE);
    assert_eq!(project.read("all.txt"), "a\nb\n");
}

#[test]
fn another_recipe() {
    let place = Place::new();
    let project = prog(&place);
    project.build(&[]).ok();
    project.replace("Makefile", "-O1", "-O1 -DX");
    project.replace("Makefile", "cat texts/*", "echo from; cat texts/*");
    let built = builds_as_clean(&project, &MADE);
    assert_eq!(built.reason("make"), "from nothing: Makefile changed");
    // A target that no rule makes any more is no result.
    project.replace("Makefile", "all: prog all.txt", "all: prog");
    builds_as_clean(&project, &MADE);
    assert!(!project.has("all.txt"));
}

#[test]
fn another_command() {
    let place = Place::new();
    let project =
        place.project("p", "[step.s]\nrun = 'test -e out || echo one > out; cat out'\nkeep = true\n");
    project.build(&[]).ok();
    project.replace("majordomo.toml", "one", "two");
    project.build(&[]).ok();
    assert_eq!(project.read("out"), "two\n");
}

#[test]
fn what_a_kept_step_of_the_projects_own_had_read() {
    let place = Place::new();
    // A tool that makes what is not there, and believes what is.
    let run = "for name in a b; do test -e out/$name || { mkdir -p out; cat text $name > out/$name; }; done";
    let project = place.project("p", &format!("[step.s]\nrun = '{run}'\nkeep = true\n"));
    project.write("text", "one\n");
    project.write("a", "a\n");
    project.write("b", "b\n");
    project.build(&[]).ok();
    for (file, text) in [("text", "two\n"), ("a", "c\n"), ("b", "d\n"), ("text", "three\n")] {
        project.write(file, text);
        builds_as_clean(&project, &["out/a", "out/b"]);
    }
    // Whoever takes the result knows as well what it stands on.
    let other = project.checkout("other");
    other.remove("out");
    other.builds(&[]);
    other.write("text", "four\n");
    other.build(&[]).ok();
    assert_eq!(other.read("out/b"), "four\nd\n");
}

/// A tool that makes several results in one process, knows of the one source of each, and of nothing else.
const ONE_PROCESS: &str = r#"
import os
conf = None
os.makedirs("out", exist_ok=True)
for name in sorted(os.listdir("in")):
    made = "out/" + name
    if not os.path.exists(made) or os.path.getmtime("in/" + name) > os.path.getmtime(made):
        conf = conf or open("conf").read()
        open(made, "w").write(conf + open("in/" + name).read())
        print("made", name)
"#;

#[test]
fn one_process_that_makes_several_results_of_one_file() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'python3 tool.py'\nkeep = true\n");
    project.write("tool.py", ONE_PROCESS);
    project.write("conf", "one ");
    project.write("in/a", "a\n");
    project.write("in/b", "b\n");
    project.build(&[]).ok();
    let made = ["out/a", "out/b", "out/c"];
    // What it knows of it makes anew, and no more.
    project.write("in/a", "A\n");
    assert_eq!(builds_as_clean(&project, &made).output("s"), ["made a"]);
    // It reads the other one for that one's sake alone.
    project.write("conf", "two ");
    project.write("in/a", "aa\n");
    let built = builds_as_clean(&project, &made);
    assert!(built.said().contains("conf changed"), "{}", built.said());
    // A name more makes it read, too.
    project.write("conf", "three ");
    project.write("in/c", "c\n");
    builds_as_clean(&project, &made);
    project.write("conf", "four ");
    builds_as_clean(&project, &made);
}

#[test]
fn a_folder_that_make_lists_and_a_recipe_too() {
    let place = Place::new();
    let project = prog(&place);
    project.append("Makefile", "\nSEEN := $(wildcard texts/*)\n");
    project.build(&[]).ok();
    project.write("texts/b", "b\n");
    builds_as_clean(&project, &MADE);
    assert_eq!(project.read("all.txt"), "a\nb\n");
    // One of two recipes that list it, which has other reasons, too.
    project.append("Makefile", "\nall: more.txt\nmore.txt: main.c\n\tls texts > $@\n");
    let made = [&MADE[..], &["more.txt"]].concat();
    builds_as_clean(&project, &made);
    project.write("texts/c", "c\n");
    project.append("main.c", "int more;\n");
    builds_as_clean(&project, &made);
    // Where only make lists, a name more is make's business.
    project.write("notes", "");
    assert_eq!(compiled(&project.build(&[]).ok()), [] as [&str; 0]);
}
