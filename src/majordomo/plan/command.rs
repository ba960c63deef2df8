//! The commands, environment and promises of one step: placeholders put in.

use std::collections::BTreeMap;

use protocol::Digest;
use protocol::step::{Keep, Lensed};
use protocol::{Glob, RelPath, StepSpec};

use crate::majordomo::project_file::{KeepRule, LensRule, Variable};

use super::MAX_WORD;
use super::error::Problem;
use super::expand::Instance;
use super::promise::project_path;
use super::rule::{Fault, Rule, Runnable, early};
use super::template::{Template, Values};

/// What runs a text.
const SHELL: [&[u8]; 3] = [b"/bin/sh", b"-eu", b"-c"];

/// Looks up a variable of the caller.
pub type CallerEnv<'a> = &'a dyn Fn(&str) -> Option<Vec<u8>>;

pub(super) fn spec(
    rule: &Rule<'_>,
    instance: &Instance,
    inputs: &[RelPath],
    caller_env: CallerEnv<'_>,
) -> Result<StepSpec, Fault> {
    let root = RelPath::root();
    let few = early(instance.each.as_ref(), &root);
    let cwd = rule.cwd.path(few).and_then(|bytes| project_path("cwd", &bytes));
    let cwd = cwd.map_err(|problem| rule.fault(&rule.cwd.at, problem))?;
    let outs: Vec<RelPath> = instance.outs.iter().map(|promise| promise.path().clone()).collect();
    let values = Values { each: instance.each.as_ref(), inputs, outs: &outs, cwd: &cwd };
    let mut commands = Vec::with_capacity(rule.run.len());
    for command in &rule.run {
        commands.push(match command {
            Runnable::Shell(text) => {
                let script = sized(rule, instance, text, text.shell(values))?;
                SHELL.iter().map(|word| word.to_vec()).chain([script]).collect()
            }
            Runnable::Argv(words) => argv(rule, instance, words, values)?,
        });
    }
    let mut env = BTreeMap::new();
    for (variable, value) in &rule.env {
        let value = match variable {
            Variable::Set(..) => Some(sized(rule, instance, value, value.variable(values))?),
            Variable::Pass(name) => caller_env(&name.value),
        };
        if let Some(value) = value {
            env.insert(variable.name().value.as_bytes().to_vec(), value);
        }
    }
    let scratch = rule.scratch.iter().map(|template| {
        let path = template.path(few).and_then(|bytes| project_path("scratch", &bytes));
        path.map_err(|problem| rule.fault(&template.at, problem))
    });
    let mut scratch: Vec<RelPath> = scratch.collect::<Result<_, _>>()?;
    scratch.sort();
    scratch.dedup();
    let mut out = instance.outs.clone();
    out.sort();
    out.dedup();
    Ok(StepSpec {
        commands,
        cwd,
        env: env.into_iter().collect(),
        out,
        keep: keep(rule, few)?,
        network: rule.typed.network,
        secrets: rule.typed.secrets.iter().map(|secret| secret.name.clone()).collect(),
        alters: rule.typed.alters,
        sizes: rule.typed.sizes,
        scratch,
        declared_in: rule.declared_in.clone(),
        projections: projections(rule, few)?,
        normalisers: lensed(rule, "normalise", &rule.normalisers, few)?,
    })
}

fn argv(
    rule: &Rule<'_>,
    instance: &Instance,
    words: &[Template],
    values: Values<'_>,
) -> Result<Vec<Vec<u8>>, Fault> {
    let mut argv = Vec::with_capacity(words.len());
    for word in words {
        for bytes in word.words(values).map_err(|problem| rule.fault(&word.at, problem))? {
            argv.push(sized(rule, instance, word, bytes)?);
        }
    }
    Ok(argv)
}

/// A word that the system takes.
fn sized(rule: &Rule<'_>, instance: &Instance, template: &Template, word: Vec<u8>) -> Result<Vec<u8>, Fault> {
    if word.len() > MAX_WORD {
        let problem = Problem::LongWord { step: instance.id.clone(), len: word.len() };
        return Err(rule.fault(&template.at, problem));
    }
    Ok(word)
}

fn keep(rule: &Rule<'_>, values: Values<'_>) -> Result<Keep, Fault> {
    Ok(match rule.typed.keep {
        KeepRule::Nothing => Keep::Nothing,
        KeepRule::Everything => Keep::Everything,
        KeepRule::Matching(_) => {
            let globs = rule.keep.iter().map(|template| rule.glob_of("keep", template, values));
            let globs: Vec<Glob> = globs.collect::<Result<_, _>>()?;
            Keep::Matching(globs.iter().map(|glob| glob.as_str().to_owned()).collect())
        }
    })
}

/// In one order, since all that match a path add up.
fn projections(rule: &Rule<'_>, values: Values<'_>) -> Result<Vec<Lensed>, Fault> {
    let mut projections = lensed(rule, "project", &rule.projections, values)?;
    projections.sort();
    projections.dedup();
    Ok(projections)
}

fn lensed(
    rule: &Rule<'_>,
    key: &'static str,
    lenses: &[(Template, &LensRule)],
    values: Values<'_>,
) -> Result<Vec<Lensed>, Fault> {
    let one = |(template, LensRule { lens, id, .. }): &(Template, &LensRule)| {
        let glob = rule.glob_of(key, template, values)?.as_str().to_owned();
        // One that nobody has looked for has no digest of its own, and is found nowhere.
        let id = id.unwrap_or_else(|| Digest::of(lens.value.as_bytes()));
        Ok(Lensed { glob, lens: lens.value.clone(), id })
    };
    // Who only looks may not know yet what a chef's normaliser is for.
    lenses.iter().filter(|(_, lens)| !lens.pattern.value.is_empty()).map(one).collect()
}
