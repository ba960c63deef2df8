//! Steps that run on another pod: the order, and what comes back.
//!
//! The pod that wants a step run asks another one with a [`RunOrder`]; what the order names are objects, which that pod pulls over the
//! swarm. From then on the running pod reports ([`RunNews`]) at least each [`REPORT_EVERY`]: that is the lease on both
//! sides. Who does not know a run any more says so, and its end is not waited for. The last report encloses the small objects that the end
//! names, so that nobody has to fetch them.

use std::mem::take;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use crate::codec::{BadObject, Reader, Writer};
use crate::event::{Limited, Stream};
use crate::{Digest, ObjectId, ObjectKind, RelPath, WorkspaceId};

/// The matter of a [`RunOrder`].
pub const RUN: &str = "run";
/// The matter of [`RunNews`].
pub const RUN_NEWS: &str = "run-news";
/// The matter of a [`RunCancel`].
pub const RUN_CANCEL: &str = "run-cancel";
/// How often a running pod reports at least.
pub const REPORT_EVERY: Duration = Duration::from_millis(500);
/// The most bytes of objects that a report encloses; what does not fit is pulled over the swarm.
pub const MAX_ENCLOSED: usize = 64 << 10;
/// Objects that a report encloses at most: trace, path set, output tree, and what was printed, each kind with one to spare.
pub const MAX_ENCLOSED_OBJECTS: usize = 8;

/// The most objects that an order lists itself, some tens of kilobytes.
pub const MAX_LISTED: usize = 512;
/// The format number of [`RunLists`].
const LISTS_FORMAT: u8 = 1;

/// Question: run a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOrder {
    /// A number that the asking pod gives no other run.
    pub run: u64,
    /// The workspace that it is for.
    pub workspace: WorkspaceId,
    /// What people call the step: its project's name, `: ` and its id.
    #[serde(default)]
    pub label: String,
    /// The [`crate::plan::SharedPlan`], a blob.
    pub plan: Digest,
    /// The step's place in it.
    pub step: usize,
    /// The tree of the project's sources.
    pub sources: Digest,
    /// Trees over the sources, the later over the earlier.
    pub over: Vec<Digest>,
    /// The trees of steps that have made what they promise, by their place. Of the others the step sees names only.
    pub made: Vec<(usize, Digest)>,
    /// Blobs that it will most probably open.
    pub ahead: Vec<Digest>,
    /// The [`RunLists`], a blob, where they are too long for a message; `over`, `made` and `ahead` are empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lists: Option<Digest>,
    /// Folders of tools besides the usual ones, relative to `/`.
    pub tool_roots: Vec<RelPath>,
    /// When it is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// What it may use.
    #[serde(default)]
    pub limits: RunLimits,
    /// Whether it may wait there until a slot is free.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_wait: bool,
    /// Bytes of memory that have to be free there: its limit, or what it used when it last ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

impl RunOrder {
    /// Takes out what it lists, if that is more than [`MAX_LISTED`].
    pub fn take_long_lists(&mut self) -> Option<RunLists> {
        let Self { over, made, ahead, .. } = self;
        let is_long = over.len() + made.len() + ahead.len() > MAX_LISTED;
        is_long.then(|| RunLists { over: take(over), made: take(made), ahead: take(ahead) })
    }
}

/// What an order lists, as an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunLists {
    /// As [`RunOrder::over`].
    pub over: Vec<Digest>,
    /// As [`RunOrder::made`].
    pub made: Vec<(usize, Digest)>,
    /// As [`RunOrder::ahead`].
    pub ahead: Vec<Digest>,
}

impl RunLists {
    /// The canonical form.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_format(LISTS_FORMAT);
        for digests in [&self.over, &self.ahead] {
            writer.number(digests.len() as u64);
            for digest in digests {
                writer.digest(digest);
            }
        }
        writer.number(self.made.len() as u64);
        for (by, digest) in &self.made {
            writer.number(*by as u64).digest(digest);
        }
        writer.finish()
    }

    /// Reads the canonical form.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadObject> {
        let mut reader = Reader::with_format(bytes, LISTS_FORMAT)?;
        let mut digests = || (0..reader.count()?).map(|_| reader.digest()).collect::<Result<Vec<_>, _>>();
        let (over, ahead) = (digests()?, digests()?);
        let mut made = Vec::new();
        for _ in 0..reader.count()? {
            let by = usize::try_from(reader.number()?).map_err(|_| BadObject::Field("a step's place"))?;
            made.push((by, reader.digest()?));
        }
        reader.finish()?;
        Ok(Self { over, made, ahead })
    }
}

/// What a step may use, as far as its project says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLimits {
    /// Bytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Thousandths of a processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milli_cpus: Option<u64>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Open files of one process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Bytes written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<u64>,
    /// Time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Duration>,
}

/// What a pod answers to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunAnswer {
    /// It has a slot, and begins.
    Accepted,
    /// All of its slots are taken. What the step needs is fetched meanwhile, and it begins when one is free: only if the order lets it.
    Waits,
    /// All of its slots are taken.
    Busy,
}

