//! Real projects that nobody here wrote, from Debian's sources: Lua 5.4 and GNU hello.

mod configured;

use std::process::Command;

use crate::common::{Place, Project, debian};

/// As a user would write it; the first rule stands for one line of Debian's own.
pub const LUA: &str = r##"
[project]
name = "lua"
targets = ["bin/lua"]

[step.multiarch]
run = '''echo "#define DEB_HOST_MULTIARCH \"$(gcc -print-multiarch)\"" > {out}'''
out = "src/lua5.4-deb-multiarch.h"

[step.compile]
each  = "src/*.c"
run   = "gcc -O2 -std=gnu99 -DLUA_USE_LINUX -c {in} -o {out}"
out   = "obj/{stem}.o"
after = "multiarch"

[step.link]
run = "gcc -o bin/lua $(ls obj/*.o | grep -v luac.o) -lm -ldl -Wl,-E"
out = "bin/lua"
after = ["compile"]
"##;

const HELLO: &str = r#"
[step.configure]
run = "./configure -q"

[step.make]
run = "make -s"
after = "configure"
"#;

/// The sources that include a header, as the compiler itself says.
fn users_of(project: &Project<'_>, header: &str) -> Vec<String> {
    let multiarch = tempfile::tempdir().unwrap();
    std::fs::write(multiarch.path().join("lua5.4-deb-multiarch.h"), "#define DEB_HOST_MULTIARCH \"x\"\n")
        .unwrap();
    let sources = project.files("src").into_iter().filter(|path| path.ends_with(".c"));
    let uses = |source: &String| {
        let mut gcc = Command::new("gcc");
        gcc.args(["-MM", "-DLUA_USE_LINUX", "-I"]).arg(multiarch.path()).arg(source);
        let said = gcc.current_dir(project.path()).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).split_whitespace().any(|word| word == header)
    };
    sources.filter(uses).map(|source| format!("compile:{source}")).collect()
}

#[test]
fn lua() {
    let place = Place::new();
    let folder = place.path().join("projects/lua");
    if !debian::unpack("lua5.4", &folder) {
        return;
    }
    let project = place.project("lua", LUA);
    let first = project.build(&[]).ok();
    assert_eq!(first.ran().len() as u64, first.count("steps"));
    let script =
        "local t = {} for i = 1, 10 do t[i] = i * i end print(_VERSION, table.concat(t, ' '), 2^53 | 0)";
    let expected = "Lua 5.4\t1 4 9 16 25 36 49 64 81 100\t9007199254740992\n";
    assert_eq!(project.says("bin/lua", &["-e", script]), expected);
    place.assert_nothing_left();

    project.builds(&[]);
    project.remove("bin");
    assert_eq!(project.builds(&[]).count("written"), 1);
    assert_eq!(project.says("bin/lua", &["-e", script]), expected);

    // One comment is one command, and no link.
    project.append("src/lvm.c", "\n/* a comment */\n");
    project.builds(&["compile:src/lvm.c"]);
    // A header's users, as the compiler itself names them, and no link for a comment.
    let users = users_of(&project, "src/lopcodes.h");
    assert!((2..20).contains(&users.len()), "{users:?}");
    project.append("src/lopcodes.h", "\n/* a comment */\n");
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    project.builds(&users);

    project.replace(
        "src/lua.h",
        "#define LUA_VERSION_MINOR\t\"4\"",
        "#define LUA_VERSION_MINOR\t\"4 of ours\"",
    );
    let changed = project.build(&[]).ok();
    assert!(changed.ran().contains(&"link"), "{}", changed.said());
    assert_eq!(project.says("bin/lua", &["-e", "print(_VERSION)"]), "Lua 5.4 of ours\n");

    // Another checkout has everything.
    let other = project.checkout("lua-again");
    other.remove("majordomo.toml");
    other.write("majordomo.toml", LUA);
    other.builds(&[]);
    assert_eq!(other.says("bin/lua", &["-e", "print(_VERSION)"]), "Lua 5.4 of ours\n");
}

#[test]
fn gnu_hello() {
    let place = Place::new();
    let folder = place.path().join("projects/hello");
    if !debian::unpack("hello", &folder) {
        return;
    }
    let project = place.project("hello", HELLO);
    let sources = project.files("");
    project.builds(&["configure", "make"]);
    assert_eq!(project.says("hello", &[]), "Hello, world!\n");
    assert_eq!(project.says("hello", &["--greeting=Good day"]), "Good day\n");
    assert!(project.says("hello", &["--version"]).starts_with("hello (GNU Hello) 2.10\n"));
    place.assert_nothing_left();

    project.builds(&[]);
    let made: Vec<_> = project.files("").into_iter().filter(|file| !sources.contains(file)).collect();
    assert!(made.len() > 20, "{made:?}");
    made.iter().for_each(|file| project.remove(file));
    project.builds(&[]);
    let restored: Vec<_> = project.files("").into_iter().filter(|file| !sources.contains(file)).collect();
    assert_eq!(restored, made);
    assert_eq!(project.says("hello", &["-t"]), "hello, world\n");

    // Of this file `configure` asks whether it is there, and so learns its size.
    project.replace("src/hello.c", "Hello, world!", "Hello, earth!");
    project.builds(&["make"]);
    assert_eq!(project.says("hello", &[]), "Hello, earth!\n");
}
