//! ninja, and how its answers are compared with ours.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output};

use chef_ninja::{BuildPath, Error, Folder, Limits, Manifest, read};

use crate::graph;

/// Reads `build.ninja` of a folder as we do.
pub fn ours(folder: &Path) -> Result<Manifest, Error> {
    read(b"build.ninja", &mut Folder::new(folder), &Limits::default())
}

/// What ninja says; `Err` has its words.
pub fn ninja(folder: &Path, args: &[&[u8]]) -> Result<Vec<u8>, String> {
    let args = args.iter().map(|arg| OsStr::from_bytes(arg));
    let Output { status, stdout, stderr } = output(Command::new("ninja").args(args).current_dir(folder));
    if status.success() { Ok(stdout) } else { Err(String::from_utf8_lossy(&stderr).into_owned()) }
}

/// Runs what must be there.
pub fn output(command: &mut Command) -> Output {
    match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{:?}: {error}; `./test` installs what tests need", command.get_program()),
    }
}

/// Runs what must be there and succeed.
pub fn must(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = output(command);
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(status.success(), "{command:?}: {stdout}{stderr}");
    stdout
}

/// All outputs that ninja knows, or why it refuses the file.
pub fn targets(folder: &Path) -> Result<Vec<Vec<u8>>, String> {
    let text = ninja(folder, &[b"-t", b"targets", b"all"])?;
    let line = |line: &[u8]| line[..line.iter().rposition(|&b| b == b':').unwrap_or(0)].to_vec();
    Ok(text.split(|&b| b == b'\n').filter(|line| !line.is_empty()).map(line).collect())
}

/// The commands for paths in the order in which ninja shows them: makers of inputs first, each once.
fn commands(manifest: &Manifest, paths: &[BuildPath]) -> Vec<u8> {
    fn visit(manifest: &Manifest, path: &BuildPath, seen: &mut HashSet<usize>, text: &mut Vec<u8>) {
        let Some(index) = manifest.producer(path).filter(|&index| seen.insert(index)) else { return };
        let edge = &manifest.edges()[index];
        for input in edge.inputs.all() {
            visit(manifest, input, seen, text);
        }
        if let Some(command) = edge.command() {
            text.extend_from_slice(&command.text);
            text.push(b'\n');
        }
    }
    let (mut seen, mut text) = (HashSet::new(), Vec::new());
    for path in paths {
        visit(manifest, path, &mut seen, &mut text);
    }
    text
}

/// Fails unless ninja sees in a folder what `manifest` says.
pub fn compare(folder: &Path, manifest: &Manifest) {
    let all = targets(folder).unwrap();
    let ours: HashSet<&[u8]> =
        manifest.edges().iter().flat_map(|edge| edge.outputs.all()).map(BuildPath::as_bytes).collect();
    assert_eq!(ours, all.iter().map(Vec::as_slice).collect());

    // An argument that starts with `-` would be an option.
    let named: Vec<&[u8]> = all.iter().map(Vec::as_slice).filter(|path| !path.starts_with(b"-")).collect();
    let tool = |tool: &'static [u8]| [&[b"-t", tool], &named[..]].concat();
    let paths: Vec<BuildPath> = named.iter().map(|path| BuildPath::new(path).unwrap()).collect();
    if !paths.is_empty() {
        match ninja(folder, &tool(b"commands")) {
            Ok(theirs) => same(&commands(manifest, &paths), &theirs),
            // A fault of ninja before 1.12: for it, a rule's variable that is used twice is a circle.
            Err(words) => assert!(words.contains("cycle in rule variables"), "{words}"),
        }
        let dot = ninja(folder, &tool(b"graph")).unwrap();
        assert_eq!(graph::ours(manifest, &paths), graph::theirs(&dot));
    }
    // What is built when nobody says.
    if let Ok(theirs) = ninja(folder, &[b"-t", b"commands"]) {
        same(&commands(manifest, &manifest.wanted()), &theirs);
    }
}

fn same(ours: &[u8], theirs: &[u8]) {
    let [ours, theirs] = [ours, theirs].map(|text| String::from_utf8_lossy(text).into_owned());
    for (index, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "command {index}");
    }
    assert_eq!(ours.len(), theirs.len());
}
