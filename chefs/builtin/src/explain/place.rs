//! Where something is, as programs print it, and as the project calls it.

use std::path::{Component, Path, PathBuf};

/// Where steps see the project.
const PROJECT: &str = "/project";

/// The folder that printed paths are relative to.
pub struct Places<'a> {
    cwd: &'a str,
    /// What make has entered and not left, from its own words.
    entered: Vec<String>,
}

impl<'a> Places<'a> {
    pub fn new(cwd: &'a str) -> Self {
        Self { cwd, entered: Vec::new() }
    }

    /// Follows make from folder to folder.
    pub fn enter(&mut self, line: &str) {
        if let Some((_, folder)) = line.split_once(": Entering directory ") {
            self.entered.push(folder.trim_matches(['\'', '`', '"', '‘', '’']).to_owned());
        } else if line.contains(": Leaving directory ") {
            self.entered.pop();
        }
    }

    /// The path in the project; `None`: it is not in there.
    pub fn own(&self, printed: &str) -> Option<String> {
        let folder = Path::new(PROJECT).join(self.cwd);
        let folder = self.entered.last().map_or(folder.clone(), |entered| folder.join(entered));
        let mut whole = PathBuf::new();
        for part in folder.join(printed).components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => drop(whole.pop()),
                part => whole.push(part),
            }
        }
        let own = whole.strip_prefix(PROJECT).ok()?.to_str()?;
        (!own.is_empty()).then(|| own.to_owned())
    }
}

/// `PATH:LINE:` and what is behind it. A path has no colon here, and does not begin with white space.
pub fn with_line(line: &str) -> Option<(&str, u64, &str)> {
    let (path, rest) = line.split_once(':')?;
    let (number, rest) = rest.split_once(':')?;
    let is_path = !path.is_empty() && !path.starts_with(char::is_whitespace);
    Some((path, number.parse().ok().filter(|_| is_path)?, rest))
}
