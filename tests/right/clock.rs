//! T4. Time tells nothing: edits within one second, older stamps, equal stamps, new stamps on old bytes.

use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use crate::common::{Place, Project};

const FILE: &str = r#"
[step.copy]
run = "cat source > copy"
out = "copy"
[step.other]
run = "cat other > of-other"
out = "of-other"
"#;

fn project(place: &Place) -> Project<'_> {
    let project = place.project("p", FILE);
    project.write("source", "0000\n");
    project.write("other", "other\n");
    project.builds(&["copy", "other"]);
    project
}

fn modified(project: &Project<'_>, path: &str) -> SystemTime {
    fs::metadata(project.at(path)).unwrap().modified().unwrap()
}

fn set_modified(project: &Project<'_>, path: &str, time: SystemTime) {
    let times = FileTimes::new().set_modified(time).set_accessed(time);
    File::options().write(true).open(project.at(path)).unwrap().set_times(times).unwrap();
}

#[test]
fn t4_edits_of_equal_length_within_one_second() {
    let place = Place::new();
    let project = project(&place);
    for edit in 1..=8 {
        // Two writes in a row, of which the second one counts.
        project.write("source", "xxxx\n");
        project.write("source", format!("{edit:04}\n"));
        project.builds(&["copy"]);
        assert_eq!(project.read("copy"), format!("{edit:04}\n"));
    }
}

#[test]
fn t4_edits_that_leave_every_stamp_as_it_was() {
    let place = Place::new();
    let project = project(&place);
    let (times, length) = (modified(&project, "source"), fs::metadata(project.at("source")).unwrap().len());
    for edit in 1..=8 {
        project.write("source", format!("{edit:04}\n"));
        set_modified(&project, "source", times);
        assert_eq!(modified(&project, "source"), times);
        assert_eq!(fs::metadata(project.at("source")).unwrap().len(), length);
        project.builds(&["copy"]);
        assert_eq!(project.read("copy"), format!("{edit:04}\n"));
    }
}

#[test]
fn t4_an_older_file_copied_over_with_its_old_time() {
    let place = Place::new();
    let project = project(&place);
    let old = SystemTime::now() - Duration::from_secs(10 * 365 * 24 * 3600);
    fs::create_dir(place.path().join("archive")).unwrap();
    let archived = place.path().join("archive/source");
    fs::write(&archived, "old1\n").unwrap();
    File::options().write(true).open(&archived).unwrap().set_modified(old).unwrap();
    let copied = std::process::Command::new("cp").arg("-p").arg(&archived).arg(project.at("source")).status();
    assert!(copied.unwrap().success());
    assert_eq!(modified(&project, "source"), old);
    project.builds(&["copy"]);
    assert_eq!(project.read("copy"), "old1\n");
    // From the future, and from before the epoch.
    for (text, time) in [
        ("new1\n", SystemTime::now() + Duration::from_secs(365 * 24 * 3600)),
        ("epoc\n", SystemTime::UNIX_EPOCH - Duration::from_secs(1000)),
    ] {
        project.write("source", text);
        set_modified(&project, "source", time);
        project.builds(&["copy"]);
        assert_eq!(project.read("copy"), text);
        project.builds(&[]);
    }
}

#[test]
fn t4_a_file_renamed_over_another_one() {
    let place = Place::new();
    let project = project(&place);
    let times = modified(&project, "source");
    for edit in 1..=8 {
        // As editors save: a file beside it, with the same length and the same time, and then its name.
        project.write("source.new", format!("{edit:04}\n"));
        set_modified(&project, "source.new", times);
        fs::rename(project.at("source.new"), project.at("source")).unwrap();
        project.builds(&["copy"]);
        assert_eq!(project.read("copy"), format!("{edit:04}\n"));
    }
    // A file that was there before in the place of another one: nothing about it is new but its name.
    project.write("prepared", "ready\n");
    set_modified(&project, "prepared", times);
    project.builds(&[]);
    fs::rename(project.at("prepared"), project.at("source")).unwrap();
    project.builds(&["copy"]);
    assert_eq!(project.read("copy"), "ready\n");
}

#[test]
fn t4_a_folder_renamed_over_another_one() {
    let place = Place::new();
    let project =
        place.project("p", "[step.copy]\nrun = 'cat current/source current/same > copy'\nout = 'copy'\n");
    for (folder, text) in [("current", "1\n"), ("next", "2\n")] {
        project.write(format!("{folder}/source"), text);
        project.write(format!("{folder}/same"), "same\n");
    }
    project.builds(&["copy"]);
    fs::rename(project.at("current"), project.at("last")).unwrap();
    fs::rename(project.at("next"), project.at("current")).unwrap();
    project.builds(&["copy"]);
    assert_eq!(project.read("copy"), "2\nsame\n");
}

#[test]
fn t4_touched_only() {
    let place = Place::new();
    let project = project(&place);
    for time in [SystemTime::now(), SystemTime::UNIX_EPOCH, SystemTime::now() + Duration::from_secs(9999)] {
        for path in ["source", "other", "majordomo.toml", "copy"] {
            set_modified(&project, path, time);
        }
        project.builds(&[]);
    }
    // The same bytes in another inode.
    let text = project.read("source");
    project.remove("source");
    project.write("source", text);
    project.builds(&[]);
    project.chmod("source", 0o600);
    project.builds(&[]);
}

#[test]
fn t4_edited_by_a_map_in_memory() {
    let place = Place::new();
    let project = project(&place);
    let times = modified(&project, "source");
    let file = File::options().read(true).write(true).open(project.at("source")).unwrap();
    for edit in *b"123" {
        // SAFETY: a map of a file of ours, of its length, which nobody truncates meanwhile.
        unsafe {
            use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            let map = mmap(std::ptr::null_mut(), 4, protection, MapFlags::SHARED, &file, 0).unwrap();
            map.cast::<u8>().write(edit);
            munmap(map, 4).unwrap();
        }
        set_modified(&project, "source", times);
        project.builds(&["copy"]);
        assert_eq!(project.read("copy").as_bytes()[0], edit);
    }
}
