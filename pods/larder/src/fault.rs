//! Where a crash or a full disk may strike: the larder asks here before each effect on the disk.
//!
//! Outside tests this is nothing. In tests a plan can stop one write half-way and all that follow ("the process was
//! killed"), or refuse writes until further notice ("the disk is full").

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// An effect on the disk, all of it or nothing but for writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A pack file comes into being.
    CreatePack,
    /// Bytes go to a pack.
    WritePack,
    /// A torn tail is cut off.
    CutPack,
    /// Bytes go to a file that will be a blob.
    WriteBlob,
    /// A finished blob gets its name.
    NameBlob,
    /// The index takes in a batch.
    Commit,
    /// Something damaged is moved away.
    Quarantine,
}

#[derive(Clone, Default)]
pub(crate) struct Faults {
    #[cfg(test)]
    pub(crate) plan: Option<std::sync::Arc<plan::Plan>>,
}

impl Faults {
    /// Before an effect that happens whole or not at all.
    pub(crate) fn before(&self, effect: Effect) -> io::Result<()> {
        self.allowed(effect, 0).map_or(Ok(()), |(_, error)| Err(error))
    }

    /// `pwrite`, all of it.
    pub(crate) fn write_at(&self, effect: Effect, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        match self.allowed(effect, bytes.len()) {
            None => file.write_all_at(bytes, at),
            Some((part, error)) => {
                file.write_all_at(&bytes[..part], at)?;
                Err(error)
            }
        }
    }

    #[cfg(not(test))]
    #[inline(always)]
    fn allowed(&self, _: Effect, _: usize) -> Option<(usize, io::Error)> {
        None
    }

    #[cfg(test)]
    fn allowed(&self, effect: Effect, len: usize) -> Option<(usize, io::Error)> {
        self.plan.as_ref().and_then(|plan| plan.strike(effect, len))
    }
}

#[cfg(test)]
pub(crate) mod plan {
    use super::*;
    use parking_lot::Mutex;

    /// What the disk will do.
    #[derive(Debug, Default)]
    pub(crate) struct Plan(Mutex<State>);

    #[derive(Debug, Default)]
    struct State {
        seen: Vec<Effect>,
        crash: Option<(usize, usize)>,
        full: bool,
    }

    impl Plan {
        /// The process dies at the n-th effect, of which `sixteenths` are done if it is a write.
        pub(crate) fn crash_at(effect: usize, sixteenths: usize) -> Self {
            Self(Mutex::new(State { crash: Some((effect, sixteenths)), ..State::default() }))
        }

        /// From now on the disk is full, or no longer.
        pub(crate) fn set_full(&self, full: bool) {
            self.0.lock().full = full;
        }

        /// The effects so far.
        pub(crate) fn seen(&self) -> Vec<Effect> {
            self.0.lock().seen.clone()
        }

        pub(super) fn strike(&self, effect: Effect, len: usize) -> Option<(usize, io::Error)> {
            let mut state = self.0.lock();
            let now = state.seen.len();
            state.seen.push(effect);
            match state.crash {
                Some((at, sixteenths)) if now == at => {
                    Some((len * sixteenths / 16, io::Error::other("killed")))
                }
                Some((at, _)) if now > at => Some((0, io::Error::other("dead"))),
                _ if state.full => {
                    Some((len / 2, io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error())))
                }
                _ => None,
            }
        }
    }
}
