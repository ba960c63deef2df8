//! Who is a member, as the log says: a view that others hold, and the policy of what may be said.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protocol::PodId;
use protocol::mesh::{Addresses, FederationId, GenerationEntry, KeyEntry, Member, Role, Standing, subject};
use tokio::sync::watch;

use super::words::{MAX_NAME, readable};
use crate::keys::{Identity, Ring, SharedRing};
use crate::ledger::{Entry, Judgement, Policy, SETTLING, View};

/// The longest chain of admissions from the founder.
const MAX_CHAIN: usize = 64;
/// The most addresses of one pod that are kept.
pub const MAX_ADDRESSES: usize = 32;

/// A pod that is or was a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMember {
    /// Which.
    pub pod: PodId,
    /// A label for people.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Whether it still belongs to it.
    pub standing: Standing,
    /// What group keys are sealed to.
    pub seal_key: [u8; 32],
    /// Where it says that it can be reached.
    pub addresses: Vec<String>,
    /// Which generation it knew when it was banned.
    pub knew_generation: Option<u32>,
}

impl KnownMember {
    /// Whether it belongs to the federation now.
    pub fn is_member(&self) -> bool {
        self.standing == Standing::Member
    }
}

/// All that are or were members, by pod.
pub type MemberList = BTreeMap<PodId, KnownMember>;

/// The members. Cheap to ask, and to watch.
pub struct Members {
    federation: FederationId,
    us: Arc<Identity>,
    ring: SharedRing,
    state: Mutex<State>,
    list: watch::Sender<Arc<MemberList>>,
    rings: watch::Sender<u32>,
}

#[derive(Default)]
struct State {
    raw: HashMap<PodId, Raw>,
    addresses: HashMap<PodId, Vec<String>>,
    generation: Option<GenerationEntry>,
    heard: HashMap<PodId, Instant>,
}

struct Raw {
    member: Member,
    /// Who let it in, and as what; none for the founder.
    admitted: Option<(PodId, Role)>,
}

impl Members {
    /// Nobody yet.
    pub fn new(federation: FederationId, us: Arc<Identity>, ring: SharedRing) -> Arc<Self> {
        Arc::new(Self {
            federation,
            us,
            ring,
            state: Mutex::default(),
            list: watch::Sender::new(Arc::default()),
            rings: watch::Sender::new(0),
        })
    }

    /// All that are known now.
    pub fn list(&self) -> Arc<MemberList> {
        self.list.borrow().clone()
    }

    /// The same, as it changes.
    pub fn watch(&self) -> watch::Receiver<Arc<MemberList>> {
        self.list.subscribe()
    }

    /// The newest group key, as it comes: whoever keeps the ring writes it then.
    pub fn rings(&self) -> watch::Receiver<u32> {
        self.rings.subscribe()
    }

    /// Whether a pod belongs to the federation now.
    pub fn is_member(&self, pod: &PodId) -> bool {
        self.list.borrow().get(pod).is_some_and(KnownMember::is_member)
    }

    /// Whether what a pod publishes is believed by default.
    pub fn is_believed(&self, pod: &PodId) -> bool {
        self.list.borrow().get(pod).is_some_and(|known| known.is_member() && known.role == Role::Full)
    }

    /// A member was heard.
    pub fn heard(&self, pod: &PodId) {
        self.state.lock().heard.insert(*pod, Instant::now());
    }

    /// How long a member has not been heard; none if never.
    pub fn silent_for(&self, pod: &PodId) -> Option<Duration> {
        self.state.lock().heard.get(pod).map(Instant::elapsed)
    }

    pub(super) fn generation(&self) -> Option<GenerationEntry> {
        self.state.lock().generation.clone()
    }

    /// What an entry says of a member, and who let that in; none if it does not hold together.
    fn read(&self, entry: &Entry) -> Option<Raw> {
        let member: Member = serde_json::from_value(entry.body.clone()).ok()?;
        if subject::member(&member.pod) != entry.subject {
            return None;
        }
        if member.founded(&self.federation) {
            return Some(Raw { member, admitted: None });
        }
        if member.standing == Standing::Member && entry.from != member.pod {
            let admitted = Some((entry.from, member.role));
            return Some(Raw { member, admitted });
        }
        let admission = member.admission.as_deref()?;
        let admission = Entry::verified(&self.federation, &entry.subject, admission).ok()?;
        let was: Member = serde_json::from_value(admission.body).ok()?;
        if was.pod != member.pod || was.standing != Standing::Member || admission.from == was.pod {
            return None;
        }
        let admitted = Some((admission.from, was.role));
        Some(Raw { member, admitted })
    }

    fn take_ring(&self, entry: &Entry) {
        let Ok(key) = serde_json::from_value::<KeyEntry>(entry.body.clone()) else { return };
        let Some(json) = self.us.unseal(&key.sealed) else { return };
        let ring = serde_json::from_slice(&json).ok().and_then(|json| Ring::from_json(json).ok());
        let Some(given) = ring else { return };
        let generation = self.state.lock().generation.clone();
        let newest = {
            let mut ring = self.ring.write();
            ring.merge(given);
            if let Some(generation) = generation {
                check(&mut ring, &generation);
            }
            ring.newest()
        };
        self.rings.send_replace(newest);
    }
}

