//! Where the build stands in the project.

use protocol::RelPath;

use crate::path::BuildPath;

/// Where the build stands in the project, and the project in the steps' root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The folder in which ninja would run, in the project.
    pub build: RelPath,
    /// The folder of the project as absolute paths of the ninja file name it.
    pub project: BuildPath,
}

impl Layout {
    /// A path of the ninja file as one of the project; `None` if it is the project itself or not in it. Links are not followed.
    pub fn inside(&self, path: &BuildPath) -> Option<RelPath> {
        let bytes = path.as_bytes();
        if path.is_absolute() {
            let project = self.project.as_bytes();
            let project = project.strip_suffix(b"/").unwrap_or(project);
            let below = bytes.strip_prefix(project)?.strip_prefix(b"/")?;
            return RelPath::new(below).ok().filter(|path| !path.is_root());
        }
        let mut at = self.build.clone();
        for part in bytes.split(|&b| b == b'/') {
            at = match part {
                b"." => at,
                b".." => at.parent()?,
                name => at.child(name)?,
            };
        }
        if at.is_root() { None } else { Some(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_project() {
        let layout =
            Layout { build: "out/b".parse().unwrap(), project: BuildPath::new(b"/project").unwrap() };
        for (path, inside) in [
            ("a.o", Some("out/b/a.o")),
            ("../x/a.c", Some("out/x/a.c")),
            ("../../a.c", Some("a.c")),
            ("../..", None),
            ("../../../a.c", None),
            ("/project/a.c", Some("a.c")),
            ("/project", None),
            ("/projects/a.c", None),
            ("/usr/include/a.h", None),
            (".", Some("out/b")),
        ] {
            let got = layout.inside(&BuildPath::new(path.as_bytes()).unwrap());
            assert_eq!(got.map(|path| path.to_string()).as_deref(), inside, "{path}");
        }
    }
}
