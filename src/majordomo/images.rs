//! Images that steps see instead of this machine's tools.
//!
//! An image is a folder to us: its files are shown through the view, and traced and digested like the machine's. So its name is in no key, and an
//! image that was built again with the same files runs nothing again. What is remembered of this machine's files, so that a build may have
//! nothing to do, leaves steps with an image out: each build looks them up.

use std::sync::Arc;

use kitchen::ImageRoot;
use node::{Access, Evaluator, NodeError, Pod};
use rustc_hash::FxHashMap;
use view::HostTools;

use super::plan::Plan;

/// One image.
pub struct Image {
    /// Where it is.
    pub root: Arc<ImageRoot>,
    /// Its files.
    pub tools: Arc<HostTools>,
    /// Evaluates path sets over them.
    pub evaluator: Evaluator,
}

/// The images of a plan, by the steps that see them.
#[derive(Clone, Default)]
pub struct Images(FxHashMap<usize, Arc<Image>>);

impl Images {
    /// Finds all that a plan names, each once.
    ///
    /// # Errors
    /// One is not there, or cannot be shown.
    pub fn of(plan: &Plan, pod: &Pod, access: Access) -> Result<Self, NodeError> {
        let mut by_name: FxHashMap<&str, Arc<Image>> = FxHashMap::default();
        let mut by_step = FxHashMap::default();
        for (index, step) in plan.steps.iter().enumerate() {
            let Some(name) = step.image.as_deref() else { continue };
            let image = match by_name.get(name) {
                Some(image) => Arc::clone(image),
                None => {
                    let root = Arc::new(ImageRoot::open(name)?);
                    let tools = pod.tools_of(&root, access)?;
                    let evaluator = Evaluator::new(pod.larder().clone(), Arc::clone(&tools));
                    let image = Arc::new(Image { root, tools, evaluator });
                    by_name.insert(name, Arc::clone(&image));
                    image
                }
            };
            by_step.insert(index, image);
        }
        Ok(Self(by_step))
    }

    /// The image that a step sees, if it sees one.
    pub fn get(&self, step: usize) -> Option<&Image> {
        self.0.get(&step).map(|image| &**image)
    }
}
