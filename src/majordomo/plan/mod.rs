//! The plan: from the project file and the names of the sources to steps, their order and their commands.
//!
//! A pure function of the file, the names and the variables that steps pass on: same input, same plan, in the order of
//! the file and, within a rule, of the matched paths. It reads no file and asks nobody. The way through it:
//!
//! 1. `rule`: texts become templates and patterns;
//! 2. `expand`: `each` makes steps, and `out` promises;
//! 3. `inputs`, `order`: what `in` matches, who is before whom, no circles;
//! 4. `clash`: outputs at one place;
//! 5. `command`: placeholders put in. [`Plan::wanted`] then says what targets mean.
//!
//! Everything that is wrong is the user's mistake and has its place in the file ([`Problem`]). Of a step that declares no
//! output nothing is known here but its name and its order.

mod clash;
mod command;
mod error;
mod expand;
mod hint;
mod inputs;
mod order;
mod outputs;
mod promise;
mod quote;
mod rule;
mod sources;
mod template;
mod wanted;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kitchen::Limits;
use protocol::{Glob, Keep, RelPath, StepId, StepSpec};

use super::project_file::{ProjectFile, Spot};
use super::secrets::SecretRule;

pub use command::CallerEnv;
pub use error::{PlanError, Problem, TargetError};
pub use order::Circle;
pub use outputs::Output;
pub use sources::Sources;
pub use template::Placeholder;
pub use wanted::{Meaning, Target, Wanted};

use outputs::Outputs;
use rule::{Fault, Rule};

/// The most steps of a plan.
pub const MAX_STEPS: usize = 1 << 20;

/// The longest argument or variable in bytes: what Linux takes in one string of an `execve` (32 pages), less its NUL.
pub const MAX_WORD: usize = 32 * 4096 - 1;

/// Steps of which only so many run at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: Arc<str>,
    /// How many.
    pub depth: usize,
}

/// A step of the plan.
#[derive(Debug, Clone)]
pub struct PlannedStep {
    /// `rule`, or `rule:matched path`.
    pub id: StepId,
    /// What it does. `env` has only what the project file sets or passes on, `PATH` and the other constants are not in it.
    pub spec: StepSpec,
    /// Indexes of the steps that must be finished before: from `after`, and from what `each` and `in` matched among
    /// declared outputs. Sorted, unique, never the step itself; shared between steps where it is the same.
    pub after: Arc<[usize]>,
    /// The path that `each` matched.
    pub each: Option<RelPath>,
    /// The paths that `in` matched: in the order of its patterns, sorted within each, each once. A whole tree of another
    /// step is one path.
    pub inputs: Arc<[RelPath]>,
    /// When it is over, the step has failed.
    pub timeout: Option<Duration>,
    /// The image whose files it sees instead of this machine's tools; in no key.
    pub image: Option<String>,
    /// Steps with which it shares how many may run at once.
    pub pool: Option<Pool>,
    /// Labels of the pods that may run it; in no key.
    pub on: BTreeMap<String, String>,
    /// How much of the machine it may use, as far as the project file says.
    pub limits: Limits,
    /// Where its secrets come from. Their names are in its spec, and so in its key; nothing else of them is in any.
    pub secrets: Vec<SecretRule>,
    /// Never adopt a trace.
    pub volatile: bool,
    /// Files a change of which makes it run from nothing, if it keeps all that it made.
    pub anew: Arc<[Glob]>,
    /// Files of which its tool knows what a change spoils, if it keeps all that it made.
    pub notices: Arc<[Glob]>,
    /// How many passes it may make until it has settled; `None`: the usual number.
    pub max_passes: Option<usize>,
    /// Undeclared reads of project files and undeclared outputs are errors.
    pub strict: bool,
}

impl PlannedStep {
    /// All declared inputs: what `each` and `in` matched.
    pub fn declared_inputs(&self) -> impl Iterator<Item = &RelPath> {
        self.each.iter().chain(self.inputs.iter())
    }

    /// Whether it runs on this machine only: it has secrets, which are sent nowhere; or folders of its own that outlive a run; or what it
    /// does may depend on the machine that it runs on, by the network or because nobody may answer for it.
    pub fn stays_home(&self) -> bool {
        !self.secrets.is_empty() || self.spec.keep != Keep::Nothing || self.spec.network || self.volatile
    }
}

/// All steps of a project.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A label for people.
    pub name: String,
    /// The steps: rules in the order of the file, the steps of a rule by matched path.
    pub steps: Vec<PlannedStep>,
    /// What is wanted when nobody says; empty: everything.
    pub default_targets: Vec<String>,
    /// Folders that steps see besides the usual ones.
    pub tool_roots: Vec<PathBuf>,
    /// Names for targets.
    aliases: HashMap<String, Vec<String>>,
    rules: HashMap<String, Range<usize>>,
    by_id: HashMap<StepId, usize>,
    outputs: Outputs,
    /// For each step, its place in one order in which all could run one by one.
    position: Vec<usize>,
}

fn alias((name, targets): &(Spot<String>, Vec<Spot<String>>)) -> (String, Vec<String>) {
    (name.value.clone(), targets.iter().map(|target| target.value.clone()).collect())
}

