//! A project with a Makefile: its default goal is one step, and what else it says that it can make is one each.
//!
//! What make knows of a project is in its Makefiles and in the times of files, so it sees the tree that it left: an edit
//! remakes what it must (`keep`). A bare build wants the default goal; the others start from what that has left, and run if
//! they are asked for by name. A release ships files that its rules make (manual pages, parsers): make may alter them, for itself and the
//! steps after it. What a make outside of any kitchen has left ([`left`]) is another matter: it would be taken for a source, as old as all
//! sources, and an edit would not be seen. Such a project is refused.

use std::path::Path;

use protocol::chef::Detected;
use serde_json::{Map, Value, json};

use crate::{ChefError, is_file, plan, read};

mod goals;
mod left;

/// How sure a Makefile makes it. A project that wants more than make has it for other reasons, too.
pub const SURE: u8 = 50;

/// The names that GNU make looks for, in its order.
pub const NAMES: [&str; 3] = ["GNUmakefile", "makefile", "Makefile"];

/// The step of the default goal.
pub const STEP: &str = "make";

/// So much is read of a Makefile, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What Makefiles are called. make does not know which of its results an edit of one of them spoils.
const MAKEFILES: [&str; 3] = ["**/GNUmakefile", "**/[Mm]akefile", "**/*.mk"];

/// The step that makes the default goal.
pub(crate) fn step() -> Value {
    json!({ "run": "make", "keep": true, "alters": true, "anew": MAKEFILES })
}

/// The step of another goal, from what the default goal left.
pub(crate) fn goal(name: &str) -> Value {
    json!({ "run": format!("make {name}"), "alters": true, "after": STEP })
}

/// Whether it is one, and its plan.
///
/// # Errors
/// The Makefile cannot be read.
pub fn detect(folder: &Path) -> Result<Detected, ChefError> {
    let Some(name) = NAMES.into_iter().find(|name| is_file(&folder.join(name))) else {
        return Ok(Detected::default());
    };
    let goals = goals::goals(&read(&folder.join(name), MAX_FILE)?);
    left::check(folder)?;
    let mut steps = Map::from_iter([(STEP.to_owned(), step())]);
    steps.extend(goals.others.iter().filter(|name| *name != STEP).map(|name| (name.clone(), goal(name))));
    let targets: &[&str] = if steps.len() > 1 { &[STEP] } else { &[] };
    let mut plan = plan(steps, targets);
    if let Some(default) = goals.default.filter(|name| name != STEP) {
        plan.file.insert("alias".to_owned(), json!({ default: STEP }));
    }
    Ok(Detected { sure: SURE, found: format!("a `{name}`"), plan: Some(plan) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path) -> Value {
        Value::Object(detect(folder).unwrap().plan.unwrap().file)
    }

    #[test]
    fn the_makefile_that_make_would_take_is_found() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(detect(folder.path()).unwrap(), Detected::default());
        // A folder is no Makefile.
        std::fs::create_dir(folder.path().join("GNUmakefile")).unwrap();
        assert_eq!(detect(folder.path()).unwrap(), Detected::default());
        for name in ["Makefile", "makefile"] {
            std::fs::write(folder.path().join(name), "all:\n").unwrap();
            let detected = detect(folder.path()).unwrap();
            assert_eq!((detected.sure, detected.found), (SURE, format!("a `{name}`")));
            assert_eq!(
                file(folder.path()),
                json!({ "step": { "make": step() }, "alias": { "all": "make" } })
            );
        }
    }

    #[test]
    fn other_goals_are_there_for_who_asks() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("Makefile"),
            "all: prog\n.PHONY: all clean check\ncheck: all\n\t./t\n",
        )
        .unwrap();
        let steps = json!({
            "make": { "run": "make", "keep": true, "alters": true, "anew": MAKEFILES },
            "check": { "run": "make check", "alters": true, "after": "make" },
        });
        let alias = json!({ "all": "make" });
        let file = file(folder.path());
        assert_eq!(file, json!({ "project": { "targets": ["make"] }, "step": steps, "alias": alias }));
    }
}
