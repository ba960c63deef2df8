//! Who reads: the command lines of a process and of those that it comes from, up to the step's first one.
//!
//! The process waits in its open while we look, so it is still what it was. A compiler's own children read what their driver was called for, and
//! are told apart by its words; those that name a file in `/tmp` are other ones each time, and do not count.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use protocol::Reader;
use rustix::fs::{Mode, OFlags, openat};

/// So many processes one comes from are looked at.
const MAX_ANCESTORS: usize = 64;

/// Who a process is, as `/proc` says. Not in a session thread: the kernel may want an answer of ours before it gives this one.
pub async fn reader(processes: Option<Arc<OwnedFd>>, pid: u32) -> Reader {
    let looking = tokio::task::spawn_blocking(move || told_apart(&*processes?, pid));
    looking.await.ok().flatten().unwrap_or(Reader::UNKNOWN)
}

fn read(processes: &OwnedFd, path: String) -> io::Result<Vec<u8>> {
    let file = openat(processes, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::new();
    File::from(file).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn told_apart(processes: &OwnedFd, mut pid: u32) -> Option<Reader> {
    let mut lines = Vec::new();
    for _ in 0..MAX_ANCESTORS {
        let status = String::from_utf8(read(processes, format!("{pid}/status")).ok()?).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let mut numbers = field("NSpid:")?.split_ascii_whitespace();
        // A step has its own process numbers, and 1 is who began it. Whoever has but one number is in none.
        match (numbers.next(), numbers.next_back()) {
            (Some(_), Some("1")) => return Some(Reader::of(&lines)),
            (Some(_), Some(_)) => {}
            _ => return None,
        }
        let line = read(processes, format!("{pid}/cmdline")).ok()?;
        let words =
            line.split(|byte| *byte == 0).filter(|word| !word.windows(5).any(|part| part == b"/tmp/"));
        words.for_each(|word| lines.extend(word.iter().chain([&0])));
        lines.push(b'\n');
        pid = field("PPid:")?.trim().parse().ok()?;
    }
    None
}
