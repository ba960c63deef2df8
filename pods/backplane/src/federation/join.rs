//! Coming in: what the newcomer asks, and what a member answers.
//!
//! Neither can use the group key, so each proves itself by signatures: the newcomer with its own key and the invitation's; the member with its
//! own key, which the chain of admissions from the founder vouches for. The answer is sealed to the newcomer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use protocol::PodId;
use protocol::mesh::{
    FederationId, Invitation, InvitationEntry, JoinAnswer, JoinRequest, Member, Role, Standing, VERSION,
    subject,
};
use serde_json::Value;
use tokio::time::Instant;

use super::words::{MAX_NAME, MAX_REASON, is_name, readable};
use super::{ActError, Federation, Members};
use crate::bus::{Answers, Bus, BusError};
use crate::clock::MAX_SKEW;
use crate::keys::{Context, Identity, Ring, SharedRing, seal_to, sign, verify};
use crate::ledger::{ChangeError, Entry, Judgement, Policy, Stop, View};

/// How long the first attempt waits; each further one waits twice as long, up to [`LAST_ATTEMPT`].
const FIRST_ATTEMPT: Duration = Duration::from_millis(500);
/// How long an attempt waits at most.
const LAST_ATTEMPT: Duration = Duration::from_secs(3);
/// How often it is tried: with each more members answer.
const ATTEMPTS: u32 = 6;
/// How long further answers are waited for after one of a pod that did not invite.
const OTHERS: Duration = Duration::from_secs(1);
/// Answers to one attempt that are looked at: anybody who reaches the server can give some.
const MAX_ANSWERS: usize = 1024;
/// Pods that have to say yes before no other one is heard.
const MAX_YES: usize = 8;
/// How long is waited for somebody to be there, at first.
const NOBODY_PAUSE: Duration = Duration::from_millis(100);
/// The longest request that is looked at.
const MAX_REQUEST: usize = 4096;

/// What a newcomer says of itself.
#[derive(Debug, Clone)]
pub struct JoinOptions {
    /// A label for people.
    pub name: String,
    /// What it wants to be; the invitation may say less.
    pub role: Role,
}

/// Why a pod does not come in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A member said no.
    #[error("the federation does not let this pod in: {0}")]
    Refused(String),
    /// No member is there.
    #[error(
        "no member of the federation answers at this NATS server: is one running (`pod status` there), and is it the same server?"
    )]
    Nobody,
    /// Somebody answered who is no member.
    #[error("whoever answered is no member of the federation that the invitation is for")]
    Impostor,
    /// The answer is in no form that is known.
    #[error("the federation's answer cannot be read: {0}")]
    Answer(serde_json::Error),
    /// The back-plane.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Something has no JSON form.
    #[error("cannot be written: {0}")]
    Form(#[from] serde_json::Error),
}

/// What a newcomer gets: the keys, and the entries of all members.
pub struct Welcome {
    /// The group's keys.
    pub ring: Ring,
    /// `(subject, signed)` of each member's entry.
    pub members: Vec<(String, Vec<u8>)>,
}

/// A yes that holds together by itself.
struct Yes {
    from: PodId,
    ring: Ring,
    members: Vec<Vec<u8>>,
}

/// Asks to be let in. Whoever invited may say no; a no of others, which anybody could say, counts only when nobody says yes in any attempt. A yes of
/// others than the pod that invited is held against what further ones say: one that was banned would not say so itself.
///
/// Dropping the future may leave the invitation used; the same pod may come in by it all the same.
///
/// # Errors
/// Nobody lets this pod in, or the back-plane.
pub async fn join(
    bus: &dyn Bus,
    identity: &Arc<Identity>,
    invitation: &Invitation,
    options: &JoinOptions,
) -> Result<Welcome, JoinError> {
    let mut asking = Asking { bus, identity, invitation, options, outcome: JoinError::Nobody };
    for attempt in 0..ATTEMPTS {
        let mut yes = asking.ask(attempt, Vec::new()).await?;
        if !yes.is_empty() && yes.iter().all(|said| said.from != invitation.by) {
            // All have their turn now: those who would answer first may be away, and one that was banned need not wait for its turn.
            yes = asking.ask(ATTEMPTS - 1, yes).await?;
        }
        if let Some(welcome) = agreed(identity, invitation, yes) {
            return Ok(welcome);
        }
        // A member may be about to come back.
        tokio::time::sleep(NOBODY_PAUSE * (attempt + 1)).await;
    }
    Err(asking.outcome)
}

