//! Text with variables in it, before they are expanded.

use std::borrow::Cow;

use crate::budget::Budget;
use crate::error::Wrong;

/// A piece of an [`Expr`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    Text(Cow<'a, [u8]>),
    Variable(Cow<'a, [u8]>),
}

/// Text and names of variables in turn. Without parts it is what was not written at all; `$` with the end of a line alone
/// leaves none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expr<'a> {
    pub parts: Vec<Part<'a>>,
}

impl<'a> Expr<'a> {
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Appends text.
    pub fn push(&mut self, text: &'a [u8]) {
        if text.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.to_mut().extend_from_slice(text),
            _ => self.parts.push(Part::Text(Cow::Borrowed(text))),
        }
    }

    /// A copy that needs the file no longer.
    pub fn into_owned(self) -> Expr<'static> {
        let own = |text: Cow<'a, [u8]>| Cow::Owned(text.into_owned());
        let parts = self.parts.into_iter().map(|part| match part {
            Part::Text(text) => Part::Text(own(text)),
            Part::Variable(name) => Part::Variable(own(name)),
        });
        Expr { parts: parts.collect() }
    }

    /// Appends the text to `value`; `variable` appends what a variable stands for.
    pub fn expand(
        &self,
        value: &mut Vec<u8>,
        budget: &mut Budget,
        mut variable: impl FnMut(&[u8], &mut Vec<u8>, &mut Budget) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        for part in &self.parts {
            match part {
                Part::Text(text) => budget.append(text, value)?,
                Part::Variable(name) => {
                    budget.look_up()?;
                    variable(name, value, budget)?;
                }
            }
        }
        Ok(())
    }
}
