//! The chefs of a home: which were registered, with their content's names, and which are not to be asked.
//!
//! `<home>/chefs.json` is written beside and renamed by the process that holds the home; what it names is in the larder. A
//! build that chefs planned depends on its stamp. A crash leaves the old list or the new one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use larder::{Larder, ObjectKind};
use parking_lot::{Mutex, MutexGuard};
use protocol::mesh::LentChef;
use protocol::{Digest, PodId, Tree};
use serde::{Deserialize, Serialize};

use super::about::About;
use super::program::ProgramError;

/// The version of the list that this program writes.
const FORMAT: u32 = 1;

/// Held while the list is read, changed and written.
static CHANGING: Mutex<()> = Mutex::new(());

/// A registered chef.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registered {
    /// What it says of itself.
    pub about: About,
    /// Its tree in the larder.
    pub tree: Digest,
    /// Which pod of the federation lends it; none: it was registered here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PodId>,
}

/// The list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    format: u32,
    /// By name.
    pub chefs: Vec<Registered>,
    /// The names of those that are not to be asked, built-in ones among them.
    pub disabled: Vec<String>,
    /// The names of lent ones that somebody here has enabled, and which pod lent each then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub enabled: BTreeMap<String, PodId>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { format: FORMAT, chefs: Vec::new(), disabled: Vec::new(), enabled: BTreeMap::new() }
    }
}

/// Why the list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It cannot be read or written.
    #[error("the list of chefs `{}` cannot be {doing}", .path.display())]
    Io {
        /// `read` or `written`.
        doing: &'static str,
        /// It.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is none.
    #[error("the list of chefs `{}` cannot be understood: remove it, and register the chefs again", .path.display())]
    Form {
        /// It.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A later program wrote it.
    #[error("the list of chefs `{}` has format {found}, and this program knows {FORMAT}", .path.display())]
    Version {
        /// It.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

/// Where the list is.
pub fn path(home: &Path) -> PathBuf {
    home.join("chefs.json")
}

/// Nobody else changes the list for as long as this is held.
pub fn change() -> MutexGuard<'static, ()> {
    CHANGING.lock()
}

impl Registry {
    /// Reads the list; where there is none, nothing is registered.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load(home: &Path) -> Result<Self, RegistryError> {
        #[derive(Deserialize)]
        struct Written {
            format: u32,
        }
        let path = path(home);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(RegistryError::Io { doing: "read", path, source }),
        };
        let form = |source| RegistryError::Form { path: path.clone(), source };
        let Written { format } = serde_json::from_slice(&text).map_err(form)?;
        if format != FORMAT {
            return Err(RegistryError::Version { path, found: format });
        }
        serde_json::from_slice(&text).map_err(form)
    }

    /// Writes the list.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, home: &Path) -> Result<(), RegistryError> {
        let (path, beside) = (path(home), home.join("chefs.json.new"));
        let write = || {
            let text = serde_json::to_vec_pretty(self)?;
            fs::write(&beside, text)?;
            fs::File::open(&beside)?.sync_all()?;
            fs::rename(&beside, &path)
        };
        write().map_err(|source| RegistryError::Io { doing: "written", path: path.clone(), source })
    }

    /// A registered chef.
    pub fn find(&self, name: &str) -> Option<&Registered> {
        self.chefs.iter().find(|chef| chef.about.name == name)
    }

    /// Whether a chef may be asked where a project file names it.
    pub fn is_enabled(&self, name: &str) -> bool {
        self.disabled.iter().all(|disabled| disabled != name)
    }

    /// Whether a registered chef is asked of projects that name none: one that another pod lends only where somebody here has said so of that pod.
    pub fn is_asked(&self, chef: &Registered) -> bool {
        let name = &chef.about.name;
        self.is_enabled(name) && chef.from.is_none_or(|from| self.enabled.get(name) == Some(&from))
    }

    /// Puts a chef into its place; the one that was there before.
    pub fn put(&mut self, chef: Registered) -> Option<Registered> {
        let before = self.take(&chef.about.name);
        let at = self.chefs.partition_point(|other| other.about.name < chef.about.name);
        self.chefs.insert(at, chef);
        before
    }

    /// Takes a chef out.
    pub fn take(&mut self, name: &str) -> Option<Registered> {
        let at = self.chefs.iter().position(|other| other.about.name == name)?;
        Some(self.chefs.remove(at))
    }

    /// Sets whether a chef may be asked; a lent one that may be is asked as those that are registered here, from the pod that lends it now.
    pub fn enable(&mut self, name: &str, is_enabled: bool) {
        self.disabled.retain(|disabled| disabled != name);
        self.enabled.remove(name);
        if !is_enabled {
            self.disabled.push(name.to_owned());
            self.disabled.sort();
        } else if let Some(from) = self.find(name).and_then(|chef| chef.from) {
            self.enabled.insert(name.to_owned(), from);
        }
    }
}