/// The pool that a rule names.
fn pool(file: &ProjectFile, rule: &Rule<'_>) -> Result<Option<Pool>, Fault> {
    let Some(named) = &rule.typed.pool else { return Ok(None) };
    let found = file.pools.iter().find(|(name, _)| name.value == named.value);
    let pool = found.map(|(name, depth)| Pool { name: name.value.as_str().into(), depth: *depth });
    let none = || {
        let known = file.pools.iter().map(|(name, _)| name.value.clone()).collect();
        rule.fault(
            &named.at,
            Problem::NoPool { step: rule.name().to_owned(), pool: named.value.clone(), known },
        )
    };
    pool.ok_or_else(none).map(Some)
}

impl Plan {
    /// Makes the plan of a project file over these sources; `caller_env` answers for variables that steps pass on.
    pub fn new(
        file: &ProjectFile,
        sources: &dyn Sources,
        caller_env: CallerEnv<'_>,
    ) -> Result<Self, PlanError> {
        Ok(Self::build(file, sources, caller_env)?)
    }

    fn build(file: &ProjectFile, sources: &dyn Sources, caller_env: CallerEnv<'_>) -> Result<Self, Fault> {
        let rules: Vec<Rule<'_>> =
            file.steps.iter().map(|typed| Rule::new(file, typed)).collect::<Result<_, _>>()?;
        let expanded = expand::expand(&rules, sources)?;
        let order = order::order(&rules, sources, &expanded)?;
        clash::check(&rules, &expanded, &order)?;
        let mut steps = Vec::with_capacity(expanded.instances.len());
        for ((instance, after), inputs) in expanded.instances.iter().zip(order.after).zip(order.inputs) {
            let rule = &rules[instance.rule];
            let limits = rule.typed.limits.or(file.limits);
            steps.push(PlannedStep {
                id: instance.id.clone(),
                spec: command::spec(rule, instance, &inputs, caller_env)?,
                after,
                each: instance.each.clone(),
                inputs,
                timeout: rule.typed.timeout.or(limits.time),
                image: rule.typed.image.clone().or_else(|| file.image.clone()),
                pool: pool(file, rule)?,
                on: rule.typed.on.clone(),
                limits,
                secrets: rule.typed.secrets.clone(),
                volatile: rule.typed.volatile || !rule.typed.cache.unwrap_or(rule.typed.secrets.is_empty()),
                anew: Arc::clone(&rule.anew),
                notices: Arc::clone(&rule.notices),
                max_passes: rule.typed.max_passes,
                strict: rule.typed.strict,
            });
        }
        Ok(Self {
            by_id: steps.iter().enumerate().map(|(index, step)| (step.id.clone(), index)).collect(),
            name: file.name.clone(),
            steps,
            default_targets: file.targets.iter().map(|target| target.value.clone()).collect(),
            tool_roots: file.tool_roots.clone(),
            aliases: file.aliases.iter().map(alias).collect(),
            rules: rules
                .iter()
                .zip(expanded.ranges)
                .map(|(rule, range)| (rule.name().to_owned(), range))
                .collect(),
            outputs: expanded.outputs,
            position: order.position,
        })
    }

    /// A plan without steps.
    pub fn empty(name: String, tool_roots: Vec<PathBuf>) -> Self {
        Self {
            name,
            steps: Vec::new(),
            default_targets: Vec::new(),
            tool_roots,
            aliases: HashMap::new(),
            rules: HashMap::new(),
            by_id: HashMap::new(),
            outputs: Outputs::default(),
            position: Vec::new(),
        }
    }

    /// The plan and these steps, each after steps of the plan alone; nothing is after them, and they promise nothing.
    pub fn and(mut self, steps: Vec<PlannedStep>) -> Self {
        for step in steps {
            self.by_id.insert(step.id.clone(), self.steps.len());
            self.position.push(self.steps.len());
            self.steps.push(step);
        }
        self
    }

    /// All declared outputs, sorted by path, then by step.
    pub fn outputs(&self) -> &[Output] {
        self.outputs.all()
    }

    /// The step that makes a path by what is declared, as itself or in a whole tree; the last one, if several do.
    pub fn producer(&self, path: &RelPath) -> Option<usize> {
        let makers = self.outputs.at(path.as_bytes()).iter().chain(self.outputs.trees_above(path));
        makers.map(|output| output.step).max_by_key(|&step| self.position[step])
    }

    /// Whether nobody promises just this path, but a tree that it is in.
    pub fn is_below_a_tree(&self, path: &RelPath) -> bool {
        self.outputs.at(path.as_bytes()).is_empty() && self.outputs.trees_above(path).next().is_some()
    }

    /// The index of a step by its id.
    pub fn step(&self, id: &StepId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The steps with this id, or of the rule with this name; none if there is neither.
    pub fn steps_named(&self, name: &str) -> Range<usize> {
        if let Some(range) = self.rules.get(name) {
            return range.clone();
        }
        self.step(&StepId::new(name)).map_or(0..0, |step| step..step + 1)
    }

    /// The steps in an order in which all could run one by one.
    pub fn one_by_one(&self) -> Vec<usize> {
        let mut steps: Vec<usize> = (0..self.steps.len()).collect();
        steps.sort_by_key(|&step| self.position[step]);
        steps
    }
}
