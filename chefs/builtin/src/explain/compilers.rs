//! Compilers and linkers.

use protocol::chef::Reason;

use super::place::with_line;
use super::{Printed, quoted};

/// GCC, Clang and all that print as they do: `main.c:3:5: error: …`.
pub fn c(printed: &Printed<'_>) -> Option<Reason> {
    let (path, line, rest) = with_line(printed.line())?;
    let rest = match rest.split_once(':') {
        Some((column, behind)) if column.parse::<u64>().is_ok() => behind,
        _ => rest,
    };
    let message = ["fatal error:", "error:"].iter().find_map(|word| rest.trim_start().strip_prefix(word))?;
    let message = message.trim();
    let text = match message.strip_suffix(": No such file or directory") {
        Some(header) => format!("`{header}` is not there, neither in the project nor on this machine"),
        None => quoted(message),
    };
    Some(printed.reason(text, Some((path, line))))
}

/// rustc: `error[E0425]: …`, and the place on the next line.
pub fn rust(printed: &Printed<'_>) -> Option<Reason> {
    let rest = printed.line().strip_prefix("error")?;
    let (code, message) = rest.split_once(": ")?;
    if !(code.is_empty() || code.starts_with('[') && code.ends_with(']')) {
        return None;
    }
    let place = printed.after().first()?.trim_start().strip_prefix("--> ")?;
    let (path, line, _) = with_line(place)?;
    let code = code.trim_matches(['[', ']']);
    let text = match code {
        "" => message.to_owned(),
        code => format!("{message} ({code})"),
    };
    Some(printed.reason(text, Some((path, line))))
}

/// GNU ld and those that print as it does: an undefined reference.
pub fn linker(printed: &Printed<'_>) -> Option<Reason> {
    let line = printed.line();
    let (before, symbol) = line.split_once("undefined reference to ")?;
    let symbol = symbol.trim_matches(['`', '\'', '"', '‘', '’']);
    let text = format!("`{symbol}` is used, and nothing that is linked defines it");
    // `/usr/bin/ld: main.o: in function …` may stand before it.
    let before = before.trim_end().trim_end_matches(':');
    let before = before.rsplit_once(": ").map_or(before, |(_, last)| last);
    let at = before.rsplit_once(':').and_then(|(path, line)| Some((path, line.parse().ok()?)));
    Some(printed.reason(text, at))
}
