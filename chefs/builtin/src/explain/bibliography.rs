//! BibTeX and Biber.

use protocol::chef::Reason;

use super::Printed;

/// BibTeX: a file that is not there, or one that it does not understand.
pub fn bibtex(printed: &Printed<'_>) -> Option<Reason> {
    let line = printed.line();
    let gone = |text: String| Some(Reason { text, path: None, line: None });
    if let Some(file) = line.strip_prefix("I couldn't open database file ") {
        return gone(not_there(file));
    }
    if let Some(file) = line.strip_prefix("I couldn't open style file ") {
        return gone(format!("the bibliography style `{}` is not installed", file.trim_end_matches(".bst")));
    }
    if line.starts_with("I found no \\citation commands") {
        return gone("nothing is cited".to_owned());
    }
    let (message, place) = line.split_once("---line ")?;
    let (number, path) = place.split_once(" of file ")?;
    // What it says of an .aux file, another line says better.
    let path = Some(path).filter(|path| !path.ends_with(".aux"))?;
    Some(
        printed
            .reason(message.replace("`,'", "`,`").replace("`}'", "`}`"), Some((path, number.parse().ok()?))),
    )
}

/// Biber, in the words of its log: `[12] Utils.pm:411> ERROR - …`.
pub fn biber(printed: &Printed<'_>) -> Option<Reason> {
    let (_, message) = printed.line().split_once("ERROR - ")?;
    if let Some(file) = message.strip_prefix("Cannot find '").and_then(|rest| rest.strip_suffix("'!")) {
        return Some(Reason { text: not_there(file), path: None, line: None });
    }
    let parse = message.strip_prefix("BibTeX subsystem: ").and_then(|rest| rest.split_once(", line "));
    let Some((line, what)) = parse.and_then(|(_, rest)| rest.split_once(", ")) else {
        return Some(Reason { text: message.to_owned(), path: None, line: None });
    };
    // It reads a copy, and says before whose.
    let before = printed.lines[..printed.at].iter().rev();
    let source = before.filter_map(|line| line.split_once("Found BibTeX data source '")).next();
    let source = source.map(|(_, rest)| rest.trim_end_matches('\''));
    let what = what.trim_start_matches("syntax error: ");
    Some(match (source, line.parse()) {
        (Some(source), Ok(line)) => printed.reason(what, Some((source, line))),
        _ => Reason { text: what.to_owned(), path: None, line: None },
    })
}

fn not_there(file: &str) -> String {
    format!("the bibliography `{file}` is not there, and no step makes it")
}
