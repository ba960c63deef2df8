//! Chefs that other pods of the federation lend: in the list of this home for as long as somebody lends them. They are asked where a project file names
//! them, and beside those that are registered here once somebody here has enabled them. One that is registered here, or built in, goes before a lent
//! one of its name.

use std::path::Path;

use larder::{Larder, ObjectKind};
use protocol::mesh::LentChef;
use protocol::{PodId, RelPath, Tree, TreeEntry};

use super::about::{About, CHEF_FILE};
use super::program::ProgramError;
use super::register::is_ours;
use super::registry::{self, Registered, Registry, RegistryError};

/// The chefs that this home lends: those that were registered here, and are asked.
///
/// # Errors
/// The list cannot be read.
pub fn lends(home: &Path) -> Result<Vec<LentChef>, RegistryError> {
    let list = Registry::load(home)?;
    let own = list.chefs.iter().filter(|chef| chef.from.is_none() && list.is_enabled(&chef.about.name));
    Ok(own.map(Registered::lent).collect())
}

/// The chefs in the list of this home that others lend.
///
/// # Errors
/// The list cannot be read.
pub fn is_lent(home: &Path) -> Result<Vec<(PodId, LentChef)>, RegistryError> {
    let list = Registry::load(home)?;
    Ok(list.chefs.iter().filter_map(|chef| Some((chef.from?, chef.lent()))).collect())
}

/// Which of the chefs that others lend are to be in the list, each once: that of the pod for which somebody here has enabled it, else the latest version.
fn wanted(list: &Registry, lent: &[(PodId, LentChef)]) -> Vec<(PodId, LentChef)> {
    let is_free = |name: &str| !is_ours(name) && list.find(name).is_none_or(|known| known.from.is_some());
    let mut wanted: Vec<(PodId, LentChef)> =
        lent.iter().filter(|(_, chef)| is_free(&chef.name)).cloned().collect();
    let key = |chef: &LentChef| (version(&chef.version), chef.tree);
    let is_enabled = |pod: &PodId, chef: &LentChef| list.enabled.get(&chef.name) == Some(pod);
    wanted.sort_by(|(a, one), (b, other)| {
        let enabled = is_enabled(b, other).cmp(&is_enabled(a, one));
        one.name.cmp(&other.name).then(enabled).then(key(other).cmp(&key(one))).then(a.cmp(b))
    });
    wanted.dedup_by(|(_, later), (_, first)| later.name == first.name);
    wanted
}

/// Numbers in a version go by their size.
fn version(text: &str) -> Vec<(u64, String)> {
    text.split(['.', '-', '+']).map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
}

/// Those that are to be in the list and are not: their files have to be here before [`adopt`].
///
/// # Errors
/// The list cannot be read.
pub fn lacking(home: &Path, lent: &[(PodId, LentChef)]) -> Result<Vec<(PodId, LentChef)>, RegistryError> {
    let list = Registry::load(home)?;
    let mut wanted = wanted(&list, lent);
    wanted.retain(|(_, chef)| list.find(&chef.name).is_none_or(|known| known.tree != chef.tree));
    Ok(wanted)
}

/// Brings the list in line with what others lend; a chef whose files are not here, or that is none, is left out.
///
/// # Errors
/// The list cannot be read or written.
pub fn adopt(home: &Path, larder: &Larder, lent: &[(PodId, LentChef)]) -> Result<(), RegistryError> {
    let _changing = registry::change();
    let mut list = Registry::load(home)?;
    let before = list.clone();
    let wanted = wanted(&list, lent);
    list.chefs
        .retain(|chef| chef.from.is_none() || wanted.iter().any(|(_, lent)| lent.name == chef.about.name));
    for (pod, chef) in wanted {
        if list.find(&chef.name).is_some_and(|known| known.tree == chef.tree) {
            continue;
        }
        match about(larder, &chef) {
            Ok(about) => drop(list.put(Registered { about, tree: chef.tree, from: Some(pod) })),
            Err(error) => {
                tracing::warn!(chef = chef.name, %pod, %error, "what a pod lends is no chef that can be used");
            }
        }
    }
    match list == before {
        true => Ok(()),
        false => list.save(home),
    }
}

/// What a chef says of itself, read from its files: what another pod says of them is not believed.
fn about(larder: &Larder, lent: &LentChef) -> Result<About, ProgramError> {
    let tree = larder.get(ObjectKind::Tree, &lent.tree)?;
    let tree = tree.and_then(|bytes| Tree::decode(&bytes).ok()).ok_or(ProgramError::Gone)?;
    let text = |entry: &TreeEntry| -> Result<String, ProgramError> {
        let TreeEntry::File { digest, .. } = entry else { return Err(ProgramError::Gone) };
        let bytes = larder.get(ObjectKind::Blob, digest)?.ok_or(ProgramError::Gone)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let file = RelPath::root().child(CHEF_FILE.as_bytes());
    let about = match (file.as_ref().and_then(|file| tree.get(file)), tree.entries()) {
        (Some(entry), _) => About::read(&text(entry)?)?,
        (None, [(path, entry)]) => About::read_inside(&text(entry)?, &path.to_string())?,
        (None, _) => return Err(ProgramError::Gone),
    };
    let program = about.program.parse::<RelPath>().ok().and_then(|path| tree.get(&path).cloned());
    match program {
        Some(TreeEntry::File { exec: true, .. }) if about.name == lent.name => Ok(about),
        Some(_) if about.name != lent.name => {
            Err(ProgramError::Unknown(format!("it calls itself `{}`", about.name)))
        }
        _ => Err(ProgramError::NoProgram(about.program)),
    }
}
