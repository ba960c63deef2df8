//! Where steps run: bare Linux namespaces over a traced root (the engine `native`).
//!
//! Actors. The *pod* holds a [`Kitchen`]. The *zygote* is a second, small, single-threaded process of the same program
//! ([`zygote_main`]); it alone mounts and forks. An *init* is process 1 of one step's namespaces: it builds the step's
//! root, gives up every right, runs the commands one after the other, ends whatever they left running, and says how it
//! went. Pod, zygote and inits share one packet socket; what is said on it is in [`wire`].
//!
//! Who owns what. The zygote opens `/dev/fuse` and mounts both file systems (FUSE wants both from one user namespace), the
//! pod serves them; nobody but inits and steps ever looks into them, so a view that hangs hangs one step. Mounts live in the
//! zygote's private namespace and in copies of it. What a step writes to the project is in an upper folder below
//! the scratch folder, handed to the caller as [`UpperDir`].
//!
//! Ends. A pod that dies in any way closes the socket: the zygote ends, each init dies with the zygote, each step with its
//! init, the mounts with the last of them. What remains is the scratch folder, which the next start empties, and control groups and containers,
//! which it removes; a pod that goes in order leaves none of them.
//!
//! Rights. As root, steps live in a user namespace of their own, in which 1000 is an outer number that nobody else has; as an
//! ordinary user, the namespaces belong to that user. Either way a step is uid 1000 without capabilities,
//! without new privileges, without user namespaces of its own.
//!
//! Not here: what a step sees (view), whether its result is good (node), podman.

mod clock;
mod engine;
mod error;
mod kitchen;
mod left;
mod limits;
mod order;
mod output;
mod packet;
mod prepared;
mod reader;
mod remove;
mod requirements;
mod scratch;
mod scratch_place;
mod secret;
mod steps;
mod upper;
mod wire;
mod zygote;

pub use clock::{Clock, Paused};
pub use engine::{Engine, ImageRoot, Podman, Runtime};
pub use error::{KitchenError, Missing};
pub use kitchen::{FuseFds, Kitchen, Options, ZygoteProgram};
pub use left::{Left, left};
pub use limits::cgroups::{Holds, what_groups_hold};
pub use limits::{Limit, Limits};
pub use order::{Ended, HowEnded, Line, Order, Streams, Usage};
pub use prepared::Prepared;
pub use remove::remove_tree;
pub use scratch::sweep;
pub use scratch_place::{ScratchPlace, scratch_place};
pub use secret::{SECRETS, Secret};
pub use upper::UpperDir;
pub use zygote::zygote_main;

/// Folders that a step's root must have, because something of the kitchen's own is mounted there. The view need not
/// record looks at them: what is seen there never comes from a source (but for `project`).
pub const MOUNT_POINTS: [&str; 6] = ["project", "tmp", "var/tmp", "home/build", "dev", "proc"];
