//! Full disks: the pod's, while a step writes and while its results are stored, and the project's. Root only: each test fills a
//! small disk of its own.

use crate::common::private_mounts::{fill_disk, resize_disk, small_disk, unshare_mounts};
use crate::common::subject::{Random, Subject, number};
use crate::common::{Gate, Place};

/// What is said when steps have nowhere to write.
const NO_ROOM: &str = "where steps write, is full";

#[test]
fn what_a_step_made_of_a_full_disk_is_not_taken() {
    if !unshare_mounts() {
        return;
    }
    for small in [2500, 40 * 1024] {
        let place = Place::new();
        small_disk(place.home(), small);
        // It takes what was written for all that there is, and removes what filled the disk; in one file, and in many small ones.
        let project = place.project(
            "p",
            "[step.one]\nrun = 'seq 1 10000000 > big || true; n=$(wc -l < big); rm big; echo $n > n'\nout = 'n'\n\
             [step.many]\nrun = '''mkdir -p d; i=0\nwhile [ $i -lt 12000 ]; do { echo > d/$i; } 2> errors || break; i=$((i+1)); done\n\
             rm -r d errors; echo $i > m'''\nout = 'm'\nafter = 'one'\n",
        );
        for (target, good) in [("n", "10000000\n"), ("m", "12000\n")] {
            resize_disk(place.home(), small);
            let built = project.build(&[target]).code(3);
            assert!(built.said().contains(NO_ROOM), "{}", built.said());
            assert!(!project.has(target));
            place.assert_nothing_left();
            resize_disk(place.home(), 200 * 1024);
            project.build(&[target]).ok();
            assert_eq!(project.read(target), good);
        }
    }
}

#[test]
fn a_disk_without_a_bound_is_never_full() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::new();
    small_disk(place.home(), 0);
    let project = place.project("p", "[step.s]\nrun = 'seq 1 1000 > made'\nout = 'made'\n");
    project.builds(&["s"]);
}

#[test]
fn a_step_that_reaches_its_own_limit_is_told_so_on_a_full_disk_too() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::new();
    small_disk(place.home(), 8 * 1024);
    let project = place.project("p", "[step.s]\nrun = 'seq 1 10000000 > big'\nlimits = { disk = '1M' }\n");
    let built = project.build(&[]).failed();
    assert!(built.said().contains("over its disk limit of 1 MiB"), "{}", built.said());
}

#[test]
fn the_disk_fills_while_a_step_writes() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::new();
    small_disk(place.home(), 8 * 1024);
    let project = place.project(
        "p",
        "[step.small]\nrun = 'cp source small'\nout = 'small'\n\
         [step.big]\nrun = 'head -c 20000000 /dev/zero > big'\nout = 'big'\nafter = 'small'\n",
    );
    project.write("source", "precious");
    let built = project.build(&[]).code(3);
    for words in [NO_ROOM, "/home/scratch", "hint: make room on the disk of", "nothing was lost"] {
        assert!(built.said().contains(words), "{words:?} is not in:\n{}", built.said());
    }
    assert!(!project.has("big"));
    place.assert_nothing_left();
    resize_disk(place.home(), 100 * 1024);
    project.builds(&["big"]);
    assert_eq!(std::fs::metadata(project.at("big")).unwrap().len(), 20_000_000);
    assert_eq!(project.read("small"), "precious");
}

