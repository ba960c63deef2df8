//! Asking chefs: each is a step, all of them side by side; then whoever is taken is asked for its plan, if it has not said it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use larder::ObjectKind;
use node::{Access, NodeError, Pod};
use protocol::chef::{Answer, Ask, Detected, MAX_ANSWER, Planned as Steps, Request, Say};
use protocol::event::{Event, How, Stream};
use protocol::{Digest, Keep, RelPath, StepId, StepSpec, Tree, TreeEntry};

use super::pick::{Picked, surest};
use super::program::{Program, ProgramError, program};
use super::{ByChefs, Fallible, last, written};
use crate::majordomo::border;
use crate::majordomo::build::{Asked, Stop, run_planning};
use crate::majordomo::plan::{Plan, PlannedStep};
use crate::majordomo::prepare::{self, Planned, Prepared, Scanned};
use crate::majordomo::project_file::{PROJECT_FILE, ProjectFile, ProjectFileError};
use crate::majordomo::request::Failure;
use crate::majordomo::sink::{Cancel, REPLY_QUEUE, Sink};

/// The question on stdin, the answer from stdout; in blocks of 512 bytes the longest answer, so that a flood ends the chef.
fn script(place: &RelPath) -> String {
    format!("ulimit -f {}; exec \"$@\" < {place}/request > {place}/answer", MAX_ANSWER / 512)
}

/// What became of asking one chef.
struct Asking {
    name: String,
    /// Its answer, and the answer's digest; or why there is none.
    said: Result<(Say, Digest), String>,
}

/// Asks the chefs of a project, and gives its plan in the form of a project file. `None`: the build was cancelled meanwhile.
///
/// # Errors
/// Nobody knows the project, or nobody alone; whoever does has no plan that can be read; or the attempt has to end.
pub async fn ask(
    pod: &Pod,
    scanned: &Scanned,
    own: Option<&ProjectFile>,
    asked: &Asked,
    hearing: (&Sink, &Cancel),
) -> Result<Option<(ProjectFile, ByChefs)>, Stop> {
    let asker = Asker { pod, scanned, own, asked, hearing };
    let (programs, mut refused) = asker.programs(named(own)).await?;
    let Some((asking, mut by_chefs)) = asker.round(&programs, Ask::Detect {}, "").await? else {
        return Ok(None);
    };
    let mut detected: Vec<(usize, Detected, Digest)> = Vec::new();
    for (index, Asking { name, said }) in asking.into_iter().enumerate() {
        match said {
            Ok((Say::Detect(answer), digest)) => detected.push((index, answer, digest)),
            Ok(_) => refused.push((name, "it answered another question than `detect`".to_owned())),
            Err(why) => refused.push((name, why)),
        }
    }
    let name = |index: usize| programs[index].name.as_str();
    let taken = match surest(detected.iter().map(|(index, answer, _)| (*index, answer))) {
        Picked::One(taken) => taken,
        Picked::Tie(all) => {
            let all: Vec<&str> = all.into_iter().map(name).collect();
            return Err(Stop::Fatal(Box::new(tie(&all))));
        }
        Picked::Nobody => return Err(Stop::Fatal(Box::new(asker.nobody(&programs, &refused)))),
    };
    for (name, why) in &refused {
        asker.hearing.0.note(true, format!("the chef `{name}` could not be asked: {why}"));
    }
    by_chefs.is_whole = refused.is_empty();
    let Some((_, detected, digest)) = detected.into_iter().find(|(index, ..)| *index == taken) else {
        return Err(NodeError::Task("ask chefs").into());
    };
    name(taken).clone_into(&mut by_chefs.chef);
    by_chefs.found = detected.found;
    let (plan, digest) = match detected.plan {
        Some(plan) => (plan, digest),
        None => match asker.plan(&programs[taken], &mut by_chefs).await? {
            Some(said) => said,
            None => return Ok(None),
        },
    };
    let file = asker.read(name(taken), &plan).map_err(Stop::Fatal)?;
    for note in &plan.notes {
        asker.hearing.0.note(false, format!("{}: {note}", name(taken)));
    }
    last::remember(pod.larder(), scanned.workspace.id(), name(taken), &digest)?;
    Ok(Some((file, by_chefs)))
}

