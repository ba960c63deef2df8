//! A rule of the project file with its texts understood: templates and patterns, checked where no step is needed for it.

use std::ops::Range;
use std::sync::Arc;

use protocol::{Glob, RelPath};

use crate::majordomo::project_file::{
    Command, KeepRule, LensRule, Located, ProjectFile, Spot, StepRule, Variable,
};

use super::error::Problem;
use super::template::{Placeholder, Template, Values};

pub(super) type Fault = Box<Located<Problem>>;

/// A rule, ready to make steps.
pub(super) struct Rule<'a> {
    pub file: &'a ProjectFile,
    pub typed: &'a StepRule,
    pub each: Vec<Spot<Glob>>,
    pub out: Vec<Template>,
    pub scratch: Vec<Template>,
    pub inputs: Vec<Input>,
    pub run: Vec<Runnable>,
    pub env: Vec<(&'a Variable, Template)>,
    pub keep: Vec<Template>,
    pub anew: Arc<[Glob]>,
    pub notices: Arc<[Glob]>,
    pub projections: Vec<(Template, &'a LensRule)>,
    pub normalisers: Vec<(Template, &'a LensRule)>,
    pub cwd: Template,
    /// The patterns of `in` as written.
    pub declared_in: Vec<String>,
}

/// A pattern of `in`: the same for all steps, or one for each.
pub(super) enum Input {
    Shared(Spot<Glob>),
    PerStep(Template),
}

/// A command.
pub(super) enum Runnable {
    Shell(Template),
    Argv(Vec<Template>),
}

impl<'a> Rule<'a> {
    pub fn new(file: &'a ProjectFile, typed: &'a StepRule) -> Result<Self, Fault> {
        let reader = Reader { file, typed };
        let each = typed.each.iter().map(|spot| reader.glob("each", spot)).collect::<Result<_, _>>()?;
        let out = reader.templates("out", &typed.out)?;
        let scratch = reader.templates("scratch", &typed.scratch)?;
        let cwd = typed.cwd.clone().unwrap_or(Spot { value: ".".into(), at: typed.name.at.clone() });
        let cwd = reader.template("cwd", &cwd)?;
        let paths = out.iter().map(|out| ("out", out)).chain([("cwd", &cwd)]);
        let paths = paths.chain(scratch.iter().map(|scratch| ("scratch", scratch)));
        for (key, template) in paths.filter(|_| !typed.verbatim) {
            template.check_path(key).map_err(|problem| file.locate(template.at.clone(), problem))?;
        }
        let inputs = typed.inputs.iter().map(|spot| {
            let template = reader.template("in", spot)?;
            Ok(match template.is_plain() {
                true => Input::Shared(reader.glob("in", spot)?),
                false => Input::PerStep(template),
            })
        });
        let run = typed.run.iter().map(|command| {
            Ok(match command {
                Command::Shell(text) => Runnable::Shell(reader.template("run", text)?),
                Command::Argv(words) => Runnable::Argv(reader.templates("run", words)?),
            })
        });
        let env = typed.env.iter().map(|variable| {
            let value = match variable {
                Variable::Set(_, value) => reader.template("env", value)?,
                Variable::Pass(name) => Template::new(&name.with(String::new())),
            };
            Ok((variable, value))
        });
        let keep = match &typed.keep {
            KeepRule::Matching(patterns) => reader.templates("keep", patterns)?,
            KeepRule::Nothing | KeepRule::Everything => vec![],
        };
        let globs = |key: &'static str, patterns: &'a [Spot<String>]| {
            let globs = patterns.iter().map(|spot| Ok(reader.glob(key, spot)?.value));
            globs.collect::<Result<Arc<[Glob]>, Fault>>()
        };
        let lenses = |key: &'static str, lenses: &'a [LensRule]| {
            let read = |lens: &'a LensRule| Ok((reader.template(key, &lens.pattern)?, lens));
            lenses.iter().map(read).collect::<Result<Vec<_>, Fault>>()
        };
        Ok(Self {
            file,
            typed,
            each,
            out,
            scratch,
            inputs: inputs.collect::<Result<_, Fault>>()?,
            run: run.collect::<Result<_, Fault>>()?,
            env: env.collect::<Result<_, Fault>>()?,
            keep,
            anew: globs("anew", &typed.anew)?,
            notices: globs("notices", &typed.notices)?,
            projections: lenses("project", &typed.projections)?,
            normalisers: lenses("normalise", &typed.normalisers)?,
            cwd,
            declared_in: typed.inputs.iter().map(|spot| spot.value.clone()).collect(),
        })
    }

    pub fn name(&self) -> &'a str {
        &self.typed.name.value
    }

    /// Whether the commands or variables name what `in` matched.
    pub fn names_inputs(&self) -> bool {
        let words = self.run.iter().flat_map(|command| match command {
            Runnable::Shell(text) => std::slice::from_ref(text),
            Runnable::Argv(words) => words,
        });
        let values = self.env.iter().map(|(_, value)| value);
        self.each.is_empty()
            && words.chain(values).any(|text| text.placeholders().any(|p| p == Placeholder::In))
    }

    pub fn fault(&self, at: &Range<usize>, problem: Problem) -> Fault {
        self.file.locate(at.clone(), problem)
    }

    /// The glob that a template becomes in one step.
    pub fn glob_of(&self, key: &'static str, template: &Template, values: Values<'_>) -> Result<Glob, Fault> {
        let pattern = template.pattern(values);
        Glob::new(&pattern).map_err(|why| {
            self.fault(&template.at, Problem::Pattern { rule: self.name().to_owned(), key, pattern, why })
        })
    }
}

/// The values of a step of which only the matched path is known.
pub(super) fn early<'a>(each: Option<&'a RelPath>, root: &'a RelPath) -> Values<'a> {
    Values { each, inputs: &[], outs: &[], cwd: root }
}

struct Reader<'a> {
    file: &'a ProjectFile,
    typed: &'a StepRule,
}

