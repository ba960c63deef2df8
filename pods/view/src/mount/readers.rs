//! Who reads: the command lines of a process and of those that it comes from, up to the step's first one.
//!
//! The process waits in its open while we look, so it is still what it was. A compiler's own children read what their driver was called for, and
//! are told apart by its words; those that name a file in `/tmp` are other ones each time, and do not count.

use std::fs;

use protocol::Reader;

/// So many processes one comes from are looked at.
const MAX_ANCESTORS: usize = 64;

/// Who this process is, as this process's own `/proc` says. Not in a session thread: the kernel may want an answer of ours before it gives this one.
pub async fn reader(pid: u32) -> Reader {
    let looking = tokio::task::spawn_blocking(move || told_apart(pid));
    looking.await.ok().flatten().unwrap_or(Reader::UNKNOWN)
}

fn told_apart(mut pid: u32) -> Option<Reader> {
    let mut lines = Vec::new();
    for _ in 0..MAX_ANCESTORS {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let mut numbers = field("NSpid:")?.split_ascii_whitespace();
        // A step has its own process numbers, and 1 is who began it. Whoever has but one number is in none.
        match (numbers.next(), numbers.next_back()) {
            (Some(_), Some("1")) => return Some(Reader::of(&lines)),
            (Some(_), Some(_)) => {}
            _ => return None,
        }
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words =
            line.split(|byte| *byte == 0).filter(|word| !word.windows(5).any(|part| part == b"/tmp/"));
        words.for_each(|word| lines.extend(word.iter().chain([&0])));
        lines.push(b'\n');
        pid = field("PPid:")?.trim().parse().ok()?;
    }
    None
}
