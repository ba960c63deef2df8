//! The `build` statement: one edge.

use std::collections::HashMap;

use crate::error::{Error, Place, Wrong, shown};
use crate::expr::Expr;
use crate::lexer::{Lexer, Token};
use crate::manifest::{
    Action, Command, Deps, Edge, Inputs, Outputs, PoolName, ResponseFile, Warning, WarningKind,
};
use crate::parser::{Binding, CONSOLE, Parser, unknown};
use crate::path::BuildPath;
use crate::rule::{EdgeScope, Paths, RuleVariable};
use crate::scope::{PHONY, Variables};

/// The line as it was written: paths are expanded only when the variables of the block below are known.
struct Line<'a> {
    place: Place,
    outputs: Vec<Expr<'a>>,
    implicit_outputs: Vec<Expr<'a>>,
    rule: &'a [u8],
    rule_place: Place,
    inputs: Vec<Expr<'a>>,
    implicit_inputs: Vec<Expr<'a>>,
    order_only: Vec<Expr<'a>>,
    validations: Vec<Expr<'a>>,
}

impl<'a> Line<'a> {
    fn read(lexer: &mut Lexer<'a>) -> Result<Self, Error> {
        let place = lexer.place();
        let outputs = list(lexer)?;
        let implicit_outputs = list_behind(Token::Pipe, lexer)?;
        if outputs.is_empty() && implicit_outputs.is_empty() {
            let found = lexer.token()?;
            return Err(lexer.expected("an output", found));
        }
        lexer.expect(Token::Colon)?;
        let rule = lexer.word("the name of a rule")?;
        let rule_place = lexer.place();
        let inputs = list(lexer)?;
        let implicit_inputs = list_behind(Token::Pipe, lexer)?;
        let order_only = list_behind(Token::PipePipe, lexer)?;
        let validations = list_behind(Token::PipeAt, lexer)?;
        lexer.expect(Token::Newline)?;
        Ok(Self {
            place,
            outputs,
            implicit_outputs,
            rule,
            rule_place,
            inputs,
            implicit_inputs,
            order_only,
            validations,
        })
    }
}

fn list<'a>(lexer: &mut Lexer<'a>) -> Result<Vec<Expr<'a>>, Error> {
    let mut paths = Vec::new();
    while let Some(path) = lexer.path()? {
        paths.push(path);
    }
    Ok(paths)
}

fn list_behind<'a>(token: Token, lexer: &mut Lexer<'a>) -> Result<Vec<Expr<'a>>, Error> {
    if lexer.take(token)? { list(lexer) } else { Ok(vec![]) }
}

