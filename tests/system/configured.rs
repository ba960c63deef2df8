//! Projects that CMake or Meson configure, and those with a `build.ninja`: each of its edges is a step.

use crate::common::{Built, Place, Project};

/// What ran but for the chefs that were asked first.
fn ran(built: &Built) -> Vec<String> {
    let is_asked = |step: &&&str| !step.starts_with("chef:") || step.contains(":2:");
    built.ran().iter().filter(is_asked).map(|step| step.trim_start_matches("build/").to_owned()).collect()
}

#[test]
fn a_cmake_project() {
    let place = Place::new();
    let project = place.example("cmake");
    let first = project.build(&[]).ok();
    let all = [
        "CMakeFiles/count-test.dir/tests/count.c.o",
        "CMakeFiles/count.dir/src/count.c.o",
        "CMakeFiles/tables.dir/tools/tables.c.o",
        "CMakeFiles/words.dir/src/words.c.o",
        "count-test",
        "libcount.a",
        "tables",
        "tables.h",
        "words",
        "chef:cmake:2:configure",
        "configure",
    ];
    assert_eq!(ran(&first), all);
    assert_eq!(project.says("build/words", &["one two", "three"]), "3 words\n");
    // Objects and what configuring wrote stay in the larder.
    assert_eq!(
        project.files("build"),
        ["count-test", "libcount.a", "tables", "words"].map(|name| format!("build/{name}"))
    );
    let nothing = project.builds(&[]);
    assert_eq!(nothing.count("steps"), nothing.count("reused"));
    // Nor is anything of what stays there missing.
    let status = project.ask("status", &["--json"]).ok().json();
    assert_eq!(status["missing"], serde_json::json!([]));
    project.remove("build/words");
    let status = project.ask("status", &["--json"]).ok().json();
    assert_eq!(status["missing"], serde_json::json!(["build/words"]));
    project.builds(&[]);

    // An edit is compiled, no more: nothing is configured, though its size changed.
    project.append("src/words.c", "/* more */\n");
    assert_eq!(ran(&project.build(&[]).ok()), ["CMakeFiles/words.dir/src/words.c.o"]);
    project.append("include/count.h", "#define MORE 1\n");
    let by_header = [
        "CMakeFiles/count-test.dir/tests/count.c.o",
        "CMakeFiles/count.dir/src/count.c.o",
        "CMakeFiles/words.dir/src/words.c.o",
    ];
    assert_eq!(ran(&project.build(&[]).ok()), by_header);
    // A tool that comes out differently and writes the same.
    project.replace("tools/tables.c", "int c = 0;", "short c = 0;");
    assert_eq!(
        ran(&project.build(&[]).ok()),
        ["CMakeFiles/tables.dir/tools/tables.c.o", "tables", "tables.h"]
    );

    let test = project.build(&["test"]).ok();
    assert_eq!(ran(&test), ["CMakeFiles/test.util"]);
    let passed = test.output("build/CMakeFiles/test.util");
    assert!(passed.iter().any(|line| line.contains("100% tests passed")), "{passed:?}");
    assert_eq!(ran(&project.build(&["test"]).ok()), [] as [&str; 0]);
    place.assert_nothing_left();
}

#[test]
fn a_program_more_is_configured_and_compiled() {
    let place = Place::new();
    let project = place.example("cmake");
    project.build(&[]).ok();
    project.append("CMakeLists.txt", "add_executable(more src/words.c)\ntarget_link_libraries(more count)\n");
    let more = project.build(&[]).ok();
    let expected = ["CMakeFiles/more.dir/src/words.c.o", "more", "chef:cmake:2:configure", "configure"];
    assert_eq!(ran(&more), expected);
    assert_eq!(project.says("build/more", &["one"]), "1 words\n");
    // What is no program any more goes.
    project.replace(
        "CMakeLists.txt",
        "add_executable(more src/words.c)\ntarget_link_libraries(more count)\n",
        "",
    );
    assert_eq!(ran(&project.build(&[]).ok()), [] as [&str; 0]);
    assert!(!project.has("build/more"));
}

#[test]
fn another_checkout_has_everything_its_configuration_too() {
    let place = Place::new();
    for name in ["cmake", "meson"] {
        let project = place.example(name);
        project.build(&[]).ok();
        let other = project.checkout(&format!("other-{name}"));
        other.remove("build");
        other.builds(&[]);
        assert_eq!(other.says("build/words", &["one two"]), "2 words\n");
    }
}