/// A newcomer that asks.
struct Asking<'a> {
    bus: &'a dyn Bus,
    identity: &'a Arc<Identity>,
    invitation: &'a Invitation,
    options: &'a JoinOptions,
    /// Why nobody has said yes, as far as that is known.
    outcome: JoinError,
}

impl Asking<'_> {
    /// Asks once, and gives all who have said yes by then. An error ends it: the pod that invited says no, or the back-plane.
    async fn ask(&mut self, attempt: u32, yes: Vec<Yes>) -> Result<Vec<Yes>, JoinError> {
        let Self { bus, identity, invitation, options, .. } = *self;
        let request = JoinRequest {
            v: VERSION,
            pod: identity.pod(),
            name: options.name.chars().take(MAX_NAME).collect(),
            role: options.role,
            seal_key: identity.seal_key(),
            invitation: invitation.id,
            attempt,
        };
        let json = serde_json::to_vec(&request)?;
        let signed = sign(identity, Context::Join, &invitation.federation, subject::JOIN, &json);
        let proof = Identity::of_invitation(&invitation.secret);
        let proven = sign(&proof, Context::Join, &invitation.federation, "join.proof", &signed);
        let answers = bus.ask_all(subject::JOIN, Bytes::from(proven.clone())).await?;
        let until = Instant::now() + LAST_ATTEMPT.min(FIRST_ATTEMPT * (1 << attempt));
        self.hear(answers, until, &proven, yes).await
    }

    async fn hear(
        &mut self,
        answers: Answers,
        mut until: Instant,
        request: &[u8],
        mut yes: Vec<Yes>,
    ) -> Result<Vec<Yes>, JoinError> {
        let mut answers = answers.take(MAX_ANSWERS);
        while let Ok(Some(answer)) = tokio::time::timeout_at(until, answers.next()).await {
            match read_answer((self.identity, self.invitation, request), &answer) {
                Ok(Ok(said)) => {
                    let is_inviter = said.from == self.invitation.by;
                    // One that says it again and again is one: it must not keep the others from being heard.
                    if yes.iter().all(|before| before.from != said.from) {
                        yes.push(said);
                    }
                    if is_inviter || yes.len() == MAX_YES {
                        break;
                    }
                }
                Ok(Err((from, why))) if from == self.invitation.by => return Err(JoinError::Refused(why)),
                Ok(Err((_, why))) => self.outcome = JoinError::Refused(why),
                Err(error) => {
                    if !matches!(self.outcome, JoinError::Refused(_)) {
                        self.outcome = error;
                    }
                    continue;
                }
            }
            until = until.min(Instant::now() + OTHERS);
        }
        Ok(yes)
    }
}

/// What all that have said yes know together: the answer of one that they know to be banned is none.
fn agreed(identity: &Arc<Identity>, invitation: &Invitation, yes: Vec<Yes>) -> Option<Welcome> {
    let list = Members::new(invitation.federation, identity.clone(), SharedRing::default());
    let entries = yes.iter().flat_map(|said| said.members.iter().cloned()).collect();
    let members = vouched(&list, invitation, entries);
    let believed = yes.into_iter().filter(|said| list.is_believed(&said.from));
    let ring = believed.map(|said| said.ring).max_by_key(Ring::newest)?;
    list.is_member(&identity.pod()).then_some(Welcome { ring, members })
}

fn answer_subject(request: &[u8]) -> String {
    format!("welcome.{}", blake3::hash(request).to_hex())
}

/// An answer to a request as it travels: signed by whoever answers, and sealed to the newcomer.
pub(super) fn sealed(
    identity: &Identity,
    federation: &FederationId,
    (request, seal_key): (&[u8], &[u8; 32]),
    answer: &JoinAnswer,
) -> Option<Vec<u8>> {
    let json = zeroize::Zeroizing::new(serde_json::to_vec(answer).ok()?);
    let signed = sign(identity, Context::Welcome, federation, &answer_subject(request), &json);
    let plain = zeroize::Zeroizing::new([identity.pod().as_bytes().as_slice(), &signed].concat());
    seal_to(seal_key, &plain)
}