/// The chefs that are asked: those that the project's own file names, else all that are built in.
pub(super) fn named(own: Option<&ProjectFile>) -> Vec<String> {
    match own {
        Some(file) => file.chefs.iter().map(|chef| chef.value.clone()).collect(),
        None => chef_builtin::ALL.iter().map(|chef| chef.name.to_owned()).collect(),
    }
}

/// Who asks, over what.
struct Asker<'a> {
    pod: &'a Pod,
    scanned: &'a Scanned,
    own: Option<&'a ProjectFile>,
    asked: &'a Asked,
    hearing: (&'a Sink, &'a Cancel),
}

/// Chefs, and why others are none.
type Programs = (Vec<Program>, Vec<(String, String)>);

impl Asker<'_> {
    /// The programs of chefs, as content.
    async fn programs(&self, names: Vec<String>) -> Result<Programs, Stop> {
        let (larder, project) = (self.pod.larder().clone(), self.scanned.workspace.project().to_owned());
        let taking = tokio::task::spawn_blocking(move || {
            let (mut programs, mut refused): Programs = Default::default();
            for said in names {
                match program(&larder, &project, &said) {
                    Ok(program) if programs.iter().any(|other| other.name == program.name) => {
                        refused.push((said, format!("another chef is called `{}`, too", program.name)));
                    }
                    Ok(program) => programs.push(program),
                    Err(ProgramError::Larder(error)) => return Err(Stop::from(error)),
                    Err(error) => refused.push((said, chain(&error))),
                }
            }
            Ok((programs, refused))
        });
        taking.await.map_err(|_| Stop::from(NodeError::Task("take chefs in")))?
    }

    /// Asks all of them one question. `None`: the build was cancelled meanwhile.
    async fn round(
        &self,
        programs: &[Program],
        ask: Ask,
        suffix: &str,
    ) -> Result<Option<(Vec<Asking>, ByChefs)>, Stop> {
        let request = Request::new(ask).line();
        self.pod.larder().put(ObjectKind::Blob, request.as_bytes())?;
        let environment = prepare::environment(&self.asked.environment);
        let question = (request.as_str(), suffix);
        let prepared = asking(programs, question, self.scanned.clone(), self.own, &environment)
            .and_then(|(planned, given)| {
                let prepared = Prepared::of(planned, self.pod, Access::Remember)?;
                Ok(Prepared { given: Arc::new(given), ..prepared })
            })
            .map_err(Stop::Fatal)?;

        let (overhearing, heard) = overhear(self.hearing.0);
        let options = &self.asked.options;
        let planning = run_planning(self.pod, &prepared, options, (&overhearing, self.hearing.1)).await;
        drop(overhearing);
        let heard = tokio::task::spawn_blocking(move || heard.join());
        let planning = planning?;
        let heard = heard.await.ok().and_then(Result::ok).unwrap_or_default();
        if planning.is_cancelled {
            return Ok(None);
        }
        let mut asking = Vec::with_capacity(programs.len());
        for (program, made) in programs.iter().zip(&planning.made) {
            let id = &prepared.plan.steps[asking.len()].id;
            let said = match made {
                Some(tree) => self.answer(tree, &program.folder)?,
                None => Err(heard.failure(id)),
            };
            asking.push(Asking { name: program.name.clone(), said });
        }
        let by_chefs = ByChefs {
            chef: String::new(),
            found: String::new(),
            steps: programs.len() as u64,
            looks: planning.looks,
            tools: Arc::clone(&prepared.tools),
            files: programs.iter().flat_map(|program| program.files.iter().cloned()).collect(),
            is_whole: true,
        };
        Ok(Some((asking, by_chefs)))
    }

    /// Reads what a chef left.
    fn answer(&self, tree: &Tree, place: &RelPath) -> Result<Result<(Say, Digest), String>, Stop> {
        let path = place.child(b"answer").unwrap_or_else(RelPath::root);
        // The shell makes the file before the chef starts; who removes it says nothing.
        let Some(TreeEntry::File { digest, .. }) = tree.get(&path) else {
            return Ok(Err("nothing was said".to_owned()));
        };
        let bytes = self.pod.larder().get(ObjectKind::Blob, digest)?.ok_or(Stop::Lost(path))?;
        Ok(Answer::read(&bytes).map(|answer| (answer.say, *digest)).map_err(|bad| chain(&bad)))
    }

    /// Asks the chef that was taken for its plan.
    async fn plan(&self, chef: &Program, by_chefs: &mut ByChefs) -> Result<Option<(Steps, Digest)>, Stop> {
        let chefs = std::slice::from_ref(chef);
        let Some((asking, more)) = self.round(chefs, Ask::Plan {}, ":plan").await? else { return Ok(None) };
        by_chefs.steps += more.steps;
        by_chefs.looks.extend(more.looks);
        by_chefs.tools = more.tools;
        let said = asking.into_iter().next().map(|asking| asking.said);
        let why = match said {
            Some(Ok((Say::Plan(plan), digest))) => return Ok(Some((plan, digest))),
            Some(Err(why)) => why,
            _ => "it answered another question than `plan`".to_owned(),
        };
        let mut failure = border::mistake(format!("the chef `{}` has no plan for this project", chef.name));
        failure.causes.push(why);
        Err(Stop::Fatal(Box::new(failure.hint(WITHOUT))))
    }

    /// The plan as a project file.
    fn read(&self, chef: &str, plan: &Steps) -> Result<ProjectFile, Box<Failure>> {
        if let Some(again) = plan.replan.first() {
            let failure = border::mistake(format!(
                "the chef `{chef}` wants to be asked again after `{}`, which this version does not do yet",
                again.after
            ));
            return Err(Box::new(failure.hint(WITHOUT)));
        }
        let project = self.scanned.workspace.project();
        written::file(chef, plan, &written::label(project), self.own)
    }

    /// Nobody knows the project.
    fn nobody(&self, programs: &[Program], refused: &[(String, String)]) -> Failure {
        let project = self.scanned.workspace.project();
        let mut failure = match (self.own, refused) {
            (None, []) => border::project_file(&ProjectFileError::Missing { folder: project.to_owned() }),
            (_, []) => border::mistake(format!("no chef knows the project `{}`", project.display())),
            _ => border::mistake(format!("no chef could plan the project `{}`", project.display())),
        };
        let said = refused.iter().map(|(name, why)| format!("the chef `{name}` could not be asked: {why}"));
        failure.causes.extend(said);
        let has_answered = |name: &str| refused.iter().all(|(other, _)| other != name);
        let names = programs.iter().map(|program| program.name.as_str()).filter(|name| has_answered(name));
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        match names.as_slice() {
            [] => failure,
            names => failure.hint(format!("these chefs were asked, and none knows it: {}", names.join(", "))),
        }
    }
}

