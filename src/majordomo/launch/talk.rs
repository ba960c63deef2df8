//! One talk with a program: frames come in, calls are started, answers go out.
//!
//! Actors: a task that reads frames and holds back when too many calls are under way; a task that writes answers; this one,
//! which starts a task for each call and knows which are under way. Whoever goes first ends the talk: the program (end of its frames, or
//! answers that cannot be written), the client (`cancel`), or the machine (a failure).

use std::sync::Arc;

use larder::Content;
use protocol::calls::{Answer, Ask, Call, MAX_CALLS, PROTOCOL};
use rustc_hash::FxHashMap;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::Fallible;
use super::calls::{Counts, Program};
use super::frames::{self, FrameError};
use crate::majordomo::border;
use crate::majordomo::request::Failure;
use crate::majordomo::sink::Cancel;

/// Frames that were read and not looked at: each may be as long as memory is dear.
const FRAMES: usize = 1;
/// Answers that wait to be written; the bodies of long ones are still in the larder.
const ANSWERS: usize = 16;

type Frame = (Ask, Vec<u8>, Option<OwnedSemaphorePermit>);

/// An answer and its body.
pub type Reply = (Answer, Option<Content>);

/// Reads frames to their end. A call that is one too many is not handed on before another one has ended.
async fn read(mut from: OwnedReadHalf, to: mpsc::Sender<Result<Frame, FrameError>>) {
    let room = Arc::new(Semaphore::new(MAX_CALLS));
    loop {
        let frame = match frames::read(&mut from).await {
            Ok(None) => return,
            Err(error) => Err(error),
            Ok(Some((ask @ Ask::Call(_), body))) => {
                let permit = Arc::clone(&room).acquire_owned().await.ok();
                Ok((ask, body, permit))
            }
            Ok(Some((ask, body))) => Ok((ask, body, None)),
        };
        let is_last = frame.is_err();
        if to.send(frame).await.is_err() || is_last {
            return;
        }
    }
}

async fn write(mut to: OwnedWriteHalf, mut replies: mpsc::Receiver<Reply>) {
    while let Some((answer, body)) = replies.recv().await {
        if let Err(error) = frames::write(&mut to, &answer, body).await {
            tracing::debug!(%error, "a program takes no more answers");
            return;
        }
    }
}

fn misunderstood(why: impl std::fmt::Display) -> Box<Failure> {
    let mut failure = border::machine("the program's talk with the majordomo cannot be understood");
    failure.causes.push(why.to_string());
    Box::new(failure)
}

/// Talks until somebody has gone. `begin` makes of the program's greeting whom its calls are for.
pub async fn talk(
    stream: UnixStream,
    begin: impl FnOnce(Ask) -> Fallible<Program>,
    cancel: &Cancel,
) -> Fallible<Counts> {
    let (from, to) = stream.into_split();
    let (frames_in, mut frames) = mpsc::channel(FRAMES);
    let (answers, answers_out) = mpsc::channel(ANSWERS);
    // Dropped at the end, they end their tasks.
    let mut tasks = JoinSet::new();
    tasks.spawn(read(from, frames_in));
    tasks.spawn(write(to, answers_out));
    let hello = tokio::select! {
        frame = frames.recv() => frame,
        () = cancel.wait() => None,
    };
    // A program that cannot be run says nothing.
    let Some(hello) = hello else { return Ok(Counts::default()) };
    let program = match hello {
        Ok((hello @ Ask::Hello { .. }, ..)) => Arc::new(begin(hello)?),
        Ok(_) => return Err(misunderstood("it did not greet")),
        Err(error) => return Err(misunderstood(error)),
    };
    answers.send((Answer::Hello { protocol: PROTOCOL }, None)).await.ok();
    let mut session =
        Session { program, answers, calls: JoinSet::new(), under_way: FxHashMap::default(), failure: None };
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(Ok(frame)) => session.take(frame).await,
                // A program that was killed in the middle of a frame has gone like any other.
                Some(Err(FrameError::Io(_))) | None => break,
                Some(Err(error)) => session.failure = Some(misunderstood(error)),
            },
            Some(ended) = session.calls.join_next() => session.ended(ended.ok()),
            () = cancel.wait() => break,
        }
        if session.failure.is_some() {
            break;
        }
    }
    // Nobody takes answers any more; what waits to hand one over does so in vain.
    drop(tasks);
    session.end().await
}

struct Session {
    program: Arc<Program>,
    answers: mpsc::Sender<Reply>,
    /// Each says its number at its end, and what ends the launch.
    calls: JoinSet<(u64, Fallible<()>)>,
    under_way: FxHashMap<u64, Cancel>,
    failure: Option<Box<Failure>>,
}

impl Session {
    async fn take(&mut self, (ask, body, permit): Frame) {
        let taken = match ask {
            Ask::Hello { .. } => Err(misunderstood("it greeted twice")),
            Ask::Part { path } => self.program.part(path, body).await,
            Ask::Code { code } => self.program.code(code, body).await,
            Ask::Cancel { call } => {
                if let Some(cancel) = self.under_way.get(&call) {
                    cancel.set();
                }
                Ok(())
            }
            Ask::Call(call) => self.call(call, body, permit).await,
        };
        if let Err(failure) = taken {
            self.failure.get_or_insert(failure);
        }
    }

    /// Starts a call. Its arguments are in the larder before the next frame is looked at, and not in memory any more.
    async fn call(&mut self, call: Call, body: Vec<u8>, room: Option<OwnedSemaphorePermit>) -> Fallible<()> {
        let (number, cancel) = (call.call, Cancel::default());
        if self.under_way.insert(number, cancel.clone()).is_some() {
            return Err(misunderstood(format!("call {number} is there already")));
        }
        let arguments = self.program.content(body).await?;
        let (program, answers) = (Arc::clone(&self.program), self.answers.clone());
        self.calls.spawn(async move {
            let _room = room;
            let ended = match program.run(&call, arguments, &cancel).await {
                // Who takes no answer has gone.
                Ok(reply) => answers.send(reply).await.or(Ok(())),
                Err(failure) => Err(failure),
            };
            (number, ended)
        });
        Ok(())
    }

    fn ended(&mut self, ended: Option<(u64, Fallible<()>)>) {
        match ended {
            Some((number, ended)) => {
                self.under_way.remove(&number);
                if let Err(failure) = ended {
                    self.failure.get_or_insert(failure);
                }
            }
            None => {
                let failure = border::machine("a call ended in the middle: this is a fault of ours");
                self.failure.get_or_insert(Box::new(failure));
            }
        }
    }

    /// Cancels what is under way, and waits for it.
    async fn end(mut self) -> Fallible<Counts> {
        self.under_way.values().for_each(Cancel::set);
        while let Some(ended) = self.calls.join_next().await {
            self.ended(ended.ok());
        }
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.program.counts()),
        }
    }
}
