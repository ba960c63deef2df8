//! Network of every kind: none without `network = true`, and with it none of the machine's abstract sockets.

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::{Subject, for_each_subject};

for_each_subject! { no_network, no_raw_sockets, network_for_one_step }

/// What a step may try to reach: a port each of TCP and UDP, and an abstract socket.
struct Targets {
    tcp: TcpListener,
    udp: UdpSocket,
    abstract_socket: UnixListener,
    name: String,
}

impl Targets {
    fn new(test: &str) -> Self {
        let name = format!("computepods-{test}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let targets = Self {
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            abstract_socket: UnixListener::bind_addr(&address).unwrap(),
            name,
        };
        targets.tcp.set_nonblocking(true).unwrap();
        targets.udp.set_nonblocking(true).unwrap();
        targets.abstract_socket.set_nonblocking(true).unwrap();
        targets
    }

    fn lines(&self) -> [String; 3] {
        let tcp = self.tcp.local_addr().unwrap().port();
        let udp = self.udp.local_addr().unwrap().port();
        [format!("tcp 127.0.0.1 {tcp}"), format!("udp 127.0.0.1 {udp}"), format!("unix @{}", self.name)]
    }

    /// Which of them somebody came to.
    fn reached(&self) -> [bool; 3] {
        let came =
            |error: Option<std::io::Error>| error.is_none_or(|error| error.kind() != ErrorKind::WouldBlock);
        [
            came(self.tcp.accept().err()),
            came(self.udp.recv(&mut [0; 8]).err()),
            came(self.abstract_socket.accept().err()),
        ]
    }
}

fn no_network(subject: Subject) {
    let targets = Targets::new(&format!("none-{}", subject.ordinary));
    let lines = targets.lines();
    let tcp = targets.tcp.local_addr().unwrap().port().to_string();
    let far = format!("tcp 192.0.2.1 {tcp}");
    let lines = [&lines[0], &lines[1], &lines[2], &far].map(String::as_str);
    let said = subject.tries("", &lines);
    // A datagram to a port of the step's own loopback is sent, and nobody is there.
    for (said, line) in said.iter().zip(lines).filter(|(_, line)| !line.starts_with("udp")) {
        assert!(said.starts_with("refused "), "{line}: {said}");
    }
    assert_eq!(targets.reached(), [false; 3]);
}

fn no_raw_sockets(subject: Subject) {
    subject.is_refused(&["EPERM", "EAFNOSUPPORT"], &["raw", "packet", "vsock"]);
}

fn network_for_one_step(subject: Subject) {
    let targets = Targets::new(&format!("one-{}", subject.ordinary));
    let lines = targets.lines();
    let said = subject.tries("network = true", &lines.each_ref().map(String::as_str));
    assert_eq!(said[..2], ["HARM tcp", "HARM udp"], "it was asked for, and is no harm");
    // Before Linux 6.12 nothing could hold a step off them; docs/security.md says so.
    let scoped = landlock_version() >= 6;
    assert_eq!(targets.reached(), [true, true, !scoped], "{said:#?}");
    let raw = subject.tries("network = true", &["raw", "packet", "vsock"]);
    assert!(raw.iter().all(|said| said.starts_with("refused ")), "{raw:#?}");
}

/// What this kernel's landlock can do; 0: it has none.
fn landlock_version() -> i64 {
    // SAFETY: with this flag no memory is involved.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, 1) }
}
