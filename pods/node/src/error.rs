//! What can go wrong in a pod itself, as opposed to in a step.

use kitchen::KitchenError;
use larder::LarderError;
use view::{SourceError, ViewError};

use crate::HomeError;

/// A failure of the pod. A step that fails is none.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The larder failed.
    #[error("the larder failed")]
    Larder(#[from] LarderError),
    /// The view failed.
    #[error("the view failed")]
    View(#[from] ViewError),
    /// The kitchen failed.
    #[error("the kitchen failed")]
    Kitchen(#[from] KitchenError),
    /// Something that steps see cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A step's upper folder cannot be read.
    #[error("cannot read what the step made at `{path}`")]
    Upper {
        /// Path in the project.
        path: protocol::RelPath,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A step needs a projection or a normaliser that is not known here, or not in this version.
    #[error("there is no lens `{0}` here, in the version that the step was planned with")]
    Lens(String),
    /// The pod has been told to go: nothing begins in it any more.
    #[error("this pod is going")]
    Going,
    /// A task of ours ended before its time.
    #[error("the task `{0}` ended early")]
    Task(&'static str),
}

impl NodeError {
    /// What a person can do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            NodeError::Home(error) => error.hint().into_iter().collect(),
            NodeError::Larder(LarderError::NoSpace { path }) => {
                vec![format!("make room on the disk of `{}`; nothing was lost", path.display())]
            }
            NodeError::Larder(LarderError::Newer { .. }) => {
                vec!["use the newer program, or another home: `--home DIR`".to_owned()]
            }
            NodeError::Kitchen(KitchenError::Full { disk }) => {
                vec![format!(
                    "make room on the disk of `{}` and build again; nothing was lost",
                    disk.display()
                )]
            }
            NodeError::Kitchen(KitchenError::ZygoteGone) => {
                vec!["somebody ends what steps run in, the machine for want of memory or a person: build again when it does not".to_owned()]
            }
            NodeError::Kitchen(error) => match error.missing() {
                Some(missing) => vec![missing.why.to_owned(), missing.mend.clone()],
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}
