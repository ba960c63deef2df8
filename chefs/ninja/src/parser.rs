//! Files: statements at the start of a line, and blocks of variables below them.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::budget::{Budget, Limits};
use crate::error::{Error, Place, Wrong, shown};
use crate::expr::Expr;
use crate::files::Files;
use crate::lexer::{KEYWORDS, Lexer, Token};
use crate::manifest::{Manifest, PoolName, Warning, WarningKind};
use crate::nearest::nearest;
use crate::path::BuildPath;
use crate::rule::{Rule, RuleVariable};
use crate::scope::{PHONY, Scopes};
use crate::statement::Pending;

/// The version of ninja whose language is read here.
const LANGUAGE: (u64, u64) = (1, 12);

/// The pool of edges that want the terminal.
pub(crate) const CONSOLE: &[u8] = b"console";

/// Reads a ninja file and all that it includes.
///
/// `top` is its path, as `files` knows it. What it says is expanded and checked as a whole: the first mistake ends it.
pub fn read(top: &[u8], files: &mut dyn Files, limits: &Limits) -> Result<Manifest, Error> {
    let place = Place { file: shown(top).into(), line: 1, column: 1 };
    let mut parser = Parser {
        files,
        budget: Budget::new(limits),
        scopes: Scopes::new(),
        phony: Rc::new(Rule::new(PHONY, place.clone())),
        manifest: Manifest::new(),
        pools: HashMap::new(),
        pending: vec![],
        open: 0,
    };
    parser.file(top, &place)?;
    parser.commands()?;
    let Parser { mut manifest, scopes, .. } = parser;
    manifest.builddir =
        scopes.get(scopes.current(), b"builddir").filter(|folder| !folder.is_empty()).map(<[u8]>::to_vec);
    manifest.arrange()?;
    Ok(manifest)
}

/// Everything between the files.
pub(crate) struct Parser<'f> {
    files: &'f mut dyn Files,
    pub budget: Budget,
    pub scopes: Scopes,
    /// The rule that sets nothing and runs nothing.
    pub phony: Rc<Rule>,
    pub manifest: Manifest,
    /// Where pools are.
    pub pools: HashMap<PoolName, Place>,
    /// Edges whose commands are to be expanded at the end.
    pub pending: Vec<Pending>,
    open: usize,
}

