use std::path::Path;

use larder::{Larder, ObjectKind};
use protocol::{Keep, Trace, Tree, TreeEntry, WorkspaceId};
use tokio::runtime::{Builder, Runtime};
use view::{HostOptions, HostTools, NoMemo};

use super::*;
use crate::{Entry, Evaluator, Names, OutputsBuilder, SourceFiles, Sources, Verdict};

struct NoSources;

impl Sources for NoSources {
    fn get(&self, path: &RelPath) -> Option<Entry> {
        path.is_root().then_some(Entry::Dir)
    }

    fn list(&self, path: &RelPath) -> Option<Names> {
        path.is_root().then(Vec::new)
    }
}

/// A larder, and a host of which nothing is seen but what is written to it.
struct Kitchen {
    dir: tempfile::TempDir,
    larder: Larder,
    runtime: Runtime,
}

fn spec(projections: &[(&str, &str)], normalisers: &[(&str, &str)]) -> StepSpec {
    let lensed = |glob: &str, text: &str, id| Lensed { glob: glob.into(), lens: text.into(), id };
    StepSpec {
        commands: vec![vec![b"true".to_vec()]],
        cwd: RelPath::root(),
        env: vec![],
        out: vec![],
        keep: Keep::Nothing,
        network: false,
        declared_in: vec![],
        projections: projections
            .iter()
            .map(|(glob, text)| lensed(glob, text, lens::builtin().projection(text).unwrap().id().digest()))
            .collect(),
        normalisers: normalisers
            .iter()
            .map(|(glob, text)| lensed(glob, text, lens::builtin().normaliser(text).unwrap().id().digest()))
            .collect(),
    }
}

impl Kitchen {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let larder = Larder::open(&dir.path().join("larder"), larder::Options::default()).unwrap();
        std::fs::create_dir_all(dir.path().join("host/etc")).unwrap();
        std::fs::create_dir_all(dir.path().join("host/usr/lib")).unwrap();
        Self { dir, larder, runtime: Builder::new_current_thread().build().unwrap() }
    }

    fn host(&self) -> std::path::PathBuf {
        self.dir.path().join("host")
    }

    fn tools(&self) -> Arc<HostTools> {
        let options = HostOptions { base: self.host(), ..HostOptions::default() };
        Arc::new(HostTools::new(options, Arc::new(NoMemo)).unwrap())
    }

    /// A project of these files, seen by a step.
    fn project(&self, spec: &StepSpec, files: &[(&str, &str)]) -> Project {
        let entries = files.iter().map(|(path, text)| {
            let digest = self.larder.put(ObjectKind::Blob, text.as_bytes()).unwrap();
            (path.parse().unwrap(), TreeEntry::File { digest, size: text.len() as u64, exec: false })
        });
        let mut outputs = OutputsBuilder::default();
        outputs.apply(&Tree::new(entries.collect()).unwrap());
        let project = Path::new(self.dir.path());
        let files = SourceFiles::new(project, self.larder.clone(), self.runtime.handle().clone()).unwrap();
        Project::new(Arc::new(NoSources), Arc::new(files), outputs.finish()).seen_by(spec)
    }

    /// The trace of a run over a project, as the pod makes it.
    fn trace(&self, spec: &StepSpec, project: &Project, looks: &[(&str, Look)]) -> (Trace, PathSet) {
        let looks = looks.iter().map(|(path, look)| (path.parse().unwrap(), *look));
        let counted = Counted::new(project.lenses(), looks);
        let tools = self.tools();
        let (seen, raw) = self.runtime.block_on(crate::run::observe(&counted, project, &tools)).unwrap();
        let (weak, path_set) = (spec.weak_key(), counted.set.digest());
        let outputs = Tree::default().digest();
        (Trace { weak, path_set, seen, raw, outputs, printed: None, millis: 1 }, counted.set)
    }

    fn evaluator(&self) -> Evaluator {
        Evaluator::new(self.larder.clone(), self.tools())
    }

    fn hits(&self, spec: &StepSpec, project: &Project) -> bool {
        let (evaluator, ours) = (self.evaluator(), WorkspaceId::from_random(1));
        let verdict = self.runtime.block_on(evaluator.look_up(&spec.weak_key(), project, ours)).unwrap();
        matches!(verdict, Verdict::Hit { .. })
    }
}

const AUX: &str = "\\relax\n\\citation{knuth}\n\\@writefile{toc}{page 3}\n";

