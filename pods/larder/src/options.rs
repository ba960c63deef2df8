//! The bounds of a larder, each with its name and its reason.

use std::time::Duration;

/// Blobs of this size or more are whole files, which FUSE can pass through; smaller ones go into packs.
pub const WHOLE_BLOB_SIZE: u64 = 1 << 20;
/// A pack that has reached this size is closed and the next one begun.
pub const PACK_TARGET_SIZE: u64 = 64 << 20;
/// The largest tree, trace or path set: far beyond sense, and small enough that a pack's offsets fit 32 bits.
pub const MAX_STRUCTURED_SIZE: u64 = 1 << 30;
/// The largest value of a note.
pub const MAX_NOTE_SIZE: u64 = 16 << 20;
/// Path sets that are answered for one weak key from the asking workspace.
pub const CANDIDATES_PER_WORKSPACE: usize = 32;
/// Path sets that are answered for one weak key altogether.
pub const CANDIDATES_PER_WEAK_KEY: usize = 256;
/// Files kept in the quarantine; beyond that the oldest are deleted.
pub const QUARANTINE_FILES: usize = 256;
/// Blobs that are remembered for the next sync; one beyond that is merely hashed again after a new boot.
pub const UNSYNCED_BLOBS: usize = 1 << 16;
/// Packs that a lane remembers for the next sync; those beyond that are left to the kernel.
pub const UNSYNCED_PACKS: usize = 32;
/// Repairs that are remembered until somebody asks; beyond that they are only logged.
pub const REPAIRS_KEPT: usize = 1024;

/// Places that are looked up at once; beyond that each is looked up when it is asked for.
pub const PLACES_AHEAD: usize = 1 << 13;

/// How a larder is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    /// When what was put is written out and indexed.
    pub commit: CommitOptions,
    /// How much is kept in memory.
    pub memory: MemoryOptions,
    /// Packs that are appended to at the same time, so that as many threads can put without waiting for each other.
    pub lanes: usize,
    /// The size at which a pack is closed.
    pub pack_target_size: u64,
}

/// When what was put is written out and indexed.
#[derive(Debug, Clone)]
pub struct CommitOptions {
    /// How long the writer gathers before it commits. Only speed depends on it: what is not committed is found again in
    /// the packs.
    pub gather: Duration,
    /// Rows after which it commits at once.
    pub max_rows: usize,
    /// How long after a put its bytes are forced onto the disk; a power cut may lose that much, and never more than
    /// the kernel would lose anyway. `None` leaves it to the kernel and to [`crate::Larder::sync`].
    pub sync_after: Option<Duration>,
}

/// How much is kept in memory.
#[derive(Debug, Clone)]
pub struct MemoryOptions {
    /// Places of objects (about 130 bytes each).
    pub places: usize,
    /// Digests of host files (about 100 bytes each).
    pub stamps: usize,
    /// Looks in decoded path sets (about 100 bytes each).
    pub looks: usize,
    /// Bytes gathered for a pack before they are written to it.
    pub lane_buffer: usize,
    /// Open descriptors of packs.
    pub open_packs: usize,
    /// Idle read connections to the index (up to 2 MiB each).
    pub readers: usize,
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get());
        Self {
            commit: CommitOptions::default(),
            memory: MemoryOptions::default(),
            lanes: cores.clamp(1, 4),
            pack_target_size: PACK_TARGET_SIZE,
        }
    }
}

impl Default for CommitOptions {
    fn default() -> Self {
        Self { gather: Duration::from_millis(50), max_rows: 8192, sync_after: Some(Duration::from_secs(5)) }
    }
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            places: 1 << 16,
            stamps: 1 << 18,
            looks: 1 << 18,
            lane_buffer: 1 << 19,
            open_packs: 128,
            readers: 8,
        }
    }
}
