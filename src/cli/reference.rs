//! The reference pages that come from the code: `docs/reference/cli.md` is written from the command trees; of
//! `docs/reference/events.md` it is checked that no event is missing.

use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::cli::{majordomo, pod};
use crate::env_vars::{self, UPDATE_DOCS};
use crate::words::line;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference");

fn page() -> String {
    let mut page = String::new();
    line(&mut page, "# Commands\n");
    line(
        &mut page,
        "<!-- Generated from the command trees: `UPDATE_DOCS=1 cargo nextest run -p computepods reference`. -->\n",
    );
    line(
        &mut page,
        "Exit codes: [exit-codes.md](exit-codes.md). Events of `--events`: [events.md](events.md).\n",
    );
    for tree in [majordomo::Cli::command(), pod::Cli::command()] {
        // Without this, `help` and global options are not there yet.
        let mut tree = tree.disable_help_subcommand(true);
        tree.build();
        command(&mut page, &tree, tree.get_name());
    }
    line(&mut page, "## Environment\n");
    line(&mut page, "| variable | what it does |\n|---|---|");
    for var in env_vars::ALL {
        line(&mut page, format_args!("| `{}` | {} |", var.name, var.help));
    }
    page
}

fn command(page: &mut String, tree: &Command, name: &str) {
    line(page, format_args!("## `{name}`\n"));
    if let Some(about) = tree.get_long_about().or(tree.get_about()) {
        line(page, format_args!("{about}\n"));
    }
    let usage = tree.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace("\n       ", "\n");
    line(page, format_args!("```text\n{}\n```\n", usage.trim()));
    let own = |arg: &&Arg| !arg.is_hide_set() && !arg.is_global_set();
    let root = !name.contains(' ');
    let shown: Vec<&Arg> = tree
        .get_arguments()
        .filter(|arg| {
            !matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpLong | ArgAction::HelpShort)
        })
        .filter(|arg| root || own(arg))
        .collect();
    if !shown.is_empty() {
        line(page, if root { "| with every command | |\n|---|---|" } else { "| argument | |\n|---|---|" });
        for arg in shown {
            line(page, format_args!("| {} | {} |", spelling(arg), help(arg)));
        }
        page.push('\n');
    }
    if let Some(examples) = tree.get_after_help() {
        line(page, format_args!("```text\n{examples}\n```\n"));
    }
    for below in tree.get_subcommands().filter(|below| !below.is_hide_set()) {
        command(page, below, &format!("{name} {}", below.get_name()));
    }
}

fn spelling(arg: &Arg) -> String {
    let value = match (arg.get_action().takes_values(), arg.get_value_names()) {
        (true, Some(names)) => names.join(" "),
        _ => String::new(),
    };
    let dashes =
        [arg.get_short().map(|short| format!("-{short}")), arg.get_long().map(|long| format!("--{long}"))];
    let dashes: Vec<String> = dashes.into_iter().flatten().collect();
    let words = match (dashes.is_empty(), value.is_empty()) {
        (true, _) => value.replace('|', "\\|"),
        (false, true) => dashes.join("`, `"),
        (false, false) => format!("{} {value}", dashes.join("`, `")),
    };
    format!("`{words}`")
}

fn help(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    let values: Vec<String> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if arg.get_action().takes_values() && !values.is_empty() {
        text.push_str(&format!(": {}", values.join(", ")));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        text.push_str(&format!(" (default `{}`)", defaults.join(" ")));
    }
    text
}

#[test]
fn cli_page_is_up_to_date() {
    let path = format!("{DOCS}/cli.md");
    let page = page();
    if std::env::var_os(UPDATE_DOCS).is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "`docs/reference/cli.md` differs from the command trees: run this test with {UPDATE_DOCS}=1"
    );
}

#[test]
fn events_page_names_every_event_and_field() {
    use protocol::event::{EVENT_SCHEMA, Event, How, Limited, Outcome, Stream};
    use protocol::{BuildId, StepId};

    let page = std::fs::read_to_string(format!("{DOCS}/events.md")).unwrap();
    let (step, text) = (StepId::new("a"), String::new());
    let path: protocol::RelPath = "a".parse().unwrap();
    let events = [
        Event::BuildStarted { schema: EVENT_SCHEMA, build: BuildId::from_random(1) },
        Event::Planned { steps: 1 },
        Event::StepStarted { step: step.clone(), pod: text.clone(), reason: text.clone() },
        Event::StepOutput { step: step.clone(), stream: Stream::Stdout, text: text.clone() },
        Event::StepHeld { step: step.clone(), on: path },
        Event::StepResumed { step: step.clone() },
        Event::StepRestarted { step: step.clone(), why: text.clone() },
        Event::StepUsed { step: step.clone(), user: 0.0, system: 0.0, memory: 0 },
        Event::StepFinished {
            step,
            how: How::Ran,
            exit: Some(0),
            failure: None,
            reason: None,
            limit: Some(Limited::Disk),
            command: Some(text.clone()),
            seconds: 0.0,
        },
        Event::StepExplained { step: StepId::new("a"), reasons: Vec::new() },
        Event::Note { warning: true, text },
        Event::BuildFinished {
            outcome: Outcome::Success,
            steps: 1,
            ran: 1,
            reused: 0,
            failed: 0,
            written: 1,
            seconds: 0.0,
        },
    ];
    for event in &events {
        // A new variant does not compile here until it is in the list above.
        match event {
            Event::BuildStarted { .. } | Event::Planned { .. } | Event::StepStarted { .. } => {}
            Event::StepOutput { .. } | Event::StepHeld { .. } | Event::StepResumed { .. } => {}
            Event::StepRestarted { .. } | Event::StepUsed { .. } | Event::StepFinished { .. } => {}
            Event::StepExplained { .. } | Event::Note { .. } | Event::BuildFinished { .. } => {}
        }
        let fields = serde_json::to_value(event).unwrap();
        let name = fields["event"].as_str().unwrap();
        let (_, section) =
            page.split_once(&format!("### `{name}`")).unwrap_or_else(|| panic!("no section for `{name}`"));
        let section = section.split("\n### ").next().unwrap();
        for field in fields.as_object().unwrap().keys().filter(|field| *field != "event") {
            assert!(section.contains(&format!("`{field}`")), "`{field}` of `{name}` is not in the page");
        }
    }
    assert!(page.contains(&format!("schema: {EVENT_SCHEMA}")));
}
