//! Projections and normalisers that chefs bring: `CHEF:NAME` in a project file.
//!
//! [`find`] looks for those that a file names and gives each its digest: that of the chef's whole content and of its own name, so
//! that another version of the chef is another lens. [`Asking`] has the chef's program answer where the answer is not known,
//! and remembers it: by lens and content, so that the same is never asked twice.
//!
//! - `batch`: questions as one run in the kitchen; `asking`: who asks, in turns; `memory`: what was answered.
//!
//! A program that crashes, hangs, floods or answers nonsense is named, and nothing of it is remembered: of a projection the whole
//! file counts then, and the step whose output has no normal form fails.

mod asking;
mod batch;
mod memory;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use lens::lens::Role;
use lens::{LensId, builtin};
use node::Pod;
use protocol::Digest;
use rustc_hash::FxHashMap;

use super::find::Finder;
use super::program::{Program, host_file};
use super::question::chain;
use super::{Fallible, register, registry};
use crate::majordomo::project_file::{LensRule, ProjectFile, ProjectFileError, Spot, Wrong, of_chef};
use crate::majordomo::request::{Failure, FailureKind};
use crate::majordomo::snapshot::HostFile;
use crate::majordomo::{border, tool_roots};

pub use asking::Asking;

/// The lenses of chefs that a plan names.
#[derive(Debug, Default)]
pub struct Lenses {
    by_id: FxHashMap<Digest, ChefLens>,
    /// The files of this machine that say what they are.
    pub files: Vec<HostFile>,
}

/// A lens that a chef brings.
#[derive(Debug)]
struct ChefLens {
    /// As it was written.
    text: String,
    /// What the chef calls it.
    name: String,
    role: Role,
    chef: Arc<Program>,
}

impl Lenses {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

/// Looks for the lenses of chefs that a file names, which know their digests then. `said`: the folders and files of the project that
/// may be meant by their chefs' names.
///
/// # Errors
/// One of them is not to be found, or its chef cannot be asked.
pub fn find(
    pod: &Pod,
    project: &Path,
    file: &mut ProjectFile,
    said: &[String],
    environment: &HashMap<String, String>,
) -> Fallible<Arc<Lenses>> {
    let is_named =
        |rules: &[LensRule], is_ours: fn(&str) -> bool| rules.iter().any(|rule| !is_ours(&rule.lens.value));
    let are_none = file.steps.iter().all(|step| {
        !is_named(&step.projections, is_our_projection) && !is_named(&step.normalisers, is_our_normaliser)
    });
    if are_none {
        return Ok(Arc::default());
    }
    let roots = tool_roots::find(&file.tool_roots, project, environment)?;
    let finder = Finder {
        larder: pod.larder().clone(),
        registry: register::load(pod.home().path())?,
        programs: roots.into_iter().filter_map(|root| root.programs).collect(),
        project: project.to_owned(),
    };
    let list = host_file(&registry::path(pod.home().path()))
        .map_err(|error| Box::new(Failure::new(FailureKind::Machine, &error)))?;
    let mut finding = Finding {
        finder,
        said: said.iter().filter(|said| said.contains('/')).cloned().collect(),
        programs: HashMap::new(),
        lenses: Lenses { files: vec![list], ..Lenses::default() },
    };
    let mut steps = std::mem::take(&mut file.steps);
    let found = steps.iter_mut().try_for_each(|step| {
        finding.rules(&mut step.projections, Role::Projection)?;
        finding.rules(&mut step.normalisers, Role::Normaliser)
    });
    file.steps = steps;
    found.map_err(|(at, wrong)| {
        let error = ProjectFileError::Wrong(file.locate(at, wrong));
        Box::new(border::project_file(&error))
    })?;
    Ok(Arc::new(finding.lenses))
}

fn is_our_projection(text: &str) -> bool {
    builtin().projection(text).is_ok()
}

fn is_our_normaliser(text: &str) -> bool {
    builtin().normaliser(text).is_ok()
}

/// A search.
struct Finding {
    finder: Finder,
    said: Vec<String>,
    /// By what is written before the `:`.
    programs: HashMap<String, Arc<Program>>,
    lenses: Lenses,
}

type Fault = (std::ops::Range<usize>, Wrong);

impl Finding {
    fn rules(&mut self, rules: &mut Vec<LensRule>, role: Role) -> Result<(), Fault> {
        let mut found = Vec::with_capacity(rules.len());
        for rule in rules.drain(..) {
            let text = rule.lens.value.as_str();
            let is_ours = match role {
                Role::Projection => is_our_projection(text),
                Role::Normaliser => is_our_normaliser(text),
            };
            match of_chef(text) {
                Some((chef, name)) if !is_ours => {
                    let (chef, name) = (chef.to_owned(), name.to_owned());
                    self.rule(rule, (&chef, &name), role, &mut found)?;
                }
                _ => found.push(rule),
            }
        }
        *rules = found;
        Ok(())
    }

