//! How often a home has revoked traces that came from others: a build that had nothing to do before may have something to do now.

use std::path::Path;

use node::Home;

use super::recall;

/// In the home: a number, that is all.
const FILE: &str = "revoked";

/// Text that is another one after each time.
pub fn times(home: &Path) -> Vec<u8> {
    std::fs::read(home.join(FILE)).unwrap_or_default()
}

/// Notes that traces have just been revoked: no build is answered by what was remembered before.
pub fn note(home: &Path) {
    let before = String::from_utf8(times(home)).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let now = before.unwrap_or_default().wrapping_add(1);
    if let Err(error) = backplane::keys::write_private(&home.join(FILE), format!("{now}\n").as_bytes()) {
        tracing::error!(%error, "builds with nothing to do are not looked at again");
    }
    for workspace in Home::workspaces(home) {
        if let Err(error) = recall::forget(home, workspace) {
            tracing::error!(%workspace, %error, "what is recalled of the last build stays");
        }
    }
}
