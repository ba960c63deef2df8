//! Bytes to frames. Whatever comes in: no panic, and no allocation beyond what the bytes themselves can fill.

use super::frame::{Data, Frame, Hello, Item, Lane, kind};
use super::{MAX_DATA, MAX_FRAME, MAX_HINTS, MAX_ITEMS, MAX_REASON, MIN_FRAME};
use crate::codec::{BadObject, Reader};
use crate::{Digest, ObjectId, ObjectKind, PodId};

/// Why bytes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// The length in front is one that no frame has.
    #[error("a frame of {0} bytes: wanted {MIN_FRAME} to {MAX_FRAME}")]
    Length(u32),
    /// Nobody knows this type.
    #[error("no frame has type {0}")]
    Type(u8),
    /// There are more of them than may be.
    #[error("{found} {what} in one frame, {limit} may be")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// The body is none of that type.
    #[error("a frame of type {kind}: {source}")]
    Body {
        /// The type.
        kind: u8,
        /// What is wrong.
        source: BadObject,
    },
}

/// How many bytes follow a frame's length, before any of them is allocated.
pub fn body_length(length: [u8; 4]) -> Result<usize, BadFrame> {
    let length = u32::from_le_bytes(length);
    if (MIN_FRAME..=MAX_FRAME).contains(&(length as usize)) {
        Ok(length as usize)
    } else {
        Err(BadFrame::Length(length))
    }
}

impl<'a> Frame<'a> {
    /// Reads a frame behind its length.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, BadFrame> {
        let Some((head, body)) = bytes.split_at_checked(MIN_FRAME) else {
            return Err(BadFrame::Length(bytes.len() as u32));
        };
        let kind = head[0];
        let request = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        let mut reader = Reader::new(body);
        let frame = frame(kind, request, &mut reader)?;
        reader.finish().map_err(|source| BadFrame::Body { kind, source })?;
        Ok(frame)
    }
}

/// What goes wrong inside a body, before it is known of which type it is.
enum Wrong {
    Object(BadObject),
    TooMany { what: &'static str, found: usize, limit: usize },
}

impl From<BadObject> for Wrong {
    fn from(error: BadObject) -> Self {
        Self::Object(error)
    }
}

fn frame<'a>(kind: u8, request: u32, body: &mut Reader<'a>) -> Result<Frame<'a>, BadFrame> {
    if !(kind::HELLO..=kind::BYE).contains(&kind) {
        return Err(BadFrame::Type(kind));
    }
    fields(kind, request, body).map_err(|wrong| match wrong {
        Wrong::Object(source) => BadFrame::Body { kind, source },
        Wrong::TooMany { what, found, limit } => BadFrame::TooMany { what, found, limit },
    })
}

