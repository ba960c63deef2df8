//! What two pods say to each other over the swarm's streams: frames, and the chunk lists that they send.
//!
//! A pair of pods has one connection with three long-lived streams in both directions: *control* for everything but
//! bytes, *urgent* and *bulk* for [`Data`] alone. A frame is
//!
//! ```text
//! u32 length of the rest | u8 type | u32 request | body          (integers little-endian, lists behind their count)
//! ```
//!
//! The asker chooses the request's number, unique among its own on this connection; the answer repeats it. Every
//! list has a bound, and a frame may not be longer than [`MAX_FRAME`]: a length is checked before a byte is
//! allocated, and bytes that are no frame end the connection.
//!
//! ```text
//! both            HELLO, first on control      whoever cannot go on says BYE, and closes
//! asker           HAVE? → HAVE                 which of these are there, how big, and for how long surely
//! asker           WANT → DATA…, MISS, BUSY     the holder sends as much as it has CREDIT for on that stream
//! asker           CREDIT, CANCEL               bytes were taken in; these are no longer wanted
//! asker           FETCH → HAVE                 get these from pods that I cannot reach, then tell me
//! ```

mod chunk_list;
mod decode;
mod encode;
mod frame;

pub use chunk_list::{Chunk, ChunkList, ChunkParams};
pub use decode::{BadFrame, body_length};
pub use encode::data_header;
pub use frame::{Data, Frame, Hello, Item, Lane};

/// The protocol's major number: another one is refused.
pub const MAJOR: u16 = 1;
/// The protocol's minor number: both speak the lower.
pub const MINOR: u16 = 0;
/// Bytes of content in one DATA frame at most.
pub const MAX_DATA: usize = 256 << 10;
/// The longest frame behind its length: a full DATA frame, which every bounded list is shorter than.
pub const MAX_FRAME: usize = MAX_DATA + 64;
/// The shortest frame behind its length: type and request.
pub const MIN_FRAME: usize = 5;
/// Objects or items in one HAVE?, HAVE, WANT, MISS, CANCEL or FETCH.
pub const MAX_ITEMS: usize = 4096;
/// Pods that a FETCH may name.
pub const MAX_HINTS: usize = 8;
/// Bytes of a BYE's sentence.
pub const MAX_REASON: usize = 512;

#[cfg(test)]
mod tests;
