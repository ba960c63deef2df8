//! Chefs of the federation: each pod tells which it has registered, and takes what others lend into its own list.
//!
//! What a pod lends is told for a *lease*, and told again at a third of it and when it changes; who has no lease of a pod asks it, as a newcomer asks all.
//! When the lease of a chef ends, or its pod takes it back, it goes out of the lists. Only full members are believed. Its files come
//! over the swarm before it is in the list. What the list of an earlier life says holds for one lease more.

mod leases;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use backplane::Mesh;
use backplane::keys::Opened;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use larder::Larder;
use protocol::PodId;
use protocol::mesh::{ChefNews, LentChef, subject};
use tokio::sync::watch;

use self::leases::{LEASE, Leases};
use super::owned::Estate;
use crate::majordomo::chefs::{adopt, is_lent, lacking, lends, list_of};
use crate::majordomo::request::{Failure, FailureKind};

/// How often the list of this home is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The matter of the question which chefs a pod lends.
const MATTER: &str = "chefs";
/// How long an answer to it may take.
const ANSWER: Duration = Duration::from_secs(2);

/// Files that a lent chef may have, as one that is registered.
const MAX_FILES: usize = 4096;
/// Bytes that they may have together.
const MAX_BYTES: u64 = 64 << 20;
/// How long one pod may take to give the chefs that it lends.
const BRING: Duration = Duration::from_secs(60);

/// What others lend.
pub(super) struct Lending {
    pub mesh: Arc<Mesh>,
    pub estate: Estate,
    pub home: PathBuf,
}

fn news(home: &Path) -> Result<ChefNews, String> {
    let chefs = lends(home).map_err(|error| error.to_string())?;
    Ok(ChefNews { chefs, lease: LEASE.as_secs() as u32 })
}

impl Lending {
    /// Goes on until it is aborted. What is lent comes beside the leases: nobody who gives it slowly keeps this pod from telling of its own.
    pub async fn run(self) {
        let (lent, mut wanted) = watch::channel(None);
        let taking = async {
            while wanted.changed().await.is_ok() {
                let lent = wanted.borrow_and_update().clone();
                if let Some(lent) = lent {
                    self.adopt(lent).await;
                }
            }
        };
        tokio::select! {
            () = taking => {}
            () = self.lease(&lent) => {}
        }
    }

    /// Tells, hears and asks, and hands on what is lent when that has changed.
    async fn lease(&self, lent: &watch::Sender<Option<Vec<(PodId, LentChef)>>>) {
        let home = self.home.clone();
        let answer = move |_, _| {
            let news = news(&home).map(serde_json::to_value);
            async move { news?.map_err(|error| error.to_string()) }.boxed()
        };
        self.mesh.serve_repeatable(MATTER, Arc::new(answer));
        let mut told_by_others = self.hear().await;
        let mut leases = self.remembered();
        let mut look = tokio::time::interval(LOOK_EVERY);
        let (mut told, mut stamp) = (None::<Instant>, None);
        loop {
            tokio::select! {
                Some((name, said)) = told_by_others.next() => {
                    if name == subject::chefs(&said.from) && self.take(&mut leases, said.from, said.body) {
                        lent.send_replace(Some(leases.lent()));
                    }
                }
                _ = look.tick() => {
                    if self.ask(&mut leases).await {
                        lent.send_replace(Some(leases.lent()));
                    }
                }
            }
            let now = list_of(&self.home);
            if (told.is_none_or(|told| told.elapsed() > LEASE / 3) || now != stamp) && self.tell().await {
                (told, stamp) = (Some(Instant::now()), now);
            }
            if leases.end(Instant::now(), |pod| self.mesh.members().is_believed(pod)) {
                lent.send_replace(Some(leases.lent()));
            }
        }
    }

    /// What the list says that others lend.
    fn remembered(&self) -> Leases {
        let lent = is_lent(&self.home).unwrap_or_else(|error| {
            tracing::warn!(%error, "which chefs others lent is not known");
            Vec::new()
        });
        Leases::remembered(lent, Instant::now())
    }

    /// What members tell, as soon as the server can be reached.
    async fn hear(&self) -> BoxStream<'static, (String, Opened<ChefNews>)> {
        loop {
            match self.mesh.listen(subject::CHEFS).await {
                Ok(stream) => return stream,
                Err(error) => tracing::debug!(%error, "cannot listen yet"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Asks those who are there, and have told nothing. Whether somebody told something.
    async fn ask(&self, leases: &mut Leases) -> bool {
        let mut is_told = false;
        let (heard, now) = (self.mesh.beats().all(), Instant::now());
        let unknown = heard.into_keys().filter(|pod| leases.is_to_be_asked(pod, now));
        let unknown: Vec<PodId> = unknown.filter(|pod| self.mesh.members().is_believed(pod)).collect();
        for pod in unknown {
            match self.mesh.ask::<_, ChefNews>(&pod, MATTER, &(), ANSWER).await {
                Ok(news) => is_told |= self.take(leases, pod, news),
                Err(error) => {
                    tracing::debug!(%pod, %error, "it does not say which chefs it lends");
                    leases.silent(pod, Instant::now());
                }
            }
        }
        is_told
    }

    /// Whether it counts; even if it is what was known, files may not have come the last time.
    fn take(&self, leases: &mut Leases, from: PodId, news: ChefNews) -> bool {
        let counts = from != self.mesh.pod() && self.mesh.members().is_believed(&from);
        if counts {
            leases.told(from, news, Instant::now());
        }
        counts
    }

    /// Whether it was told.
    async fn tell(&self) -> bool {
        match news(&self.home) {
            Ok(news) => self.mesh.tell(&subject::chefs(&self.mesh.pod()), &news).await.is_ok(),
            Err(why) => {
                tracing::warn!(why, "the chefs of this home are not lent");
                true
            }
        }
    }

    /// Brings the files of chefs that a pod lends; what does not come is left out.
    async fn bring(&self, pod: PodId, chefs: Vec<LentChef>) {
        let bringing = async {
            for LentChef { name, tree, .. } in chefs {
                if let Err(why) = self.estate.bring_within(pod, tree, (MAX_FILES, MAX_BYTES)).await {
                    tracing::warn!(chef = name, %pod, why, "a chef that is lent does not come");
                }
            }
        };
        if tokio::time::timeout(BRING, bringing).await.is_err() {
            tracing::warn!(%pod, "chefs that it lends do not come: it gives them too slowly");
        }
    }

    /// Brings the list of this home in line with all leases.
    async fn adopt(&self, lent: Vec<(PodId, LentChef)>) {
        let mut by_pod: BTreeMap<PodId, Vec<LentChef>> = BTreeMap::new();
        match lacking(&self.home, &lent) {
            Ok(lacking) => {
                lacking.into_iter().for_each(|(pod, chef)| by_pod.entry(pod).or_default().push(chef))
            }
            Err(error) => return tracing::warn!(%error, "chefs of others are not taken"),
        }
        let each = by_pod.into_iter().map(|(pod, chefs)| self.bring(pod, chefs));
        futures::future::join_all(each).await;
        let (home, larder) = (self.home.clone(), self.estate.larder().clone());
        let adopting = tokio::task::spawn_blocking(move || adopt(&home, &larder, &lent));
        match adopting.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "chefs of others are not taken"),
            Err(error) => tracing::error!(%error, "chefs of others are not taken"),
        }
    }
}

/// Takes out of the list of a home all that others lend.
pub(super) fn forget(home: &Path, larder: &Larder) -> Result<(), Failure> {
    adopt(home, larder, &[]).map_err(|error| Failure::new(FailureKind::Machine, &error))
}
