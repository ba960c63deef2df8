//! Steps: what is run, and the key under which it is remembered.

use crate::codec::Writer;
use crate::digest::context;
use crate::trace::TRACE_FORMAT;
use crate::{Digest, RelPath};

/// The version of what a sandbox shows besides the view and gives as constants (DESIGN §6); part of every weak key.
/// Raise it whenever a step could notice the difference.
pub const SANDBOX_PROFILE: &str = "computepods sandbox v3";

/// Seconds since 1970 that every input shows as its modification time, and that `SOURCE_DATE_EPOCH` says.
pub const INPUT_MTIME: i64 = 946_684_800;

/// Where steps find programs, and whatever else runs as they do; folders of more tool roots come after these.
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Where a project stands in the root of its steps.
pub const PROJECT: &str = "project";

/// Numeric user and group of every step.
pub const STEP_UID: u32 = 1000;

/// What a step promises to make.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// A file or link at this path of the project.
    File(RelPath),
    /// A folder at this path, with all that is in it.
    Tree(RelPath),
}

impl Promise {
    /// The path that is promised.
    pub fn path(&self) -> &RelPath {
        match self {
            Promise::File(path) | Promise::Tree(path) => path,
        }
    }
}

/// Which of its own earlier outputs a step sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Keep {
    /// None: each run starts fresh.
    #[default]
    Nothing,
    /// All of them.
    Everything,
    /// Those that match one of these globs.
    Matching(Vec<String>),
}

/// A projection or a normaliser, and the paths of the project that it is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lensed {
    /// A glob over paths of the project.
    pub glob: String,
    /// Its name and parameters, as they are written; not in any key.
    pub lens: String,
    /// The digest of its name, version and parameters.
    pub id: Digest,
}

/// All that decides what a step does, apart from what it sees: the subject of its weak key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSpec {
    /// The commands in the order in which they run; the first that fails ends the step. Each is an argv of at least one
    /// word, looked up in the step's `PATH`.
    pub commands: Vec<Vec<Vec<u8>>>,
    /// Where they start, relative to the project.
    pub cwd: RelPath,
    /// The whole environment beyond the constants, sorted by name, each name once.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// What the step promises to make, sorted.
    pub out: Vec<Promise>,
    /// Whether the sizes and exec bits of files of the project that it only looks for matter to it.
    pub sizes: bool,
    /// Files that it may leave and nobody wants; sorted. They are no outputs, but for those that it promises as well ([`is_mark`](Self::is_mark)).
    pub scratch: Vec<RelPath>,
    /// Which of its own outputs it sees.
    pub keep: Keep,
    /// Whether it may use the network.
    pub network: bool,
    /// Names of the secrets that it is given, sorted: what it can find is part of what it does. Never what they are.
    pub secrets: Vec<String>,
    /// Whether it may change, rename and remove sources: for the steps after it, and nobody else.
    pub alters: bool,
    /// The patterns of `in` as written: they make the key stronger, and trigger nothing by themselves.
    pub declared_in: Vec<String>,
    /// What it sees files through: instead of their content, what matters of it. Sorted.
    pub projections: Vec<Lensed>,
    /// What gives its outputs their normal form, in the order in which they are applied.
    pub normalisers: Vec<Lensed>,
}

impl StepSpec {
    /// Whether a path is a *mark*: promised, so that others can wait for it, and nothing that anybody wants to have.
    pub fn is_mark(&self, path: &RelPath) -> bool {
        self.scratch.binary_search(path).is_ok()
            && self.out.iter().any(|promise| matches!(promise, Promise::File(file) if file == path))
    }

