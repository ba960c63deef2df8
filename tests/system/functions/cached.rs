//! `cache=True`: an equal call of an equal function over equal files is not run twice.

use super::{Program, counts};
use crate::common::Place;
use crate::common::image::Image;
use crate::engines::has_podman;
use crate::mesh::{is_announced, two};

const PROGRAM: &str = r#"
import helper

@app.function(cache=True)
def read(name, times=1):
    import os
    words = helper.WORD + open("data/" + name).read() * times
    return words, {"set", "of", "texts"}

@app.function(cache=True)
def broken(x):
    raise ValueError(x)

@app.local_entrypoint()
def main(name="x", times: int = 1, fails: bool = False):
    print(read.remote(name, times=times)[0])
    print(len(list(read.map([name] * 3))))
    if fails:
        print(list(broken.map([1], return_exceptions=True)))
"#;

#[test]
fn what_a_call_saw_is_its_key() {
    let place = Place::new();
    let program = Program::new(&place, PROGRAM);
    program.write("helper.py", "WORD = 'a'\n");
    program.write("data/x", "1");
    program.write("data/y", "2");
    let first = program.launch_aloud(&[]).ok();
    // `read("x", times=1)` and `read("x")` are two calls, and three equal ones run once.
    assert_eq!((first.stdout.as_str(), counts(&first)), ("a1\n3\n", [2, 2, 0]));
    assert_eq!(counts(&program.launch_aloud(&[]).ok()), [0, 4, 0]);
    // What it does not look at does not count: other data, other modules, other names.
    program.write("data/y", "22");
    program.write("other.py", "pass");
    program.write("data/z", "pass");
    assert_eq!(counts(&program.launch_aloud(&[]).ok()), [0, 4, 0]);
    // Another argument; other data; another module that it imports; other code.
    let y = program.launch_aloud(&["--name", "y"]).ok();
    assert_eq!((y.stdout.as_str(), counts(&y)), ("a22\n3\n", [2, 2, 0]));
    program.write("data/x", "11");
    assert_eq!(program.launch_aloud(&[]).ok().stdout, "a11\n3\n");
    program.write("helper.py", "WORD = 'b'\n");
    let other = program.launch_aloud(&[]).ok();
    assert_eq!((other.stdout.as_str(), counts(&other)), ("b11\n3\n", [2, 2, 0]));
    // A package that would be imported instead appears.
    program.write("helper/__init__.py", "WORD = 'c'\n");
    assert_eq!(program.launch_aloud(&[]).ok().stdout, "c11\n3\n");
    // Failures are not kept.
    for _ in 0..2 {
        let fails = program.launch_aloud(&["--fails"]).ok();
        assert_eq!(counts(&fails), [0, 4, 1], "{}", fails.shown());
    }
    place.assert_nothing_left();
}

#[test]
fn equal_sets_are_equal_arguments() {
    let place = Place::new();
    let program = Program::new(
        &place,
        "@app.function(cache=True)\ndef count(words, more):\n    return len(words) + len(more)\n\
         @app.local_entrypoint()\ndef main():\n    words = {str(number) for number in range(100)}\n    \
         print(count.remote(words, frozenset(words)))\n",
    );
    let launched = [(); 3].map(|()| program.launch_aloud(&[]).ok());
    assert_eq!(launched.each_ref().map(counts), [[1, 0, 0], [0, 1, 0], [0, 1, 0]]);
    assert!(launched.iter().all(|said| said.stdout == "200\n"));
}

#[test]
fn without_cache_every_call_runs() {
    let place = Place::new();
    let program = Program::new(
        &place,
        "@app.function()\ndef now():\n    import time\n    return time.time_ns()\n\
         @app.local_entrypoint()\ndef main():\n    print(now.remote() != now.remote())\n",
    );
    let said = program.launch_aloud(&[]).ok();
    assert_eq!((said.stdout.as_str(), counts(&said)), ("True\n", [2, 0, 0]));
}

#[test]
fn a_second_attempt_is_no_answer_for_a_first() {
    let place = Place::new();
    let program = Program::new(
        &place,
        r#"
@app.function(cache=True, retries=2)
def second(x):
    if computepods.attempt() == 1:
        raise ValueError("not yet")
    return computepods.attempt()

@app.local_entrypoint()
def main():
    print(second.remote(1))
"#,
    );
    for _ in 0..2 {
        let said = program.launch_aloud(&[]).ok();
        assert_eq!((said.stdout.as_str(), counts(&said)), ("2\n", [1, 0, 0]));
    }
}

#[test]
fn what_another_pod_has_called_is_not_called_again() {
    let (_ground, _server, a, b) = two();
    b.sees(&["a"]);
    let text = "@app.function(cache=True)\ndef twice(text):\n    print('called')\n    return text * 2\n\
                @app.local_entrypoint()\ndef main():\n    print(twice.remote('ab'))\n";
    let there = Program::new(&a.place, text);
    assert_eq!(counts(&there.launch_aloud(&[]).ok()), [1, 0, 0]);
    is_announced(&b, &a);
    let here = Program::new(&b.place, text).launch_aloud(&[]).ok();
    assert_eq!((counts(&here), here.stdout.as_str()), ([0, 1, 0], "abab\n"), "{}", here.shown());
    assert!(here.stderr.contains("twice:1 | called"), "{}", here.shown());
    b.leaves();
    a.leaves();
}

#[test]
fn a_program_that_trusts_is_answered_by_this_machine_alone() {
    let (_ground, _server, a, b) = two();
    b.sees(&["a"]);
    let text = "app = computepods.App(trust=['fractions'])\n\
                @app.function(cache=True)\ndef half():\n    import fractions\n    return fractions.Fraction(1, 2)\n\
                @app.local_entrypoint()\ndef main():\n    print(half.remote())\n";
    let there = Program::new(&a.place, text);
    assert_eq!(counts(&there.launch_aloud(&[]).ok()), [1, 0, 0]);
    is_announced(&b, &a);
    let here = Program::new(&b.place, text);
    let ran = here.launch_aloud(&[]).ok();
    assert_eq!((counts(&ran), ran.stdout.as_str()), ([1, 0, 0], "1/2\n"), "{}", ran.shown());
    assert_eq!(counts(&here.launch_aloud(&[]).ok()), [0, 1, 0]);
    b.leaves();
    a.leaves();
}

#[test]
fn a_call_may_see_an_image() {
    if !has_podman() {
        return;
    }
    let place = Place::new();
    let image = Image::with(&place, "python3-minimal libpython3-stdlib dash coreutils");
    image.lay_over("/usr/share/greeting", "from the image");
    let declared = format!(
        "@app.function(cache=True, image='{}')\ndef there():\n    return open('/usr/share/greeting').read()\n\
         @app.function()\ndef here():\n    import os\n    return os.path.exists('/usr/share/greeting')\n\
         @app.local_entrypoint()\ndef main():\n    print(there.remote(), here.remote())\n",
        image.name
    );
    let program = Program::new(&place, &declared);
    let first = program.launch_aloud(&[]).ok();
    assert_eq!(
        (counts(&first), first.stdout.as_str()),
        ([2, 0, 0], "from the image False\n"),
        "{}",
        first.shown()
    );
    assert_eq!(counts(&program.launch_aloud(&[]).ok()), [1, 1, 0]);
    image.lay_over("/usr/share/greeting", "from another one");
    let other = program.launch_aloud(&[]).ok();
    assert_eq!(
        (counts(&other), other.stdout.as_str()),
        ([2, 0, 0], "from another one False\n"),
        "{}",
        other.shown()
    );
}
