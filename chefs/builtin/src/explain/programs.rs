//! What fails without a compiler: programs that are missing, make, `configure`, cargo, and the network that is not there.

use protocol::chef::Reason;

use super::place::with_line;
use super::{Printed, debian, quoted};

/// What programs say that find no network.
const NO_NETWORK: [&str; 6] = [
    "Could not resolve host",
    "Temporary failure in name resolution",
    "unable to resolve host address",
    "Network is unreachable",
    "Name or service not known",
    "failed to lookup address information",
];

/// The step wants the network.
pub fn network(printed: &Printed<'_>) -> Option<Reason> {
    let line = printed.line();
    NO_NETWORK.iter().find(|words| line.contains(*words))?;
    let host = ["Could not resolve host: ", "unable to resolve host address "]
        .iter()
        .find_map(|words| line.split_once(words))
        .and_then(|(_, host)| host.split_whitespace().next())
        .map(|host| host.trim_matches(['‘', '’', '\'', '"', '`', ',', ';']));
    let wanted = host.map_or("the network".to_owned(), |host| format!("`{host}`"));
    let text = format!(
        "it wants {wanted}, and steps have no network: fetch it beforehand, or say `network = true` for the step in `majordomo.toml`"
    );
    Some(Reason { text, path: None, line: None })
}

/// A program is not installed: the words of shells, make and env.
pub fn missing(printed: &Printed<'_>) -> Option<Reason> {
    let line = printed.line();
    let before = line.strip_suffix(": not found").or_else(|| line.strip_suffix(": command not found"));
    let by_make = || {
        let (make, rest) = line.strip_suffix(": No such file or directory")?.split_once(": ")?;
        let is_one = make.starts_with("make") || make.ends_with("env");
        is_one.then_some(rest)
    };
    let program = before.or_else(by_make)?;
    let program = program.rsplit_once(": ").map_or(program, |(_, program)| program);
    let program = program.trim_matches(['‘', '’', '\'']);
    if program.is_empty() || program.contains(char::is_whitespace) {
        return None;
    }
    let text = match debian::program(program) {
        Some(package) => {
            format!("the program `{program}` is not installed; Debian has it in the package `{package}`")
        }
        None if program.contains('/') => format!("there is no program `{program}`"),
        None => format!("the program `{program}` is not installed where steps see it"),
    };
    Some(Reason { text, path: None, line: None })
}

/// cargo: a crate that is not here, or a lock that does not fit.
pub fn cargo(printed: &Printed<'_>) -> Option<Reason> {
    let line = printed.line();
    let reason = |text: String, path: &str| Reason { text, path: Some(path.to_owned()), line: None };
    if let Some((_, rest)) = line.split_once("no matching package named `") {
        let (name, _) = rest.split_once('`')?;
        let text = format!(
            "the crate `{name}` is not here, and steps have no network: `cargo vendor` brings it into the project"
        );
        return Some(reason(text, "Cargo.toml"));
    }
    let is_download = line.contains("attempting to make an HTTP request, but --frozen was specified")
        || line.contains("you are in the offline mode (--offline)")
        || line.contains("failed to download");
    if is_download {
        let text = "crates that it needs are not here, and steps have no network: `cargo vendor` brings them into the project";
        return Some(reason(text.to_owned(), "Cargo.toml"));
    }
    let is_stale = line.contains("the lock file") && line.contains("needs to be updated");
    is_stale.then(|| {
        reason("it does not fit `Cargo.toml`: `cargo update --workspace` mends it".to_owned(), "Cargo.lock")
    })
}

/// make itself: a rule or a file that is missing, a Makefile that is none.
pub fn make(printed: &Printed<'_>) -> Option<Reason> {
    let line = printed.line();
    let (before, message) = line.split_once("*** ")?;
    let message = message.trim_end().trim_end_matches('.');
    let message = message.strip_suffix(".  Stop").unwrap_or(message);
    if let Some(rest) = message.strip_prefix("No rule to make target ") {
        let text = match rest.split_once(", needed by ") {
            Some((target, by)) => {
                format!("{} is not there, and no rule makes it; {} needs it", quoted(target), quoted(by))
            }
            None => format!("no rule makes {}", quoted(rest)),
        };
        return Some(Reason { text, path: None, line: None });
    }
    if let Some((path, line, _)) = with_line(before) {
        return Some(printed.reason(quoted(message), Some((path, line))));
    }
    // `[Makefile:6: target] Error 1`
    let (rule, exit) = message.strip_prefix('[')?.rsplit_once(']')?;
    let (place, target) = match with_line(rule) {
        Some((path, line, target)) => (Some((path, line)), target),
        None => (None, rule.rsplit_once(": ").map_or(rule, |(_, target)| target)),
    };
    let exit = exit.trim().trim_start_matches("Error ").to_owned();
    let place = place.filter(|(path, _)| !path.starts_with('<'));
    Some(printed.reason(format!("the rule for `{}` ended with {exit}", target.trim()), place))
}

/// `configure: error: …`.
pub fn configure(printed: &Printed<'_>) -> Option<Reason> {
    let message = printed.line().strip_prefix("configure: error: ")?;
    Some(Reason { text: quoted(message), path: None, line: None })
}
