//! The pod's slots: how many steps may run at once, for all builds of the pod together.
//!
//! Each build brings its own limit; the pod has as many slots as the build that allows the most. Whoever asks first is
//! served first. A slot goes back when it is dropped, and a build's limit when the build is. Memory is only counted: how much those need that have
//! slots. Nobody here is held back by it.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

#[derive(Default)]
struct State {
    /// The limits of the builds that are under way.
    limits: Vec<usize>,
    taken: usize,
    /// Bytes of memory that those need who have slots.
    memory: u64,
    waiting: VecDeque<oneshot::Sender<Slot>>,
}

/// All slots of a pod. Clones share them.
#[derive(Clone, Default)]
pub struct Slots(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    /// How many there are, and how many of them are taken.
    counts: watch::Sender<(usize, usize)>,
}

impl State {
    fn counts(&self) -> (usize, usize) {
        (self.limits.iter().copied().max().unwrap_or(0), self.taken)
    }
}

impl Slots {
    /// A build begins that lets this many steps run at once.
    pub fn share(&self, limit: usize) -> Share {
        self.0.state.lock().limits.push(limit);
        self.hand_out();
        Share { slots: self.clone(), limit }
    }

    /// How many slots there are, and how many of them are taken.
    pub fn counts(&self) -> (usize, usize) {
        self.0.state.lock().counts()
    }

    /// How many bytes of memory those need that have slots, as far as is known.
    pub fn memory(&self) -> u64 {
        self.0.state.lock().memory
    }

    /// How many slots there are and are taken, as it changes; also when memory is given back.
    pub fn watch(&self) -> watch::Receiver<(usize, usize)> {
        self.0.counts.subscribe()
    }

    fn hand_out(&self) {
        loop {
            let mut state = self.0.state.lock();
            let (total, taken) = state.counts();
            let next = if taken < total { state.waiting.pop_front() } else { None };
            let Some(next) = next else {
                self.0.counts.send_replace((total, taken));
                return;
            };
            state.taken += 1;
            drop(state);
            // Whoever does not wait any more drops the slot, and so gives it back.
            drop(next.send(Slot { slots: self.clone(), memory: 0 }));
        }
    }
}

/// A build's part in the slots of its pod.
#[must_use = "dropping it takes the build's limit away"]
pub struct Share {
    slots: Slots,
    limit: usize,
}

impl Share {
    /// The build's own limit, which it keeps itself.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Gets in line for a slot. Dropping the receiver gives the place, or the slot, up.
    pub fn queue(&self) -> oneshot::Receiver<Slot> {
        let (sender, receiver) = oneshot::channel();
        self.slots.0.state.lock().waiting.push_back(sender);
        self.slots.hand_out();
        receiver
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.slots.0.state.lock();
        if let Some(at) = state.limits.iter().position(|limit| *limit == self.limit) {
            state.limits.swap_remove(at);
        }
        self.slots.0.counts.send_replace(state.counts());
    }
}

/// The right to run one step.
#[must_use = "dropping it gives the slot back"]
pub struct Slot {
    slots: Slots,
    memory: u64,
}

impl Slot {
    /// The step that has it needs so many bytes of memory.
    pub fn needs(&mut self, memory: u64) {
        let mut state = self.slots.0.state.lock();
        state.memory = state.memory.saturating_sub(self.memory).saturating_add(memory);
        self.memory = memory;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.slots.0.state.lock();
        state.taken -= 1;
        state.memory = state.memory.saturating_sub(self.memory);
        drop(state);
        self.slots.hand_out();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn builds_share_what_the_widest_of_them_allows() {
        let slots = Slots::default();
        let narrow = slots.share(1);
        let first = narrow.queue().now_or_never().unwrap().unwrap();
        assert!(narrow.queue().now_or_never().is_none());
        let wide = slots.share(2);
        let second = wide.queue().now_or_never().unwrap().unwrap();
        let mut third = wide.queue();
        assert!((&mut third).now_or_never().is_none());
        assert_eq!(slots.counts(), (2, 2));
        drop(first);
        assert!(third.now_or_never().unwrap().is_ok());
        drop(second);
        drop(wide);
        assert_eq!(slots.counts(), (1, 0));
    }

    #[test]
    fn memory_is_needed_as_long_as_the_slot_is_taken() {
        let slots = Slots::default();
        let share = slots.share(2);
        let [mut first, mut second] = [(), ()].map(|()| share.queue().now_or_never().unwrap().unwrap());
        first.needs(3);
        second.needs(5);
        second.needs(4);
        assert_eq!(slots.memory(), 7);
        let mut counts = slots.watch();
        counts.mark_unchanged();
        drop(first);
        assert!(counts.has_changed().unwrap());
        assert_eq!(slots.memory(), 4);
        drop(second);
        assert_eq!(slots.memory(), 0);
    }

    #[test]
    fn a_place_in_the_queue_that_was_given_up_costs_nothing() {
        let slots = Slots::default();
        let share = slots.share(1);
        let first = share.queue().now_or_never().unwrap().unwrap();
        let mut gone = share.queue();
        assert!((&mut gone).now_or_never().is_none());
        drop(gone);
        drop(first);
        assert!(share.queue().now_or_never().unwrap().is_ok());
    }
}
