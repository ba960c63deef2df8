//! Ctrl-C and its relatives.
//!
//! Actors: one thread that waits for signals, and whoever holds an [`Interrupt`]. The first signal cancels the request
//! that is being carried out; the second one leaves at once, and the next start cleans up. Nothing here needs to be
//! restored on the way out: live progress never hides the cursor.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The signals that end us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The terminal went away.
    Hangup,
    /// Ctrl-C.
    Interrupt,
    /// Somebody asks politely.
    Terminate,
}

impl Signal {
    /// 128 and the signal's number, as shells say it.
    pub fn exit_code(self) -> u8 {
        match self {
            Signal::Hangup => 129,
            Signal::Interrupt => 130,
            Signal::Terminate => 143,
        }
    }

    fn from_number(number: i32) -> Option<Self> {
        match number {
            SIGHUP => Some(Signal::Hangup),
            SIGINT => Some(Signal::Interrupt),
            SIGTERM => Some(Signal::Terminate),
            _ => None,
        }
    }
}

/// Why a request is to be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The user or the system sent a signal.
    Signal(Signal),
    /// What the request tells can no longer be written down (an events file that is full, or closed).
    Unheard,
}

type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    cause: Option<Cause>,
    /// In the order of their numbers, which are never used again.
    hooks: BTreeMap<u64, Hook>,
    last: u64,
}

/// A hook that is called as long as this is held.
#[must_use]
pub struct Hooked {
    interrupt: Interrupt,
    number: Option<u64>,
}

impl Hooked {
    /// It stays until the interrupt is set.
    pub fn for_good(mut self) {
        self.number = None;
    }
}

impl Drop for Hooked {
    fn drop(&mut self) {
        // What it holds is dropped when the lock is free again.
        let _hook = self.number.and_then(|number| self.interrupt.0.lock().hooks.remove(&number));
    }
}

/// Set once, when what is being carried out is to be cancelled. Clones share it.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<Mutex<State>>);

impl Interrupt {
    /// One that only [`Interrupt::set`] sets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets it, and calls what waits for it on this thread. A second cause changes nothing; returns whether it was
    /// the first.
    pub fn set(&self, cause: Cause) -> bool {
        let hooks = {
            let mut state = self.0.lock();
            if state.cause.is_some() {
                return false;
            }
            state.cause = Some(cause);
            std::mem::take(&mut state.hooks)
        };
        for hook in hooks.into_values() {
            hook();
        }
        true
    }

    /// Why it was set; `None`: it is not.
    pub fn cause(&self) -> Option<Cause> {
        self.0.lock().cause
    }

    /// Calls `hook` when it is set: later on the thread that sets it, or now on this one if that has been; not once what is given back has been
    /// dropped. The hook must not block (cancel a token, write to a pipe).
    pub fn on_set(&self, hook: impl FnOnce() + Send + 'static) -> Hooked {
        let mut state = self.0.lock();
        if state.cause.is_none() {
            state.last += 1;
            let number = state.last;
            state.hooks.insert(number, Box::new(hook));
            return Hooked { interrupt: self.clone(), number: Some(number) };
        }
        drop(state);
        hook();
        Hooked { interrupt: self.clone(), number: None }
    }

    /// From now on the first SIGINT, SIGTERM or SIGHUP sets it, and the second one leaves the process at once. A signal that
    /// whoever started us had ignored (`nohup`, a script's background job) stays so.
    ///
    /// # Errors
    /// The handlers or the thread cannot be made.
    pub fn arm(&self) -> io::Result<()> {
        let ignored = std::fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
        let heeded = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
        let mut signals = Signals::new(heeded)?;
        let interrupt = self.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever().filter_map(Signal::from_number) {
                if !interrupt.set(Cause::Signal(signal)) {
                    signal_hook::low_level::exit(signal.exit_code().into());
                }
            }
        })?;
        Ok(())
    }
}

/// The signals that a process ignores, signal n as bit n-1, from its `/proc/<pid>/status` (proc(5)).
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn the_first_cause_stays_and_hooks_run_once() {
        let (sender, receiver) = channel();
        let interrupt = Interrupt::new();
        let early = sender.clone();
        interrupt.on_set(move || early.send("early").unwrap()).for_good();
        let no_more = sender.clone();
        drop(interrupt.on_set(move || no_more.send("no more").unwrap()));
        assert!(receiver.try_recv().is_err());
        assert!(interrupt.set(Cause::Signal(Signal::Interrupt)));
        assert!(!interrupt.set(Cause::Unheard));
        interrupt.on_set(move || sender.send("late").unwrap()).for_good();
        assert_eq!(receiver.iter().collect::<Vec<_>>(), ["early", "late"]);
        assert_eq!(interrupt.cause(), Some(Cause::Signal(Signal::Interrupt)));
    }

    #[test]
    fn ignored_signals_are_known() {
        let status = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000004002\n";
        assert_eq!(ignored(status), 1 << (SIGHUP - 1) | 1 << 12);
        assert_eq!(ignored(""), 0);
    }

    #[test]
    fn a_real_signal_sets_it() {
        let (sender, receiver) = channel();
        let interrupt = Interrupt::new();
        interrupt.arm().unwrap();
        interrupt.on_set(move || sender.send(()).unwrap()).for_good();
        signal_hook::low_level::raise(SIGTERM).unwrap();
        receiver.recv().unwrap();
        assert_eq!(interrupt.cause().map(|cause| cause == Cause::Signal(Signal::Terminate)), Some(true));
    }
}
