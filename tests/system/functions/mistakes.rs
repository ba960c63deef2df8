//! Bad input: each a clear sentence, an exit code, and nothing kept.

use super::Program;
use crate::common::Place;

/// Runs the body of a program's entry point after some declarations.
fn said(declared: &str, body: &str) -> (String, String) {
    let place = Place::new();
    let body = body.replace('\n', "\n    ");
    let text = format!("{declared}\n@app.local_entrypoint()\ndef main():\n    {body}\n");
    let program = Program::new(&place, &text);
    let said = program.launch_aloud(&[]).ok();
    place.assert_nothing_left();
    (said.stdout, said.stderr)
}

/// What a call raises, as its type and text.
fn raised(declared: &str, call: &str) -> String {
    said(
        declared,
        &format!(
            "try:\n    {call}\nexcept Exception as error:\n    print(type(error).__name__, error, sep=': ')"
        ),
    )
    .0
}

#[test]
fn programs_that_cannot_be_run() {
    let place = Place::new();
    let program = Program::new(&place, "def main(:\n");
    let launch = |file: &str| place.majordomo(&["launch", file]).code(2).stderr;
    let broken = launch("program/program.py");
    assert!(broken.contains("line 3\n") && broken.contains("SyntaxError"), "{broken}");
    assert!(broken.ends_with("error: `program/program.py` cannot be read as Python\n"), "{broken}");
    let none = launch("program/none.py");
    assert!(none.starts_with("error: cannot launch `program/none.py`\n  caused by: No such file"), "{none}");
    assert!(launch("program").starts_with("error: cannot launch `program`: it is no file"));
    program.write("majordomo.toml", "");
    let other = launch("program/majordomo.toml");
    assert!(
        other.starts_with("error: cannot launch `program/majordomo.toml`: it is no Python file"),
        "{other}"
    );
    program.write("empty.py", "x = 1\n");
    assert!(launch("program/empty.py").contains("has no entry point\n\nhint: put `@app.local_entrypoint()`"));
    program.write("sys.py", "");
    assert!(launch("program/sys.py").contains("a program cannot be called `sys.py`"));
    program.write("json.py", "def main(): pass\n");
    let taken = launch("program/json.py");
    assert!(taken.contains("`json` is the name of another module"), "{taken}");
    let bad = place.majordomo(&["launch", "--python", "no-such-python", "program/empty.py"]).code(2).stderr;
    assert!(bad.contains("cannot start the interpreter `no-such-python`"), "{bad}");
    place.assert_nothing_left();
}

#[test]
fn a_program_that_fails_says_where_and_the_code_is_1() {
    let place = Place::new();
    let program = Program::new(
        &place,
        "def main(how: str = 'raise'):\n    if how == 'raise': raise KeyError('x')\n    raise SystemExit(int(how))\n",
    );
    let failed = program.launch(&[]).code(1);
    assert!(failed.stderr.starts_with("Traceback (most recent call last):\n  File "), "{}", failed.stderr);
    assert!(
        failed.stderr.ends_with("KeyError: 'x'\n") && !failed.stderr.contains("_launch.py"),
        "{}",
        failed.stderr
    );
    program.launch(&["--how", "0"]).ok();
    program.launch(&["--how", "2"]).code(2);
    let other = program.launch(&["--how", "7"]).code(1);
    assert_eq!(other.stderr, "error: the program ended with exit code 7\n");
    program.write("program.py", "import computepods\nraise OSError('at its import')\n");
    assert!(program.launch(&[]).code(1).stderr.ends_with("OSError: at its import\n"));
}

#[test]
fn functions_that_cannot_be_found_where_they_run() {
    let nested =
        "import sys\ndef make():\n    @app.function()\n    def inner(): return 1\n    return inner\n";
    // As if cloudpickle were not there.
    let without = raised(nested, "sys.modules['cloudpickle'] = None; make().remote()");
    assert!(
        without.starts_with("NotImportable: `make.<locals>.inner` cannot be imported by its name"),
        "{without}"
    );
    let elsewhere = "import sys\nif sys.argv[0].endswith('.py'):\n    import types\n    hidden = types.ModuleType('hidden')\n    sys.modules['hidden'] = hidden\n    def f(): pass\n    f.__module__ = 'hidden'\n    hidden.f = app.function(f)\n";
    let missing = raised(elsewhere, "sys.modules['hidden'].f.remote()");
    assert!(
        missing.starts_with("NotImportable: `f` of `hidden` cannot be imported where it runs: ModuleNotFoundError: No module named 'hidden'"),
        "{missing}"
    );
    let breaks = "import os, sys\nif not sys.argv[0].endswith('.py'):\n    os.stat('/root/only/here')\n@app.function()\ndef f(): pass\n";
    let broken = raised(breaks, "f.remote()");
    assert!(broken.contains("cannot be imported where it runs: FileNotFoundError"), "{broken}");
}

