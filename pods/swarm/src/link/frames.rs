//! Frames from a stream, one at a time: a length is checked before anything is allocated.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::AsyncReadExt as _;
use futures::io::{BufReader, ReadHalf};
use protocol::swarm::body_length;

use super::LinkError;
use crate::net::BoxedStream;

/// Enough for many small frames; large ones bypass it.
const BUFFER: usize = 64 << 10;

pub(super) struct Frames {
    stream: BufReader<ReadHalf<BoxedStream>>,
    /// Bytes that came on this link: by them a slow pod is told from one that says nothing.
    heard: Arc<AtomicU64>,
}

impl Frames {
    pub(super) fn new(stream: ReadHalf<BoxedStream>, heard: Arc<AtomicU64>) -> Self {
        Self { stream: BufReader::with_capacity(BUFFER, stream), heard }
    }

    /// The next frame behind its length.
    pub(super) async fn next(&mut self) -> Result<Bytes, LinkError> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await?;
        let mut body = vec![0; body_length(length)?];
        let mut filled = 0;
        while filled < body.len() {
            let count = self.stream.read(&mut body[filled..]).await?;
            if count == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            filled += count;
            self.heard.fetch_add(count as u64, Ordering::Relaxed);
        }
        Ok(body.into())
    }
}
