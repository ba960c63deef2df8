//! Questions about files to one chef, as one run in the kitchen: for each a process of its own, which sees its file alone.

use std::sync::Arc;

use kitchen::{Clock, HowEnded, Limits};
use larder::{LarderError, ObjectKind};
use lens::lens::Role;
use node::{NoSources, NodeError, OutputsBuilder, Pod, Project, Sandbox, SourceFiles, StepEnd, StepOrder};
use protocol::chef::{Answer, Ask, Left, MAX_ANSWER, Request, Say};
use protocol::step::PROJECT;
use protocol::{Digest, RelPath, StepSpec, Tree, TreeEntry};
use view::HostTools;

use super::ChefLens;
use crate::majordomo::build::signal_name;
use crate::majordomo::chefs::program::Program;
use crate::majordomo::chefs::question::{chain, plain};
use crate::majordomo::sink::Cancel;

/// What a chef finds its file as, in a folder that has nothing else.
const FILE: &str = "file";
/// The longest line of a chef that fails, in bytes.
const MAX_LINE: usize = 400;

/// One question: what a lens leaves of content that is in the larder.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub lens: &'a ChefLens,
    pub raw: Digest,
    pub size: u64,
}

/// What is left: the digest of bytes that are in the larder; `None`: the content as it is. Or why nobody knows.
pub(super) type Said = Result<Option<Digest>, String>;

/// How a run came to its end.
pub(super) enum Ended {
    /// An answer, or none, to each question.
    Said(Vec<Said>),
    /// It took too long; after so many seconds.
    TimedOut(f64),
    /// It was ended.
    Cancelled,
}

/// Where runs happen.
pub(super) struct Where<'a> {
    pub pod: &'a Pod,
    pub sandbox: Sandbox,
    pub tools: &'a Arc<HostTools>,
    pub files: &'a Arc<SourceFiles>,
    pub cancel: &'a Cancel,
}

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap_or_else(|_| RelPath::root())
}

/// Asks one chef about these.
pub(super) async fn ask(place: &Where<'_>, chef: &Program, about: &[About<'_>]) -> Result<Ended, NodeError> {
    let folder = chef.folder.to_string();
    let larder = place.pod.larder();
    let mut entries = chef.entries.clone();
    for (number, About { lens, raw, size }) in about.iter().enumerate() {
        let (role, lens, path_) = (lens.role, lens.name.clone(), FILE.to_owned());
        let ask = match role {
            Role::Projection => Ask::Project { lens, path: path_ },
            Role::Normaliser => Ask::Normalise { lens, path: path_ },
        };
        let line = Request::new(ask).line();
        let digest = larder.put(ObjectKind::Blob, line.as_bytes())?;
        let request = TreeEntry::File { digest, size: line.len() as u64, exec: false };
        entries.push((path(&format!("{folder}/{number}.request")), request));
        let file = TreeEntry::File { digest: *raw, size: *size, exec: false };
        entries.push((path(&format!("{folder}/{number}/{FILE}")), file));
    }
    let mut outputs = OutputsBuilder::default();
    outputs.apply(&Tree::new(entries).map_err(|_| NodeError::Task("lay out the questions to a chef"))?);
    let spec = Arc::new(spec(chef, &folder, about.len()));
    let project = Project::new(Arc::new(NoSources), Arc::clone(place.files), outputs.finish()).seen_by(&spec);
    let order = StepOrder {
        spec,
        project: Arc::new(project),
        tools: Arc::clone(place.tools),
        image: None,
        timeout: Some(chef.timeout),
        limits: Limits::default(),
        secrets: Vec::new(),
        previous: None,
        sandbox: place.sandbox,
        clock: Clock::default(),
        is_followed: false,
    };
    let run = place.pod.run(order, &|_| (), || (), place.cancel.wait()).await?;
    let why = match run.end {
        StepEnd::Made { outputs, .. } => {
            let said =
                |number: usize| said(place, &outputs, &format!("{folder}/{number}"), about[number].lens.role);
            return Ok(Ended::Said((0..about.len()).map(said).collect::<Result<_, _>>()?));
        }
        StepEnd::Failed(HowEnded::TimedOut) => return Ok(Ended::TimedOut(chef.timeout.as_secs_f64())),
        StepEnd::Failed(HowEnded::Cancelled) => return Ok(Ended::Cancelled),
        StepEnd::Failed(HowEnded::OverLimit(limit)) => format!("killed: over {limit}"),
        StepEnd::Failed(HowEnded::Killed) => {
            "the system killed it, as it does when memory runs out".to_owned()
        }
        StepEnd::Failed(HowEnded::Signal(signal)) => format!("a signal ended it: {}", signal_name(signal)),
        StepEnd::Failed(_) => "it could not be started".to_owned(),
        StepEnd::Refused(refusal) => refusal.to_string(),
        StepEnd::ToolsChanged(paths) => {
            let path = paths.first().map(ToString::to_string).unwrap_or_default();
            format!("`/{path}` changed while it ran")
        }
        StepEnd::SourceChanged(path) | StepEnd::Lost(path) => format!("the bytes of `{path}` are gone"),
        StepEnd::Unreadable(failure) => chain(&failure),
    };
    Ok(Ended::Said(vec![Err(why); about.len()]))
}

