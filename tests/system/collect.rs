//! What a home remembers of workspaces that nobody builds any more, and how it goes.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::common::Place;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The folder of the only workspace that was not there before.
fn newest(place: &Place, before: &[PathBuf]) -> PathBuf {
    let mut all = workspaces(place);
    all.retain(|folder| !before.contains(folder));
    let [one] = &all[..] else { panic!("{all:?}") };
    one.clone()
}

fn workspaces(place: &Place) -> Vec<PathBuf> {
    let all = fs::read_dir(place.home().join("workspaces")).unwrap();
    all.map(|folder| folder.unwrap().path()).collect()
}

#[test]
fn what_nobody_has_built_for_long_goes_and_what_it_made_stays() {
    let place = Place::new();
    let old = place.project("old", "[step.s]\nrun = 'cat words > old'\nout = 'old'\n");
    old.write("words", "old\n");
    old.builds(&["s"]);
    let folder = newest(&place, &[]);
    let young = place.project("young", "[step.s]\nrun = 'cat words > young'\nout = 'young'\n");
    young.write("words", "young\n");
    young.builds(&["s"]);
    let kept = newest(&place, std::slice::from_ref(&folder));
    let long_ago = SystemTime::now() - 40 * DAY;
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        if entry.metadata().unwrap().is_file() {
            File::open(entry.path()).unwrap().set_modified(long_ago).unwrap();
        }
    }
    // A call that was killed has left this.
    let left = folder.with_file_name("00000000000000000000000000000007.gone");
    fs::create_dir_all(left.join("tmp")).unwrap();
    let ask = |options: &[&str]| place.pod(&[&["collect", "--json"], options].concat()).ok().json();
    assert_eq!(ask(&["--unused", "41"])["workspaces"], json!([]));
    let would = ask(&["--dry-run"]);
    let id = folder.file_name().unwrap().to_str().unwrap();
    assert_eq!(
        (&would["workspaces"][0]["workspace"], &would["workspaces"][0]["days"]),
        (&id.into(), &40.into())
    );
    assert_eq!((&would["kept"], &would["dry_run"]), (&1.into(), &true.into()));
    assert!(folder.exists());
    let gone = ask(&[]);
    assert_eq!((&gone["workspaces"], &gone["kept"]), (&would["workspaces"], &1.into()));
    assert_eq!(workspaces(&place), [kept]);
    // Nothing runs for it.
    for project in [&old, &young] {
        project.builds(&[]);
    }
    old.write("words", "new\n");
    old.builds(&["s"]);
    assert_eq!(old.read("old"), "new\n");
    let said = place.pod(&["collect"]).ok().stdout;
    assert_eq!(said, "0 workspaces gone, 0 bytes; 2 kept\n");
}