impl Reader<'_> {
    fn glob(&self, key: &'static str, spot: &Spot<String>) -> Result<Spot<Glob>, Fault> {
        Glob::new(&spot.value).map(|glob| spot.with(glob)).map_err(|why| {
            let rule = self.typed.name.value.clone();
            self.file
                .locate(spot.at.clone(), Problem::Pattern { rule, key, pattern: spot.value.clone(), why })
        })
    }

    fn templates(&self, key: &'static str, spots: &[Spot<String>]) -> Result<Vec<Template>, Fault> {
        spots.iter().map(|spot| self.template(key, spot)).collect()
    }

    /// A template each of whose placeholders stands for something.
    fn template(&self, key: &'static str, spot: &Spot<String>) -> Result<Template, Fault> {
        if self.typed.verbatim {
            return Ok(Template::verbatim(spot));
        }
        let template = Template::new(spot);
        let has_each = !self.typed.each.is_empty();
        let in_command = matches!(key, "run" | "env");
        for placeholder in template.placeholders() {
            let why = match placeholder {
                Placeholder::In if in_command && (has_each || !self.typed.inputs.is_empty()) => continue,
                Placeholder::In if in_command => "the step has neither `each` nor `in`",
                Placeholder::In | Placeholder::Stem | Placeholder::Dir if has_each => continue,
                Placeholder::In | Placeholder::Stem | Placeholder::Dir => "the step has no `each`",
                Placeholder::Out if !in_command => "it can be used in `run` and `env` only",
                Placeholder::Out if self.typed.out.is_empty() => "the step has no `out`",
                Placeholder::Out => continue,
            };
            let rule = self.typed.name.value.clone();
            return Err(self
                .file
                .locate(spot.at.clone(), Problem::Misplaced { rule, key, placeholder, why }));
        }
        Ok(template)
    }
}

/// A shared empty list.
pub(super) fn nothing<T>() -> Arc<[T]> {
    Arc::from(Vec::new())
}