impl Parser<'_> {
    /// `build …`, and the block below it.
    pub(crate) fn edge(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Error> {
        let line = Line::read(lexer)?;
        // `phony` is known everywhere, and has no variables.
        let rule = match line.rule {
            PHONY => None,
            name => Some(self.scopes.rule(name).map_err(|nearest| {
                Wrong::Unknown { kind: "rule", name: shown(name), nearest }.at(line.rule_place.clone())
            })?),
        };
        let own = self.variables(lexer)?;
        let at = |wrong: Wrong| wrong.at(line.place.clone());
        let mut paths = |exprs: &[Expr<'_>]| self.paths(exprs, own.as_ref()).map_err(at);
        let mut edge = Edge {
            outputs: Outputs { explicit: paths(&line.outputs)?, implicit: paths(&line.implicit_outputs)? },
            inputs: Inputs {
                explicit: paths(&line.inputs)?,
                implicit: paths(&line.implicit_inputs)?,
                order_only: paths(&line.order_only)?,
            },
            validations: paths(&line.validations)?,
            action: Action::Phony,
            place: line.place.clone(),
        };
        match rule {
            Some(rule) => {
                let scope = EdgeScope {
                    scopes: &self.scopes,
                    own: own.as_ref(),
                    rule: &rule,
                    inputs: &edge.inputs.explicit,
                    outputs: &edge.outputs.explicit,
                };
                let mut command = command(&scope, &mut self.budget).map_err(at)?;
                self.check(&edge, &mut command).map_err(at)?;
                edge.action = Action::Run(Box::new(command));
            }
            None => self.drop_itself(&mut edge),
        }
        self.manifest.push(edge)
    }

    /// The variables of the block; `None` if there is no block.
    fn variables(&mut self, lexer: &mut Lexer<'_>) -> Result<Option<Variables>, Error> {
        let mut own = None;
        while let Some(Binding { name, place, value }) = self.binding(lexer)? {
            // In the file's scope: variables of a block do not see each other.
            let value = self.scopes.expand(&value, &mut self.budget).map_err(|wrong| wrong.at(place))?;
            own.get_or_insert_with(HashMap::new).insert(name.to_vec(), value);
        }
        Ok(own)
    }

    fn paths(&mut self, exprs: &[Expr<'_>], own: Option<&Variables>) -> Result<Vec<BuildPath>, Wrong> {
        let mut paths = Vec::with_capacity(exprs.len());
        for expr in exprs {
            let mut bytes = Vec::new();
            expr.expand(&mut bytes, &mut self.budget, |name, value, budget| {
                let own = own.and_then(|own| own.get(name)).map(Vec::as_slice);
                match own.or_else(|| self.scopes.get(name)) {
                    Some(text) => budget.append(text, value),
                    None => Ok(()),
                }
            })?;
            let path = BuildPath::new(&bytes).ok_or(Wrong::EmptyPath)?;
            paths.push(self.manifest.share(path));
        }
        Ok(paths)
    }

    /// What can be said only with the other statements at hand.
    fn check(&mut self, edge: &Edge, command: &mut Command) -> Result<(), Wrong> {
        if let Some(pool) = &command.pool
            && pool.as_bytes() != CONSOLE
            && !self.pools.contains_key(pool)
        {
            let known = self.pools.keys().map(PoolName::as_bytes);
            return Err(unknown("pool", pool.as_bytes(), known.chain([CONSOLE])));
        }
        if let Some(path) = &command.dyndep {
            let path = self.manifest.share(path.clone());
            if !edge.inputs.all().any(|input| *input == path) {
                return Err(Wrong::DyndepNotInput { path: path.to_string() });
            }
            command.dyndep = Some(path);
        }
        Ok(())
    }

    /// CMake 2.8.12 and 3.0 wrote `phony` edges that need themselves; ninja lets them pass with a warning, and so do we.
    fn drop_itself(&mut self, edge: &mut Edge) {
        let ([output], []) = (&edge.outputs.explicit[..], &edge.outputs.implicit[..]) else { return };
        let output = output.clone();
        let before = edge.inputs.explicit.len();
        edge.inputs.explicit.retain(|input| *input != output);
        if edge.inputs.explicit.len() != before {
            let kind = WarningKind::PhonyNeedsItself { path: output };
            self.manifest.warnings.push(Warning { place: edge.place.clone(), kind });
        }
    }
}

/// Expands what a rule says for an edge.
fn command(scope: &EdgeScope<'_>, budget: &mut crate::budget::Budget) -> Result<Command, Wrong> {
    use RuleVariable as V;
    let path = |value: Vec<u8>| BuildPath::new(&value);
    let depfile = path(scope.value(V::Depfile, Paths::Bare, budget)?);
    let deps = match &scope.value(V::Deps, Paths::Quoted, budget)?[..] {
        b"" => None,
        b"gcc" if depfile.is_none() => return Err(Wrong::DepsWithoutDepfile),
        b"gcc" => Some(Deps::Gcc),
        b"msvc" => Some(Deps::Msvc { prefix: scope.value(V::MsvcDepsPrefix, Paths::Quoted, budget)? }),
        other => return Err(unknown("kind of `deps`", other, [&b"gcc"[..], b"msvc"])),
    };
    let pool = scope.value(V::Pool, Paths::Quoted, budget)?;
    let response_file = match path(scope.value(V::Rspfile, Paths::Bare, budget)?) {
        Some(path) => {
            Some(ResponseFile { path, content: scope.value(V::RspfileContent, Paths::Quoted, budget)? })
        }
        None => None,
    };
    Ok(Command {
        rule: scope.rule.name.clone(),
        text: scope.value(V::Command, Paths::Quoted, budget)?,
        description: scope.value(V::Description, Paths::Quoted, budget)?,
        response_file,
        depfile,
        deps,
        dyndep: path(scope.value(V::Dyndep, Paths::Bare, budget)?),
        pool: if pool.is_empty() { None } else { Some(PoolName::new(&pool)) },
        restat: scope.is_set(V::Restat, budget)?,
        generator: scope.is_set(V::Generator, budget)?,
    })
}