#[test]
fn init_writes_down_what_a_growing_plan_begins_with() {
    let place = Place::new();
    for (name, option) in [("cmake", "-DCMAKE_BUILD_TYPE=Debug"), ("meson", "--buildtype=release")] {
        let project = place.example(name);
        // Also where the whole plan is known.
        project.build(&[]).ok();
        project.ask("init", &[]).ok();
        let file = project.read("majordomo.toml");
        assert!(file.contains(&format!("\n[project]\nchef = \"{name}\"\n")), "{file}");
        assert_eq!(file.matches("[step.").count(), 1, "{file}");
        assert!(ran(&project.build(&[]).ok()).iter().all(|step| step != "configure"));
        let (before, step) = file.split_once("# [step.configure]").unwrap();
        let step = format!("[step.configure]{step}")
            .replace("\n# ", "\n")
            .replace("=ON)", &format!("=ON {option})"))
            .replace(" build)", &format!(" build {option})"));
        assert!(step.contains(option), "{step}");
        project.write("majordomo.toml", format!("{before}{step}"));
        assert!(ran(&project.build(&[]).ok()).contains(&"configure".to_owned()));
        assert_eq!(project.says("build/words", &["one two"]), "2 words\n");
    }
}

#[test]
fn tests_are_run_before_anything_was_built() {
    let place = Place::new();
    let project = place.example("cmake");
    let test = project.build(&["test"]).ok();
    let passed = test.output("build/CMakeFiles/test.util");
    assert!(passed.iter().any(|line| line.contains("100% tests passed")), "{passed:?}");
    assert!(!ran(&test).contains(&"words".to_owned()), "{:?}", ran(&test));
}

#[test]
fn a_meson_project() {
    let place = Place::new();
    let project = place.example("meson");
    let first = project.build(&[]).ok();
    assert!(ran(&first).contains(&"libcount.so.1.0".to_owned()), "{:?}", ran(&first));
    assert_eq!(project.says("build/words", &["one two", "three"]), "3 words\n");
    let handed_over = ["count-test", "libcount.so", "libcount.so.1", "libcount.so.1.0", "tables", "words"];
    assert_eq!(project.files("build"), handed_over.map(|name| format!("build/{name}")));
    project.builds(&[]);
    project.append("src/words.c", "/* more */\n");
    assert_eq!(ran(&project.build(&[]).ok()), ["words.p/src_words.c.o"]);
    let test = project.build(&["test"]).ok();
    let passed = test.output("build/meson-internal__test");
    assert!(passed.iter().any(|line| line.contains("1/1 count OK")), "{passed:?}");
    project.append(
        "meson.build",
        "executable('more', 'src/words.c', link_with: count, include_directories: include)\n",
    );
    let more = project.build(&[]).ok();
    assert_eq!(ran(&more), ["more", "more.p/src_words.c.o", "chef:meson:2:configure", "configure"]);
}

#[test]
fn a_byproduct_that_is_not_made_is_missing() {
    let place = Place::new();
    let project = place.bare("p");
    let listed = |made: &str| {
        format!(
            "cmake_minimum_required(VERSION 3.20)\nproject(p NONE)\n\
             add_custom_target(gen ALL COMMAND echo 42 > {made} BYPRODUCTS data.txt)\n\
             add_custom_command(OUTPUT use.h DEPENDS data.txt COMMAND cat data.txt > use.h)\n\
             add_custom_target(all_of_it ALL DEPENDS use.h)\n"
        )
    };
    project.write("CMakeLists.txt", listed("daat.txt"));
    let failed = project.build(&[]).failed();
    assert!(failed.said().contains("data.txt: No such file or directory"), "{}", failed.said());
    assert!(!project.has("build/data.txt"));
    project.write("CMakeLists.txt", listed("data.txt"));
    project.build(&[]).ok();
    assert_eq!(project.read("build/use.h"), "42\n");
    // What stands for a target that makes no file is nothing that anybody wants.
    assert_eq!(project.files("build"), ["build/data.txt", "build/use.h"]);
    project.build(&["gen"]).ok();
    project.builds(&[]);
    assert_eq!(project.files("build"), ["build/data.txt", "build/use.h"]);
}

