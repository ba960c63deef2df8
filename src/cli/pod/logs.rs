//! `pod logs`.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::{border, place};
use crate::logs::files;
use crate::majordomo::request::{Failure, FailureKind};

/// How often a log that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Show what the pod of this home has said and noted, from the oldest line that is kept on
///
/// Two files of 1 MiB are kept in the home, `log/pod.log` and an older one. A pod inside of a `majordomo` keeps no log.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Go on with what comes, until it is interrupted
    #[arg(short, long)]
    follow: bool,
    /// Write an array of lines as JSON
    #[arg(long, conflicts_with = "follow")]
    json: bool,
}

fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    let what = format!("cannot read `{}`", path.display());
    move |error| border::because(FailureKind::Machine, &what, &error)
}

impl LogsArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let home = place::home(context.home.as_deref(), &context.env, context.cwd.as_deref().ok())?;
        let [older, path] = files(&home);
        let mut text = Vec::new();
        let mut followed = Followed { path, file: None };
        match fs::read(&older) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(unreadable(&older)(error)),
            older => text.extend(older.unwrap_or_default()),
        }
        followed.rest(&mut text)?;
        if text.is_empty() && !self.follow {
            let message = format!("no pod has kept a log in `{}`", home.display());
            return Err(border::mistake(message).hint("one that stands does: `pod`, or `pod join`"));
        }
        if self.json {
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            let json = serde_json::to_string_pretty(&lines).map_err(|error| {
                border::because(FailureKind::Machine, "could not write the log as JSON", &error)
            })?;
            context.print(&format!("{json}\n"))?;
            return Ok(Exit::Done);
        }
        if self.follow {
            context.arm()?;
        }
        loop {
            context.print(&String::from_utf8_lossy(&text))?;
            if !self.follow || context.interrupt.cause().is_some() {
                return Ok(Exit::Done);
            }
            std::thread::sleep(LOOK_EVERY);
            text.clear();
            followed.rest(&mut text)?;
        }
    }
}

/// A file that grows, and is another one at times.
struct Followed {
    path: PathBuf,
    file: Option<File>,
}

impl Followed {
    /// What has come since the last time.
    fn rest(&mut self, text: &mut Vec<u8>) -> Result<(), Failure> {
        let failed = unreadable(&self.path);
        if let Some(file) = &mut self.file {
            file.read_to_end(text).map_err(&failed)?;
        }
        let number = |file: &File| file.metadata().map(|meta| meta.ino()).map_err(&failed);
        let there = match File::open(&self.path) {
            Ok(there) => there,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let is_other = match &self.file {
            Some(file) => number(file)? != number(&there)?,
            None => true,
        };
        if is_other {
            self.file.insert(there).read_to_end(text).map_err(&failed)?;
        }
        Ok(())
    }
}
