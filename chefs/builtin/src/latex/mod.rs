//! LaTeX documents: the engine, bibliography and index of each are steps that feed each other until nothing changes.
//!
//! A document is a file with `\documentclass` and `\begin{document}`: those of the project's folder, or, if it has
//! none, those of the first folders below that have some. Nobody says in which order the steps run, or how often: what each
//! reads of the others is seen. What the engine reads of its own earlier runs is kept; of its `.aux` only the citations
//! matter to BibTeX.
//!
//! Not here: glossaries, figures that other programs make, documents that come out of macros.

use std::path::Path;

use protocol::chef::Detected;
use serde_json::{Map, Value, json};

use crate::{ChefError, plan};

mod files;
mod source;
#[cfg(test)]
mod tests;

use files::Files;
use source::Source;

/// How sure a document makes it: less than a Makefile beside it, which knows how it is made.
pub const SURE: u8 = 40;

/// What the engines and usual packages write and read again.
const KEPT: [&str; 14] =
    ["aux", "bcf", "brf", "loa", "lof", "lol", "lot", "maf", "nav", "out", "snm", "tdo", "thm", "toc"];

/// The programs that a comment may ask for.
const ENGINES: [&str; 5] = ["pdflatex", "lualatex", "xelatex", "latex", "platex"];
/// Of them, those that make a DVI.
const DVI: [&str; 2] = ["latex", "platex"];
/// Packages that need one of the newer engines, and which one then.
const LUALATEX: [&str; 6] = ["fontspec", "luacode", "luatexja", "polyglossia", "unicode-math", "luatextra"];
const XELATEX: [&str; 4] = ["mathspec", "xeCJK", "xltxtra", "xunicode"];

/// Whether there are documents, and the plan for all of them.
///
/// # Errors
/// A file or folder that has to be known cannot be read.
pub fn detect(folder: &Path) -> Result<Detected, ChefError> {
    let files = Files::read(folder)?;
    let is_document =
        |source: &Source| source.begins && source.class.as_ref().is_some_and(|class| class != "subfiles");
    let documents = files.all().filter(|(_, source)| is_document(source)).map(|(path, _)| path);
    let all: Vec<&Path> = documents.collect();
    let depth = |path: &Path| path.components().count();
    let nearest = all.iter().map(|path| depth(path)).min().unwrap_or_default();
    let documents: Vec<&Path> = all.into_iter().filter(|path| depth(path) == nearest).collect();
    let shown: Vec<String> = documents.iter().map(|path| format!("`{}`", path.display())).collect();
    let found = match shown.as_slice() {
        [] => return Ok(Detected::default()),
        [one] => format!("the LaTeX document {one}"),
        more => format!("the LaTeX documents {}", more.join(", ")),
    };
    let mut steps = Map::new();
    for document in &documents {
        // The words of one document stand alone; of several each has its own.
        let suffix = match documents.len() {
            1 => String::new(),
            _ => free(&steps, &format!("-{}", step_word(document))),
        };
        document_steps(&files, document, &suffix, &mut steps);
    }
    Ok(Detected { sure: SURE, found, plan: Some(plan(steps)) })
}

/// The steps of one document.
fn document_steps(files: &Files, document: &Path, suffix: &str, steps: &mut Map<String, Value>) {
    let sources = files.with_inputs(document);
    let any = |is: fn(&Source) -> bool| sources.iter().any(|source| is(source));
    let folder = document.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let stem = document.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = shlex::try_quote(&stem).map_or_else(|_| stem.clone(), |quoted| quoted.into_owned());
    let within = |path: &str| if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
    let mut add = |word: &str, mut step: Value| {
        if !folder.is_empty() {
            step["cwd"] = json!(folder);
        }
        steps.insert(format!("{word}{suffix}"), step);
    };
    let engine = engine(&sources);
    let kept: Vec<String> = KEPT.iter().map(|ending| glob(&folder, &format!("**/*.{ending}"))).collect();
    // What is wrong stands in the log, which nobody else shows.
    let show = format!("{{ grep -hE -A 3 '^(!|[^ ]+:[0-9]+:)' {name}.log >&2 || true; exit 1; }}");
    let run = format!("{engine} -interaction=batchmode -halt-on-error -file-line-error {name} || {show}");
    let ending = if DVI.contains(&engine.as_str()) { "dvi" } else { "pdf" };
    let out = within(&format!("{stem}.{ending}")).replace('\\', r"\\");
    add("tex", json!({ "run": run, "keep": kept, "out": out }));
    let biblatex = sources.iter().find(|source| source.loads(&["biblatex"]));
    match biblatex {
        Some(source) if !source.biblatex.contains("backend=bibtex") => {
            add("bib", json!({ "run": format!("biber -q {name}") }));
        }
        None if !(any(|source| source.has_bibliography) && any(|source| source.cites)) => {}
        _ => {
            let aux = glob(&folder, "**/*.aux");
            add("bib", json!({ "run": format!("bibtex -terse {name}"), "project": { aux: "bibtex-aux" } }));
        }
    }
    if any(|source| source.prints_index) {
        add("index", json!({ "run": format!("makeindex -q {name}") }));
    }
}

/// The engine: what a comment asks for, else what the packages need.
fn engine(sources: &[&Source]) -> String {
    let said = sources.first().and_then(|document| document.program.as_ref());
    if let Some(said) = said.filter(|said| ENGINES.contains(&said.as_str())) {
        return said.clone();
    }
    let loads = |names: &[&str]| sources.iter().any(|source| source.loads(names));
    let engine = match (loads(&XELATEX), loads(&LUALATEX)) {
        (true, _) => "xelatex",
        (_, true) => "lualatex",
        _ => "pdflatex",
    };
    engine.to_owned()
}

/// A pattern below a folder, whose own name is none.
fn glob(folder: &str, pattern: &str) -> String {
    match folder.is_empty() {
        true => pattern.to_owned(),
        false => {
            let plain = |c: char| if r"*?[]{}\".contains(c) { format!("\\{c}") } else { c.to_string() };
            format!("{}/{pattern}", folder.chars().map(plain).collect::<String>())
        }
    }
}

/// The letters of a document's path that a step's name may have.
fn step_word(document: &Path) -> String {
    let plain = document.with_extension("").display().to_string();
    plain.chars().map(|c| if c.is_alphanumeric() || "_+.".contains(c) { c } else { '-' }).collect()
}

/// A suffix that no step has yet.
fn free(steps: &Map<String, Value>, suffix: &str) -> String {
    let is_free = |suffix: &String| !steps.contains_key(&format!("tex{suffix}"));
    let numbered = (2..).map(|number| format!("{suffix}-{number}"));
    std::iter::once(suffix.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
}
