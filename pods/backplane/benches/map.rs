//! The ownership map with a million artefacts: memory, start-up, look-ups. `cargo bench -p computepods-backplane --bench map`.

#![allow(clippy::unwrap_used)] // a benchmark: what cannot be is a panic

use std::hint::black_box;
use std::time::{Duration, Instant};

use backplane::bus::Incarnation;
use backplane::ledger::Epoch;
use backplane::owners::OwnerMap;
use protocol::mesh::{ArtefactScope, Ownership, subject};
use protocol::{Digest, PodId, RelPath, Tree, TreeEntry, WorkspaceId};

const ARTEFACTS: usize = 1_000_000;
const RECORDS: usize = 10_000;
const PODS: usize = 50;
/// Inputs of a step, as a C++ compile has them.
const INPUTS: usize = 300;
const ROUNDS: usize = 2_000;

fn rss() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn path(record: usize, file: usize) -> RelPath {
    format!("components/part-{record}/src/module_{file}.o").parse().unwrap()
}

fn digest(record: usize, file: usize) -> Digest {
    Digest::of(format!("{record} {file}").as_bytes())
}

/// A record as the ledger has it: its subject, its signed bytes, and what they say.
fn record(at: usize, tree: &[u8], epoch: Epoch) -> (String, Vec<u8>, Ownership) {
    let ownership = Ownership {
        workspace: WorkspaceId::from_random((at % 100) as u128),
        path: path(at, 0),
        scope: ArtefactScope::Outputs,
        owner: Some(PodId::from_bytes([(at % PODS) as u8; 32])),
        digest: Tree::decode(tree).unwrap().digest(),
        size: 1_000_000,
        label: String::new(),
        made_for: None,
        promised_to: None,
    };
    let json = serde_json::json!({"v": 1, "from": PodId::from_bytes([1; 32]), "at": 1, "epoch": epoch, "body": ownership});
    let signed = [&[0; 64], serde_json::to_vec(&json).unwrap().as_slice()].concat();
    (subject::owner(ownership.workspace, &ownership.path), signed, ownership)
}

fn main() {
    let files = ARTEFACTS / RECORDS;
    // What a pod has on its disk when it starts: encoded trees.
    let trees: Vec<Vec<u8>> = (0..RECORDS)
        .map(|record| {
            let file = |file| {
                (
                    path(record, file),
                    TreeEntry::File { digest: digest(record, file), size: 10_000, exec: false },
                )
            };
            Tree::new((0..files).map(file).collect()).unwrap().encode()
        })
        .collect();
    let epoch = Epoch { incarnation: Incarnation { number: 1, nonce: 1 }, revision: 1 };
    let records: Vec<(String, Vec<u8>, Ownership)> =
        trees.iter().enumerate().map(|(at, tree)| record(at, tree, epoch)).collect();
    let before = rss();
    let begun = Instant::now();
    let map = OwnerMap::default();
    for (name, signed, _) in &records {
        map.load(name, signed);
    }
    let loaded = begun.elapsed();
    for ((.., ownership), tree) in records.iter().zip(&trees) {
        assert!(map.cover(ownership, epoch, &Tree::decode(tree).unwrap()));
    }
    let (took, grew) = (begun.elapsed(), rss().saturating_sub(before));
    println!("{} artefacts in {RECORDS} records of {PODS} pods", map.files());
    println!(
        "start-up from records ({:.2} s) and encoded trees: {:.2} s",
        loaded.as_secs_f64(),
        took.as_secs_f64()
    );
    println!("memory: {} MiB, {} bytes an artefact", grew >> 20, grew / ARTEFACTS);

    let mut found = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let (record, file) = (round * 7919 % RECORDS, round * 104_729 % files);
        let (workspace, path) = (WorkspaceId::from_random((record % 100) as u128), path(record, file));
        let begun = Instant::now();
        assert!(black_box(map.artefact(workspace, &path)).is_some());
        found.push(begun.elapsed());
    }
    tell("owner of a path", found);

    let mut placed = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let inputs: Vec<Digest> =
            (0..INPUTS).map(|at| digest((round * 31 + at * 7919) % RECORDS, at % files)).collect();
        let begun = Instant::now();
        assert!(!black_box(map.most_of(inputs.iter().map(|digest| (digest, 10_000)))).is_empty());
        placed.push(begun.elapsed());
    }
    tell(&format!("who has most of {INPUTS} inputs"), placed);
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_nanos() as f64 / 1000.0;
    println!("{what}: p50 {:.1} µs, p99 {:.1} µs", at(50), at(99));
}
