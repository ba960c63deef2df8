//! Damaged and foreign homes: what is wrong is named and put aside, and the build carries on.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::common::larder::{files, flip};
use crate::common::subject::{Random, Subject, number};
use crate::common::{Place, Project};

/// A small output in a pack, and one that is a blob of its own.
const BOTH: &str = r#"
[step.small]
run = "cp source small"
out = "small"
[step.big]
run = "seq -f \"$(cat source) and so on %.0f\" 60000 > big"
out = "big"
"#;

fn both(place: &Place) -> Project<'_> {
    let project = place.project("p", BOTH);
    project.write("source", MARK);
    project.builds(&["big", "small"]);
    project
}

/// What the source says; it can be found again in a pack.
const MARK: &str = "what the source says";

#[track_caller]
fn is_right(project: &Project<'_>) {
    assert_eq!(project.read("small"), MARK);
    let big = project.read("big");
    assert_eq!(big.lines().count(), 60_000);
    assert!(big.ends_with("source says and so on 60000\n"));
}

#[test]
fn a_corrupted_database_is_built_again_from_the_objects() {
    let place = Place::new();
    let project = both(&place);
    let database = place.home().join("larder/index.sqlite");
    for garbage in [&b"this is no database"[..], b""] {
        for extra in ["index.sqlite-wal", "index.sqlite-shm"] {
            fs::remove_file(place.home().join("larder").join(extra)).ok();
        }
        fs::write(&database, garbage).unwrap();
        project.remove("small");
        project.remove("big");
        project.builds(&[]);
        is_right(&project);
        place.pod(&["fsck"]).ok();
    }
    // A page in its middle.
    let length = fs::metadata(&database).unwrap().len();
    flip(&database, (0..length).step_by(97));
    project.remove("small");
    project.builds(&[]);
    is_right(&project);
    fs::remove_file(&database).unwrap();
    project.remove("big");
    project.builds(&[]);
    is_right(&project);
}

#[test]
fn a_corrupted_pack_costs_runs_and_never_truth() {
    let place = Place::new();
    let project = both(&place);
    for pack in files(&place, "packs") {
        let length = fs::metadata(&pack).unwrap().len();
        flip(&pack, (64..length).step_by(200));
    }
    project.remove("small");
    project.remove("big");
    project.build(&[]).ok();
    is_right(&project);
    project.builds(&[]);
}

#[test]
fn fsck_names_what_is_wrong_and_the_build_carries_on() {
    let place = Place::new();
    let project = both(&place);
    // Two steps that open the source at once may both have stored it, in one pack or in two; the second record is dead, and nobody misses it.
    let mut flipped = 0;
    for pack in files(&place, "packs") {
        let packed = fs::read(&pack).unwrap();
        let copies = packed.windows(MARK.len()).enumerate().filter(|(_, bytes)| *bytes == MARK.as_bytes());
        flip(&pack, copies.map(|(at, _)| at as u64).inspect(|_| flipped += 1));
    }
    assert!(flipped > 0, "the source is in no pack");
    let checked = place.pod(&["fsck"]).code(3);
    assert!(format!("{}{}", checked.stdout, checked.stderr).contains("quarantine"), "{checked:?}");
    let json = place.pod(&["fsck", "--json"]).ok().json();
    assert_eq!(json["quarantined"], serde_json::json!([]), "the second check finds nothing");
    project.remove("small");
    project.remove("big");
    project.build(&[]).ok();
    is_right(&project);
}

