//! Host tools over a folder that stands for a host: what is shown, and when a change is noticed.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use protocol::{Digest, FileKind, Look, RelPath, Seen, Stamp};
use rustc_hash::FxHashMap;
use view::{DigestMemo, HostOptions, HostTools, NoMemo, Node, Source, SourceError, now_ns, see};

use crate::stage::path;

#[derive(Default)]
struct Memo(Mutex<FxHashMap<Stamp, Digest>>);

impl DigestMemo for Memo {
    fn known(&self, stamp: &Stamp) -> Option<Digest> {
        self.0.lock().get(stamp).copied()
    }

    fn remember(&self, stamp: &Stamp, digest: &Digest) {
        self.0.lock().insert(*stamp, *digest);
    }
}

struct Host {
    base: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { base: tempfile::tempdir().unwrap() };
        fs::set_permissions(host.base.path(), fs::Permissions::from_mode(0o755)).unwrap();
        host.put("usr/bin/cc", "#!", 0o755);
        host.put("usr/include/a.h", "a", 0o644);
        host.put("usr/secret", "s", 0o640);
        host.put("etc/shadow", "s", 0o644);
        host.put("etc/ld.so.conf", "/lib", 0o644);
        host.put("etc/ssl/certs/ca.pem", "c", 0o644);
        host.put("root/rust/stable/bin/rustc", "#!", 0o755);
        host.put("root/rust/other/bin/rustc", "#!", 0o755);
        host.put("usr/closed/file", "x", 0o644);
        fs::set_permissions(host.at("usr/closed"), fs::Permissions::from_mode(0o750)).unwrap();
        fs::set_permissions(host.at("root"), fs::Permissions::from_mode(0o700)).unwrap();
        symlink("usr/bin", host.at("bin")).unwrap();
        host
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.base.path().join(name)
    }

    fn put(&self, name: &str, text: &str, mode: u32) {
        let at = self.at(name);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(&at, text).unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn tools(&self, memo: Arc<dyn DigestMemo>) -> HostTools {
        let extra_roots = vec![path("root/rust/stable")];
        let options =
            HostOptions { base: self.base.path().into(), extra_roots, hidden: vec![path("usr/pod")] };
        HostTools::new(options, memo).unwrap()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

fn seen(tools: &HostTools, name: &str, look: Look) -> Seen {
    block_on(see(tools, &RelPath::new(name.as_bytes()).unwrap(), look)).unwrap()
}

fn names(tools: &HostTools, name: &str) -> Vec<String> {
    let listed = block_on(tools.list(&RelPath::new(name.as_bytes()).unwrap())).unwrap().unwrap();
    listed.into_iter().map(|(name, _)| String::from_utf8(name.into()).unwrap()).collect()
}

/// Makes a file so young that its stamp is not believed for a while, however slow the machine is.
fn make_young(file: &Path) {
    let soon = SystemTime::now() + Duration::from_millis(1_500);
    File::options().write(true).open(file).unwrap().set_modified(soon).unwrap();
}

/// Waits until a file is so old that its stamp is believed.
fn wait_until_settled(file: &Path) {
    while !Stamp::from(&fs::symlink_metadata(file).unwrap()).is_settled_by_wall_clock(now_ns()) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn only_what_all_may_read_is_shown() {
    let host = Host::new();
    let tools = host.tools(Arc::new(NoMemo));
    for absent in
        ["usr/secret", "usr/closed", "usr/closed/file", "etc/shadow", "root/rust/other", "run", "bin/cc"]
    {
        assert_eq!(seen(&tools, absent, Look::Probe), Seen::Absent, "{absent}");
    }
    assert_eq!(names(&tools, "usr"), ["bin", "include"]);
    assert_eq!(names(&tools, "root"), ["rust"]);
    assert_eq!(names(&tools, "root/rust"), ["stable"]);
    assert_eq!(
        names(&tools, ""),
        ["bin", "dev", "etc", "home", "proc", "project", "root", "tmp", "usr", "var"]
    );
    let etc = names(&tools, "etc");
    assert!(etc.contains(&"ld.so.conf".to_owned()) && etc.contains(&"passwd".to_owned()), "{etc:?}");
    assert!(!etc.contains(&"shadow".to_owned()));
    assert_eq!(names(&tools, "home"), ["build"]);
    assert_eq!(seen(&tools, "bin", Look::Link), Seen::Target(b"usr/bin".to_vec()));
    assert_eq!(seen(&tools, "usr/bin/cc", Look::Probe), Seen::File { size: 2, exec: true });
    assert_eq!(seen(&tools, "etc/ssl/certs/ca.pem", Look::Probe), Seen::File { size: 1, exec: false });
    assert_eq!(seen(&tools, "usr", Look::Content), Seen::Kind(FileKind::Dir));
    assert_eq!(seen(&tools, "bin", Look::Listing), Seen::Kind(FileKind::Link));
    assert_eq!(
        seen(&tools, "usr/include/a.h", Look::Content),
        Seen::Content { digest: Digest::of(b"a"), exec: false }
    );
}

#[test]
fn a_generation_keeps_to_what_it_said_and_tells_what_changed() {
    let host = Host::new();
    let tools = host.tools(Arc::new(NoMemo));
    let looks = [
        ("usr", Look::Listing),
        ("usr/bin/cc", Look::Content),
        ("usr/include/a.h", Look::Probe),
        ("usr/include/none.h", Look::Probe),
        ("bin", Look::Link),
        ("etc", Look::Listing),
        ("etc/passwd", Look::Content),
        ("usr/secret", Look::Content),
    ];
    let before: Vec<Seen> = looks.iter().map(|(name, look)| seen(&tools, name, *look)).collect();
    let observed: Vec<(RelPath, Look)> = looks.iter().map(|(name, look)| (path(name), *look)).collect();
    let verify = || {
        let changed = tools.verify(observed.iter().map(|(path, look)| (path, *look)));
        changed.into_iter().map(|path| path.to_string()).collect::<Vec<_>>()
    };
    assert!(verify().is_empty(), "{:?}", verify());

    fs::write(host.at("usr/bin/cc"), "##").unwrap();
    assert_eq!(verify(), ["usr/bin/cc"], "same length, and perhaps the same stamp");
    fs::write(host.at("usr/include/a.h"), "b").unwrap();
    assert_eq!(verify(), ["usr/bin/cc"], "a probe sees no bytes");
    host.put("usr/include/none.h", "n", 0o600);
    assert_eq!(verify(), ["usr/bin/cc"], "not readable for all is as good as absent");
    host.put("usr/include/none.h", "n", 0o644);
    host.put("usr/new", "n", 0o644);
    host.put("etc/localtime", "n", 0o644);
    fs::remove_file(host.at("bin")).unwrap();
    assert_eq!(verify(), ["bin", "etc", "usr", "usr/bin/cc", "usr/include/none.h"]);

    let after: Vec<Seen> = looks.iter().map(|(name, look)| seen(&tools, name, *look)).collect();
    assert_eq!(before, after);
    let open = block_on(tools.open(&path("usr/bin/cc")));
    assert!(matches!(open, Err(SourceError::Changed { .. })) || open.is_ok(), "{open:?}");
}

#[test]
fn generations_share_inodes_of_what_did_not_change() {
    let host = Host::new();
    let shared = |tools: &HostTools, name: &str| match block_on(tools.lookup(&path(name))).unwrap() {
        Some(Node::File { shared, .. }) => shared,
        other => panic!("{other:?}"),
    };
    make_young(&host.at("usr/bin/cc"));
    let young = host.tools(Arc::new(NoMemo));
    assert_eq!(shared(&young, "usr/bin/cc"), None, "it may still change under the same stamp");
    wait_until_settled(&host.at("usr/bin/cc"));
    let (first, second) = (host.tools(Arc::new(NoMemo)), host.tools(Arc::new(NoMemo)));
    assert!(shared(&first, "usr/bin/cc").is_some());
    assert_eq!(shared(&first, "usr/bin/cc"), shared(&second, "usr/bin/cc"));
    assert_ne!(shared(&first, "usr/bin/cc"), shared(&first, "usr/include/a.h"));
    fs::set_permissions(host.at("usr/bin/cc"), fs::Permissions::from_mode(0o644)).unwrap();
    wait_until_settled(&host.at("usr/bin/cc"));
    assert_ne!(shared(&first, "usr/bin/cc"), shared(&host.tools(Arc::new(NoMemo)), "usr/bin/cc"));
}

#[test]
fn digests_are_remembered_by_stamp_unless_racy() {
    let host = Host::new();
    let memo = Arc::new(Memo::default());
    make_young(&host.at("usr/bin/cc"));
    seen(&host.tools(memo.clone()), "usr/bin/cc", Look::Content);
    assert!(memo.0.lock().is_empty(), "written just now");
    wait_until_settled(&host.at("usr/bin/cc"));
    let first = seen(&host.tools(memo.clone()), "usr/bin/cc", Look::Content);
    assert_eq!(memo.0.lock().len(), 1);
    for digest in memo.0.lock().values_mut() {
        *digest = Digest::of(b"from the memo");
    }
    let second = seen(&host.tools(memo), "usr/bin/cc", Look::Content);
    assert_ne!(first, second);
    assert_eq!(second, Seen::Content { digest: Digest::of(b"from the memo"), exec: true });
}

#[test]
fn a_file_that_changes_before_it_is_opened_is_told() {
    let host = Host::new();
    let tools = host.tools(Arc::new(NoMemo));
    assert!(matches!(block_on(tools.lookup(&path("usr/bin/cc"))), Ok(Some(Node::File { .. }))));
    host.put("usr/bin/cc", "longer", 0o755);
    for changed in [
        block_on(tools.open(&path("usr/bin/cc"))).map(|_| ()),
        block_on(tools.digest(&path("usr/bin/cc"))).map(|_| ()),
    ] {
        assert!(
            matches!(&changed, Err(SourceError::Changed { path: at }) if *at == path("usr/bin/cc")),
            "{changed:?}"
        );
    }
}

#[test]
fn verifying_costs_about_a_stat() {
    if !Path::new("/usr/bin").is_dir() {
        return;
    }
    let tools = HostTools::new(HostOptions::default(), Arc::new(NoMemo)).unwrap();
    let listed = block_on(tools.list(&path("usr/bin"))).unwrap().unwrap();
    let looks: Vec<_> =
        listed.iter().filter_map(|(name, _)| Some((path("usr/bin").child(name)?, Look::Probe))).collect();
    for (path, _) in &looks {
        block_on(tools.lookup(path)).unwrap();
    }
    let begun = SystemTime::now();
    let changed = tools.verify(looks.iter().map(|(path, look)| (path, *look)));
    let each = begun.elapsed().unwrap().as_nanos() / looks.len().max(1) as u128;
    assert!(changed.is_empty());
    println!("verify: {each} ns for each of {} paths", looks.len());
}
