//! `make` as a step. T22: it sees what it left and remakes what an edit needs, and nothing else. T21: it rewrites what
//! `configure` wrote, and everybody sees the version that is theirs.

use crate::common::{Built, Place, Project, debian};

/// As anybody would write it: headers by `-MMD`, a library, a glob for the sources.
const MAKEFILE: &str = r"
CFLAGS = -O1 -MMD -Iinclude
objects = $(patsubst %.c,obj/%.o,$(wildcard lib/*.c app/*.c))

prog: obj/app/main.o obj/lib.a
	$(CC) -o $@ $^

obj/lib.a: $(patsubst %.c,obj/%.o,$(wildcard lib/*.c))
	rm -f $@
	ar rcsD $@ $^

obj/%.o: %.c
	@mkdir -p $(dir $@)
	$(CC) $(CFLAGS) -c -o $@ $<

-include $(objects:.o=.d)
";

const SOURCES: [(&str, &str); 6] = [
    ("Makefile", MAKEFILE),
    ("include/a.h", "#define A 1\n"),
    ("include/b.h", "#define B 2\n"),
    ("lib/a.c", "#include \"a.h\"\nint a(void) { return A; }\n"),
    ("lib/b.c", "#include \"b.h\"\nint b(void) { return B; }\n"),
    (
        "app/main.c",
        "#include <stdio.h>\n#include \"a.h\"\nint a(void), b(void);\n\
         int main(void) { printf(\"%d %d %d\\n\", a(), b(), A); }\n",
    ),
];

fn tree<'p>(place: &'p Place) -> Project<'p> {
    let project = place.project("p", "[step.make]\nrun = 'make'\nkeep = true\n");
    SOURCES.iter().for_each(|(path, text)| project.write(path, text));
    project
}

/// The files that the compiler, the archiver and the linker made, in order.
fn made(built: &Built) -> Vec<&str> {
    let target = |line: &&str| ["cc ", "gcc ", "ar "].iter().any(|tool| line.starts_with(tool));
    let output = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let flag = words.iter().position(|word| *word == "-o" || word.starts_with("rcs") || *word == "cru");
        flag.map(|at| at + 1)
    };
    let lines = built.output("make").into_iter().filter(target);
    lines.filter_map(|line| line.split_whitespace().nth(output(line)?)).collect()
}

/// Builds with success, and asserts what was remade in one pass.
#[track_caller]
fn remakes(project: &Project<'_>, files: &[&str]) {
    let built = project.builds(&["make"]);
    assert_eq!(made(&built), files, "{}", built.said());
    assert_eq!(built.passes("make"), 1, "{}", built.said());
}

#[test]
fn an_edit_remakes_the_right_objects_and_no_others() {
    let place = Place::new();
    let project = tree(&place);
    let first = project.builds(&["make"]);
    assert_eq!(made(&first), ["obj/app/main.o", "obj/lib/a.o", "obj/lib/b.o", "obj/lib.a", "prog"]);
    // The second one sees what the first one left.
    assert_eq!(first.passes("make"), 2);
    assert_eq!(project.says("prog", &[]), "1 2 1\n");
    project.builds(&[]);

    project.replace("lib/b.c", "return B", "return B + 5");
    remakes(&project, &["obj/lib/b.o", "obj/lib.a", "prog"]);
    assert_eq!(project.says("prog", &[]), "1 7 1\n");

    // One size, one second: make sees it all the same.
    project.replace("include/b.h", "B 2", "B 3");
    remakes(&project, &["obj/lib/b.o", "obj/lib.a", "prog"]);
    assert_eq!(project.says("prog", &[]), "1 8 1\n");

    project.replace("include/a.h", "A 1", "A 4");
    remakes(&project, &["obj/app/main.o", "obj/lib/a.o", "obj/lib.a", "prog"]);
    assert_eq!(project.says("prog", &[]), "4 8 4\n");

    // A touch is no edit.
    let text = project.read("include/a.h");
    project.write("include/a.h", text);
    project.builds(&[]);
}

#[test]
fn an_older_file_with_its_old_time_is_an_edit() {
    let place = Place::new();
    let project = tree(&place);
    project.write("lib/old.c", "#include \"b.h\"\nint b(void) { return B + 9; }\n");
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    std::fs::File::options().write(true).open(project.at("lib/old.c")).unwrap().set_modified(old).unwrap();
    std::fs::rename(project.at("lib/old.c"), project.at("old.c")).unwrap();
    project.builds(&["make"]);
    assert_eq!(project.says("prog", &[]), "1 2 1\n");
    // make alone takes it for older than the object, and does nothing.
    std::fs::rename(project.at("old.c"), project.at("lib/b.c")).unwrap();
    remakes(&project, &["obj/lib/b.o", "obj/lib.a", "prog"]);
    assert_eq!(project.says("prog", &[]), "1 11 1\n");
}

#[test]
fn a_new_source_and_a_new_header() {
    let place = Place::new();
    let project = tree(&place);
    project.builds(&["make"]);
    project.write("lib/c.c", "int c(void) { return 0; }\n");
    let more = project.builds(&["make"]);
    assert_eq!(made(&more), ["obj/lib/c.o", "obj/lib.a", "prog"]);
    // make does not know that the compiler looked for it.
    project.write("lib/b.h", "#define B 6\n");
    let hidden = project.builds(&["make"]);
    assert_eq!(hidden.reason("make"), "from nothing: lib/b.h appeared");
    assert!(made(&hidden).contains(&"obj/lib/b.o"), "{}", hidden.said());
    assert_eq!(project.says("prog", &[]), "1 6 1\n");
}

#[test]
fn deleted_outputs_and_another_checkout() {
    let place = Place::new();
    let project = tree(&place);
    project.builds(&["make"]);
    project.remove("obj");
    project.remove("prog");
    project.builds(&[]);
    assert_eq!(project.says("prog", &[]), "1 2 1\n");
    let other = project.checkout("elsewhere");
    other.remove("prog");
    other.builds(&[]);
    assert_eq!(other.says("prog", &[]), "1 2 1\n");
    other.replace("lib/a.c", "return A", "return 7");
    remakes(&other, &["obj/lib/a.o", "obj/lib.a", "prog"]);
    project.builds(&[]);
    assert_eq!((project.says("prog", &[]), other.says("prog", &[])), ("1 2 1\n".into(), "7 2 1\n".into()));
}

const HELLO: &str = r#"
[step.configure]
run = "./configure -q"

[step.between]
run   = "cat src/.deps/hello.Po > {out}"
after = "configure"
out   = "between.txt"

[step.make]
run   = "make"
after = ["configure", "between"]

[step.behind]
run   = "cat src/.deps/hello.Po > {out}"
after = "make"
out   = "behind.txt"
"#;

#[test]
fn gnu_hello_rewrites_what_configure_made() {
    let place = Place::new();
    let folder = place.path().join("projects/hello");
    if !debian::unpack("hello", &folder) {
        return;
    }
    let project = place.project("hello", HELLO);
    project.builds(&["behind", "between", "configure", "make"]);
    assert_eq!(project.says("hello", &[]), "Hello, world!\n");
    // `configure` writes a dummy for each object, which `make` overwrites with what the compiler found.
    assert_eq!(project.read("between.txt"), "# dummy\n");
    let last = project.read("behind.txt");
    assert!(last.starts_with("src/hello.o: src/hello.c"), "{last}");
    assert_eq!(project.read("src/.deps/hello.Po"), last);
    let is_written = |file: &&String| file.ends_with(".Po") && project.read(*file) != "# dummy\n";
    assert!(project.files("").iter().filter(is_written).count() > 20);
    project.builds(&[]);

    // Removed, they come back as `make` left them.
    project.remove("src/.deps");
    project.builds(&[]);
    assert_eq!(project.read("src/.deps/hello.Po"), last);

    // `make` starts from what `configure` left, so all is compiled; it leaves the same list of headers.
    project.replace("src/hello.c", "Hello, world!", "Hello, earth!");
    let edited = project.builds(&["make"]);
    assert!(made(&edited).len() > 20);
    assert_eq!(project.says("hello", &[]), "Hello, earth!\n");

    // With `keep` it goes on from what it left itself.
    project.replace("majordomo.toml", "\"make\"\nafter = [", "\"make\"\nkeep  = true\nafter = [");
    project.builds(&["make"]);
    project.builds(&[]);
    project.replace("src/hello.c", "Hello, earth!", "Hello, water!");
    remakes(&project, &["src/hello.o", "hello"]);
    assert_eq!(project.says("hello", &[]), "Hello, water!\n");
    assert_eq!(project.read("between.txt"), "# dummy\n");
    // It settled here before, and the state that it left then is still known.
    project.replace("src/hello.c", "Hello, water!", "Hello, earth!");
    project.builds(&[]);
    assert_eq!(project.says("hello", &[]), "Hello, earth!\n");
}
