//! Damage that is found and mended: by reading, by opening, by checking.

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use rusqlite::Connection;

use super::subjects::damage;
use super::{OURS, THEIRS, big, set, trace};
use crate::places::Place;
use crate::{Added, Content, Larder, LarderError, ObjectKind, Options, Repair, Stats};
use protocol::{Digest, Stamp};

fn open(dir: &Path) -> Larder {
    Larder::open(dir, Options::default()).unwrap()
}

/// Two blobs of each size, two traces of which one is revoked.
fn fill(larder: &Larder) -> Vec<Digest> {
    let mut digests = Vec::new();
    for bytes in [b"one".to_vec(), vec![2; 3000], big(3), big(4)] {
        digests.push(larder.put(ObjectKind::Blob, &bytes).unwrap());
    }
    let set = set("a");
    larder.add_trace(&trace("weak", &set, "saw", "made"), &set, OURS).unwrap();
    let revoked = trace("weak", &set, "saw more", "made");
    larder.add_trace(&revoked, &set, THEIRS).unwrap();
    larder.revoke(&revoked.digest()).unwrap();
    for value in [1, 2] {
        larder.mark(7, &revoked.digest(), [value; 32]).unwrap();
    }
    larder.flush().unwrap();
    digests
}

fn check_all_there(larder: &Larder, digests: &[Digest]) {
    for digest in digests {
        let content = larder.open_blob(digest).unwrap().unwrap();
        assert_eq!(Digest::of(&content.read().unwrap()), *digest);
    }
    let set = set("a");
    let kept = trace("weak", &set, "saw", "made");
    assert_eq!(larder.trace(&kept.strong()).unwrap().unwrap().0, kept.digest());
    assert_eq!(*larder.path_sets(&kept.weak, OURS).unwrap()[0].1, set);
    let revoked = trace("weak", &set, "saw more", "made");
    assert_eq!(larder.trace(&revoked.strong()).unwrap(), None);
    assert_eq!(larder.marks(7).unwrap(), [(revoked.digest(), [2; 32])]);
    assert_eq!(larder.marks(70).unwrap(), []);
    assert_eq!(larder.add_trace(&revoked, &set, OURS).unwrap(), Added::Revoked(revoked.digest()));
}

fn quarantined(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("quarantine")).unwrap().count()
}

#[test]
fn a_lost_or_broken_index_is_made_anew() {
    let breakages: [fn(&Path); 6] = [
        |index| std::fs::remove_file(index).unwrap(),
        |index| std::fs::write(index, b"").unwrap(),
        |index| std::fs::write(index, [0x55; 10_000]).unwrap(),
        |index| std::fs::write(index, b"SQLite format 3\0 and then nonsense").unwrap(),
        |index| {
            let connection = Connection::open(index).unwrap();
            connection.execute_batch("DROP TABLE traces").unwrap();
        },
        // Of an older program.
        |index| Connection::open(index).unwrap().execute_batch("PRAGMA user_version = 0").unwrap(),
    ];
    for (n, breakage) in breakages.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let larder = open(dir.path());
        let digests = fill(&larder);
        let before = larder.stats().unwrap();
        drop(larder);
        let index = dir.path().join("index.sqlite");
        if n < 4 {
            std::fs::remove_file(dir.path().join("index.sqlite-wal")).unwrap();
        }
        breakage(&index);
        let larder = open(dir.path());
        check_all_there(&larder, &digests);
        assert_eq!(larder.stats().unwrap(), before);
        assert!(larder.repairs().contains(&Repair::IndexRebuilt), "breakage {n}");
        assert!(larder.fsck(&mut |_| ()).unwrap().is_clean());
        drop(larder);
        let larder = open(dir.path());
        check_all_there(&larder, &digests);
        assert_eq!(larder.repairs(), vec![]);
    }
}

#[test]
fn a_newer_index_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let index = dir.path().join("index.sqlite");
    Connection::open(&index).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let error = Larder::open(dir.path(), Options::default()).err().unwrap();
    assert!(matches!(error, LarderError::Newer { found: 99, known: 1, .. }), "{error}");
    Connection::open(&index).unwrap().execute_batch("PRAGMA user_version = 1").unwrap();
    assert_eq!(open(dir.path()).repairs(), vec![]);
}

#[test]
fn a_larder_is_held_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let larder = open(dir.path());
    assert!(matches!(Larder::open(dir.path(), Options::default()), Err(LarderError::InUse { .. })));
    drop(larder);
    open(dir.path());
}

