//! `pod chef`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::table::table;
use crate::majordomo::request::{
    ChefInfo, ChefRequest, ChefTestReport, ChefsReport, Failure, Report, Request,
};
use crate::words::{counted, line};

/// Register chefs, who know kinds of work, and look at them
///
/// A chef recognises a project and plans its steps. Those that are registered are asked beside the built-in ones wherever a
/// project has no `majordomo.toml`, or where that names them.
#[derive(Debug, Args)]
pub struct ChefArgs {
    #[command(subcommand)]
    command: Command,
    /// Write the report as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register a chef, or another version of one: its files are copied into the larder
    Add {
        /// A folder with a `chef.toml`, or one program that says the same in its comments
        #[arg(value_name = "DIR|FILE")]
        from: PathBuf,
    },
    /// Show all chefs
    List,
    /// Show all that is known of one chef
    Show {
        /// Its name
        name: String,
    },
    /// Forget a registered chef
    Remove {
        /// Its name
        name: String,
    },
    /// Ask a chef no more, be it registered or built in
    Disable {
        /// Its name
        name: String,
    },
    /// Ask a disabled chef again, or one that another pod lends wherever no chef is named
    Enable {
        /// Its name
        name: String,
    },
    /// Ask a chef, registered or not, its own examples: exit code 1 if an answer is another one
    ///
    /// An example is a folder `examples/NAME` with `request.json`, `answer.json`, and `project/` if a project is to be there.
    Test {
        /// The chef's folder, or its one program, which has the examples beside it
        #[arg(value_name = "DIR|FILE")]
        from: PathBuf,
    },
}

impl ChefArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let cwd = context.cwd()?.to_owned();
        let place = |from: PathBuf| cwd.join(from).components().collect();
        let (request, words): (_, fn(&ChefsReport) -> String) = match self.command {
            Command::Add { from } => (ChefRequest::Add { from: place(from) }, added),
            Command::List => (ChefRequest::List, |report| list(report)),
            Command::Show { name } => {
                (ChefRequest::Show { name }, |report| report.chefs.iter().map(show).collect())
            }
            Command::Remove { name } => (ChefRequest::Remove { name }, |report| said(report, "is forgotten")),
            Command::Disable { name } => {
                (ChefRequest::Enable { name, is_enabled: false }, |report| said(report, "is asked no more"))
            }
            Command::Enable { name } => {
                (ChefRequest::Enable { name, is_enabled: true }, |report| said(report, "is asked"))
            }
            Command::Test { from } => {
                let environment = context.env.texts();
                (ChefRequest::Test { from: place(from), environment }, |_| String::new())
            }
        };
        let report = context.report(Request::Chef(request), &mut |_| ())?;
        context.tell(&report, self.json, |report, _| match report {
            Report::Chefs(chefs) => Some(Said::Data(words(chefs))),
            Report::ChefTest(test) => Some(Said::Data(tested(test))),
            _ => None,
        })?;
        let is_good = match &report {
            Report::ChefTest(test) => test.examples.iter().all(|example| example.failure.is_none()),
            _ => true,
        };
        Ok(if is_good { Exit::Done } else { Exit::StepFailed })
    }
}

fn said(report: &ChefsReport, what: &str) -> String {
    let mut text = String::new();
    for chef in &report.chefs {
        line(&mut text, format_args!("the chef `{}` {what}", chef.name));
    }
    text
}

fn added(report: &ChefsReport) -> String {
    let mut text = String::new();
    for chef in &report.chefs {
        let before = match &report.replaced {
            Some(before) => format!(", in place of version {before}"),
            None => String::new(),
        };
        line(
            &mut text,
            format_args!("the chef `{}` is registered: version {}{before}", chef.name, chef.version),
        );
        if !chef.is_enabled {
            line(&mut text, format_args!("it is disabled: `pod chef enable {}` lets it be asked", chef.name));
        }
        for tool in &chef.missing {
            line(&mut text, format_args!("it wants `{tool}`, which is not on this machine"));
        }
    }
    text
}

pub(super) fn list(report: &ChefsReport) -> String {
    let rows: Vec<[String; 4]> = report.chefs.iter().map(row).collect();
    table(&rows, None)
}

fn row(chef: &ChefInfo) -> [String; 4] {
    let place = match &chef.tree {
        Some(tree) => tree.short(),
        None => "built in".to_owned(),
    };
    let state = match (chef.is_enabled, chef.missing.as_slice()) {
        (false, _) => "disabled".to_owned(),
        (true, []) => match (chef.lent_by, chef.is_asked) {
            (None, _) => String::new(),
            (Some(_), true) => "lent by another pod".to_owned(),
            (Some(_), false) => "lent by another pod, asked where it is named".to_owned(),
        },
        (true, missing) => format!("wants {}", missing.join(", ")),
    };
    [chef.name.clone(), chef.version.clone(), place, state]
}

pub(super) fn show(chef: &ChefInfo) -> String {
    let mut text = String::new();
    let state = if chef.is_enabled { "" } else { ", disabled" };
    line(&mut text, format_args!("{} {}{state}", chef.name, chef.version));
    line(&mut text, format_args!("  protocol    {}", chef.protocol));
    match &chef.tree {
        None => line(&mut text, "  built in"),
        Some(tree) => {
            line(&mut text, format_args!("  content     {tree}"));
            line(&mut text, format_args!("  program     {}", chef.program));
            if let Some(pod) = &chef.lent_by {
                line(&mut text, format_args!("  lent by     {pod}"));
                if chef.is_enabled && !chef.is_asked {
                    let name = &chef.name;
                    line(
                        &mut text,
                        format_args!(
                            "  is asked    where a project file names it; `pod chef enable {name}`: everywhere"
                        ),
                    );
                }
            }
        }
    }
    for (what, all) in [
        ("recognises  ", &chef.recognises),
        ("tools       ", &chef.tools),
        ("missing     ", &chef.missing),
        ("projections ", &chef.projections),
    ] {
        if !all.is_empty() {
            line(&mut text, format_args!("  {what}{}", all.join(", ")));
        }
    }
    for (name, patterns) in &chef.normalisers {
        line(&mut text, format_args!("  normaliser  {name} for {}", patterns.join(", ")));
    }
    if let Some(timeout) = chef.timeout {
        line(&mut text, format_args!("  timeout     {timeout} s"));
    }
    for (key, value) in &chef.defaults {
        line(&mut text, format_args!("  default     {key} = {value}"));
    }
    text
}

pub(super) fn tested(test: &ChefTestReport) -> String {
    let mut text = String::new();
    for example in &test.examples {
        match &example.failure {
            None => line(&mut text, format_args!("{}: as it should be", example.name)),
            Some(why) => {
                line(&mut text, format_args!("{}: {}", example.name, why.trim_end()));
            }
        }
    }
    let good = test.examples.iter().filter(|example| example.failure.is_none()).count();
    let all = counted(test.examples.len() as u64, "example");
    line(
        &mut text,
        format_args!("the chef `{}` {}: {good} of {all} answered as they should", test.chef, test.version),
    );
    text
}
