//! Why a step failed, in short: what compilers, make, TeX and their like print is known well enough to name the place where
//! it is to be mended.
//!
//! What was printed is foreign. It is read line by line, and a line that nobody knows says nothing. Errors come before their
//! consequences, so the first ones count; what only tells that something failed counts if nothing else does.

use protocol::chef::Reason;

mod bibliography;
mod compilers;
mod configuring;
mod debian;
mod place;
mod programs;
#[cfg(test)]
mod tests;
mod tex;

use place::Places;

/// So many reasons are given.
pub const MOST: usize = 3;

/// So much is read of a source, in bytes.
pub const MAX_SOURCE: u64 = 1 << 20;

/// What is known of the project: the beginning of a file, by its path.
pub type Sources<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What was printed, where it is being read.
struct Printed<'a> {
    lines: &'a [&'a str],
    at: usize,
    places: &'a Places<'a>,
    sources: Sources<'a>,
}

impl<'a> Printed<'a> {
    fn line(&self) -> &'a str {
        self.lines[self.at]
    }

    /// The lines behind it.
    fn after(&self) -> &'a [&'a str] {
        &self.lines[self.at + 1..]
    }

    /// A reason with the place that was printed.
    fn reason(&self, text: impl Into<String>, place: Option<(&str, u64)>) -> Reason {
        let path = place.and_then(|(path, _)| self.places.own(path));
        let line = path.as_ref().and_then(|_| place.map(|(_, line)| line)).filter(|line| *line > 0);
        let text = text.into();
        match (place, &path) {
            // Outside of the project nobody mends it.
            (Some((foreign, line)), None) => {
                Reason { text: format!("{text} (`{foreign}`, line {line})"), path, line: None }
            }
            _ => Reason { text, path, line },
        }
    }
}

/// Who knows what a line says. `None`: it says nothing.
type Reader = fn(&Printed<'_>) -> Option<Reason>;

/// Those who know causes.
const CAUSES: [Reader; 11] = [
    tex::error,
    bibliography::bibtex,
    bibliography::biber,
    compilers::rust,
    compilers::c,
    compilers::linker,
    configuring::cmake,
    configuring::meson,
    programs::network,
    programs::missing,
    programs::cargo,
];

/// Those who know consequences, and what is better than nothing.
const REST: [Reader; 2] = [programs::make, programs::configure];

/// The reasons for the failure of a step whose commands started in a folder, `""` being the project's; the likeliest first.
pub fn reasons(cwd: &str, output: &str, sources: Sources<'_>) -> Vec<Reason> {
    let lines: Vec<&str> = output.lines().collect();
    let read = |readers: &[Reader]| {
        let mut places = Places::new(cwd);
        let mut found: Vec<Reason> = Vec::new();
        for at in 0..lines.len() {
            places.enter(lines[at]);
            let printed = Printed { lines: &lines, at, places: &places, sources };
            let reason = readers.iter().find_map(|reader| reader(&printed));
            found.extend(reason.filter(|reason| !found.contains(reason)));
            if found.len() == MOST {
                break;
            }
        }
        found
    };
    match read(&CAUSES) {
        found if found.is_empty() => read(&REST),
        found => found,
    }
}

/// The words as they are quoted here: `‘x’`, `` `x' `` and `'x'` of many programs.
fn quoted(text: &str) -> String {
    let text = text.replace(['‘', '’'], "`");
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(['`', '\'']) {
        let (before, from) = rest.split_at(at);
        plain += before;
        let inner = &from[1..];
        // An apostrophe stands between letters.
        let is_word = from.starts_with('\'') && before.ends_with(char::is_alphanumeric);
        match inner.find(['`', '\'']).filter(|end| !is_word && *end > 0) {
            Some(end) => {
                plain += &format!("`{}`", &inner[..end]);
                rest = &inner[end + 1..];
            }
            None => {
                plain += &from[..1];
                rest = inner;
            }
        }
    }
    plain + rest
}
