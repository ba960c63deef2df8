//! How much of the machine a step may use, and who holds it to that.
//!
//! - [`Limits`]: plain numbers, each of which may be missing;
//! - [`mod@cgroups`]: memory, processors and processes of the whole step, where this user may make control groups;
//! - [`disk`]: what it writes, looked at while it runs;
//! - [`room`]: whether the disk has room for that, which is the machine's matter;
//! - resource limits of the kernel (`zygote::rlimits`) for the rest, and for all where there are no control groups: those count
//!   each process by itself, and what reaches them is told by the kernel and by nobody else.
//!
//! No limit is part of any key, so a step that has reached one is never taken for a good one, whatever it made of that.

pub(crate) mod cgroups;
pub(crate) mod disk;
pub(crate) mod room;

use std::fmt;
use std::time::Duration;

/// What a step may use at most; none: what the kitchen's own bounds are ([`Limits::bounds`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of memory of all its processes, what is in its `/tmp` included.
    pub memory: Option<u64>,
    /// Thousandths of a processor.
    pub milli_cpus: Option<u64>,
    /// Processes and threads at once.
    pub processes: Option<u64>,
    /// Open files of one process.
    pub open_files: Option<u64>,
    /// Bytes that it writes to the project, and of one file anywhere.
    pub disk: Option<u64>,
    /// Time from its start, in which it is not held.
    pub time: Option<Duration>,
}

impl Limits {
    /// What bounds every step of which nobody says more: enough for any build, and too little to harm the machine.
    pub const fn bounds() -> Self {
        Self {
            memory: None,
            milli_cpus: None,
            processes: Some(16_384),
            open_files: None,
            disk: Some(64 << 30),
            time: None,
        }
    }

    /// These limits, and those of `other` where there are none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            memory: self.memory.or(other.memory),
            milli_cpus: self.milli_cpus.or(other.milli_cpus),
            processes: self.processes.or(other.processes),
            open_files: self.open_files.or(other.open_files),
            disk: self.disk.or(other.disk),
            time: self.time.or(other.time),
        }
    }

    /// Of each limit the smaller one.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        fn smaller<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            one.into_iter().chain(other).min()
        }
        Self {
            memory: smaller(self.memory, other.memory),
            milli_cpus: smaller(self.milli_cpus, other.milli_cpus),
            processes: smaller(self.processes, other.processes),
            open_files: smaller(self.open_files, other.open_files),
            disk: smaller(self.disk, other.disk),
            time: smaller(self.time, other.time),
        }
    }
}

/// A limit that a step has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of memory.
    Memory(u64),
    /// Processes and threads.
    Processes(u64),
    /// Bytes written.
    Disk(u64),
}

impl fmt::Display for Limit {
    /// `its memory limit of 512 MiB`
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Memory(bytes) => write!(out, "its memory limit of {}", Size(*bytes)),
            Limit::Processes(count) => write!(out, "its limit of {count} processes"),
            Limit::Disk(bytes) => write!(out, "its disk limit of {}", Size(*bytes)),
        }
    }
}

/// Bytes in the largest unit that leaves no rest.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.iter().find(|(shift, _)| self.0 > 0 && self.0.is_multiple_of(1 << shift)) {
            Some((shift, unit)) => write!(out, "{} {unit}", self.0 >> shift),
            None => write!(out, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_said_in_units_that_leave_no_rest() {
        assert_eq!(Limit::Memory(512 << 20).to_string(), "its memory limit of 512 MiB");
        assert_eq!(Limit::Disk(1536 << 20).to_string(), "its disk limit of 1536 MiB");
        assert_eq!(Limit::Disk(1000).to_string(), "its disk limit of 1000 bytes");
        assert_eq!(Limit::Processes(50).to_string(), "its limit of 50 processes");
    }

    #[test]
    fn of_two_limits_the_smaller_one_holds() {
        let order = Limits { memory: Some(4), disk: Some(1), ..Limits::default() };
        let owner = Limits { memory: Some(2), disk: Some(3), processes: Some(5), ..Limits::default() };
        let both = Limits { memory: Some(2), disk: Some(1), processes: Some(5), ..Limits::default() };
        assert_eq!((order.within(owner), owner.within(order)), (both, both));
    }

    #[test]
    fn the_nearer_limit_goes_first() {
        let step = Limits { memory: Some(1), ..Limits::default() };
        let project = Limits { memory: Some(2), disk: Some(3), ..Limits::default() };
        let both = step.or(project).or(Limits::bounds());
        assert_eq!((both.memory, both.disk, both.processes), (Some(1), Some(3), Some(16_384)));
    }
}
