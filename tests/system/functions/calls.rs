//! Calls that come to good ends: results, exceptions, streams of inputs.

use super::{Program, counts};
use crate::common::Place;

#[test]
fn the_example_says_what_its_readme_says() {
    let place = Place::new();
    place.example("functions");
    let said = place.majordomo(&["launch", "functions/hello.py", "--count", "3"]).ok();
    assert_eq!(
        said.stdout,
        "squaring 3\nhere: 9\nin the kitchen: 9\nmany: [0, 1, 4]\nit came back: division by zero\n"
    );
    assert!(said.stderr.contains("square:1 | squaring 3\n"), "{}", said.stderr);
    assert_eq!(counts(&said), [4, 0, 1]);
    place.assert_nothing_left();
    let again = place.majordomo(&["launch", "functions/hello.py", "--count", "3"]).ok();
    assert_eq!(again.stdout, said.stdout);
    assert!(again.stderr.contains("squaring 3\n"), "what a call printed is shown again: {}", again.stderr);
    assert_eq!(counts(&again), [0, 4, 1]);
}

#[test]
fn an_ordinary_user_launches_too() {
    let place = Place::ordinary();
    place.example("functions");
    let said = place.majordomo(&["launch", "-q", "functions/hello.py"]).ok();
    assert!(said.stdout.contains("many: [0, 1, 4, 9, 16]\n"), "{}", said.shown());
    assert_eq!(said.stderr, "");
    place.assert_nothing_left();
}

#[test]
fn an_exception_comes_back_as_itself_with_where_it_was_raised() {
    let place = Place::new();
    let program = Program::new(
        &place,
        r#"
class Own(Exception):
    def __init__(self, code, *, why="no"):
        super().__init__(code)
        self.code, self.why = code, why

@app.function()
def deep(x):
    def deeper():
        raise Own(x, why="because")
    deeper()

@app.local_entrypoint()
def main():
    try:
        deep.remote(7)
    except Own as error:
        print(type(error) is Own, error.code, error.why)
        print(error.__cause__)
    deep.remote(8)
"#,
    );
    let said = program.launch(&[]).code(1);
    assert!(said.stdout.starts_with("True 7 because\n"), "{}", said.shown());
    assert!(
        said.stdout
            .contains("/project/program.py\", line 12, in deeper\n    raise Own(x, why=\"because\")\n")
    );
    assert!(!said.stdout.contains("_worker.py"), "our own frames are nobody's concern: {}", said.stdout);
    // Nobody catches the second one: both places are told.
    assert!(said.stderr.contains("in deeper"), "{}", said.stderr);
    assert!(said.stderr.contains("in main\n    deep.remote(8)\n"), "{}", said.stderr);
    assert!(said.stderr.trim_end().ends_with("program.Own: 8"), "{}", said.stderr);
    assert!(!said.stderr.contains("_launch.py"), "{}", said.stderr);
}

#[test]
fn inputs_stream_and_a_failed_one_loses_no_other() {
    let place = Place::new();
    let program = Program::new(
        &place,
        r#"
import itertools, threading

@app.function()
def invert(x, scale=1):
    return scale / x

@app.local_entrypoint()
def main():
    inverted = invert.map([2, 0, 4])
    print(next(inverted))
    try:
        next(inverted)
    except ZeroDivisionError as error:
        print("failed:", error)
    print(list(inverted))
    print([str(r) for r in invert.map([0, 1], return_exceptions=True, kwargs={"scale": 3})])
    print(sorted(invert.map([1, 2, 4], order_outputs=False)))
    print(list(invert.starmap([(1, 2), (2, 6)])))
    # Endless inputs: no more are taken than the window allows.
    taken = []
    def endless():
        for n in itertools.count(1):
            taken.append(n)
            yield n
    with invert.map(endless(), window=3) as some:
        print(next(some), next(some), len(taken))
    # Inputs that break off: what was started is given first.
    def broken():
        yield 1
        yield 2
        raise KeyError("gone")
    parts = invert.map(broken())
    print(next(parts), next(parts))
    try:
        next(parts)
    except KeyError as error:
        print("broken:", error)
    print(computepods.gather(invert.spawn(1), invert.spawn(2)))
    # An input that cannot travel is one failure among results.
    print([type(r).__name__ for r in invert.map([1, threading.Lock(), 2], return_exceptions=True)])
    print([type(r).__name__ for r in invert.map([threading.Lock()], return_exceptions=True, order_outputs=False)])
"#,
    );
    let said = program.launch(&[]).ok();
    let expected = "0.5\nfailed: division by zero\n[0.25]\n['division by zero', '3.0']\n[0.25, 0.5, 1.0]\n[2.0, 3.0]\n\
                    1.0 0.5 4\n1.0 0.5\nbroken: 'gone'\n[1.0, 0.5]\n['float', 'NotPicklable', 'float']\n['NotPicklable']\n";
    assert_eq!(said.stdout, expected);
    assert_eq!(said.stderr, "");
    place.assert_nothing_left();
}

