//! A gate in the middle of a step: the step stands before it until the test lets it through.
//!
//! Steps see nothing that the test could write, so the gate is a TCP port of this machine; the step needs `network = true`, and
//! `bash` for its `/dev/tcp`.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::running::LIMIT;

/// A gate.
pub struct Gate {
    listener: TcpListener,
}

/// A step before the gate. Dropped, it is let through.
pub struct Visitor(TcpStream);

impl Gate {
    /// A gate at a free port.
    pub fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    /// The shell command that stands before the gate.
    pub fn command(&self) -> String {
        let port = self.listener.local_addr().unwrap().port();
        format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; read -r go <&3'")
    }

    /// A project file whose step `s` stands before the gate, and then copies `source`.
    pub fn step(&self, made: &str) -> String {
        let gate = self.command();
        format!("[step.s]\nnetwork = true\nrun = '''\n{gate}\ncp source {made}\n'''\nout = '{made}'\n")
    }

    /// Waits until a step stands before it.
    #[track_caller]
    pub fn arrival(&self) -> Visitor {
        let limit = Timespec { tv_sec: LIMIT.as_secs() as i64, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&self.listener, PollFlags::IN)], Some(&limit)).unwrap();
        assert!(ready > 0, "no step came to the gate");
        Visitor(self.listener.accept().unwrap().0)
    }
}

impl Visitor {
    /// Lets it through.
    pub fn go(self) {}
}

impl Drop for Visitor {
    fn drop(&mut self) {
        // A step that was ended meanwhile needs no way.
        self.0.write_all(b"go\n").ok();
    }
}
