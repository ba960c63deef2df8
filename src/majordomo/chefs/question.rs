//! A question as a step: the chef's program, over what it is asked about, leaves an answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use kitchen::Limits;
use larder::ObjectKind;
use node::Pod;
use protocol::chef::{Answer, Ask, MAX_ANSWER, Request, Say};
use protocol::{Digest, Keep, RelPath, StepId, StepSpec, Tree, TreeEntry};

use super::program::Program;
use super::written::ASKING;
use super::{Fallible, foreign};
use crate::majordomo::border;
use crate::majordomo::build::Stop;
use crate::majordomo::plan::PlannedStep;

/// What a chef is asked.
pub(super) struct Question<'a> {
    /// Who.
    pub chef: &'a Program,
    /// What, as the line that the chef reads.
    line: String,
    /// What the step's id has behind the chef's name.
    suffix: String,
    /// Sets its files apart from those of another question to the same chef.
    mark: String,
}

impl<'a> Question<'a> {
    /// Asks. `number`: of those that are asked of this chef at once.
    pub fn new(chef: &'a Program, ask: Ask, suffix: &str, number: usize) -> Self {
        let mark = if number == 0 { String::new() } else { format!("-{number}") };
        Self { chef, line: Request::new(ask).line(), suffix: suffix.to_owned(), mark }
    }

    /// The step.
    pub fn id(&self) -> StepId {
        StepId::new(&format!("{ASKING}:{}{}", self.chef.name, self.suffix))
    }

    fn file(&self, name: &str) -> RelPath {
        let name = format!("{name}{}", self.mark);
        self.chef.folder.child(name.as_bytes()).unwrap_or_else(RelPath::root)
    }

    /// The question on stdin, the answer from stdout; in blocks of 512 bytes the longest answer, so that a flood ends the chef.
    fn script(&self) -> String {
        let (request, answer) = (self.file("request"), self.file("answer"));
        format!("ulimit -f {}; exec \"$@\" < {request} > {answer}", MAX_ANSWER / 512)
    }

    /// The step that asks it, after these.
    pub fn step(&self, after: &[usize]) -> PlannedStep {
        let script = self.script();
        let shell = ["/bin/sh", "-eu", "-c", &script, "chef"].map(|word| word.as_bytes().to_vec());
        let command = shell.into_iter().chain(self.chef.words.iter().cloned()).collect();
        PlannedStep {
            id: self.id(),
            // A built-in chef never asks how big a file is that it does not read.
            spec: StepSpec { sizes: !self.chef.is_built_in, ..plain(command) },
            after: after.into(),
            each: None,
            inputs: Arc::default(),
            image: None,
            pool: None,
            on: BTreeMap::new(),
            limits: Limits::default(),
            secrets: Vec::new(),
            timeout: Some(self.chef.timeout),
            volatile: false,
            anew: [].into(),
            notices: [].into(),
            max_passes: None,
            strict: false,
        }
    }

    /// What the chef said, and the answer's digest; or why there is none.
    pub async fn answer(&self, pod: &Pod, made: &Tree) -> Result<Result<(Say, Digest), String>, Stop> {
        let path = self.file("answer");
        // The shell makes the file before the chef starts; who removes it says nothing.
        let Some(TreeEntry::File { digest, .. }) = made.get(&path) else {
            return Ok(Err("nothing was said".to_owned()));
        };
        // It may have been given on another pod.
        let bytes = pod.supply().get(ObjectKind::Blob, digest).await?.ok_or(Stop::Lost(path))?;
        Ok(Answer::read(&bytes)
            .map(|answer| (answer.say, *digest))
            .map_err(|bad| foreign::line(&chain(&bad))))
    }
}

/// A step that is this command, and nothing else.
pub(super) fn plain(command: Vec<Vec<u8>>) -> StepSpec {
    StepSpec {
        commands: vec![command],
        cwd: RelPath::root(),
        env: Vec::new(),
        out: Vec::new(),
        keep: Keep::Nothing,
        network: false,
        secrets: Vec::new(),
        alters: false,
        sizes: true,
        scratch: Vec::new(),
        declared_in: Vec::new(),
        projections: Vec::new(),
        normalisers: Vec::new(),
    }
}

/// What the steps that ask see beside the project: the chefs and their questions. The questions are in the larder then.
pub(super) fn given(pod: &Pod, questions: &[Question<'_>]) -> Fallible<Tree> {
    let mut entries = Vec::new();
    for (number, question) in questions.iter().enumerate() {
        let bytes = question.line.as_bytes();
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        pod.larder().put(ObjectKind::Blob, bytes).map_err(|error| Box::new(border::node(&error.into())))?;
        entries.push((question.file("request"), TreeEntry::File { digest, size, exec: false }));
        // A chef of two questions is there once.
        if questions[..number].iter().all(|other| other.chef.name != question.chef.name) {
            entries.extend(question.chef.entries.iter().cloned());
        }
    }
    Tree::new(entries).map_err(|error| {
        let mut failure = border::machine("the chefs' files cannot be put side by side");
        failure.causes.push(error.to_string());
        Box::new(failure)
    })
}

/// An error and what it came from, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        words += &format!(": {next}");
        source = next.source();
    }
    words
}