fn fields<'a>(kind: u8, request: u32, body: &mut Reader<'a>) -> Result<Frame<'a>, Wrong> {
    Ok(match kind {
        kind::HELLO => Frame::Hello(Hello {
            major: small(body, "a version")?,
            minor: small(body, "a version")?,
            features: body.number()?,
            credit: [small(body, "a credit")?, small(body, "a credit")?],
        }),
        kind::ASK => Frame::Ask { request, ids: ids(body)? },
        kind::HAVE => {
            // Eight to a byte: the bound on what is allocated is MAX_ITEMS, not what is left.
            let count = bounded(body.number()?, "objects", MAX_ITEMS)?;
            let lease = small(body, "a lease")?;
            let bits = body.take(count.div_ceil(8))?;
            if bits.last().is_some_and(|last| count % 8 != 0 && last >> (count % 8) != 0) {
                return Err(BadObject::Field("a bitmap").into());
            }
            let mut sizes = Vec::with_capacity(count);
            for place in 0..count {
                let there = bits[place / 8] >> (place % 8) & 1 == 1;
                sizes.push(if there { Some(body.number()?) } else { None });
            }
            Frame::Have { request, sizes, lease }
        }
        kind::WANT => {
            let lane = lane(body)?;
            let count = bounded(body.number()?, "items", MAX_ITEMS)?;
            Frame::Want { request, lane, items: list(body, count, item)? }
        }
        kind::DATA => {
            let (index, offset, total) = (small(body, "a place")?, body.number()?, body.number()?);
            let bytes = body.rest();
            let end = offset.checked_add(bytes.len() as u64);
            if bytes.len() > MAX_DATA || end.is_none_or(|end| end > total) || bytes.is_empty() != (total == 0)
            {
                return Err(BadObject::Field("an offset").into());
            }
            Frame::Data(Data { request, index, offset, total, bytes })
        }
        kind::CREDIT => Frame::Credit { lane: lane(body)?, bytes: small(body, "a credit")? },
        kind::CANCEL => Frame::Cancel { request, items: places(body)? },
        kind::MISS => Frame::Miss { request, items: places(body)? },
        kind::BUSY => Frame::Busy { request, retry: small(body, "a time")? },
        kind::FETCH => {
            let count = bounded(body.number()?, "pods", MAX_HINTS)?;
            let from = list(body, count, |body| {
                let key = body.take(32)?.try_into().map_err(|_| BadObject::Short)?;
                Ok(PodId::from_bytes(key))
            })?;
            Frame::Fetch { request, from, ids: ids(body)? }
        }
        _ => {
            let reason = body.bytes()?;
            bounded(reason.len() as u64, "bytes of a reason", MAX_REASON)?;
            let reason = std::str::from_utf8(reason).map_err(|_| BadObject::Field("a reason"))?;
            Frame::Bye { reason: reason.to_owned() }
        }
    })
}

fn bounded(found: u64, what: &'static str, limit: usize) -> Result<usize, Wrong> {
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    if found > limit { Err(Wrong::TooMany { what, found, limit }) } else { Ok(found) }
}

fn list<'a, T>(
    body: &mut Reader<'a>,
    count: usize,
    one: impl Fn(&mut Reader<'a>) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    (0..count).map(|_| one(body)).collect()
}

fn small<T: TryFrom<u64>>(body: &mut Reader<'_>, what: &'static str) -> Result<T, Wrong> {
    T::try_from(body.number()?).map_err(|_| BadObject::Field(what).into())
}

fn lane(body: &mut Reader<'_>) -> Result<Lane, Wrong> {
    let byte = body.byte()?;
    Lane::ALL.into_iter().find(|lane| *lane as u8 == byte).ok_or(BadObject::Field("a lane").into())
}

fn id(body: &mut Reader<'_>) -> Result<ObjectId, Wrong> {
    let kind = ObjectKind::from_byte(body.byte()?).ok_or(BadObject::Field("a kind"))?;
    let digest: Digest = body.digest()?;
    Ok(ObjectId { kind, digest })
}

fn ids(body: &mut Reader<'_>) -> Result<Vec<ObjectId>, Wrong> {
    let count = bounded(body.number()?, "objects", MAX_ITEMS)?;
    list(body, count, id)
}

fn places(body: &mut Reader<'_>) -> Result<Vec<u32>, Wrong> {
    let count = bounded(body.number()?, "items", MAX_ITEMS)?;
    list(body, count, |body| small(body, "a place"))
}

fn item(body: &mut Reader<'_>) -> Result<Item, Wrong> {
    match body.byte()? {
        1 => Ok(Item::Whole(id(body)?)),
        2 => {
            let (id, offset) = (id(body)?, body.number()?);
            let length: u32 = small(body, "a length")?;
            if length == 0 || offset.checked_add(length.into()).is_none() {
                return Err(BadObject::Field("a length").into());
            }
            Ok(Item::Part { id, offset, length })
        }
        3 => Ok(Item::Chunks(id(body)?)),
        _ => Err(BadObject::Field("an item").into()),
    }
}
