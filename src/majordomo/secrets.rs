//! Where a step's secrets come from: the caller's environment, or a file of the pod's user.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use kitchen::Secret;

/// The longest secret.
const LONGEST: u64 = 1 << 20;

/// A secret of a step: its name, and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRule {
    /// The name of its file in `/run/secrets`.
    pub name: String,
    /// Where its bytes are.
    pub from: SecretFrom,
}

/// Where the bytes of a secret are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    /// In the caller's variable of this name.
    Variable(String),
    /// In this file: an absolute path, or one below the caller's home.
    File(PathBuf),
}

/// The secrets of a step; or the sentence why one is not to be had, which has nothing of it.
pub fn resolve(rules: &[SecretRule], caller: &[(String, String)]) -> Result<Vec<Secret>, String> {
    rules.iter().map(|rule| one(rule, caller)).collect()
}

fn one(rule: &SecretRule, caller: &[(String, String)]) -> Result<Secret, String> {
    let name = &rule.name;
    let variable = |wanted: &str| caller.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let value = match &rule.from {
        SecretFrom::Variable(from) => match variable(from) {
            Some(value) => value.clone().into_bytes(),
            None => {
                return Err(format!(
                    "its secret `{name}` is not in the caller's environment: set `{from}` and build again"
                ));
            }
        },
        SecretFrom::File(path) => {
            let path = match path.strip_prefix("~") {
                Ok(below) => Path::new(variable("HOME").map_or("/", String::as_str)).join(below),
                Err(_) => path.clone(),
            };
            read(&path).map_err(|error| {
                format!("its secret `{name}` cannot be read from `{}`: {error}", path.display())
            })?
        }
    };
    Secret::new(name, value).ok_or_else(|| format!("its secret `{name}` has no name for a file"))
}

/// A file's bytes. What is no file might never come to its end.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut value = Vec::new();
    let file = std::fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    file.take(LONGEST + 1).read_to_end(&mut value)?;
    match value.len() as u64 > LONGEST {
        true => Err(std::io::Error::other("it is longer than 1 MiB")),
        false => Ok(value),
    }
}
