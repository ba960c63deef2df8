//! The tables of the file: every key is known, or an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kitchen::Limits;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::Wrong;
use super::keys::{self, Key};
use super::lenses;
use super::limits;
use super::nearest::nearest;
use super::secrets;
use super::uses;
use super::value::{Fault, Field, Value};
use super::{KeepRule, ProjectFile, Spot, StepRule, Text, Variable};

/// Folders that the sandbox makes by itself; what a machine has there cannot be seen.
const NO_ROOTS: [&str; 8] = ["/dev", "/proc", "/sys", "/run", "/tmp", "/var/tmp", "/home/build", "/project"];

/// The longest name of a step, in bytes: that of the longest path, which chefs name steps by.
const MAX_NAME: usize = 4096;

/// Reads the whole file.
pub(super) fn project_file(text: Text, default_name: String) -> Result<ProjectFile, Fault> {
    let mut file = ProjectFile {
        text,
        name: default_name,
        targets: vec![],
        chefs: vec![],
        steps: vec![],
        limits: Limits::default(),
        aliases: vec![],
        image: None,
        uses: vec![],
        pools: vec![],
        tool_roots: vec![],
    };
    let text = file.text.clone();
    let root = DeTable::parse(text.as_str()).map_err(|error| {
        let at = error.span().unwrap_or(text.as_str().len()..text.as_str().len());
        text.locate(at, Wrong::Toml(error.message().to_owned()))
    })?;
    for (key, field) in fields(&text, root.get_ref()) {
        match field.key {
            "project" => project(field, &mut file)?,
            "tools" => file.tool_roots = tools(field)?,
            "uses" => file.uses = uses::uses(field)?,
            "alias" => {
                let named = fields(&text, table(field, "a table `[alias]`: NAME = targets")?);
                for (key, field) in named {
                    let name = Spot { value: field.key.to_owned(), at: key.span() };
                    file.aliases.push((name, field.strings()?));
                }
            }
            "pools" => {
                for (key, field) in fields(&text, table(field, "a table `[pools]`: NAME = how many at once")?)
                {
                    let name = Spot { value: field.key.to_owned(), at: key.span() };
                    file.pools.push((name, field.passes()?));
                }
            }
            "step" => {
                let rules = table(field, "a table `[step.NAME]` for each step")?;
                file.steps = fields(&text, rules)
                    .into_iter()
                    .map(|(key, field)| step(key, field))
                    .collect::<Result<_, _>>()?;
            }
            name => {
                let nearest = nearest(name, keys::TABLES);
                let known = keys::TABLES.to_vec();
                let place = "the file".to_owned();
                let wrong = Wrong::Unknown { kind: "table", name: name.to_owned(), place, nearest, known };
                return Err(text.locate(key.span(), wrong));
            }
        }
    }
    match file.chefs.is_empty() && file.steps.is_empty() {
        true => Err(text.locate(0..0, Wrong::NoSteps)),
        false => Ok(file),
    }
}

/// The fields of a table in the order in which they are written.
pub(super) fn fields<'a, 'i>(
    text: &'a Text,
    table: &'a DeTable<'i>,
) -> Vec<(&'a Spanned<DeString<'i>>, Field<'a, 'i>)> {
    let mut fields: Vec<_> =
        table.iter().map(|(key, value)| (key, Field { text, key: key.get_ref(), value })).collect();
    fields.sort_by_key(|(key, _)| key.span().start);
    fields
}

pub(super) fn table<'a, 'i>(field: Field<'a, 'i>, wanted: &'static str) -> Result<&'a DeTable<'i>, Fault> {
    field.value.get_ref().as_table().ok_or_else(|| field.not(wanted))
}

pub(super) fn unknown(
    key: &Spanned<DeString<'_>>,
    field: Field<'_, '_>,
    place: &str,
    known: &[Key],
) -> Fault {
    let wrong = Wrong::Unknown {
        kind: "key",
        name: field.key.to_owned(),
        place: format!("`[{place}]`"),
        nearest: keys::meant(field.key, known),
        known: known.iter().map(|key| key.name).collect(),
    };
    field.fault(key.span(), wrong)
}

