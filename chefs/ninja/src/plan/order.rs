//! Who comes before whom, with the steps behind `phony` in the place of its names.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{MAX_LINKS, PlanError, Target};
use crate::manifest::{Edge, Manifest};
use crate::path::BuildPath;

/// For each edge, what stands behind its outputs.
pub(super) struct Behind<'m> {
    manifest: &'m Manifest,
    /// Steps, by edge: itself, or those behind a `phony`.
    steps: Vec<Arc<[usize]>>,
    /// What the `phony` edges on the way to those steps want validated, by edge. Mostly empty.
    validations: Vec<Arc<[BuildPath]>>,
    needs: Vec<Links>,
}

/// The lists of one step.
#[derive(Clone, Default)]
pub(super) struct Links {
    pub needs: Arc<[usize]>,
    pub order_only: Arc<[usize]>,
    pub validations: Arc<[usize]>,
}

impl<'m> Behind<'m> {
    pub fn new(manifest: &'m Manifest) -> Result<Self, PlanError> {
        let edges = manifest.edges();
        let nothing: Arc<[usize]> = Arc::from([]);
        let mut behind = Self {
            manifest,
            steps: vec![nothing; edges.len()],
            validations: vec![Arc::from([]); edges.len()],
            needs: vec![],
        };
        let mut step = 0;
        for (index, edge) in edges.iter().enumerate() {
            if edge.command().is_some() {
                behind.steps[index] = Arc::from([step]);
                step += 1;
            }
        }
        let mut links = 0;
        let mut lists = vec![None; edges.len()];
        // What an edge needs comes before it, so that this goes no deeper than one edge.
        for &index in manifest.order() {
            let edge = &edges[index];
            let place = |()| PlanError::Links { place: edge.place.clone() };
            if edge.command().is_none() {
                behind.steps[index] = behind.union(edge.inputs.all(), &mut links).map_err(place)?;
                behind.validations[index] = behind.wanted_by(edge);
                continue;
            }
            let needed = edge.inputs.explicit.iter().chain(&edge.inputs.implicit);
            let needs = behind.union(needed, &mut links).map_err(place)?;
            let order_only = behind.union(edge.inputs.order_only.iter(), &mut links).map_err(place)?;
            lists[index] = Some(Links { needs, order_only, validations: Arc::default() });
        }
        for (edge, list) in edges.iter().zip(lists) {
            let mut list = list.unwrap_or_default();
            let wanted = behind.wanted_by(edge);
            list.validations = behind.validating(&wanted);
            behind.needs.push(list);
        }
        Ok(behind)
    }

    /// The lists of a step's edge.
    pub fn links(&self, edge: &Edge) -> Links {
        let index = edge.outputs.all().next().and_then(|path| self.manifest.producer(path));
        index.and_then(|index| self.needs.get(index)).cloned().unwrap_or_default()
    }

    /// The steps behind paths. A list that is that of one edge is shared with it; new ones count against the limit.
    fn union<'p>(
        &self,
        paths: impl Iterator<Item = &'p BuildPath>,
        links: &mut usize,
    ) -> Result<Arc<[usize]>, ()> {
        let mut lists = paths
            .filter_map(|path| self.manifest.producer(path))
            .map(|edge| &self.steps[edge])
            .filter(|steps| !steps.is_empty());
        let Some(first) = lists.next() else { return Ok(Arc::default()) };
        let mut all: Option<Vec<usize>> = None;
        for more in lists {
            let all = all.get_or_insert_with(|| first.to_vec());
            *links += more.len();
            if *links > MAX_LINKS {
                return Err(());
            }
            all.extend_from_slice(more);
        }
        let Some(mut all) = all else { return Ok(first.clone()) };
        all.sort_unstable();
        all.dedup();
        Ok(Arc::from(all))
    }

    /// What an edge, and the `phony` edges right behind its inputs, want validated.
    fn wanted_by(&self, edge: &Edge) -> Arc<[BuildPath]> {
        let behind = edge.inputs.all().filter_map(|path| self.manifest.producer(path));
        let behind = behind.flat_map(|edge| self.validations[edge].iter());
        let all: BTreeSet<&BuildPath> = edge.validations.iter().chain(behind).collect();
        all.into_iter().cloned().collect()
    }

    /// The steps behind paths that are to be validated, and those that such `phony` names want in turn.
    fn validating(&self, wanted: &[BuildPath]) -> Arc<[usize]> {
        let mut seen: BTreeSet<&BuildPath> = wanted.iter().collect();
        let mut pending: Vec<&BuildPath> = wanted.iter().collect();
        let mut steps = BTreeSet::new();
        while let Some(path) = pending.pop() {
            let Some(edge) = self.manifest.producer(path) else { continue };
            steps.extend(self.steps[edge].iter().copied());
            pending.extend(self.validations[edge].iter().filter(|path| seen.insert(path)));
        }
        steps.into_iter().collect()
    }

    /// What paths stand for together.
    pub fn target(&self, paths: &[BuildPath]) -> Target {
        let edges: Vec<usize> = paths.iter().filter_map(|path| self.manifest.producer(path)).collect();
        let steps: BTreeSet<usize> =
            edges.iter().flat_map(|&edge| self.steps[edge].iter().copied()).collect();
        let wanted: Vec<BuildPath> =
            edges.iter().flat_map(|&edge| self.validations[edge].iter().cloned()).collect();
        Target { steps: steps.into_iter().collect(), validations: self.validating(&wanted) }
    }

    /// What each output stands for.
    pub fn targets(&self, manifest: &Manifest) -> HashMap<BuildPath, Target> {
        let mut targets = HashMap::new();
        for (index, edge) in manifest.edges().iter().enumerate() {
            let validations = self.validating(&self.validations[index]);
            let target = Target { steps: self.steps[index].clone(), validations };
            targets.extend(edge.outputs.all().map(|path| (path.clone(), target.clone())));
        }
        targets
    }
}
