//! What the pod remembers of steps that failed, until they come to a good end: when, and how.
//!
//! Notes in the larder under `failed/<id>`, for words alone: a failure is no result, and is never adopted.

use larder::{Larder, LarderError};
use protocol::codec::{BadObject, Reader, Writer};
use protocol::{StepId, WorkspaceId};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

const PREFIX: &str = "failed/";
const FORMAT: u8 = 1;

/// A step's last run, which failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRun {
    /// When it was remembered, in milliseconds since 1970.
    pub at: u64,
    /// How it failed, in words: `exit code 1`.
    pub failure: String,
}

impl FailedRun {
    fn decode(bytes: &[u8]) -> Result<Self, BadObject> {
        let mut reader = Reader::with_format(bytes, FORMAT)?;
        let at = reader.number()?;
        let failure = String::from_utf8_lossy(reader.bytes()?).into_owned();
        reader.finish()?;
        Ok(Self { at, failure })
    }
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The steps of a workspace whose last run failed.
pub fn all(larder: &Larder, workspace: WorkspaceId) -> Result<FxHashMap<StepId, FailedRun>, LarderError> {
    let notes = larder.notes(workspace, PREFIX)?.into_iter();
    let read = |(key, value): (String, Vec<u8>)| {
        Some((StepId::new(key.strip_prefix(PREFIX)?), FailedRun::decode(&value).ok()?))
    };
    Ok(notes.filter_map(read).collect())
}

/// Remembers that a step failed just now.
pub fn write(
    larder: &Larder,
    workspace: WorkspaceId,
    step: &StepId,
    failure: &str,
) -> Result<(), LarderError> {
    let mut writer = Writer::with_format(FORMAT);
    writer.number(now()).bytes(failure.as_bytes());
    larder.note(workspace, &format!("{PREFIX}{step}"), &writer.finish())
}

/// A step came to a good end.
pub fn forget(larder: &Larder, workspace: WorkspaceId, step: &StepId) -> Result<(), LarderError> {
    larder.forget_note(workspace, &format!("{PREFIX}{step}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_remembered_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let larder = Larder::open(dir.path(), larder::Options::default()).unwrap();
        let (one, other) = (WorkspaceId::from_random(1), WorkspaceId::from_random(2));
        let step = StepId::new("compile:src/a.c");
        write(&larder, one, &step, "exit code 1").unwrap();
        write(&larder, one, &step, "ended by SIGKILL").unwrap();
        assert_eq!(all(&larder, one).unwrap()[&step].failure, "ended by SIGKILL");
        assert!(all(&larder, other).unwrap().is_empty());
        forget(&larder, one, &step).unwrap();
        assert!(all(&larder, one).unwrap().is_empty());
    }
}