#[test]
fn a_folder_that_is_called_build_is_left_alone() {
    let place = Place::new();
    let project = place.example("cmake");
    project.write("build/Dockerfile", "FROM nothing\n");
    project.build(&[]).ok();
    assert_eq!(project.files("build"), ["build/Dockerfile"]);
    assert_eq!(project.says("_build/words", &["one"]), "1 words\n");
    project.builds(&[]);
}

/// A project with a `build.ninja` and two sources.
fn with_ninja<'p>(place: &'p Place, file: &str) -> Project<'p> {
    let project = place.bare("p");
    project.write("build.ninja", file);
    project.write("a.c", "#include \"gen.h\"\nint main(void) { return GEN; }\n");
    project.write("gen.in", "0\n");
    project
}

const NINJA: &str = r#"
rule cc
  command = gcc -Iout/gen -MD -MF $out.d -c $in -o $out
  depfile = $out.d
  deps = gcc
rule link
  command = gcc @$out.rsp -o $out
  rspfile = $out.rsp
  rspfile_content = $in_newline
rule gen
  command = printf '#define GEN ' > $out.tmp && cat $in >> $out.tmp && mv $out.tmp $out
  restat = 1
build out/gen/gen.h: gen gen.in
build out/a.o: cc a.c || out/gen/gen.h
build out/prog: link out/a.o
build all: phony out/prog
rule check
  command = out/prog && touch $out
build check: check | out/prog
default all
"#;

#[test]
fn a_ninja_file() {
    let place = Place::new();
    let project = with_ninja(&place, NINJA);
    let first = project.build(&[]).ok();
    let steps = ["chef:ninja:plan", "out/a.o", "out/gen/gen.h", "out/prog"];
    assert_eq!(first.ran().into_iter().filter(|step| steps.contains(step)).count(), 4, "{:?}", first.ran());
    assert_eq!(project.says("out/prog", &[]), "");
    assert_eq!(project.files("out"), ["out/prog"]);
    project.builds(&[]);
    assert_eq!(project.build(&["check"]).ok().ran(), ["check"]);
    // The header that it finds counts, whatever the file declares.
    project.write("gen.in", "00\n");
    project.builds(&["out/a.o", "out/gen/gen.h"]);
    project.write("gen.in", "1\n");
    project.builds(&["out/a.o", "out/gen/gen.h", "out/prog"]);
    let failed = project.build(&["check"]).code(1);
    assert!(failed.said().contains("check failed"), "{}", failed.said());
}

#[test]
fn the_example_with_a_ninja_file() {
    let place = Place::new();
    let project = place.example("ninja");
    project.build(&[]).ok();
    assert_eq!(project.says("bin/squares", &[]), "1 4 9\n");
    assert_eq!(project.files("bin"), ["bin/squares"]);
    project.builds(&[]);
    assert_eq!(project.build(&["check"]).ok().ran(), ["check"]);
    // No edge names the header.
    project.append("src/print.h", "/* more */\n");
    project.builds(&["obj/main.o", "obj/print.o"]);
    project.append("tools/squares.awk", "\n");
    project.builds(&["gen/squares.h"]);
    project.replace("tools/numbers", "3", "5");
    project.builds(&["bin/squares", "gen/squares.h", "obj/main.o"]);
    assert_eq!(project.says("bin/squares", &[]), "1 4 25\n");
    project.append("build.ninja", "build a: nobody b\n");
    let wrong = project.build(&[]).code(2);
    assert!(wrong.said().contains("build.ninja:24:10: unknown rule `nobody`"), "{}", wrong.said());
}

#[test]
fn what_dyndep_files_say_is_seen() {
    let place = Place::new();
    let project = with_ninja(
        &place,
        r#"
rule scan
  command = printf 'ninja_dyndep_version = 1\nbuild user: dyndep | made\nbuild maker | made: dyndep\n' > $out
rule maker
  command = echo module > made && touch $out
  dyndep = dd
rule user
  command = cat made > $out
  dyndep = dd
build dd: scan
build user: user || dd
build maker: maker || dd
"#,
    );
    project.build(&[]).ok();
    assert_eq!(project.read("user"), "module\n");
    project.builds(&[]);
}