fn project(field: Field<'_, '_>, file: &mut ProjectFile) -> Result<(), Fault> {
    for (key, field) in fields(field.text, table(field, "a table `[project]`")?) {
        match field.key {
            "name" => file.name = field.string()?.value,
            "targets" => file.targets = field.strings()?,
            "chef" => {
                file.chefs = field.strings()?;
                if file.chefs.is_empty() {
                    return Err(field.fault(field.value.span(), Wrong::Empty { key: "chef".into() }));
                }
            }
            "limits" => file.limits = limits::limits(field)?,
            "image" => file.image = Some(image(field)?),
            _ => return Err(unknown(key, field, "project", &keys::PROJECT_KEYS)),
        }
    }
    Ok(())
}

/// The name of an image; what is a good one, podman knows.
fn image(field: Field<'_, '_>) -> Result<String, Fault> {
    let name = field.string()?;
    if name.value.is_empty() {
        return Err(field.fault(name.at, Wrong::Empty { key: "image".into() }));
    }
    match could_be_image(&name.value) {
        true => Ok(name.value),
        false => Err(field.fault(name.at, Wrong::NoImage { name: name.value })),
    }
}

/// Whether podman would not take it for an option or for several words, and all but a registry's host and a tag is in lower case.
fn could_be_image(name: &str) -> bool {
    let repository = name.split('@').next().unwrap_or_default();
    let is_host = |first: &str| first.contains(['.', ':']);
    let path =
        repository.split_once('/').filter(|(first, _)| is_host(first)).map_or(repository, |(_, path)| path);
    let path = path.split(':').next().unwrap_or_default();
    !name.starts_with('-')
        && !name.contains(|c: char| c.is_whitespace() || c.is_control())
        && !path.contains(|c: char| c.is_ascii_uppercase())
}

/// `[tools]`: its roots.
pub(super) fn tools(field: Field<'_, '_>) -> Result<Vec<PathBuf>, Fault> {
    let mut roots = Vec::new();
    for (key, field) in fields(field.text, table(field, "a table `[tools]`")?) {
        match field.key {
            "roots" => {
                let named = field.strings()?.into_iter();
                roots = named.map(|root| tool_root(field, root)).collect::<Result<_, _>>()?;
            }
            _ => return Err(unknown(key, field, "tools", &keys::TOOLS_KEYS)),
        }
    }
    Ok(roots)
}

fn tool_root(field: Field<'_, '_>, root: Spot<String>) -> Result<PathBuf, Fault> {
    let path = Path::new(&root.value);
    let why = if root.value.starts_with('~') {
        Some("`~` is not expanded")
    } else if !path.is_absolute() {
        Some("it is not absolute")
    } else if path.components().any(|part| part == std::path::Component::ParentDir) {
        Some("it has a `..` part")
    } else if path.components().count() == 1 {
        Some("it is the whole machine")
    } else if NO_ROOTS.iter().any(|own| path.starts_with(own)) {
        Some("steps have a folder of their own there")
    } else {
        None
    };
    match why {
        Some(why) => Err(field.fault(root.at, Wrong::ToolRoot { root: root.value, why })),
        // Rebuilt from its parts: a final slash or a doubled one is gone.
        None => Ok(path.components().collect()),
    }
}

fn step(key: &Spanned<DeString<'_>>, field: Field<'_, '_>) -> Result<StepRule, Fault> {
    let name = Spot { value: field.key.to_owned(), at: key.span() };
    if !is_step_name(&name.value) {
        return Err(field.fault(name.at, Wrong::StepName { name: name.value }));
    }
    let place = format!("step.{}", name.value);
    let mut rule = StepRule {
        name,
        run: vec![],
        each: vec![],
        out: vec![],
        inputs: vec![],
        after: vec![],
        env: vec![],
        cwd: None,
        timeout: None,
        limits: Limits::default(),
        image: None,
        pool: None,
        on: BTreeMap::new(),
        secrets: vec![],
        cache: None,
        network: false,
        alters: false,
        sizes: true,
        scratch: vec![],
        verbatim: false,
        keep: KeepRule::Nothing,
        anew: vec![],
        notices: vec![],
        max_passes: None,
        projections: vec![],
        normalisers: vec![],
        volatile: false,
        strict: false,
    };
    for (key, field) in fields(field.text, table(field, "a table `[step.NAME]`")?) {
        match field.key {
            "run" => rule.run = field.commands()?,
            "each" => {
                rule.each = field.strings()?;
                if rule.each.is_empty() {
                    return Err(field.fault(field.value.span(), Wrong::Empty { key: "each".into() }));
                }
            }
            "out" => rule.out = field.strings()?,
            "scratch" => rule.scratch = field.strings()?,
            "in" => rule.inputs = field.strings()?,
            "after" => rule.after = field.strings()?,
            "env" => rule.env = environment(field)?,
            "cwd" => rule.cwd = Some(field.string()?),
            "timeout" => rule.timeout = Some(field.timeout()?),
            "secrets" => rule.secrets = secrets::secrets(field)?,
            "cache" => rule.cache = Some(field.boolean()?),
            "limits" => rule.limits = limits::limits(field)?,
            "image" => rule.image = Some(image(field)?),
            "pool" => rule.pool = Some(field.string()?),
            "on" => rule.on = labels(field)?,
            "network" => rule.network = field.boolean()?,
            "sizes" => rule.sizes = field.boolean()?,
            "alters" => rule.alters = field.boolean()?,
            "verbatim" => rule.verbatim = field.boolean()?,
            "keep" => rule.keep = keep(field)?,
            "anew" => rule.anew = field.strings()?,
            "notices" => rule.notices = field.strings()?,
            "max_passes" => rule.max_passes = Some(field.passes()?),
            "project" => rule.projections = lenses::projections(field)?,
            "normalise" => rule.normalisers = lenses::normalisers(field)?,
            "volatile" => rule.volatile = field.boolean()?,
            "strict" => rule.strict = field.boolean()?,
            _ => return Err(unknown(key, field, &place, &keys::STEP_KEYS)),
        }
    }
    if rule.run.is_empty() {
        return Err(field.fault(rule.name.at, Wrong::NoRun { step: rule.name.value }));
    }
    Ok(rule)
}

