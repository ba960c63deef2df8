//! Scopes: which variables and rules can be seen where.
//!
//! A file has the scope of its includer (`include`) or a new one below it (`subninja`). A variable is expanded when it is set;
//! but a command is expanded when everything has been read, and then sees the last value of each variable of its file. So
//! scopes stay until the end.

use std::collections::HashMap;
use std::rc::Rc;

use crate::budget::Budget;
use crate::error::Wrong;
use crate::expr::Expr;
use crate::nearest::nearest;
use crate::rule::Rule;

/// Variables with their values.
pub(crate) type Variables = HashMap<Vec<u8>, Vec<u8>>;

/// One scope of [`Scopes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScopeId(usize);

#[derive(Debug, Default)]
struct Scope {
    parent: Option<ScopeId>,
    variables: Variables,
    rules: HashMap<Vec<u8>, Rc<Rule>>,
}

/// The scopes of all files, and that of the file that is being read.
#[derive(Debug)]
pub(crate) struct Scopes {
    all: Vec<Scope>,
    current: ScopeId,
}

impl Scopes {
    /// The scope of the top file.
    pub fn new() -> Self {
        Self { all: vec![Scope::default()], current: ScopeId(0) }
    }

    /// The scope of the file that is being read.
    pub fn current(&self) -> ScopeId {
        self.current
    }

    /// A `subninja` begins; gives the scope to return to.
    pub fn enter(&mut self) -> ScopeId {
        let parent = self.current;
        self.current = ScopeId(self.all.len());
        self.all.push(Scope { parent: Some(parent), ..Scope::default() });
        parent
    }

    /// A `subninja` ends.
    pub fn leave(&mut self, to: ScopeId) {
        self.current = to;
    }

    /// A scope and those around it.
    fn around(&self, scope: ScopeId) -> impl Iterator<Item = &Scope> {
        std::iter::successors(self.all.get(scope.0), |scope| self.all.get(scope.parent?.0))
    }

    /// Sets a variable of the current scope.
    pub fn set(&mut self, name: &[u8], value: Vec<u8>) {
        if let Some(scope) = self.all.get_mut(self.current.0) {
            scope.variables.insert(name.to_vec(), value);
        }
    }

    /// A variable of one scope alone.
    pub fn own(&self, scope: ScopeId, name: &[u8]) -> Option<&[u8]> {
        self.all.get(scope.0)?.variables.get(name).map(Vec::as_slice)
    }

    /// A variable as it is seen from a scope.
    pub fn get(&self, scope: ScopeId, name: &[u8]) -> Option<&[u8]> {
        self.around(scope).find_map(|scope| scope.variables.get(name)).map(Vec::as_slice)
    }

    /// Expands in the current scope; a variable that nobody set is empty.
    pub fn expand(&self, expr: &Expr<'_>, budget: &mut Budget) -> Result<Vec<u8>, Wrong> {
        let mut value = Vec::new();
        expr.expand(&mut value, budget, |name, value, budget| match self.get(self.current, name) {
            Some(text) => budget.append(text, value),
            None => Ok(()),
        })?;
        Ok(value)
    }

    /// Defines a rule in the current scope; or gives the one that has the name there already.
    pub fn define(&mut self, rule: Rule) -> Result<(), Rc<Rule>> {
        let Some(scope) = self.all.get_mut(self.current.0) else { return Ok(()) };
        if let Some(first) = scope.rules.get(&rule.name[..]) {
            return Err(first.clone());
        }
        scope.rules.insert(rule.name.to_vec(), Rc::new(rule));
        Ok(())
    }

    /// A rule as it is seen from the current scope; or the name that may have been meant.
    pub fn rule(&self, name: &[u8]) -> Result<Rc<Rule>, Option<String>> {
        let found = self.around(self.current).find_map(|scope| scope.rules.get(name));
        found.cloned().ok_or_else(|| {
            let known = self.around(self.current).flat_map(|scope| scope.rules.keys()).map(Vec::as_slice);
            nearest(name, known.chain([PHONY]))
        })
    }
}

/// The rule that runs nothing.
pub(crate) const PHONY: &[u8] = b"phony";