/// What is said of a project that cannot be planned.
#[track_caller]
fn refused(file: &str, words: &[&str]) {
    let place = Place::new();
    let project = with_ninja(&place, file);
    for _ in 0..2 {
        // Not even the second time is it remembered.
        let said = project.build(&[]).code(2);
        for words in words {
            assert!(said.said().contains(words), "{}", said.said());
        }
    }
    project.write("build.ninja", "rule r\n  command = touch $out\nbuild x: r\n");
    project.build(&[]).ok();
    assert!(project.has("x"));
}

#[test]
fn a_ninja_file_that_is_none() {
    refused("build x: r\n  rule", &["the chef `ninja` has no plan for this project", "build.ninja:"]);
    refused("rule r\n  command = x\nbuild x: nobody a.c\n", &["build.ninja:3:10: unknown rule `nobody`"]);
    let circle = "rule r\n  command = x\nbuild a: r b\nbuild b: r c\nbuild c: r a\n";
    refused(circle, &["build.ninja:3:1: ", "a circle: `a` → `b` → `c` → `a`"]);
    refused("include nothing.ninja\n", &["build.ninja:1:", "nothing.ninja"]);
    refused("rule r\n  command = x\nbuild ../out: r\n", &["`../out` is not inside of the project"]);
}

#[test]
fn a_source_that_nobody_has() {
    let words = "build.ninja:3:1: `t` is needed here, is not there, and no edge makes it";
    refused("rule r\n  command = touch $out\nbuild y: r t\nbuild z: r y\n", &[words]);
    let place = Place::new();
    let unwanted = "rule r\n  command = touch $out\nbuild z: r\nbuild y: r t\ndefault z\n";
    let project = with_ninja(&place, unwanted);
    project.build(&[]).ok();
}

#[test]
fn pools_of_a_ninja_file() {
    let place = Place::new();
    let mut file = "pool two\n  depth = 2\npool any\n  depth = 0\n".to_owned();
    for (rule, pool) in [("few", "two"), ("one", "console"), ("many", "any"), ("free", "")] {
        file += &format!("rule {rule}\n  command = sleep 0.1; touch $out\n  pool = {pool}\n");
        (0..6).for_each(|number| file += &format!("build {rule}-{number}: {rule}\n"));
    }
    let project = with_ninja(&place, &file);
    let built = project.build(&["-j4"]).ok();
    let most = ["few-", "one-", "many-", "free-"].map(|prefix| built.at_once(prefix));
    assert_eq!((most[0] <= 2, most[1]), (true, 1), "{most:?}");
    assert!(most[2] > 2 && most[3] > 2, "{most:?}");
    // In what is written for the user to edit, too.
    assert_eq!(place.majordomo(&["init", "-p", project.path().to_str().unwrap()]).ok().code, Some(0));
    let plan = project.read("majordomo.toml");
    assert!(plan.contains("[pools]") && plan.contains("pool = \"two\""), "{plan}");
    project.write("majordomo.toml", "[step.a]\nrun = 'true'\npool = 'nobody'\n");
    let wrong = project.build(&[]).code(2);
    assert!(wrong.said().contains("`a` is of a pool `nobody`, and `[pools]` has none"), "{}", wrong.said());
}

#[test]
fn held_steps_of_a_pool_wait_for_others_of_it() {
    let place = Place::new();
    let file = "[pools]\none = 1\n[step.a]\nrun = 'cat b > a'\nout = 'a'\npool = 'one'\n[step.b]\nrun = 'cat c > b'\nout = 'b'\n\
                pool = 'one'\n[step.c]\nrun = 'echo c > c'\nout = 'c'\npool = 'one'\n";
    let project = place.project("p", file);
    project.build(&["-j4"]).ok();
    assert_eq!(project.read("a"), "c\n");
}

#[test]
fn what_asks_for_sizes_is_configured_again() {
    let place = Place::new();
    let asking = [
        "file(SIZE data.bin N)",
        "file(\n  SIZE ${CMAKE_SOURCE_DIR}/data.bin N)",
        "set(OP SIZE)\nfile(${OP} data.bin N)",
        "execute_process(COMMAND sh ${CMAKE_SOURCE_DIR}/ask OUTPUT_VARIABLE N OUTPUT_STRIP_TRAILING_WHITESPACE)",
    ];
    for (number, asks) in asking.into_iter().enumerate() {
        let project = place.bare(&number.to_string());
        let list = format!(
            "cmake_minimum_required(VERSION 3.20)\nproject(p C)\n{asks}\nadd_executable(app main.c)\n\
             target_compile_definitions(app PRIVATE N=${{N}})\n"
        );
        project.write("CMakeLists.txt", list);
        project.write("ask", "stat -c %s /project/data.bin\n");
        let main = "#include <stdio.h>\nint main(void) { printf(\"%d\\n\", N); return 0; }\n";
        project.write("main.c", main);
        project.write("data.bin", "abc\n");
        project.build(&[]).ok();
        assert_eq!(project.says("build/app", &[]), "4\n", "{asks}");
        project.append("data.bin", "abcdefgh\n");
        assert!(ran(&project.build(&[]).ok()).contains(&"configure".to_owned()), "{asks}");
        assert_eq!(project.says("build/app", &[]), "13\n", "{asks}");
        project.builds(&[]);
    }
}

