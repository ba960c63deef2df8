//! The seccomp program: classic BPF that looks at a system call's number and first argument.
//!
//! Written here and not with a crate, because two answers are needed (not permitted, unknown) and programs of 32 bits must go on
//! running under a list of their own, where the crates that there are end them. Each step puts it up anew, and the kernel then works out the answer
//! to every number, so the program halves the numbers until it has found the range; a list that is walked through took 0.6 ms of each step.

use std::io;

use super::calls;

// linux/bpf_common.h, linux/seccomp.h, linux/audit.h
const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const SET_MODE_FILTER: libc::c_ulong = 1;
/// Steps have nothing to hide from themselves, so the processor may go on guessing; without it each program would be slower.
const SPEC_ALLOW: libc::c_ulong = 1 << 2;

/// Places in `struct seccomp_data`; both kinds of processor are little-endian, so an argument's low half comes first.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// All flags of `clone(2)` that make a namespace.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET)
    .cast_unsigned();

/// The families of sockets that there are; all others (`AF_VSOCK` above all) are no network of the step's namespace.
const FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// The program, ready to be put before a process.
pub(in super::super) struct Filter(Vec<libc::sock_filter>);

/// The numbers of one kind of program.
struct Abi {
    arch: u32,
    forbidden: &'static [libc::c_long],
    unknown: &'static [libc::c_long],
    clone: u32,
    socket: u32,
}

#[cfg(target_arch = "x86_64")]
const ABIS: &[Abi] = &[
    Abi {
        arch: 0xc000_003e,
        forbidden: calls::FORBIDDEN,
        unknown: calls::UNKNOWN,
        clone: libc::SYS_clone as u32,
        socket: libc::SYS_socket as u32,
    },
    Abi {
        arch: 0x4000_0003,
        forbidden: calls::of_32_bits::FORBIDDEN,
        unknown: calls::of_32_bits::UNKNOWN,
        clone: calls::of_32_bits::CLONE,
        socket: calls::of_32_bits::SOCKET,
    },
];
#[cfg(target_arch = "aarch64")]
const ABIS: &[Abi] = &[Abi {
    arch: 0xc000_00b7,
    forbidden: calls::FORBIDDEN,
    unknown: calls::UNKNOWN,
    clone: libc::SYS_clone as u32,
    socket: libc::SYS_socket as u32,
}];

fn errno(errno: libc::c_int) -> u32 {
    ERRNO | errno.cast_unsigned()
}

fn op(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

/// Goes on with the next instruction if the condition holds, else leaves out `past`.
fn unless(code: u16, k: u32, past: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: past, k }
}

/// What is answered to a number, or to all from one on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Plain(u32),
    Clone,
    Socket,
}

impl Answer {
    /// The instructions; each way through them ends.
    fn program(self) -> Vec<libc::sock_filter> {
        let when = |code, k, answer| [unless(code, k, 1), op(RETURN, answer)];
        let mut program = Vec::new();
        match self {
            Answer::Plain(answer) => program.push(op(RETURN, answer)),
            Answer::Clone => {
                program.push(op(LOAD_WORD, FIRST_ARGUMENT));
                program.extend(when(JUMP_ANY_BIT, NAMESPACES, errno(libc::EPERM)));
                program.push(op(RETURN, ALLOW));
            }
            Answer::Socket => {
                program.push(op(LOAD_WORD, FIRST_ARGUMENT));
                for family in FAMILIES {
                    program.extend(when(JUMP_EQUAL, family.cast_unsigned(), ALLOW));
                }
                program.push(op(RETURN, errno(libc::EAFNOSUPPORT)));
            }
        }
        program
    }
}

impl Abi {
    fn answer(&self, number: u32) -> Answer {
        let is_in = |list: &[libc::c_long]| list.contains(&number.into());
        if number == self.clone {
            Answer::Clone
        } else if number == self.socket {
            Answer::Socket
        } else if is_in(self.forbidden) {
            Answer::Plain(errno(libc::EPERM))
        } else if is_in(self.unknown) || number > calls::LAST {
            Answer::Plain(errno(libc::ENOSYS))
        } else {
            Answer::Plain(ALLOW)
        }
    }

    /// The instructions for a call of this kind. Numbers of the x32 kind have a high bit, and so are above all.
    fn program(&self) -> Vec<libc::sock_filter> {
        let mut ranges: Vec<(u32, Answer)> = Vec::new();
        for number in 0..=calls::LAST + 1 {
            let answer = self.answer(number);
            if ranges.last().is_none_or(|(_, last)| *last != answer) {
                ranges.push((number, answer));
            }
        }
        let mut program = vec![op(LOAD_WORD, NUMBER)];
        program.extend(halved(&ranges));
        program
    }
}

