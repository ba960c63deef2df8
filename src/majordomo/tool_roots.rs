//! Folders of tools beyond the usual ones: those that the project file names, and rustup's toolchain.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use protocol::RelPath;

use super::border;
use super::request::Failure;
use crate::env_vars::{HOME, RUSTUP_HOME};

/// A folder that steps see besides the usual ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolRoot {
    /// Relative to `/`, through no link.
    pub path: RelPath,
    /// Where its programs are, for `PATH`.
    pub programs: Option<PathBuf>,
}

/// Resolves the named roots, and adds the toolchain that rustup would use where `rustc` is not installed otherwise.
/// The environment is that of the caller, who need not be the pod's holder.
pub fn find(
    named: &[PathBuf],
    project: &Path,
    environment: &HashMap<String, String>,
) -> Result<Vec<ToolRoot>, Box<Failure>> {
    let mut roots = Vec::new();
    for folder in named {
        let real = std::fs::canonicalize(project.join(folder)).map_err(|error| {
            let message = format!("the tool root `{}` cannot be used: {error}", folder.display());
            Box::new(
                border::mistake(message)
                    .hint("`[tools] roots` names folders of this machine, by absolute paths"),
            )
        })?;
        roots.push(root(&real)?);
    }
    roots.extend(rustup_toolchain(environment).into_iter().filter_map(|real| root(&real).ok()));
    Ok(roots)
}

fn root(real: &Path) -> Result<ToolRoot, Box<Failure>> {
    let path = RelPath::from_absolute(real)
        .map_err(|error| Box::new(border::mistake(format!("a tool root cannot be used: {error}"))))?;
    let programs = ["bin", "."].iter().map(|sub| real.join(sub)).find(|folder| folder.is_dir());
    let programs = programs.map(|folder| if folder.ends_with(".") { real.to_owned() } else { folder });
    Ok(ToolRoot { path, programs })
}

/// `<rustup home>/toolchains/<default>`, if there is one. The shims in `~/.cargo/bin` are of no use to a step: they need
/// the user's home.
fn rustup_toolchain(environment: &HashMap<String, String>) -> Option<PathBuf> {
    let home = environment.get(RUSTUP_HOME.name).map(PathBuf::from);
    let home = home.or_else(|| Some(Path::new(environment.get(HOME.name)?).join(".rustup")))?;
    let settings = std::fs::read_to_string(home.join("settings.toml")).ok()?;
    let settings: toml::Table = settings.parse().ok()?;
    let default = settings.get("default_toolchain")?.as_str()?;
    std::fs::canonicalize(home.join("toolchains").join(default)).ok()
}
