//! What pod, zygote and inits say to each other.
//!
//! Every message is one packet of [`crate::packet`]. The pod says [`ToZygote`]; the zygote answers the first message with
//! `Ready` or `Refused`; for each step an init says `Ended`, unless it is killed, and the zygote says `Gone` when nothing is
//! left of the step. Both ends are always the same build of the same program, so there is no version.

use std::time::Duration;

use protocol::RelPath;
use protocol::codec::{BadObject, Reader, Writer};

use crate::limits::Limits;
use crate::order::Usage;
use crate::secret::Secret;

/// Format number of packets; it only guards against a program that is no zygote.
const FORMAT: u8 = 1;

/// The folder in scratch in which the zygote tries whether an overlay can be mounted; the pod removes it.
pub(crate) const ATTEMPT: &str = "attempt";

/// The folder of a step's folder that has what another step wrote, where that is to be seen.
pub(crate) const LOWER: &str = "lower";

/// From the pod to the zygote.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToZygote {
    /// The first message: make the namespaces and the mounts.
    Start(Start),
    /// Run a step; the descriptors are its streams, and the doors of its control groups.
    Run(Box<Run>),
    /// Make a root for a step that is not known yet. The descriptor is a socket, on which its init waits for the order ([`ToZygote::Run`]
    /// with the streams); the socket's end is the init's own end.
    Prepare { step: u64, root: u64, folder: u64 },
    /// Kill a step, if it still runs.
    Kill { step: u64 },
}

/// What the zygote must know to start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Absolute path of the scratch folder.
    pub(crate) scratch: Vec<u8>,
    /// The outer uid and gid of steps, if the pod has root's rights.
    pub(crate) outer: Option<(u32, u32)>,
}

/// One step as the zygote knows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) step: u64,
    pub(crate) root: u64,
    /// The name of its folder in scratch.
    pub(crate) folder: u64,
    pub(crate) commands: Vec<Vec<Vec<u8>>>,
    pub(crate) cwd: RelPath,
    /// `NAME=value`.
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) make_dirs: Vec<RelPath>,
    /// What its init holds it to: what control groups hold is not in it.
    pub(crate) limits: Limits,
    pub(crate) secrets: Vec<Secret>,
    /// Which descriptors come with it.
    pub(crate) streams: Wired,
    /// Whether to count what it writes.
    pub(crate) counted: bool,
    /// Whether there is a folder [`LOWER`] beside its upper folder.
    pub(crate) beneath: bool,
    /// With network: files that stand in `/etc` of this machine and must do so in the step's.
    pub(crate) network: Option<Vec<(Vec<u8>, Vec<u8>)>>,
}

impl Run {
    /// What is known of a step whose root is made ahead: nothing but where it is.
    pub(crate) fn ahead(step: u64, root: u64, folder: u64) -> Self {
        Self {
            step,
            root,
            folder,
            commands: Vec::new(),
            cwd: RelPath::root(),
            env: Vec::new(),
            make_dirs: Vec::new(),
            limits: Limits::bounds(),
            secrets: Vec::new(),
            streams: Wired::Pipes,
            counted: false,
            beneath: false,
            network: None,
        }
    }
}

/// What a step's streams are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Wired {
    /// Standard output and error; there is nothing to read.
    Pipes = 0,
    /// Standard input, output and error.
    Talk = 1,
    /// The same, and they are a terminal.
    Terminal = 2,
}

impl Wired {
    /// How many descriptors they are.
    pub(crate) fn count(self) -> usize {
        if self == Wired::Pipes { 2 } else { 3 }
    }

    fn from_byte(byte: u8) -> Result<Self, BadObject> {
        match byte {
            0 => Ok(Wired::Pipes),
            1 => Ok(Wired::Talk),
            2 => Ok(Wired::Terminal),
            _ => Err(BadObject::Field("streams")),
        }
    }
}

/// To the pod, from the zygote or from an init.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToPod {
    /// The mounts are there; the descriptors are those of tools and project.
    Ready { uid: u32, gid: u32 },
    /// The zygote could not start.
    Refused(Refusal),
    /// A step's commands have ended, and all of its processes; its mounts may still be there.
    Ended { step: u64, command: u64, outcome: Outcome, usage: Usage },
    /// Nothing is left of a step.
    Gone { step: u64, usage: Usage },
}