#[test]
fn values_that_cannot_travel() {
    let declared = "import sys, threading\n@app.function(cache=True)\ndef same(x): return x\n@app.function()\ndef lock(): return threading.Lock()\n\
                    class Bad(Exception):\n    def __init__(self, a, b):\n        super().__init__(f'{a} {b}')\n@app.function()\ndef bad(): raise Bad(1, 2)\n";
    let argument = raised(declared, "same.remote(threading.Lock())");
    assert_eq!(
        argument,
        "NotPicklable: an argument of `same` does not pickle: TypeError: cannot pickle '_thread.lock' object\n"
    );
    let result = raised(declared, "lock.remote()");
    assert_eq!(
        result,
        "NotPicklable: the result of `lock` does not pickle: TypeError: cannot pickle '_thread.lock' object\n"
    );
    let exception = raised(declared, "bad.remote()");
    assert_eq!(exception, "RemoteError: `bad` raised program.Bad: 1 2\n");
}

#[test]
fn what_comes_back_is_data_and_runs_nothing_here() {
    let declared = r#"
import collections, dataclasses, datetime, enum, functools, os, pathlib, subprocess, sys

class Color(enum.Enum):
    RED = 1

@dataclasses.dataclass
class Point:
    x: int
    color: Color

class Evil(Exception):
    def __reduce__(self):
        return (print, ("it ran here",))

@app.function()
def evil(kind):
    class Do:
        def __reduce__(self):
            return {"print": (print, ("it ran here",)), "system": (os.system, ("true",)),
                    "popen": (subprocess.Popen, (["true"],)), "getattr": (getattr, ("text", "upper"))}[kind]
    return Do()

@app.function()
def throw():
    raise Evil("no")

@app.function()
def good():
    return {"point": Point(1, Color.RED), "when": datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc),
            "many": collections.Counter("aab"), "path": pathlib.Path("a"), "set": {1}, "dots": (..., NotImplemented), "error": KeyError("x"), "z": 1j}

trusting = computepods.App(trust=["functools"])

@trusting.function()
def partial():
    return functools.partial(int, base=2)
"#;
    for (kind, named) in [
        ("print", "builtins.print"),
        ("system", "posix.system"),
        ("popen", "subprocess.Popen"),
        ("getattr", "builtins.getattr"),
    ] {
        let refused = raised(declared, &format!("evil.remote({kind:?})"));
        let wanted = format!("Refused: the result of `evil`: `{named}` is not made outside of the kitchen");
        assert!(refused.starts_with(&wanted), "{refused}");
        // Who trusts these trusts `eval`.
        assert!(!refused.contains("trust=['builtins']"), "{refused}");
    }
    assert_eq!(raised(declared, "throw.remote()"), "RemoteError: `throw` raised program.Evil: no\n");
    let good = said(
        declared,
        "got = good.remote()\nprint(got == good.local() or got)\nprint(partial.remote()('11'))",
    )
    .0;
    assert!(
        good.starts_with("{'point': Point(x=1, color=<Color.RED: 1>), 'when': datetime.datetime(2000,"),
        "{good}"
    );
    assert!(
        good.contains("'dots': (Ellipsis, NotImplemented), 'error': KeyError('x'), 'z': 1j}\n3\n"),
        "{good}"
    );
}

#[test]
fn a_result_changes_no_class_of_the_program() {
    let declared = r#"
class Settings:
    command = "harmless"

@app.function()
def evil():
    # What the kitchen writes for a value: a pickle that sets an attribute of a class by BUILD.
    import _pickle
    text = lambda of: b"X" + len(of).to_bytes(4, "little") + of
    forged = b"\x80\x04cprogram\nSettings\nN}" + text(b"command") + text(b"harm") + b"s\x86b."
    class Forger:
        def __init__(self, file, *rest, **more):
            self.file = file
        def dump(self, value):
            self.file.write(forged)
    _pickle.Pickler = Forger
    return [1] * 5000
"#;
    let call =
        "try:\n    evil.remote()\nexcept Exception as error:\n    print(error)\nprint(Settings.command)";
    let (told, _) = said(declared, call);
    assert_eq!(
        told,
        "the result of `evil`: what came back would change `program.Settings`: a function returns data\nharmless\n"
    );
}