/// Seals with no later key than the log has agreed upon, and drops one that is not the one agreed upon.
fn check(ring: &mut Ring, generation: &GenerationEntry) {
    ring.agree(generation.generation);
    if ring.commitment(generation.generation).is_some_and(|ours| ours != generation.commitment) {
        tracing::warn!(generation.generation, "a group key is not the federation's, and is dropped");
        ring.drop_generation(generation.generation);
    }
}

impl State {
    /// As what a pod was let in, if it ever was.
    fn ever(&self, federation: &FederationId, pod: &PodId, left: usize) -> Option<Role> {
        let raw = self.raw.get(pod)?;
        match &raw.admitted {
            None => raw.member.founded(federation).then_some(Role::Full),
            Some((by, role)) => {
                let by = (left > 0).then(|| self.ever(federation, by, left - 1)).flatten();
                (by == Some(Role::Full)).then_some(*role)
            }
        }
    }

    fn standing(&self, pod: &PodId) -> Option<Standing> {
        self.raw.get(pod).map(|raw| raw.member.standing)
    }

    fn list(&self, federation: &FederationId) -> MemberList {
        let known = |pod: &PodId, raw: &Raw| {
            let role = self.ever(federation, pod, MAX_CHAIN)?;
            Some(KnownMember {
                pod: *pod,
                name: readable(&raw.member.name, MAX_NAME),
                role,
                standing: raw.member.standing,
                seal_key: raw.member.seal_key,
                addresses: self.addresses.get(pod).cloned().unwrap_or_default(),
                knew_generation: raw.member.knew_generation,
            })
        };
        self.raw.iter().filter_map(|(pod, raw)| Some((*pod, known(pod, raw)?))).collect()
    }
}

impl View for Members {
    fn wants(&self, name: &str) -> bool {
        name.starts_with(subject::MEMBERS)
            || name.starts_with(subject::ADDRESSES)
            || name == subject::GENERATION
            || name == subject::key(&self.us.pod())
    }

    fn apply(&self, entry: &Entry) {
        if entry.subject.starts_with(subject::KEYS) {
            return self.take_ring(entry);
        }
        let mut state = self.state.lock();
        if entry.subject == subject::GENERATION {
            let Ok(generation) = serde_json::from_value::<GenerationEntry>(entry.body.clone()) else {
                return;
            };
            check(&mut self.ring.write(), &generation);
            state.generation = Some(generation);
            return;
        }
        if entry.subject.starts_with(subject::ADDRESSES) {
            let Ok(mut addresses) = serde_json::from_value::<Addresses>(entry.body.clone()) else { return };
            addresses.addresses.truncate(MAX_ADDRESSES);
            state.addresses.insert(entry.from, addresses.addresses);
        } else if let Some(raw) = self.read(entry) {
            state.raw.insert(raw.member.pod, raw);
        }
        let list = Arc::new(state.list(&self.federation));
        state.heard.retain(|pod, _| list.get(pod).is_some_and(KnownMember::is_member));
        self.list.send_if_modified(|old| std::mem::replace(old, list.clone()) != list);
    }
}

impl Policy for Members {
    fn judge(&self, entry: &Entry) -> Judgement {
        let state = self.state.lock();
        let role = state.ever(&self.federation, &entry.from, MAX_CHAIN);
        let banned = state.standing(&entry.from) == Some(Standing::Banned);
        let needs = |allowed: bool| match (role, banned) {
            (_, true) => Judgement::Refuse,
            (None, false) => Judgement::Wait,
            (Some(_), false) if allowed => Judgement::Take,
            (Some(_), false) => Judgement::Refuse,
        };
        let full = role == Some(Role::Full);
        let own = |prefix: &str| {
            let rest = entry.subject.strip_prefix(prefix).unwrap_or_default();
            rest.split('.').next() == Some(entry.from.to_string().as_str())
        };
        if entry.subject.starts_with(subject::MEMBERS) {
            let Some(raw) = self.read(entry) else { return Judgement::Refuse };
            let itself = entry.from == raw.member.pod;
            let founding = itself && raw.member.founded(&self.federation) && !banned;
            if founding {
                return Judgement::Take;
            }
            if !itself {
                return needs(full);
            }
            // Nobody lets itself in; but it may go, and bring the proof that it was let in, for those who never saw it as a member.
            let by = raw.admitted.and_then(|(by, _)| state.ever(&self.federation, &by, MAX_CHAIN));
            return match by {
                _ if banned || raw.member.standing != Standing::Left => Judgement::Refuse,
                None => Judgement::Wait,
                Some(Role::Full) => Judgement::Take,
                Some(_) => Judgement::Refuse,
            };
        }
        let about = |prefix: &str| entry.subject.starts_with(prefix);
        for prefix in [subject::ADDRESSES, subject::SETTLED] {
            if about(prefix) {
                return needs(own(prefix));
            }
        }
        // A trace is believed of full members alone; of others it would only take their place.
        let for_full = entry.subject == subject::GENERATION
            || [subject::KEYS, subject::INVITATIONS, subject::OWNERS, subject::PROJECTS]
                .into_iter()
                .any(about)
            || (about(subject::TRACES) && own(subject::TRACES));
        // What nobody knows would fill every pod's ledger.
        if for_full { needs(full) } else { Judgement::Refuse }
    }

    fn alive(&self) -> Vec<PodId> {
        let us = self.us.pod();
        let state = self.state.lock();
        let heard = state.heard.iter().filter(|(pod, at)| **pod != us && at.elapsed() < SETTLING);
        heard.map(|(pod, _)| *pod).collect()
    }
}