/// How a step's commands ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Exit(i32),
    Signal(i32),
    NotFound,
    CannotExecute(i32),
    BadCwd(i32),
    /// The step's root could not be made.
    Refused(Refusal),
}

/// What was being done when the kernel refused, and its error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) stage: Stage,
    pub(crate) errno: i32,
}

macro_rules! stages {
    ($($name:ident = $number:literal: $doing:literal,)*) => {
        /// What can be refused, at the zygote's start and at a step's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Stage { $($name = $number,)* }

        impl Stage {
            /// What was being done, for people.
            pub(crate) fn doing(self) -> &'static str {
                match self { $(Stage::$name => $doing,)* }
            }

            fn from_byte(byte: u8) -> Result<Self, BadObject> {
                match byte { $($number => Ok(Stage::$name),)* _ => Err(BadObject::Field("a stage")) }
            }
        }
    };
}

stages! {
    Namespaces = 0: "making private namespaces",
    IdMap = 1: "mapping user numbers",
    StepUsers = 2: "making the user namespace of steps",
    OpenFuse = 3: "opening /dev/fuse",
    MountFuse = 4: "mounting the view",
    Scratch = 5: "binding the scratch folder",
    Base = 6: "making the zygote's own root",
    Dev = 7: "making /dev",
    Overlay = 8: "mounting an overlay over the scratch folder",
    Network = 9: "making a network namespace",
    Fork = 10: "forking the step's init",
    Root = 11: "binding the step's root",
    Folders = 12: "making the step's folders",
    Project = 13: "mounting the overlay on /project",
    Tmp = 14: "mounting the private folders",
    Proc = 15: "mounting /proc",
    Etc = 16: "showing the network's settings in /etc",
    Pivot = 17: "entering the step's root",
    Rights = 18: "giving up rights",
    Life = 19: "watching the zygote's life",
    Packet = 20: "reading the order",
    Fence = 21: "putting up the fence of system calls",
    Limits = 22: "setting the step's limits",
    Secrets = 23: "writing the step's secrets",
    Terminal = 24: "taking the terminal",
}

fn words(writer: &mut Writer, words: &[Vec<u8>]) {
    writer.number(words.len() as u64);
    for word in words {
        writer.bytes(word);
    }
}

