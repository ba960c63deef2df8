//! Programs of functions: the majordomo's side of `majordomo launch`.
//!
//! Actors. The client starts the program, on the caller's side, and hands it one end of a socket that this side has made
//! ([`Door`]); the program's calls come in there as frames ([`frames`]) and go back as answers ([`talk`]). Each call is a step
//! ([`calls`], [`attempt`]): it sees the program's folder ([`folder`]), our package ([`package`]), its arguments – all of them
//! content of the larder – and the machine's tools; it runs in the kitchen, and what it saw makes the key of a cached result.
//! Lines that calls print travel to the client, not to the program.
//!
//! Errors: how a call fails is its answer; [`Failure`] is what ends the launch, since nobody could run another call either. When the
//! program goes, or the client, all its calls are cancelled. A crash loses the calls that ran; results of cached ones that
//! had ended are in the larder.
//!
//! Not here: what Python does, on either side (`chefs/python`).

mod attempt;
mod calls;

mod folder;
mod frames;
mod package;
mod talk;

use std::path::PathBuf;

use node::Pod;

use self::calls::Program;
use super::border;
use super::door::Door;
use super::request::{Failure, LaunchNews, Reply, Sandbox};
use super::sink::{Cancel, Sink};

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The folder that calls see.
    pub folder: PathBuf,
    /// Calls that run at once.
    pub jobs: Option<usize>,
    /// In what they run; `None`: as the pod says.
    pub sandbox: Option<Sandbox>,
}

type Fallible<T> = Result<T, Box<Failure>>;

/// Runs the calls of a program until it, or the client, has gone.
pub async fn launch(pod: &Pod, asked: Asked, sink: &Sink, cancel: &Cancel) -> Fallible<()> {
    let home = pod.home().path().to_owned();
    let package = package::written(&home).map_err(|error| {
        let mut failure = border::machine("our Python package cannot be written into the home");
        failure.causes.push(error.to_string());
        Box::new(failure)
    })?;
    let door = Door::open(&home).map_err(|error| {
        let mut failure = border::machine("no socket can be made for the program");
        failure.causes.push(error.to_string());
        Box::new(failure)
    })?;
    sink.reply(Reply::Launch(LaunchNews::Ready { socket: door.path().to_owned(), package }));
    // The program needs a while to start; so does the kitchen.
    let sandbox = asked.sandbox.map_or_else(|| pod.sandbox(), Into::into);
    let warm = async { pod.warm_up(sandbox).await.map_err(|error| Box::new(border::node(&error))) };
    let stream = tokio::select! {
        both = async { tokio::join!(warm, door.enter()) } => match both {
            (Err(failure), _) => return Err(failure),
            (Ok(()), stream) => stream,
        },
        () = cancel.wait() => return Ok(()),
    };
    let stream = stream.map_err(|error| {
        let mut failure = border::machine("the program could not be let in");
        failure.causes.push(error.to_string());
        Box::new(failure)
    })?;
    let counts = talk::talk(stream, |hello| Program::new(pod, &asked, hello, sink), cancel).await?;
    sink.reply(Reply::Launch(LaunchNews::Ended {
        ran: counts.ran,
        reused: counts.reused,
        failed: counts.failed,
    }));
    Ok(())
}
