//! Copies: a pod has the bytes of what another one owns, and the owner stays.
//!
//! Whoever is asked for a copy pulls it as it would for itself, one pull for each record, and says how that stands; the question comes again until all is
//! there. What was pulled on request is remembered (a note for each record, in the larder), so that it can be brought up to date: a copy is of the official digest
//! of its moment. A crash loses pulls that are under way; what came of them stays in the larder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backplane::mesh::AskError;
use backplane::owners::{GIVE_DEADLINE, OwnerKey};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use larder::LarderError;
use parking_lot::Mutex;
use protocol::mesh::{ExchangeAnswer, Ownership};
use protocol::{PodId, Tree};

use super::owned::Estate;
use super::steps;

/// The matter of the question to have a copy of what a record covers: its subject.
const COPY: &str = "copy";
/// How long one question waits: the other pod pulls meanwhile.
const ANSWER: Duration = Duration::from_secs(3);
/// How long its answer may take.
const ASKED: Duration = Duration::from_secs(10);
/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// Copies that others want and that are under way here.
const MAX_COPIES: usize = 64;
/// What was pulled, in the notes of its workspace: under its path the digest of its tree.
const PULLED: &str = "pulled/";

type Copying = Shared<BoxFuture<'static, Result<(), String>>>;

/// Pulls copies that others want. When it is dropped, no more of them are.
pub(super) struct Copies {
    estate: Estate,
    under_way: Mutex<BTreeMap<OwnerKey, Copying>>,
}

fn note(record: &Ownership) -> String {
    format!("{PULLED}{}", record.path)
}

impl Copies {
    /// Serves the question for a copy.
    pub fn serve(estate: &Estate) -> Arc<Self> {
        let copies = Arc::new(Self { estate: estate.clone(), under_way: Mutex::default() });
        // What the mesh has of it is weak: it has the mesh.
        let asked = Arc::downgrade(&copies);
        steps::serve(&estate.mesh, COPY, move |from, subject: String| {
            let asked = asked.upgrade();
            async move {
                let copies = asked.ok_or_else(|| "this pod is going".to_owned())?;
                if !copies.estate.mesh.members().is_believed(&from) {
                    return Err("only full members of the federation may ask for that".to_owned());
                }
                let key = OwnerKey::of_subject(&subject).ok_or_else(|| "that is no record".to_owned())?;
                Ok(copies.pulled(key).await)
            }
        });
        copies
    }

    async fn pulled(&self, key: OwnerKey) -> ExchangeAnswer {
        let copying = {
            let mut under_way = self.under_way.lock();
            match under_way.get(&key) {
                Some(copying) => copying.clone(),
                None if under_way.len() >= MAX_COPIES => return ExchangeAnswer::Pulling,
                None => {
                    let estate = self.estate.clone();
                    // It goes on when nobody waits for this answer any more.
                    let pulling = tokio::spawn(async move { copy(&estate, key).await });
                    let copying = pulling.map(|ended| ended.unwrap_or_else(|error| Err(error.to_string())));
                    under_way.entry(key).or_insert(copying.boxed().shared()).clone()
                }
            }
        };
        let Ok(ended) = tokio::time::timeout(ANSWER, copying).await else { return ExchangeAnswer::Pulling };
        self.under_way.lock().remove(&key);
        match ended {
            Ok(()) => ExchangeAnswer::Holding,
            Err(why) => ExchangeAnswer::Refused { why },
        }
    }
}

async fn copy(estate: &Estate, key: OwnerKey) -> Result<(), String> {
    let record = estate.record(key).map_err(|error| error.to_string())?;
    let (record, _) = record.ok_or_else(|| "it does not know that record yet".to_owned())?;
    estate.pull(&record).await.map(drop)
}

impl Estate {
    /// Has another pod pull what a record covers.
    ///
    /// # Errors
    /// It cannot be reached, or the bytes did not come there.
    pub async fn copy_to(&self, key: OwnerKey, to: PodId) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            match self.mesh.ask::<_, ExchangeAnswer>(&to, COPY, &key.subject(), ASKED).await {
                Ok(ExchangeAnswer::Holding) => return Ok(()),
                Ok(ExchangeAnswer::Refused { why }) | Err(AskError::Refused(why)) => return Err(why),
                Ok(ExchangeAnswer::Pulling) if begun.elapsed() < GIVE_DEADLINE => {
                    tokio::time::sleep(PAUSE).await
                }
                Ok(ExchangeAnswer::Pulling) => return Err("it takes too long".to_owned()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Brings what a record covers. From then on this pod is among those that are believed to have it, and a refresh brings it up to date.
    ///
    /// # Errors
    /// The bytes did not come, or the larder cannot be written.
    pub async fn pull(&self, record: &Ownership) -> Result<Tree, String> {
        let tree = self.bring_record(record).await?;
        let noted = self.larder().note(record.workspace, &note(record), record.digest.as_bytes());
        noted.map_err(|error| error.to_string())?;
        Ok(tree)
    }

    /// How the copy stands that was pulled here of what a record covers.
    pub fn pulled(&self, record: &Ownership) -> Result<Pulled, LarderError> {
        let name = note(record);
        let mut notes = self.larder().notes(record.workspace, &name)?.into_iter();
        Ok(match notes.find(|(key, _)| *key == name) {
            None => Pulled::Never,
            Some((_, digest)) if digest == record.digest.as_bytes() => Pulled::UpToDate,
            Some(_) => Pulled::Stale,
        })
    }
}

/// How a copy that was pulled stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pulled {
    /// There is none.
    Never,
    /// It is of the official digest.
    UpToDate,
    /// It is of an earlier one.
    Stale,
}
