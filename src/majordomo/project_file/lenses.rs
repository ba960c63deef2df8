//! `project` and `normalise`: which lens for which paths.

use lens::{BadLens, builtin};
use protocol::Digest;
use toml::de::DeValue;

use super::error::Wrong;
use super::nearest::nearest;
use super::read::{fields, table};
use super::value::{Fault, Field};
use super::{LensRule, Spot};

/// Reads `project`.
pub(super) fn projections(field: Field<'_, '_>) -> Result<Vec<LensRule>, Fault> {
    let of = |text: &str| builtin().projection(text).map(|lens| lens.id().digest());
    by_pattern(
        field,
        "a table of patterns and projections, such as { \"*.aux\" = \"bibtex-aux\" }",
        "projection",
        of,
    )
}

/// Reads `normalise`.
pub(super) fn normalisers(field: Field<'_, '_>) -> Result<Vec<LensRule>, Fault> {
    const KIND: &str = "normaliser";
    if let DeValue::Table(_) = field.value.get_ref() {
        let of = |text: &str| builtin().normaliser(text).map(|lens| lens.id().digest());
        return by_pattern(field, "", KIND, of);
    }
    let mut rules = Vec::new();
    for text in field.strings()? {
        let lens = builtin().normaliser(&text.value).map_err(|bad| fault(field, &text, KIND, bad))?;
        rules.extend(lens.patterns().iter().map(|pattern| LensRule {
            pattern: text.with((*pattern).to_owned()),
            lens: text.value.clone(),
            id: lens.id().digest(),
        }));
    }
    Ok(rules)
}

fn by_pattern(
    field: Field<'_, '_>,
    wanted: &'static str,
    kind: &'static str,
    of: impl Fn(&str) -> Result<Digest, BadLens>,
) -> Result<Vec<LensRule>, Fault> {
    let mut rules = Vec::new();
    for (key, inner) in fields(field.text, table(field, wanted)?) {
        let pattern = inner.plain(inner.key, key.span())?;
        if pattern.value.is_empty() {
            return Err(inner.fault(key.span(), Wrong::Empty { key: field.key.to_owned() }));
        }
        let lenses = inner.strings()?;
        if lenses.is_empty() {
            return Err(inner.fault(inner.value.span(), Wrong::Empty { key: inner.key.to_owned() }));
        }
        for text in lenses {
            let id = of(&text.value).map_err(|bad| fault(field, &text, kind, bad))?;
            rules.push(LensRule { pattern: pattern.clone(), lens: text.value, id });
        }
    }
    Ok(rules)
}

fn fault(field: Field<'_, '_>, text: &Spot<String>, kind: &'static str, bad: BadLens) -> Fault {
    let wrong = match bad {
        BadLens::Unknown { name, known } => {
            let nearest = nearest(&name, known.iter().copied());
            Wrong::Unknown { kind, name, place: format!("`{}`", field.key), nearest, known }
        }
        BadLens::Parameters { text, why } => Wrong::Lens { text, why },
    };
    field.fault(text.at.clone(), wrong)
}