#[test]
fn a_change_beside_the_part_that_matters_is_none_and_is_told() {
    let kitchen = Kitchen::new();
    let bibtex = spec(&[("*.aux", "bibtex-aux"), ("*.log", "ignore")], &[]);
    let looks = [
        ("project/a.aux", Look::Content),
        ("project/a.aux", Look::Probe),
        ("project/a.log", Look::Content),
        ("project/b.log", Look::Probe),
        ("project/a.bib", Look::Content),
    ];
    let files = |aux, log, bib| [("a.aux", aux), ("a.log", log), ("b.log", log), ("a.bib", bib)];
    let before = kitchen.project(&bibtex, &files(AUX, "log 1", "bib"));
    let (trace, set) = kitchen.trace(&bibtex, &before, &looks);
    let shown: Vec<String> = trace
        .observations(&set)
        .unwrap()
        .map(|(path, look, seen)| format!("{path} {} {seen}", look.word()))
        .collect();
    let part = Digest::in_context(protocol::digest::context::PROJECTED, b"\\citation{knuth}\n");
    let wanted = [
        "project/a.aux kind file".to_owned(),
        format!("project/a.aux content {}", part.short()),
        format!("project/a.bib content {}", Digest::of(b"bib").short()),
        "project/a.log kind file".to_owned(),
        "project/b.log kind file".to_owned(),
    ];
    assert_eq!(shown, wanted);
    // Of what was read, and not all of which matters.
    assert_eq!(trace.raw, [(1, Digest::of(AUX.as_bytes())), (3, Digest::of(b"log 1"))]);

    kitchen.larder.add_trace(&trace, &set, WorkspaceId::from_random(1)).unwrap();
    let moved = AUX.replace("page 3", "page 17");
    let after = kitchen.project(&bibtex, &files(&moved, "another log", "bib"));
    assert!(kitchen.hits(&bibtex, &after));
    let evaluator = kitchen.evaluator();
    let hidden = kitchen.runtime.block_on(evaluator.hidden(&trace, &set, &after, 9)).unwrap();
    let told: Vec<String> = hidden
        .iter()
        .map(|hidden| format!("{} {} {}", hidden.path, hidden.by.join(" "), hidden.now.short()))
        .collect();
    let wanted = [
        format!("project/a.aux bibtex-aux {}", Digest::of(moved.as_bytes()).short()),
        format!("project/a.log ignore {}", Digest::of(b"another log").short()),
    ];
    assert_eq!(told, wanted);
    assert_eq!(kitchen.runtime.block_on(evaluator.hidden(&trace, &set, &before, 9)).unwrap(), []);

    let cited = AUX.replace("knuth", "lamport");
    assert!(!kitchen.hits(&bibtex, &kitchen.project(&bibtex, &files(&cited, "log 1", "bib"))));
    assert!(!kitchen.hits(&bibtex, &kitchen.project(&bibtex, &files(AUX, "log 1", "another bib"))));
    let gone = [("a.aux", AUX), ("b.log", ""), ("a.bib", "bib")];
    assert!(!kitchen.hits(&bibtex, &kitchen.project(&bibtex, &gone)), "that it is there still matters");
    // Nothing of this is for a step without the projections.
    assert!(!kitchen.hits(&spec(&[], &[]), &kitchen.project(&spec(&[], &[]), &files(AUX, "log 1", "bib"))));
}

#[test]
fn several_projections_of_one_file_add_up() {
    let kitchen = Kitchen::new();
    let both = spec(&[("c.toml", "toml:a"), ("*.toml", "toml:b"), ("c.*", "ignore")], &[]);
    let looks = [("project/c.toml", Look::Content)];
    let seen = |text| kitchen.trace(&both, &kitchen.project(&both, &[("c.toml", text)]), &looks).0.seen;
    assert_eq!(seen("a = 1\nb = 2\n"), seen("b = 2\nz = 3\na = 1\n"));
    assert_ne!(seen("a = 1\nb = 2\n"), seen("a = 2\nb = 2\n"));
    assert_ne!(seen("a = 1\nb = 2\n"), seen("a = 1\nb = 3\n"));
    let broken = Seen::Content { digest: Digest::of(b"a = "), exec: false };
    assert_eq!(seen("a = "), [broken]);
}

#[test]
fn long_files_are_projected_too() {
    let kitchen = Kitchen::new();
    let json = spec(&[("*", "json:v")], &[]);
    let text = |v: u32, padding: usize| format!("{{\"v\": {v}, \"padding\": \"{}\"}}", "x".repeat(padding));
    let seen = |text: String| {
        kitchen.trace(&json, &kitchen.project(&json, &[("f", &text)]), &[("project/f", Look::Content)]).0.seen
    };
    assert_eq!(seen(text(1, 2 * ELSEWHERE)), seen(text(1, 3 * ELSEWHERE)));
    assert_ne!(seen(text(1, 2 * ELSEWHERE)), seen(text(2, 2 * ELSEWHERE)));
}

