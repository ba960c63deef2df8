//! Where the links lead that a step leaves.
//!
//! A link is handed over to a machine on which the project stands elsewhere, and where the user's own files are. So it leads to what is in the
//! project, said relatively, or to what every sandbox shows, said absolutely; a step may have said it the other way round.

use protocol::RelPath;

use crate::run::project_prefix;

/// Devices that keep and tell nothing, which are the same on each machine: staged trees mask files with them.
const DEVICES: [&[u8]; 3] = [b"dev/null", b"dev/zero", b"dev/full"];

/// So many links are followed on the way, as path_resolution(7) has it.
const MOST_FOLLOWED: usize = 40;

/// The target that is stored for a link of the project at `path`; `None` if it leads elsewhere.
///
/// `link_at`: what something in the project leads to, if it is itself a link, so that `..` after it is not the folder above it.
/// `is_shown`: whether a path below `/` is of the machine's tools.
pub(super) fn stored(
    path: &RelPath,
    target: &[u8],
    link_at: impl Fn(&RelPath) -> Option<Vec<u8>>,
    is_shown: impl Fn(&RelPath) -> bool,
) -> Option<Vec<u8>> {
    let (project, is_absolute) = (project_prefix(), target.starts_with(b"/"));
    let folder = project.join(&path.parent()?);
    let mut at = if is_absolute { RelPath::root() } else { folder.clone() };
    // Whether it is said as it is stored: `..` at the beginning only, and not out of the project and back.
    let (mut is_plain, mut is_below, mut is_up_again) = (true, is_absolute, false);
    for part in parts(target) {
        if part == b".." {
            is_up_again |= is_below;
            at = at.parent().unwrap_or_else(RelPath::root);
            is_plain &= !is_below && at.is_within(&project);
        } else {
            at = at.child(part)?;
            is_below = true;
        }
    }
    if is_up_again {
        at = followed(folder, target, link_at)?;
    }
    match at.strip_prefix(&project) {
        Some(_) if is_plain && !is_absolute => Some(target.to_vec()),
        Some(inside) => Some(relative(&path.parent()?, &inside)),
        None if !is_shown(&at) && !DEVICES.contains(&at.as_bytes()) => None,
        None if is_plain && is_absolute => Some(target.to_vec()),
        None => Some([b"/", at.as_bytes()].concat()),
    }
}

fn parts(target: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    target.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b"."))
}

/// Where a target leads when the project's links on the way are followed; what it leads to may be a link.
fn followed(
    folder: RelPath,
    target: &[u8],
    link_at: impl Fn(&RelPath) -> Option<Vec<u8>>,
) -> Option<RelPath> {
    let project = project_prefix();
    let start =
        |target: &[u8], folder: RelPath| if target.starts_with(b"/") { RelPath::root() } else { folder };
    let ahead = |target: &[u8]| parts(target).rev().map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (mut at, mut left, mut followed) = (start(target, folder), ahead(target), 0);
    while let Some(part) = left.pop() {
        if part == b".." {
            at = at.parent().unwrap_or_else(RelPath::root);
            continue;
        }
        let next = at.child(&part)?;
        let link =
            next.strip_prefix(&project).filter(|_| !left.is_empty()).and_then(|inside| link_at(&inside));
        let Some(target) = link else {
            at = next;
            continue;
        };
        followed += 1;
        if followed > MOST_FOLLOWED {
            return None;
        }
        at = start(&target, at);
        left.extend(ahead(&target));
    }
    Some(at)
}

/// The way from one folder to another place.
fn relative(from: &RelPath, to: &RelPath) -> Vec<u8> {
    let common = from.parts().zip(to.parts()).take_while(|(from, to)| from == to).count();
    let up = from.parts().skip(common).map(|_| &b".."[..]);
    let parts: Vec<&[u8]> = up.chain(to.parts().skip(common)).collect();
    if parts.is_empty() { b".".to_vec() } else { parts.join(&b'/') }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, target: &str) -> Option<String> {
        let link_at = |path: &RelPath| {
            let target = match path.to_string().as_str() {
                "a/current" => "/home/v1",
                "alias" => "./a/real/",
                "tools" => "/project/../usr/lib",
                "round" => "alias/../../round",
                _ => return None,
            };
            Some(target.as_bytes().to_vec())
        };
        let is_shown = |path: &RelPath| {
            ["usr", "etc/alternatives"].iter().any(|root| path.is_within(&root.parse().unwrap()))
        };
        let stored = stored(&path.parse().unwrap(), target.as_bytes(), link_at, is_shown)?;
        Some(String::from_utf8(stored).unwrap())
    }

    #[test]
    fn links_inside_and_into_tools_stay_as_they_are() {
        for (path, target) in [
            ("lib.so", "lib.so.1"),
            ("a/b/c", "../../d"),
            ("a/b/c", "./..//x/"),
            ("self", "."),
            ("a/top", ".."),
            ("emacs", "me@host.123:7"),
            ("config.guess", "/usr/share/automake/config.guess"),
            ("tools", "/usr"),
            ("through", "a/current/x"),
            ("stage/masked.service", "/dev/null"),
            ("awk", "/etc/alternatives/awk"),
        ] {
            assert_eq!(at(path, target).as_deref(), Some(target), "{path}");
        }
    }

    #[test]
    fn links_that_would_lead_elsewhere_on_another_machine_are_said_otherwise() {
        for (path, target, stored) in [
            ("a/b/c", "/project/a/d", "../d"),
            ("c", "/project/a/d", "a/d"),
            ("a/c", "/project", ".."),
            ("c", "/project/", "."),
            ("a/b/c", "/project/a/b", "."),
            ("a/c", "../../project/d", "../d"),
            ("a/b", "../../usr/bin/cc", "/usr/bin/cc"),
            ("a/b", "x/../y", "y"),
            ("a/b", "/usr/lib/../share/x", "/usr/share/x"),
            ("a/b", "/dev/../dev/null", "/dev/null"),
            // What the links on the way lead to decides about `..`.
            ("aa", "alias/../a.c", "a/a.c"),
            ("a/b/c", "../../alias/x/../y", "../real/y"),
            ("aa", "tools/../share", "/usr/share"),
        ] {
            assert_eq!(at(path, target).as_deref(), Some(stored), "{path} -> {target}");
        }
    }

    #[test]
    fn links_out_are_none() {
        for (path, target) in [
            ("abs", "/etc/passwd"),
            ("pe", "/proc/self/exe"),
            ("rel", "../../../../etc/hostname"),
            ("a/b", "../.."),
            ("root", "/"),
            ("x", "/project/../etc"),
            ("x", "/usr/../etc/shadow"),
            ("x", "/projects/y"),
            ("x", "/dev/sda"),
            ("x", "/dev/null/../sda"),
            ("x", "/etc/alternatives/../passwd"),
            ("x", "round/../y"),
            ("x", "a/current/../y"),
            ("a/x", "current/.."),
        ] {
            assert_eq!(at(path, target), None, "{path} -> {target}");
        }
    }
}
