//! What Meson writes.

use std::fs;
use std::process::Command;

use crate::run::{plan, run};
use crate::tool::{compare, must, ours};

const FILES: [(&str, &str); 4] = [
    (
        "meson.build",
        "project('sample', 'c')\n\
         made = custom_target('made', output : 'made.h', input : 'made.in', command : ['cp', '@INPUT@', '@OUTPUT@'])\n\
         part = static_library('part', 'part.c')\n\
         app = executable('app', 'main.c', made, link_with : part, c_args : '-DTEXT=\"it\\'s $ fine\"')\n\
         test('runs', app)\n",
    ),
    ("made.in", "#define MADE 41\n"),
    ("part.c", "int part(void) { return 1; }\n"),
    (
        "main.c",
        "#include <stdio.h>\n#include \"made.h\"\nint part(void);\n\
         int main(void) { printf(\"%s %d\\n\", TEXT, MADE + part()); return 0; }\n",
    ),
];

#[test]
fn a_project_is_read_as_ninja_reads_it_and_its_steps_build_it() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().canonicalize().unwrap();
    for (name, text) in FILES {
        fs::write(project.join(name), text).unwrap();
    }
    must(Command::new("meson").args(["setup", "build"]).current_dir(&project));
    let build = project.join("build");
    let manifest = ours(&build).unwrap();
    compare(&build, &manifest);
    let plan = plan(&manifest, &project, "build");
    run(&plan, &plan.wanted, &project);
    assert_eq!(must(&mut Command::new(build.join("app"))), "it's $ fine 42\n");
}
