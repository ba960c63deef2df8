//! Somebody looks into the root of a step: in the turn in which its commands would run, and over what they would see.
//!
//! What he looks at and is not made yet is made while he waits, as for the step itself. When he goes the build is cancelled: what was made
//! for him stays in the larder, and nothing is told, kept or handed over of what he did.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kitchen::{HowEnded, Streams};
use node::{StepOrder, Visit};
use tokio::net::UnixStream;

use super::Fallible;
use super::context::{Context, Stop};
use super::words::{failure_words, shown_command};
use crate::majordomo::border;
use crate::majordomo::door::Door;
use crate::majordomo::inspect;
use crate::majordomo::plan::Plan;
use crate::majordomo::request::{Reply, ShellNews, ShellRequest};
use crate::majordomo::shell::streams;
use crate::majordomo::sink::Cancel;

/// What is run where nothing was asked for: on a terminal the shell that is nicer to talk with, if it is there.
const INTERACTIVE: &str = "command -v bash >/dev/null 2>&1 && exec bash -i; exec sh -i";
/// Added to a signal's number, as shells tell that one has ended a program.
const BY_SIGNAL: i32 = 128;
/// What shells say of a program that they ended themselves, or could not follow.
const BY_FORCE: i32 = BY_SIGNAL + 9;

/// Who wants to look into a step's root, and where he comes in.
pub struct Visitor {
    asked: ShellRequest,
    door: Door,
    /// He has been asked in.
    is_announced: AtomicBool,
    /// Set when he goes.
    leaving: Cancel,
}

impl Visitor {
    /// One who comes in by this door.
    pub fn new(asked: ShellRequest, door: Door) -> Self {
        Self { asked, door, is_announced: AtomicBool::new(false), leaving: Cancel::default() }
    }

    /// Set when he goes, or has to.
    pub fn leaving(&self) -> &Cancel {
        &self.leaving
    }

    /// The step that he means.
    pub(super) fn step(&self, plan: &Plan) -> Fallible<usize> {
        let step = &self.asked.step;
        inspect::declared(plan, step)?.ok_or_else(|| inspect::nobody(plan, step))
    }

    fn commands(&self, is_terminal: bool) -> Vec<Vec<Vec<u8>>> {
        let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let asked: Vec<&str> = self.asked.command.iter().map(String::as_str).collect();
        vec![match (asked.is_empty(), is_terminal) {
            (false, _) => words(&asked),
            (true, true) => words(&["/bin/sh", "-c", INTERACTIVE]),
            (true, false) => words(&["/bin/sh"]),
        }]
    }

    /// What programs that draw on a terminal want to know of it, where the step does not say.
    fn env(&self, order: &StepOrder, is_terminal: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
        let is_said = order.spec.env.iter().any(|(name, _)| name == b"TERM");
        let term = self.asked.term.as_ref().filter(|_| is_terminal && !is_said);
        term.map(|term| (b"TERM".to_vec(), term.clone().into_bytes())).into_iter().collect()
    }
}

/// Lets the visitor in, in the turn of the step that he looks into, until he goes or is `ended`.
pub(super) async fn visit(
    context: &Context,
    index: usize,
    order: StepOrder,
    ended: impl Future<Output = ()> + Send,
) -> Result<(), Stop> {
    let Some((_, visitor)) = &context.visitor else { return Ok(()) };
    let _leaves = Leaves(visitor);
    if visitor.is_announced.swap(true, Ordering::AcqRel) {
        // An attempt that ended under him: what he saw is not so any more.
        return Ok(());
    }
    let planned = &context.plan.steps[index];
    context.pod.warm_up(order.sandbox).await?;
    let is_fresh = visitor.asked.is_fresh;
    let beneath = context.pod.failed().of(context.workspace, &planned.id).filter(|_| !is_fresh);
    context.sink.reply(Reply::Shell(ShellNews::Ready {
        socket: visitor.door.path().to_owned(),
        step: planned.id.clone(),
        commands: order.spec.commands.iter().map(|argv| shown_command(argv)).collect(),
        is_failed: beneath.is_some(),
    }));
    tokio::pin!(ended);
    let entered = tokio::select! {
        entered = enter(&visitor.door) => entered,
        () = &mut ended => return Ok(()),
    };
    let Streams { fds, is_terminal } = entered.map_err(|error| {
        let mut failure = border::machine("the terminal of the shell could not be handed over");
        failure.causes.push(error.to_string());
        Stop::Fatal(Box::new(failure))
    })?;
    let visit = Visit {
        commands: visitor.commands(is_terminal),
        env: visitor.env(&order, is_terminal),
        streams: Streams { fds, is_terminal },
        beneath,
    };
    let visited = context.pod.visit(order, visit, ended).await?;
    let (code, why) = match &visited.how {
        HowEnded::Exit(code) => (*code, None),
        HowEnded::Signal(signal) => (BY_SIGNAL + signal, None),
        how => {
            let (code, words) = failure_words(how, planned.timeout);
            (code.unwrap_or(BY_FORCE), Some(words))
        }
    };
    context.sink.reply(Reply::Shell(ShellNews::Ended { code, why, changed: visited.changed }));
    Ok(())
}

async fn enter(door: &Door) -> std::io::Result<Streams> {
    let stream: UnixStream = door.enter().await?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    let receiving = tokio::task::spawn_blocking(move || streams::receive(&stream));
    let (fds, is_terminal) = receiving.await.map_err(std::io::Error::other)??;
    Ok(Streams { fds: Arc::new(fds), is_terminal })
}

/// However a visit ends, nothing more is to be made for it.
struct Leaves<'a>(&'a Visitor);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.leaving.set();
    }
}
