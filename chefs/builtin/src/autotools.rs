//! A project with a `configure` script made by Autoconf: `configure`, then make over what it wrote.
//!
//! A released tarball has the script. A checkout that has but `configure.ac` is not recognised: what makes the script of it
//! (`autoreconf`, `bootstrap`, `autogen.sh`) is the project's own choice, and one step in a project file.

use std::path::Path;

use protocol::chef::Detected;
use serde_json::json;

use crate::{ChefError, is_file, make, plan};

/// How sure both make it: more than a Makefile, which such a project may have beside them.
pub const SURE: u8 = 80;

/// Whether it is one, and its plan.
///
/// # Errors
/// None; as all chefs.
pub fn detect(folder: &Path) -> Result<Detected, ChefError> {
    let is_one = is_file(&folder.join("configure")) && is_file(&folder.join("Makefile.in"));
    if !is_one {
        return Ok(Detected::default());
    }
    let mut make = make::step();
    make["after"] = json!("configure");
    // By `sh`, for the exec bit is lost in many an archive.
    let configure = json!({ "run": "sh ./configure --quiet" });
    let steps = [("configure", configure), (make::STEP, make), ("check", make::goal("check"))];
    // Who installs by hand later needs what `configure` wrote.
    let targets = ["configure", make::STEP];
    let mut plan = plan(steps.map(|(name, step)| (name.to_owned(), step)), &targets);
    let is_configured = is_file(&folder.join("config.status"));
    plan.notes.extend(is_configured.then(|| {
        "`config.status` was there before: `configure` would overwrite what is taken for a source; `make distclean` first".to_owned()
    }));
    let found = "a `configure` script and its `Makefile.in`".to_owned();
    Ok(Detected { sure: SURE, found, plan: Some(plan) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_make_it_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("configure"), "").unwrap();
        assert_eq!(detect(folder.path()).unwrap(), Detected::default());
        std::fs::write(folder.path().join("Makefile.in"), "").unwrap();
        let detected = detect(folder.path()).unwrap();
        assert_eq!(detected.sure, SURE);
        let plan = detected.plan.unwrap();
        let file = json!({
            "project": { "targets": ["configure", "make"] },
            "step": {
                "configure": { "run": "sh ./configure --quiet" },
                "make": { "run": "make", "keep": true, "after": "configure" },
                "check": { "run": "make check", "after": "make" },
            },
        });
        assert_eq!(serde_json::Value::Object(plan.file), file);
        assert!(plan.notes.is_empty());
        std::fs::write(folder.path().join("config.status"), "").unwrap();
        assert_eq!(detect(folder.path()).unwrap().plan.unwrap().notes.len(), 1);
    }
}
