//! Where two trees differ, in words that a person can start from.

use larder::{Larder, ObjectKind};
use protocol::{RelPath, Tree, TreeEntry};
use similar::{ChangeTag, TextDiff};

/// Files longer than this are not compared byte by byte.
const MAX_COMPARED: u64 = 64 << 20;

/// Bytes of a differing line that are shown.
const MAX_LINE: usize = 100;

/// The first path at which two trees differ, and where in it.
pub(super) fn first_difference(larder: &Larder, one: &Tree, other: &Tree) -> Option<String> {
    let mut paths: Vec<&RelPath> =
        one.entries().iter().chain(other.entries()).map(|(path, _)| path).collect();
    paths.sort_unstable();
    paths.dedup();
    let path = paths.into_iter().find(|path| one.get(path) != other.get(path))?;
    Some(format!("`{path}` {}", in_what(larder, one.get(path), other.get(path))))
}

/// How two things that stood at one path differ.
pub(super) fn in_what(larder: &Larder, one: Option<&TreeEntry>, other: Option<&TreeEntry>) -> String {
    let (Some(one), Some(other)) = (one, other) else {
        return "is there in one of them only".to_owned();
    };
    let (TreeEntry::File { digest: a, size: s, .. }, TreeEntry::File { digest: b, size: t, .. }) =
        (one, other)
    else {
        return "is of another kind, or leads elsewhere".to_owned();
    };
    if a == b {
        return "differs in whether it may be executed".to_owned();
    }
    let sizes = if s == t { String::new() } else { format!(" ({s} and {t} bytes)") };
    let read = |digest| larder.get(ObjectKind::Blob, digest).ok().flatten();
    if *s.max(t) > MAX_COMPARED {
        return format!("differs{sizes}");
    }
    let (Some(a), Some(b)) = (read(a), read(b)) else { return format!("differs{sizes}") };
    let at = a.iter().zip(b.iter()).take_while(|(a, b)| a == b).count();
    let mut words = format!("differs first at byte {at}{sizes}");
    if let (Some(a), Some(b)) = (line_at(&a, at), line_at(&b, at)) {
        words.push_str(&format!(": `{a}` and `{b}`"));
    }
    words
}

/// Lines of a difference that are shown.
const MAX_SHOWN: usize = 8;

/// Longer texts are not compared line by line.
const MAX_TEXT: u64 = 1 << 20;

/// The lines in which two text files differ, `-` before and `+` after; empty if they are no text.
pub(super) fn lines(larder: &Larder, one: Option<&TreeEntry>, other: Option<&TreeEntry>) -> Vec<String> {
    let text = |entry: Option<&TreeEntry>| match entry {
        Some(TreeEntry::File { digest, size, .. }) if *size <= MAX_TEXT => {
            let bytes = larder.get(ObjectKind::Blob, digest).ok().flatten()?;
            String::from_utf8(bytes.to_vec()).ok().filter(|text| !text.contains('\0'))
        }
        Some(TreeEntry::File { .. } | TreeEntry::Link { .. }) => None,
        None | Some(TreeEntry::EmptyDir | TreeEntry::Deleted) => Some(String::new()),
    };
    let (Some(one), Some(other)) = (text(one), text(other)) else { return Vec::new() };
    let diff = TextDiff::from_lines(&one, &other);
    let changes = diff.iter_all_changes().filter_map(|change| {
        let sign = match change.tag() {
            ChangeTag::Equal => return None,
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
        };
        let line: String = change.value().trim_end().chars().take(MAX_LINE).collect();
        Some(format!("{sign} {line}"))
    });
    let mut shown: Vec<String> = changes.take(MAX_SHOWN + 1).collect();
    if shown.len() > MAX_SHOWN {
        shown[MAX_SHOWN] = "…".to_owned();
    }
    shown
}

/// The line around a byte, if it is text.
fn line_at(bytes: &[u8], at: usize) -> Option<String> {
    let at = at.min(bytes.len());
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |found| found + 1);
    let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |found| at + found);
    let start = start.max(at.saturating_sub(MAX_LINE / 2));
    let line = std::str::from_utf8(bytes.get(start..end.min(start + MAX_LINE))?).ok()?;
    let is_plain = line.chars().all(|c| !c.is_control() || c == '\t');
    is_plain.then(|| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_byte_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let larder = Larder::open(dir.path(), larder::Options::default()).unwrap();
        let tree = |text: &str| {
            let digest = larder.put(ObjectKind::Blob, text.as_bytes()).unwrap();
            let entry = TreeEntry::File { digest, size: text.len() as u64, exec: false };
            Tree::new(vec![("out/a".parse().unwrap(), entry)]).unwrap()
        };
        let (one, other) = (tree("one\ntwo\n"), tree("one\nthree\n"));
        insta::assert_snapshot!(
            first_difference(&larder, &one, &other).unwrap(),
            @"`out/a` differs first at byte 5 (8 and 10 bytes): `two` and `three`"
        );
        assert_eq!(first_difference(&larder, &one, &one), None);
        insta::assert_snapshot!(
            first_difference(&larder, &one, &Tree::default()).unwrap(),
            @"`out/a` is there in one of them only"
        );
    }
}
