//! Where links of a project lead.

use protocol::{FileKind, RelPath};

use super::Snapshot;

/// As many links are followed as the kernel follows.
const MOST_LINKS: u32 = 40;

/// Whether a link at `path` with this target leaves the project, as far as the text tells: absolute, or more `..` than
/// there are folders. A folder on the way that is itself a link may lead elsewhere: [`Snapshot::escapes`] knows.
pub fn escapes(path: &RelPath, target: &[u8]) -> bool {
    let Some(parent) = path.parent() else { return true };
    if target.starts_with(b"/") {
        return true;
    }
    let mut depth = parent.parts().count();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

impl Snapshot {
    /// Whether the link at `path` leads out of the project when all links on the way are followed. What is no link, or
    /// leads nowhere or in circles, does not.
    pub fn escapes(&self, path: &RelPath) -> bool {
        let nodes = &self.0.nodes;
        let Some(link) = self.find(path).filter(|index| nodes.kind(*index) == FileKind::Link) else {
            return false;
        };
        let Some(mut at) = path.parent().map(|parent| parent.parts().map(<[u8]>::to_vec).collect::<Vec<_>>())
        else {
            return false;
        };
        let mut rest: Vec<Vec<u8>> = Vec::new();
        let mut target = nodes.target(link);
        for _ in 0..MOST_LINKS {
            if target.starts_with(b"/") {
                return true;
            }
            rest.extend(target.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
            loop {
                let Some(part) = rest.pop() else { return false };
                match &part[..] {
                    b"" | b"." => continue,
                    b".." if at.is_empty() => return true,
                    b".." => {
                        at.pop();
                        continue;
                    }
                    _ => at.push(part),
                }
                let found = RelPath::new(&at.join(&b'/')).ok().and_then(|path| self.find(&path));
                if let Some(next) = found.filter(|index| nodes.kind(*index) == FileKind::Link) {
                    at.pop();
                    target = nodes.target(next);
                    break;
                }
            }
        }
        false
    }
}