/// Any page of the database may rot, while the larder is closed or open.
#[test]
fn any_page_of_the_index_may_rot() {
    let dir = tempfile::tempdir().unwrap();
    let larder = open(dir.path());
    let mut digests = fill(&larder);
    digests.extend((0..2000u32).map(|n| larder.put(ObjectKind::Blob, &n.to_le_bytes()).unwrap()));
    drop(larder);
    let index = dir.path().join("index.sqlite");
    Connection::open(&index).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let sound = std::fs::read(&index).unwrap();
    let pages = sound.len() / 4096;
    assert!(pages > 20);
    for page in (0..pages).step_by(pages / 20) {
        for while_open in [false, true] {
            for suffix in ["-wal", "-shm"] {
                std::fs::remove_file(dir.path().join(format!("index.sqlite{suffix}"))).unwrap_or_default();
            }
            std::fs::write(&index, &sound).unwrap();
            let rot = || {
                let file = std::fs::OpenOptions::new().write(true).open(&index).unwrap();
                file.write_all_at(&[0xA5; 4096], page as u64 * 4096).unwrap();
            };
            if !while_open {
                rot();
            }
            let larder = open(dir.path());
            if while_open {
                rot();
            }
            check_all_there(&larder, &digests[..4]);
            for digest in &digests {
                assert!(larder.get(ObjectKind::Blob, digest).unwrap().is_some(), "page {page}, {while_open}");
            }
            larder.fsck(&mut |_| ()).unwrap();
            check_all_there(&larder, &digests);
            assert!(larder.fsck(&mut |_| ()).unwrap().is_clean());
        }
    }
}

#[test]
fn damage_is_set_aside_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let larder = open(dir.path());
    let digests = fill(&larder);
    for (n, digest) in [digests[1], digests[2]].into_iter().enumerate() {
        damage(&larder, &digest);
        assert!(larder.open_blob(&digest).unwrap().is_none());
        assert_eq!(larder.repairs()[n], Repair::DamagedObject { digest });
        assert_eq!(quarantined(dir.path()), n + 1);
        assert!(larder.open_blob(&digest).unwrap().is_none());
        assert_eq!(quarantined(dir.path()), n + 1);
    }
}

#[test]
fn fsck_names_what_is_wrong_and_mends_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let larder = open(dir.path());
    let digests = fill(&larder);
    let gone = larder.put(ObjectKind::Blob, &big(9)).unwrap();
    let mut last = None;
    let report = larder.fsck(&mut |progress| last = Some(progress)).unwrap();
    let Stats { objects, bytes, .. } = larder.stats().unwrap();
    assert_eq!((report.objects, report.bytes, report.wrong.len(), report.restored), (objects, bytes, 0, 0));
    let last = last.unwrap();
    assert_eq!(last.done, last.total);

    damage(&larder, &digests[1]);
    damage(&larder, &digests[2]);
    std::fs::remove_file(larder.inner.blobs.path(&gone)).unwrap();
    let mut wrong = larder.fsck(&mut |_| ()).unwrap().wrong;
    wrong.sort_by_key(|repair| format!("{repair:?}"));
    let mut expected = vec![
        Repair::DamagedObject { digest: digests[1] },
        Repair::DamagedObject { digest: digests[2] },
        Repair::MissingObject { digest: gone },
    ];
    expected.sort_by_key(|repair| format!("{repair:?}"));
    assert_eq!(wrong, expected);
    assert!(larder.fsck(&mut |_| ()).unwrap().is_clean());
    for digest in [digests[1], digests[2], gone] {
        assert!(!larder.contains(&digest).unwrap());
    }
    larder.put(ObjectKind::Blob, &vec![2; 3000]).unwrap();
    larder.put(ObjectKind::Blob, &big(3)).unwrap();
    check_all_there(&larder, &digests);
}

#[test]
fn fsck_and_puts_go_on_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { pack_target_size: 64 << 10, ..Options::default() };
    let larder = Larder::open(dir.path(), options).unwrap();
    std::thread::scope(|scope| {
        let putting = scope.spawn(|| {
            (0..3000u32)
                .map(|n| larder.put(ObjectKind::Blob, &vec![n as u8; n as usize % 500]).unwrap())
                .collect()
        });
        while !putting.is_finished() {
            assert_eq!(larder.fsck(&mut |_| ()).unwrap().wrong, vec![]);
        }
        let digests: Vec<Digest> = putting.join().unwrap();
        assert!(digests.iter().all(|digest| larder.contains(digest).unwrap()));
    });
}

#[test]
fn a_blob_left_without_a_row_is_found_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let larder = open(dir.path());
    let (sound, broken) = (big(1), big(2));
    for (bytes, content) in [(&sound, &sound), (&broken, &sound)] {
        let path = larder.inner.blobs.path(&Digest::of(bytes));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    assert!(larder.contains(&Digest::of(&sound)).unwrap());
    assert!(!larder.contains(&Digest::of(&broken)).unwrap());
    assert!(matches!(larder.open_blob(&Digest::of(&sound)).unwrap(), Some(Content::File { .. })));
}

#[test]
fn a_touched_blob_is_hashed_again_and_believed() {
    let dir = tempfile::tempdir().unwrap();
    let larder = open(dir.path());
    let digest = larder.put(ObjectKind::Blob, &big(1)).unwrap();
    let path = larder.inner.blobs.path(&digest);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    assert!(larder.open_blob(&digest).unwrap().is_some());
    assert_eq!(larder.repairs(), vec![]);
}

