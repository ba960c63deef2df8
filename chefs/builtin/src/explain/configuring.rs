//! CMake and Meson: `CMake Error at FILE:LINE (COMMAND):`, with its words and who called below it, and `FILE:LINE:COLUMN: ERROR: WORDS`.

use protocol::chef::Reason;

use super::{Printed, quoted};

/// What CMake says of a package that is not there, before its name.
const NO_PACKAGE: [&str; 2] =
    ["Could not find a package configuration file provided by \"", "Could NOT find "];

pub(super) fn cmake(printed: &Printed<'_>) -> Option<Reason> {
    let (place, _) = printed.line().strip_prefix("CMake Error at ")?.rsplit_once(" (")?;
    let is_told = |line: &&&str| line.is_empty() || line.starts_with("  ");
    let words: Vec<&str> = printed.after().iter().take_while(is_told).map(|line| line.trim()).collect();
    // Where a module of CMake's found out, whoever called it has to be mended.
    let own = printed.after().iter().take_while(|line| !line.starts_with("CMake "));
    let stack = own.skip_while(|line| !line.starts_with("Call Stack")).skip(1);
    let caller = stack.take_while(|line| line.starts_with("  ")).last();
    let place = caller.and_then(|line| Some(line.trim().rsplit_once(" (")?.0)).unwrap_or(place);
    let (path, line) = place.rsplit_once(':')?;
    let place = Some((path, line.parse().ok()?));
    let package = words.iter().find_map(|words| {
        let name = NO_PACKAGE.iter().find_map(|before| words.strip_prefix(before))?;
        name.split(|c: char| c == '"' || c.is_whitespace()).next()
    });
    match package {
        Some(package) => {
            Some(printed.reason(format!("the package `{package}` is not on this machine"), place))
        }
        None => {
            let first =
                words.iter().skip_while(|words| words.is_empty()).take_while(|words| !words.is_empty());
            let words = first.copied().collect::<Vec<_>>().join(" ");
            (!words.is_empty()).then(|| printed.reason(quoted(&words), place))
        }
    }
}

pub(super) fn meson(printed: &Printed<'_>) -> Option<Reason> {
    let (place, words) = printed.line().split_once(": ERROR: ")?;
    let mut parts = place.rsplitn(3, ':');
    let (column, line, path) = (parts.next()?, parts.next()?, parts.next()?);
    column.parse::<u64>().ok()?;
    Some(printed.reason(quoted(words), Some((path, line.parse().ok()?))))
}
