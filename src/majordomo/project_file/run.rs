//! The forms of `run`.
//!
//! - a string: one shell command;
//! - a list of strings: **one** command, its words;
//! - a list with at least one list in it: several commands, a string being a shell command and a list one of words.
//!
//! So the depth of the brackets decides, and no string is ever split. A list of strings whose first has white space in it
//! is refused: no program is called so, and a list of shell commands was meant.

use toml::de::DeValue;

use super::error::Wrong;
use super::value::{Fault, Field, Value};
use super::{Command, Spot};

const WANTED: &str = "a string, a list of words, or a list of commands";

impl<'i> Field<'_, 'i> {
    /// The commands of `run`: at least one.
    pub fn commands(&self) -> Result<Vec<Command>, Fault> {
        let list = match self.value.get_ref() {
            DeValue::String(text) => return Ok(vec![self.shell(text, self.value)?]),
            DeValue::Array(list) => list,
            _ => return Err(self.not(WANTED)),
        };
        if list.is_empty() {
            return Err(self.fault(self.value.span(), Wrong::Empty { key: self.key.to_owned() }));
        }
        if !list.iter().any(|item| item.get_ref().is_array()) {
            return Ok(vec![self.argv(list, self.value)?]);
        }
        list.iter()
            .map(|item| match item.get_ref() {
                DeValue::String(text) => self.shell(text, item),
                DeValue::Array(words) => self.argv(words, item),
                _ => Err(self.not_here(item, WANTED, None)),
            })
            .collect()
    }

    fn shell(&self, text: &str, value: &Value<'i>) -> Result<Command, Fault> {
        if text.trim().is_empty() {
            return Err(self.fault(value.span(), Wrong::Empty { key: self.key.to_owned() }));
        }
        Ok(Command::Shell(self.plain(text, value.span())?))
    }

    fn argv(&self, list: &[Value<'i>], value: &Value<'i>) -> Result<Command, Fault> {
        let words: Vec<Spot<String>> = list
            .iter()
            .map(|item| {
                let hint = match item.get_ref() {
                    DeValue::Integer(number) => Some(format!("write it as a string: `\"{number}\"`")),
                    _ => None,
                };
                let word = item
                    .get_ref()
                    .as_str()
                    .ok_or_else(|| self.not_here(item, "words that are strings", hint))?;
                self.plain(word, item.span())
            })
            .collect::<Result<_, _>>()?;
        match words.first() {
            Some(program) if program.value.contains(char::is_whitespace) => {
                Err(self.fault(program.at.clone(), Wrong::AmbiguousRun { first: program.value.clone() }))
            }
            Some(program) if !program.value.is_empty() => Ok(Command::Argv(words)),
            Some(program) => Err(self.fault(program.at.clone(), Wrong::Empty { key: self.key.to_owned() })),
            None => Err(self.fault(value.span(), Wrong::Empty { key: self.key.to_owned() })),
        }
    }
}
