//! The reference page of the project file, made of the tables in [`super::keys`] and held against
//! `docs/reference/project-file.md` by a test, so that it cannot drift.

use protocol::glob::MAX_ALTERNATIVES;

use super::error::SMALLEST_EXAMPLE;
use super::keys::{Key, LIMITS_KEYS, POD_KEYS, POOL_KEYS, PROJECT_KEYS, STEP_KEYS, TOOLS_KEYS};
use super::load::MAX_FILE_SIZE;
use super::{MAX_TIMEOUT, PROJECT_FILE};

/// The page, in Markdown.
pub fn page() -> String {
    let mut page = format!(
        "<!-- Made of the code by a test; run it with UPDATE_DOCS=1 to write it anew. -->\n\n# The project file\n\n\
         `{PROJECT_FILE}` in the project's folder says what is run. It is [TOML](https://toml.io), UTF-8, and read strictly: an unknown key is\n\
         an error with its place and the nearest known key. The smallest useful one is\n\n\
         ```toml\n{SMALLEST_EXAMPLE}\n```\n\n\
         Nobody lists what a step reads: that is seen while it runs. Only `run` must be there.\n"
    );
    section(&mut page, "## `[step.NAME]`", STEP_INTRO, &STEP_KEYS);
    section(&mut page, "## `[project]`", "", &PROJECT_KEYS);
    section(&mut page, "## `[tools]`", "", &TOOLS_KEYS);
    section(&mut page, "## Limits", LIMITS_INTRO, &LIMITS_KEYS);
    page += ALIAS;
    page += USES;
    page += POOLS;
    page += COMMANDS;
    page += PLACEHOLDERS;
    page += PATTERNS;
    page += ORDER;
    page += TARGETS;
    section(&mut page, "## The pod's own file", POD_INTRO, &POD_KEYS);
    section(&mut page, "### `[pool]`", "", &POOL_KEYS);
    let days = MAX_TIMEOUT.as_secs() / 86_400;
    let size = MAX_FILE_SIZE >> 20;
    page += &format!(
        "\n## Bounds\n\nThe file has at most {size} MiB, a pattern's choices make at most {MAX_ALTERNATIVES} patterns, and a time-out is at most {days} days.\n"
    );
    page
}

fn section(page: &mut String, title: &str, intro: &str, keys: &[Key]) {
    *page += &format!("\n{title}\n\n{intro}| key | takes | without it | meaning |\n|---|---|---|---|\n");
    for Key { name, takes, default, meaning } in keys {
        let default = if default.is_empty() { "error" } else { default };
        *page += &format!("| `{name}` | {takes} | {default} | {meaning} |\n");
    }
}

const STEP_INTRO: &str = "\
NAME has letters, digits, and any of `_-+./,=@~`. It is the id of the step, or with `each` of all steps `NAME:PATH` of the rule.

";

const LIMITS_INTRO: &str = "\
`limits` of a step goes before that of `[project]`, and that before `[limits]` in the pod's `pod.toml` ([how to](../how-to/limits.md)). A size is whole bytes or
a text such as `\"512M\"`: `K`, `M`, `G`, `T` are powers of 1024. No limit is part of a key: changing one runs nothing again. A step that reaches one has failed, and
says so, whatever its commands made of it.

";

const POD_INTRO: &str = "\
`pod.toml` in the pod's home says what the machine's owner wants for all projects. It is read as strictly, when the pod starts.

";

const ALIAS: &str = "
## `[alias]`

`NAME = TARGET`, or a list of targets: `majordomo build NAME` builds them. A name that is also a step's counts as the step.
";

const USES: &str = r#"
## `[uses]`

`NAME = "project:PROJECT"`, `"project:PROJECT#TARGET"`, or a list of such with one PROJECT: what that [registered project](../how-to/projects.md) makes, all that it wants or what the
targets mean, is built by its pod before this project is, and stands at `.uses/NAME/` with the paths that it has there. Steps read it as any source.
"#;

const POOLS: &str = "
## `[pools]`

`NAME = N`: of the steps that say `pool = \"NAME\"` at most N run at once, on all pods together, however many slots there are. One that is held, since what it looked at is not made yet,
is not counted. For steps that need much memory, or something that is there once.
";

const COMMANDS: &str = r#"
## Commands

The depth of the brackets decides; no string is ever split into words.

| form | is | example |
|---|---|---|
| string | one shell text, run as `/bin/sh -eu -c TEXT` | `run = "sort names > {out}"` |
| list of strings | **one** command, its words | `run = ["gcc", "-c", "{in}"]` |
| list with a list in it | several commands, one after the other: a list is words, a string is a shell text | `run = [["./configure"], "make -s"]` |

The first command that fails ends the step. For several shell texts use one string of several lines, as `-e` ends it at the first failure:

```toml
[step.check]
run = """
sh tests/units.sh
sh tests/whole.sh
"""
```

A list of strings whose first has white space in it is refused, because a list of shell texts was meant and would be one strange command.
"#;

