//! t
use super::workspace::*;
pub struct Cleaned {
    pub removed: usize,
    pub kept: Vec<protocol::RelPath>,
}
pub fn clean(_w: &Workspace, _l: &Lock) -> Result<Cleaned, WorkspaceError> {
    Ok(Cleaned { removed: 0, kept: vec![] })
}
