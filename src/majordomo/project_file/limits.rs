//! `limits`: how much of the machine a step may use; the same words in the project file and in the pod's `pod.toml`.

use std::path::Path;

use kitchen::Limits;
use toml::de::{DeTable, DeValue};

use super::error::Wrong;
use super::keys::LIMITS_KEYS;
use super::read::{fields, table, unknown};
use super::value::{Fault, Field};
use super::{Located, Text};

/// The table of a step, of `[project]`, or of the pod's file.
pub(super) fn limits(field: Field<'_, '_>) -> Result<Limits, Fault> {
    let mut limits = Limits::default();
    for (key, field) in fields(field.text, table(field, "a table such as { memory = \"512M\" }")?) {
        match field.key {
            "memory" => limits.memory = Some(field.size()?),
            "cpus" => limits.milli_cpus = Some(field.thousandths()?),
            "processes" => limits.processes = Some(field.count()?),
            "open_files" => limits.open_files = Some(field.count()?),
            "disk" => limits.disk = Some(field.size()?),
            "time" => limits.time = Some(field.timeout()?),
            _ => return Err(unknown(key, field, "limits", &LIMITS_KEYS)),
        }
    }
    Ok(limits)
}

/// `[limits]` of the pod's own file, which has nothing else.
pub fn pods_limits(file: &Path, text: &str) -> Result<Limits, Box<Located<Wrong>>> {
    let text = Text::new(file, text.to_owned());
    let root = DeTable::parse(text.as_str()).map_err(|error| {
        let at = error.span().unwrap_or(text.as_str().len()..text.as_str().len());
        text.locate(at, Wrong::Toml(error.message().to_owned()))
    })?;
    let mut limits = Limits::default();
    for (key, field) in fields(&text, root.get_ref()) {
        match (field.key, field.value.get_ref()) {
            ("limits", DeValue::Table(_)) => limits = self::limits(field)?,
            (name, _) => {
                let place = "the pod's file".to_owned();
                let wrong = Wrong::Unknown {
                    kind: "table",
                    name: name.to_owned(),
                    place,
                    nearest: Some("limits"),
                    known: vec!["limits"],
                };
                return Err(text.locate(key.span(), wrong));
            }
        }
    }
    Ok(limits)
}
