//! What `cargo build` makes, by the manifests of the packages that it builds: [cargo's book], chapters "Cargo Targets"
//! and "Workspaces".
//!
//! [cargo's book]: https://doc.rust-lang.org/cargo/

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toml::Table;

use crate::{ChefError, is_file, read};

/// What a manifest is called.
pub const NAME: &str = "Cargo.toml";

/// So much is read of a manifest, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// So many members of a workspace are looked at.
const MAX_MEMBERS: usize = 1024;

/// The names of the programs that are made, in their order.
pub fn programs(folder: &Path) -> Result<BTreeSet<String>, ChefError> {
    let root = table(&folder.join(NAME))?;
    let list = |key: &str| {
        let paths = root.get("workspace").and_then(|workspace| workspace.get(key)?.as_array());
        paths
            .map(|paths| paths.iter().filter_map(|path| path.as_str().map(str::to_owned)).collect::<Vec<_>>())
    };
    let mut found = BTreeSet::new();
    // Whose root is a package builds that, if it does not say more.
    let members = match (list("default-members"), root.contains_key("package")) {
        (None, true) => {
            of_package(folder, &root, &mut found)?;
            return Ok(found);
        }
        (Some(members), _) => members,
        (None, false) => list("members").unwrap_or_default(),
    };
    let not = list("exclude").unwrap_or_default();
    let mut paths = BTreeSet::new();
    for member in members {
        expand(folder, &member, &mut paths)?;
    }
    for path in paths.iter().filter(|path| !not.contains(path)).take(MAX_MEMBERS) {
        let member = folder.join(path);
        if is_file(&member.join(NAME)) {
            of_package(&member, &table(&member.join(NAME))?, &mut found)?;
        }
    }
    Ok(found)
}

/// Whether `.cargo/config.toml` sends what is made into another folder.
pub fn builds_elsewhere(folder: &Path) -> Result<bool, ChefError> {
    let config = folder.join(".cargo/config.toml");
    if !is_file(&config) {
        return Ok(false);
    }
    let config = table(&config)?;
    Ok(config.get("build").is_some_and(|build| build.get("target").is_some()))
}

fn table(path: &Path) -> Result<Table, ChefError> {
    let text = read(path, MAX_FILE)?;
    let bad = |error: toml::de::Error| ChefError::NotUnderstood {
        path: path.to_owned(),
        why: error.message().to_owned(),
    };
    text.parse().map_err(bad)
}

/// A member, or all that one with a `*` at its end stands for.
fn expand(folder: &Path, member: &str, paths: &mut BTreeSet<String>) -> Result<(), ChefError> {
    let Some(parent) = member.strip_suffix('*') else {
        paths.insert(member.trim_end_matches('/').trim_start_matches("./").to_owned());
        return Ok(());
    };
    let place = folder.join(parent);
    if !parent.is_empty() && !parent.ends_with('/') || !place.is_dir() {
        // Other patterns are rare: their programs are not named, and are made all the same.
        return Ok(());
    }
    for entry in fs::read_dir(&place).map_err(ChefError::unreadable(&place))? {
        let entry = entry.map_err(ChefError::unreadable(&place))?;
        paths.extend(entry.file_name().to_str().map(|name| format!("{parent}{name}")));
    }
    Ok(())
}

/// The programs of one package that need no feature.
fn of_package(folder: &Path, manifest: &Table, found: &mut BTreeSet<String>) -> Result<(), ChefError> {
    let Some(package) = manifest.get("package") else { return Ok(()) };
    let said: Vec<&Table> = manifest
        .get("bin")
        .and_then(|all| all.as_array())
        .map(|all| all.iter().filter_map(|one| one.as_table()).collect())
        .unwrap_or_default();
    let name_of = |one: &&Table| one.get("name").and_then(|name| name.as_str()).map(str::to_owned);
    let is_free = |one: &&&Table| !one.contains_key("required-features");
    let mut names: BTreeSet<String> = said.iter().filter(is_free).filter_map(&name_of).collect();
    let is_auto = package.get("autobins").and_then(|auto| auto.as_bool()).unwrap_or(true);
    if is_auto {
        let paths: Vec<&str> = said.iter().filter_map(|one| one.get("path")?.as_str()).collect();
        let all_said: Vec<String> = said.iter().filter_map(name_of).collect();
        for (name, path) in by_place(folder, package.get("name").and_then(|name| name.as_str()))? {
            if !paths.contains(&path.as_str()) && !all_said.contains(&name) {
                names.insert(name);
            }
        }
    }
    found.extend(names);
    Ok(())
}

/// The programs that are found by where their sources are: names and these places.
fn by_place(folder: &Path, package: Option<&str>) -> Result<Vec<(String, String)>, ChefError> {
    let mut found = Vec::new();
    if is_file(&folder.join("src/main.rs")) {
        found.extend(package.map(|name| (name.to_owned(), "src/main.rs".to_owned())));
    }
    let more = folder.join("src/bin");
    if !more.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(&more).map_err(ChefError::unreadable(&more))? {
        let entry = entry.map_err(ChefError::unreadable(&more))?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if is_file(&entry.path().join("main.rs")) {
            found.push((name.clone(), format!("src/bin/{name}/main.rs")));
        } else if let Some(stem) = name.strip_suffix(".rs") {
            found.push((stem.to_owned(), format!("src/bin/{name}")));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        programs(folder.path()).unwrap().into_iter().collect()
    }

    const PACKAGE: &str = "[package]\nname = \"p\"\n";

    #[test]
    fn of_a_package() {
        let main = ("src/main.rs", "");
        assert_eq!(of(&[("Cargo.toml", PACKAGE), ("src/lib.rs", "")]), Vec::<String>::new());
        assert_eq!(
            of(&[
                ("Cargo.toml", PACKAGE),
                main,
                ("src/bin/q.rs", ""),
                ("src/bin/r/main.rs", ""),
                ("src/bin/s/x.rs", "")
            ]),
            ["p", "q", "r"]
        );
        let said = format!(
            "{PACKAGE}[[bin]]\nname = \"other\"\npath = \"src/main.rs\"\n[[bin]]\nname = \"x\"\nrequired-features = [\"f\"]\n"
        );
        assert_eq!(of(&[("Cargo.toml", &said), main, ("src/bin/x.rs", "")]), ["other"]);
        let not = format!("{PACKAGE}autobins = false\n");
        assert_eq!(of(&[("Cargo.toml", &not), main]), Vec::<String>::new());
    }

    #[test]
    fn of_a_workspace() {
        let member = |name: &str| format!("[package]\nname = \"{name}\"\n");
        let (a, b) = (member("a"), member("b"));
        let files = |root: &'static str| {
            of(&[
                ("Cargo.toml", root),
                ("src/main.rs", ""),
                ("crates/a/Cargo.toml", &a),
                ("crates/a/src/main.rs", ""),
                ("crates/b/Cargo.toml", &b),
                ("crates/b/src/main.rs", ""),
                ("crates/notes/x", ""),
            ])
        };
        assert_eq!(files("[workspace]\nmembers = [\"crates/*\", \"./none\"]\n"), ["a", "b"]);
        assert_eq!(files("[workspace]\nmembers = [\"crates/*\"]\nexclude = [\"crates/b\"]\n"), ["a"]);
        assert_eq!(files("[workspace]\nmembers = [\"crates/*\"]\ndefault-members = [\"crates/b\"]\n"), ["b"]);
        // Its own package alone.
        assert_eq!(files("[package]\nname = \"p\"\n[workspace]\nmembers = [\"crates/*\"]\n"), ["p"]);
    }
}