#[test]
fn unknown_lenses_are_named() {
    let mut other = spec(&[("*", "pdf")], &[]);
    assert_eq!(Lenses::of(&other).missing(), None);
    other.projections[0].id = Digest::of(b"a newer version");
    assert_eq!(Lenses::of(&other).missing(), Some("pdf"));
    let mut unknown = spec(&[], &[("*", "pdf")]);
    unknown.normalisers[0].lens = "dvi".to_owned();
    assert_eq!(Lenses::of(&unknown).missing(), Some("dvi"));
}

/// A cache as glibc writes it, of libraries in `/usr/lib`.
fn ld_cache_of(names: &[&str]) -> Vec<u8> {
    let mut strings: Vec<u8> = Vec::new();
    let base = 48 + 24 * names.len();
    let mut bytes = b"glibc-ld.so.cache1.1".to_vec();
    bytes.extend((names.len() as u32).to_le_bytes());
    bytes.resize(48, 0);
    for name in names {
        bytes.extend(0x303u32.to_le_bytes());
        for text in [(*name).to_owned(), format!("/usr/lib/{name}")] {
            bytes.extend(((base + strings.len()) as u32).to_le_bytes());
            strings.extend(text.as_bytes());
            strings.push(0);
        }
        bytes.extend([0; 12]);
    }
    bytes.extend(strings);
    bytes
}

#[test]
fn the_dynamic_linkers_cache_matters_by_library() {
    let kitchen = Kitchen::new();
    let install =
        |names: &[&str]| std::fs::write(kitchen.host().join("etc/ld.so.cache"), ld_cache_of(names)).unwrap();
    let put =
        |name: &str, text: &str| std::fs::write(kitchen.host().join("usr/lib").join(name), text).unwrap();
    let plain = spec(&[], &[]);
    let project = kitchen.project(&plain, &[]);
    let looks = [
        ("etc/ld.so.cache", Look::Content),
        ("etc/ld.so.cache", Look::Probe),
        ("usr/lib/libc.so.6", Look::Content),
        ("usr/lib/libmissing.so.1", Look::Probe),
    ];
    put("libc.so.6", "c 1");
    install(&["libz.so.1", "libc.so.6"]);
    let (trace, set) = kitchen.trace(&plain, &project, &looks);
    kitchen.larder.add_trace(&trace, &set, WorkspaceId::from_random(1)).unwrap();
    assert!(kitchen.hits(&plain, &project));

    install(&["libzstd.so.1", "libz.so.1", "libnew.so.4", "libc.so.6"]);
    assert!(kitchen.hits(&plain, &project), "an unrelated library is installed");
    let hidden = kitchen.evaluator();
    let hidden = kitchen.runtime.block_on(hidden.hidden(&trace, &set, &project, 9)).unwrap();
    assert_eq!(hidden.iter().map(|hidden| hidden.path.to_string()).collect::<Vec<_>>(), ["etc/ld.so.cache"]);
    assert!(hidden[0].by == ["ld.so.cache"]);

    install(&["libmissing.so.1", "libz.so.1", "libc.so.6"]);
    assert!(!kitchen.hits(&plain, &project), "a library comes that was looked for");
    install(&["libz.so.1"]);
    assert!(!kitchen.hits(&plain, &project), "an entry that was used is gone");
    install(&["libz.so.1", "libc.so.6"]);
    assert!(kitchen.hits(&plain, &project));
    put("libc.so.6", "c 2, upgraded");
    assert!(!kitchen.hits(&plain, &project), "a library that was opened is another one");
    put("libc.so.6", "c 1");
    std::fs::write(kitchen.host().join("etc/ld.so.cache"), "garbage").unwrap();
    assert!(!kitchen.hits(&plain, &project), "what is not understood is seen whole");
}

#[test]
fn normal_forms_of_outputs() {
    let lenses = Lenses::of(&spec(&[], &[("**/*.pdf", "pdf")]));
    let pdf = "%PDF-1.4\n<< /ModDate (D:20240101) >>";
    let normal = |path: &str, text: &str| {
        let path = path.parse().unwrap();
        lenses.normalised(&path, text.len() as u64, || Ok(text.as_bytes().to_vec())).unwrap()
    };
    assert_eq!(normal("a.pdf", pdf).unwrap(), pdf.replace("20240101", "20000101").as_bytes());
    assert!(normal("doc/a.pdf", pdf).is_some());
    assert_eq!(normal("a.txt", pdf), None);
    assert_eq!(normal("a.pdf", "no PDF"), None);
    let unread = lenses.normalised(&"a.txt".parse().unwrap(), 1, || panic!("nothing is for it"));
    assert_eq!(unread.unwrap(), None);
    let too_long = lenses.normalised(&"a.pdf".parse().unwrap(), MAX_LENSED + 1, || panic!("it is not read"));
    assert_eq!(too_long.unwrap(), None);
}
