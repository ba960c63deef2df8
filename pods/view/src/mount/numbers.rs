//! Inode numbers: which root, and which path of it, or which shared file.
//!
//! A number is never used again in the life of a mount, so generations are not needed.

use fuser::INodeNo;

/// How many low bits tell the paths of one root apart.
const PATH_BITS: u32 = 24;

/// The bit that marks a shared file's number.
const SHARED_BIT: u64 = 1 << 62;

/// The most paths that one root may be asked about.
pub const MAX_PATHS_PER_ROOT: usize = 1 << PATH_BITS;

/// What a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// The root of the mount, which holds the roots of the steps.
    Mount,
    /// A path of a step's root; the root folder has index 0.
    Path {
        /// The root's serial number in this mount, from 1.
        serial: u64,
        /// The path's place in the root's table.
        index: u32,
    },
    /// A file that roots share; its place in the table of shared files.
    Shared(u64),
}

impl Number {
    /// Reads a number that the kernel gives back.
    pub fn of(ino: INodeNo) -> Self {
        match ino.0 {
            ino if ino == INodeNo::ROOT.0 => Number::Mount,
            ino if ino & SHARED_BIT != 0 => Number::Shared(ino & !SHARED_BIT),
            ino => Number::Path { serial: ino >> PATH_BITS, index: (ino & ((1 << PATH_BITS) - 1)) as u32 },
        }
    }

    /// The number as the kernel knows it.
    pub fn ino(self) -> INodeNo {
        INodeNo(match self {
            Number::Mount => INodeNo::ROOT.0,
            Number::Path { serial, index } => serial << PATH_BITS | u64::from(index),
            Number::Shared(number) => SHARED_BIT | number,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        let last = Number::Path { serial: 1 << 37, index: (1 << PATH_BITS) - 1 };
        for number in
            [Number::Mount, Number::Path { serial: 1, index: 0 }, last, Number::Shared(0), Number::Shared(7)]
        {
            assert_eq!(Number::of(number.ino()), number);
        }
    }
}
