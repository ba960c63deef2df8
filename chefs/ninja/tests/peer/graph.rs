//! The graph as `ninja -t graph` draws it for Graphviz.

use std::collections::{BTreeSet, HashMap, HashSet};

use chef_ninja::{BuildPath, Manifest};
use protocol::path::escape;

/// An edge: its rule, its outputs, its inputs with whether they are order-only; lists are sorted.
///
/// Of an edge with one input and one output ninja draws an arrow that does not tell whether it is order-only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Drawn {
    rule: String,
    outputs: Vec<String>,
    inputs: Vec<(String, bool)>,
}

impl Drawn {
    fn arranged(mut self) -> Self {
        self.outputs.sort();
        self.inputs.sort();
        if let ([_], [input]) = (&self.outputs[..], &mut self.inputs[..]) {
            input.1 = false;
        }
        self
    }
}

/// What can be reached from paths.
pub fn ours(manifest: &Manifest, paths: &[BuildPath]) -> BTreeSet<Drawn> {
    let mut seen = HashSet::new();
    let mut pending: Vec<usize> = paths.iter().filter_map(|path| manifest.producer(path)).collect();
    let mut drawn = BTreeSet::new();
    while let Some(index) = pending.pop() {
        if !seen.insert(index) {
            continue;
        }
        let edge = &manifest.edges()[index];
        let text = |path: &BuildPath| escape(path.as_bytes());
        let made_from = edge.inputs.explicit.iter().chain(&edge.inputs.implicit);
        let inputs = made_from.map(|path| (text(path), false));
        let order_only = edge.inputs.order_only.iter().map(|path| (text(path), true));
        let rule = edge.command().map_or("phony".to_owned(), |command| escape(&command.rule));
        let outputs = edge.outputs.all().map(text).collect();
        drawn.insert(Drawn { rule, outputs, inputs: inputs.chain(order_only).collect() }.arranged());
        pending.extend(edge.inputs.all().filter_map(|path| manifest.producer(path)));
    }
    drawn
}

/// What ninja drew.
pub fn theirs(dot: &[u8]) -> BTreeSet<Drawn> {
    let mut paths: HashMap<&[u8], String> = HashMap::new();
    let mut edges: HashMap<&[u8], Drawn> = HashMap::new();
    let mut arrows = Vec::new();
    for line in dot.split(|&b| b == b'\n').filter(|line| line.starts_with(b"\"")) {
        let mut words = line.split(|&b| b == b'"');
        let (first, between, second) = (words.nth(1).unwrap(), words.next().unwrap(), words.next().unwrap());
        if between == b" -> " {
            arrows.push((first, second, line));
            continue;
        }
        // The label is up to the last quote.
        let start = line.windows(2).position(|two| two == b"=\"").unwrap() + 2;
        let end = line.iter().rposition(|&b| b == b'"').unwrap();
        let label = escape(&line[start..end]);
        if line.ends_with(b", shape=ellipse]") {
            edges.insert(first, Drawn { rule: label, ..Drawn::default() });
        } else {
            paths.insert(first, label);
        }
    }
    let mut drawn = BTreeSet::new();
    for (from, to, line) in arrows {
        if let Some(edge) = edges.get_mut(from) {
            edge.outputs.push(paths[to].clone());
        } else if let Some(edge) = edges.get_mut(to) {
            edge.inputs.push((paths[from].clone(), line.ends_with(b" style=dotted]")));
        } else {
            let start =
                line.windows(4).position(|four| four == b"=\"  " || four[..3] == *b"=\" ").unwrap() + 3;
            let end = line.iter().rposition(|&b| b == b'"').unwrap();
            let rule = escape(&line[start..end]);
            let (output, input) = (paths[to].clone(), paths[from].clone());
            drawn.insert(Drawn { rule, outputs: vec![output], inputs: vec![(input, false)] });
        }
    }
    drawn.extend(edges.into_values().map(Drawn::arranged));
    drawn
}