const WITHOUT: &str = "a `majordomo.toml` with steps builds the project without a chef";

/// Nobody knows it best.
fn tie(names: &[&str]) -> Failure {
    let shown: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let failure =
        border::mistake(format!("the chefs {} are equally sure of this project", shown.join(" and ")));
    let first = names.first().copied().unwrap_or_default();
    failure.hint(format!("decide in `{PROJECT_FILE}`:\n[project]\nchef = \"{first}\""))
}

/// The plan of asking these chefs one question, its line and what it adds to their steps' ids; and what the steps see beside the
/// sources.
pub(super) fn asking(
    programs: &[Program],
    (request, suffix): (&str, &str),
    scanned: Scanned,
    own: Option<&ProjectFile>,
    environment: &HashMap<String, String>,
) -> Fallible<(Planned, Tree)> {
    let digest = Digest::of(request.as_bytes());
    let line = TreeEntry::File { digest, size: request.len() as u64, exec: false };
    let requests = programs.iter().filter_map(|program| program.folder.child(b"request"));
    let mut given: Vec<_> = requests.map(|path| (path, line.clone())).collect();
    given.extend(programs.iter().flat_map(|program| program.entries.iter().cloned()));
    // No two chefs have one folder, and none has a file twice.
    let given = Tree::new(given).map_err(|error| {
        let mut failure = border::machine("the chefs' files cannot be put side by side");
        failure.causes.push(error.to_string());
        Box::new(failure)
    })?;
    let tool_roots = own.map(|file| file.tool_roots.clone()).unwrap_or_default();
    let steps = programs.iter().map(|program| step(program, suffix)).collect();
    let plan = Plan::of_planning("chefs".to_owned(), tool_roots, steps);
    Ok((Planned::with(plan, scanned, environment)?, given))
}