/// A yes; or who says no, and why.
fn read_answer(
    (identity, invitation, request): (&Arc<Identity>, &Invitation, &[u8]),
    sealed: &[u8],
) -> Result<Result<Yes, (PodId, String)>, JoinError> {
    let plain = identity.unseal(sealed).ok_or(JoinError::Impostor)?;
    let (from, signed) = plain.split_first_chunk::<32>().ok_or(JoinError::Impostor)?;
    let from = PodId::from_bytes(*from);
    let name = answer_subject(request);
    let json = verify(&from, Context::Welcome, &invitation.federation, &name, signed);
    match serde_json::from_slice(json.map_err(|_| JoinError::Impostor)?).map_err(JoinError::Answer)? {
        JoinAnswer::No { why } => Ok(Err((from, readable(&why, MAX_REASON)))),
        JoinAnswer::Welcome { ring, members } => {
            let list = Members::new(invitation.federation, identity.clone(), SharedRing::default());
            vouched(&list, invitation, members.clone());
            // Who answers must be a member by the chain from the founder, and we must be one by now.
            if !list.is_believed(&from) || !list.is_member(&identity.pod()) {
                return Err(JoinError::Impostor);
            }
            let ring = Ring::from_json(ring).map_err(JoinError::Answer)?;
            Ok(Ok(Yes { from, ring, members }))
        }
    }
}

/// The entries that the chain from the founder vouches for, in its order.
fn vouched(list: &Members, invitation: &Invitation, entries: Vec<Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    let mut waiting: Vec<Entry> = entries
        .iter()
        .filter_map(|signed| {
            let member: Member = serde_json::from_value(Entry::trusted("", signed).ok()?.body).ok()?;
            Entry::verified(&invitation.federation, &subject::member(&member.pod), signed).ok()
        })
        .collect();
    let mut taken = Vec::new();
    let mut last = HashMap::new();
    loop {
        let mut goes_on = false;
        waiting.retain(|entry| {
            let judged = list.judge(entry);
            goes_on |= matches!(judged, Judgement::Take | Judgement::Learn);
            if judged == Judgement::Take {
                let last = last.entry(entry.subject.clone()).or_insert_with(|| entry.order());
                if *last <= entry.order() {
                    *last = entry.order();
                    list.apply(entry);
                }
                taken.push((entry.subject.clone(), entry.signed.clone()));
            }
            matches!(judged, Judgement::Wait | Judgement::Learn)
        });
        if !goes_on {
            return taken;
        }
    }
}

/// Answers newcomers, as a full member.
pub struct Answerer(pub Federation);

impl Answerer {
    /// The sealed answer to a request; none if others are to answer, or nobody.
    pub async fn answer(&self, request: &[u8]) -> Option<Vec<u8>> {
        if request.len() > MAX_REQUEST || self.0.must_be_full("answer").is_err() {
            return None;
        }
        let (asked, entry) = self.verified(request)?;
        if !self.is_our_turn(&asked, &entry) {
            return None;
        }
        let answer = match self.admit(&asked, &entry).await {
            Ok(answer) => answer,
            Err(ActError::Change(ChangeError::Stopped(why))) => JoinAnswer::No { why },
            Err(error) => {
                tracing::warn!(newcomer = %asked.pod, %error, "a newcomer could not be let in");
                return None;
            }
        };
        sealed(&self.0.identity, &self.0.id, (request, &asked.seal_key), &answer)
    }

    /// The request, if its pod has signed it and knows the secret of an invitation that there is.
    fn verified(&self, request: &[u8]) -> Option<(JoinRequest, InvitationEntry)> {
        let (_, signed) = request.split_at_checked(64)?;
        let (_, json) = signed.split_at_checked(64)?;
        let asked: JoinRequest = serde_json::from_slice(json).ok()?;
        let known = self.0.ledger.get(&subject::invitation(&asked.invitation)).ok()??;
        let entry: InvitationEntry = serde_json::from_value(known.body).ok()?;
        let holder = PodId::from_bytes(entry.key);
        verify(&holder, Context::Join, &self.0.id, "join.proof", request).ok()?;
        verify(&asked.pod, Context::Join, &self.0.id, subject::JOIN, signed).ok()?;
        (asked.v == VERSION).then_some((asked, entry))
    }

