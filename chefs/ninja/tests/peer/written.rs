//! Files written by hand, for what generators do not write.

use std::fs;

use crate::tool::{compare, ours, targets};

/// Files that ninja takes; `=== name` starts another one of them.
const TAKEN: [&str; 17] = [
    "",
    "# only a comment\n\n  \n  # another\n",
    "a = 1\nb = ${a}-$a.x$$ \nrule r\n  command = $a $b$c $in > $out\nbuild x: r y z\n  c = [$b]\nb = 2\nbuild w: r\n",
    "rule r\n  command = a$$b$ c$:d $\n      e$\n      f $x-y ${x.y}z | g: #h  $\n  \nx-y = 1\nx.y = 2\nbuild $\n    out $\n  : r $\n   in\n",
    "rule r\n  command = cc $in -o $out @$rspfile\n  depfile = $out.d\n  rspfile = $out.rsp\n  rspfile_content = $in_newline\n\
     build a$ b c@: r x$:y it's é ~ %1 a,b =c | hidden || later\n",
    "rule build\n  command = $pool/$default $in\nbuild rule: build include subninja\n  default = pool\n  pool =\n\
     build default: phony rule\ndefault default\n",
    "rule r\r\n  # c\r\n  command = a $\r\n   b\r\n#c\r\n  restat = 1\r\n  \r\nbuild x: r y\r\n",
    // Without a block the file's variables come before the rule's.
    "description = file\ncommand = top $in\nrule r\n  command = $description $in\n  description = rule\nbuild x: r y\nbuild z: r y\n  a = 1\n",
    "description = parent\nsubninja s\nrule r\n  command = $description\n  description = rule\nbuild x: r\n=== s\nrule r\n  \
     command = sub $description\n  description = rule\nbuild y: r\ndescription = own\nbuild z: r\n",
    "a = top\nrule r\n  command = $a $b\ninclude i\nbuild x: r\nsubninja s\nbuild y: r\n=== i\nb = shared\n=== s\na = own\n\
     rule r\n  command = mine $a $b\nbuild z: r\nsubninja t\n=== t\nb = deeper\nbuild w: r\n",
    "rule r\n  command = r $in -- $out\nbuild ./a//b | c/../d: r x/../y ../z/../../w /abs/./p/ | . || e/..\nbuild e: r a/./b\ndefault ././e\n",
    "build a: phony a b\nbuild c: phony a |@ d\nbuild d: phony c\n",
    "rule r\n  command = r $in\n  pool = p$n\nn = 1\npool p1\n  depth = 0\nbuild a: r b b | b || b\nbuild | only: r\n  pool = console\n",
    "rule r\n  command = a\n  command = b $description\n  description =\ndescription = file\nbuild x: r\n  y = 1\n",
    "rule r\n  command = $rspfile $out\n  rspfile = $rspfile\n  rspfile_content = $in\nbuild x: r a\n  rspfile = out.rsp\n",
    "rule r\n  command = r $in\nbuild x: r a # not a comment\nbuild y: r #neither\n",
    "rule r\n  command = r\n\nbuild a$$b.$:: r\nbuild $x$ y: r\nx = late\nbuild b: r a$$b.$:\ndefault b\n",
];

#[test]
fn what_ninja_takes_is_taken_alike() {
    for text in TAKEN {
        let folder = tempfile::tempdir().unwrap();
        for (index, part) in text.split("=== ").enumerate() {
            let (name, text) =
                if index == 0 { ("build.ninja", part) } else { part.split_once('\n').unwrap() };
            fs::write(folder.path().join(name), text).unwrap();
        }
        match ours(folder.path()) {
            Ok(manifest) => compare(folder.path(), &manifest),
            Err(error) => panic!("{error}, and ninja {:?}:\n{text}", targets(folder.path())),
        }
    }
}

/// Files that ninja refuses at once.
const REFUSED: [&str; 33] = [
    "x = 3",
    "# comment",
    "subn",
    "y 2\n",
    "  x = 3\n",
    "\tx = 3\n",
    "= 3\n",
    "x = 1\r",
    "x = $",
    "x = $\n $[\n",
    "x = ${}\n",
    "x = ${a b}\n",
    "x = $^\n",
    "build\n",
    "build : phony\n",
    "build x\n",
    "build x:: y\n",
    "build x: y z\n",
    "build $no: phony\n",
    "build x: phony a || b | c\n",
    "build x: phony\n    y = 1\n  \n  z = 1\n",
    "build a b: phony\nbuild c | ./b: phony\n",
    "build a: phony\n  pool = p\n",
    "build a: phony b\n  dyndep = c\n",
    "rule a b\n",
    "rule a\n  command =\n",
    "rule a\n  comand = c\n",
    "rule a\n  command = b\nrule a\n",
    "rule a\n  command = c\n  rspfile = x\n",
    "pool p\n",
    "default x\n",
    "include a b\n",
    "ninja_required_version = 100\n",
];

#[test]
fn what_ninja_refuses_is_refused() {
    for text in REFUSED {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("build.ninja"), text).unwrap();
        assert!(targets(folder.path()).is_err(), "ninja takes {text:?}");
        assert!(ours(folder.path()).is_err(), "we take {text:?}");
    }
}

/// What ninja takes, or notices only when it builds, and is refused here.
const STRICT: [(&str, &str); 7] = [
    ("a circle", "build a: phony || b\nbuild b: phony a\n"),
    ("a circle of variables", "rule r\n  command = $command\nbuild x: r\n"),
    ("deps without depfile", "rule r\n  command = c\n  deps = gcc\nbuild x: r\n"),
    ("unknown deps", "rule r\n  command = c\n  deps = icc\nbuild x: r\n"),
    ("a rule of a subninja named phony", "subninja s\n=== s\nrule phony\n  command = x\n"),
    ("text behind NUL", "a = 1\n\0b = 1\n"),
    ("a version that is none", "ninja_required_version = x\n"),
];

#[test]
fn what_is_refused_though_ninja_takes_it() {
    for (what, text) in STRICT {
        let folder = tempfile::tempdir().unwrap();
        let (top, sub) = text.split_once("=== s\n").unwrap_or((text, ""));
        fs::write(folder.path().join("build.ninja"), top).unwrap();
        fs::write(folder.path().join("s"), sub).unwrap();
        assert!(targets(folder.path()).is_ok(), "ninja refuses {what}");
        assert!(ours(folder.path()).is_err(), "we take {what}");
    }
}