#[test]
fn a_corrupted_blob_is_put_aside_and_its_step_runs_again() {
    let place = Place::new();
    let project = both(&place);
    let [blob] = &files(&place, "blobs")[..] else { panic!("one blob is expected") };
    flip(blob, [500_000].into_iter());
    project.remove("big");
    let built = project.builds(&["big"]);
    is_right(&project);
    insta::assert_snapshot!(built.said(), @r"
    note: the bytes of `big` are gone from the larder: starting again on what is there now
    big ran: what it made is no longer in the larder ([TIME])
    built in [TIME]: 2 steps, 1 ran, 1 reused
    ");
    assert_eq!(files(&place, "quarantine").len(), 1);
    project.remove("big");
    project.builds(&[]);
}

#[test]
fn a_blob_that_is_gone_or_cut_is_made_again() {
    let place = Place::new();
    let project = both(&place);
    let [blob] = &files(&place, "blobs")[..] else { panic!("one blob is expected") };
    fs::remove_file(blob).unwrap();
    project.remove("big");
    project.builds(&["big"]);
    is_right(&project);
    fs::set_permissions(blob, fs::Permissions::from_mode(0o600)).unwrap();
    fs::File::options().write(true).open(blob).unwrap().set_len(1_000_000).unwrap();
    project.remove("big");
    project.builds(&["big"]);
    is_right(&project);
}

#[test]
fn a_damaged_workspace_folder_loses_nothing() {
    let place = Place::new();
    let project = both(&place);
    project.write(".majordomo/manifest", "garbage");
    project.write(".majordomo/stamps", "garbage");
    project.builds(&[]);
    is_right(&project);
    project.remove(".majordomo");
    // Nobody knows any more that these files were outputs.
    let built = project.build(&[]).code(2);
    insta::assert_snapshot!(built.said(), @r#"
    error: [PLACE]/projects/p/majordomo.toml:4:7: `small` promises `small`, which is a source: a step never changes a source
      |
    4 | out = "small"
      |       ^^^^^^^

    hint: write to another path; if an earlier build without the majordomo left it there, delete it
    "#);
    project.remove("small");
    project.remove("big");
    project.builds(&[]);
    is_right(&project);
}

#[test]
fn a_home_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root may give a home away");
        return;
    }
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    std::os::unix::fs::chown(place.home(), Some(47_113), Some(47_113)).unwrap();
    project.append("src/main.c", "\n");
    insta::assert_snapshot!(project.build(&[]).code(2).said(), @r"
    error: the home `[PLACE]/home` belongs to user 47113, and this is user 0

    hint: use a home of your own: set `COMPUTEPODS_HOME` or give `--home DIR`
    ");
    std::os::unix::fs::chown(place.home(), Some(0), Some(0)).unwrap();
    project.builds(&["compile:src/main.c"]);
}

#[test]
fn a_home_of_another_user_for_an_ordinary_one() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root has a home for others to see");
        return;
    }
    let place = Place::ordinary();
    let project = place.example("hello");
    fs::create_dir(place.home()).unwrap();
    fs::set_permissions(place.home(), fs::Permissions::from_mode(0o755)).unwrap();
    insta::assert_snapshot!(project.build(&[]).code(2).said(), @r"
    error: the home `[PLACE]/home` belongs to user 0, and this is user 47113

    hint: use a home of your own: set `COMPUTEPODS_HOME` or give `--home DIR`
    ");
}

#[test]
fn a_home_of_a_newer_version() {
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    fs::write(place.home().join("version"), "99\n").unwrap();
    project.append("src/main.c", "\n");
    insta::assert_snapshot!(project.build(&[]).code(2).said(), @r"
    error: the home `[PLACE]/home` has version 99, and this program knows versions up to 1

    hint: use the newer program, or another home: `--home DIR`
    ");
    assert_eq!(fs::read_to_string(place.home().join("version")).unwrap(), "99\n");
    fs::write(place.home().join("version"), "1\n").unwrap();
    project.builds(&["compile:src/main.c"]);
}

#[test]
fn a_workspace_of_a_newer_version() {
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    project.write(".majordomo/version", "99\n");
    project.append("src/main.c", "\n");
    insta::assert_snapshot!(project.build(&[]).code(2).said(), @r"
    error: `[PLACE]/projects/hello/.majordomo` has version 99, and this program knows versions up to 1

    hint: install the newer majordomo that made it
    ");
    assert_eq!(project.read(".majordomo/version"), "99\n");
}

#[test]
fn random_damage_never_reaches_an_output() {
    let mut random = Random(number("COMPUTEPODS_SEED", 1));
    let place = Place::new();
    let mut subject = Subject::new(&place);
    subject.project.build(&[]).ok();
    for _ in 0..number("COMPUTEPODS_DAMAGES", 40) {
        let all: Vec<_> =
            files(&place, "").into_iter().filter(|path| fs::metadata(path).unwrap().len() > 0).collect();
        for _ in 0..=random.below(3) {
            let victim = &all[random.below(all.len() as u64) as usize];
            let length = fs::metadata(victim).unwrap().len();
            match random.below(4) {
                0 => {
                    fs::set_permissions(victim, fs::Permissions::from_mode(0o600)).unwrap();
                    fs::File::options()
                        .write(true)
                        .open(victim)
                        .unwrap()
                        .set_len(random.below(length))
                        .unwrap();
                }
                1 if length > 8192 => flip(victim, (0..200).map(|_| random.below(length))),
                _ => flip(victim, [random.below(length)].into_iter()),
            }
        }
        // What is already there is not looked at again; so half of the time nothing is.
        if random.below(2) == 0 {
            ["parts", "more", "big", "whole"]
                .iter()
                .filter(|out| subject.project.has(out))
                .for_each(|out| subject.project.remove(out));
        }
        subject.change(&mut random);
        subject.project.build(&[]).ok();
        subject.assert_right();
    }
    let checked = place.pod(&["fsck"]);
    assert!(matches!(checked.code, Some(0 | 3)), "{checked:?}");
    place.pod(&["fsck"]).ok();
}
