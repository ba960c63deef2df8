//! Mistakes: where, what, and what may have been meant.

use super::mistake;

#[test]
fn mistakes() {
    let mut wrong = String::new();
    let rule = "rule cc\n  command = c\n";
    for (text, error) in [
        // Lines
        ("x = 3", "1:5: the file ends within a line: it must end with a newline"),
        ("# comment", "1:1: the file ends within a line: it must end with a newline"),
        ("subn", "1:1: `subn` starts no statement, and no `=` follows it"),
        (
            "\nbiuld x: phony\n",
            "2:1: `biuld` starts no statement, and no `=` follows it; the nearest known is `build`",
        ),
        ("x = 3\ny 2\n", "2:1: `y` starts no statement, and no `=` follows it"),
        ("  x = 3\n", "1:1: expected a statement, found an indented line"),
        ("= 3\n", "1:1: expected a statement, found `=`"),
        ("\tx = 3\n", "1:1: tabs are not allowed here, use spaces"),
        ("x = 1\r", "1:6: a carriage return that no newline follows"),
        ("x = a\0b\n", "1:6: a NUL byte: this is no text"),
        ("#a\0b\n", "1:3: a NUL byte: this is no text"),
        ("%\n", "1:1: `%` is not allowed here"),
        ("\u{e9} = 1\n", "1:1: `\\xc3` is not allowed here"),
        // Dollars
        ("x = $", "1:5: bad `$`-escape (write a literal `$` as `$$`)"),
        ("x = $\n $[\n", "2:2: bad `$`-escape (write a literal `$` as `$$`)"),
        ("x = a${b c}\n", "1:6: bad `$`-escape (write a literal `$` as `$$`)"),
        ("x = ${}\n", "1:5: bad `$`-escape (write a literal `$` as `$$`)"),
        ("x = $^\n", "1:5: bad `$`-escape (write a literal `$` as `$$`)"),
        // Edges
        ("build\n", "1:6: expected an output, found the end of the line"),
        ("build : phony\n", "1:7: expected an output, found `:` (in a path, write `$:`)"),
        ("build x\n", "1:8: expected `:` (in a path, write `$:`), found the end of the line"),
        ("build x:: y\n", "1:9: expected the name of a rule, found `:` (in a path, write `$:`)"),
        ("Rbuild x: cx y\n", "3:10: unknown rule `cx`; the nearest known is `cc`"),
        ("build x: phoney y\n", "1:10: unknown rule `phoney`; the nearest known is `phony`"),
        ("build x: y z\n", "1:10: unknown rule `y`"),
        ("Rbuild x: cc $\n :\n", "4:2: expected the end of the line, found `:` (in a path, write `$:`)"),
        ("Rbuild x: cc || a | b\n", "3:18: expected the end of the line, found `|`"),
        ("Rbuild x: cc |@ a || b\n", "3:18: expected the end of the line, found `||`"),
        ("Rbuild $no: cc\n", "3:1: empty path"),
        ("Rbuild x: cc\n  = 1\n", "4:3: expected the name of a variable, found `=`"),
        ("Rbuild x: cc\n  y 1\n", "4:5: expected `=`, found a word"),
        ("Rbuild x: cc\n    y = 1\n  \n  z = 1\n", "6:1: expected a statement, found an indented line"),
        ("Rbuild a b: cc\nbuild c | ./b: cc\n", "4:1: output `b` a second time: first at build.ninja:3:1"),
        ("Rbuild a a: cc\n", "3:1: output `a` a second time: first at build.ninja:3:1"),
        ("Rbuild a: cc\n  pool = consol\n", "3:1: unknown pool `consol`; the nearest known is `console`"),
        ("Rbuild a: cc\n  deps = gc\n", "3:1: unknown kind of `deps` `gc`; the nearest known is `gcc`"),
        ("Rbuild a: cc\n  deps = gcc\n", "3:1: `deps = gcc` needs a `depfile`"),
        ("Rbuild a: cc b\n  dyndep = c\n", "3:1: the dyndep file `c` is no input of its build statement"),
        // Rules
        ("rule\n", "1:5: expected the name of a rule, found the end of the line"),
        ("rule %foo\n", "1:6: `%` is not allowed here"),
        ("rule a b\n", "1:8: expected the end of the line, found a word"),
        ("rule a\n", "1:6: rule `a` has no `command`"),
        ("rule a\n  command =\n", "1:6: rule `a` has no `command`"),
        ("rule a\n  comand = c\n", "2:3: unknown rule variable `comand`; the nearest known is `command`"),
        ("Rrule cc\n  command = d\n", "3:6: rule `cc` a second time: first at build.ninja:1:6"),
        ("rule phony\n  command = d\n", "1:6: the rule `phony` is built in"),
        (
            "rule a\n  command = c\n  rspfile = x\n",
            "1:6: rule `a` has only one of `rspfile` and `rspfile_content`: they need each other",
        ),
        (
            "rule a\n  command = $depfile\n  depfile = a$command\nbuild x: a\n",
            "4:1: variables of rule `a` need each other: `depfile` → `command` → `depfile`",
        ),
        (
            "rule a\n  command = $command\nbuild x: a\n",
            "3:1: variables of rule `a` need each other: `command` → `command`",
        ),
        // Pools
        ("pool\n", "1:5: expected the name of a pool, found the end of the line"),
        ("pool p\n", "1:6: pool `p` has no `depth`"),
        ("pool p\n  dept = 1\n", "2:3: unknown pool variable `dept`; the nearest known is `depth`"),
        ("pool p\n  depth = -1\n", "2:3: `-1` is no pool depth: wanted a number, 0 for no limit"),
        ("pool p\n  depth = 1x\n", "2:3: `1x` is no pool depth: wanted a number, 0 for no limit"),
        ("pool p\n  depth = +1\n", "2:3: `+1` is no pool depth: wanted a number, 0 for no limit"),
        ("pool p\n  depth = 1\npool p\n", "3:6: pool `p` a second time: first at build.ninja:1:6"),
        ("pool console\n  depth = 1\n", "1:6: the pool `console` is built in"),
        // Targets, files, versions
        ("default\n", "1:8: expected a target, found the end of the line"),
        ("default x\n", "1:9: unknown target `x`"),
        ("Rbuild all: cc\ndefault al\n", "4:9: unknown target `al`; the nearest known is `all`"),
        (
            "Rbuild all: cc\ndefault all:\n",
            "4:12: expected the end of the line, found `:` (in a path, write `$:`)",
        ),
        ("default $x\n", "1:9: empty path"),
        ("include\n", "1:8: expected the path of a file, found the end of the line"),
        ("include a b\n", "1:11: expected the end of the line, found a word"),
        ("include $x\n", "1:9: empty path"),
        ("ninja_required_version = 1.13\n$%&\n", "1:1: needs ninja 1.13; the language of 1.12 is known here"),
        (
            "ninja_required_version = new\n",
            "1:1: `new` is no version: wanted `1` or `1.2`, with anything behind",
        ),
        // Circles
        ("build a: phony b\nbuild b: phony || a\n", "1:1: a circle: `a` → `b` → `a`"),
        ("Rbuild a b: cc c\nbuild c | d: cc | e\nbuild e: phony b\n", "3:1: a circle: `b` → `c` → `e` → `b`"),
        ("build x: phony a\nbuild a c: phony a\n", "2:1: a circle: `a` → `a`"),
        ("build a: phony a | b\n", "1:1: a circle: `a` → `a`"),
        ("build a: phony || a\n", "1:1: a circle: `a` → `a`"),
    ] {
        let text = text.replace('R', rule);
        let (found, wanted) = (mistake(&text), format!("build.ninja:{error}"));
        if found != wanted {
            wrong.push_str(&format!("{text}\n  found  {found}\n  wanted {wanted}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_is_shown_is_short() {
    let error = mistake(&format!("build x: {} y\n", "r".repeat(10_000)));
    assert!(error.len() < 400, "{error}");
    let mut text = String::new();
    for n in 0..1000 {
        text.push_str(&format!("build x{n}: phony x{}\n", (n + 1) % 1000));
    }
    insta::assert_snapshot!(mistake(&text), @"build.ninja:1:1: a circle: `x0` → `x1` → `x2` → `x3` → `x4` → `x5` → `x6` → `x7` → `x8` → `x9` → `x10` → `x11` → (988 more) → `x0`");
}
