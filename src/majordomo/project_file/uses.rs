//! `[uses]`: what a project takes of others.

use protocol::mesh::{PROJECT_PREFIX, ProjectName};

use super::read::{fields, table};
use super::value::{Fault, Field};

/// What a use takes.
const WANTED: &str = "`project:NAME` or `project:NAME#TARGET`, or a list of such with one NAME";
/// What a use may be called.
const NAMES: &str = "a name of letters, digits, `-`, `_` and `.` for each project that is used";

/// What a project takes of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseRule {
    /// What it is called here: the folder below `.uses`.
    pub name: ProjectName,
    /// The project's name in the federation.
    pub project: ProjectName,
    /// What of it: targets as they are typed; empty: what a bare build of it wants.
    pub targets: Vec<String>,
}

pub(super) fn uses(field: Field<'_, '_>) -> Result<Vec<UseRule>, Fault> {
    let mut rules = Vec::new();
    for (_, field) in fields(field.text, table(field, "a table `[uses]`: NAME = what is used")?) {
        let name = field.key.parse().map_err(|_| field.not(NAMES))?;
        let mut project: Option<ProjectName> = None;
        let mut targets = Vec::new();
        for text in field.strings()? {
            let text = text.value.strip_prefix(PROJECT_PREFIX).ok_or_else(|| field.not(WANTED))?;
            let (used, target) =
                text.split_once('#').map_or((text, None), |(used, target)| (used, Some(target)));
            let used: ProjectName = used.parse().map_err(|_| field.not(WANTED))?;
            if project.as_ref().is_some_and(|project| *project != used) || target == Some("") {
                return Err(field.not(WANTED));
            }
            project = Some(used);
            targets.extend(target.map(str::to_owned));
        }
        let project = project.ok_or_else(|| field.not(WANTED))?;
        rules.push(UseRule { name, project, targets });
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::majordomo::project_file::ProjectFile;

    fn of(uses: &str) -> Result<Vec<UseRule>, String> {
        let text = format!("uses = {uses}\n[step.a]\nrun = 'true'\n");
        let file = ProjectFile::parse(Path::new("p/majordomo.toml"), text.as_bytes());
        file.map(|file| file.uses).map_err(|error| error.to_string())
    }

    #[test]
    fn a_use_names_one_project_and_targets_of_it() {
        let rule = |targets: &[&str]| UseRule {
            name: "foo".parse().unwrap(),
            project: "lib.foo".parse().unwrap(),
            targets: targets.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(of("{ foo = 'project:lib.foo' }").unwrap(), [rule(&[])]);
        assert_eq!(of("{ foo = 'project:lib.foo#lib/*.a' }").unwrap(), [rule(&["lib/*.a"])]);
        let both = of("{ foo = ['project:lib.foo#a', 'project:lib.foo#b/'] }");
        assert_eq!(both.unwrap(), [rule(&["a", "b/"])]);
        for bad in
            ["'x'", "{ foo = 'lib' }", "{ foo = 'project:' }", "{ foo = 'project:a#' }", "{ foo = [] }"]
        {
            assert!(of(bad).is_err(), "{bad}");
        }
        assert!(of("{ foo = ['project:a#x', 'project:b#x'] }").is_err());
        assert!(of("{ '../foo' = 'project:a' }").unwrap_err().contains("a name of letters, digits"));
    }
}
