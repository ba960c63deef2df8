//! What a pod's beats tell of its load.

use node::Pod;
use protocol::mesh::{Beat, Role};

use super::joining::Offer;
use crate::majordomo::build::default_jobs;

/// Steps that run at once for others: none but at a full member.
pub fn slots(offer: &Offer, role: Role) -> u32 {
    let ours = || u32::try_from(default_jobs()).unwrap_or(u32::MAX);
    if role == Role::Full { offer.slots.unwrap_or_else(ours) } else { 0 }
}

/// The beat of this moment.
pub fn beat(pod: &Pod, offer: &Offer, role: Role) -> Beat {
    let slots = slots(offer, role);
    let (_, taken) = pod.slots().counts();
    let taken = u32::try_from(taken).unwrap_or(u32::MAX);
    let mut labels = node::machine_labels();
    labels.extend(offer.labels.clone());
    Beat {
        free_slots: slots.saturating_sub(taken),
        slots,
        load: load().unwrap_or_default(),
        processors: u32::try_from(default_jobs()).unwrap_or(u32::MAX),
        free_memory: free_memory(pod, offer.memory),
        memory: offer.memory.or_else(|| of_machine("MemTotal:")),
        labels,
        ..Beat::default()
    }
}

/// Of the last minute, in hundredths of a processor.
fn load() -> Option<u32> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some((load * 100.0) as u32)
}

/// Bytes of memory that a step can have now: of what is offered, if anything is said of that, what those that run do not need; and no more than the
/// machine has.
pub fn free_memory(pod: &Pod, offered: Option<u64>) -> u64 {
    let of_offer = offered.map_or(u64::MAX, |offered| offered.saturating_sub(pod.slots().memory()));
    // A machine that does not say what it has is no reason to run nothing.
    of_machine("MemAvailable:").map_or(of_offer, |available| available.min(of_offer))
}

/// Bytes, as the kernel says.
fn of_machine(what: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(what))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}
