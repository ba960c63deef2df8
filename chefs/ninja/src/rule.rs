//! Rules, and what their variables are for one edge.
//!
//! The variables of a rule are expanded for each edge that uses it, when all files have been read. Looked up are, in this order: `$in`, `$in_newline`
//! and `$out`; the edge's own variables; the rule's; those of the file and of the files that it is a `subninja` of. One oddity of ninja (1.5 to 1.13)
//! is kept, since the commands must be the same: for an edge that sets no variable at all, those that its file itself sets come before the rule's.

use std::sync::Arc;

use crate::budget::Budget;
use crate::error::{Place, Wrong, shown};
use crate::expr::Expr;
use crate::path::{BuildPath, quote};
use crate::scope::{ScopeId, Scopes, Variables};

/// A variable that a rule may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RuleVariable {
    Command,
    Depfile,
    Deps,
    Description,
    Dyndep,
    Generator,
    MsvcDepsPrefix,
    Pool,
    Restat,
    Rspfile,
    RspfileContent,
}

use RuleVariable::*;

impl RuleVariable {
    pub const ALL: [RuleVariable; 11] = [
        Command,
        Depfile,
        Deps,
        Description,
        Dyndep,
        Generator,
        MsvcDepsPrefix,
        Pool,
        Restat,
        Rspfile,
        RspfileContent,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Command => "command",
            Depfile => "depfile",
            Deps => "deps",
            Description => "description",
            Dyndep => "dyndep",
            Generator => "generator",
            MsvcDepsPrefix => "msvc_deps_prefix",
            Pool => "pool",
            Restat => "restat",
            Rspfile => "rspfile",
            RspfileContent => "rspfile_content",
        }
    }

    pub fn by_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|variable| variable.name().as_bytes() == name)
    }
}

/// A rule as it was written.
#[derive(Debug)]
pub(crate) struct Rule {
    pub name: Arc<[u8]>,
    pub place: Place,
    variables: [Option<Expr<'static>>; RuleVariable::ALL.len()],
}

impl Rule {
    pub fn new(name: &[u8], place: Place) -> Self {
        Self { name: Arc::from(name), place, variables: Default::default() }
    }

    /// Sets a variable; the last one counts.
    pub fn set(&mut self, variable: RuleVariable, value: Expr<'static>) {
        self.variables[variable as usize] = Some(value);
    }

    fn get(&self, variable: RuleVariable) -> Option<&Expr<'static>> {
        self.variables[variable as usize].as_ref()
    }

    /// Whether it is complete.
    pub fn check(&self) -> Result<(), Wrong> {
        let has = |variable| self.get(variable).is_some_and(|expr| !expr.is_empty());
        let name = || shown(&self.name);
        if has(Rspfile) != has(RspfileContent) {
            return Err(Wrong::HalfResponseFile { name: name() });
        }
        if !has(Command) {
            return Err(Wrong::NoCommand { name: name() });
        }
        Ok(())
    }
}

/// How paths of `$in` and `$out` are put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paths {
    /// For the shell.
    Quoted,
    /// As they are: where the value is itself a path.
    Bare,
}

/// What an edge knows about its variables.
#[derive(Debug)]
pub(crate) struct EdgeScope<'a> {
    pub scopes: &'a Scopes,
    /// The scope of the edge's file.
    pub file: ScopeId,
    /// The edge's own variables; `None` if it has no block.
    pub own: Option<&'a Variables>,
    pub rule: &'a Rule,
    /// Explicit inputs.
    pub inputs: &'a [BuildPath],
    /// Explicit outputs.
    pub outputs: &'a [BuildPath],
}

impl EdgeScope<'_> {
    /// The value of one of the rule's variables for this edge; empty if nobody sets it.
    pub fn value(&self, variable: RuleVariable, paths: Paths, budget: &mut Budget) -> Result<Vec<u8>, Wrong> {
        let mut value = Vec::new();
        self.look_up(variable.name().as_bytes(), paths, &mut vec![], &mut value, budget)?;
        Ok(value)
    }

    /// Whether a variable is set to anything.
    pub fn is_set(&self, variable: RuleVariable, budget: &mut Budget) -> Result<bool, Wrong> {
        Ok(!self.value(variable, Paths::Quoted, budget)?.is_empty())
    }

    /// Appends what `name` stands for. `open` are the rule's variables that are being expanded, so that this goes no deeper
    /// than a rule has variables.
    fn look_up(
        &self,
        name: &[u8],
        paths: Paths,
        open: &mut Vec<RuleVariable>,
        value: &mut Vec<u8>,
        budget: &mut Budget,
    ) -> Result<(), Wrong> {
        match name {
            b"in" => return list(self.inputs, b' ', paths, value, budget),
            b"in_newline" => return list(self.inputs, b'\n', paths, value, budget),
            b"out" => return list(self.outputs, b' ', paths, value, budget),
            _ => {}
        }
        let nearest = match self.own {
            Some(own) => own.get(name).map(Vec::as_slice),
            None => self.scopes.own(self.file, name),
        };
        if let Some(text) = nearest {
            return budget.append(text, value);
        }
        let known = RuleVariable::by_name(name);
        if let Some((variable, expr)) = known.and_then(|variable| Some((variable, self.rule.get(variable)?)))
        {
            if let Some(from) = open.iter().position(|other| *other == variable) {
                let names = open[from..].iter().map(|variable| variable.name().to_owned()).collect();
                return Err(Wrong::VariableCircle { rule: shown(&self.rule.name), names });
            }
            open.push(variable);
            expr.expand(value, budget, |name, value, budget| self.look_up(name, paths, open, value, budget))?;
            open.pop();
            return Ok(());
        }
        match self.scopes.get(self.file, name) {
            Some(text) => budget.append(text, value),
            None => Ok(()),
        }
    }
}

fn list(
    list: &[BuildPath],
    separator: u8,
    paths: Paths,
    value: &mut Vec<u8>,
    budget: &mut Budget,
) -> Result<(), Wrong> {
    for (index, path) in list.iter().enumerate() {
        // Quoting makes at most four bytes of one, and adds two.
        budget.reserve(path.as_bytes().len() + 1, value.len())?;
        if index > 0 {
            value.push(separator);
        }
        match paths {
            Paths::Quoted => quote(path.as_bytes(), value),
            Paths::Bare => value.extend_from_slice(path.as_bytes()),
        }
    }
    Ok(())
}
