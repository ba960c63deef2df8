//! What is fenced off from a step though it has no rights: system calls, and sockets of the machine.
//!
//! [`calls`] is the list, after the default profile of podman; [`filter`] makes the program of it that the kernel runs at each call.
//! Both are second lines: what they refuse the kernel would nearly always refuse anyway, to a process without
//! capabilities. What only they refuse: the kernel's keys, io_uring, sockets to the hypervisor (`AF_VSOCK`, which no namespace holds),
//! and, with network, abstract sockets of the machine.

mod calls;
mod filter;
mod scope;

pub(super) use filter::Filter;
pub(super) use scope::leave_abstract_sockets;