/// Finds the range of the number by halves.
fn halved(ranges: &[(u32, Answer)]) -> Vec<libc::sock_filter> {
    let (below, from) = ranges.split_at(ranges.len() / 2);
    match (below, from) {
        ([], from) => from.iter().flat_map(|(_, answer)| answer.program()).collect(),
        (_, [(start, _), ..]) => {
            let (below, above) = (halved(below), halved(from));
            // A test holds the length against what a jump can be.
            let mut program =
                vec![libc::sock_filter { code: JUMP_AT_LEAST, jt: below.len() as u8, jf: 0, k: *start }];
            program.extend(below);
            program.extend(above);
            program
        }
        (_, []) => Vec::new(),
    }
}

impl Filter {
    /// The program for this kind of processor.
    pub(in super::super) fn new() -> Self {
        let mut program = vec![op(LOAD_WORD, ARCH)];
        for abi in ABIS {
            let calls = abi.program();
            // The list is longer than a conditional jump can be, so the way past it is an unconditional one.
            program.push(libc::sock_filter { code: JUMP_EQUAL, jt: 1, jf: 0, k: abi.arch });
            program.push(op(JUMP, calls.len() as u32));
            program.extend(calls);
        }
        program.push(op(RETURN, errno(libc::ENOSYS)));
        Self(program)
    }

    /// Puts it before the calling process and all that come of it, for good. `no_new_privs` must be set.
    pub(in super::super) fn put_up(&self) -> io::Result<()> {
        let program =
            libc::sock_fprog { len: self.0.len() as libc::c_ushort, filter: self.0.as_ptr().cast_mut() };
        // SAFETY: the kernel reads `len` instructions, which live as long as `self`, and keeps a copy.
        match unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, SPEC_ALLOW, &raw const program) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer: `struct seccomp_data` through the program.
    fn run(arch: u32, number: u32, first: u32) -> u32 {
        let Filter(program) = Filter::new();
        let (mut at, mut word) = (0, 0);
        loop {
            let op = program[at];
            at += 1;
            let holds = match op.code {
                LOAD_WORD => {
                    word = match op.k {
                        NUMBER => number,
                        ARCH => arch,
                        FIRST_ARGUMENT => first,
                        other => panic!("loads from {other}"),
                    };
                    continue;
                }
                JUMP => {
                    at += op.k as usize;
                    continue;
                }
                RETURN => return op.k,
                JUMP_EQUAL => word == op.k,
                JUMP_AT_LEAST => word >= op.k,
                JUMP_ANY_BIT => word & op.k != 0,
                other => panic!("instruction {other}"),
            };
            at += usize::from(if holds { op.jt } else { op.jf });
        }
    }

    #[test]
    fn each_kind_of_program_has_its_list() {
        for abi in ABIS {
            let run = |number: libc::c_long, first: u32| run(abi.arch, number as u32, first);
            for number in abi.forbidden {
                assert_eq!(run(*number, 0), errno(libc::EPERM), "{number}");
            }
            for number in abi.unknown {
                assert_eq!(run(*number, 0), errno(libc::ENOSYS), "{number}");
            }
            let others = (0..=i64::from(calls::LAST)).filter(|number| {
                !abi.forbidden.contains(number)
                    && !abi.unknown.contains(number)
                    && *number as u32 != abi.socket
            });
            others.for_each(|number| assert_eq!(run(number, 0), ALLOW, "{number}"));
            assert_eq!(run(i64::from(calls::LAST) + 1, 0), errno(libc::ENOSYS));
            let clone = i64::from(abi.clone);
            assert_eq!(run(clone, (libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD) as u32), ALLOW);
            assert_eq!(run(clone, libc::CLONE_NEWUSER as u32), errno(libc::EPERM));
            assert_eq!(run(clone, (libc::CLONE_VM | libc::CLONE_NEWNET) as u32), errno(libc::EPERM));
            let socket = i64::from(abi.socket);
            for family in FAMILIES {
                assert_eq!(run(socket, family as u32), ALLOW);
            }
            for family in [libc::AF_VSOCK, libc::AF_PACKET, libc::AF_ALG, 0] {
                assert_eq!(run(socket, family as u32), errno(libc::EAFNOSUPPORT));
            }
        }
        // Numbers of the x32 kind, and processors that this is not.
        assert_eq!(run(ABIS[0].arch, 0x4000_0000, 0), errno(libc::ENOSYS));
        assert_eq!(run(0x1234, 0, 0), errno(libc::ENOSYS));
    }

    #[test]
    fn lists_have_no_number_twice_and_jumps_are_short_enough() {
        for abi in ABIS {
            assert!(abi.program().len() < 2 * usize::from(u8::MAX), "half of it has to be within one jump");
            let mut numbers = abi.forbidden.to_vec();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), abi.forbidden.len());
        }
    }
}
