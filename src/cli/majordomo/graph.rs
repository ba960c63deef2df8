//! `majordomo graph`.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::majordomo::{ProjectWord, Said};
use crate::cli::words::{counted, line};
use crate::majordomo::request::{Edge, Failure, GraphReport, Report, Request};

/// Show the steps, and what flows between them
///
/// Arrows come from the last traces, and from `after` and `in` of the project file.
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
        for Edge { from, path, .. } in graph.edges.iter().filter(|edge| edge.to == *step) {
            match path {
                Some(path) => line(&mut text, format_args!("    reads {path} of {from}")),
                None => line(&mut text, format_args!("    comes after {from}")),
            }
        }
    }
    text
}

/// The DOT language of GraphViz: an arrow leads from the step that makes to the step that reads.
pub(super) fn dot(graph: &GraphReport) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("digraph {} {{", quoted(&graph.project)));
    line(&mut text, "  rankdir=LR;");
    line(&mut text, "  node [shape=box];");
    for step in &graph.steps {
        line(&mut text, format_args!("  {};", quoted(step.as_str())));
    }
    for Edge { from, to, path } in &graph.edges {
        let arrow = format!("{} -> {}", quoted(from.as_str()), quoted(to.as_str()));
        match path {
            Some(path) => line(&mut text, format_args!("  {arrow} [label={}];", quoted(&path.to_string()))),
            None => line(&mut text, format_args!("  {arrow} [style=dashed];")),
        }
    }
    line(&mut text, "}");
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
