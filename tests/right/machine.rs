//! T16. The machine is the image: a changed system header or compiler runs exactly its users again, and a package with an
//! unrelated library runs none.
//!
//! The machine's own folders are changed in a mount namespace of the test's own, which root may have.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::common::private_mounts::{copy_on_write, put_file, small_disk, unshare_mounts};
use crate::common::{Place, Project};

const FILE: &str = r#"
[step.print]
run = "gcc -O1 -c print.c -o print.o"
out = "print.o"
[step.count]
run = "gcc -O1 -c count.c -o count.o"
out = "count.o"
[step.link]
run = "gcc print.o count.o -o prog"
out = "prog"
after = ["print", "count"]
[step.words]
run = "tr a-z A-Z < words > upper"
out = "upper"
"#;

/// `print.c` includes a header of the system, `count.c` none, and `words` has nothing to do with compilers.
fn program(place: &Place) -> Project<'_> {
    let project = place.project("p", FILE);
    project.write(
        "print.c",
        "#include <stdio.h>\nint count(void);\nint main(void) { return printf(\"%d\\n\", count()) < 0; }\n",
    );
    project.write("count.c", "int count(void) { return 3; }\n");
    project.write("words", "words\n");
    project.builds(&["count", "link", "print", "words"]);
    project.builds(&[]);
    project
}

/// Installs a program.
fn install(path: &str, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn t16_a_system_header() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::new();
    let project = program(&place);
    let header = Path::new("/usr/include/stdio.h");
    let before = fs::read(header).unwrap();
    put_file(header, &[&before[..], b"/* patched */\n"].concat());
    let patched = project.builds(&["print"]);
    assert_eq!(patched.reason("print"), "/usr/include/stdio.h changed");
    put_file(header, &before);
    project.builds(&[]);
    // One that shadows it, in a folder that is searched earlier.
    copy_on_write(Path::new("/usr/local/include"));
    fs::write("/usr/local/include/stdio.h", &before).unwrap();
    assert_eq!(project.builds(&["print"]).reason("print"), "/usr/local/include/stdio.h appeared");
    fs::remove_file("/usr/local/include/stdio.h").unwrap();
    project.builds(&[]);
    // One that nobody includes, beside it.
    fs::write("/usr/local/include/unrelated.h", "#error\n").unwrap();
    project.builds(&[]);
}

#[test]
fn t16_a_compiler_wrapper() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::new();
    let project = program(&place);
    // It comes earlier in the path.
    copy_on_write(Path::new("/usr/local/bin"));
    install("/usr/local/bin/gcc", "#!/bin/sh\nexec /usr/bin/gcc -fno-inline \"$@\"\n");
    // The objects are the same, so nothing more would be linked, but the link is the wrapper's, too.
    let wrapped = project.builds(&["count", "link", "print"]);
    assert_eq!(wrapped.reason("count"), "/usr/local/bin/gcc appeared");
    install("/usr/local/bin/gcc", "#!/bin/sh\nexec /usr/bin/gcc -fno-common \"$@\"\n");
    assert_eq!(project.builds(&["count", "link", "print"]).reason("count"), "/usr/local/bin/gcc changed");
    fs::remove_file("/usr/local/bin/gcc").unwrap();
    project.builds(&[]);
    install("/usr/local/bin/unrelated", "#!/bin/sh\n");
    project.builds(&[]);
    // One that may not be executed is passed over, but was looked at.
    fs::write("/usr/local/bin/tr", "#!/bin/sh\n").unwrap();
    project.builds(&["words"]);
    assert_eq!(project.read("upper"), "WORDS\n");
}

#[test]
fn t16_a_wrapper_and_a_header_in_tool_roots() {
    if !unshare_mounts() {
        return;
    }
    // Tools have to be where a step has nothing of its own.
    small_disk(Path::new("/mnt"), 1024);
    let place = Place::new();
    let tools = Path::new("/mnt/tools");
    for folder in ["bin", "include"] {
        fs::create_dir_all(tools.join(folder)).unwrap();
    }
    let wrapper = tools.join("bin/wrapped-gcc").display().to_string();
    let include = tools.join("include").display().to_string();
    install(&wrapper, "#!/bin/sh\nexec gcc -O1 \"$@\"\n");
    fs::write(tools.join("include/one.h"), "#define ONE 1\n").unwrap();
    let project = place.project(
        "p",
        &format!(
            "[tools]\nroots = ['{}']\n[step.wrapped]\nrun = '{wrapper} -c a.c -o a.o'\nout = 'a.o'\n\
             [step.both]\nrun = '{wrapper} -I{include} -c b.c -o b.o'\nout = 'b.o'\n\
             [step.header]\nrun = 'gcc -I{include} -c b.c -o c.o'\nout = 'c.o'\n\
             [step.neither]\nrun = 'gcc -c a.c -o d.o'\nout = 'd.o'\n",
            tools.display()
        ),
    );
    project.write("a.c", "int a(void) { return 1; }\n");
    project.write("b.c", "#include <one.h>\nint b(void) { return ONE; }\n");
    project.builds(&["both", "header", "neither", "wrapped"]);
    install(&wrapper, "#!/bin/sh\nexec gcc -O2 \"$@\"\n");
    project.builds(&["both", "wrapped"]);
    fs::write(tools.join("include/one.h"), "#define ONE 2\n").unwrap();
    project.builds(&["both", "header"]);
    fs::write(tools.join("include/two.h"), "#define TWO 2\n").unwrap();
    project.builds(&[]);
    fs::write(tools.join("include/one.h"), "#define ONE 1\n").unwrap();
    project.builds(&[]);
}

