//! What a Makefile says that it can make besides its default goal, as far as that stands there in plain words.

use std::collections::BTreeSet;

/// So many goals become steps.
const MOST: usize = 64;

/// Goals that many a Makefile has without saying that they are no files.
const USUAL: [&str; 6] = ["check", "doc", "docs", "examples", "test", "tests"];

/// The goal that is no file though few Makefiles say so.
const ALL: &str = "all";

/// What no build wants: goals that remove, that write elsewhere, or that only talk.
const NOT: [&str; 15] = [
    "FORCE",
    "clean",
    "default",
    "depend",
    "dist",
    "distcheck",
    "distclean",
    "echo",
    "force",
    "help",
    "install",
    "maintainer-clean",
    "mostlyclean",
    "realclean",
    "uninstall",
];

/// What a Makefile can make, as far as it says so in plain words.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Goals {
    /// The default goal, if its name is that of no file.
    pub default: Option<String>,
    /// Others that somebody may ask for, in the order of their names.
    pub others: Vec<String>,
}

/// The goals. What variables would make of a name is not known.
pub fn goals(makefile: &str) -> Goals {
    let joined = makefile.replace("\\\n", " ");
    let mut goals = BTreeSet::new();
    let mut phony = BTreeSet::new();
    let mut default = None;
    for (targets, prerequisites) in joined.lines().filter_map(rule) {
        if targets == ".PHONY" {
            phony.extend(prerequisites.split_whitespace().map(str::to_owned));
            continue;
        }
        let targets: Vec<&str> = targets.split_whitespace().collect();
        goals.extend(targets.iter().filter(|name| USUAL.contains(name)).map(|name| (*name).to_owned()));
        phony.extend(targets.iter().filter(|name| **name == ALL).map(|name| (*name).to_owned()));
        let first = targets.into_iter().find(|name| !name.starts_with('.') && !name.contains('%'));
        default = default.or_else(|| first.map(str::to_owned));
    }
    let is_wanted = |name: &String| {
        let says_no = NOT.contains(&name.as_str())
            || ["clean", "install", "uninstall", "dist"]
                .iter()
                .any(|word| name.split(['-', '_']).any(|part| part == *word));
        is_plain(name) && !says_no && default.as_ref() != Some(name)
    };
    let is_no_file = |name: &String| phony.contains(name) && is_plain(name);
    Goals {
        others: goals.union(&phony).filter(|name| is_wanted(name)).take(MOST).cloned().collect(),
        default: default.clone().filter(is_no_file),
    }
}

/// Names of goals that can be names of steps, and words of a shell.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-+.".contains(c))
}

/// `targets: prerequisites`, and neither a recipe nor a variable.
fn rule(line: &str) -> Option<(&str, &str)> {
    if line.starts_with(['\t', '#', ' ']) {
        return None;
    }
    let line = line.split_once('#').map_or(line, |(code, _)| code);
    let (targets, rest) = line.split_once(':')?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let is_variable = rest.starts_with('=') || targets.contains('=') || rest.starts_with(":=");
    let (prerequisites, _) = rest.split_once(';').unwrap_or((rest, ""));
    (!is_variable).then_some((targets.trim(), prerequisites))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_in_plain_words() {
        let makefile = "CC := cc\nX ::= a\nA=b:c\n# .PHONY: no\n.SUFFIXES: .o\n%.o: %.c\n\tcheck: x\nprog: main.o ; echo\n\
                        .PHONY: prog all check-all \\\n   clean-docs bench $(MORE) install-data a/b # end\n\
                        test check:: prog\n\t./t\ndocs:\ninstall: prog\n";
        let said = goals(makefile);
        assert_eq!(said.others, ["all", "bench", "check", "check-all", "docs", "test"]);
        assert_eq!(said.default.as_deref(), Some("prog"));
    }

    #[test]
    fn the_default_goal_is_none_of_them() {
        let said = |makefile: &str| {
            let Goals { default, others } = goals(makefile);
            (default.unwrap_or_default(), others.join(" "))
        };
        let is = |default: &str, others: &str| (default.to_owned(), others.to_owned());
        assert_eq!(said("check: a\n\ttrue\n.PHONY: check all\nall:\n"), is("check", "all"));
        assert_eq!(said("all: prog\nprog: main.c\n"), is("all", ""));
        assert_eq!(said("prog: main.c\nall: prog\n"), is("", "all"));
        assert_eq!(said(""), is("", ""));
    }

    #[test]
    fn nobody_gets_too_many() {
        let many: String = (0..1000).map(|number| format!(" g{number}")).collect();
        assert_eq!(goals(&format!(".PHONY:{many}\n")).others.len(), MOST);
    }
}
