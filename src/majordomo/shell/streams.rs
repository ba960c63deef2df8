//! Three descriptors over a socket: the standard streams of a visit.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// How many there are.
const COUNT: usize = 3;
/// The byte that goes with them says what they are.
const PIPES: u8 = b'p';
const TERMINAL: u8 = b't';

/// Hands streams over.
pub fn send(socket: &UnixStream, fds: [BorrowedFd<'_>; COUNT], is_terminal: bool) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(COUNT))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let kind = [if is_terminal { TERMINAL } else { PIPES }];
    Ok(sendmsg(socket, &[IoSlice::new(&kind)], &mut control, SendFlags::NOSIGNAL).map(drop)?)
}

/// Takes what [`send`] hands over; whether it is a terminal.
pub fn receive(socket: &UnixStream) -> io::Result<([OwnedFd; COUNT], bool)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(COUNT))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut kind = [0];
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut kind)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut fds: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            fds.extend(some);
        }
    }
    let fds = <[OwnedFd; COUNT]>::try_from(fds).map_err(|_| io::ErrorKind::InvalidData)?;
    match (received.bytes, kind[0]) {
        (1, PIPES) => Ok((fds, false)),
        (1, TERMINAL) => Ok((fds, true)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    #[test]
    fn streams_arrive_in_order() {
        let (a, b) = UnixStream::pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        send(&a, [null.as_fd(), writer.as_fd(), null.as_fd()], true).unwrap();
        drop(writer);
        let ([_, stdout, _], is_terminal) = receive(&b).unwrap();
        assert!(is_terminal);
        std::fs::File::from(stdout).write_all(b"said").unwrap();
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(said, "said");
        // Who hangs up hands nothing over.
        drop(a);
        assert!(receive(&b).is_err());
    }
}
