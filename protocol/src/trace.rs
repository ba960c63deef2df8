//! Traces: all that one finished run of a step saw, and what it made of it.

use crate::codec::{self, BadObject, Writer};
use crate::digest::context;
use crate::observation::{PathSet, Seen, strong_key};
use crate::{Digest, RelPath};

/// The format number of trace objects; part of every weak key, so that a new format starts afresh.
pub const TRACE_FORMAT: u8 = 3;

/// Who read a file in a step: the command lines of a process and of those that it comes from, as a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reader(u64);

impl Reader {
    /// Nobody could tell. It is nobody's reading again.
    pub const UNKNOWN: Self = Self(0);

    /// Whoever has these command lines.
    pub fn of(lines: &[u8]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *Digest::of(lines).as_bytes();
        Self(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// That somebody read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The place of its content in the path set.
    pub place: u32,
    /// Who.
    pub reader: Reader,
    /// How often.
    pub times: u32,
    /// In a pass, too, for which nothing had changed: it says nothing of who noticed a change.
    pub is_idle: bool,
}

/// A constructive trace of depth one: key, answers, outputs. Only runs that succeeded have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The weak key of the step ([`crate::StepSpec::weak_key`]).
    pub weak: Digest,
    /// The digest of the [`PathSet`]: the questions.
    pub path_set: Digest,
    /// The answers, one for each look of the path set and in its order.
    pub seen: Vec<Seen>,
    /// Advice, in no key: for what was seen through a projection, the place of its look in the path set, and the digest that
    /// the whole content had. Ascending, each place once. While the content has another digest by now and the
    /// answer is the same, the projection hides a change.
    pub raw: Vec<(u32, Digest)>,
    /// Advice, in no key: of a step that sees its own outputs, who read the files whose content some pass of it read. Ascending by
    /// place and reader, each pair once. Who goes on from what it left has to read one that has changed again.
    pub readings: Vec<Reading>,
    /// The digest of the [`crate::Tree`] of what the step made, its paths relative to the project.
    pub outputs: Digest,
    /// What the step printed, both streams in the order of their lines; `None` if nothing. The digest of a blob.
    pub printed: Option<Digest>,
    /// Wall time of the run in milliseconds.
    pub millis: u64,
}

impl Trace {
    /// The strong key that this trace answers.
    pub fn strong(&self) -> Digest {
        strong_key(&self.weak, &self.path_set, &self.seen)
    }

    /// The digest of the whole content behind the answer at this place of the path set, if it was seen through a projection.
    pub fn raw_at(&self, place: usize) -> Option<&Digest> {
        let place = u32::try_from(place).ok()?;
        let found = self.raw.binary_search_by_key(&place, |(place, _)| *place).ok()?;
        self.raw.get(found).map(|(_, digest)| digest)
    }

    /// Who read the file at this place of the path set.
    pub fn readings_at(&self, place: usize) -> &[Reading] {
        let begin = self.readings.partition_point(|reading| (reading.place as usize) < place);
        let end = self.readings.partition_point(|reading| reading.place as usize <= place);
        &self.readings[begin..end]
    }

    /// Pairs each look of the path set with its answer; `None` if the set is not this trace's.
    pub fn observations<'a>(
        &'a self,
        set: &'a PathSet,
    ) -> Option<impl Iterator<Item = (&'a RelPath, crate::Look, &'a Seen)>> {
        (set.looks().len() == self.seen.len())
            .then(|| set.looks().iter().zip(&self.seen).map(|((path, look), seen)| (path, *look, seen)))
    }

