//! One file that has everything, and all that is made of it.

use std::fmt::Write;

use protocol::path::escape;

use super::with_files;
use crate::{BuildPath, Layout, Limits, Manifest, Plan};

const TOP: &str = "\
# A file with everything.
ninja_required_version = 1.10
builddir = .ninja
cflags = -O2
pool link
  depth = 2
rule cc
  command = cc $cflags -MD -MF $out.d -c $in -o $out
  depfile = $out.d
  deps = gcc
  description = CC $out
rule ld
  command = cc @$rspfile -o $out $libs
  rspfile = $out.rsp
  rspfile_content = $in_newline
  pool = link
rule gen
  command = ./gen $in $
      > $out && touch stamp
  restat = 1
include rules.ninja
build gen.h | gen.log: gen ../gen.txt
build headers: phony gen.h
build main.o: cc ../main.c || headers
build odd$ name.o: cc ../odd$ name.c | gen.h
  cflags = $cflags -g
build app: ld main.o odd$ name.o | lib/lib.a |@ lint
  libs = -lm
subninja lib.ninja
build lint: gen app
  pool = console
build build.ninja: again | rules.ninja
build all: phony app
default all
";

const RULES: &str = "rule again\n  command = again\n  generator = 1\n";

const LIB: &str = "\
cflags = -O3
build lib/x.o: cc ../lib/x.c
rule ar
  command = ar rcs $out $in
build lib/lib.a: ar lib/x.o
";

fn read() -> Manifest {
    with_files(TOP, &[("rules.ninja", RULES), ("lib.ninja", LIB)], &Limits::default()).unwrap()
}

fn list<'a>(label: &str, paths: impl IntoIterator<Item = &'a BuildPath>, text: &mut String) {
    let paths: Vec<String> = paths.into_iter().map(|path| format!("{path:?}")).collect();
    if !paths.is_empty() {
        writeln!(text, "  {label} {}", paths.join(" ")).unwrap();
    }
}

