//! Who asks chefs for what their lenses leave: in turns, all questions together that have come meanwhile.

use std::sync::Arc;

use futures::future::BoxFuture;
use larder::{LarderError, ObjectKind};
use node::{AskedLenses, NodeError, NormalForm, Pod, Sandbox, SourceFiles};
use parking_lot::Mutex;
use protocol::digest::context;
use protocol::{Digest, RelPath};
use rustc_hash::FxHashMap;
use view::HostTools;

use super::batch::{self, About, Ended, Said, Where};
use super::{Lenses, memory};
use crate::majordomo::sink::{Cancel, Sink};

/// Questions of one run.
const MAX_QUESTIONS: usize = 64;

/// Asks for one build, or for somebody who looks.
pub struct Asking {
    lenses: Arc<Lenses>,
    pod: Pod,
    tools: Arc<HostTools>,
    /// Runs see no file of the project; this is where their bytes come from.
    files: Arc<SourceFiles>,
    state: Mutex<State>,
    /// One run at a time, beside the build's own steps.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Nobody has asked these yet; with sizes.
    waiting: Vec<(Digest, Digest, u64)>,
    /// What this build has heard: by lens and content.
    said: FxHashMap<(Digest, Digest), Said>,
    /// Chefs that did not come to an end, by name: they are not waited for again.
    hung: FxHashMap<String, String>,
    hearing: Option<(Sink, Cancel, Sandbox)>,
}

