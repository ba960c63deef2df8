//! A project with a Makefile: its default goal is one step.
//!
//! What make knows of a project is in its Makefiles and in the times of files, so it sees the tree that it left: an edit
//! remakes what it must (`keep`). Only the names of Makefiles are looked at here; what is in them is make's to read.

use std::path::Path;

use protocol::chef::Detected;
use serde_json::{Value, json};

use crate::{ChefError, is_file, plan};

/// How sure a Makefile makes it. A project that wants more than make has it for other reasons, too.
pub const SURE: u8 = 50;

/// The names that GNU make looks for, in its order.
pub const NAMES: [&str; 3] = ["GNUmakefile", "makefile", "Makefile"];

/// The step that makes the default goal.
pub(crate) fn step() -> Value {
    json!({ "run": "make", "keep": true })
}

/// Whether it is one, and its plan.
///
/// # Errors
/// None; as all chefs.
pub fn detect(folder: &Path) -> Result<Detected, ChefError> {
    let Some(name) = NAMES.into_iter().find(|name| is_file(&folder.join(name))) else {
        return Ok(Detected::default());
    };
    let plan = plan([("make".to_owned(), step())]);
    Ok(Detected { sure: SURE, found: format!("a `{name}`"), plan: Some(plan) })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let steps = json!({ "step": { "make": { "run": "make", "keep": true } } });
            assert_eq!(Value::Object(detected.plan.unwrap().file), steps);
        }
    }
}
