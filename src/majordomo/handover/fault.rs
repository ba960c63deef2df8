//! Crashes on demand, for tests: at the n-th boundary between two writes everything stops as it stands.

use super::HandOverError;

/// Nothing, outside of tests.
#[derive(Debug, Default)]
pub struct Fault {
    #[cfg(test)]
    pub left: Option<std::sync::atomic::AtomicI64>,
}

impl Fault {
    /// A boundary.
    #[cfg(not(test))]
    pub fn point(&self) -> Result<(), HandOverError> {
        Ok(())
    }

    /// A boundary.
    #[cfg(test)]
    pub fn point(&self) -> Result<(), HandOverError> {
        match &self.left {
            Some(left) if left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) <= 0 => {
                Err(HandOverError::Crashed)
            }
            _ => Ok(()),
        }
    }
}
