//! Small files in memory, and what is made of them.

mod dyndep;
mod edges;
mod errors;
mod files;
mod garbage;
mod golden;
mod limits;
mod plan;
mod variables;

use std::io;

use crate::{Edge, Error, Limits, Manifest, read};

/// Reads `build.ninja`, which may include these other files.
fn with_files(text: &str, others: &[(&str, &str)], limits: &Limits) -> Result<Manifest, Error> {
    let top = [("build.ninja", text)];
    let mut files = |path: &[u8]| {
        let found = others.iter().chain(&top).find(|(name, _)| name.as_bytes() == path);
        found.map(|(_, text)| text.as_bytes().to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    read(b"build.ninja", &mut files, limits)
}

fn manifest(text: &str) -> Manifest {
    match with_files(text, &[], &Limits::default()) {
        Ok(manifest) => manifest,
        Err(error) => panic!("{error}\n{text}"),
    }
}

fn mistake(text: &str) -> String {
    match with_files(text, &[], &Limits::default()) {
        Ok(manifest) => panic!("no mistake: {manifest:#?}"),
        Err(error) => error.to_string(),
    }
}

/// The commands of all edges, one a line.
fn commands(text: &str) -> Vec<String> {
    manifest(text).edges().iter().filter_map(command).collect()
}

fn command(edge: &Edge) -> Option<String> {
    edge.command().map(|command| String::from_utf8_lossy(&command.text).into_owned())
}

fn texts<'a, P: ToString + 'a>(paths: impl IntoIterator<Item = &'a P>) -> Vec<String> {
    paths.into_iter().map(P::to_string).collect()
}
