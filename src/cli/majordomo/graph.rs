//! `majordomo graph`.

use clap::Args;
use protocol::{RelPath, StepId};

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::majordomo::ProjectWord;
use crate::majordomo::request::graph::GraphReport;
use crate::majordomo::request::{Failure, Report, Request};
use crate::words::{counted, line};

/// Show the steps, and what flows between them
///
/// Arrows come from the last traces, which know what was read, and from `after`, `in` and `each` of the project file. Steps that feed
/// each other are marked.
#[derive(Debug, Args)]
pub struct GraphArgs {
    #[command(flatten)]
    project: ProjectWord,
    /// Write it for GraphViz
    #[arg(long, conflicts_with = "json")]
    dot: bool,
}

impl GraphArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let environment = context.env.texts();
        let request = |project| Request::Graph { project, environment };
        self.project.ask(context, request, |report, _| match report {
            Report::Graph(graph) if self.dot => Some(Said::Data(dot(graph))),
            Report::Graph(graph) => Some(Said::Data(render(graph))),
            _ => None,
        })
    }
}

pub(super) fn render(graph: &GraphReport) -> String {
    let mut text = String::new();
    line(
        &mut text,
        format_args!("project `{}`: {}", graph.project, counted(graph.steps.len() as u64, "step")),
    );
    for step in &graph.steps {
        line(&mut text, format_args!("  {step}"));
        for edge in graph.edges.iter().filter(|edge| edge.to == *step) {
            let from = &edge.from;
            for path in &edge.paths {
                line(&mut text, format_args!("    reads {path} of {from}"));
            }
            if edge.more > 0 {
                line(&mut text, format_args!("    reads {} more of {from}", edge.more));
            }
            if !edge.names.is_empty() {
                line(&mut text, format_args!("    lists {} of {from}", some_of(&edge.names, 0).join(", ")));
            }
            if edge.paths.is_empty() && edge.names.is_empty() {
                line(&mut text, format_args!("    comes after {from}"));
            }
        }
    }
    for cycle in &graph.cycles {
        let steps: Vec<&str> = cycle.iter().map(StepId::as_str).collect();
        line(&mut text, format_args!("in a circle: {}", steps.join(", ")));
    }
    text
}

/// Artefacts that one arrow names.
const NAMED: usize = 3;

/// The first few, and how many there are besides.
fn some_of(paths: &[RelPath], more: u64) -> Vec<String> {
    let more = paths.len().saturating_sub(NAMED) as u64 + more;
    let names = paths.iter().take(NAMED).map(ToString::to_string);
    names.chain((more > 0).then(|| format!("and {more} more"))).collect()
}

/// The DOT language of GraphViz: an arrow leads from the step that makes to the step that reads. Dotted: only names were seen.
/// Dashed: nothing was seen, the project file says so. Red: a circle.
pub(super) fn dot(graph: &GraphReport) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("digraph {} {{", quoted([&graph.project])));
    line(&mut text, "  rankdir=LR;");
    line(&mut text, "  node [shape=box];");
    for step in &graph.steps {
        line(&mut text, format_args!("  {};", quoted([step])));
    }
    for edge in &graph.edges {
        let mut marks = Vec::new();
        match (&edge.paths[..], &edge.names[..]) {
            ([], []) => marks.push("style=dashed".to_owned()),
            ([], names) => marks.push(format!("label={}, style=dotted", quoted(some_of(names, 0)))),
            (paths, _) => marks.push(format!("label={}", quoted(some_of(paths, edge.more)))),
        }
        if edge.in_cycle {
            marks.push("color=red".to_owned());
        }
        let (from, to) = (quoted([&edge.from]), quoted([&edge.to]));
        line(&mut text, format_args!("  {from} -> {to} [{}];", marks.join(", ")));
    }
    line(&mut text, "}");
    text
}

/// A text of these lines.
fn quoted(lines: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    let escaped = |line: String| line.replace('\\', "\\\\").replace('"', "\\\"");
    let lines: Vec<String> = lines.into_iter().map(|line| escaped(line.to_string())).collect();
    format!("\"{}\"", lines.join("\\n"))
}
