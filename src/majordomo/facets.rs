//! A step's key, part by part: what a weak key is made of, in words, so that it can be said which part changed.
//!
//! Values of variables may be secrets: of them only digests are kept.

use protocol::codec::{BadObject, Reader, Writer};
use protocol::step::{Lensed, Promise};
use protocol::{Digest, Keep, StepSpec};

use super::build::shown_command;
use super::request::why::KeyChange;

/// The longest value that is kept as it is, in bytes; of a longer one its beginning and its digest are.
const LONGEST: usize = 2000;

/// The parts of a step's key: name and value, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facets(Vec<(String, String)>);

impl Facets {
    /// Those of a spec.
    pub fn of(spec: &StepSpec) -> Self {
        let mut facets = Vec::new();
        let mut add = |name: &str, values: Vec<String>| {
            if !values.is_empty() {
                facets.push((name.to_owned(), cut(values.join(", "))));
            }
        };
        add(
            "its command",
            vec![spec.commands.iter().map(|argv| shown_command(argv)).collect::<Vec<_>>().join("; ")],
        );
        if !spec.cwd.is_root() {
            add("its `cwd`", vec![spec.cwd.to_string()]);
        }
        let promise = |promise: &Promise| match promise {
            Promise::File(path) => path.to_string(),
            Promise::Tree(path) => format!("{path}/"),
        };
        add("its `out`", spec.out.iter().map(promise).collect());
        match &spec.keep {
            Keep::Nothing => {}
            Keep::Everything => add("its `keep`", vec!["everything".to_owned()]),
            Keep::Matching(globs) => add("its `keep`", globs.clone()),
        }
        if spec.network {
            add("its `network`", vec!["true".to_owned()]);
        }
        add("its `secrets`", spec.secrets.clone());
        add("its `in`", spec.declared_in.clone());
        let lensed = |lensed: &Lensed| format!("{} {} {}", lensed.glob, lensed.lens, lensed.id.short());
        add("its `project`", spec.projections.iter().map(lensed).collect());
        add("its `normalise`", spec.normalisers.iter().map(lensed).collect());
        for (name, value) in &spec.env {
            let name = protocol::path::escape(name);
            add(&format!("the variable `{name}`"), vec![Digest::of(value).short()]);
        }
        facets.sort();
        Self(facets)
    }

    /// What differs between an earlier key and this one.
    pub fn changed_since(&self, before: &Self) -> Vec<KeyChange> {
        let value = |facets: &Self, name: &str| {
            facets.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let names = before.0.iter().chain(&self.0).map(|(name, _)| name);
        let names: std::collections::BTreeSet<&String> = names.collect();
        let changes = names.into_iter().map(|name| {
            let (before, now) = (value(before, name), value(self, name));
            KeyChange { what: name.clone(), before, now }
        });
        changes.filter(|change| change.before != change.now).collect()
    }

    /// Whether what is run is the same as with an earlier key, whatever is promised of it.
    pub fn runs_as(&self, before: &Self) -> bool {
        self.changed_since(before)
            .iter()
            .all(|change| ["its `out`", "its `in`"].contains(&change.what.as_str()))
    }

    /// Writes them.
    pub fn write(&self, writer: &mut Writer) {
        writer.number(self.0.len() as u64);
        for (name, value) in &self.0 {
            writer.bytes(name.as_bytes()).bytes(value.as_bytes());
        }
    }

    /// Reads them.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, BadObject> {
        let count = reader.count()?;
        let text = |reader: &mut Reader<'_>| Ok(String::from_utf8_lossy(reader.bytes()?).into_owned());
        let facets = (0..count).map(|_| Ok((text(reader)?, text(reader)?)));
        Ok(Self(facets.collect::<Result<_, BadObject>>()?))
    }
}

fn cut(value: String) -> String {
    if value.len() <= LONGEST {
        return value;
    }
    let end = (0..=LONGEST).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
    format!("{}… ({})", &value[..end], Digest::of(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::RelPath;

    fn spec(command: &str, env: &[(&str, &str)]) -> StepSpec {
        StepSpec {
            commands: vec![vec![b"cc".to_vec(), command.as_bytes().to_vec()]],
            cwd: RelPath::root(),
            env: env
                .iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect(),
            out: vec![Promise::File("a.o".parse().unwrap())],
            keep: Keep::Nothing,
            network: false,
            declared_in: vec![],
            projections: vec![],
            normalisers: vec![],
            secrets: vec![],
            alters: false,
            sizes: true,
            scratch: vec![],
        }
    }

    #[test]
    fn each_part_that_changed_is_named_and_no_value_of_a_variable_is_kept() {
        let before = Facets::of(&spec("-O1", &[("A", "secret"), ("B", "same")]));
        let now = Facets::of(&spec("-O2", &[("B", "same"), ("C", "new")]));
        let changes = now.changed_since(&before);
        let said: Vec<_> =
            changes.iter().map(|c| (c.what.as_str(), c.before.as_deref(), c.now.as_deref())).collect();
        let (secret, new) = (Digest::of(b"secret").short(), Digest::of(b"new").short());
        assert_eq!(
            said,
            [
                ("its command", Some("cc -O1"), Some("cc -O2")),
                ("the variable `A`", Some(secret.as_str()), None),
                ("the variable `C`", None, Some(new.as_str())),
            ]
        );
        assert!(!format!("{before:?}").contains("secret"));
        assert_eq!(now.changed_since(&now), []);
    }

    #[test]
    fn long_values_are_cut_and_still_told_apart() {
        let long = "é".repeat(LONGEST);
        let (one, other) = (Facets::of(&spec(&long, &[])), Facets::of(&spec(&(long.clone() + "x"), &[])));
        assert_eq!(other.changed_since(&one).len(), 1);
        let mut writer = Writer::with_format(1);
        one.write(&mut writer);
        let bytes = writer.finish();
        assert!(bytes.len() < LONGEST + 200);
        assert_eq!(Facets::read(&mut Reader::with_format(&bytes, 1).unwrap()).unwrap(), one);
    }
}
