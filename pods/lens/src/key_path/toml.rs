//! TOML. Whole numbers and floats are different types there, and stay so; dates and times are types of their own.

use toml::de::{DeTable, DeValue};

use super::MAX_DEPTH;
use super::canonical::{Value, number};

pub(super) fn parse(text: &str) -> Option<Value> {
    let document = DeTable::parse(text).ok()?;
    table(document.get_ref(), MAX_DEPTH)
}

fn table(entries: &DeTable<'_>, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let entries =
        entries.iter().map(|(key, item)| Some((key.get_ref().to_string(), value(item.get_ref(), depth)?)));
    Value::map(entries.collect::<Option<_>>()?)
}

fn value(item: &DeValue<'_>, depth: usize) -> Option<Value> {
    Some(match item {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(whole) => {
            // TOML's own bounds; a larger one has no meaning to rely on.
            Value::Number(i64::from_str_radix(whole.as_str(), whole.radix()).ok()?.to_string())
        }
        DeValue::Float(float) => {
            let text = float.as_str().trim_start_matches('+');
            let text = match text.trim_start_matches('-') {
                "inf" | "nan" => text.to_owned(),
                _ => number(text)?,
            };
            Value::Other("float", text)
        }
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(moment) => Value::Other("time", moment.to_string()),
        DeValue::Array(items) => {
            let depth = depth.checked_sub(1)?;
            Value::List(items.iter().map(|item| value(item.get_ref(), depth)).collect::<Option<_>>()?)
        }
        DeValue::Table(entries) => table(entries, depth)?,
    })
}

/// The parts of a dotted key; `None` if it is none.
pub(super) fn dotted_key(text: &str) -> Option<Vec<String>> {
    /// What a key in front of it is the key of; nothing else in `text` is.
    const MARK: &str = "7226151842137006191";
    let line = format!("{text}={MARK}");
    let document = DeTable::parse(&line).ok()?;
    let mut parts = Vec::new();
    let mut table = document.get_ref();
    loop {
        let mut entries = table.iter();
        let (Some((key, item)), None) = (entries.next(), entries.next()) else { return None };
        parts.push(key.get_ref().to_string());
        match item.get_ref() {
            DeValue::Table(below) => table = below,
            DeValue::Integer(whole) if whole.as_str() == MARK => return Some(parts),
            _ => return None,
        }
    }
}
