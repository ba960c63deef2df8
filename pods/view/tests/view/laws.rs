//! What every source keeps to, applied to the twin and to the host's tools.

use std::sync::Arc;

use protocol::{FileKind, Look, RelPath, Seen};
use view::{HostOptions, HostTools, MemorySource, NoMemo, Node, Source, see};

use crate::stage::path;

/// Walks some way into a source and checks every answer against the others.
async fn keeps_the_laws(source: &dyn Source, folders: usize) {
    assert_eq!(source.lookup(&RelPath::root()).await.unwrap(), Some(Node::Dir));
    let mut open = vec![RelPath::root()];
    let mut visited = 0;
    while let Some(folder) = open.pop() {
        visited += 1;
        if visited > folders {
            break;
        }
        let names = source.list(&folder).await.unwrap().expect("a folder can be listed");
        let mut sorted = names.clone();
        sorted.sort();
        sorted.dedup_by(|a, b| a.0 == b.0);
        assert_eq!(sorted.len(), names.len(), "each name once in {folder}");
        for (name, kind) in names.iter().take(20) {
            let child = folder.child(name).expect("a listed name is a name");
            let node = source.lookup(&child).await.unwrap().expect("what is listed is there");
            assert_eq!(node.kind(), *kind, "{child}");
            assert_eq!(source.lookup(&child).await.unwrap(), Some(node.clone()), "the same answer twice");
            check(source, &child, &node).await;
            if *kind == FileKind::Dir {
                open.push(child);
            }
        }
        let none = folder.child(b"no such name here").unwrap();
        for look in Look::ALL {
            assert_eq!(see(source, &none, look).await.unwrap(), Seen::Absent);
        }
        assert!(source.open(&none).await.unwrap().is_none());
        assert!(source.list(&none).await.unwrap().is_none());
    }
}

async fn check(source: &dyn Source, at: &RelPath, node: &Node) {
    let kind = Seen::Kind(node.kind());
    assert_eq!(see(source, at, Look::Kind).await.unwrap(), kind);
    let (probe, link, listing) = (
        see(source, at, Look::Probe).await.unwrap(),
        see(source, at, Look::Link).await.unwrap(),
        see(source, at, Look::Listing).await.unwrap(),
    );
    match node {
        Node::Dir => {
            assert_eq!((&probe, &link), (&kind, &kind));
            assert!(matches!(listing, Seen::Names(_)));
            assert_eq!(see(source, at, Look::Content).await.unwrap(), kind);
            assert!(source.open(at).await.unwrap().is_none());
        }
        Node::File { exec, size, .. } => {
            assert_eq!(probe, Seen::File { size: *size, exec: *exec });
            assert_eq!((&link, &listing), (&kind, &kind));
            assert!(source.list(at).await.unwrap().is_none());
            assert!(source.readlink(at).await.unwrap().is_none());
            if *size < 10_000 {
                let digest = source.digest(at).await.unwrap().expect("a file has a digest");
                assert_eq!(
                    see(source, at, Look::Content).await.unwrap(),
                    Seen::Content { digest, exec: *exec }
                );
            }
            let below = at.child(b"below").unwrap();
            assert!(source.lookup(&below).await.unwrap().is_none(), "nothing is below a file");
        }
        Node::Link { target } => {
            assert_eq!((&probe, &listing), (&kind, &kind));
            assert_eq!(link, Seen::Target(target.to_vec()));
            assert_eq!(source.readlink(at).await.unwrap().as_ref(), Some(target));
            let below = at.child(b"below").unwrap();
            assert!(source.lookup(&below).await.unwrap().is_none(), "links are not followed");
        }
    }
}

#[test]
fn memory_keeps_them() {
    let source = MemorySource::new();
    source.file(&path("a/b/c"), "1");
    source.program(&path("a/x"), "2");
    source.link(&path("l"), "a");
    source.dir(&path("e/f"));
    futures::executor::block_on(keeps_the_laws(&source, 100));
}

#[test]
fn host_tools_keep_them() {
    let tools = HostTools::new(HostOptions::default(), Arc::new(NoMemo)).unwrap();
    futures::executor::block_on(keeps_the_laws(&tools, 60));
}