    fn rule(
        &mut self,
        rule: LensRule,
        (chef, name): (&str, &str),
        role: Role,
        found: &mut Vec<LensRule>,
    ) -> Result<(), Fault> {
        let LensRule { pattern, lens: text, .. } = rule;
        let kind = match role {
            Role::Projection => "projection",
            Role::Normaliser => "normaliser",
        };
        let fault = |why: String| (text.at.clone(), Wrong::ChefLens { text: text.value.clone(), kind, why });
        let program = self.program(chef).map_err(&fault)?;
        let patterns = match role {
            Role::Projection => program.projections.iter().any(|own| own == name).then(Vec::new),
            Role::Normaliser => program.normalisers.get(name).cloned(),
        };
        let Some(patterns) = patterns else {
            let known: Vec<&str> = match role {
                Role::Projection => program.projections.iter().map(String::as_str).collect(),
                Role::Normaliser => program.normalisers.keys().map(String::as_str).collect(),
            };
            return Err(fault(brings(chef, kind, &known)));
        };
        let parameters = format!("{name} {}", program.tree);
        let id = LensId { role, name: format!("chef/{}", program.name), version: 1, parameters }.digest();
        let lens = ChefLens { text: text.value.clone(), name: name.to_owned(), role, chef: program };
        self.lenses.by_id.insert(id, lens);
        let patterns = match pattern.value.is_empty() {
            false => vec![pattern],
            true if patterns.is_empty() => {
                let why = "the chef does not say for which outputs: write `normalise = { \"PATTERN\" = … }`";
                return Err(fault(why.to_owned()));
            }
            true => patterns.into_iter().map(|value| Spot { value, at: text.at.clone() }).collect(),
        };
        let rule = |pattern| LensRule { pattern, lens: text.clone(), id: Some(id) };
        found.extend(patterns.into_iter().map(rule));
        Ok(())
    }

    /// The chef that is written so: the one in a folder or file of the project that plans it, or any other that there is.
    fn program(&mut self, chef: &str) -> Result<Arc<Program>, String> {
        if let Some(program) = self.programs.get(chef) {
            return Ok(Arc::clone(program));
        }
        let mut of_project = self.said.iter().filter_map(|said| self.finder.program(said).ok());
        let program = match of_project.find(|program| program.name == chef || program.said == chef) {
            Some(program) => program,
            None => self.finder.program(chef).map_err(|error| chain(&error))?,
        };
        self.lenses.files.extend(program.files.iter().cloned());
        let program = Arc::new(program);
        self.programs.insert(chef.to_owned(), Arc::clone(&program));
        Ok(program)
    }
}

/// What a chef brings instead.
fn brings(chef: &str, kind: &str, known: &[&str]) -> String {
    match known {
        [] => format!("the chef `{chef}` brings no {kind}"),
        known => {
            let shown: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("of the chef `{chef}` there are {}", shown.join(", "))
        }
    }
}
