//! Diagnostics: on stderr where somebody asks for them, and in the home of a pod that stands.
//!
//! The file is bounded: at [`MAX_BYTES`] it becomes the older one, in place of that which was. A crash may lose its last line. What cannot be
//! written is lost: no pod ends because its log is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How large the file gets before it becomes the older one.
pub const MAX_BYTES: u64 = 1 << 20;
/// What is kept where nobody says.
const USUAL: &str = "info,libp2p=warn,async_nats=warn";
const FOLDER: &str = "log";

/// The file of this process, once it stands.
static FILE: OnceLock<Mutex<LogFile>> = OnceLock::new();

/// A home's log files, the older one first; either may be missing.
pub fn files(home: &Path) -> [PathBuf; 2] {
    ["pod.log.1", "pod.log"].map(|name| home.join(FOLDER).join(name))
}

/// Starts diagnostics. `stderr`: they are said there as well, with colour or without.
///
/// # Errors
/// The filter is none, or they were started before.
pub fn start(filter: &str, stderr: Option<bool>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let talk = stderr.map(|color| tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(color));
    let file = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| ToFile);
    let filter = EnvFilter::try_new(filter)?;
    Ok(tracing_subscriber::registry().with(filter).with(talk).with(file).try_init()?)
}

/// From here on what this process has to say is kept in the home.
///
/// # Errors
/// The file cannot be opened.
pub fn keep(home: &Path) -> io::Result<()> {
    let [older, path] = files(home);
    fs::create_dir_all(home.join(FOLDER))?;
    if FILE.set(Mutex::new(LogFile::open(path, older, MAX_BYTES)?)).is_ok() {
        // If it was started before, somebody has said what is wanted.
        start(USUAL, None).ok();
    }
    Ok(())
}

struct LogFile {
    path: PathBuf,
    older: PathBuf,
    file: File,
    bytes: u64,
    most: u64,
}

impl LogFile {
    fn open(path: PathBuf, older: PathBuf, most: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path, older, file, bytes, most })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.bytes + line.len() as u64 > self.most {
            fs::rename(&self.path, &self.older)?;
            *self = Self::open(self.path.clone(), self.older.clone(), self.most)?;
        }
        self.file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

/// Lines for the file, if there is one.
struct ToFile;

impl Write for ToFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(file) = FILE.get() {
            file.lock().write(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_are_all_that_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let [older, path] = ["older", "log"].map(|name| home.path().join(name));
        let mut log = LogFile::open(path.clone(), older.clone(), 30).unwrap();
        for number in 0..100 {
            log.write(format!("line {number:02}\n").as_bytes()).unwrap();
        }
        drop(log);
        let text = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(text(&older), "line 96\nline 97\nline 98\n");
        assert_eq!(text(&path), "line 99\n");
        let mut log = LogFile::open(path.clone(), older, 30).unwrap();
        log.write(b"again\n").unwrap();
        assert_eq!(text(&path), "line 99\nagain\n");
    }
}