#[test]
fn the_manifest() {
    let mut text = String::new();
    let manifest = read();
    for edge in manifest.edges() {
        writeln!(text, "{}", edge.place).unwrap();
        list("explicit outputs", &edge.outputs.explicit, &mut text);
        list("implicit outputs", &edge.outputs.implicit, &mut text);
        list("explicit inputs", &edge.inputs.explicit, &mut text);
        list("implicit inputs", &edge.inputs.implicit, &mut text);
        list("order-only inputs", &edge.inputs.order_only, &mut text);
        list("validations", &edge.validations, &mut text);
        let Some(command) = edge.command() else { continue };
        writeln!(text, "  {}: {}", escape(&command.rule), escape(&command.text)).unwrap();
        list("depfile", &command.depfile, &mut text);
        if let Some(file) = &command.response_file {
            writeln!(text, "  response file {:?}: {}", file.path, escape(&file.content)).unwrap();
        }
        if let Some(pool) = &command.pool {
            writeln!(text, "  pool {pool}").unwrap();
        }
        for (flag, set) in [("restat", command.restat), ("generator", command.generator)] {
            if set {
                writeln!(text, "  {flag}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(text, @r#"
    build.ninja:22:1
      explicit outputs `gen.h`
      implicit outputs `gen.log`
      explicit inputs `../gen.txt`
      gen: ./gen ../gen.txt > gen.h && touch stamp
      restat
    build.ninja:23:1
      explicit outputs `headers`
      explicit inputs `gen.h`
    build.ninja:24:1
      explicit outputs `main.o`
      explicit inputs `../main.c`
      order-only inputs `headers`
      cc: cc -O2 -MD -MF main.o.d -c ../main.c -o main.o
      depfile `main.o.d`
    build.ninja:25:1
      explicit outputs `odd name.o`
      explicit inputs `../odd name.c`
      implicit inputs `gen.h`
      cc: cc -O2 -g -MD -MF 'odd name.o'.d -c '../odd name.c' -o 'odd name.o'
      depfile `odd name.o.d`
    build.ninja:27:1
      explicit outputs `app`
      explicit inputs `main.o` `odd name.o`
      implicit inputs `lib/lib.a`
      validations `lint`
      ld: cc @app.rsp -o app -lm
      response file `app.rsp`: main.o\x0a'odd name.o'
      pool link
    lib.ninja:2:1
      explicit outputs `lib/x.o`
      explicit inputs `../lib/x.c`
      cc: cc -O3 -MD -MF lib/x.o.d -c ../lib/x.c -o lib/x.o
      depfile `lib/x.o.d`
    lib.ninja:5:1
      explicit outputs `lib/lib.a`
      explicit inputs `lib/x.o`
      ar: ar rcs lib/lib.a lib/x.o
    build.ninja:30:1
      explicit outputs `lint`
      explicit inputs `app`
      gen: ./gen app > lint && touch stamp
      pool console
      restat
    build.ninja:32:1
      explicit outputs `build.ninja`
      implicit inputs `rules.ninja`
      again: again
      generator
    build.ninja:33:1
      explicit outputs `all`
      explicit inputs `app`
    "#);
}

#[test]
fn the_plan() {
    let layout = Layout { build: "out".parse().unwrap(), project: BuildPath::new(b"/project").unwrap() };
    let plan = Plan::new(&read(), &layout).unwrap();
    let mut text = String::new();
    let ids =
        |steps: &[usize]| format!("{:?}", steps.iter().map(|&step| &plan.steps[step].id).collect::<Vec<_>>());
    for step in &plan.steps {
        writeln!(text, "{} makes {:?}", step.id, step.out).unwrap();
        writeln!(
            text,
            "  needs {}, after {}, wants {}",
            ids(&step.needs),
            ids(&step.order_only),
            ids(&step.validations)
        )
        .unwrap();
        for command in &step.commands {
            let words: Vec<String> = command.iter().map(|word| escape(word)).collect();
            writeln!(text, "  {words:?}").unwrap();
        }
    }
    writeln!(text, "wanted {}", ids(&plan.wanted.steps)).unwrap();
    insta::assert_snapshot!(text, @r#"
    out/gen.h makes [`out/gen.h`, `out/gen.log`]
      needs [], after [], wants []
      ["/bin/sh", "-c", "./gen ../gen.txt > gen.h && touch stamp"]
    out/main.o makes [`out/main.o`]
      needs [], after [`out/gen.h`], wants []
      ["/bin/sh", "-c", "cc -O2 -MD -MF main.o.d -c ../main.c -o main.o"]
    out/odd name.o makes [`out/odd name.o`]
      needs [`out/gen.h`], after [], wants []
      ["/bin/sh", "-c", "cc -O2 -g -MD -MF 'odd name.o'.d -c '../odd name.c' -o 'odd name.o'"]
    out/app makes [`out/app`]
      needs [`out/main.o`, `out/odd name.o`, `out/lib/lib.a`], after [], wants [`out/lint`]
      ["/bin/sh", "-c", "printf %s \"$@\" > \"$0\"", "app.rsp", "main.o\\x0a'odd name.o'"]
      ["/bin/sh", "-c", "cc @app.rsp -o app -lm"]
      ["rm", "-f", "--", "app.rsp"]
    out/lib/x.o makes [`out/lib/x.o`]
      needs [], after [], wants []
      ["/bin/sh", "-c", "cc -O3 -MD -MF lib/x.o.d -c ../lib/x.c -o lib/x.o"]
    out/lib/lib.a makes [`out/lib/lib.a`]
      needs [`out/lib/x.o`], after [], wants []
      ["/bin/sh", "-c", "ar rcs lib/lib.a lib/x.o"]
    out/lint makes [`out/lint`]
      needs [`out/app`], after [], wants []
      ["/bin/sh", "-c", "./gen app > lint && touch stamp"]
    out/build.ninja makes [`out/build.ninja`]
      needs [], after [], wants []
      ["/bin/sh", "-c", "again"]
    wanted [`out/app`]
    "#);
}
