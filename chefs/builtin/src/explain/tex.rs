//! TeX: `chapter.tex:12: Undefined control sequence.`, as `-file-line-error` prints it.

use protocol::chef::Reason;

use super::place::with_line;
use super::{Printed, debian, quoted};

/// The endings of files in which TeX finds errors.
const SOURCES: [&str; 12] =
    [".tex", ".sty", ".cls", ".ltx", ".def", ".cfg", ".aux", ".bbl", ".ind", ".gls", ".toc", ".tikz"];
/// What it says when something has gone wrong before.
const CONSEQUENCES: [&str; 3] = ["Emergency stop", " ==> Fatal error", "Interruption"];
/// So far above the line that TeX has reached stands what it stumbles over: it may have read on.
const READ_ON: usize = 20;
/// So many lines after an error belong to it.
const CONTEXT: usize = 12;

/// An error of TeX.
pub fn error(printed: &Printed<'_>) -> Option<Reason> {
    let line = printed.line();
    let (place, message) = match line.strip_prefix("! ") {
        // The place comes with the consequence.
        Some(message) => (printed.after().iter().take(CONTEXT).find_map(|line| placed(line)), message),
        None => (Some(placed(line)?), placed(line)?.2),
    };
    let message = message.trim();
    if is_cut_off(printed) {
        return Some(printed.reason("the document does not end: there is no `\\end{document}`", None));
    }
    // Others begin a line like that, too.
    let is_its_own =
        place.is_some() || ["LaTeX ", "Package ", "Class "].iter().any(|word| message.starts_with(word));
    if message.is_empty() || !is_its_own {
        return None;
    }
    if CONSEQUENCES.iter().any(|words| message.starts_with(words.trim_start())) {
        return None;
    }
    let place = place.map(|(path, line, _)| (path, line));
    let whole = whole(message, printed.after());
    let Some(file) = between(&whole, "File `", "' not found") else {
        return Some(printed.reason(words(&whole, printed.after()), place));
    };
    let package = ["sty", "cls", "ldf", "def", "tfm", "clo"]
        .into_iter()
        .find_map(|ending| Some((file.strip_suffix(ending)?.strip_suffix('.')?, ending)));
    let text = match package {
        Some((name, ending)) => {
            let kind = if ending == "cls" { "class" } else { "package" };
            format!("the {kind} `{name}` is not installed; {}", whence(name, &file))
        }
        None => format!("`{file}` is not there, and no step makes it"),
    };
    let named = package.map_or(file.as_str(), |(name, _)| name);
    Some(printed.reason(text, place.map(|(path, line)| (path, said_at(printed, path, line, named)))))
}

/// Whether TeX was at its end and wanted more, with no error before: `<*>` is the line by which it was called.
fn is_cut_off(printed: &Printed<'_>) -> bool {
    let is_first = printed.lines[..printed.at].iter().all(|line| !line.starts_with("! "));
    let is_at_end = printed.after().first().is_some_and(|line| line.starts_with("<*> "));
    printed.line() == "! Emergency stop." && is_at_end && is_first
}

/// Where a package comes from.
fn whence(name: &str, file: &str) -> String {
    match debian::latex(name) {
        Some(package) => format!("Debian has it in the package `{package}`"),
        None => format!("on Debian `apt-file search /{file}` names the package that has it"),
    }
}

/// The line that says a name, at or shortly above one.
fn said_at(printed: &Printed<'_>, path: &str, line: u64, name: &str) -> u64 {
    let text = printed.places.own(path).and_then(|path| (printed.sources)(&path)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = usize::try_from(line).unwrap_or(usize::MAX).min(lines.len());
    let near = (last.saturating_sub(READ_ON)..last).rev();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let at = near
        .clone()
        .find(|at| lines[*at].contains(name))
        .or_else(|| near.clone().find(|at| lines[*at].contains(stem)));
    at.map_or(line, |at| at as u64 + 1)
}

/// `PATH:LINE: …` where the path is one of TeX's.
fn placed(line: &str) -> Option<(&str, u64, &str)> {
    let (path, number, message) = with_line(line)?;
    let is_one = SOURCES.iter().any(|ending| path.ends_with(ending)) && !path.starts_with('(');
    is_one.then_some((path, number, message))
}

/// A message of a package goes on in lines with its name: `(babel)                or the …`.
fn whole(message: &str, after: &[&str]) -> String {
    let name = message.split_whitespace().nth(1).unwrap_or_default();
    let more = after.iter().map_while(|line| line.strip_prefix('(')?.strip_prefix(name)?.strip_prefix(')'));
    more.take(CONTEXT).fold(message.to_owned(), |whole, line| format!("{whole} {}", line.trim()))
}

/// The message for people.
fn words(message: &str, after: &[&str]) -> String {
    let message = message.trim_end_matches('.');
    if message == "Undefined control sequence" {
        let shown = after.iter().take(CONTEXT).find(|line| line.starts_with("l."));
        let name = shown.and_then(|line| line.rfind('\\').map(|at| line[at..].trim_end()));
        return name.map_or_else(
            || "a command is not defined".to_owned(),
            |name| format!("`{name}` is not defined"),
        );
    }
    if let Some(language) = between(message, "Package babel Error: Unknown option '", "'") {
        return match debian::language(&language) {
            Some(package) => format!(
                "babel does not know the language `{language}`; Debian has it in the package `{package}`"
            ),
            None => format!("babel does not know the language `{language}`"),
        };
    }
    if let Some(font) = between(message, "The font \"", "\" cannot be found") {
        return format!("the font `{font}` is not installed");
    }
    let plain = message.strip_prefix("LaTeX Error: ").or_else(|| message.strip_prefix("LaTeX3 Error: "));
    quoted(plain.unwrap_or(message))
}

/// What stands between two texts.
fn between(text: &str, before: &str, behind: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(behind).map(|(inner, _)| inner.to_owned())
}
