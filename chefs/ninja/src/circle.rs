//! The order of edges, or the circle that forbids one.

use crate::error::{Error, Wrong, shown};
use crate::manifest::Manifest;
use crate::path::BuildPath;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

/// An edge on the way from the first one to where we are.
struct Stop<'m> {
    edge: usize,
    /// The path for which it was visited.
    made: &'m BuildPath,
    inputs: Box<dyn Iterator<Item = &'m BuildPath> + 'm>,
}

/// All edges, each behind those that make its inputs: depth first, as ninja goes, without recursion.
pub(crate) fn order(manifest: &Manifest) -> Result<Vec<usize>, Error> {
    let edges = manifest.edges();
    let mut state = vec![State::New; edges.len()];
    let mut order = Vec::with_capacity(edges.len());
    let mut way: Vec<Stop<'_>> = Vec::new();
    for (start, edge) in edges.iter().enumerate() {
        let Some(made) = edge.outputs.all().next().filter(|_| state[start] == State::New) else { continue };
        state[start] = State::Open;
        way.push(Stop { edge: start, made, inputs: Box::new(edge.inputs.all()) });
        while let Some(stop) = way.last_mut() {
            let Some(path) = stop.inputs.next() else {
                state[stop.edge] = State::Done;
                order.push(stop.edge);
                way.pop();
                continue;
            };
            let Some(next) = manifest.producer(path) else { continue };
            match state[next] {
                State::Done => {}
                State::New => {
                    state[next] = State::Open;
                    way.push(Stop { edge: next, made: path, inputs: Box::new(edges[next].inputs.all()) });
                }
                State::Open => {
                    let from = way.iter().position(|stop| stop.edge == next).unwrap_or(0);
                    // The edge may have been entered for another of its outputs.
                    let mut paths = vec![shown(path.as_bytes())];
                    paths.extend(way[from + 1..].iter().map(|stop| shown(stop.made.as_bytes())));
                    return Err(Wrong::Circle { paths }.at(edges[next].place.clone()));
                }
            }
        }
    }
    Ok(order)
}