#[test]
fn a_configure_script_that_looks_for_a_source_is_not_run_again_for_its_size() {
    let place = Place::new();
    let project = place.bare("p");
    let built = || {
        let mut ran = ran(&project.build(&[]).ok());
        ran.dedup();
        ran
    };
    let head = "#! /bin/sh\n# Generated by GNU Autoconf 2.71.\ntest -r ./main.c || exit 1\n";
    let tail = "echo 'int n = '$N';' > n.h; cp Makefile.in Makefile\n";
    project.write("configure", format!("{head}N=1\n{tail}"));
    project.write("Makefile.in", "prog: main.c n.h\n\tcat main.c n.h > prog\n");
    project.write("main.c", "one\n");
    assert_eq!(built(), ["configure", "make"]);
    project.append("main.c", "two\n");
    assert_eq!(built(), ["make"]);
    assert_eq!(project.read("prog"), "one\ntwo\nint n = 1;\n");
    // One that asks for it is.
    project.write("configure", format!("{head}N=`stat -c %s main.c`\n{tail}"));
    assert_eq!(built(), ["configure", "make"]);
    project.append("main.c", "three\n");
    assert_eq!(built(), ["configure", "make"]);
    assert_eq!(project.read("prog"), "one\ntwo\nthree\nint n = 14;\n");
}

#[test]
fn what_cannot_be_configured_is_not_remembered() {
    let place = Place::new();
    let project = place.example("cmake");
    project.append("CMakeLists.txt", "add_subdirectory(deeper)\n");
    for _ in 0..2 {
        let failed = project.build(&[]).code(1);
        assert_eq!(ran(&failed), ["configure"]);
        assert!(failed.said().contains("configure failed"), "{}", failed.said());
        let output = failed.output("configure").join("\n");
        assert!(output.contains("which is not an existing directory"), "{output}");
    }
    project.write("deeper/other.txt", "");
    let failed = project.build(&[]).code(1);
    assert!(failed.output("configure").join("\n").contains("does not contain a CMakeLists.txt file"));
    project.write("deeper/CMakeLists.txt", "find_package(NoSuchPackage REQUIRED)\n");
    for _ in 0..2 {
        let failed = project.build(&[]).code(1);
        assert_eq!(ran(&failed), ["configure"]);
        assert!(failed.output("configure").join("\n").contains("NoSuchPackage"), "{}", failed.said());
        assert!(failed.said().contains("why: deeper/CMakeLists.txt:1: "), "{}", failed.said());
        assert!(!project.has("build"));
    }
    project.write("deeper/CMakeLists.txt", "");
    project.build(&[]).ok();
    place.assert_nothing_left();

    let meson = place.example("meson");
    meson.append("meson.build", "subdir('deeper')\n");
    let failed = meson.build(&[]).code(1);
    assert!(
        failed.output("configure").join("\n").contains("meson.build:13:0: ERROR"),
        "{:?}",
        failed.output("configure")
    );
}

#[test]
fn a_compile_that_fails() {
    let place = Place::new();
    let project = place.example("cmake");
    project.replace("src/words.c", "return 0;", "return 0");
    let failed = project.build(&[]).code(1);
    assert!(failed.said().contains("src/words.c:11"), "{}", failed.said());
    project.replace("src/words.c", "return 0", "return 0;");
    let good = project.build(&[]).ok();
    assert_eq!(ran(&good), ["CMakeFiles/words.dir/src/words.c.o", "words"]);
}