/// Names stand in ids (`name:path`, `name#pass`) and on command lines. Those that chefs give are often paths.
fn is_step_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.chars().all(|c| c.is_alphanumeric() || "_-+./,=@~".contains(c))
        && name.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn keep(field: Field<'_, '_>) -> Result<KeepRule, Fault> {
    Ok(match field.value.get_ref() {
        DeValue::Boolean(true) => KeepRule::Everything,
        DeValue::Boolean(false) => KeepRule::Nothing,
        DeValue::String(_) | DeValue::Array(_) => match field.strings()? {
            patterns if patterns.is_empty() => KeepRule::Nothing,
            patterns => KeepRule::Matching(patterns),
        },
        _ => return Err(field.not("true, false, a pattern or a list of patterns")),
    })
}

fn labels(field: Field<'_, '_>) -> Result<BTreeMap<String, String>, Fault> {
    fields(field.text, table(field, "a table of labels such as { gpu = \"yes\" }")?)
        .into_iter()
        .map(|(key, value)| {
            let text = value.value.get_ref().as_str().ok_or_else(|| value.not("a string"))?;
            Ok((field.plain(value.key, key.span())?.value, text.to_owned()))
        })
        .collect()
}

fn environment(field: Field<'_, '_>) -> Result<Vec<Variable>, Fault> {
    const WANTED: &str = "a table of strings, or a list of names";
    let variables: Vec<Variable> = match field.value.get_ref() {
        DeValue::Table(table) => fields(field.text, table)
            .into_iter()
            .map(|(key, value)| {
                let name = field.plain(value.key, key.span())?;
                Ok(Variable::Set(name, variable_value(field, value.value)?))
            })
            .collect::<Result<_, Fault>>()?,
        DeValue::Array(_) => field
            .strings()?
            .into_iter()
            .map(|text| match text.value.split_once('=') {
                Some((name, value)) => Variable::Set(text.with(name.to_owned()), text.with(value.to_owned())),
                None => Variable::Pass(text),
            })
            .collect(),
        _ => return Err(field.not(WANTED)),
    };
    let mut names = std::collections::BTreeSet::new();
    for variable in &variables {
        let Spot { value: name, at } = variable.name();
        if name.is_empty() || name.contains('=') {
            return Err(field.fault(at.clone(), Wrong::VariableName { name: name.clone() }));
        }
        if !names.insert(name) {
            return Err(field.fault(at.clone(), Wrong::VariableTwice { name: name.clone() }));
        }
    }
    Ok(variables)
}

fn variable_value(field: Field<'_, '_>, value: &Value<'_>) -> Result<Spot<String>, Fault> {
    let text = match value.get_ref() {
        DeValue::String(text) => text,
        DeValue::Integer(number) => {
            return Err(field.not_here(
                value,
                "values that are strings",
                Some(format!("write `\"{number}\"`")),
            ));
        }
        _ => return Err(field.not_here(value, "values that are strings", None)),
    };
    field.plain(text, value.span())
}
