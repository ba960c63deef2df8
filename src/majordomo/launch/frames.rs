//! Frames of `protocol::calls` on a socket: read within their bounds, written from memory or from a file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use larder::Content;
use protocol::calls::{Answer, Ask, MAX_BODY, MAX_HEADER};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of a body that are in memory at a time while it is written from a file.
const CHUNK: usize = 1 << 20;

/// Why a frame cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is longer than any frame.
    #[error("a {part} of {length} bytes is longer than {limit}, the longest that there may be")]
    TooLong {
        /// Which part of it.
        part: &'static str,
        /// How long it says it is.
        length: u64,
        /// The longest.
        limit: u64,
    },
    /// Its header is none of ours.
    #[error("its header cannot be understood")]
    Header(#[source] serde_json::Error),
}

fn bounded(part: &'static str, length: u64, limit: u64) -> Result<usize, FrameError> {
    match usize::try_from(length) {
        Ok(fits) if length <= limit => Ok(fits),
        _ => Err(FrameError::TooLong { part, length, limit }),
    }
}

async fn bytes(from: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<Vec<u8>> {
    // Memory is taken as bytes come, not as they are promised.
    let mut bytes = Vec::with_capacity(length.min(CHUNK));
    let read = from.take(length as u64).read_to_end(&mut bytes).await?;
    if read < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

/// Reads a frame; `None` at the end of the talk. Not cancel safe.
pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<(Ask, Vec<u8>)>, FrameError> {
    let mut lengths = [0; 12];
    // The other side may go between two frames, and not within one.
    if from.read(&mut lengths[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut lengths[1..]).await?;
    let [a, b, c, d, rest @ ..] = lengths;
    let header = bounded("header", u32::from_le_bytes([a, b, c, d]).into(), MAX_HEADER.into())?;
    let body = bounded("body", u64::from_le_bytes(rest), MAX_BODY)?;
    let header = bytes(from, header).await?;
    let ask = serde_json::from_slice(&header).map_err(FrameError::Header)?;
    Ok(Some((ask, bytes(from, body).await?)))
}

/// Writes a frame. Not cancel safe.
pub async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    answer: &Answer,
    body: Option<Content>,
) -> io::Result<()> {
    let header = serde_json::to_vec(answer)?;
    let length = match &body {
        None => 0,
        Some(Content::Bytes(bytes)) => bytes.len() as u64,
        Some(Content::File { size, .. }) => *size,
    };
    let mut head = Vec::with_capacity(12 + header.len());
    head.extend_from_slice(&(header.len() as u32).to_le_bytes());
    head.extend_from_slice(&length.to_le_bytes());
    head.extend_from_slice(&header);
    to.write_all(&head).await?;
    match body {
        None => Ok(()),
        Some(Content::Bytes(bytes)) => to.write_all(&bytes).await,
        Some(Content::File { file, size }) => copy(to, file, size).await,
    }
}

async fn copy(to: &mut (impl AsyncWrite + Unpin), file: Arc<File>, size: u64) -> io::Result<()> {
    let mut at = 0;
    while at < size {
        let (file, length) = (Arc::clone(&file), (size - at).min(CHUNK as u64) as usize);
        let reading = tokio::task::spawn_blocking(move || {
            let mut part = vec![0; length];
            file.read_exact_at(&mut part, at).map(|()| part)
        });
        let part = reading.await.map_err(io::Error::other)??;
        to.write_all(&part).await?;
        at += part.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    fn frame(header: &[u8], body: u64) -> Vec<u8> {
        [&(header.len() as u32).to_le_bytes()[..], &body.to_le_bytes(), header].concat()
    }

    fn reads(bytes: &[u8]) -> Result<Option<(Ask, Vec<u8>)>, FrameError> {
        block_on(read(&mut &*bytes))
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut wire = frame(br#"{"ask":"code","code":7}"#, 3);
        wire.extend(b"abc");
        assert_eq!(reads(&wire).unwrap(), Some((Ask::Code { code: 7 }, b"abc".to_vec())));
        assert_eq!(reads(b"").unwrap(), None);
        let mut written = Vec::new();
        let answer = Answer::Returned { call: 1, reused: true };
        block_on(write(&mut written, &answer, Some(Content::Bytes(b"xy".as_slice().into())))).unwrap();
        let header = serde_json::to_vec(&answer).unwrap();
        assert_eq!(written, [frame(&header, 2), b"xy".to_vec()].concat());
    }

    #[test]
    fn what_is_cut_short_or_too_long_or_no_frame_is_an_error() {
        let whole = frame(br#"{"ask":"cancel","call":7}"#, 0);
        for end in 1..whole.len() {
            assert!(matches!(reads(&whole[..end]), Err(FrameError::Io(_))), "{end}");
        }
        assert!(matches!(reads(&frame(b"{}", 1 << 40)), Err(FrameError::TooLong { part: "body", .. })));
        let long = [&[0xff; 4][..], &[0; 8]].concat();
        assert!(matches!(reads(&long), Err(FrameError::TooLong { part: "header", .. })));
        assert!(matches!(reads(&frame(b"{\"ask\":\"dance\"}", 0)), Err(FrameError::Header(_))));
    }
}