    /// The canonical form.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_format(TRACE_FORMAT);
        writer.digest(&self.weak).digest(&self.path_set).digest(&self.outputs);
        match &self.printed {
            None => writer.byte(0),
            Some(digest) => writer.byte(1).digest(digest),
        };
        writer.number(self.millis).number(self.seen.len() as u64);
        for seen in &self.seen {
            seen.write(&mut writer);
        }
        writer.number(self.raw.len() as u64);
        for (place, digest) in &self.raw {
            writer.number((*place).into()).digest(digest);
        }
        // Written only where there are some: a trace of any other step stays what it is.
        if !self.readings.is_empty() {
            writer.number(self.readings.len() as u64);
            for Reading { place, reader, times, is_idle } in &self.readings {
                writer.number((*place).into()).number(reader.0).number((*times).into());
                writer.byte((*is_idle).into());
            }
        }
        writer.finish()
    }

    /// Reads the canonical form.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadObject> {
        let mut reader = codec::Reader::with_format(bytes, TRACE_FORMAT)?;
        let (weak, path_set, outputs) = (reader.digest()?, reader.digest()?, reader.digest()?);
        let printed = match reader.byte()? {
            0 => None,
            1 => Some(reader.digest()?),
            _ => return Err(BadObject::Field("a trace's output")),
        };
        let millis = reader.number()?;
        let count = reader.count()?;
        let seen: Vec<Seen> = (0..count).map(|_| Seen::read(&mut reader)).collect::<Result<_, _>>()?;
        let mut raw: Vec<(u32, Digest)> = Vec::new();
        for _ in 0..reader.count()? {
            raw.push((next_place(&mut reader, raw.last(), seen.len())?, reader.digest()?));
        }
        let mut readings: Vec<Reading> = Vec::new();
        let count = if reader.is_empty() { 0 } else { reader.count()?.max(1) };
        for _ in 0..count {
            let reading = reading(&mut reader, seen.len())?;
            let key = |reading: &Reading| (reading.place, reading.reader);
            if readings.last().is_some_and(|last| key(last) >= key(&reading)) {
                return Err(BadObject::Field("the place of a reading"));
            }
            readings.push(reading);
        }
        reader.finish()?;
        Ok(Self { weak, path_set, seen, raw, readings, outputs, printed, millis })
    }

    /// The digest of the canonical form, in the context of traces.
    pub fn digest(&self) -> Digest {
        Digest::in_context(context::TRACE, &self.encode())
    }
}

/// The next place of a list of places that ascend.
fn next_place<T>(
    reader: &mut codec::Reader<'_>,
    last: Option<&(u32, T)>,
    len: usize,
) -> Result<u32, BadObject> {
    let place = reader.number()?;
    let is_next = last.is_none_or(|(last, _)| u64::from(*last) < place);
    match is_next && place < len as u64 {
        true => Ok(place as u32),
        false => Err(BadObject::Field("the place of a look")),
    }
}

fn reading(reader: &mut codec::Reader<'_>, len: usize) -> Result<Reading, BadObject> {
    let place = u32::try_from(reader.number()?).ok().filter(|place| (*place as usize) < len);
    let who = Reader(reader.number()?);
    let times = u32::try_from(reader.number()?).ok();
    let is_idle = match reader.byte()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    match (place, times, is_idle) {
        (Some(place), Some(times), Some(is_idle)) => Ok(Reading { place, reader: who, times, is_idle }),
        _ => Err(BadObject::Field("a reading")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileKind, Look};

    #[test]
    fn round_trips() {
        let reading =
            |place, line| Reading { place, reader: Reader::of(line), times: 3, is_idle: place == 2 };
        let mut two = vec![reading(2, b"cc"), reading(2, b"make")];
        two.sort_by_key(|reading| reading.reader);
        let set = PathSet::new(vec![
            ("usr/bin/gcc".parse().unwrap(), Look::Content),
            ("project".parse().unwrap(), Look::Listing),
            ("project/x".parse().unwrap(), Look::Probe),
        ]);
        let trace = Trace {
            weak: Digest::of(b"weak"),
            path_set: set.digest(),
            seen: vec![
                Seen::Names(Digest::of(b"n")),
                Seen::Absent,
                Seen::Content { digest: Digest::of(b"gcc"), exec: true },
            ],
            raw: vec![(2, Digest::of(b"raw"))],
            readings: two,
            outputs: Digest::of(b"out"),
            printed: Some(Digest::of(b"hello\n")),
            millis: 300,
        };
        assert_eq!(Trace::decode(&trace.encode()).unwrap(), trace);
        let (path, look, seen) = trace.observations(&set).unwrap().nth(1).unwrap();
        assert_eq!((path.to_string().as_str(), look, seen), ("project/x", Look::Probe, &Seen::Absent));
        assert_eq!((trace.raw_at(1), trace.raw_at(2)), (None, Some(&Digest::of(b"raw"))));
        assert_eq!((trace.readings_at(1), trace.readings_at(2)), (&[][..], &trace.readings[..]));
        let advice = Trace { raw: vec![], readings: vec![], ..trace.clone() };
        assert_eq!(advice.strong(), trace.strong());
        assert_eq!(Trace::decode(&advice.encode()).unwrap(), advice);
        for readings in [vec![reading(3, b"cc")], vec![reading(2, b"cc"); 2]] {
            assert!(Trace::decode(&Trace { readings, ..trace.clone() }.encode()).is_err());
        }
        for raw in [vec![(3, Digest::of(b"x"))], vec![(1, Digest::of(b"x")); 2]] {
            assert!(Trace::decode(&Trace { raw, ..trace.clone() }.encode()).is_err());
        }
        let mut other = trace.clone();
        other.seen[1] = Seen::Kind(FileKind::Dir);
        assert_ne!(other.strong(), trace.strong());
    }
}
