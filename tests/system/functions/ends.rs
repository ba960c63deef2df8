//! How launches end before their time: time-outs, exits, Ctrl-C, kill.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Program;
use crate::common::Place;

#[test]
fn a_call_that_takes_too_long_is_ended() {
    let place = Place::new();
    let program = Program::new(
        &place,
        r#"
import time

@app.function(timeout=0.3)
def sleep(seconds):
    time.sleep(seconds)
    return seconds

@app.function()
def one():
    return 1

@app.local_entrypoint()
def main():
    try:
        sleep.remote(3600)
    except TimeoutError as error:
        print(type(error).__name__, error)
    print(one.remote())
"#,
    );
    let said = program.launch(&[]).ok();
    assert_eq!(said.stdout, "CallTimedOut `sleep`: it was ended after 0.3 s, its `timeout`\n1\n");
    place.assert_nothing_left();
}

#[test]
fn a_process_that_ends_before_the_function_is_told_by_its_code() {
    let place = Place::new();
    let program = Program::new(
        &place,
        r#"
import os, sys, signal

@app.function()
def leave(how):
    print("leaving")
    match how:
        case "exit": os._exit(3)
        case "good": os._exit(0)
        case "sys": sys.exit("with words")
        case "kill": os.kill(os.getpid(), signal.SIGSEGV)

@app.local_entrypoint()
def main():
    for how in ["exit", "good", "sys", "kill"]:
        try:
            leave.remote(how)
        except computepods.FunctionExited as error:
            print(error)
"#,
    );
    let said = program.launch(&[]).ok();
    let expected = "`leave`: its process ended with exit code 3 before it returned\n\
                    `leave`: its process ended with exit code 0 before it returned\n\
                    `leave`: its process ended with exit code 1 before it returned\n\
                    `leave`: a signal ended its process: SIGSEGV\n";
    assert_eq!(said.stdout, expected);
}

#[test]
fn a_call_over_its_memory_is_ended_and_says_so() {
    let place = Place::new();
    let program = Program::new(
        &place,
        r#"
@app.function(memory="256M", cpus=0.5)
def fill(size):
    return len(bytearray(b"x") * size)

@app.local_entrypoint()
def main():
    print(fill.remote(1 << 20))
    try:
        fill.remote(1 << 30)
    except (computepods.FunctionExited, MemoryError) as error:
        print(type(error).__name__, error)
"#,
    );
    let said = program.launch(&[]).ok();
    // Where no control group can be made, the process is refused the memory instead.
    let told = ["FunctionExited `fill`: killed: over its memory limit of 256 MiB", "MemoryError "];
    assert!(told.iter().any(|told| said.stdout == format!("1048576\n{told}\n")), "{}", said.shown());
    place.assert_nothing_left();
}

#[test]
fn attempts_follow_each_other_until_one_is_good() {
    let place = Place::new();
    let program = Program::new(
        &place,
        r#"
@app.function(retries=2)
def second():
    if computepods.attempt() < 2:
        raise ValueError("not yet")
    return computepods.attempt()

@app.function(retries=computepods.Retries(1, delay=0.001, backoff=2))
def never():
    print("attempt", computepods.attempt())
    raise ValueError(computepods.attempt())

@app.local_entrypoint()
def main():
    print(second.remote())
    try:
        never.remote()
    except ValueError as error:
        print(error)
"#,
    );
    let said = program.launch_aloud(&[]).ok();
    assert_eq!(said.stdout, "2\n2\n");
    assert!(said.stderr.contains("attempt 1\n") && said.stderr.contains("attempt 2\n"), "{}", said.stderr);
}

const STUBBORN: &str = r#"
import os, signal, sys

@app.function()
def wait(n):
    for known in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(known, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
    print("ready", n)
    while True:
        signal.pause()

@app.local_entrypoint()
def main():
    try:
        list(wait.map(range(10)))
    finally:
        print("cleaned up", flush=True)
"#;

#[test]
fn interrupt_ends_all_within_a_second() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let place = Place::new();
        let program = Program::new(&place, STUBBORN);
        let mut running = program.start_aloud(&[]);
        running.wait_for_talk("ready");
        let begun = Instant::now();
        running.signal(signal);
        assert!(running.ends_within(Duration::from_secs(30)), "it does not end");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(1), "it took {took:?}");
        let ended = running.end().code(code);
        assert_eq!(ended.stdout, "cleaned up\n", "{}", ended.shown());
        assert!(!ended.stderr.contains("Traceback"), "{}", ended.stderr);
        place.assert_nothing_left();
    }
}

