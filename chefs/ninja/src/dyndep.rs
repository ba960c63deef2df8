//! Dyndep files: what becomes known of edges only while building.

use std::collections::HashMap;

use crate::budget::{Budget, Limits};
use crate::error::{Error, Place, Wrong, shown};
use crate::expr::Expr;
use crate::lexer::{Lexer, Token};
use crate::manifest::{Action, Edge, Manifest};
use crate::parser::{unknown, version};
use crate::path::BuildPath;
use crate::scope::Scopes;

/// The version of the format that is read, as ninja reads no other.
const FORMAT: (u64, u64) = (1, 0);

/// A dyndep file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dyndep {
    /// What it says, each output once.
    pub entries: Vec<DyndepEntry>,
}

/// What a dyndep file says of one edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DyndepEntry {
    /// One of its outputs, by which it is named.
    pub output: BuildPath,
    /// More implicit outputs.
    pub outputs: Vec<BuildPath>,
    /// More implicit inputs.
    pub inputs: Vec<BuildPath>,
    /// Whether it gains `restat`.
    pub restat: bool,
    /// Where it says so.
    pub place: Place,
}

/// Reads the bytes of a dyndep file; `path` is for messages.
pub fn read_dyndep(path: &BuildPath, bytes: &[u8], limits: &Limits) -> Result<Dyndep, Error> {
    let mut reader = Reader { budget: Budget::new(limits), scopes: Scopes::new() };
    let mut lexer = Lexer::new(shown(path.as_bytes()).into(), bytes);
    reader.budget.file(bytes.len()).map_err(|wrong| lexer.wrong(wrong))?;
    let mut version_seen = false;
    let mut entries: Vec<DyndepEntry> = Vec::new();
    let mut by_output: HashMap<BuildPath, usize> = HashMap::new();
    loop {
        let token = lexer.token()?;
        lexer.statement();
        match token {
            Token::Newline => {}
            Token::Word if !version_seen => {
                reader.version(&mut lexer)?;
                version_seen = true;
            }
            Token::Build if version_seen => {
                let entry = reader.entry(&mut lexer)?;
                if let Some(&first) = by_output.get(&entry.output) {
                    let first = entries[first].place.clone();
                    let name = entry.output.to_string();
                    return Err(Wrong::Twice { kind: "statement for", name, first }.at(entry.place));
                }
                by_output.insert(entry.output.clone(), entries.len());
                entries.push(entry);
            }
            Token::End if version_seen => return Ok(Dyndep { entries }),
            other if version_seen => return Err(lexer.expected("`build`", other)),
            other => return Err(lexer.expected("`ninja_dyndep_version = 1`", other)),
        }
    }
}

struct Reader {
    budget: Budget,
    /// Empty: a dyndep file has no variables.
    scopes: Scopes,
}

impl Reader {
    fn version(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Error> {
        let name = lexer.last_word();
        let place = lexer.place();
        if name != b"ninja_dyndep_version" {
            return Err(unknown("variable", name, [&b"ninja_dyndep_version"[..]]).at(place));
        }
        lexer.expect(Token::Equals)?;
        let expr = lexer.value()?;
        let value = self.scopes.expand(&expr, &mut self.budget).map_err(|wrong| wrong.at(place.clone()))?;
        match version(&value) {
            Some(FORMAT) => Ok(()),
            Some(_) => {
                Err(Wrong::Version { wanted: shown(&value), known: "dyndep files 1.0".to_owned() }.at(place))
            }
            None => Err(Wrong::BadVersion { value: shown(&value) }.at(place)),
        }
    }

    fn entry(&mut self, lexer: &mut Lexer<'_>) -> Result<DyndepEntry, Error> {
        let place = lexer.place();
        let Some(output) = lexer.path()? else {
            let found = lexer.token()?;
            return Err(lexer.expected("an output", found));
        };
        let output = self.path(lexer, &output)?;
        let outputs = self.list(lexer)?;
        lexer.expect(Token::Colon)?;
        let rule = lexer.word("`dyndep`")?;
        if rule != b"dyndep" {
            return Err(lexer.wrong(Wrong::Unknown {
                kind: "rule",
                name: shown(rule),
                nearest: Some("dyndep".to_owned()),
            }));
        }
        let inputs = self.list(lexer)?;
        lexer.expect(Token::Newline)?;
        let mut restat = false;
        while lexer.take(Token::Indent)? {
            let name = lexer.word("the name of a variable")?;
            lexer.statement();
            if name != b"restat" {
                return Err(lexer.wrong(unknown("variable", name, [&b"restat"[..]])));
            }
            lexer.expect(Token::Equals)?;
            let value = lexer.value()?;
            let value = self.scopes.expand(&value, &mut self.budget).map_err(|wrong| lexer.wrong(wrong))?;
            restat = !value.is_empty();
        }
        Ok(DyndepEntry { output, outputs, inputs, restat, place })
    }

    /// The implicit paths behind a `|`.
    fn list(&mut self, lexer: &mut Lexer<'_>) -> Result<Vec<BuildPath>, Error> {
        let mut paths = Vec::new();
        if lexer.take(Token::Pipe)? {
            while let Some(expr) = lexer.path()? {
                paths.push(self.path(lexer, &expr)?);
            }
        }
        Ok(paths)
    }

    fn path(&mut self, lexer: &Lexer<'_>, expr: &Expr<'_>) -> Result<BuildPath, Error> {
        let bytes = self.scopes.expand(expr, &mut self.budget).map_err(|wrong| lexer.wrong(wrong))?;
        BuildPath::new(&bytes).ok_or_else(|| lexer.wrong(Wrong::EmptyPath))
    }
}

impl Manifest {
    /// The manifest with what a dyndep file adds. The file must speak of exactly the edges that name it; what it adds must
    /// neither be made by another edge nor close a circle.
    pub fn with_dyndep(mut self, path: &BuildPath, dyndep: &Dyndep) -> Result<Self, Error> {
        let names = |manifest: &Self, edge: usize| {
            manifest.edges[edge].command().and_then(|command| command.dyndep.as_ref()) == Some(path)
        };
        let mut said: HashMap<usize, &Place> = HashMap::new();
        for entry in &dyndep.entries {
            let place = || entry.place.clone();
            let edge = self.producer(&entry.output).filter(|&edge| names(&self, edge)).ok_or_else(|| {
                Wrong::DyndepUnasked { output: entry.output.to_string(), path: path.to_string() }.at(place())
            })?;
            if let Some(first) = said.insert(edge, &entry.place) {
                let name = entry.output.to_string();
                return Err(Wrong::Twice { kind: "statement for", name, first: first.clone() }.at(place()));
            }
            for output in &entry.outputs {
                let output = self.share(output.clone());
                self.claim(&output, edge, &entry.place)?;
                self.edges[edge].outputs.implicit.push(output);
            }
            for input in &entry.inputs {
                let input = self.share(input.clone());
                self.edges[edge].inputs.implicit.push(input);
            }
            if let Action::Run(command) = &mut self.edges[edge].action {
                command.restat |= entry.restat;
            }
        }
        if let Some(edge) =
            (0..self.edges.len()).find(|&edge| names(&self, edge) && !said.contains_key(&edge))
        {
            let Edge { outputs, place, .. } = &self.edges[edge];
            let output = outputs.all().next().map_or_else(String::new, BuildPath::to_string);
            return Err(Wrong::DyndepSilent { output, path: path.to_string() }.at(place.clone()));
        }
        self.arrange()?;
        Ok(self)
    }
}