const PLACEHOLDERS: &str = r#"
## Placeholders

| placeholder | stands for | in |
|---|---|---|
| `{in}` | the path that `each` matched, else all that `in` matched | `run`, `env`; with `each` also `out`, `scratch`, `in`, `keep`, `project`, `normalise`, `cwd` |
| `{out}` | all paths of `out`, in its order | `run`, `env` |
| `{stem}` | the name of the matched path without its last extension | with `each`: everywhere but `each` |
| `{dir}` | the folder of the matched path, `.` for the project's | with `each`: everywhere but `each` |

Only these four are replaced; `{print}` stays as it is, and so does `${dir}`, which is a variable of the shell. One that would stand for nothing is an
error.

- In a shell text paths are quoted where they need it, inside of quotes and `"$(…)"` too. Do not quote them yourself, but it does no harm.
  The bodies of here-documents are not followed.
- In a list of words they are put in as they are. A word that is only `{in}` or `{out}` becomes one word for each path.
- In commands and `env` paths are relative to `cwd`; in `out`, `scratch`, `in`, `keep`, `project` and `normalise` to the project's folder.
"#;

const PATTERNS: &str = r#"
## Paths and patterns

Paths are relative to the project's folder, with `/`, compared byte by byte and with case. A byte that is no UTF-8 text is `\xNN`, a backslash `\\`
(in TOML's `'…'`; doubled in `"…"`). `out`, `scratch` and `cwd` take paths, `each`, `in`, `keep`, `project` and `normalise` patterns:

| in a pattern | matches |
|---|---|
| `*` | any text in one name |
| `?` | one character |
| `[a-z]`, `[!a-z]` | one of these characters, or one of all others |
| `{a,b}` | either text, slashes allowed |
| `**` between slashes | any number of folders, none too |
| final `/` | all that is in the folder |
| `\*` | a plain `*`; so for every special character |

Wildcards do not match a leading dot: `.github/**` must be written out. A pattern of `each` or `in` that matches nothing is an error.

Patterns look at sources and at declared outputs of other rules, never at those of the own rule. In a declared tree (`out = "docs/"`) names are not
known beforehand: `in = "docs/"` is the tree as one path, `in = "docs/*.html"` gives the order but no names, and `each` cannot look into it.
"#;

const ORDER: &str = r#"
## Order and outputs

Steps need no order. A step sees the sources, and the names of what others promise in `out`; where it looks at one that is not made yet, it is held until
that is made. What others make without having promised it is seen by steps that are `after` them, and by those that were found to look for it: such a
step runs once more, and in the right order from then on.

`after`, and `in` and `each` where they match declared outputs, are sequence: a step waits for those before it, and what it writes is later than what
they read, so they never see it. That is needed where a step writes what an earlier one has made or looked for. Steps that come before each other in this way
are an error that names them all; steps that feed each other are left without an order, and go round until they settle
([how to](../how-to/circles.md)).

- An output that is a source, or has one in it, is an error: a step never changes a source.
- Two steps may promise one path (or one a path in the other's tree) only if one is after the other.
- A link that a step makes leads to what is in the project, or into the machine's tools (`/usr`, `/opt` and the others, more by `[tools] roots`; what
  every sandbox shows of `/etc`, such as `/etc/alternatives`; `/dev/null`); another one is an error, unless `scratch` names it. The first is stored
  relatively (`/project/src/x` in `build/` becomes `../src/x`), the second absolutely; `..` behind a link is what it was in the step.
- `.git` and `.majordomo` are no part of the project.
"#;

const TARGETS: &str = r#"
## Targets

A target, in `targets` and on the command line, is tried as: the id of a step or the name of a rule; an alias; a declared output or a path in a declared tree; a
folder with declared outputs; a pattern over declared outputs; a path that no step declares, which some step may make all the same. `./x` is always a path.
"#;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Set to write the page anew instead of comparing.
    const UPDATE: &str = "UPDATE_DOCS";

    #[test]
    fn the_reference_page_is_what_the_code_says() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/project-file.md");
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&file, super::page()).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            written == super::page(),
            "docs/reference/project-file.md is not up to date: run with {UPDATE}=1"
        );
    }

    #[test]
    fn the_examples_of_the_page_can_be_read() {
        let page = super::page();
        let mut count = 0;
        for example in page.split("```toml\n").skip(1) {
            let text = example.split("```").next().unwrap();
            crate::majordomo::project_file::ProjectFile::parse(Path::new("majordomo.toml"), text.as_bytes())
                .unwrap();
            count += 1;
        }
        for line in page.lines().filter(|line| line.contains("`run = ")) {
            let run = line.split('`').find(|part| part.starts_with("run = ")).unwrap();
            let text = format!("[step.a]\n{run}\n");
            crate::majordomo::project_file::ProjectFile::parse(Path::new("majordomo.toml"), text.as_bytes())
                .unwrap();
            count += 1;
        }
        assert_eq!(count, 5);
    }
}