/// Compiles a library into a folder of the machine, and lets the loader's cache know it.
fn install_library(place: &Place, name: &str, text: &str) {
    let source = place.path().join("library.c");
    fs::write(&source, text).unwrap();
    let to = format!("/usr/local/lib/lib{name}.so");
    // Another inode, as packages come: a program may have the old one mapped.
    fs::remove_file(&to).ok();
    let made = Command::new("gcc")
        .args(["-shared", "-fPIC", &format!("-Wl,-soname,lib{name}.so"), "-o", &to])
        .arg(&source)
        .status();
    assert!(made.unwrap().success());
    let cache = place.path().join("ld.so.cache");
    let made = Command::new("/sbin/ldconfig").arg("-X").arg("-C").arg(&cache).status();
    assert!(made.unwrap().success());
    put_file(Path::new("/etc/ld.so.cache"), &fs::read(&cache).unwrap());
}

#[test]
fn t16_a_package_with_an_unrelated_library_runs_nothing() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::new();
    copy_on_write(Path::new("/usr/local/lib"));
    copy_on_write(Path::new("/usr/local/include"));
    install_library(&place, "related", "int related(void) { return 1; }\n");
    let project = program(&place);
    project.append(
        "majordomo.toml",
        "[step.use]\nrun = 'gcc use.c -o use -lrelated'\nout = 'use'\n[step.run]\nrun = './use > said'\nout = 'said'\nafter = 'use'\n",
    );
    project.write(
        "use.c",
        "#include <stdio.h>\nint related(void);\nint main(void) { printf(\"%d\\n\", related()); }\n",
    );
    project.builds(&["run", "use"]);
    assert_eq!(project.read("said"), "1\n");

    let before = fs::read("/etc/ld.so.cache").unwrap();
    install_library(&place, "unrelated", "int unrelated(void) { return 1; }\n");
    fs::write("/usr/local/include/unrelated.h", "int unrelated(void);\n").unwrap();
    assert_ne!(fs::read("/etc/ld.so.cache").unwrap(), before, "the loader's cache names it");
    project.builds(&[]);
    // Nor does it when it goes.
    fs::remove_file("/usr/local/lib/libunrelated.so").unwrap();
    put_file(Path::new("/etc/ld.so.cache"), &before);
    project.builds(&[]);

    // One that is used runs its users: the link, and what the program prints.
    install_library(&place, "related", "int related(void) { return 2; }\n");
    project.builds(&["run", "use"]);
    assert_eq!(project.read("said"), "2\n");
}

#[test]
fn t16_what_reads_the_whole_cache_of_the_loader() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::new();
    copy_on_write(Path::new("/usr/local/lib"));
    let text = "[step.compile]\nrun = 'gcc -c a.c -o a.o'\nout = 'a.o'\n\
        [step.all]\nrun = '/sbin/ldconfig -p > all'\nout = 'all'\n";
    let project = place.project("p", text);
    project.write("a.c", "int a(void) { return 1; }\n");
    project.builds(&["all", "compile"]);
    install_library(&place, "unrelated", "int unrelated(void) { return 1; }\n");
    // What reads the whole cache is told apart from what looks a library up in it.
    project.builds(&["all"]);
    assert!(project.read("all").contains("libunrelated.so"));
    project.append("a.c", "int b;\n");
    project.builds(&["compile"]);
    install_library(&place, "another", "int another(void) { return 1; }\n");
    project.builds(&["all"]);
    project.builds(&[]);
}

#[test]
fn t16_a_library_that_the_cache_names_elsewhere() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::new();
    copy_on_write(Path::new("/usr/local/lib"));
    install_library(&place, "related", "int related(void) { return 1; }\n");
    let project = place.project("p", "[step.run]\nrun = './use > said'\nout = 'said'\n");
    let source = place.path().join("use.c");
    fs::write(
        &source,
        "#include <stdio.h>\nint related(void);\nint main(void) { printf(\"%d\\n\", related()); }\n",
    )
    .unwrap();
    let made = Command::new("gcc").arg(&source).arg("-o").arg(project.at("use")).arg("-lrelated").status();
    assert!(made.unwrap().success());
    project.builds(&["run"]);
    assert_eq!(project.read("said"), "1\n");
    // The loader finds it in another folder from now on; nothing else has changed but its cache.
    let old = fs::read("/etc/ld.so.cache").unwrap();
    fs::create_dir("/usr/local/lib/other").unwrap();
    fs::rename("/usr/local/lib/librelated.so", "/usr/local/lib/other/librelated.so").unwrap();
    install_library(&place, "related", "int related(void) { return 2; }\n");
    let listed = place.path().join("other.conf");
    fs::write(&listed, "/usr/local/lib/other\n/usr/local/lib\n").unwrap();
    put_file(Path::new("/etc/ld.so.cache"), &old);
    let again = project.build(&[]).ok();
    assert_eq!(again.ran(), ["run"], "the library itself has changed");
    assert_eq!(project.read("said"), "2\n");
    let cache = place.path().join("ld.so.cache");
    let made = Command::new("/sbin/ldconfig").args(["-X", "-f"]).arg(&listed).arg("-C").arg(&cache).status();
    assert!(made.unwrap().success());
    put_file(Path::new("/etc/ld.so.cache"), &fs::read(&cache).unwrap());
    project.builds(&["run"]);
    assert_eq!(project.read("said"), "1\n");
    put_file(Path::new("/etc/ld.so.cache"), &old);
    project.builds(&[]);
    assert_eq!(project.read("said"), "2\n");
}