    /// The weak key: everything static about the step. Project, step id, engine, limits and pod are not in it.
    pub fn weak_key(&self) -> Digest {
        let mut writer = Writer::with_format(TRACE_FORMAT);
        writer.bytes(SANDBOX_PROFILE.as_bytes());
        writer.bytes(std::env::consts::OS.as_bytes()).bytes(std::env::consts::ARCH.as_bytes());
        writer.number(self.commands.len() as u64);
        for command in &self.commands {
            writer.number(command.len() as u64);
            for word in command {
                writer.bytes(word);
            }
        }
        writer.bytes(self.cwd.as_bytes()).number(self.env.len() as u64);
        for (name, value) in &self.env {
            writer.bytes(name).bytes(value);
        }
        writer.number(self.out.len() as u64);
        for promise in &self.out {
            writer.byte(matches!(promise, Promise::Tree(_)).into()).bytes(promise.path().as_bytes());
        }
        match &self.keep {
            Keep::Nothing => writer.byte(0),
            Keep::Everything => writer.byte(1),
            Keep::Matching(globs) => {
                writer.byte(2).number(globs.len() as u64);
                for glob in globs {
                    writer.bytes(glob.as_bytes());
                }
                &mut writer
            }
        };
        writer.byte(self.network.into()).number(self.declared_in.len() as u64);
        for pattern in &self.declared_in {
            writer.bytes(pattern.as_bytes());
        }
        for lenses in [&self.projections, &self.normalisers] {
            writer.number(lenses.len() as u64);
            for Lensed { glob, id, .. } in lenses {
                writer.bytes(glob.as_bytes()).digest(id);
            }
        }
        // Written only where it is so: keys from before it could be said stay what they are.
        if self.alters {
            writer.byte(1);
        }
        if !self.sizes {
            writer.byte(3);
        }
        if !self.scratch.is_empty() {
            writer.byte(2).number(self.scratch.len() as u64);
            for path in &self.scratch {
                writer.bytes(path.as_bytes());
            }
        }
        if !self.secrets.is_empty() {
            writer.byte(4).number(self.secrets.len() as u64);
            for name in &self.secrets {
                writer.bytes(name.as_bytes());
            }
        }
        // Its traces carry what earlier passes saw, too, and who listed folders; those from before that was so answer for nothing.
        if self.keep != Keep::Nothing {
            writer.byte(6);
        }
        Digest::in_context(context::WEAK_KEY, &writer.finish())
    }

    /// The weak key of a run that sees its own outputs of an earlier one: the trace of that run is part of it.
    pub fn weak_key_after(&self, previous: Option<&Digest>) -> Digest {
        let Some(previous) = previous else { return self.weak_key() };
        let mut writer = Writer::with_format(TRACE_FORMAT);
        writer.digest(&self.weak_key()).digest(previous);
        Digest::in_context(context::WEAK_KEY, &writer.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> StepSpec {
        StepSpec {
            commands: vec![vec![b"cc".to_vec(), b"-c".to_vec()]],
            cwd: RelPath::root(),
            env: vec![],
            out: vec![],
            keep: Keep::Nothing,
            network: false,
            secrets: vec![],
            alters: false,
            sizes: true,
            scratch: vec![],
            declared_in: vec![],
            projections: vec![],
            normalisers: vec![],
        }
    }

    fn lensed(glob: &str, id: &[u8]) -> Lensed {
        Lensed { glob: glob.to_owned(), lens: "x".to_owned(), id: Digest::of(id) }
    }

    /// Whoever changes what is hashed loses all that was ever built: then on purpose, with another format number.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn keys_stay_what_they_are() {
        let golden = |spec: &StepSpec| spec.weak_key().to_string();
        assert_eq!(golden(&spec()), "b3:676f3a999b56ef3a5c61d43e4b33ecc6eb7f588937ac2f1ad10a0a1fd984e5bc");
        let secret = StepSpec { secrets: vec!["TOKEN".into()], ..spec() };
        assert_eq!(golden(&secret), "b3:1b1dd3a8a903da795b086897b4b04cd9771460eeeed78ccd220dc7629284a1cc");
    }

    #[test]
    fn every_field_is_in_the_key() {
        let path: RelPath = "a".parse().unwrap();
        let variants: Vec<fn(&mut StepSpec, RelPath)> = vec![
            |_, _| (),
            |s, _| s.commands = vec![vec![b"cc".to_vec()], vec![b"-c".to_vec()]],
            |s, _| s.commands = vec![vec![b"cc-c".to_vec()]],
            |s, p| s.cwd = p,
            |s, _| s.env = vec![(b"A".to_vec(), b"".to_vec())],
            |s, _| s.env = vec![(b"".to_vec(), b"A".to_vec())],
            |s, p| s.out = vec![Promise::File(p)],
            |s, p| s.out = vec![Promise::Tree(p)],
            |s, _| s.keep = Keep::Everything,
            |s, _| s.keep = Keep::Matching(vec!["*.aux".into()]),
            |s, _| s.network = true,
            |s, _| s.secrets = vec!["A".into()],
            |s, _| s.secrets = vec!["A".into(), "B".into()],
            |s, _| s.secrets = vec!["AB".into()],
            |s, _| s.alters = true,
            |s, _| s.sizes = false,
            |s, p| s.scratch = vec![p],
            |s, _| s.declared_in = vec!["*.c".into()],
            |s, _| s.projections = vec![lensed("*.aux", b"v1")],
            |s, _| s.projections = vec![lensed("*.aux", b"v2")],
            |s, _| s.projections = vec![lensed("*.log", b"v1")],
            |s, _| s.normalisers = vec![lensed("*.aux", b"v1")],
        ];
        let mut keys: Vec<Digest> = variants
            .iter()
            .map(|change| {
                let mut spec = spec();
                change(&mut spec, path.clone());
                spec.weak_key()
            })
            .collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), variants.len());
    }
}