    /// Whoever invited answers at once; with each attempt more of the others do, those first that a hash puts first.
    fn is_our_turn(&self, asked: &JoinRequest, entry: &InvitationEntry) -> bool {
        let us = self.0.pod();
        if entry.by == us {
            return true;
        }
        let rank = |pod: &PodId| {
            *blake3::Hasher::new().update(pod.as_bytes()).update(asked.pod.as_bytes()).finalize().as_bytes()
        };
        let members = self.0.members.list();
        let full = members.values().filter(|m| m.is_member() && m.role == Role::Full);
        let before = full.filter(|member| rank(&member.pod) < rank(&us)).count();
        asked.attempt > 0 && before < 1 << asked.attempt.min(20)
    }

    async fn admit(&self, asked: &JoinRequest, entry: &InvitationEntry) -> Result<JoinAnswer, ActError> {
        let pod = asked.pod;
        if !is_name(&asked.name) {
            let why = format!(
                "a pod's name has 1 to {MAX_NAME} characters that people can read, and is no pod's id: choose another (`--name`)"
            );
            return Ok(JoinAnswer::No { why });
        }
        let inviter = self.0.members.list().get(&entry.by).map(|member| member.standing);
        if inviter == Some(Standing::Banned) {
            let why = "the pod that made the invitation was banned: ask another one (`pod invite`)";
            return Ok(JoinAnswer::No { why: why.to_owned() });
        }
        // Another member's clock may be an hour from ours; our own is not.
        let tolerated = if entry.by == self.0.pod() { 0 } else { MAX_SKEW };
        let now = self.0.clock.now().saturating_sub(tolerated);
        let name = subject::invitation(&asked.invitation);
        let used = self.0.ledger.change(&name, |known| {
            let stop = |why: &str| Err(Stop(why.to_owned()));
            let entry =
                known.and_then(|known| serde_json::from_value::<InvitationEntry>(known.body.clone()).ok());
            let Some(mut entry) = entry else { return stop("there is no such invitation") };
            if entry.used_by.contains(&pod) {
                return Err(Stop(String::new()));
            }
            if now > entry.expires {
                return stop("the invitation is too old: ask for a new one (`pod invite`)");
            }
            if entry.used_by.len() >= entry.uses as usize {
                return stop("the invitation is used up: ask for a new one (`pod invite`)");
            }
            entry.used_by.push(pod);
            serde_json::to_value(entry).map_err(|error| Stop(error.to_string()))
        });
        match used.await {
            Ok(_) => {}
            // It has been let in by it, perhaps by another member a moment ago.
            Err(ChangeError::Stopped(why)) if why.is_empty() => {}
            Err(error) => return Err(error.into()),
        }
        let member = Member {
            pod,
            name: asked.name.clone(),
            role: asked.role.min(entry.role),
            standing: Standing::Member,
            seal_key: asked.seal_key,
            founding_salt: None,
            knew_generation: None,
            admission: None,
            upheld: Vec::new(),
        };
        let member: Value = serde_json::to_value(member)?;
        let name = subject::member(&pod);
        let admitted = self.0.ledger.change(&name, |known| {
            let known = known.and_then(|known| serde_json::from_value::<Member>(known.body.clone()).ok());
            match known {
                Some(known) if known.standing == Standing::Banned => {
                    Err(Stop("this pod was banned".to_owned()))
                }
                Some(known)
                    if known.standing == Standing::Member
                        && known.seal_key == asked.seal_key
                        && self.0.members.is_member(&pod) =>
                {
                    Err(Stop(String::new()))
                }
                _ => Ok(member.clone()),
            }
        });
        match admitted.await {
            Ok(_) => {}
            Err(ChangeError::Stopped(why)) if why.is_empty() => {}
            Err(error) => return Err(error.into()),
        }
        self.0.seal_ring_to(&pod, &asked.seal_key).await?;
        let members = self.0.ledger.all(subject::MEMBERS).map_err(ChangeError::from)?;
        Ok(JoinAnswer::Welcome {
            ring: self.0.ring.read().to_json(),
            members: members.into_iter().map(|entry| entry.signed).collect(),
        })
    }
}