impl Parser<'_> {
    fn file(&mut self, path: &[u8], from: &Place) -> Result<(), Error> {
        let at = |wrong: Wrong| wrong.at(from.clone());
        self.budget.open(self.open).map_err(at)?;
        let text = self
            .files
            .read(path, self.budget.file_bytes())
            .map_err(|source| at(Wrong::Unreadable { path: shown(path), source }))?;
        let name: Arc<str> = shown(path).into();
        let start = Place { file: name.clone(), line: 1, column: 1 };
        self.budget.file(text.len()).map_err(|wrong| wrong.at(start))?;
        self.manifest.files.push(path.to_vec());
        self.open += 1;
        self.statements(&mut Lexer::new(name, &text))?;
        self.open -= 1;
        Ok(())
    }

    fn statements(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Error> {
        loop {
            let token = lexer.token()?;
            lexer.statement();
            match token {
                Token::Build => self.edge(lexer)?,
                Token::Rule => self.rule(lexer)?,
                Token::Pool => self.pool(lexer)?,
                Token::Default => self.default(lexer)?,
                Token::Include | Token::Subninja => self.include(lexer, token)?,
                Token::Word => self.variable(lexer)?,
                Token::Newline => {}
                Token::End => return Ok(()),
                other => return Err(lexer.expected("a statement", other)),
            }
        }
    }

    /// `name = value`, at the start of a line.
    fn variable(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Error> {
        let name = lexer.last_word();
        let place = lexer.place();
        if !lexer.take(Token::Equals)? {
            let nearest = nearest(name, KEYWORDS);
            return Err(Wrong::NoStatement { word: shown(name), nearest }.at(place));
        }
        let expr = lexer.value()?;
        let value = self.expand(lexer, &expr)?;
        if name == b"ninja_required_version" {
            self.required_version(&value, place)?;
        }
        self.scopes.set(name, value);
        Ok(())
    }

    fn required_version(&mut self, value: &[u8], place: Place) -> Result<(), Error> {
        let Some(wanted) = version(value) else {
            return Err(Wrong::BadVersion { value: shown(value) }.at(place));
        };
        if wanted > LANGUAGE {
            let known = format!("{}.{}", LANGUAGE.0, LANGUAGE.1);
            return Err(Wrong::Version { wanted: shown(value), known }.at(place));
        }
        if wanted.0 < LANGUAGE.0 {
            self.manifest
                .warnings
                .push(Warning { place, kind: WarningKind::OldVersion { version: shown(value) } });
        }
        Ok(())
    }

    /// The next line of a block: a name and a value. `None` when the block ends.
    pub fn binding<'a>(&mut self, lexer: &mut Lexer<'a>) -> Result<Option<Binding<'a>>, Error> {
        if !lexer.take(Token::Indent)? {
            return Ok(None);
        }
        let name = lexer.word("the name of a variable")?;
        lexer.statement();
        let place = lexer.place();
        lexer.expect(Token::Equals)?;
        Ok(Some(Binding { name, place, value: lexer.value()? }))
    }

    fn rule(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Error> {
        let name = lexer.word("the name of a rule")?;
        let place = lexer.place();
        lexer.expect(Token::Newline)?;
        if name == PHONY {
            return Err(Wrong::BuiltIn { kind: "rule", name: "phony" }.at(place));
        }
        let mut rule = Rule::new(name, place.clone());
        while let Some(Binding { name, place, value }) = self.binding(lexer)? {
            let Some(variable) = RuleVariable::by_name(name) else {
                let known = RuleVariable::ALL.map(|variable| variable.name().as_bytes());
                return Err(unknown("rule variable", name, known).at(place));
            };
            rule.set(variable, value.into_owned());
        }
        rule.check().map_err(|wrong| wrong.at(place.clone()))?;
        self.scopes.define(rule).map_err(|first| {
            Wrong::Twice { kind: "rule", name: shown(name), first: first.place.clone() }.at(place)
        })
    }

    fn pool(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Error> {
        let name = lexer.word("the name of a pool")?;
        let place = lexer.place();
        lexer.expect(Token::Newline)?;
        if name == CONSOLE {
            return Err(Wrong::BuiltIn { kind: "pool", name: "console" }.at(place));
        }
        let name = PoolName::new(name);
        if let Some(first) = self.pools.get(&name) {
            return Err(Wrong::Twice { kind: "pool", name: name.to_string(), first: first.clone() }.at(place));
        }
        let mut depth = None;
        while let Some(Binding { name, place, value }) = self.binding(lexer)? {
            if name != b"depth" {
                return Err(unknown("pool variable", name, [&b"depth"[..]]).at(place));
            }
            let value = self.expand(lexer, &value)?;
            let number = std::str::from_utf8(&value).ok().and_then(|text| text.parse::<u32>().ok());
            // `parse` would take a sign.
            let digits = value.iter().all(u8::is_ascii_digit);
            match number.filter(|_| digits) {
                Some(number) => depth = Some(number),
                None => return Err(Wrong::BadDepth { value: shown(&value) }.at(place)),
            }
        }
        let Some(depth) = depth else { return Err(Wrong::NoDepth { name: name.to_string() }.at(place)) };
        self.pools.insert(name.clone(), place);
        self.manifest.pools.insert(name, depth);
        Ok(())
    }

    fn default(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Error> {
        let mut any = false;
        while let Some(expr) = lexer.path()? {
            any = true;
            let place = lexer.place();
            let bytes = self.expand(lexer, &expr)?;
            let Some(path) = BuildPath::new(&bytes) else { return Err(Wrong::EmptyPath.at(place)) };
            let Some(path) = self.manifest.known(&path) else {
                let outputs = self.manifest.edges().iter().flat_map(|edge| edge.outputs.all());
                return Err(unknown("target", path.as_bytes(), outputs.map(BuildPath::as_bytes)).at(place));
            };
            self.manifest.defaults.push(path);
        }
        if !any {
            let found = lexer.token()?;
            return Err(lexer.expected("a target", found));
        }
        lexer.expect(Token::Newline)
    }

    fn include(&mut self, lexer: &mut Lexer<'_>, how: Token) -> Result<(), Error> {
        let Some(expr) = lexer.path()? else {
            let found = lexer.token()?;
            return Err(lexer.expected("the path of a file", found));
        };
        let place = lexer.place();
        let path = self.expand(lexer, &expr)?;
        lexer.expect(Token::Newline)?;
        if path.is_empty() {
            return Err(Wrong::EmptyPath.at(place));
        }
        if how == Token::Include {
            return self.file(&path, &place);
        }
        let parent = self.scopes.enter();
        self.file(&path, &place)?;
        self.scopes.leave(parent);
        Ok(())
    }

    fn expand(&mut self, lexer: &Lexer<'_>, expr: &Expr<'_>) -> Result<Vec<u8>, Error> {
        self.scopes.expand(expr, &mut self.budget).map_err(|wrong| lexer.wrong(wrong))
    }
}

/// A variable of a block.
pub(crate) struct Binding<'a> {
    pub name: &'a [u8],
    pub place: Place,
    pub value: Expr<'a>,
}

/// A name that is not known, and the nearest that is.
pub(crate) fn unknown<'a>(
    kind: &'static str,
    name: &[u8],
    known: impl IntoIterator<Item = &'a [u8]>,
) -> Wrong {
    Wrong::Unknown { kind, name: shown(name), nearest: nearest(name, known) }
}

/// The first two numbers of a version; what stands behind them does not matter.
pub(crate) fn version(text: &[u8]) -> Option<(u64, u64)> {
    let number = |text: &[u8]| {
        let digits = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
        let number = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
        Some((number, digits))
    };
    let (major, digits) = number(text)?;
    let minor = match text[digits..].strip_prefix(b".") {
        Some(rest) => number(rest)?.0,
        None => 0,
    };
    Some((major, minor))
}
