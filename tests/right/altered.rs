//! Sources that a project's own rules make, or that an earlier make has left: what a release ships is made anew and stays the user's, what
//! would make a build stale is refused, and an edit counts whatever was made of the file before.

use std::process::Command;

use crate::common::{Place, Project};

#[track_caller]
fn run(project: &Project<'_>, words: &[&str]) -> String {
    let ended = Command::new(words[0]).args(&words[1..]).current_dir(project.path()).output().unwrap();
    assert!(ended.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

fn program(words: &str) -> String {
    format!("#include <stdio.h>\nint main(void) {{ puts(\"{words}\"); return 0; }}\n")
}

#[test]
fn a_page_that_is_shipped_is_made_anew_and_stays_as_it_is() {
    let place = Place::new();
    let project = place.bare("p");
    project.write(
        "Makefile",
        "all: prog prog.1 copy\nprog: prog.c\n\tcc -o $@ $<\nprog.1: prog\n\t./prog > $@\ncopy: prog.1\n\tcp prog.1 $@\n\
         .PHONY: show\nshow: prog.1\n\tcp prog.1 shown\n",
    );
    project.write("prog.c", program("one"));
    project.write("prog.1", "shipped\n");
    project.build(&[]).ok();
    assert_eq!((project.read("copy").as_str(), project.read("prog.1").as_str()), ("one\n", "shipped\n"));
    project.builds(&[]);
    project.replace("prog.c", "one", "two");
    project.build(&[]).ok();
    assert_eq!((project.read("copy").as_str(), project.read("prog.1").as_str()), ("two\n", "shipped\n"));
    assert_eq!(run(&project, &["./prog"]), "two\n");
    // The steps after it see what it made.
    project.build(&["show"]).ok();
    assert_eq!(project.read("shown"), "two\n");
    project.builds(&[]);
    place.assert_nothing_left();
}

#[test]
fn an_edit_of_a_source_that_a_kept_step_alters_is_seen() {
    let place = Place::new();
    let project = place.project("p", "[step.make]\nrun = 'make'\nkeep = true\nalters = true\n");
    project.write("Makefile", "all: out other\nout: version\n\tsed -i s/@V@/9/ version\n\tcp version $@\nother: text\n\tcp text $@\n");
    project.write("version", "first @V@\n");
    project.write("text", "1\n");
    project.build(&[]).ok();
    assert_eq!(
        (project.read("out").as_str(), project.read("version").as_str()),
        ("first 9\n", "first @V@\n")
    );
    project.write("version", "second @V@\n");
    project.build(&[]).ok();
    assert_eq!(project.read("out"), "second 9\n");
    project.write("text", "2\n");
    project.build(&[]).ok();
    assert_eq!((project.read("out").as_str(), project.read("other").as_str()), ("second 9\n", "2\n"));
    project.write("version", "first @V@\n");
    project.build(&[]).ok();
    assert_eq!(
        (project.read("out").as_str(), project.read("version").as_str()),
        ("first 9\n", "first @V@\n")
    );
    project.builds(&[]);
    place.assert_nothing_left();
}

#[test]
fn what_an_earlier_make_has_left_is_no_source() {
    let place = Place::new();
    let project = place.bare("p");
    project.write(
        "Makefile",
        "prog: obj/prog.o\n\tcc -o $@ $<\nobj/prog.o: prog.c words.h\n\tmkdir -p obj\n\tcc -c -o $@ $<\nclean:\n\trm -rf prog obj\n",
    );
    project.write("prog.c", program("\" WORDS \"").replace("<stdio.h>", "<stdio.h>\n#include \"words.h\""));
    project.write("words.h", "#define WORDS \"one\"\n");
    run(&project, &["make"]);
    project.replace("words.h", "one", "two");
    let refused = project.build(&[]).code(2);
    let words = "was made by an earlier make and would be taken for a source, which no edit makes anew: `make clean` first";
    assert!(refused.said().contains(words), "{}", refused.said());
    // It is about the project, and not about the chef.
    assert!(!refused.said().contains("has to be mended"), "{}", refused.said());
    run(&project, &["make", "clean"]);
    project.build(&[]).ok();
    assert_eq!(run(&project, &["./prog"]), "two\n");
    // What the build has made is none of its sources; without the build's notes it is again.
    project.replace("words.h", "two", "three");
    project.build(&[]).ok();
    assert_eq!(run(&project, &["./prog"]), "three\n");
    project.remove(".majordomo");
    project.replace("words.h", "three", "four");
    assert!(project.build(&[]).code(2).said().contains("`make clean` first"));
    // Of what no rule makes nothing is said.
    run(&project, &["make", "clean"]);
    project.write("data/firmware.o", b"\x7fELF");
    project.build(&[]).ok();
    assert_eq!(run(&project, &["./prog"]), "four\n");
    place.assert_nothing_left();
}

#[test]
fn a_header_that_configure_makes_and_a_release_ships() {
    let place = Place::new();
    let project = place.bare("p");
    project.write("configure.ac", "AC_INIT([p], [1])\nAC_CONFIG_FILES([Makefile words.h])\nAC_OUTPUT\n");
    project.write("Makefile.in", "prog: prog.c words.h\n\tcc -o $@ prog.c\n");
    project.write("words.h.in", "#define WORDS \"@PACKAGE_NAME@ one\"\n");
    project.write("words.h", "#define WORDS \"p one\"\n");
    project.write("prog.c", program("\" WORDS \"").replace("<stdio.h>", "<stdio.h>\n#include \"words.h\""));
    run(&project, &["autoconf"]);
    project.build(&[]).ok();
    assert_eq!(run(&project, &["./prog"]), "p one\n");
    project.replace("words.h.in", "one", "two");
    project.build(&[]).ok();
    assert_eq!(run(&project, &["./prog"]), "p two\n");
    assert_eq!(project.read("words.h"), "#define WORDS \"p one\"\n");
    project.builds(&[]);
    place.assert_nothing_left();
}
