//! `secrets`: names of the caller's variables, or a table of names and files.

use std::path::Path;

use toml::de::DeValue;

use super::error::Wrong;
use super::read::fields;
use super::value::{Fault, Field};
use crate::majordomo::secrets::{SecretFrom, SecretRule};

pub(super) fn secrets(field: Field<'_, '_>) -> Result<Vec<SecretRule>, Fault> {
    let mut rules: Vec<SecretRule> = Vec::new();
    match field.value.get_ref() {
        DeValue::Table(table) => {
            for (key, field) in fields(field.text, table) {
                let path = field.string()?;
                let is_place = Path::new(&path.value).is_absolute() || path.value.starts_with("~/");
                if !is_place {
                    let why =
                        "a file outside of the project, as an absolute path or one that begins with `~/`";
                    return Err(field.not_here(field.value, why, None));
                }
                let from = SecretFrom::File(path.value.into());
                check(field, key.get_ref(), key.span())?;
                rules.push(SecretRule { name: key.get_ref().to_string(), from });
            }
        }
        DeValue::Array(_) | DeValue::String(_) => {
            for name in field.strings()? {
                check(field, &name.value, name.at)?;
                rules.push(SecretRule { from: SecretFrom::Variable(name.value.clone()), name: name.value });
            }
        }
        _ => return Err(field.not("names of variables, or a table of files")),
    }
    rules.sort_by(|a, b| a.name.cmp(&b.name));
    rules.dedup();
    Ok(rules)
}

/// A name is one of a variable, and of a file.
fn check(field: Field<'_, '_>, name: &str, at: std::ops::Range<usize>) -> Result<(), Fault> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.chars().all(is_name) && !name.starts_with('.') && !name.is_empty() {
        return Ok(());
    }
    Err(field.fault(at, Wrong::VariableName { name: name.to_owned() }))
}
