//! Who is a member, as the log says: a view that others hold, and the policy of what may be said.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protocol::mesh::{
    Addresses, FederationId, GenerationEntry, KeyEntry, MAX_ADDRESSES, Member, Role, Standing, subject,
};
use protocol::{Digest, PodId};
use tokio::sync::watch;

use super::words::{MAX_ADDRESS, MAX_NAME, readable};
use crate::keys::{Identity, Ring, SharedRing};
use crate::ledger::{Entry, Judgement, Policy, SETTLING, View};

/// The longest chain of admissions from the founder.
const MAX_CHAIN: usize = 64;
/// Pods of which only the admission is known, out of a word whose author is not.
const MAX_PROVEN: usize = 4096;
/// The most words of a pod that hold on when it is banned: more have no room in a record.
pub const MAX_UPHELD: usize = 768;

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
    /// How pods came in on which no word is taken yet: that one's author may be known by this alone, as who has banned the founder is.
    proven: HashMap<PodId, Admission>,
    addresses: HashMap<PodId, Vec<String>>,
    generation: Option<GenerationEntry>,
    heard: HashMap<PodId, Instant>,
}

/// The last word on a pod.
struct Raw {
    member: Member,
    /// Who said it.
    from: PodId,
    word: Digest,
    admission: Admission,
    /// What of its own words holds on, if it was banned.
    upheld: HashSet<Digest>,
}

/// How a pod came in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Admission {
    /// The federation's id says so.
    Founder,
    /// By another one's word, and as what.
    By { pod: PodId, role: Role, word: Digest },
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

    /// How a pod stands, if that is known. One whose admission does not hold any more is as good as gone.
    pub fn standing(&self, pod: &PodId) -> Option<Standing> {
        let state = self.state.lock();
        let standing = state.standing(pod)?;
        let is_out = standing == Standing::Member && state.ever(pod, MAX_CHAIN).is_none();
        Some(if is_out { Standing::Left } else { standing })
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
        let mut member: Member = serde_json::from_value(entry.body.clone()).ok()?;
        if subject::member(&member.pod) != entry.subject {
            return None;
        }
        let word = Digest::of(&entry.signed);
        let admission = self.admission(entry, &member, word)?;
        let upheld = std::mem::take(&mut member.upheld).into_iter().collect();
        Some(Raw { member, from: entry.from, word, admission, upheld })
    }

    fn admission(&self, entry: &Entry, member: &Member, word: Digest) -> Option<Admission> {
        if member.founded(&self.federation) {
            return Some(Admission::Founder);
        }
        if member.standing == Standing::Member && entry.from != member.pod {
            return Some(Admission::By { pod: entry.from, role: member.role, word });
        }
        let signed = member.admission.as_deref()?;
        let admission = Entry::verified(&self.federation, &entry.subject, signed).ok()?;
        let was: Member = serde_json::from_value(admission.body).ok()?;
        if was.pod != member.pod || was.standing != Standing::Member || admission.from == was.pod {
            return None;
        }
        Some(Admission::By { pod: admission.from, role: was.role, word: Digest::of(signed) })
    }

    /// The words about members that a pod has said so far: what holds on when it is banned. Of too many those that let full members in come first.
    pub(super) fn words_of(&self, pod: &PodId) -> Vec<Digest> {
        let state = self.state.lock();
        let mut words: Vec<(Role, Digest)> = Vec::new();
        for raw in state.raw.values() {
            if let Admission::By { pod: by, role, word } = raw.admission
                && by == *pod
            {
                words.push((role, word));
            }
            if raw.from == *pod && raw.member.standing == Standing::Banned {
                words.push((Role::Guest, raw.word));
            }
        }
        words.sort_unstable_by(|a, b| b.cmp(a));
        words.dedup_by_key(|(_, word)| *word);
        if words.len() > MAX_UPHELD {
            tracing::warn!(%pod, words = words.len(), "too many words of this pod: some of those whom it let in have to be invited again");
            words.truncate(MAX_UPHELD);
        }
        words.into_iter().map(|(_, word)| word).collect()
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
    /// As what a pod was let in, if it ever was, by somebody whose word on that holds.
    fn ever(&self, pod: &PodId, left: usize) -> Option<Role> {
        let admission = self.raw.get(pod).map(|raw| &raw.admission).or_else(|| self.proven.get(pod))?;
        match admission {
            Admission::Founder => Some(Role::Full),
            Admission::By { pod: by, role, word } => {
                let by = (left > 0 && self.upholds(by, word)).then(|| self.ever(by, left - 1)).flatten();
                (by == Some(Role::Full)).then_some(*role)
            }
        }
    }

    /// Whether a pod's word on a member holds: of one that was banned only those that its ban names.
    fn upholds(&self, by: &PodId, word: &Digest) -> bool {
        let by = self.raw.get(by).filter(|raw| raw.member.standing == Standing::Banned);
        by.is_none_or(|banned| banned.upheld.contains(word))
    }

    /// What the federation thinks of a full member's word on a member.
    fn judge(&self, by: &PodId, word: &Digest) -> Judgement {
        match self.ever(by, MAX_CHAIN) {
            None => Judgement::Wait,
            Some(Role::Full) if self.upholds(by, word) => Judgement::Take,
            Some(_) => Judgement::Refuse,
        }
    }

    /// Notes how a pod came in. Whether that is news.
    fn prove(&mut self, raw: &Raw) -> bool {
        let pod = raw.member.pod;
        let is_news = !self.raw.contains_key(&pod)
            && self.proven.len() < MAX_PROVEN
            && self.proven.get(&pod) != Some(&raw.admission);
        is_news && {
            self.proven.insert(pod, raw.admission);
            true
        }
    }

    fn standing(&self, pod: &PodId) -> Option<Standing> {
        self.raw.get(pod).map(|raw| raw.member.standing)
    }

    fn list(&self) -> MemberList {
        let known = |pod: &PodId, raw: &Raw| {
            let role = self.ever(pod, MAX_CHAIN)?;
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
            addresses
                .addresses
                .retain(|address| address.len() <= MAX_ADDRESS && readable(address, MAX_ADDRESS) == *address);
            addresses.addresses.truncate(MAX_ADDRESSES);
            state.addresses.insert(entry.from, addresses.addresses);
        } else if let Some(raw) = self.read(entry) {
            state.proven.remove(&raw.member.pod);
            state.raw.insert(raw.member.pod, raw);
        }
        let list = Arc::new(state.list());
        state.heard.retain(|pod, _| list.get(pod).is_some_and(KnownMember::is_member));
        self.list.send_if_modified(|old| std::mem::replace(old, list.clone()) != list);
    }

    fn forget(&self, entry: &Entry) {
        if entry.subject.starts_with(subject::ADDRESSES) {
            self.state.lock().addresses.remove(&entry.from);
        }
    }
}