/// One process after the other, each in its own folder: the question on stdin, the answer from stdout; in blocks of 512 bytes the longest
/// answer, so that a flood ends the process.
fn spec(chef: &Program, folder: &str, count: usize) -> StepSpec {
    let script = format!(
        "ulimit -f {}; cd /{PROJECT}/{folder}; n=0; while [ $n -lt {count} ]; do\n\
         ( cd $n; exec \"$@\" < ../$n.request > ../$n.answer 2> ../$n.words ) || echo $? > $n.failed\n\
         n=$((n + 1)); done",
        MAX_ANSWER / 512
    );
    let mut words = chef.words.clone();
    if let Some(program) = words.first_mut() {
        *program = [format!("/{PROJECT}/").as_bytes(), program].concat();
    }
    let shell = ["/bin/sh", "-eu", "-c", &script, "chef"].map(|word| word.as_bytes().to_vec());
    plain(shell.into_iter().chain(words).collect())
}

/// What came of one question; `at`: its folder.
fn said(place: &Where<'_>, made: &Tree, at: &str, role: Role) -> Result<Said, LarderError> {
    let larder = place.pod.larder();
    let left = |path: &RelPath| match made.get(path) {
        Some(TreeEntry::File { digest, .. }) => larder.get(ObjectKind::Blob, digest),
        _ => Ok(None),
    };
    if let Some(code) = left(&path(&format!("{at}.failed")))? {
        let is_flood = |path: &RelPath| matches!(made.get(path), Some(TreeEntry::File { size, .. }) if *size >= MAX_ANSWER);
        if [".answer", ".words"].iter().any(|name| is_flood(&path(&format!("{at}{name}")))) {
            return Ok(Err(format!("it wrote more than {} MiB", MAX_ANSWER >> 20)));
        }
        let code = String::from_utf8_lossy(&code).trim().to_owned();
        let words = left(&path(&format!("{at}.words")))?.unwrap_or_default();
        let words = String::from_utf8_lossy(&words[..words.len().min(MAX_LINE)]).into_owned();
        let line = words.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
        return Ok(Err(match line {
            Some(line) => format!("exit code {code}: {line}"),
            None => format!("exit code {code}"),
        }));
    }
    let bytes = left(&path(&format!("{at}.answer")))?.unwrap_or_default();
    let Left { text, file } = match (Answer::read(&bytes).map(|answer| answer.say), role) {
        (Ok(Say::Project(left)), Role::Projection) | (Ok(Say::Normalise(left)), Role::Normaliser) => left,
        (Ok(_), _) => return Ok(Err("it answered another question".to_owned())),
        (Err(bad), _) => return Ok(Err(chain(&bad))),
    };
    if let Some(text) = text {
        return Ok(Ok(Some(larder.put(ObjectKind::Blob, text.as_bytes())?)));
    }
    let Some(file) = file else { return Ok(Ok(None)) };
    // The shell began in the file's own folder.
    let there = file.parse::<RelPath>().ok().map(|file| path(at).join(&file));
    Ok(match there.as_ref().and_then(|there| made.get(there)) {
        Some(TreeEntry::File { digest, .. }) => Ok(Some(*digest)),
        // It is what was there before.
        None if file == FILE => Ok(None),
        _ => Err(format!("it says that the answer is in `{file}`, and wrote no such file")),
    })
}
