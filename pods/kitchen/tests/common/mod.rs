//! A kitchen with a view of this machine, for tests and benchmarks.
#![allow(dead_code, reason = "each test program uses a part")]

mod loopback;

use std::path::Path;

use kitchen::{Ended, Engine, HowEnded, Kitchen, KitchenError, Line, Options, Order, Podman, ZygoteProgram};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// A kitchen, its folders, and what is at `/project`.
pub struct Fixture {
    pub kitchen: Kitchen,
    pub project: TempDir,
    pub home: TempDir,
    /// Whether roots are made before their steps are known.
    pub is_ahead: bool,
}

impl Fixture {
    pub async fn start(zygote: &str) -> Result<Self, KitchenError> {
        let (project, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let kitchen = start(zygote, home.path(), project.path()).await?;
        Ok(Self { kitchen, project, home, is_ahead: false })
    }

    /// Runs a shell script, and gives how it ended and all of its output.
    pub async fn sh(&self, script: &str) -> (Ended, String) {
        self.run(sh(script)).await
    }

    pub async fn run(&self, order: Order) -> (Ended, String) {
        let (sender, lines) = mpsc::channel(8);
        let prepared = self.is_ahead.then(|| self.kitchen.prepare(order.root).unwrap());
        let run = self.kitchen.run_in(prepared, order, sender, std::future::pending());
        let (ended, lines) = tokio::join!(run, collect(lines));
        (ended.unwrap(), lines)
    }

    /// Runs a shell script that must succeed, and gives its output without the last newline.
    pub async fn output(&self, script: &str) -> String {
        let (ended, output) = self.sh(script).await;
        assert_eq!(ended.how, HowEnded::Exit(0), "{script}: {output}");
        output.trim_end().to_owned()
    }
}

pub async fn start(zygote: &str, home: &Path, project: &Path) -> Result<Kitchen, KitchenError> {
    let zygote = ZygoteProgram { program: zygote.into(), arguments: vec![] };
    let (kitchen, fuse) =
        Kitchen::start(Options { zygote, engine: engine(home), scratch: home.join("scratch") }).await?;
    loopback::Loopback::serve(fuse.tools, Path::new("/"), true, kitchen.step_uid());
    loopback::Loopback::serve(fuse.project, project, false, kitchen.step_uid());
    Ok(kitchen)
}

/// What kitchens of this crate's tests run in: `COMPUTEPODS_SANDBOX=podman` for another pass over all of them.
pub fn engine(home: &Path) -> Engine {
    match std::env::var("COMPUTEPODS_SANDBOX").as_deref() {
        Ok("podman") => {
            let owner = home.file_name().unwrap().to_string_lossy().trim_matches('.').to_owned();
            Engine::Podman(Podman { owner, folder: home.join("container") })
        }
        _ => Engine::Native,
    }
}

pub fn sh(script: &str) -> Order {
    command(&["sh", "-c", script])
}

pub fn command(words: &[&str]) -> Order {
    let mut order = Order::new(1, vec![words.iter().map(|word| word.as_bytes().to_vec()).collect()]);
    order.env = vec![(b"PATH".to_vec(), protocol::step::PATH.into())];
    order
}

pub async fn collect(mut lines: mpsc::Receiver<Line>) -> String {
    let mut all = Vec::new();
    while let Some(line) = lines.recv().await {
        all.extend(line.bytes);
    }
    String::from_utf8(all).unwrap()
}
