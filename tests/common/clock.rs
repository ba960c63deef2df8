//! Processes by another clock than the machine's: `libfaketime`, which tells them another time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library; none, with a printed reason, where it is not installed.
pub fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    let found =
        folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|library| library.exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "Debian's package `libfaketime` is missing");
        println!("skipped: Debian's package `libfaketime` is missing");
    }
    found
}

/// A clock that a test sets: who goes by it finds that so much time has gone by, and that it is so much later.
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// One that shows the machine's time; none where there is no library.
    pub fn new(folder: &Path) -> Option<Self> {
        let clock = Self { library: library()?, file: folder.join("clock") };
        clock.goes_ahead(0);
        Some(clock)
    }

    /// A command that goes by it.
    pub fn rules(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", &self.file);
        command.env("FAKETIME_NO_CACHE", "1").env("NO_FAKE_STAT", "1");
        command
    }

    /// Sets it so many seconds ahead of the machine's.
    pub fn goes_ahead(&self, seconds: u32) {
        let beside = self.file.with_extension("new");
        fs::write(&beside, format!("+{seconds}\n")).unwrap();
        fs::rename(&beside, &self.file).unwrap();
    }
}
