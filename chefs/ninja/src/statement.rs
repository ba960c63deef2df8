//! The `build` statement: one edge.

use std::collections::HashMap;
use std::rc::Rc;

use crate::error::{Error, Place, Wrong, shown};
use crate::expr::Expr;
use crate::lexer::{Lexer, Token};
use crate::manifest::{
    Action, Command, Deps, Edge, Inputs, Outputs, PoolName, ResponseFile, Warning, WarningKind,
};
use crate::parser::{Binding, CONSOLE, Parser, unknown};
use crate::path::BuildPath;
use crate::rule::{EdgeScope, Paths, Rule, RuleVariable};
use crate::scope::{PHONY, ScopeId, Scopes, Variables};

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

/// An edge of which only the paths are known yet.
pub(crate) struct Pending {
    /// Its index.
    edge: usize,
    rule: Rc<Rule>,
    /// Its own variables; `None` if it has no block.
    own: Option<Variables>,
    /// The scope of its file.
    file: ScopeId,
    pool: Option<PoolName>,
    dyndep: Option<BuildPath>,
}

impl Pending {
    fn scope<'a>(
        &'a self,
        scopes: &'a Scopes,
        inputs: &'a [BuildPath],
        outputs: &'a [BuildPath],
    ) -> EdgeScope<'a> {
        EdgeScope { scopes, file: self.file, own: self.own.as_ref(), rule: &self.rule, inputs, outputs }
    }
}

impl Parser<'_> {
    /// `build …`, and the block below it.
    pub(crate) fn edge(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Error> {
        let line = Line::read(lexer)?;
        // `phony` is known everywhere.
        let phony = line.rule == PHONY;
        let rule = if phony { Ok(self.phony.clone()) } else { self.scopes.rule(line.rule) };
        let rule = rule.map_err(|nearest| {
            Wrong::Unknown { kind: "rule", name: shown(line.rule), nearest }.at(line.rule_place.clone())
        })?;
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
        let file = self.scopes.current();
        let pending =
            Pending { edge: self.manifest.edges().len(), rule, own, file, pool: None, dyndep: None };
        let pending = self.early(pending, &edge).map_err(at)?;
        if phony {
            self.drop_itself(&mut edge);
        } else {
            self.pending.push(pending);
        }
        self.manifest.push(edge)
    }

    /// Adds what ninja looks up while it reads: the pool, when it knows the paths of the edge not yet, and the dyndep file.
    fn early(&mut self, mut pending: Pending, edge: &Edge) -> Result<Pending, Wrong> {
        let pool = pending.scope(&self.scopes, &[], &[]).value(
            RuleVariable::Pool,
            Paths::Quoted,
            &mut self.budget,
        )?;
        if !pool.is_empty() {
            let pool = PoolName::new(&pool);
            if !pool.is_console() && !self.pools.contains_key(&pool) {
                let known = self.pools.keys().map(PoolName::as_bytes);
                return Err(unknown("pool", pool.as_bytes(), known.chain([CONSOLE])));
            }
            pending.pool = Some(pool);
        }
        let scope = pending.scope(&self.scopes, &edge.inputs.explicit, &edge.outputs.explicit);
        let dyndep = scope.value(RuleVariable::Dyndep, Paths::Bare, &mut self.budget)?;
        if let Some(path) = BuildPath::new(&dyndep) {
            let path = self.manifest.share(path);
            if !edge.inputs.all().any(|input| *input == path) {
                return Err(Wrong::DyndepNotInput { path: path.to_string() });
            }
            pending.dyndep = Some(path);
        }
        Ok(pending)
    }

    /// When all files have been read: the commands.
    pub(crate) fn commands(&mut self) -> Result<(), Error> {
        for pending in std::mem::take(&mut self.pending) {
            let edge = &mut self.manifest.edges[pending.edge];
            let scope = pending.scope(&self.scopes, &edge.inputs.explicit, &edge.outputs.explicit);
            let at = |wrong: Wrong| wrong.at(edge.place.clone());
            let mut command = command(&scope, &mut self.budget).map_err(at)?;
            command.pool = pending.pool;
            command.dyndep = pending.dyndep;
            edge.action = Action::Run(Box::new(command));
        }
        Ok(())
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
                match own.or_else(|| self.scopes.get(self.scopes.current(), name)) {
                    Some(text) => budget.append(text, value),
                    None => Ok(()),
                }
            })?;
            let path = BuildPath::new(&bytes).ok_or(Wrong::EmptyPath)?;
            paths.push(self.manifest.share(path));
        }
        Ok(paths)
    }

    /// CMake 2.8.12 and 3.0 wrote `phony` edges that need themselves; ninja lets the plainest of them
    /// pass with a warning, and so do we.
    fn drop_itself(&mut self, edge: &mut Edge) {
        let Outputs { explicit, implicit } = &edge.outputs;
        let ([output], [], []) = (&explicit[..], &implicit[..], &edge.inputs.implicit[..]) else { return };
        let output = output.clone();
        let before = edge.inputs.explicit.len();
        edge.inputs.explicit.retain(|input| *input != output);
        if edge.inputs.explicit.len() != before {
            let kind = WarningKind::PhonyNeedsItself { path: output };
            self.manifest.warnings.push(Warning { place: edge.place.clone(), kind });
        }
    }
}

/// Expands what a rule says for an edge, without what is known since it was read.
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
        dyndep: None,
        pool: None,
        restat: scope.is_set(V::Restat, budget)?,
        generator: scope.is_set(V::Generator, budget)?,
    })
}
