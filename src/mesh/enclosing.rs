//! What the last report of a run encloses: the small objects that its end names, so that whoever asked need not fetch them.
//!
//! Errors of the larder leave an object out: it is fetched then, and whoever gives it says what is wrong.

use larder::Store;
use protocol::mesh::run::{Enclosed, MAX_ENCLOSED, RunEnd, RunFailure};
use protocol::{ObjectId, ObjectKind, Trace};

/// The objects that an end names, the trace before what it names, as far as they fit.
pub(super) fn enclosed(larder: &dyn Store, end: &RunEnd) -> Vec<Enclosed> {
    let mut packet = Packet { larder, objects: Vec::new(), room: MAX_ENCLOSED };
    match end {
        RunEnd::Made { trace, path_set } => {
            let trace = packet.enclose(ObjectId { kind: ObjectKind::Trace, digest: *trace });
            packet.enclose(ObjectId { kind: ObjectKind::PathSet, digest: *path_set });
            if let Some(Ok(trace)) = trace.map(|at| Trace::decode(&packet.objects[at].bytes)) {
                packet.enclose(ObjectId { kind: ObjectKind::Tree, digest: trace.outputs });
                trace.printed.map(|printed| packet.enclose(ObjectId::blob(printed)));
            }
        }
        RunEnd::Failed(RunFailure { saw: Some(saw), path_set: Some(path_set), .. }) => {
            packet.enclose(ObjectId::blob(*saw));
            packet.enclose(ObjectId { kind: ObjectKind::PathSet, digest: *path_set });
        }
        _ => {}
    }
    packet.objects
}

struct Packet<'a> {
    larder: &'a dyn Store,
    objects: Vec<Enclosed>,
    /// Bytes that still fit.
    room: usize,
}

impl Packet<'_> {
    /// Puts an object in, if it is there and fits: its place.
    fn enclose(&mut self, ObjectId { kind, digest }: ObjectId) -> Option<usize> {
        let size = self.larder.size_of(&digest).ok()??;
        let room = self.room.checked_sub(usize::try_from(size).ok()?)?;
        let bytes = self.larder.get(kind, &digest).ok()??.to_vec();
        self.room = room;
        self.objects.push(Enclosed { kind, bytes });
        Some(self.objects.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use larder::MemoryLarder;
    use protocol::{Digest, PathSet, Tree, TreeEntry};

    use super::*;

    /// What is enclosed of a run that printed so many bytes and made one file.
    fn of_run(printed: usize) -> (Vec<ObjectId>, [ObjectId; 4]) {
        let larder = MemoryLarder::default();
        let (set, blob) = (PathSet::default(), Digest::of(b"made"));
        let file = TreeEntry::File { digest: blob, size: 4, exec: false };
        let tree = Tree::new(vec![("out".parse().unwrap(), file)]).unwrap();
        let printed = larder.put(ObjectKind::Blob, &vec![b'p'; printed]).unwrap();
        let trace = Trace {
            weak: Digest::of(b"weak"),
            path_set: set.digest(),
            seen: Vec::new(),
            raw: Vec::new(),
            readings: Vec::new(),
            outputs: larder.put(ObjectKind::Tree, &tree.encode()).unwrap(),
            printed: Some(printed),
            millis: 1,
        };
        let path_set = larder.put(ObjectKind::PathSet, &set.encode()).unwrap();
        let digest = larder.put(ObjectKind::Trace, &trace.encode()).unwrap();
        let objects = enclosed(&larder, &RunEnd::Made { trace: digest, path_set });
        let named = [
            ObjectId { kind: ObjectKind::Trace, digest },
            ObjectId { kind: ObjectKind::PathSet, digest: path_set },
            ObjectId { kind: ObjectKind::Tree, digest: trace.outputs },
            ObjectId::blob(printed),
        ];
        (objects.iter().map(Enclosed::id).collect(), named)
    }

    #[test]
    fn all_that_an_end_names_comes_along_and_no_content() {
        let (objects, named) = of_run(100);
        assert_eq!(objects, named);
    }

    #[test]
    fn what_is_too_large_does_not_come_along() {
        let (objects, named) = of_run(MAX_ENCLOSED);
        assert_eq!(objects, named[..3]);
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let larder = MemoryLarder::default();
        let gone = Digest::of(b"gone");
        assert_eq!(enclosed(&larder, &RunEnd::Made { trace: gone, path_set: gone }), []);
        assert_eq!(enclosed(&larder, &RunEnd::Cancelled), []);
    }
}