/// After a power cut what was not forced onto the disk has to be hashed before it is believed.
#[test]
fn a_new_boot_trusts_only_what_was_synced() {
    let dir = tempfile::tempdir().unwrap();
    let larder = open(dir.path());
    let synced = larder.put(ObjectKind::Blob, &big(1)).unwrap();
    larder.sync().unwrap();
    let unsynced = larder.put(ObjectKind::Blob, &big(2)).unwrap();
    drop(larder);
    let index = dir.path().join("index.sqlite");
    let change = "UPDATE meta SET value = 'another' WHERE key = 'boot'";
    assert_eq!(Connection::open(&index).unwrap().execute(change, []).unwrap(), 1);
    let larder = open(dir.path());
    let marked = |digest: &Digest| match larder.shared().index.place(digest).unwrap() {
        Some(Place::Whole { mark, .. }) => mark.is_some(),
        other => panic!("{other:?}"),
    };
    assert!(marked(&synced));
    assert!(!marked(&unsynced));
    assert!(larder.open_blob(&unsynced).unwrap().is_some());
    larder.flush().unwrap();
    assert!(marked(&unsynced));
}

#[test]
fn files_are_adopted() {
    let dir = tempfile::tempdir().unwrap();
    let larder = open(&dir.path().join("larder"));
    let path = dir.path().join("made");
    for (n, bytes) in [b"small".to_vec(), big(1), big(1), vec![]].into_iter().enumerate() {
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(larder.adopt(&path).unwrap(), (Digest::of(&bytes), bytes.len() as u64), "{n}");
        assert!(!path.exists());
        assert_eq!(larder.open_blob(&Digest::of(&bytes)).unwrap().unwrap().read().unwrap(), bytes);
    }
    // Another name would let somebody write to it: such a file is copied.
    let other = dir.path().join("other");
    std::fs::write(&path, big(5)).unwrap();
    std::fs::hard_link(&path, &other).unwrap();
    let (digest, _) = larder.adopt(&path).unwrap();
    std::fs::write(&other, b"changed").unwrap();
    assert_eq!(larder.open_blob(&digest).unwrap().unwrap().read().unwrap(), big(5));
    // And no link is followed.
    std::os::unix::fs::symlink(&other, &path).unwrap();
    assert!(matches!(larder.adopt(&path), Err(LarderError::NoFile { .. })));
    assert!(matches!(larder.adopt(dir.path()), Err(LarderError::NoFile { .. })));
}

#[test]
fn digests_of_host_files_are_known_by_their_whole_stamp() {
    let dir = tempfile::tempdir().unwrap();
    let mut larder = open(dir.path());
    let stamp = |ino: u64| Stamp { dev: 7, ino, size: 3, mtime_ns: 4, ctime_ns: -5 };
    let inodes: Vec<u64> = (0..3000).chain([u64::MAX, 1 << 63]).collect();
    for ino in &inodes {
        assert_eq!(larder.known_digest(&stamp(*ino)).unwrap(), None);
        larder.remember_digest(&stamp(*ino), &Digest::of(&ino.to_le_bytes())).unwrap();
    }
    for _ in 0..2 {
        for ino in &inodes {
            assert_eq!(larder.known_digest(&stamp(*ino)).unwrap(), Some(Digest::of(&ino.to_le_bytes())));
            let other = Stamp { ctime_ns: 6, ..stamp(*ino) };
            assert_eq!(larder.known_digest(&other).unwrap(), None);
        }
        drop(larder);
        larder = open(dir.path());
    }
    // A changed file takes the place of what was known; a flipped bit in the table is not believed.
    let changed = Stamp { size: 9, ..stamp(1) };
    larder.remember_digest(&changed, &Digest::of(b"new")).unwrap();
    larder.flush().unwrap();
    drop(larder);
    let index = Connection::open(dir.path().join("index.sqlite")).unwrap();
    index.execute("UPDATE stamps SET size = 4 WHERE ino = 2", []).unwrap();
    drop(index);
    let larder = open(dir.path());
    assert_eq!(larder.known_digest(&changed).unwrap(), Some(Digest::of(b"new")));
    assert_eq!(larder.known_digest(&stamp(1)).unwrap(), None);
    assert_eq!(larder.known_digest(&Stamp { size: 4, ..stamp(2) }).unwrap(), None);
}

#[test]
fn notes_are_kept_by_workspace_and_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let larder = open(dir.path());
    for (workspace, key, value) in
        [(OURS, "a/1", "x"), (OURS, "a/2", "y"), (OURS, "b", "z"), (THEIRS, "a/1", "w")]
    {
        larder.note(workspace, key, value.as_bytes()).unwrap();
    }
    larder.note(OURS, "a/1", b"newer").unwrap();
    let notes = |prefix| larder.notes(OURS, prefix).unwrap();
    let expected = vec![("a/1".to_owned(), b"newer".to_vec()), ("a/2".to_owned(), b"y".to_vec())];
    assert_eq!(notes("a/"), expected);
    assert_eq!(notes("").len(), 3);
    larder.forget_note(OURS, "a/1").unwrap();
    assert_eq!(notes("a/"), expected[1..]);
    let larger = vec![0; crate::options::MAX_NOTE_SIZE as usize + 1];
    assert!(matches!(larder.note(OURS, "k", &larger), Err(LarderError::TooLarge { .. })));
}