fn read_words(reader: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, BadObject> {
    (0..reader.count()?).map(|_| reader.bytes().map(<[u8]>::to_vec)).collect()
}

fn small<T: TryFrom<u64>>(reader: &mut Reader<'_>) -> Result<T, BadObject> {
    T::try_from(reader.number()?).map_err(|_| BadObject::Field("a number"))
}

impl Refusal {
    fn write(self, writer: &mut Writer) {
        writer.byte(self.stage as u8).number(self.errno.unsigned_abs().into());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BadObject> {
        Ok(Self { stage: Stage::from_byte(reader.byte()?)?, errno: small(reader)? })
    }
}

fn write_usage(writer: &mut Writer, usage: &Usage) {
    for time in [usage.user, usage.system, usage.wall] {
        writer.number(time.as_micros() as u64);
    }
    writer.number(usage.max_rss).number(usage.written);
}

fn read_usage(reader: &mut Reader<'_>) -> Result<Usage, BadObject> {
    Ok(Usage {
        user: Duration::from_micros(reader.number()?),
        system: Duration::from_micros(reader.number()?),
        wall: Duration::from_micros(reader.number()?),
        max_rss: reader.number()?,
        written: reader.number()?,
    })
}

impl ToZygote {
    /// The same order for another number, in another folder.
    pub(crate) fn of_step(self, step: u64, folder: u64) -> Self {
        match self {
            ToZygote::Run(run) => ToZygote::Run(Box::new(Run { step, folder, ..*run })),
            other => other,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_format(FORMAT);
        match self {
            ToZygote::Start(start) => {
                writer.byte(0).bytes(&start.scratch).byte(start.outer.is_some().into());
                let (uid, gid) = start.outer.unwrap_or_default();
                writer.number(uid.into()).number(gid.into());
            }
            ToZygote::Run(run) => {
                writer
                    .byte(1)
                    .number(run.step)
                    .number(run.root)
                    .number(run.folder)
                    .number(run.commands.len() as u64);
                for command in &run.commands {
                    words(&mut writer, command);
                }
                writer.bytes(run.cwd.as_bytes());
                words(&mut writer, &run.env);
                writer.number(run.make_dirs.len() as u64);
                for dir in &run.make_dirs {
                    writer.bytes(dir.as_bytes());
                }
                let limits = &run.limits;
                for limit in [limits.memory, limits.processes, limits.open_files, limits.disk] {
                    writer.byte(limit.is_some().into()).number(limit.unwrap_or_default());
                }
                writer.number(run.secrets.len() as u64);
                for secret in &run.secrets {
                    writer.bytes(secret.name().as_bytes()).bytes(secret.value());
                }
                writer.byte(run.streams as u8).byte(run.counted.into());
                writer.byte(run.beneath.into()).byte(run.network.is_some().into());
                let files = run.network.as_deref().unwrap_or_default();
                writer.number(files.len() as u64);
                for (name, content) in files {
                    writer.bytes(name).bytes(content);
                }
            }
            ToZygote::Kill { step } => {
                writer.byte(2).number(*step);
            }
            ToZygote::Prepare { step, root, folder } => {
                writer.byte(3).number(*step).number(*root).number(*folder);
            }
        }
        writer.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadObject> {
        let mut reader = Reader::with_format(bytes, FORMAT)?;
        let message = match reader.byte()? {
            0 => {
                let scratch = reader.bytes()?.to_vec();
                let some = reader.byte()? == 1;
                let outer = (small(&mut reader)?, small(&mut reader)?);
                ToZygote::Start(Start { scratch, outer: some.then_some(outer) })
            }
            1 => {
                let (step, root, folder) = (reader.number()?, reader.number()?, reader.number()?);
                let commands =
                    (0..reader.count()?).map(|_| read_words(&mut reader)).collect::<Result<_, _>>()?;
                let cwd = reader.path()?;
                let env = read_words(&mut reader)?;
                let make_dirs = (0..reader.count()?).map(|_| reader.path()).collect::<Result<_, _>>()?;
                let mut limit = || {
                    let is_some = reader.byte()? == 1;
                    let limit = reader.number()?;
                    Ok::<_, BadObject>(is_some.then_some(limit))
                };
                let limits = Limits {
                    memory: limit()?,
                    processes: limit()?,
                    open_files: limit()?,
                    disk: limit()?,
                    ..Limits::default()
                };
                let secrets = (0..reader.count()?)
                    .map(|_| {
                        let name = String::from_utf8_lossy(reader.bytes()?).into_owned();
                        Secret::new(&name, reader.bytes()?.to_vec()).ok_or(BadObject::Field("a secret"))
                    })
                    .collect::<Result<_, BadObject>>()?;
                let streams = Wired::from_byte(reader.byte()?)?;
                let [counted, beneath, network] =
                    [reader.byte()?, reader.byte()?, reader.byte()?].map(|byte| byte == 1);
                let files = (0..reader.count()?)
                    .map(|_| Ok((reader.bytes()?.to_vec(), reader.bytes()?.to_vec())))
                    .collect::<Result<_, BadObject>>()?;
                let network = network.then_some(files);
                ToZygote::Run(Box::new(Run {
                    step,
                    root,
                    folder,
                    commands,
                    cwd,
                    env,
                    make_dirs,
                    limits,
                    secrets,
                    streams,
                    counted,
                    beneath,
                    network,
                }))
            }
            2 => ToZygote::Kill { step: reader.number()? },
            3 => {
                let (step, root, folder) = (reader.number()?, reader.number()?, reader.number()?);
                ToZygote::Prepare { step, root, folder }
            }
            _ => return Err(BadObject::Field("a message")),
        };
        reader.finish()?;
        Ok(message)
    }
}

impl ToPod {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_format(FORMAT);
        match self {
            ToPod::Ready { uid, gid } => {
                writer.byte(0).number((*uid).into()).number((*gid).into());
            }
            ToPod::Refused(refusal) => refusal.write(writer.byte(1)),
            ToPod::Ended { step, command, outcome, usage } => {
                writer.byte(2).number(*step).number(*command);
                match outcome {
                    Outcome::Exit(code) => writer.byte(0).number(code.unsigned_abs().into()),
                    Outcome::Signal(signal) => writer.byte(1).number(signal.unsigned_abs().into()),
                    Outcome::NotFound => writer.byte(2),
                    Outcome::CannotExecute(errno) => writer.byte(3).number(errno.unsigned_abs().into()),
                    Outcome::BadCwd(errno) => writer.byte(4).number(errno.unsigned_abs().into()),
                    Outcome::Refused(refusal) => {
                        refusal.write(writer.byte(5));
                        &mut writer
                    }
                };
                write_usage(&mut writer, usage);
            }
            ToPod::Gone { step, usage } => {
                writer.byte(3).number(*step);
                write_usage(&mut writer, usage);
            }
        }
        writer.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadObject> {
        let mut reader = Reader::with_format(bytes, FORMAT)?;
        let message = match reader.byte()? {
            0 => ToPod::Ready { uid: small(&mut reader)?, gid: small(&mut reader)? },
            1 => ToPod::Refused(Refusal::read(&mut reader)?),
            2 => {
                let (step, command) = (reader.number()?, reader.number()?);
                let outcome = match reader.byte()? {
                    0 => Outcome::Exit(small(&mut reader)?),
                    1 => Outcome::Signal(small(&mut reader)?),
                    2 => Outcome::NotFound,
                    3 => Outcome::CannotExecute(small(&mut reader)?),
                    4 => Outcome::BadCwd(small(&mut reader)?),
                    5 => Outcome::Refused(Refusal::read(&mut reader)?),
                    _ => return Err(BadObject::Field("an outcome")),
                };
                ToPod::Ended { step, command, outcome, usage: read_usage(&mut reader)? }
            }
            3 => ToPod::Gone { step: reader.number()?, usage: read_usage(&mut reader)? },
            _ => return Err(BadObject::Field("a message")),
        };
        reader.finish()?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_round_trip() {
        let usage = Usage {
            user: Duration::from_micros(3),
            max_rss: 1 << 33,
            written: 7,
            wall: Duration::from_secs(2),
            ..Usage::default()
        };
        let refusal = Refusal { stage: Stage::Proc, errno: 1 };
        let ended = |outcome| ToPod::Ended { step: 9, command: 1, outcome, usage };
        for message in [
            ToPod::Ready { uid: u32::MAX, gid: 0 },
            ToPod::Refused(refusal),
            ToPod::Gone { step: u64::MAX, usage },
            ended(Outcome::Exit(255)),
            ended(Outcome::Signal(9)),
            ended(Outcome::NotFound),
            ended(Outcome::CannotExecute(13)),
            ended(Outcome::BadCwd(2)),
            ended(Outcome::Refused(refusal)),
        ] {
            assert_eq!(ToPod::decode(&message.encode()), Ok(message));
        }
        let run = Run {
            step: 1,
            root: 2,
            folder: 3,
            commands: vec![vec![b"a".to_vec(), vec![]], vec![b"b".to_vec()]],
            cwd: "x/y".parse().unwrap(),
            env: vec![b"A=b".to_vec()],
            make_dirs: vec!["x".parse().unwrap()],
            limits: Limits { memory: Some(5), disk: Some(u64::MAX), ..Limits::default() },
            secrets: Secret::new("TOKEN", b"x".to_vec()).into_iter().collect(),
            streams: Wired::Terminal,
            counted: true,
            beneath: true,
            network: Some(vec![(b"hosts".to_vec(), b"::1 localhost".to_vec())]),
        };
        for message in [
            ToZygote::Start(Start { scratch: b"/s".to_vec(), outer: Some((7, 8)) }),
            ToZygote::Start(Start { scratch: b"/s".to_vec(), outer: None }),
            ToZygote::Run(Box::new(run)),
            ToZygote::Kill { step: 3 },
            ToZygote::Prepare { step: 1, root: 2, folder: u64::MAX },
        ] {
            assert_eq!(ToZygote::decode(&message.encode()), Ok(message));
        }
    }
}
