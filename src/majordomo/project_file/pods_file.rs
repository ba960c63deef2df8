//! `pod.toml` in a pod's home: what its owner wants of which nobody else says. Read as strictly as the project file, in the same words.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use kitchen::Limits;
use node::PoolOptions;
use toml::de::DeTable;

use super::error::Wrong;
use super::keys::{self, POD_KEYS, POOL_KEYS};
use super::limits::limits;
use super::read::{fields, table, tools, unknown};
use super::value::{Fault, Field};
use super::{Located, Text};
use crate::majordomo::request::Sandbox;

/// The name of the file in the home.
pub const PODS_FILE: &str = "pod.toml";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodsFile {
    /// `sandbox`: the engine of builds that ask for none.
    pub sandbox: Option<Sandbox>,
    /// `[limits]`: of steps of which no project says more.
    pub limits: Limits,
    /// `[tools] roots`: folders that steps of other pods may see besides the usual ones.
    pub tool_roots: Vec<PathBuf>,
    /// `[pool]`: how many containers there are.
    pub pool: PoolOptions,
}

/// Reads it.
///
/// # Errors
/// A mistake in it, with its place.
pub fn pods_file(file: &Path, text: &str) -> Result<PodsFile, Box<Located<Wrong>>> {
    let text = Text::new(file, text.to_owned());
    let root = DeTable::parse(text.as_str()).map_err(|error| {
        let at = error.span().unwrap_or(text.as_str().len()..text.as_str().len());
        text.locate(at, Wrong::Toml(error.message().to_owned()))
    })?;
    let mut read = PodsFile::default();
    for (key, field) in fields(&text, root.get_ref()) {
        match field.key {
            "sandbox" => read.sandbox = Some(sandbox(field)?),
            "limits" => read.limits = limits(field)?,
            "tools" => read.tool_roots = tools(field)?,
            "pool" => read.pool = pool(field)?,
            name => {
                let wrong = Wrong::Unknown {
                    kind: "key",
                    name: name.to_owned(),
                    place: "the pod's file".to_owned(),
                    nearest: keys::meant(name, &POD_KEYS),
                    known: POD_KEYS.iter().map(|key| key.name).collect(),
                };
                return Err(text.locate(key.span(), wrong));
            }
        }
    }
    Ok(read)
}

fn sandbox(field: Field<'_, '_>) -> Result<Sandbox, Fault> {
    let said = field.string()?.value;
    Sandbox::from_str(&said, false).map_err(|_| field.not("\"native\", \"podman\" or \"auto\""))
}

fn pool(field: Field<'_, '_>) -> Result<PoolOptions, Fault> {
    let mut pool = PoolOptions::default();
    for (key, field) in fields(field.text, table(field, "a table such as { maximum = 4 }")?) {
        let count = || field.count().map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        match field.key {
            "minimum" => pool.minimum = count()?,
            "maximum" => pool.maximum = count()?,
            "steps" => pool.steps_each = count()?,
            "idle" => pool.idle = field.timeout()?,
            _ => return Err(unknown(key, field, "pool", &POOL_KEYS)),
        }
    }
    match pool.minimum > pool.maximum {
        true => Err(field.not("a table whose `minimum` is not above its `maximum`")),
        false => Ok(pool),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_of_it_is_read() {
        let read = |text: &str| pods_file(Path::new("pod.toml"), text);
        assert_eq!(read("").unwrap(), PodsFile::default());
        let file = read(
            "sandbox = 'auto'\nlimits = { disk = '1M' }\ntools = { roots = ['/srv/tools/'] }\n[pool]\nminimum = 2\nmaximum = 3\nsteps = 5\nidle = '2m'\n",
        )
        .unwrap();
        let pool = PoolOptions { minimum: 2, maximum: 3, steps_each: 5, idle: Duration::from_secs(120) };
        let limits = Limits { disk: Some(1 << 20), ..Limits::default() };
        let tool_roots = vec![PathBuf::from("/srv/tools")];
        assert_eq!(file, PodsFile { sandbox: Some(Sandbox::Auto), limits, tool_roots, pool });
        for (text, said) in [
            (
                "sandbox = 'docker'",
                "1:11: `sandbox` takes \"native\", \"podman\" or \"auto\", and this is a string",
            ),
            ("tools.roots = ['tools']", "it is not absolute"),
            ("[pool]\nminimum = 9\n", "takes a table whose `minimum` is not above its `maximum`"),
            ("[pool]\nmost = 9\n", "2:1: unknown key `most` in `[pool]`"),
            (
                "sandbx = 'native'",
                "1:1: unknown key `sandbx` in the pod's file; the nearest known key is `sandbox`",
            ),
        ] {
            let wrong = read(text).unwrap_err().to_string();
            assert!(wrong.contains(said), "{wrong}");
        }
    }
}