#[test]
fn a_program_finds_the_libraries_of_its_project_where_it_is_handed_over() {
    let place = Place::new();
    let project = place.bare("p");
    project.write(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.20)\nproject(p C)\nset(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)\n\
         add_library(stuff SHARED a.c)\nset_target_properties(stuff PROPERTIES VERSION 1.2 SOVERSION 1)\n\
         add_executable(app main.c)\ntarget_link_libraries(app stuff)\n",
    );
    project.write("a.c", "int stuff(void) { return 42; }\n");
    project.write(
        "main.c",
        "#include <stdio.h>\nint stuff(void);\nint main(void) { printf(\"%d\\n\", stuff()); }\n",
    );
    project.build(&[]).ok();
    assert_eq!(project.says("build/app", &[]), "42\n");
}

#[test]
fn what_edges_make_beside_what_they_declare() {
    let place = Place::new();
    let project = place.bare("p");
    project.write(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.20)\nproject(p C)\nadd_executable(app main.c)\n\
         add_custom_command(TARGET app POST_BUILD COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:app> ${CMAKE_BINARY_DIR}/app-copy)\n\
         add_custom_target(docs ALL COMMAND mkdir -p doc && echo words > doc/index.html)\n",
    );
    project.write("main.c", "int main(void) { return 0; }\n");
    let other = project.checkout("other");
    // A target has its name, and so does what it makes.
    project.build(&["app"]).ok();
    project.build(&["docs"]).ok();
    assert_eq!(project.files("build"), ["build/app", "build/app-copy", "build/doc/index.html"]);
    let project = other;
    // By their paths, before anybody knows who makes them.
    project.build(&["build/app-copy"]).ok();
    assert_eq!(project.files("build"), ["build/app-copy"]);
    project.build(&[]).ok();
    assert_eq!(project.files("build"), ["build/app", "build/app-copy", "build/doc/index.html"]);
    project.builds(&[]);
    project.remove("build/doc/index.html");
    project.build(&["build/doc/index.html"]).ok();
    assert_eq!(project.read("build/doc/index.html"), "words\n");
    // What nobody makes is a mistake, though `configure` promises the folder around it.
    for _ in 0..2 {
        let refused = project.build(&["build/nosuch"]).code(2);
        assert!(refused.said().contains("no step makes `build/nosuch`"), "{}", refused.said());
        assert!(refused.said().contains("that `configure` promises"), "{}", refused.said());
    }
}

/// Writes the file that it stands in.
const GENERATOR: &str = "names = open('list.txt').read().split()\n\
    lines = ['rule gen', '  command = python3 gen.py', '  generator = 1', 'rule up', '  command = tr a-z A-Z < $in > $out']\n\
    lines += ['build build.ninja: gen | gen.py list.txt'] + [f'build {name}.up: up {name}.txt' for name in names]\n\
    open('build.ninja', 'w').write('\\n'.join(lines) + '\\n')\n";

#[test]
fn a_ninja_file_that_writes_itself_is_planned_again() {
    let place = Place::new();
    let project = place.bare("p");
    project.write("gen.py", GENERATOR);
    project.write("list.txt", "a b\n");
    for name in ["a", "b", "c"] {
        project.write(format!("{name}.txt"), format!("{name} text\n"));
    }
    let by_hand = std::process::Command::new("python3").arg("gen.py").current_dir(project.path()).status();
    assert!(by_hand.unwrap().success());
    let before = project.read("build.ninja");
    let first = project.build(&[]).ok();
    assert_eq!(first.ran_without_chefs(), ["a.up", "b.up", "build.ninja"]);
    assert_eq!((project.read("a.up"), project.read("b.up")), ("A TEXT\n".into(), "B TEXT\n".into()));
    project.builds(&[]);
    project.write("a.txt", "other\n");
    project.builds(&["a.up"]);
    // What the file is made of has changed: so have the steps.
    project.write("list.txt", "b c\n");
    let again = project.build(&[]).ok();
    assert_eq!(again.ran_without_chefs(), ["build.ninja", "c.up"], "{}", again.said());
    assert!(!project.has("a.up") && project.read("c.up") == "C TEXT\n");
    assert_eq!(project.read("build.ninja"), before);
    project.builds(&[]);
    // A generator that fails is a step that fails.
    project.append("gen.py", "raise SystemExit('no more')\n");
    let failed = project.build(&[]).failed();
    assert!(failed.said().contains("no more"), "{}", failed.said());
    place.assert_nothing_left();
}
