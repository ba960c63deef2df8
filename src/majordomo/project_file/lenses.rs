//! `project` and `normalise`: which lens for which paths. Those that chefs bring are only named here: who knows chefs looks for them.

use std::sync::Arc;

use lens::{BadLens, builtin};
use protocol::Digest;
use toml::de::DeValue;

use super::error::Wrong;
use super::nearest::nearest;
use super::read::{fields, table};
use super::value::{Fault, Field};
use super::{LensRule, Spot};

/// The chef and the name of a lens that a chef brings: `CHEF:NAME`, where what stands before the `:` may be a folder or file of the
/// project, too.
pub fn of_chef(text: &str) -> Option<(&str, &str)> {
    let (chef, name) = text.rsplit_once(':')?;
    let is_word = |word: &str| !word.is_empty() && !word.contains([' ', '"', '\'']);
    (is_word(chef) && is_word(name)).then_some((chef, name))
}

/// The digest of a lens, unless a chef may bring it.
fn known<T>(
    found: Result<Arc<T>, BadLens>,
    text: &str,
    of: impl Fn(&T) -> Digest,
) -> Result<Option<Digest>, BadLens>
where
    T: ?Sized,
{
    match found {
        Ok(lens) => Ok(Some(of(&lens))),
        Err(BadLens::Unknown { .. }) if of_chef(text).is_some() => Ok(None),
        Err(bad) => Err(bad),
    }
}

fn projection(text: &str) -> Result<Option<Digest>, BadLens> {
    known(builtin().projection(text), text, |lens| lens.id().digest())
}

fn normaliser(text: &str) -> Result<Option<Digest>, BadLens> {
    known(builtin().normaliser(text), text, |lens| lens.id().digest())
}

/// Reads `project`.
pub(super) fn projections(field: Field<'_, '_>) -> Result<Vec<LensRule>, Fault> {
    by_pattern(
        field,
        "a table of patterns and projections, such as { \"*.aux\" = \"bibtex-aux\" }",
        "projection",
        projection,
    )
}

/// Reads `normalise`.
pub(super) fn normalisers(field: Field<'_, '_>) -> Result<Vec<LensRule>, Fault> {
    const KIND: &str = "normaliser";
    if let DeValue::Table(_) = field.value.get_ref() {
        return by_pattern(field, "", KIND, normaliser);
    }
    let mut rules = Vec::new();
    for text in field.strings()? {
        let id = normaliser(&text.value).map_err(|bad| fault(field, &text, KIND, bad))?;
        let patterns = match builtin().normaliser(&text.value) {
            Ok(lens) => lens.patterns().to_vec(),
            Err(_) => vec![""],
        };
        let rule =
            |pattern: &str| LensRule { pattern: text.with(pattern.to_owned()), lens: text.clone(), id };
        rules.extend(patterns.into_iter().map(rule));
    }
    Ok(rules)
}

fn by_pattern(
    field: Field<'_, '_>,
    wanted: &'static str,
    kind: &'static str,
    of: impl Fn(&str) -> Result<Option<Digest>, BadLens>,
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
            rules.push(LensRule { pattern: pattern.clone(), lens: text, id });
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every lens that there is has its row on the reference page.
    #[test]
    fn the_reference_page_names_them_all() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/lenses.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (projections, normalisers) = page.split_once("\n## Normalisers\n").unwrap();
        let known = |bad: BadLens| match bad {
            BadLens::Unknown { known, .. } => known,
            BadLens::Parameters { .. } => panic!("none has no name"),
        };
        for (part, known) in [
            (projections, known(builtin().projection("").unwrap_err())),
            (normalisers, known(builtin().normaliser("").unwrap_err())),
        ] {
            let rows: Vec<&str> =
                part.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
            let mut sorted = rows.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, known);
        }
    }

    #[test]
    fn the_examples_of_the_book_can_be_read() {
        let book = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        for page in ["reference/lenses.md", "how-to/differences-that-do-not-matter.md"] {
            let text = std::fs::read_to_string(book.join(page)).unwrap();
            let examples: Vec<&str> =
                text.split("```toml\n").skip(1).filter_map(|part| part.split("```").next()).collect();
            assert!(!examples.is_empty());
            for example in examples {
                let file = std::path::Path::new("majordomo.toml");
                crate::majordomo::project_file::ProjectFile::parse(file, example.as_bytes()).unwrap();
            }
        }
    }
}
