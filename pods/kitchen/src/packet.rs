//! Packets with descriptors over a socket pair.
//!
//! The socket keeps the borders of packets, so that several processes may write to one end. A packet that is too large for
//! it (an environment may have megabytes) travels in an anonymous file instead.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Bytes of the longest packet that goes through the socket itself.
const INLINE: usize = 64 << 10;
/// Descriptors in one packet at most, with that of a long packet.
const MOST_FDS: usize = 8;
/// The first byte of a packet: the rest follows, or is in the first descriptor.
const HERE: u8 = 0;
const IN_FILE: u8 = 1;

/// A connected pair, close-on-exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one packet.
pub(crate) fn send(socket: impl AsFd, body: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if body.len() <= INLINE {
        return send_parts(socket.as_fd(), &[IoSlice::new(&[HERE]), IoSlice::new(body)], fds);
    }
    let mut file = File::from(memfd_create("kitchen-packet", MemfdFlags::CLOEXEC)?);
    file.write_all(body)?;
    file.rewind()?;
    let all: Vec<_> = std::iter::once(file.as_fd()).chain(fds.iter().copied()).collect();
    send_parts(socket.as_fd(), &[IoSlice::new(&[IN_FILE])], &all)
}

fn send_parts(socket: BorrowedFd<'_>, parts: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    loop {
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        match sendmsg(socket, parts, &mut control, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            sent => return sent.map(drop).map_err(io::Error::from),
        }
    }
}

/// The receiving side of a socket, with a buffer that is used again and again.
pub(crate) struct Receiver {
    buffer: Vec<u8>,
}

impl Receiver {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; INLINE + 1] }
    }

    /// Receives one packet; `None` if the other side is gone.
    pub(crate) fn receive(&mut self, socket: impl AsFd) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut self.buffer)];
            match recvmsg(&socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                received => break received?,
            }
        };
        let mut fds: Vec<OwnedFd> = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                fds.extend(some);
            }
        }
        match &self.buffer[..received.bytes] {
            [] => Ok(None),
            [HERE, body @ ..] => Ok(Some((body.to_vec(), fds))),
            _ if fds.is_empty() => Err(io::ErrorKind::InvalidData.into()),
            _ => {
                let mut body = Vec::new();
                File::from(fds.remove(0)).read_to_end(&mut body)?;
                Ok(Some((body, fds)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_keep_their_borders_and_descriptors() {
        let (a, b) = pair().unwrap();
        let mut receiver = Receiver::new();
        let long = vec![7; INLINE + 1];
        send(&a, b"short", &[]).unwrap();
        send(&a, &long, &[a.as_fd(), b.as_fd()]).unwrap();
        let (body, fds) = receiver.receive(&b).unwrap().unwrap();
        assert_eq!((body.as_slice(), fds.len()), (&b"short"[..], 0));
        let (body, fds) = receiver.receive(&b).unwrap().unwrap();
        assert_eq!((body, fds.len()), (long, 2));
        drop((a, fds));
        assert!(receiver.receive(&b).unwrap().is_none());
    }
}
