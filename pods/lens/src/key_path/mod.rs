//! `json`, `toml`, `yaml`: one value of a structured file, in a canonical form.
//!
//! `json:version` is the value of the key `version`, `toml:package.name` that of `name` in `package`, `yaml:jobs.0."on push"` goes
//! into a list and through a key that has to be quoted, as TOML quotes keys; without a path it is the whole document. A
//! key that is not there is a value of its own. What does not parse, has one key twice, or is nested deeper than
//! [`MAX_DEPTH`] stays whole.
//!
//! - [`canonical`]: the form; - `json`, `toml`, `yaml`: from text to values, none of which is rounded or guessed.

mod canonical;
mod json;
mod toml;
mod yaml;

use std::fmt::Write as _;

use self::canonical::Value;
use crate::lens::{LensId, Projection, Role};

/// Nesting beyond which a document is not looked at.
const MAX_DEPTH: usize = 128;

/// A format that has keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Toml,
    Yaml,
}

impl Format {
    pub const ALL: [Format; 3] = [Format::Json, Format::Toml, Format::Yaml];

    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Toml => "toml",
            Format::Yaml => "yaml",
        }
    }

    fn parse(self, text: &str) -> Option<Value> {
        match self {
            Format::Json => json::parse(text),
            Format::Toml => toml::parse(text),
            Format::Yaml => yaml::parse(text),
        }
    }
}

/// One value of a structured file.
#[derive(Debug)]
pub(crate) struct KeyPath {
    id: LensId,
    format: Format,
    path: Vec<String>,
}

impl KeyPath {
    /// `path` as TOML writes a dotted key; empty: the whole document.
    ///
    /// # Errors
    /// It is no dotted key; the words say why.
    pub fn new(format: Format, path: &str) -> Result<Self, String> {
        let path =
            if path.is_empty() { Vec::new() } else { toml::dotted_key(path).ok_or_else(not_dotted)? };
        let mut parameters = String::new();
        for key in &path {
            // A key of any text in its one spelling; writing to a string cannot fail.
            write!(parameters, "{}{}", if parameters.is_empty() { "" } else { "." }, canonical::key(key))
                .ok();
        }
        let id = LensId { role: Role::Projection, name: format.name().to_owned(), version: 1, parameters };
        Ok(Self { id, format, path })
    }
}

fn not_dotted() -> String {
    "behind the `:` stands the path of a key, such as `a.b` or `a.\"b.c\"`".to_owned()
}

impl Projection for KeyPath {
    fn id(&self) -> &LensId {
        &self.id
    }

    fn project(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let document = self.format.parse(std::str::from_utf8(bytes).ok()?)?;
        let mut value = Some(&document);
        for key in &self.path {
            value = value.and_then(|value| value.get(key));
        }
        // No value is written as nothing.
        Some(value.map(Value::canonical).unwrap_or_default().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(format: Format, path: &str, text: &str) -> Option<String> {
        KeyPath::new(format, path)
            .unwrap()
            .project(text.as_bytes())
            .map(|left| String::from_utf8(left).unwrap())
    }

    #[test]
    fn paths() {
        let json = r#"{"a": {"b": [10, {"c d": "x", "e.f": null}]}, "n": 1.50}"#;
        let at = |path| left(Format::Json, path, json).unwrap();
        assert_eq!(at("a.b.0"), "10");
        assert_eq!(at("a.b.1.\"c d\""), "\"x\"");
        assert_eq!(at("a.b.1.'e.f'"), "null");
        assert_eq!(at("n"), "1.5");
        assert_eq!(at("a.z"), "");
        assert_eq!(at("a.b.7"), "");
        assert_eq!(at("n.x"), "");
        for bad in ["a..b", ".", "a b", "a = 1 #", "[a]", "a\nb"] {
            assert!(KeyPath::new(Format::Json, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_meaning_has_one_id() {
        let id = |path| KeyPath::new(Format::Json, path).unwrap().id;
        assert_eq!(id("a.\"b\"").digest(), id("a.b").digest());
        assert_eq!(id("a.b").to_string(), "json:a.b");
        assert_ne!(id("\"a.b\"").digest(), id("a.b").digest());
        assert_eq!(id("\"a.b\".c").to_string(), "json:\"a.b\".c");
    }

    #[test]
    fn formatting_does_not_matter() {
        assert_eq!(
            left(Format::Json, "", "{\"b\":1,\n \"a\":[ 2.0 ]}"),
            left(Format::Json, "", r#"{"a":[2],"b":1e0}"#)
        );
        assert_eq!(
            left(Format::Toml, "", "b=1 # why\n[a]\nc='x'\n"),
            left(Format::Toml, "", "a.c = \"x\"\nb = 0x1\n")
        );
        assert_eq!(
            left(Format::Yaml, "", "b: 1 # why\na:\n  - 'x'\n"),
            left(Format::Yaml, "", "{a: [\"x\"],\n b: 1}\n")
        );
    }

    #[test]
    fn what_a_reader_could_tell_apart_stays_apart() {
        let apart = [
            (Format::Json, "9007199254740993", "9007199254740992"),
            (Format::Json, "0.1", "0.10000000000000000001"),
            (Format::Json, "-0", "0"),
            (Format::Json, "\"1\"", "1"),
            (Format::Toml, "a = 1", "a = 1.0"),
            (Format::Toml, "a = 1979-05-27", "a = '1979-05-27'"),
            (Format::Toml, "a = nan", "a = 'nan'"),
            (Format::Yaml, "a: yes", "a: 'yes'"),
            (Format::Yaml, "a: !x b", "a: b"),
            (Format::Yaml, "a:", "a: ''"),
        ];
        for (format, one, other) in apart {
            let (one, other) = (left(format, "", one).unwrap(), left(format, "", other).unwrap());
            assert_ne!(one, other);
        }
    }

    #[test]
    fn what_cannot_be_read_for_sure_stays_whole() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        let whole = [
            (Format::Json, "{"),
            (Format::Json, "1 2"),
            (Format::Json, "{\"a\": 1, \"a\": 2}"),
            (Format::Json, "{\"a\": 1, \"\\u0061\": 2}"),
            (Format::Json, &deep),
            (Format::Toml, "a = 1\na = 2"),
            (Format::Toml, "a"),
            (Format::Yaml, "a: &x 1\nb: *x"),
            (Format::Yaml, "a: 1\n---\nb: 2"),
            (Format::Yaml, "a: 1\na: 2"),
            (Format::Yaml, "? [a]\n: b"),
            (Format::Yaml, "a: ["),
            (Format::Yaml, &deep),
        ];
        for (format, text) in whole {
            assert_eq!(left(format, "", text), None, "{text}");
        }
        assert_eq!(KeyPath::new(Format::Json, "").unwrap().project(b"\"\xff\""), None);
    }
}
