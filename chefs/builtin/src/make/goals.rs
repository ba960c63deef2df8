//! What a Makefile says that it can make besides its default goal, as far as that stands there in plain words.

use std::collections::BTreeSet;

/// So many goals become steps.
const MOST: usize = 64;

/// Goals that many a Makefile has without saying that they are no files.
const USUAL: [&str; 6] = ["check", "doc", "docs", "examples", "test", "tests"];

/// What no build wants: goals that remove, that write elsewhere, or that only talk.
const NOT: [&str; 16] = [
    "FORCE",
    "all",
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

/// The goals, in the order of their names. What variables would make of a name is not known.
pub fn goals(makefile: &str) -> Vec<String> {
    let joined = makefile.replace("\\\n", " ");
    let mut goals = BTreeSet::new();
    let mut default = None;
    for (targets, prerequisites) in joined.lines().filter_map(rule) {
        if targets == ".PHONY" {
            goals.extend(prerequisites.split_whitespace().map(str::to_owned));
            continue;
        }
        let targets: Vec<&str> = targets.split_whitespace().collect();
        goals.extend(targets.iter().filter(|name| USUAL.contains(name)).map(|name| (*name).to_owned()));
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
    goals.into_iter().filter(is_wanted).take(MOST).collect()
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
        assert_eq!(goals(makefile), ["bench", "check", "check-all", "docs", "test"]);
    }

    #[test]
    fn the_default_goal_is_none_of_them() {
        assert_eq!(goals("check: a\n\ttrue\n.PHONY: check all\nall:\n"), Vec::<String>::new());
        assert_eq!(goals(""), Vec::<String>::new());
    }

    #[test]
    fn nobody_gets_too_many() {
        let many: String = (0..1000).map(|number| format!(" g{number}")).collect();
        assert_eq!(goals(&format!(".PHONY:{many}\n")).len(), MOST);
    }
}