impl Asking {
    /// For these lenses, over the tools of a build.
    pub fn new(lenses: Arc<Lenses>, pod: &Pod, tools: Arc<HostTools>, files: SourceFiles) -> Self {
        Self {
            lenses,
            pod: pod.clone(),
            tools,
            files: Arc::new(files),
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// From now on somebody hears what goes wrong, and may end it all.
    pub fn heard_by(&self, sink: &Sink, cancel: &Cancel, sandbox: Sandbox) {
        self.state.lock().hearing = Some((sink.clone(), cancel.clone(), sandbox));
    }

    /// The answer to a question about content that is in the larder. `None`: all is over.
    async fn said(&self, lens: &Digest, raw: &Digest, size: u64) -> Result<Option<Said>, NodeError> {
        let key = (*lens, *raw);
        {
            let mut state = self.state.lock();
            if let Some(said) = state.said.get(&key) {
                return Ok(Some(said.clone()));
            }
            if !state.waiting.iter().any(|(lens, raw, _)| (*lens, *raw) == key) {
                state.waiting.push((*lens, *raw, size));
            }
        }
        let _turn = self.turn.lock().await;
        loop {
            if let Some(said) = self.state.lock().said.get(&key) {
                return Ok(Some(said.clone()));
            }
            if !self.ask_some(&key).await? {
                return Ok(None);
            }
        }
    }

    /// Asks some of what waits, this among it. `false`: all is over.
    async fn ask_some(&self, first: &(Digest, Digest)) -> Result<bool, NodeError> {
        let Some(chef) = self.lenses.by_id.get(&first.0).map(|lens| Arc::clone(&lens.chef)) else {
            return Err(NodeError::Lens(first.0.to_string()));
        };
        let is_of_chef = |lens: &Digest| {
            self.lenses
                .by_id
                .get(lens)
                .filter(|lens| Arc::ptr_eq(&lens.chef, &chef) || lens.chef.tree == chef.tree)
        };
        let (waiting, hearing, hung) = {
            let state = self.state.lock();
            let mut waiting: Vec<(Digest, Digest, u64)> = state.waiting.clone();
            waiting.sort_by_key(|(lens, raw, _)| (*lens, *raw) != *first);
            (waiting, state.hearing.clone(), state.hung.get(&chef.name).cloned())
        };
        let about: Vec<(Digest, About<'_>)> = waiting
            .iter()
            .filter_map(|(id, raw, size)| {
                Some((*id, About { lens: is_of_chef(id)?, raw: *raw, size: *size }))
            })
            .take(MAX_QUESTIONS)
            .collect();
        if let Some(why) = hung {
            let answers = vec![Err(why); about.len()];
            self.take(&about, answers);
            return Ok(true);
        }
        let cancel = hearing.as_ref().map_or_else(Cancel::default, |(_, cancel, _)| cancel.clone());
        let sandbox = hearing.as_ref().map_or_else(|| self.pod.sandbox(), |(_, _, sandbox)| *sandbox);
        let place =
            Where { pod: &self.pod, sandbox, tools: &self.tools, files: &self.files, cancel: &cancel };
        let questions: Vec<About<'_>> = about.iter().map(|(_, about)| *about).collect();
        match batch::ask(&place, &chef, &questions).await? {
            Ended::Cancelled => return Ok(false),
            Ended::Said(answers) => self.take(&about, answers),
            // Together they may have taken too long, and none alone.
            Ended::TimedOut(_) if about.len() > 1 => {
                match batch::ask(&place, &chef, &questions[..1]).await? {
                    Ended::Cancelled => return Ok(false),
                    Ended::Said(answers) => self.take(&about[..1], answers),
                    Ended::TimedOut(seconds) => self.hung(&chef.name, &about, seconds),
                }
            }
            Ended::TimedOut(seconds) => self.hung(&chef.name, &about, seconds),
        }
        Ok(true)
    }

    fn hung(&self, chef: &str, about: &[(Digest, About<'_>)], seconds: f64) {
        let why = format!("it has not answered within {seconds} s");
        self.state.lock().hung.insert(chef.to_owned(), why.clone());
        self.take(about, vec![Err(why); about.len()]);
    }

    fn take(&self, about: &[(Digest, About<'_>)], answers: Vec<Said>) {
        let mut state = self.state.lock();
        for ((lens, About { raw, .. }), said) in about.iter().zip(answers) {
            state.waiting.retain(|(other, content, _)| (other, content) != (lens, raw));
            state.said.insert((*lens, *raw), said);
        }
    }

    fn text(&self, lens: &Digest) -> String {
        self.name(lens).unwrap_or_default()
    }

    fn warn(&self, words: String) {
        if let Some((sink, ..)) = &self.state.lock().hearing {
            sink.note(true, words);
        }
    }

    async fn projected(
        &self,
        lens: &Digest,
        (path, raw): (&RelPath, &Digest),
        bytes: &[u8],
    ) -> Result<Digest, NodeError> {
        let larder = self.pod.larder();
        // Whoever only looks has not taken it in.
        larder.put(ObjectKind::Blob, bytes)?;
        let left = match self.said(lens, raw, bytes.len() as u64).await? {
            None => return Ok(*raw),
            Some(Err(why)) => {
                let lens = self.text(lens);
                self.warn(format!(
                    "`{lens}` does not say what matters of `{path}`, so all of it does: {why}"
                ));
                return Ok(*raw);
            }
            Some(Ok(None)) => *raw,
            Some(Ok(Some(left))) => match larder.get(ObjectKind::Blob, &left)? {
                Some(left) => Digest::in_context(context::PROJECTED, &left),
                None => return Ok(*raw),
            },
        };
        memory::remember(larder, lens, raw, &left)?;
        Ok(left)
    }

    async fn normal(&self, lens: &Digest, bytes: &[u8]) -> Result<NormalForm, NodeError> {
        let larder = self.pod.larder();
        let raw = larder.put(ObjectKind::Blob, bytes)?;
        if let Some(known) = memory::known(larder, lens, &raw)? {
            if known == raw {
                return Ok(Ok(None));
            }
            if let Some(normal) = larder.get(ObjectKind::Blob, &known)? {
                return Ok(Ok(Some(normal.to_vec())));
            }
        }
        let left = match self.said(lens, &raw, bytes.len() as u64).await? {
            None => return Ok(Err("it was cancelled".to_owned())),
            Some(Err(why)) => return Ok(Err(why)),
            Some(Ok(left)) => left.unwrap_or(raw),
        };
        memory::remember(larder, lens, &raw, &left)?;
        if left == raw {
            return Ok(Ok(None));
        }
        Ok(match larder.get(ObjectKind::Blob, &left)? {
            Some(normal) => Ok(Some(normal.to_vec())),
            None => Err("what it answered is gone from the larder".to_owned()),
        })
    }
}

impl AskedLenses for Asking {
    fn name(&self, lens: &Digest) -> Option<String> {
        self.lenses.by_id.get(lens).map(|lens| lens.text.clone())
    }

    fn known(&self, lens: &Digest, raw: &Digest) -> Result<Option<Digest>, LarderError> {
        memory::known(self.pod.larder(), lens, raw)
    }

    fn project<'a>(
        &'a self,
        lens: &'a Digest,
        of: (&'a RelPath, &'a Digest),
        bytes: Arc<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Digest, NodeError>> {
        Box::pin(async move { self.projected(lens, of, &bytes).await })
    }

    fn normalise<'a>(
        &'a self,
        lens: &'a Digest,
        bytes: Vec<u8>,
    ) -> BoxFuture<'a, Result<NormalForm, NodeError>> {
        Box::pin(async move { self.normal(lens, &bytes).await })
    }
}
