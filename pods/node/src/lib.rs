//! One pod: larder, view and kitchen put together behind one home folder.
//!
//! Actors. [`Home`] is the folder and its lock: whoever holds the lock is the pod. [`Pod`] owns the larder, and – from
//! the first step that has to run – the kitchen (zygote) and the two mounts of the view. A caller describes a step
//! as a [`StepOrder`] over a [`Project`] (what the step sees at `/project`) and gets a [`StepRun`] back: how it ended,
//! all that it observed, and the tree of what it made, whose bytes are in the larder by then.
//!
//! Errors travel as [`NodeError`]; a step that fails is no error but a [`StepRun`]. A crash loses the step that ran:
//! nothing of it was published, and its upper folder is swept by the next pod of the home.
//!
//! Not here: what to run and in which order, keys and traces' adoption (the majordomo's). Other pods are behind [`Elsewhere`] and
//! [`OtherKitchens`].

mod away;
mod elsewhere;
mod error;
mod evaluate;
mod failed;
mod home;
mod judge;
mod kitchens;
mod lenses;
mod masks;
mod pod;
mod printed;
mod project;
mod run;
mod secrets;
mod slots;
mod spares;
mod stock;
#[cfg(test)]
mod testing;

pub use away::{NewsOfRun, OtherKitchens, Place, Wish, has_labels, machine_labels};
pub use elsewhere::{Elsewhere, MAX_LEARNED, MAX_READ, Supply, to_read};
pub use error::NodeError;
pub use evaluate::{Difference, Evaluator, Hidden, Verdict, projections};
pub use failed::Failed;
pub use home::{Home, HomeError};
pub use judge::{Refusal, could_be_left};
pub use kitchens::{PoolOptions, Sandbox, owner};
pub use lenses::{AskedLenses, Lenses, MAX_LENSED, NormalForm};
pub use pod::{Access, Pod, PodOptions, StepNews};
pub use printed::{Printed, PrintedLine};
pub use project::{
    Ages, Entry, MAX_SHARED, MAX_SHARED_BYTES, Names, NoSources, Outputs, OutputsBuilder, Project, Promised,
    PromisedAt, SharedSources, SourceFiles, Sources,
};
pub use run::{StepEnd, StepOrder, StepRun, Visit, Visited, evidence, project_prefix};
pub use slots::{Share, Slot, Slots};
pub use stock::Stock;
pub use swarm::{Urgency, Wanted};