impl Policy for Members {
    fn judge(&self, entry: &Entry) -> Judgement {
        let mut state = self.state.lock();
        let banned = state.standing(&entry.from) == Some(Standing::Banned);
        if entry.subject.starts_with(subject::MEMBERS) {
            let Some(raw) = self.read(entry) else { return Judgement::Refuse };
            let judged = if entry.from != raw.member.pod {
                state.judge(&entry.from, &raw.word)
            } else {
                match raw.admission {
                    _ if banned => Judgement::Refuse,
                    Admission::Founder => Judgement::Take,
                    // Nobody lets itself in; but it may go, and bring the proof that it was let in, for those who never saw it as a member.
                    Admission::By { pod: by, word, .. } if raw.member.standing == Standing::Left => {
                        state.judge(&by, &word)
                    }
                    Admission::By { .. } => Judgement::Refuse,
                }
            };
            return match judged {
                Judgement::Wait if state.prove(&raw) => Judgement::Learn,
                judged => judged,
            };
        }
        let is_known = state.raw.contains_key(&entry.from);
        let role = is_known.then(|| state.ever(&entry.from, MAX_CHAIN)).flatten();
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
        let about = |prefix: &str| entry.subject.starts_with(prefix);
        for prefix in [subject::ADDRESSES, subject::SETTLED] {
            if about(prefix) {
                return needs(own(prefix));
            }
        }
        // Those of a banned pod let nobody in, and who comes with one is told why.
        if about(subject::INVITATIONS) {
            return match role {
                None => Judgement::Wait,
                Some(Role::Full) => Judgement::Take,
                Some(_) => Judgement::Refuse,
            };
        }
        // A trace is believed of full members alone; of others it would only take their place.
        let for_full = entry.subject == subject::GENERATION
            || [subject::KEYS, subject::OWNERS, subject::PROJECTS].into_iter().any(about)
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

    fn outcasts(&self) -> Vec<PodId> {
        let state = self.state.lock();
        let banned = state.raw.iter().filter(|(_, raw)| raw.member.standing == Standing::Banned);
        banned.map(|(pod, _)| *pod).collect()
    }
}