/// Question to the pod that wanted a run: what has become of it. Answered by a [`NewsAnswer`](super::NewsAnswer).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunNews {
    /// Which run.
    pub run: u64,
    /// Counted from 1: what comes twice is taken once.
    pub number: u64,
    /// Lines that it has printed since, UTF-8 (lossy).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<(Stream, String)>,
    /// It still waits for a slot.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// It has begun once more, since what it ran in was ended from outside: why, in words. Lines are of the new run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
    /// How it ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_end")]
    pub end: Option<RunEnd>,
    /// What it has used, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<RunUsage>,
    /// Small objects that the end names: trace and path set before the rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enclosed: Vec<Enclosed>,
    /// Slots of the running pod that are free now.
    pub free_slots: u32,
}

/// An object that comes along with what names it. Its name is what its bytes say, so that it cannot pose as another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enclosed {
    /// What it is.
    pub kind: ObjectKind,
    /// All of its bytes.
    #[serde(with = "super::base64")]
    pub bytes: Vec<u8>,
}

impl Enclosed {
    /// Its name.
    pub fn id(&self) -> ObjectId {
        ObjectId::of(self.kind, &self.bytes)
    }

    /// Of what a report encloses, as much from its beginning as one may: [`MAX_ENCLOSED`] bytes in [`MAX_ENCLOSED_OBJECTS`]. Whoever sends more lies
    /// or is of another version; the rest is fetched like everything else.
    pub fn fitting(mut enclosed: Vec<Self>) -> Vec<Self> {
        let mut room = MAX_ENCLOSED;
        let fits = |object: &&Self| {
            let rest = room.checked_sub(object.bytes.len());
            room = rest.unwrap_or_default();
            rest.is_some()
        };
        let count = enclosed.iter().take(MAX_ENCLOSED_OBJECTS).take_while(fits).count();
        enclosed.truncate(count);
        enclosed
    }
}

/// What a run has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunUsage {
    /// Processor time of all processes in user mode.
    pub user: Duration,
    /// The same in the kernel.
    pub system: Duration,
    /// Bytes of memory of the largest process.
    pub memory: u64,
}

/// How a run on another pod ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// Well.
    Made {
        /// Its trace.
        trace: Digest,
        /// The trace's questions.
        path_set: Digest,
    },
    /// It looked at something promised that is not made yet.
    Unmade(RelPath),
    /// It failed.
    Failed(RunFailure),
    /// It was ended because somebody wanted it.
    Cancelled,
    /// It could not be run.
    NotRun(String),
}

/// An end that a later version tells is as good as none here: the step is run elsewhere.
fn known_end<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RunEnd>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Told {
        Known(RunEnd),
        Other(IgnoredAny),
    }
    Ok(Option::<Told>::deserialize(deserializer)?.map(|told| match told {
        Told::Known(end) => end,
        Told::Other(_) => RunEnd::NotRun("it ended in a way that this version does not know".to_owned()),
    }))
}

/// How a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFailure {
    /// Exit code of the command that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Why, in words.
    pub why: String,
    /// Which limit it was over, where that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limited>,
    /// The place of the command that ran last.
    pub command: usize,
    /// What it saw, in the form of a trace: a blob, since no trace may say so. It failed for whoever sees the same; without it nobody
    /// can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saw: Option<Digest>,
    /// The questions of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_set: Option<Digest>,
}

/// Question: end a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCancel {
    /// Which.
    pub run: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(over: usize, ahead: usize) -> RunOrder {
        let digest = Digest::of(b"any");
        RunOrder {
            run: u64::MAX,
            workspace: WorkspaceId::from_random(1),
            label: "project: step".to_owned(),
            plan: digest,
            step: 0,
            sources: digest,
            over: vec![digest; over],
            made: vec![(over, digest); over],
            ahead: vec![digest; ahead],
            lists: None,
            tool_roots: Vec::new(),
            timeout: None,
            limits: RunLimits::default(),
            may_wait: false,
            memory: None,
        }
    }

    #[test]
    fn no_more_of_what_is_enclosed_counts_than_is_agreed() {
        let object = |bytes: usize| Enclosed { kind: ObjectKind::Blob, bytes: vec![0; bytes] };
        assert_eq!(Enclosed::fitting(vec![object(MAX_ENCLOSED)]).len(), 1);
        assert_eq!(Enclosed::fitting(vec![object(1), object(MAX_ENCLOSED), object(1)]).len(), 1);
        assert_eq!(Enclosed::fitting(vec![object(0); 1000]).len(), MAX_ENCLOSED_OBJECTS);
        assert_eq!(Enclosed::fitting(vec![object(1 << 20)]), []);
    }

    #[test]
    fn an_order_is_a_message_however_much_it_gives() {
        let mut short = order(200, 100);
        assert_eq!(short.take_long_lists(), None);
        assert!(serde_json::to_string(&short).unwrap().len() < 64 << 10);
        let mut long = order(5000, 4096);
        let lists = long.take_long_lists().unwrap();
        assert!(serde_json::to_string(&long).unwrap().len() < 1000);
        assert_eq!((lists.over.len(), lists.made.len(), lists.ahead.len()), (5000, 5000, 4096));
        assert_eq!(RunLists::decode(&lists.encode()).unwrap(), lists);
        assert!(RunLists::decode(&lists.encode()[1..]).is_err());
    }
}
