use std::time::Duration;

use protocol::RelPath;
use protocol::step::Keep;

use super::{plan, show};

const LUA: &str = r#"
[project]
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
"#;

#[test]
fn lua() {
    let plan = plan(LUA, "majordomo.toml README src/lapi.c src/lapi.h src/lua.c src/luac.c");
    assert_eq!((plan.name.as_str(), plan.default_targets.as_slice()), ("lua", &["bin/lua".to_owned()][..]));
    insta::assert_snapshot!(show(&plan), @"
    compile:src/lapi.c
      $ gcc -O2 -std=gnu99 -DLUA_USE_LINUX -c src/lapi.c -o obj/lapi.o
      out obj/lapi.o
    compile:src/lua.c
      $ gcc -O2 -std=gnu99 -DLUA_USE_LINUX -c src/lua.c -o obj/lua.o
      out obj/lua.o
    compile:src/luac.c
      $ gcc -O2 -std=gnu99 -DLUA_USE_LINUX -c src/luac.c -o obj/luac.o
      out obj/luac.o
    link ← compile:src/lapi.c compile:src/lua.c compile:src/luac.c
      $ gcc -o bin/lua $(ls obj/*.o | grep -v luac.o) -lm -ldl -Wl,-E
      out bin/lua
    ");
}

#[test]
fn a_chain_of_rules_in_any_order() {
    let text = r#"
        [step.site]
        run = "cat {in} > {out}"
        in = "html/**"
        out = "site.html"
        [step.html]
        each = "text/**/*.txt"
        run = ["to-html", "{in}", "-o", "{out}"]
        out = "html/{dir}/{stem}.html"
        [step.text]
        each = "{notes,words}/**"
        run = "tr a-z A-Z < {in} > {out}"
        out = "text/{dir}/{stem}.txt"
    "#;
    insta::assert_snapshot!(show(&plan(text, "notes/b.md notes/a/x.md words/a")), @"
    site ← html:text/notes/a/x.txt html:text/notes/b.txt html:text/words/a.txt
      $ cat html/text/notes/a/x.html html/text/notes/b.html html/text/words/a.html > site.html
      in  html/text/notes/a/x.html html/text/notes/b.html html/text/words/a.html
      out site.html
    html:text/notes/a/x.txt ← text:notes/a/x.md
      > to-html · text/notes/a/x.txt · -o · html/text/notes/a/x.html
      out html/text/notes/a/x.html
    html:text/notes/b.txt ← text:notes/b.md
      > to-html · text/notes/b.txt · -o · html/text/notes/b.html
      out html/text/notes/b.html
    html:text/words/a.txt ← text:words/a
      > to-html · text/words/a.txt · -o · html/text/words/a.html
      out html/text/words/a.html
    text:notes/a/x.md
      $ tr a-z A-Z < notes/a/x.md > text/notes/a/x.txt
      out text/notes/a/x.txt
    text:notes/b.md
      $ tr a-z A-Z < notes/b.md > text/notes/b.txt
      out text/notes/b.txt
    text:words/a
      $ tr a-z A-Z < words/a > text/words/a.txt
      out text/words/a.txt
    ");
}

#[test]
fn placeholders_are_quoted_in_text_and_plain_in_words() {
    let text = r#"
        [step.a]
        each = "*.c"
        run = [["cc", "-c", "{in}", "-o{out}"], "echo \"made {out}\" ${out:-} '{stem}' {dir} {print}"]
        out = "{stem}.o"
        [step.all]
        in = ["b.o", "*.o"]
        run = [["ar", "r", "{out}", "{in}"], "ls {in}"]
        env = { FILES = "{in}" }
        out = ["z.a", "a.lst"]
    "#;
    insta::assert_snapshot!(show(&plan(text, r"b.c it's.c a\x20$(x).c caf\xe9.c")), @r#"
    a:a $(x).c
      > cc · -c · a $(x).c · -oa $(x).o
      $ echo "made "'a $(x).o'"" ${out:-} 'a $(x)' . {print}
      out a $(x).o
    a:b.c
      > cc · -c · b.c · -ob.o
      $ echo "made b.o" ${out:-} 'b' . {print}
      out b.o
    a:caf\xe9.c
      > cc · -c · caf\xe9.c · -ocaf\xe9.o
      $ echo "made caf\xe9.o" ${out:-} 'caf\xe9' . {print}
      out caf\xe9.o
    a:it's.c
      > cc · -c · it's.c · -oit's.o
      $ echo "made it's.o" ${out:-} '''it'\\''s''' . {print}
      out it's.o
    all ← a:a $(x).c a:b.c a:caf\xe9.c a:it's.c
      > ar · r · z.a · a.lst · b.o · a $(x).o · caf\xe9.o · it's.o
      $ ls b.o 'a $(x).o' 'caf\xe9.o' 'it'\\''s.o'
      in  b.o a $(x).o caf\xe9.o it's.o
      out a.lst z.a
      env FILES=b.o a $(x).o caf\xe9.o it's.o
    "#);
}

#[test]
fn commands_see_paths_from_their_folder() {
    let text = r#"
        [step.a]
        each = "lib/**/*.c"
        cwd = "{dir}"
        run = "cc -c {in} -o {out} # {dir}"
        out = "obj/{stem}.o"
        [step.b]
        cwd = "./lib/"
        in = "lib/x.c"
        run = ["cat", "{in}"]
    "#;
    let plan = plan(text, "lib/x.c lib/deep/y.c");
    assert_eq!(plan.steps[0].spec.cwd, "lib/deep".parse::<RelPath>().unwrap());
    assert_eq!(plan.steps[2].spec.cwd, "lib".parse::<RelPath>().unwrap());
    insta::assert_snapshot!(show(&plan), @"
    a:lib/deep/y.c
      $ cc -c y.c -o ../../obj/y.o # .
      out obj/y.o
    a:lib/x.c
      $ cc -c x.c -o ../obj/x.o # .
      out obj/x.o
    b
      > cat · x.c
      in  lib/x.c
    ");
}

#[test]
fn trees_are_one_path() {
    let text = r#"
        [step.docs]
        run = "make-docs"
        out = "docs/"
        [step.pack]
        run = "tar cf {out} {in}"
        in = "docs/"
        out = "docs.tar"
        [step.check]
        run = "check docs/*.html"
        in = "docs/*.html"
        [step.one]
        run = "check {in}"
        in = "docs/index.html"
    "#;
    insta::assert_snapshot!(show(&plan(text, "majordomo.toml")), @"
    docs
      $ make-docs
      out docs/
    pack ← docs
      $ tar cf docs.tar docs
      in  docs
      out docs.tar
    check ← docs
      $ check docs/*.html
    one ← docs
      $ check docs/index.html
      in  docs/index.html
    ");
}

#[test]
fn environment_and_the_small_keys() {
    let text = r#"
        [step.a]
        run = "true"
        env = ["CC", "NOT_SET", "LANG=C", "CPATH="]
        keep = ["*.aux"]
        network = true
        timeout = 3
        volatile = true
        strict = true
        in = "*.c"
        [step.b]
        each = "*.c"
        run = "true"
        keep = "{stem}.[ch]"
    "#;
    let plan = plan(text, "a*.c");
    insta::assert_snapshot!(show(&plan), @"
    a
      $ true
      in  a*.c
      env CC=tcc CPATH= LANG=C
    b:a*.c
      $ true
    ");
    let step = &plan.steps[0];
    assert_eq!((step.timeout, step.volatile, step.strict), (Some(Duration::from_secs(3)), true, true));
    assert_eq!((step.spec.network, &step.spec.keep), (true, &Keep::Matching(vec!["*.aux".into()])));
    assert_eq!(step.spec.declared_in, ["*.c"]);
    assert_eq!(plan.steps[1].spec.keep, Keep::Matching(vec!["a\\*.[ch]".into()]));
}

#[test]
fn what_depends_on_this_machine_stays_on_it() {
    let text = r#"
        [step.anywhere]
        run = "true"
        [step.kept]
        run = "true"
        keep = true
        [step.net]
        run = "true"
        network = true
        [step.now]
        run = "true"
        volatile = true
        [step.secret]
        run = "true"
        secrets = { B = "~/b", A = "/a" }
        cache = true
        [step.uncached]
        run = "true"
        cache = false
    "#;
    let plan = plan(text, "");
    let stay: Vec<&str> =
        plan.steps.iter().filter(|step| step.stays_home()).map(|step| step.id.as_str()).collect();
    assert_eq!(stay, ["kept", "net", "now", "secret", "uncached"]);
    // Where a secret comes from is nobody's business.
    assert_eq!(plan.steps[4].spec.secrets, ["A", "B"]);
    assert!(!plan.steps[4].volatile);
}

#[test]
fn in_orders_and_never_matches_what_cannot_be_there_yet() {
    let text = r#"
        [step.first]
        run = "true"
        out = "x.txt"
        [step.gather]
        run = "cat {in}"
        in = "**/*.txt"
        out = "all.txt"
        [step.last]
        run = "true"
        out = "last.txt"
        after = "gather"
    "#;
    insta::assert_snapshot!(show(&plan(text, "a.txt b/c.txt")), @"
    first
      $ true
      out x.txt
    gather ← first
      $ cat a.txt b/c.txt x.txt
      in  a.txt b/c.txt x.txt
      out all.txt
    last ← gather
      $ true
      out last.txt
    ");
}

#[test]
fn one_path_in_several_versions() {
    let text = r#"
        [step.unpack]
        run = "tar x"
        out = "tree/"
        [step.patch]
        run = "patch"
        out = "tree/a.c"
        after = "unpack"
        [step.format]
        run = "format {in}"
        in = "tree/a.c"
        out = "tree/a.c"
        after = "patch"
        [step.build]
        run = "cc {in}"
        in = "tree/a.c"
    "#;
    let plan = plan(text, "majordomo.toml");
    insta::assert_snapshot!(show(&plan), @"
    unpack
      $ tar x
      out tree/
    patch ← unpack
      $ patch
      out tree/a.c
    format ← unpack patch
      $ format tree/a.c
      in  tree/a.c
      out tree/a.c
    build ← unpack patch format
      $ cc tree/a.c
      in  tree/a.c
    ");
    let producer =
        |path: &str| plan.producer(&path.parse().unwrap()).map(|step| plan.steps[step].id.as_str());
    assert_eq!(producer("tree/a.c"), Some("format"));
    assert_eq!(producer("tree/deep/b.c"), Some("unpack"));
    assert_eq!(producer("tree"), Some("unpack"));
    assert_eq!(producer("majordomo.toml"), None);
    let order: Vec<&str> = plan.one_by_one().into_iter().map(|step| plan.steps[step].id.as_str()).collect();
    assert_eq!(order, ["unpack", "patch", "format", "build"]);
}

#[test]
fn a_pattern_for_each_step() {
    let text = r#"
        [step.a]
        each = "src/*.c"
        in = ["include/{stem}.h", "conf"]
        run = "cc {in}"
        [step.gen]
        run = "gen"
        out = "include/y.h"
        [step.late]
        run = "true"
        after = ["a:src/x.c"]
    "#;
    let plan = plan(text, "src/x.c src/y.c include/x.h conf");
    insta::assert_snapshot!(show(&plan), @"
    a:src/x.c
      $ cc src/x.c
      in  include/x.h conf
    a:src/y.c ← gen
      $ cc src/y.c
      in  include/y.h conf
    gen
      $ gen
      out include/y.h
    late ← a:src/x.c
      $ true
    ");
    let inputs: Vec<String> = plan.steps[1].declared_inputs().map(ToString::to_string).collect();
    assert_eq!(inputs, ["src/y.c", "include/y.h", "conf"]);
}

#[test]
fn lenses_are_for_the_paths_of_each_step() {
    let text = r#"
        [step.a]
        each = "*.tex"
        run = "true"
        project = { "{stem}.aux" = "bibtex-aux", "**/*.log" = "ignore" }
        normalise = { "out/{stem}.pdf" = "pdf" }
        [step.b]
        run = "true"
        project = { "**/*.log" = "ignore", "x.aux" = "bibtex-aux" }
        normalise = "pdf"
    "#;
    let plan = plan(text, "x.tex");
    let shown = |step: usize| {
        let spec = &plan.steps[step].spec;
        let all = spec.projections.iter().chain(&spec.normalisers);
        all.map(|lensed| format!("{} {}", lensed.glob, lensed.lens)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(shown(0), "**/*.log ignore, x.aux bibtex-aux, out/x.pdf pdf");
    assert_eq!(shown(1), "**/*.log ignore, x.aux bibtex-aux, **/*.pdf pdf");
    assert_eq!(plan.steps[0].spec.projections, plan.steps[1].spec.projections);
}

#[test]
fn verbatim_texts_have_no_placeholders() {
    let text = r#"
[step."a/{0}"]
run = [["awk", "{in}", "{print}"], "echo {out} ${dir}"]
out = ["gen/{stem}*.c"]
env = { A = "{out}" }
cwd = "{dir}"
verbatim = true
"#;
    let plan = plan(&text.replace("a/{0}", "a/b"), "");
    insta::assert_snapshot!(show(&plan), @r"
    a/b
      > awk · {in} · {print}
      $ echo {out} ${dir}
      out gen/{stem}*.c
      env A={out}
    ");
}
