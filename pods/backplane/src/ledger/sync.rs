//! Anti-entropy: two pods compare digests of ranges, and give each other what the other has not.
//!
//! One side asks: the branches, the leaves of those that differ, the entries of those that differ; then it gets and gives. Both sides decide by epochs, so
//! that either may begin, and both may at once. Each answer is bounded by [`MAX_ANSWER`] bytes.

use std::collections::HashMap;

use futures::future::BoxFuture;
use protocol::mesh::base64;
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::digests::{FAN, hash_of};
use super::store::StoreError;

/// The bytes of entries in one answer or gift.
pub const MAX_ANSWER: usize = 128 * 1024;
/// The matter of these questions.
pub const MATTER: &str = "sync";

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// The digests of all branches.
    Branches,
    /// The digests of a branch's leaves.
    Leaves {
        /// Which.
        branch: usize,
    },
    /// The subjects of a leaf, with the hash of each entry.
    Subjects {
        /// Which.
        leaf: usize,
    },
    /// Entries; as many as fit.
    Get {
        /// Of which subjects.
        subjects: Vec<String>,
    },
    /// A gift.
    Put {
        /// These.
        entries: Vec<Passed>,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// Digests, in hexadecimal digits.
    Digests {
        /// In order.
        digests: Vec<String>,
    },
    /// Subjects, each with the hash of its entry.
    Subjects {
        /// In no order.
        subjects: Vec<(String, String)>,
    },
    /// Entries.
    Entries {
        /// As many as fitted.
        entries: Vec<Passed>,
    },
    /// The gift was looked at.
    Thanks {
        /// How many were news.
        new: usize,
    },
}

/// An entry that is passed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// Its subject.
    pub subject: String,
    /// Signature and JSON.
    #[serde(with = "base64")]
    pub signed: Vec<u8>,
}

/// What a comparison has brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// News for us.
    pub got: usize,
    /// News for the other.
    pub given: usize,
    /// Questions that it took.
    pub questions: usize,
}

/// Why a comparison failed.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The other pod did not answer.
    #[error("no answer: {0}")]
    Silent(String),
    /// The other pod answered something else.
    #[error("the answer does not fit the question")]
    Nonsense,
}

/// Asks the other pod.
pub trait Peer: Send + Sync {
    /// One question.
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Answer, SyncError>>;
}

fn hex(digest: u128) -> String {
    format!("{digest:032x}")
}

impl Ledger {
    /// Answers another pod's question.
    ///
    /// # Errors
    /// Of the database.
    pub fn answer(&self, ask: Ask) -> Result<Answer, StoreError> {
        Ok(match ask {
            Ask::Branches => {
                let digests = self.state.lock().digests.branches().into_iter().map(hex).collect();
                Answer::Digests { digests }
            }
            Ask::Leaves { branch } => {
                let digests = self.state.lock().digests.leaves(branch).iter().copied().map(hex).collect();
                Answer::Digests { digests }
            }
            Ask::Subjects { leaf } => {
                Answer::Subjects { subjects: self.subjects(leaf)?.into_iter().collect() }
            }
            Ask::Get { subjects } => Answer::Entries { entries: self.passed(subjects)?.0 },
            Ask::Put { entries } => Answer::Thanks { new: self.take_all(entries)? },
        })
    }

    fn subjects(&self, leaf: usize) -> Result<HashMap<String, String>, StoreError> {
        let mut subjects = HashMap::new();
        self.state.lock().store.each_of_leaf(leaf, |subject, signed| {
            subjects.insert(subject.to_owned(), hex(hash_of(subject, signed)));
        })?;
        Ok(subjects)
    }

