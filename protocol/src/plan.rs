//! A plan as pods give it to each other: what its steps run, promise and wait for.
//!
//! One object serves all steps of a build that run on other pods; an order names a step by its place in it.

use std::sync::Arc;

use crate::codec::{BadObject, Reader, Writer};
use crate::step::{Keep, Lensed, Promise, StepSpec};

/// The format number of the object.
const PLAN_FORMAT: u8 = 1;

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedStep {
    /// What it runs.
    pub spec: StepSpec,
    /// The places in the plan of the steps that come before it.
    pub after: Arc<[usize]>,
    /// When its turn would be, if all steps ran one by one.
    pub turn: usize,
}

/// The steps of a plan, each after steps of the same plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SharedPlan {
    /// They.
    pub steps: Vec<SharedStep>,
}

impl SharedPlan {
    /// The canonical form.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_format(PLAN_FORMAT);
        writer.number(self.steps.len() as u64);
        for step in &self.steps {
            write_spec(&mut writer, &step.spec);
            writer.number(step.after.len() as u64);
            for before in &*step.after {
                writer.number(*before as u64);
            }
            writer.number(step.turn as u64);
        }
        writer.finish()
    }

    /// Reads the canonical form.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadObject> {
        let mut reader = Reader::with_format(bytes, PLAN_FORMAT)?;
        let count = reader.count()?;
        let mut steps = Vec::new();
        for _ in 0..count {
            let spec = read_spec(&mut reader)?;
            let after = list(&mut reader, |reader| {
                let before = reader.number()?;
                usize::try_from(before)
                    .ok()
                    .filter(|before| *before < count)
                    .ok_or(BadObject::Field("a step's place"))
            })?;
            let turn = usize::try_from(reader.number()?).map_err(|_| BadObject::Field("a step's turn"))?;
            steps.push(SharedStep { spec, after: after.into(), turn });
        }
        reader.finish()?;
        Ok(Self { steps })
    }
}

fn list<T>(
    reader: &mut Reader<'_>,
    mut one: impl FnMut(&mut Reader<'_>) -> Result<T, BadObject>,
) -> Result<Vec<T>, BadObject> {
    (0..reader.count()?).map(|_| one(reader)).collect()
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, BadObject> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(BadObject::Field("a yes or no")),
    }
}

fn text(reader: &mut Reader<'_>) -> Result<String, BadObject> {
    String::from_utf8(reader.bytes()?.to_vec()).map_err(|_| BadObject::Field("a text"))
}

fn bytes(reader: &mut Reader<'_>) -> Result<Vec<u8>, BadObject> {
    Ok(reader.bytes()?.to_vec())
}

fn write_texts(writer: &mut Writer, texts: &[String]) {
    writer.number(texts.len() as u64);
    for text in texts {
        writer.bytes(text.as_bytes());
    }
}

fn write_spec(writer: &mut Writer, spec: &StepSpec) {
    // Taken apart, so that no field that is new is forgotten.
    let StepSpec {
        commands,
        cwd,
        env,
        out,
        sizes,
        scratch,
        keep,
        network,
        alters,
        declared_in,
        projections,
        normalisers,
        secrets,
    } = spec;
    writer.number(commands.len() as u64);
    for command in commands {
        writer.number(command.len() as u64);
        for word in command {
            writer.bytes(word);
        }
    }
    writer.bytes(cwd.as_bytes()).number(env.len() as u64);
    for (name, value) in env {
        writer.bytes(name).bytes(value);
    }
    writer.number(out.len() as u64);
    for promise in out {
        writer.byte(matches!(promise, Promise::Tree(_)).into()).bytes(promise.path().as_bytes());
    }
    writer.byte((*sizes).into()).number(scratch.len() as u64);
    for path in scratch {
        writer.bytes(path.as_bytes());
    }
    match keep {
        Keep::Nothing => drop(writer.byte(0)),
        Keep::Everything => drop(writer.byte(1)),
        Keep::Matching(globs) => write_texts(writer.byte(2), globs),
    }
    writer.byte((*network).into()).byte((*alters).into());
    write_texts(writer, declared_in);
    for lenses in [projections, normalisers] {
        writer.number(lenses.len() as u64);
        for Lensed { glob, lens, id } in lenses {
            writer.bytes(glob.as_bytes()).bytes(lens.as_bytes()).digest(id);
        }
    }
    write_texts(writer, secrets);
}

