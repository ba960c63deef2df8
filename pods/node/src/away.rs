//! Steps on other pods: the seam between a build and whoever knows them.
//!
//! Actors. [`OtherKitchens`] is whatever knows other pods that run steps (back-plane and swarm, put together by the program); it is given to
//! a pod with [`Pod::lend`](crate::Pod::lend) and may come and go. A build takes a [`Place`], gives it an order, and has what came of it;
//! the objects that the order names are in its larder, and the trace that comes back names objects that other pods have.
//!
//! Errors: a pod that goes, refuses or falls silent is a [`RunEnd::NotRun`]: the step runs elsewhere, or at home. What comes back is
//! a claim: whoever takes it holds its observations against what is seen here.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use protocol::mesh::run::{Enclosed, RunEnd, RunOrder, RunUsage};
use protocol::{Digest, PodId, RelPath};
use tokio::sync::watch;

use crate::PrintedLine;

/// The labels that each pod has, whatever its user says: `os` and `arch` of its machine.
pub fn machine_labels() -> BTreeMap<String, String> {
    [("os", std::env::consts::OS), ("arch", std::env::consts::ARCH)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// Whether a pod with these labels has those that are wanted.
pub fn has_labels(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// What is known of a step that is to be placed.
#[derive(Debug, Default)]
pub struct Wish {
    /// The first words of its commands.
    pub programs: Vec<Vec<u8>>,
    /// What it looked at outside of the project when it last ran.
    pub tools: Vec<RelPath>,
    /// What it opened of the project when it last ran, and how many bytes that is.
    pub inputs: Vec<(Digest, u64)>,
    /// Labels that the pod must have.
    pub on: BTreeMap<String, String>,
    /// Bytes of memory that must be free at the pod: its limit, or what it used when it last ran.
    pub memory: Option<u64>,
    /// Whether it may be given to a pod that has no free slot yet.
    pub may_wait: bool,
}

/// Pods that run steps for this one, as far as they can be reached.
pub trait OtherKitchens: Send + Sync + 'static {
    /// How many steps other pods would take now. Answers from what is known here.
    fn free(&self) -> usize;

    /// Changes when that may have become more.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Whether this pod has these labels.
    fn is_here(&self, on: &BTreeMap<String, String>) -> bool;

    /// Whether another pod has them, and so much memory for steps in all, that runs steps for this one and is heard, whether there is room or not.
    fn is_elsewhere(&self, on: &BTreeMap<String, String>, memory: Option<u64>) -> bool;

    /// A place for a step: at the pod that has most of its inputs, among those with free slots, its labels and enough free memory whose tools are not
    /// known to differ from ours where it looks at them. Where none is free: next in line behind one of this pod's own, if it may wait. `None`: there
    /// is no such pod now.
    fn place(&self, wish: &Wish) -> Option<Box<dyn Place>>;
}

/// What is told of a run on another pod.
#[derive(Debug)]
pub enum NewsOfRun {
    /// It has waited, and begins.
    Begun,
    /// What it ran in was ended from outside, and it begins once more: why.
    Again(String),
    /// It has printed a line.
    Line(PrintedLine),
    /// It has ended, and used so much.
    Used(RunUsage),
    /// It has ended, and this is an object that its end may name.
    Enclosed(Enclosed),
}

/// A slot of another pod, as far as is known here. Dropping it gives it up.
pub trait Place: Send + Sync {
    /// What people call the pod.
    fn pod(&self) -> &str;

    /// Which pod it is.
    fn id(&self) -> PodId;

    /// Whether the step is to wait there for a slot.
    fn is_next(&self) -> bool;

    /// Runs a step there; `on_news` is called for what is told of it as it comes. When `cancel` is done the step is ended. Dropping the future
    /// ends it, too.
    fn run<'a>(
        &'a self,
        order: RunOrder,
        on_news: &'a (dyn Fn(NewsOfRun) + Send + Sync),
        cancel: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, RunEnd>;

    /// That pod sees something else than this one at a path outside of the project: steps that look there, or run the same programs, are not
    /// placed there for a while. Whether that is news.
    fn differs(&self, wish: &Wish, path: &RelPath) -> bool;

    /// These objects are at that pod.
    fn holds(&self, objects: &[Digest]);
}