#[test]
fn the_disk_fills_while_results_are_stored() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::new();
    let gate = Gate::new();
    // Of the larder alone: steps write elsewhere.
    small_disk(&place.home().join("larder"), 6 * 1024);
    // What a step prints is a result that never was in its upper folder. All that it writes or reads is there before the
    // disk is full, so that nothing but the larder can run out of room.
    let rule = format!(
        "[step.early]\neach = 'in/*'\nrun = 'cp {{in}} {{out}}; echo {{stem}}'\nout = 'out/{{stem}}'\n\
         [step.loud]\nnetwork = true\nafter = 'early'\nout = 'made'\nrun = \"\"\"\n\
         line=$(head -c 1000 /dev/zero | tr '\\\\0' x)\necho > made\n{}\n\
         i=0; while [ $i -lt 600 ]; do echo $i$line; i=$((i+1)); done\"\"\"\n",
        gate.command()
    );
    let project = place.project("p", &rule);
    (0..20).for_each(|i| project.write(format!("in/{i}"), format!("early{i}")));
    let running = project.start(&["--quiet"]);
    let before_the_gate = gate.arrival();
    let filler = place.home().join("larder/filler");
    fill_disk(&filler);
    before_the_gate.go();
    let built = running.built().code(3);
    let said = built.said();
    // Which of the larder's files needs room first is chance.
    for words in [
        "error: the larder failed\n  caused by: no space left at `",
        "/home/larder/",
        "hint: make room",
        "nothing was lost",
    ] {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
    assert!(!project.has("out") && !project.has("made"));
    place.assert_nothing_left();
    std::fs::remove_file(filler).unwrap();
    // It writes to the index, so it needs room itself.
    place.pod(&["fsck"]).ok();
    let running = project.start(&["--quiet"]);
    gate.arrival().go();
    assert_eq!(running.built().ok().ran(), ["loud"], "finished results were lost");
    assert_eq!(project.files("out").len(), 20);
    project.builds(&[]);
}

#[test]
fn the_disk_fills_while_a_source_is_stored() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::new();
    // Of the larder alone, or else steps had nowhere to write, and who says so first were chance.
    small_disk(&place.home().join("larder"), 4 * 1024);
    let project =
        place.project("p", "[step.s]\nrun = 'wc -l source; cat source | wc -c > size'\nout = 'size'\n");
    project.write("source", vec![b'x'; 6 << 20]);
    let built = project.build(&[]).code(3);
    insta::assert_snapshot!(built.said(), @r"
    [s]
    wc: source: Input/output error
    error: the disk is full: `source` could not be stored
      caused by: cannot read `source`: no space left at `[PLACE]/home/larder/tmp/0`

    hint: make room and build again; nothing was lost
    ");
    resize_disk(&place.home().join("larder"), 100 * 1024);
    project.builds(&["s"]);
    assert_eq!(project.read("size").trim(), (6 << 20).to_string());
}

#[test]
fn the_projects_disk_fills() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::new();
    let disk = place.path().join("projects/p");
    small_disk(&disk, 1024);
    let project = place.project(
        "p",
        "[step.s]\nrun = 'head -c 3000000 /dev/zero > big; cp source small'\nout = ['big', 'small']\n",
    );
    project.write("source", "precious");
    let built = project.build(&[]).code(3);
    insta::assert_snapshot!(built.said(), @r"
    s ran: it was never built here ([TIME])
    error: the disk is full: `big` could not be written

    hint: make room and build again; nothing was lost
    ");
    assert_eq!(project.read("source"), "precious");
    assert!(!project.has("big"), "a half file was handed over");
    resize_disk(&disk, 10 * 1024);
    project.builds(&[]);
    assert_eq!(std::fs::metadata(project.at("big")).unwrap().len(), 3_000_000);
}

#[test]
fn whatever_the_disk_has_room_for_the_next_build_is_right() {
    if !unshare_mounts() {
        return;
    }
    let mut random = Random(number("COMPUTEPODS_SEED", 1));
    for _ in 0..20 {
        let place = Place::new();
        small_disk(place.home(), 60 + random.below(6000) as u32);
        let mut subject = Subject::new(&place);
        let full = subject.project.build(&[]);
        assert!(matches!(full.ended.code, Some(0 | 1 | 3)), "{full:?}");
        if full.ended.code != Some(0) {
            let said = full.ended.shown().to_lowercase();
            assert!(said.contains("space") || said.contains("full"), "no word of the disk: {said}");
        }
        place.assert_nothing_left();
        if random.below(2) == 0 {
            subject.change(&mut random);
        }
        resize_disk(place.home(), 64 * 1024);
        subject.project.build(&[]).ok();
        subject.assert_right();
        place.pod(&["fsck"]).ok();
    }
}