#[test]
fn a_result_that_is_too_long_is_refused_before_it_fills_anything() {
    let declared = "import sys\n@app.function()\ndef long(n): return b'x' * n\n@app.function()\ndef length(x): return len(x)\n";
    let long = raised(declared, "long.remote(1 << 30)");
    assert_eq!(
        long,
        "TooLarge: the result of `long` is longer than 256 MiB, which is the most that can travel\n"
    );
    let argument = raised(declared, "length.remote(b'x' * (257 << 20))");
    assert_eq!(
        argument,
        "TooLarge: an argument of `length` is longer than 256 MiB, which is the most that can travel\n"
    );
    let most = said(declared, "print(len(long.remote(200 << 20)), length.remote(b'x' * (200 << 20)))").0;
    assert_eq!(most, "209715200 209715200\n");
}

#[test]
fn a_flood_of_output_is_cut_and_the_call_goes_on() {
    let (stdout, stderr) = said(
        "@app.function()\ndef flood():\n    line = 'x' * 99\n    for _ in range(1000000): print(line)\n    return 'done'\n",
        "print(flood.remote())",
    );
    assert_eq!(stdout, "done\n");
    assert!(stderr.contains("flood:1 | (more than 16 MiB were printed; the rest is not shown)\n"));
    assert!(stderr.len() < 24 << 20, "{} bytes were shown", stderr.len());
}

#[test]
fn what_no_step_may_do_no_function_may_either() {
    let declared = "import sys\n@app.function()\ndef edit():\n    with open('/project/program.py', 'a') as file: file.write('#')\n\
                    @app.function(image='debian')\ndef image(): pass\n@app.function()\ndef inner(): pass\n@app.function()\ndef outer(): inner.remote()\n\
                    @app.function(env={'A=B': 'x'})\ndef named(): pass\n";
    let edit = raised(declared, "edit.remote()");
    assert!(edit.starts_with("Refused: `edit`: it changed the source `program.py`"), "{edit}");
    let image = raised(declared, "image.remote()");
    assert!(image.starts_with("Refused: `image`: ") && image.contains("`debian`"), "{image}");
    let nested = raised(declared, "outer.remote()");
    assert!(nested.starts_with("NoMajordomo: `inner` cannot be called remotely by a function"), "{nested}");
    let named = raised(declared, "named.remote()");
    assert!(named.starts_with("Refused: `named`: a variable in its `env`"), "{named}");
}

#[test]
fn options_that_mean_nothing_are_errors_where_they_are_written() {
    for (options, words) in [
        ("timeout=0", "`timeout` of `f` is a number of seconds, not 0"),
        ("retries=-1", "`retries` is a whole number from 0 to 100, not -1"),
        ("retries=computepods.Retries(1, backoff=0)", "`backoff` is from 1 to 10, not 0"),
        ("env={'A': 1}", "`env` of `f` has names and values that are not all text"),
        ("memory='1 GB'", "`memory` is whole bytes or a text such as '512M', not '1 GB'"),
        ("memory=0", "not 0"),
        ("cpus=0", "`cpus` of `f` is a number above 0, not 0"),
        ("colour=1", "unexpected keyword argument 'colour'"),
    ] {
        let place = Place::new();
        let program =
            Program::new(&place, &format!("@app.function({options})\ndef f(): pass\ndef main(): pass\n"));
        let failed = program.launch(&[]).code(1);
        assert!(failed.stderr.contains(words), "{}", failed.stderr);
    }
}

#[test]
fn without_a_majordomo_functions_still_run_here() {
    let place = Place::new();
    Program::new(
        &place,
        "import sys\n@app.function()\ndef f(x): return x + 1\nif __name__ == '__main__':\n    print(f.local(1), f(2))\n    try:\n        f.remote(1)\n    except computepods.NoMajordomo as error:\n        print(error)\n",
    );
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("chefs/python");
    let file = place.path().join("projects/program/program.py");
    let said = std::process::Command::new("/usr/bin/python3")
        .arg("-B")
        .arg(file)
        .env("PYTHONPATH", package)
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(
        said.starts_with("2 3\nnobody is there to run `f`: start the program by `majordomo launch FILE`"),
        "{said}"
    );
}
