//! What CMake writes, for a project with a bit of everything.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::{plan, run};
use crate::tool::{compare, must, ours};

const FILES: [(&str, &str); 8] = [
    (
        "CMakeLists.txt",
        r#"cmake_minimum_required(VERSION 3.16)
project(sample C CXX)
set(CMAKE_NINJA_FORCE_RESPONSE_FILE 1)
add_custom_command(OUTPUT "made here.h"
    COMMAND ${CMAKE_COMMAND} -DOUT=made\ here.h -P ${CMAKE_SOURCE_DIR}/make.cmake
    DEPENDS make.cmake VERBATIM)
add_custom_target(headers DEPENDS "made here.h")
add_subdirectory(lib)
add_executable(app main.cpp "odd name.c")
target_compile_definitions(app PRIVATE "TEXT=\"it's $ really fine\"")
target_include_directories(app PRIVATE ${CMAKE_BINARY_DIR})
target_link_libraries(app PRIVATE shared still)
add_dependencies(app headers)
add_custom_command(TARGET app POST_BUILD COMMAND ${CMAKE_COMMAND} -E touch app.built BYPRODUCTS app.built)
enable_testing()
add_test(NAME runs COMMAND app)
install(TARGETS app)
"#,
    ),
    ("make.cmake", "file(WRITE \"${OUT}\" \"#define MADE 40\\n\")\n"),
    (
        "lib/CMakeLists.txt",
        "add_library(parts OBJECT part.c)\nset_target_properties(parts PROPERTIES POSITION_INDEPENDENT_CODE ON)\n\
         add_library(still STATIC still.c $<TARGET_OBJECTS:parts>)\nadd_library(shared SHARED shared.c)\n\
         set_target_properties(shared PROPERTIES VERSION 1.2.3 SOVERSION 1)\n",
    ),
    ("lib/part.c", "int part(void) { return 1; }\n"),
    ("lib/still.c", "int still(void) { return 1; }\n"),
    ("lib/shared.c", "int shared(void) { return 0; }\n"),
    ("odd name.c", "#include \"made here.h\"\nint odd(void) { return MADE; }\n"),
    (
        "main.cpp",
        "#include <cstdio>\nextern \"C\" { int part(); int still(); int shared(); int odd(); }\n\
         int main() { std::printf(\"%s %d\\n\", TEXT, odd() + part() + still() + shared()); }\n",
    ),
];

fn configured(project: &Path) {
    for (name, text) in FILES {
        let path = project.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    must(Command::new("cmake").args(["-G", "Ninja", "-S", ".", "-B", "out/build"]).current_dir(project));
}

#[test]
fn a_project_is_read_as_ninja_reads_it_and_its_steps_build_it() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().canonicalize().unwrap();
    configured(&project);
    let build = project.join("out/build");
    let manifest = ours(&build).unwrap();
    compare(&build, &manifest);

    let plan = plan(&manifest, &project, "out/build");
    let generators: Vec<_> =
        plan.steps.iter().filter(|step| step.generator).map(|step| step.id.as_str()).collect();
    assert_eq!(generators, ["out/build/build.ninja"]);
    assert!(plan.steps.iter().any(|step| step.commands.len() > 1), "no response file");
    let ids = run(&plan, &plan.wanted, &project);
    assert!(ids.contains(&"out/build/made here.h".to_owned()), "{ids:?}");
    assert!(ids.len() >= 9 && ids.len() < plan.steps.len(), "{ids:?}");
    let said = must(&mut Command::new(build.join("app")));
    assert_eq!(said, "it's $ really fine 42\n");
    assert!(!build.join("CMakeFiles/app.rsp").exists());
}
