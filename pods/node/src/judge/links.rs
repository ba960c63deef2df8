//! Where the links lead that a step leaves.
//!
//! A link is handed over to a machine on which the project stands elsewhere, and where the user's own files are. So it leads to what is in the
//! project, said relatively, or into the machine's tools, said absolutely; a step may have said it the other way round.

use protocol::RelPath;

use crate::run::project_prefix;

/// The target that is stored for a link of the project at `path`; `None` if it leads elsewhere.
///
/// `is_link`: whether something in the project is itself a link, so that `..` after it is not the folder above it.
/// `is_tool`: whether a path below `/` is one of the machine's tools.
pub(super) fn stored(
    path: &RelPath,
    target: &[u8],
    is_link: impl Fn(&RelPath) -> bool,
    is_tool: impl Fn(&RelPath) -> bool,
) -> Option<Vec<u8>> {
    let (project, is_absolute) = (project_prefix(), target.starts_with(b"/"));
    let folder = project.join(&path.parent()?);
    let mut at = if is_absolute { RelPath::root() } else { folder };
    // Whether it is said as it is stored: `..` at the beginning only, and not out of the project and back.
    let (mut is_plain, mut is_below) = (true, is_absolute);
    for part in target.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                if at.strip_prefix(&project).is_some_and(|inside| is_link(&inside)) {
                    return None;
                }
                at = at.parent().unwrap_or_else(RelPath::root);
                is_plain &= !is_below && at.is_within(&project);
            }
            name => {
                at = at.child(name)?;
                is_below = true;
            }
        }
    }
    match at.strip_prefix(&project) {
        Some(_) if is_plain && !is_absolute => Some(target.to_vec()),
        Some(inside) => Some(relative(&path.parent()?, &inside)),
        None if !is_tool(&at) => None,
        None if is_plain && is_absolute => Some(target.to_vec()),
        None => Some([b"/", at.as_bytes()].concat()),
    }
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
        let is_link = |path: &RelPath| *path == "a/current".parse().unwrap();
        let is_tool = |path: &RelPath| path.is_within(&"usr".parse().unwrap());
        let stored = stored(&path.parse().unwrap(), target.as_bytes(), is_link, is_tool)?;
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
            // The folder above what a link leads to is anywhere.
            ("x", "a/current/../y"),
            ("a/x", "current/.."),
        ] {
            assert_eq!(at(path, target), None, "{path} -> {target}");
        }
    }
}