#[test]
fn interrupted_and_not_heeding_a_program_is_ended_with_its_calls() {
    let place = Place::new();
    let text = STUBBORN.replace("    try:\n", "    for known in (signal.SIGINT, signal.SIGTERM):\n        signal.signal(known, signal.SIG_IGN)\n    try:\n");
    let program = Program::new(&place, &text);
    let mut running = program.start_aloud(&[]);
    running.wait_for_talk("ready");
    let begun = Instant::now();
    running.signal(Signal::INT);
    assert!(running.ends_within(Duration::from_secs(30)), "it does not end");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    running.end().code(130);
    place.assert_nothing_left();
}

#[test]
fn a_program_that_dies_takes_its_calls_along() {
    let place = Place::new();
    let text = STUBBORN.replace(
        "        list(wait.map(range(10)))\n",
        "        calls = [wait.spawn(n) for n in range(4)]\n        while not os.path.exists('go'): pass\n        os.kill(os.getpid(), signal.SIGKILL)\n",
    );
    let program = Program::new(&place, &text);
    let mut running = program.start_aloud(&[]);
    running.wait_for_talk("ready");
    std::fs::write(place.path().join("projects/go"), "").unwrap();
    let ended = running.end().code(1);
    assert!(
        ended.stderr.contains("the program `program/program.py` was ended: signal: 9"),
        "{}",
        ended.stderr
    );
    place.assert_nothing_left();
}

#[test]
fn what_is_cancelled_ends_and_the_others_go_on() {
    let place = Place::new();
    let program = Program::new(
        &place,
        r#"
@app.function()
def wait(n):
    import signal
    signal.pause()

@app.function()
def one():
    return 1

@app.local_entrypoint()
def main():
    calls = [wait.spawn(n) for n in range(4)]
    for call in calls:
        call.cancel()
    for call in calls:
        try:
            call.get()
        except computepods.CallCancelled as error:
            print(error)
    # Whoever stops to iterate wants no more.
    some = wait.map(range(4))
    del some
    print(one.remote())
"#,
    );
    let said = program.launch(&[]).ok();
    assert_eq!(said.stdout, "`wait`: it was cancelled\n".repeat(4) + "1\n");
    place.assert_nothing_left();
}

/// The other side of a program's calls: it answers one of three, and is gone as by kill -9. One that nobody wants any more is to be told
/// of then.
const GONE: &str = r#"
import pickle, socket, threading
from computepods import _calls, _frames
ours, theirs = socket.socketpair()
gone = threading.Event()
def majordomo():
    asked = 0
    while (got := _frames.receive(theirs)) is not None:
        header, _ = got
        if header["ask"] == "hello":
            _frames.send(theirs, {"answer": "hello", "protocol": header["protocol"]})
        asked += header["ask"] == "call"
        if asked == 3:
            _frames.send(theirs, {"answer": "returned", "call": 1}, pickle.dumps(1))
            theirs.close()
            return gone.set()
real = _frames.receive
def receive(sock):
    got = real(sock)
    if sock is ours and got and got[0].get("call"):
        gone.wait()
    return got
_frames.receive = receive
threading.Thread(target=majordomo, daemon=True).start()
connection = _calls.Connection(ours)
class Function:
    __qualname__ = "f"; __module__ = "m"; trust = (); timeout = 5
    class retries: count = 0; delay = 0; backoff = 1
    cache = network = False; memory = cpus = image = None; env = {}; secrets = ()
connection.code_of = lambda function: ("m", "f", None)
def ends(call):
    raise ValueError("whoever waits for it")
calls = [connection.call(Function, (), {}, end) for end in (None, ends, None)]
calls[1].cancel_later()
for call in calls:
    try:
        print(call.get(timeout=60))
    except Exception as error:
        print(type(error).__name__, error)
"#;

#[test]
fn whoever_waits_when_the_majordomo_has_gone_is_told() {
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/chefs/python");
    let mut python = std::process::Command::new("/usr/bin/python3");
    python.args(["-B", "-c", GONE]).env("PYTHONPATH", package);
    let ended = python.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let gone = "CallCancelled `f`: the majordomo has gone\n";
    assert_eq!(said, format!("1\n{gone}{gone}"), "{}", String::from_utf8_lossy(&ended.stderr));
}
