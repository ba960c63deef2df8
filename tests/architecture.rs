//! Who may use whom, in one picture: modules of `src` by their `crate::` paths, our crates by their manifests.
//!
//! Both tables are exact – an arrow that is new, or is gone, is written down here – and each row uses none but rows above it, so that there is no
//! circle. What the majordomo wants of the mesh stands behind a trait of its own (`majordomo::membership`); what pods want of each other's
//! effects behind `node`'s and `view`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// A name, and what it uses.
type Row = (&'static str, &'static [&'static str]);

/// Modules of `src`.
const MODULES: &[Row] = &[
    ("env_vars", &[]),
    ("interrupt", &[]),
    ("logs", &[]),
    ("myself", &[]),
    ("words", &[]),
    ("doctor", &["myself", "words"]),
    ("majordomo", &["env_vars", "interrupt", "myself"]),
    ("mesh", &["majordomo"]),
    ("cli", &["doctor", "env_vars", "interrupt", "logs", "majordomo", "mesh", "myself", "words"]),
];

/// Our crates, by their folders.
const CRATES: &[Row] = &[
    ("protocol", &[]),
    ("pods/backplane", &["protocol"]),
    ("pods/kitchen", &["protocol"]),
    ("pods/larder", &["protocol"]),
    ("pods/lens", &["protocol"]),
    ("pods/swarm", &["protocol"]),
    ("pods/view", &["protocol"]),
    ("pods/node", &["protocol", "pods/kitchen", "pods/larder", "pods/lens", "pods/swarm", "pods/view"]),
    ("chefs/ninja", &["protocol"]),
    ("chefs/builtin", &["protocol", "chefs/ninja"]),
];

/// Crates of others that reach out of the process, and the only ones of ours that use them.
const EFFECTS: &[Row] = &[
    ("async-nats", &["pods/backplane"]),
    ("fuser", &["pods/view"]),
    ("libp2p", &["pods/swarm"]),
    ("notify", &["."]),
    ("rusqlite", &["pods/backplane", "pods/larder"]),
];

type Arrows = BTreeMap<String, BTreeSet<String>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn written(rows: &[Row]) -> Arrows {
    rows.iter()
        .map(|(name, uses)| (name.to_string(), uses.iter().map(ToString::to_string).collect()))
        .collect()
}

/// Each row uses rows above it alone.
fn is_without_circles(rows: &[Row]) -> bool {
    let above = |at: usize, used: &str| rows[..at].iter().any(|(name, _)| *name == used);
    rows.iter().enumerate().all(|(at, (_, uses))| uses.iter().all(|used| above(at, used)))
}

/// The modules that the files of one name, besides their own.
fn named(path: &Path, own: &str, found: &mut BTreeSet<String>) -> Result<(), Box<dyn Error>> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            named(&entry?.path(), own, found)?;
        }
        return Ok(());
    }
    for line in fs::read_to_string(path)?.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for after in line.split("crate::").skip(1) {
            assert!(!after.starts_with('{'), "{}: a module a line: {line}", path.display());
            let name: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if name != own {
                found.insert(name);
            }
        }
    }
    Ok(())
}

#[test]
fn modules_use_each_other_in_one_direction() -> Result<(), Box<dyn Error>> {
    let mut found = Arrows::new();
    for entry in fs::read_dir(root().join("src"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name != "lib" && name != "bin" {
            named(&path, &name, found.entry(name.clone()).or_default())?;
        }
    }
    assert_eq!(found, written(MODULES));
    assert!(is_without_circles(MODULES));
    Ok(())
}

#[derive(Deserialize)]
struct Manifest {
    /// But for tests.
    dependencies: BTreeMap<String, toml::Value>,
    workspace: Option<Workspace>,
}

#[derive(Deserialize)]
struct Workspace {
    members: BTreeSet<String>,
    dependencies: BTreeMap<String, toml::Value>,
}

fn manifest(folder: &str) -> Result<Manifest, Box<dyn Error>> {
    Ok(toml::from_str(&fs::read_to_string(root().join(folder).join("Cargo.toml"))?)?)
}

#[test]
fn crates_use_each_other_in_one_direction() -> Result<(), Box<dyn Error>> {
    let workspace = manifest(".")?.workspace.ok_or("no workspace")?;
    assert_eq!(workspace.members, written(CRATES).into_keys().collect());
    let ours = |name: &String| Some(workspace.dependencies.get(name)?.get("path")?.as_str()?.to_owned());
    let mut found = Arrows::new();
    for (folder, _) in CRATES {
        found.insert(folder.to_string(), manifest(folder)?.dependencies.keys().filter_map(ours).collect());
    }
    assert_eq!(found, written(CRATES));
    assert!(is_without_circles(CRATES));
    Ok(())
}

#[test]
fn what_reaches_out_of_the_process_is_used_in_one_place() -> Result<(), Box<dyn Error>> {
    let mut found: Arrows = EFFECTS.iter().map(|(name, _)| (name.to_string(), BTreeSet::new())).collect();
    for folder in CRATES.iter().map(|(folder, _)| *folder).chain(["."]) {
        for name in manifest(folder)?.dependencies.keys() {
            if let Some(users) = found.get_mut(name) {
                users.insert(folder.to_owned());
            }
        }
    }
    assert_eq!(found, written(EFFECTS));
    Ok(())
}