#[test]
fn a_call_sees_the_folder_of_the_program_and_the_tools_and_nothing_else() {
    let place = Place::new();
    let program = Program::new(
        &place,
        r#"
import helper, sys

@app.function(env={"WORD": "set"})
def look():
    import os, json
    from package import inner
    seen = sorted(name for name in os.listdir("/project") if not name.startswith("."))
    try:
        os.stat(os.fsdecode(HOME))
        home = "seen"
    except FileNotFoundError:
        home = "hidden"
    return helper.WORD, inner.WORD, seen, home, os.environ["WORD"], os.environ.get("OURS"), open("data/x").read()

HOME = "PLACE".encode()

@app.local_entrypoint()
def main():
    print(look.remote())
"#
        .replace("PLACE", &place.path().to_string_lossy())
        .as_str(),
    );
    program.write("helper.py", "WORD = 'helper'\n");
    program.write("package/__init__.py", "");
    program.write("package/inner.py", "WORD = 'inner'\n");
    program.write("data/x", "data");
    let said = program.launch(&[]).ok();
    let seen = "['data', 'helper.py', 'package', 'program.py']";
    assert_eq!(said.stdout, format!("('helper', 'inner', {seen}, 'hidden', 'set', None, 'data')\n"));
}

#[test]
fn functions_without_a_name_travel_by_cloudpickle() {
    let place = Place::new();
    let program = Program::new(
        &place,
        r#"
@app.local_entrypoint()
def main():
    offset = 40
    @app.function()
    def add(x):
        return x + offset
    print(list(add.map([1, 2])))
    print(app.function(lambda f: f(5)).remote(lambda x: x * 2))
"#,
    );
    assert_eq!(program.launch(&[]).ok().stdout, "[41, 42]\n10\n");
}

#[test]
fn words_are_arguments_of_the_entry_point() {
    let place = Place::new();
    let program = Program::new(
        &place,
        r#"
@app.local_entrypoint()
def first(count: int, name="x", *, fast: bool = False, ratio: float | None = None):
    """Does things."""
    print(repr((count, name, fast, ratio)))

@app.local_entrypoint()
def second(*words):
    print(words, __name__)
"#,
    );
    let at = |entry: &str, words: &[&str]| {
        let file = format!("program/program.py::{entry}");
        place.majordomo(&[&["launch", "-q", &file], words].concat())
    };
    let all = ["--count", "3", "--name", "y z", "--fast", "--ratio", "0.5"];
    assert_eq!(at("first", &all).ok().stdout, "(3, 'y z', True, 0.5)\n");
    assert_eq!(at("second", &["a", "b"]).ok().stdout, "('a', 'b') program\n");
    let help = at("first", &["--help"]).ok();
    assert!(
        help.stdout.contains("majordomo launch") && help.stdout.contains("Does things."),
        "{}",
        help.stdout
    );
    for bad in [&[][..], &["--count", "x"], &["--count", "1", "--other", "2"]] {
        assert!(at("first", bad).code(2).stderr.contains("usage: majordomo launch"), "{bad:?}");
    }
    let unnamed = program.launch(&[]).code(2);
    assert!(unnamed.stderr.contains("has 2 entry points: `first`, `second`"), "{}", unnamed.stderr);
    let unknown = at("third", &[]).code(2);
    assert!(unknown.stderr.contains("has no entry point `third`"), "{}", unknown.stderr);
}

#[test]
fn the_longer_example_counts_again_only_what_was_edited() {
    let place = Place::new();
    let project = place.example("functions");
    let launch = |words: &[&str]| place.majordomo(&[&["launch", "functions/words.py"], words].concat()).ok();
    let first = launch(&["--most", "2"]);
    assert_eq!(first.stdout, "empty.txt: nothing to count\n   5 is\n   5 what\n");
    assert_eq!(counts(&first), [3, 0, 1]);
    assert_eq!(counts(&launch(&[])), [0, 3, 1]);
    project.append("texts/pod.txt", "So it is.\n");
    let edited = launch(&["--most", "2"]);
    assert_eq!(edited.stdout, "empty.txt: nothing to count\n   6 is\n   5 what\n");
    // One text, and the sum of all.
    assert_eq!(counts(&edited), [2, 1, 1]);
    let longest = place.majordomo(&["launch", "-q", "functions/words.py::longest"]).ok();
    assert_eq!(longest.stdout, "empty.txt: -\npod.txt: kitchen\nstep.txt: command\n");
    place.assert_nothing_left();
}

#[test]
fn a_virtual_environment_is_seen_where_functions_run() {
    let place = Place::new();
    Program::new(
        &place,
        "@app.function()\ndef ask():\n    import installed, sys\n    return installed.WORD, sys.prefix\n\
         def main():\n    import sys\n    word, prefix = ask.remote()\n    print(word, prefix == sys.prefix)\n",
    );
    // Steps have folders of their own for what is temporary, so it has to be elsewhere.
    let folder = match tempfile::Builder::new().prefix("computepods-test-").tempdir_in("/srv") {
        Ok(folder) => folder,
        Err(error) => return eprintln!("left out: no folder in `/srv`: {error}"),
    };
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let venv = folder.path().join("venv");
    let made = std::process::Command::new("/usr/bin/python3")
        .args(["-m", "venv", "--without-pip"])
        .arg(&venv)
        .status()
        .unwrap();
    assert!(made.success());
    let lib = std::fs::read_dir(venv.join("lib")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(lib.join("site-packages/installed.py"), "WORD = 'from the environment'\n").unwrap();
    let python = venv.join("bin/python3");
    let python = python.to_str().unwrap();
    let said = place.majordomo(&["launch", "-q", "--python", python, "program/program.py"]).ok();
    assert_eq!(said.stdout, "from the environment True\n");
}
