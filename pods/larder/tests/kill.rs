//! A process that really is killed (SIGKILL), at moments that nobody chose, and what it had been told before.
//!
//! The test starts itself as a child that puts, adds traces and says on its standard output what it may rely on.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use larder::{Added, Larder, ObjectKind, Options};
use protocol::{Digest, Look, PathSet, RelPath, Seen, Trace, WorkspaceId};

const HOME: &str = "LARDER_KILL_TEST_HOME";
const WORKSPACE: WorkspaceId = WorkspaceId::from_random(1);

fn body(round: u64, n: u64) -> Vec<u8> {
    let size = match n % 50 {
        49 => 1 << 20,
        other => other as usize * 91,
    };
    let mut bytes = vec![n as u8; size];
    bytes.extend_from_slice(&[round, n].map(u64::to_le_bytes).concat());
    bytes
}

fn trace(round: u64, n: u64) -> (Trace, PathSet) {
    // Five different names, the root among them.
    let path = RelPath::root().child(&b"abcd"[..n as usize % 5]).unwrap_or_else(RelPath::root);
    let set = PathSet::new(vec![(path, Look::Content)]);
    let trace = Trace {
        weak: Digest::of(b"weak"),
        path_set: set.digest(),
        seen: vec![Seen::Content {
            digest: Digest::of(&[round, n].map(u64::to_le_bytes).concat()),
            exec: false,
        }],
        raw: vec![],
        readings: vec![],
        outputs: Digest::of(&body(round, n)),
        printed: None,
        millis: n,
    };
    (trace, set)
}

/// Not a test by itself: what the child does until it is killed.
#[test]
#[ignore = "started by `a_killed_process_loses_no_finished_result`"]
fn child() {
    let Ok(home) = std::env::var(HOME) else { return };
    let (home, round) = home.rsplit_once('#').unwrap();
    let round: u64 = round.parse().unwrap();
    let larder = Larder::open(Path::new(home), Options::default()).unwrap();
    for n in 0.. {
        larder.put(ObjectKind::Blob, &body(round, n)).unwrap();
        if n % 7 == 6 {
            let (trace, set) = trace(round, n);
            assert!(matches!(larder.add_trace(&trace, &set, WORKSPACE).unwrap(), Added::New(_)));
            let mut stdout = std::io::stdout();
            writeln!(stdout, "relied on {n}").unwrap();
            stdout.flush().unwrap();
        }
    }
}

#[test]
fn a_killed_process_loses_no_finished_result() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().to_str().unwrap();
    let mut promised = Vec::new();
    for round in 0..20u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(HOME, format!("{home}#{round}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = None;
        // Killed after more and more promises, while the next ones are under way.
        for line in lines {
            if let Some(n) = line.unwrap().strip_prefix("relied on ") {
                last = Some(n.parse::<u64>().unwrap());
                if last >= Some(round * round * 2) && child.kill().is_err() {
                    break;
                }
            }
        }
        child.wait().unwrap();
        promised.push(last.unwrap());

        let larder = Larder::open(dir.path(), Options::default()).unwrap();
        for (round, last) in promised.iter().enumerate() {
            let round = round as u64;
            for n in 0..=*last {
                let bytes = body(round, n);
                let found = larder.get(ObjectKind::Blob, &Digest::of(&bytes)).unwrap();
                assert!(found.is_some_and(|found| found == bytes), "object {n} of round {round}");
                if n % 7 == 6 {
                    let (trace, _) = trace(round, n);
                    assert_eq!(*larder.trace(&trace.strong()).unwrap().unwrap().1, trace);
                }
            }
        }
        assert!(larder.fsck(&mut |_| ()).unwrap().is_clean());
    }
}