fn step(program: &Program, suffix: &str) -> PlannedStep {
    let shell =
        ["/bin/sh", "-eu", "-c", &script(&program.folder), "chef"].map(|word| word.as_bytes().to_vec());
    let command = shell.into_iter().chain(program.words.iter().cloned()).collect();
    PlannedStep {
        id: StepId::new(&format!("chef:{}{suffix}", program.name)),
        spec: StepSpec {
            commands: vec![command],
            cwd: RelPath::root(),
            env: Vec::new(),
            out: Vec::new(),
            keep: Keep::Nothing,
            network: false,
            declared_in: Vec::new(),
            projections: Vec::new(),
            normalisers: Vec::new(),
        },
        after: Arc::default(),
        each: None,
        inputs: Arc::default(),
        timeout: Some(program.timeout),
        volatile: false,
        max_passes: None,
        strict: false,
    }
}

/// What was said of chefs that failed.
#[derive(Default)]
struct Heard {
    failures: HashMap<StepId, String>,
    /// The first line of each on stderr.
    first: HashMap<StepId, String>,
}

impl Heard {
    fn failure(&self, step: &StepId) -> String {
        let how = self.failures.get(step).map_or("it failed", String::as_str);
        if how.contains("SIGXFSZ") {
            return format!("it answered with more than {} MiB", MAX_ANSWER >> 20);
        }
        match self.first.get(step) {
            Some(line) => format!("{how}: {line}"),
            None => how.to_owned(),
        }
    }
}

/// A sink whose events go to another one, but for the number of steps, which is not that of the build; and what was heard of
/// failures on the way, once nobody says anything any more.
fn overhear(sink: &Sink) -> (Sink, JoinHandle<Heard>) {
    let (sender, replies) = sync_channel(REPLY_QUEUE);
    let to = sink.clone();
    let listening = move || {
        let mut heard = Heard::default();
        for reply in replies {
            let crate::majordomo::request::Reply::Event(stamped) = reply else { continue };
            match &stamped.event {
                Event::Planned { .. } => continue,
                Event::StepOutput { step, stream: Stream::Stderr, text } if !text.trim().is_empty() => {
                    heard.first.entry(step.clone()).or_insert_with(|| text.trim().to_owned());
                }
                Event::StepFinished { step, how: How::Failed, failure: Some(failure), .. } => {
                    heard.failures.insert(step.clone(), failure.clone());
                }
                _ => {}
            }
            to.event(stamped.event);
        }
        heard
    };
    (Sink::new(sender), std::thread::spawn(listening))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        words += &format!(": {next}");
        source = next.source();
    }
    words
}
