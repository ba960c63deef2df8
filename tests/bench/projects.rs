//! The projects that are built: a thousand tiny C files, and Debian's sources of Lua and GNU hello.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How many C files, and how many headers.
pub const FILES: usize = 1000;

/// Writes the thousand files, a `majordomo.toml` and a `build.ninja` that do the same.
pub fn thousand(folder: &Path) {
    for part in 0..10 {
        fs::create_dir_all(folder.join(format!("d{part}"))).expect("folders are made");
    }
    let write = |path: String, text: String| fs::write(folder.join(path), text).expect("files are written");
    let mut ninja = String::from(
        "rule cc\n  command = gcc -O1 -MD -MF $out.d -c $in -o $out\n  depfile = $out.d\n  deps = gcc\n\
         rule link\n  command = gcc -o $out $$(find nobj -name '*.o' | sort)\n",
    );
    let mut objects = String::new();
    for file in 0..FILES {
        let part = file / 100;
        write(
            format!("d{part}/h{file}.h"),
            format!(
                "#ifndef H{file}\n#define H{file}\nstatic inline int h{file}(int x) {{ return x + {file}; }}\n#endif\n"
            ),
        );
        let headers: Vec<usize> = (0..7).map(|n| (file + n * 37) % FILES).collect();
        let mut text = String::new();
        for header in &headers {
            writeln!(text, "#include \"../d{}/h{header}.h\"", header / 100).expect("a string takes it");
        }
        let sum: Vec<String> = headers.iter().map(|header| format!("h{header}(x)")).collect();
        writeln!(text, "int f{file}(int x) {{ return {}; }}", sum.join(" + ")).expect("a string takes it");
        write(format!("d{part}/c{file}.c"), text);
        writeln!(ninja, "build nobj/d{part}/c{file}.o: cc d{part}/c{file}.c").expect("a string takes it");
        write!(objects, " nobj/d{part}/c{file}.o").expect("a string takes it");
    }
    write("main.c".into(), "int f0(int);\nint main(void) { return f0(1) == 0; }\n".into());
    writeln!(ninja, "build nobj/main.o: cc main.c\nbuild nprog: link{objects} nobj/main.o")
        .expect("a string takes it");
    write("build.ninja".into(), ninja);
    write(
        "majordomo.toml".into(),
        r#"[project]
name = "thousand"

[step.compile]
each = ["d*/*.c", "main.c"]
run = ["gcc", "-O1", "-c", "{in}", "-o", "{out}"]
out = "obj/{dir}/{stem}.o"

[step.link]
run = "gcc -o prog $(find obj -name '*.o' | sort)"
out = "prog"
after = ["compile"]
"#
        .into(),
    );
}

/// Fetches a Debian source package into a folder with lists of its own; its unpacked folder. `None` without a network.
pub fn debian(name: &str, into: &Path) -> Option<PathBuf> {
    let script = r#"
set -e
mkdir -p parts lists/partial cache/archives/partial
for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] && sed 's/^Types: .*/Types: deb-src/' "$file" > "parts/$(basename "$file")"
done
[ ! -e /etc/apt/sources.list ] || sed -n 's/^deb /deb-src /p' /etc/apt/sources.list > parts/main.list
options="-qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$PWD/parts -o Dir::State::lists=$PWD/lists -o Dir::Cache=$PWD/cache -o APT::Sandbox::User=root"
apt-get $options update
apt-get $options source "$1"
"#;
    let status = Command::new("sh").current_dir(into).args(["-c", script, "sh", name]).output().ok()?;
    if !status.status.success() {
        eprintln!("`{name}` cannot be fetched: {}", String::from_utf8_lossy(&status.stderr));
        return None;
    }
    let folders = fs::read_dir(into).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let mut found = folders.filter(|path| {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        path.is_dir() && file_name.starts_with(&format!("{name}-"))
    });
    found.next()
}

/// Lays project files beside Lua's sources, for us and for ninja.
pub fn lua(folder: &Path) {
    // Debian's header needs the name of the machine's library folder, which its packaging writes.
    fs::write(folder.join("src/lua5.4-deb-multiarch.h"), "#define DEB_HOST_MULTIARCH \"x86_64-linux-gnu\"\n")
        .expect("the header is written");
    let mut ninja = String::from(
        "rule cc\n  command = gcc -O2 -std=gnu99 -DLUA_USE_LINUX -MD -MF $out.d -c $in -o $out\n  depfile = $out.d\n\
         \x20 deps = gcc\nrule link\n  command = gcc -o $out $$(ls nobj/*.o | grep -v luac.o) -lm -ldl -Wl,-E\n",
    );
    let mut objects = String::new();
    let mut sources: Vec<String> = fs::read_dir(folder.join("src"))
        .expect("lua has sources")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".c"))
        .collect();
    sources.sort();
    for name in sources {
        let stem = name.trim_end_matches(".c");
        writeln!(ninja, "build nobj/{stem}.o: cc src/{name}").expect("a string takes it");
        write!(objects, " nobj/{stem}.o").expect("a string takes it");
    }
    writeln!(ninja, "build nlua: link{objects}").expect("a string takes it");
    fs::write(folder.join("build.ninja"), ninja).expect("files are written");
    fs::write(
        folder.join("majordomo.toml"),
        r#"[project]
name = "lua"
targets = ["bin/lua"]

[step.compile]
each = "src/*.c"
run  = "gcc -O2 -std=gnu99 -DLUA_USE_LINUX -c {in} -o {out}"
out  = "obj/{stem}.o"

[step.link]
run = "gcc -o bin/lua $(ls obj/*.o | grep -v luac.o) -lm -ldl -Wl,-E"
out = "bin/lua"
after = ["compile"]
"#,
    )
    .expect("files are written");
}
