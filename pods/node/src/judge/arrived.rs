//! What arrives from other pods as the outcome of steps: whether one of ours could have left it.
//!
//! Another pod's judge is not ours: it may be an old one, or lie.

use protocol::{RelPath, Tree, TreeEntry};
use view::is_common_tool;

use super::links::stored;
use super::refusal::Refusal;

/// Whether a step could have left this.
///
/// # Errors
/// It has what programs run, what says what steps may do, or links that lead out of the project and the tools of every machine.
pub fn could_be_left(tree: &Tree) -> Result<(), Refusal> {
    let link_at = |path: &RelPath| match tree.get(path) {
        Some(TreeEntry::Link { target }) => Some(target.clone()),
        _ => None,
    };
    for (path, entry) in tree.entries() {
        if let Some(part) = path.reserved() {
            return Err(Refusal::Reserved { path: path.clone(), part });
        }
        let TreeEntry::Link { target } = entry else { continue };
        if stored(path, target, link_at, is_common_tool).as_ref() != Some(target) {
            let target = protocol::path::escape(target);
            return Err(Refusal::LeadsOut { path: path.clone(), target });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use protocol::Digest;

    use super::*;

    fn tree(entries: &[(&str, Option<&str>)]) -> Tree {
        let entry = |(path, target): &(&str, Option<&str>)| {
            let entry = match target {
                Some(target) => TreeEntry::Link { target: target.as_bytes().to_vec() },
                None => TreeEntry::File { digest: Digest::of(b""), size: 0, exec: false },
            };
            (path.parse().unwrap(), entry)
        };
        Tree::new(entries.iter().map(entry).collect()).unwrap()
    }

    #[test]
    fn what_no_step_may_leave_is_refused() {
        let good = [
            ("lib/a.so", Some("a.so.1")),
            ("lib/a.so.1", None),
            ("guess", Some("/usr/share/x")),
            ("l", Some("/lib64/y")),
            ("awk", Some("/etc/alternatives/awk")),
            ("masked.service", Some("/dev/null")),
        ];
        assert_eq!(could_be_left(&tree(&good)), Ok(()));
        for bad in ["majordomo.toml", ".git/config", "a/.git/hooks/x", ".majordomo/uses.json", ".uses/x"] {
            assert!(matches!(could_be_left(&tree(&[(bad, None)])), Err(Refusal::Reserved { .. })), "{bad}");
        }
        for bad in ["/etc/passwd", "../x", "/home/me/.profile", "/usrs", "/project/a", "/usr/../etc/passwd"] {
            let refused = could_be_left(&tree(&[("x", Some(bad))]));
            assert!(matches!(refused, Err(Refusal::LeadsOut { .. })), "{bad}");
        }
        // By way of another link it leads anywhere.
        let by_way = [("a", Some("/usr/bin")), ("b", Some("a/../../etc/passwd"))];
        assert!(could_be_left(&tree(&by_way)).is_err());
    }
}