fn read_spec(reader: &mut Reader<'_>) -> Result<StepSpec, BadObject> {
    let commands = list(reader, |reader| list(reader, bytes))?;
    if commands.is_empty() || commands.iter().any(Vec::is_empty) {
        return Err(BadObject::Field("a command"));
    }
    let cwd = reader.path()?;
    let env = list(reader, |reader| Ok((bytes(reader)?, bytes(reader)?)))?;
    let out = list(reader, |reader| match flag(reader)? {
        true => Ok(Promise::Tree(reader.path()?)),
        false => Ok(Promise::File(reader.path()?)),
    })?;
    let sizes = flag(reader)?;
    let scratch = list(reader, |reader| reader.path())?;
    let keep = match reader.byte()? {
        0 => Keep::Nothing,
        1 => Keep::Everything,
        2 => Keep::Matching(list(reader, text)?),
        _ => return Err(BadObject::Field("what a step keeps")),
    };
    let (network, alters) = (flag(reader)?, flag(reader)?);
    let declared_in = list(reader, text)?;
    let mut lenses = || {
        list(reader, |reader| Ok(Lensed { glob: text(reader)?, lens: text(reader)?, id: reader.digest()? }))
    };
    let (projections, normalisers) = (lenses()?, lenses()?);
    let secrets = list(reader, text)?;
    Ok(StepSpec {
        commands,
        cwd,
        env,
        out,
        sizes,
        scratch,
        keep,
        network,
        alters,
        declared_in,
        projections,
        normalisers,
        secrets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digest, RelPath};

    fn plan() -> SharedPlan {
        let path = |text: &str| -> RelPath { text.parse().unwrap() };
        let lensed = Lensed { glob: "*.log".into(), lens: "lines(x)".into(), id: Digest::of(b"lens") };
        let spec = StepSpec {
            commands: vec![vec![b"cc".to_vec(), b"\xff".to_vec()], vec![b"true".to_vec()]],
            cwd: path("sub"),
            env: vec![(b"A".to_vec(), b"b".to_vec())],
            out: vec![Promise::File(path("a")), Promise::Tree(path("b"))],
            sizes: true,
            scratch: vec![path("s")],
            keep: Keep::Matching(vec!["*.aux".into()]),
            network: true,
            alters: false,
            declared_in: vec!["*.c".into()],
            projections: vec![lensed.clone()],
            normalisers: vec![lensed],
            secrets: vec!["TOKEN".into()],
        };
        let plain = StepSpec { keep: Keep::Nothing, out: vec![], sizes: false, ..spec.clone() };
        SharedPlan {
            steps: vec![
                SharedStep { spec, after: [].into(), turn: 0 },
                SharedStep { spec: plain, after: [0].into(), turn: 1 },
            ],
        }
    }

    #[test]
    fn round_trips() {
        let plan = plan();
        assert_eq!(SharedPlan::decode(&plan.encode()).unwrap(), plan);
    }

    #[test]
    fn what_cannot_be_run_is_no_plan() {
        let mut nowhere = plan();
        nowhere.steps[1].after = [2].into();
        assert!(SharedPlan::decode(&nowhere.encode()).is_err());
        let mut empty = plan();
        empty.steps[0].spec.commands[0].clear();
        assert!(SharedPlan::decode(&empty.encode()).is_err());
        let bytes = plan().encode();
        for end in 0..bytes.len() {
            assert!(SharedPlan::decode(&bytes[..end]).is_err(), "{end}");
        }
    }
}
