//! LaTeX documents: the engine, bibliography, indices and glossaries of each are steps that feed each other until nothing
//! changes.
//!
//! A document is a file with `\documentclass` and `\begin{document}` that no other one takes in: those of the project's folder,
//! or, if it has none, those of the first folders below that have some. Nobody says in which order the steps run, or how
//! often: what each reads of the others is seen. The engine sees all that it left itself; of its `.aux` only the citations
//! matter to BibTeX.
//!
//! Not here: figures that other programs make, documents that come out of macros, one bibliography for each chapter.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use protocol::chef::{Detected, Planned};
use serde_json::{Map, json};

use crate::{ChefError, is_file, plan};

mod document;
mod files;
mod source;
#[cfg(test)]
mod tests;

use document::Document;
use files::Files;
use source::Source;

/// How sure a document makes it: less than a Makefile beside it, which knows how it is made.
pub const SURE: u8 = 40;

/// Whether there are documents, and the plan for all of them.
///
/// # Errors
/// A file or folder that has to be known cannot be read.
pub fn detect(folder: &Path) -> Result<Detected, ChefError> {
    let files = Files::read(folder)?;
    let documents = documents(&files);
    let shown: Vec<String> = documents.iter().map(|path| format!("`{}`", path.display())).collect();
    let found = match shown.as_slice() {
        [] => return Ok(Detected::default()),
        [one] => format!("the LaTeX document {one}"),
        more => format!("the LaTeX documents {}", more.join(", ")),
    };
    let mut steps = Map::new();
    let mut notes = Vec::new();
    let mut before: Vec<(String, &PathBuf, BTreeSet<PathBuf>)> = Vec::new();
    for (path, figures) in figures_first(&files, &documents) {
        // The words of one document stand alone; of several each has its own.
        let suffix = match documents.len() {
            1 => String::new(),
            _ => free(&steps, &format!("-{}", step_word(&path.with_extension("")))),
        };
        let sources = files.with_inputs(path);
        let included = files::included(path, &sources);
        for (word, step) in Document::new(folder, path, sources).steps() {
            steps.insert(format!("{word}{suffix}"), step);
        }
        // Documents that include the same part write its .aux one after the other, and each reads its own. A figure is made before it is shown: TeX lists
        // the folder, so that two at a time would see each other come.
        let engine = format!("tex{suffix}");
        let others = before.iter().filter(|(_, other, parts)| {
            !parts.is_disjoint(&included) || figures.contains(&other.with_extension(""))
        });
        let others: Vec<&String> = others.map(|(engine, ..)| engine).collect();
        if !others.is_empty() {
            steps[&engine]["after"] = json!(others);
        }
        before.push((engine, path, included));
        notes.extend(left(folder, path));
    }
    Ok(Detected { sure: SURE, found, plan: Some(Planned { notes, ..plan(steps, &[]) }) })
}

/// Documents and what each shows as figures, those that another one shows before it; those that show each other as they come.
fn figures_first<'d>(files: &Files, documents: &'d [PathBuf]) -> Vec<(&'d PathBuf, BTreeSet<PathBuf>)> {
    let figures = |path: &Path| files::figures(path, &files.with_inputs(path));
    let mut left: Vec<_> = documents.iter().map(|path| (path, figures(path))).collect();
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |(path, figures): &(&PathBuf, BTreeSet<PathBuf>)| {
            left.iter().any(|(other, _)| other != path && figures.contains(&other.with_extension("")))
        };
        let next = left.iter().position(|one| !waits(one)).unwrap_or_default();
        ordered.push(left.remove(next));
    }
    ordered
}

/// The documents that are made.
fn documents(files: &Files) -> Vec<PathBuf> {
    let is_document =
        |source: &Source| source.begins && source.class.as_ref().is_some_and(|class| class != "subfiles");
    let all: Vec<&Path> =
        files.all().filter(|(_, source)| is_document(source)).map(|(path, _)| path).collect();
    let taken_in: Vec<PathBuf> = all
        .iter()
        .flat_map(|document| files.with_inputs(document).into_iter().skip(1).map(|(path, _)| path))
        .collect();
    let own: Vec<&Path> =
        all.iter().copied().filter(|path| !taken_in.iter().any(|taken| taken == path)).collect();
    // Those that take in each other are as good as any.
    let all = if own.is_empty() { all } else { own };
    let depth = |path: &Path| path.components().count();
    let nearest = all.iter().map(|path| depth(path)).min().unwrap_or_default();
    all.into_iter().filter(|path| depth(path) == nearest).map(Path::to_owned).collect()
}

/// What is to be said of files that somebody's LaTeX left before the first build, which steps would change.
fn left(project: &Path, document: &Path) -> Option<String> {
    let there = ["aux", "log", "pdf"].map(|ending| document.with_extension(ending)).into_iter();
    let there: Vec<String> = there
        .filter(|path| is_file(&project.join(path)))
        .map(|path| format!("`{}`", path.display()))
        .collect();
    let (is, are) = if there.len() == 1 { ("was", "is") } else { ("were", "are") };
    (!there.is_empty()).then(|| {
        let all = there.join(", ");
        format!("{all} {is} there before and {are} taken for sources, which no step may change: move them away first (`latexmk -C`)")
    })
}

/// The letters of a document's path that a step's name may have.
fn step_word(document: &Path) -> String {
    let plain = document.display().to_string();
    plain.chars().map(|c| if c.is_alphanumeric() || "_+.".contains(c) { c } else { '-' }).collect()
}

/// A suffix that no step has yet.
fn free(steps: &Map<String, serde_json::Value>, suffix: &str) -> String {
    let is_free = |suffix: &String| !steps.contains_key(&format!("tex{suffix}"));
    let numbered = (2..).map(|number| format!("{suffix}-{number}"));
    std::iter::once(suffix.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
}
