//! Objects that arrive in parts.

use super::big;
use super::subjects::{OnDisk, Subject};
use crate::ObjectKind;
use protocol::Digest;

/// Puts these parts of `bytes` into a draft.
fn draft(
    subject: &OnDisk,
    kind: ObjectKind,
    digest: &Digest,
    bytes: &[u8],
    parts: &[(usize, usize)],
) -> bool {
    let draft = subject.store().draft(kind, digest, bytes.len() as u64).unwrap();
    for &(start, end) in parts {
        draft.write(start as u64, &bytes[start..end]).unwrap();
    }
    draft.finish().unwrap()
}

#[test]
fn parts_in_any_order_make_the_object() {
    let subject = OnDisk::new();
    for (kind, bytes) in
        [(ObjectKind::Blob, big(0)), (ObjectKind::Blob, vec![5; 9]), (ObjectKind::Tree, big(1))]
    {
        let digest = kind.digest(&bytes);
        let (one, two, end) = (bytes.len() / 3, bytes.len() / 2, bytes.len());
        assert!(draft(&subject, kind, &digest, &bytes, &[(two, end), (one, two), (0, one)]));
        assert_eq!(subject.store().get(kind, &digest).unwrap().as_deref(), Some(&bytes[..]));
    }
}

#[test]
fn what_is_not_whole_or_not_right_is_nothing() {
    let subject = OnDisk::new();
    let (kind, bytes) = (ObjectKind::Blob, big(0));
    let digest = kind.digest(&bytes);
    let end = bytes.len();
    assert!(!draft(&subject, kind, &digest, &bytes, &[]));
    assert!(!draft(&subject, kind, &digest, &bytes, &[(0, end - 1)]));
    assert!(!draft(&subject, kind, &digest, &bytes, &[(1, end)]));
    assert!(!draft(&subject, kind, &Digest::of(b"other"), &bytes, &[(0, end)]));
    assert!(!draft(&subject, ObjectKind::Tree, &digest, &bytes, &[(0, end)]));
    assert!(!subject.store().contains(&digest).unwrap());
    let left = subject.store().draft(kind, &digest, 3).unwrap();
    assert!(left.write(2, b"xx").is_err());
    drop(left);
    let tmp = subject.store().inner.folders.tmp.read_dir().unwrap();
    assert_eq!(tmp.count(), 0);
}

#[test]
fn only_what_is_right_is_put() {
    let subject = OnDisk::new();
    for bytes in [vec![1; 10], big(0)] {
        let digest = ObjectKind::Blob.digest(&bytes);
        assert!(!subject.store().put_checked(ObjectKind::Blob, &Digest::of(b"other"), &bytes).unwrap());
        assert!(!subject.store().put_checked(ObjectKind::Trace, &digest, &bytes).unwrap());
        assert!(!subject.store().contains(&digest).unwrap());
        assert!(subject.store().put_checked(ObjectKind::Blob, &digest, &bytes).unwrap());
        assert!(subject.store().contains(&digest).unwrap());
    }
}
