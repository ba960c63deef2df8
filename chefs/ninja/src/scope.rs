//! Scopes: which variables and rules can be seen where.
//!
//! A file has the scope of its includer (`include`) or a new one on top (`subninja`). Variables are expanded when they are
//! set, edges when they are read; so scopes are a stack, and the top is gone when its file ends.

use std::collections::HashMap;
use std::rc::Rc;

use crate::budget::Budget;
use crate::error::Wrong;
use crate::expr::Expr;
use crate::nearest::nearest;
use crate::rule::Rule;

/// Variables with their values.
pub(crate) type Variables = HashMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Default)]
struct Scope {
    variables: Variables,
    rules: HashMap<Vec<u8>, Rc<Rule>>,
}

/// The scopes of the files that are open, the innermost last.
#[derive(Debug)]
pub(crate) struct Scopes(Vec<Scope>);

impl Scopes {
    /// The scope of the top file.
    pub fn new() -> Self {
        Self(vec![Scope::default()])
    }

    /// A `subninja` begins.
    pub fn enter(&mut self) {
        self.0.push(Scope::default());
    }

    /// A `subninja` ends.
    pub fn leave(&mut self) {
        self.0.pop();
    }

    /// Sets a variable of the innermost scope.
    pub fn set(&mut self, name: &[u8], value: Vec<u8>) {
        if let Some(scope) = self.0.last_mut() {
            scope.variables.insert(name.to_vec(), value);
        }
    }

    /// A variable of the innermost scope alone.
    pub fn innermost(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.last()?.variables.get(name).map(Vec::as_slice)
    }

    /// A variable as it is seen from the innermost scope.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.iter().rev().find_map(|scope| scope.variables.get(name)).map(Vec::as_slice)
    }

    /// Expands; a variable that nobody set is empty.
    pub fn expand(&self, expr: &Expr<'_>, budget: &mut Budget) -> Result<Vec<u8>, Wrong> {
        let mut value = Vec::new();
        expr.expand(&mut value, budget, |name, value, budget| match self.get(name) {
            Some(text) => budget.append(text, value),
            None => Ok(()),
        })?;
        Ok(value)
    }

    /// Defines a rule in the innermost scope; the earlier one if there it has the name already.
    pub fn define(&mut self, rule: Rule) -> Result<(), Rc<Rule>> {
        let Some(scope) = self.0.last_mut() else { return Ok(()) };
        if let Some(first) = scope.rules.get(&rule.name[..]) {
            return Err(first.clone());
        }
        scope.rules.insert(rule.name.to_vec(), Rc::new(rule));
        Ok(())
    }

    /// A rule as it is seen from the innermost scope; or the name that may have been meant.
    pub fn rule(&self, name: &[u8]) -> Result<Rc<Rule>, Option<String>> {
        let found = self.0.iter().rev().find_map(|scope| scope.rules.get(name));
        found.cloned().ok_or_else(|| {
            let known = self.0.iter().flat_map(|scope| scope.rules.keys()).map(Vec::as_slice);
            nearest(name, known.chain([PHONY]))
        })
    }
}

/// The rule that runs nothing.
pub(crate) const PHONY: &[u8] = b"phony";