impl Registered {
    /// What the federation is told of it.
    pub fn lent(&self) -> LentChef {
        LentChef { name: self.about.name.clone(), version: self.about.version.clone(), tree: self.tree }
    }

    /// Its files.
    ///
    /// # Errors
    /// They are gone, or the larder cannot be read.
    pub fn files(&self, larder: &Larder) -> Result<Tree, ProgramError> {
        let bytes = larder.get(ObjectKind::Tree, &self.tree)?;
        bytes.and_then(|bytes| Tree::decode(&bytes).ok()).ok_or(ProgramError::Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chef(name: &str, version: &str) -> Registered {
        let text = format!("name = '{name}'\nversion = '{version}'\nprotocol = 1\nprogram = 'run'\n");
        Registered { about: About::read(&text).unwrap(), tree: Digest::of(version.as_bytes()), from: None }
    }

    #[test]
    fn what_another_pod_lends_is_asked_when_somebody_here_says_so_and_of_that_pod_alone() {
        let lent = |seed| Registered { from: Some(PodId::from_bytes([seed; 32])), ..chef("a", "1") };
        let mut list = Registry::default();
        list.put(lent(1));
        assert_eq!((list.is_enabled("a"), list.is_asked(&lent(1))), (true, false));
        list.enable("a", true);
        assert_eq!((list.is_asked(&lent(1)), list.is_asked(&lent(2))), (true, false));
        list.enable("a", false);
        assert_eq!((list.is_enabled("a"), list.is_asked(&lent(1))), (false, false));
        list.put(chef("a", "1"));
        list.enable("a", true);
        assert!(list.is_asked(&chef("a", "1")) && list.enabled.is_empty());
    }

    #[test]
    fn the_list_is_what_was_written() {
        let home = tempfile::tempdir().unwrap();
        let mut list = Registry::load(home.path()).unwrap();
        assert_eq!(list, Registry::default());
        assert_eq!(list.put(chef("b", "1")), None);
        assert_eq!(list.put(chef("a", "1")), None);
        assert_eq!(list.put(chef("b", "2")), Some(chef("b", "1")));
        list.enable("make", false);
        list.save(home.path()).unwrap();
        let mut again = Registry::load(home.path()).unwrap();
        assert_eq!(again, list);
        let names: Vec<&str> = again.chefs.iter().map(|chef| chef.about.name.as_str()).collect();
        assert_eq!((names, again.is_enabled("make"), again.is_enabled("a")), (vec!["a", "b"], false, true));
        again.enable("make", true);
        assert!(again.is_enabled("make") && again.disabled.is_empty());
        assert_eq!(again.take("a"), Some(chef("a", "1")));
        assert!(again.find("a").is_none() && again.find("b").is_some());

        fs::write(path(home.path()), "{\"format\":9}").unwrap();
        assert!(matches!(Registry::load(home.path()), Err(RegistryError::Version { found: 9, .. })));
        fs::write(path(home.path()), "nonsense").unwrap();
        assert!(matches!(Registry::load(home.path()), Err(RegistryError::Form { .. })));
    }
}