    /// As many entries as fit into an answer, and the subjects that did not.
    fn passed(&self, subjects: Vec<String>) -> Result<(Vec<Passed>, Vec<String>), StoreError> {
        let (mut entries, mut left, mut size) = (Vec::new(), Vec::new(), 0);
        let state = self.state.lock();
        for subject in subjects {
            if size > MAX_ANSWER {
                left.push(subject);
            } else if let Some(signed) = state.store.get(&subject)? {
                size += signed.len() + subject.len();
                entries.push(Passed { subject, signed });
            }
        }
        Ok((entries, left))
    }

    fn take_all(&self, entries: Vec<Passed>) -> Result<usize, StoreError> {
        let entries: Vec<_> =
            entries.into_iter().map(|Passed { subject, signed }| (subject, signed)).collect();
        self.offer_many(&entries)
    }

    /// Compares with another pod, and brings both up to date.
    /// Safe to cancel: what was taken in by then stays.
    ///
    /// # Errors
    /// The other pod does not answer, or not in a form that is known; or the database.
    pub async fn reconcile(&self, peer: &dyn Peer) -> Result<Outcome, SyncError> {
        let mut outcome = Outcome::default();
        let ours: Vec<String> = self.state.lock().digests.branches().into_iter().map(hex).collect();
        for branch in differing(&ours, digests(ask(peer, Ask::Branches, &mut outcome).await?)?) {
            let ours: Vec<String> =
                self.state.lock().digests.leaves(branch).iter().copied().map(hex).collect();
            let theirs = digests(ask(peer, Ask::Leaves { branch }, &mut outcome).await?)?;
            for leaf in differing(&ours, theirs) {
                self.reconcile_leaf(peer, branch * FAN + leaf, &mut outcome).await?;
            }
        }
        Ok(outcome)
    }

    async fn reconcile_leaf(
        &self,
        peer: &dyn Peer,
        leaf: usize,
        outcome: &mut Outcome,
    ) -> Result<(), SyncError> {
        let Answer::Subjects { subjects: theirs } = ask(peer, Ask::Subjects { leaf }, outcome).await? else {
            return Err(SyncError::Nonsense);
        };
        let theirs: HashMap<String, String> = theirs.into_iter().collect();
        let ours = self.subjects(leaf)?;
        let differs = |a: &HashMap<String, String>, b: &HashMap<String, String>| -> Vec<String> {
            a.iter()
                .filter(|(subject, hash)| b.get(*subject) != Some(*hash))
                .map(|(subject, _)| subject.clone())
                .collect()
        };
        let mut wanted = differs(&theirs, &ours);
        while !wanted.is_empty() {
            let Answer::Entries { entries } =
                ask(peer, Ask::Get { subjects: wanted.clone() }, outcome).await?
            else {
                return Err(SyncError::Nonsense);
            };
            // What it does not give now it does not have any more, unless there was no room.
            let before = wanted.len();
            wanted.retain(|subject| entries.iter().all(|entry| entry.subject != *subject));
            let done = wanted.len() == before;
            outcome.got += self.take_all(entries)?;
            if done {
                break;
            }
        }
        let mut gift = differs(&self.subjects(leaf)?, &theirs);
        while !gift.is_empty() {
            let (entries, left) = self.passed(gift)?;
            gift = left;
            let Answer::Thanks { new } = ask(peer, Ask::Put { entries }, outcome).await? else {
                return Err(SyncError::Nonsense);
            };
            outcome.given += new;
        }
        Ok(())
    }
}

async fn ask(peer: &dyn Peer, question: Ask, outcome: &mut Outcome) -> Result<Answer, SyncError> {
    outcome.questions += 1;
    peer.ask(question).await
}

fn digests(answer: Answer) -> Result<Vec<String>, SyncError> {
    match answer {
        Answer::Digests { digests } if digests.len() == FAN => Ok(digests),
        _ => Err(SyncError::Nonsense),
    }
}

fn differing(ours: &[String], theirs: Vec<String>) -> Vec<usize> {
    theirs.iter().zip(ours).enumerate().filter(|(_, (a, b))| a != b).map(|(n, _)| n).collect()
}
