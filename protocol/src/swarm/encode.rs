//! Frames to bytes.

use super::frame::{Data, Frame, Item, kind};
use super::{MAX_HINTS, MAX_ITEMS, MAX_REASON};
use crate::ObjectId;
use crate::codec::Writer;

impl Frame<'_> {
    /// The frame with its length in front. Lists must keep their bounds; a sentence is cut.
    pub fn encode(&self) -> Vec<u8> {
        if let Frame::Data(data) = self {
            let mut frame = data_header(data);
            frame.extend_from_slice(data.bytes);
            return frame;
        }
        let mut body = Writer::default();
        let (kind, request) = self.body(&mut body);
        finish(kind, request, &body.finish(), 0)
    }

    fn body(&self, body: &mut Writer) -> (u8, u32) {
        match self {
            Frame::Hello(hello) => {
                body.number(hello.major.into()).number(hello.minor.into()).number(hello.features);
                hello.credit.iter().for_each(|&credit| {
                    body.number(credit.into());
                });
                (kind::HELLO, 0)
            }
            Frame::Ask { request, ids: list } => {
                ids(body, list);
                (kind::ASK, *request)
            }
            Frame::Have { request, sizes, lease } => {
                debug_assert!(sizes.len() <= MAX_ITEMS);
                body.number(sizes.len() as u64).number((*lease).into());
                for eight in sizes.chunks(8) {
                    let bits = eight.iter().enumerate().map(|(bit, size)| u8::from(size.is_some()) << bit);
                    body.byte(bits.sum());
                }
                sizes.iter().flatten().for_each(|&size| {
                    body.number(size);
                });
                (kind::HAVE, *request)
            }
            Frame::Want { request, lane, items } => {
                debug_assert!(items.len() <= MAX_ITEMS);
                body.byte(*lane as u8).number(items.len() as u64);
                items.iter().for_each(|wanted| item(body, wanted));
                (kind::WANT, *request)
            }
            Frame::Data(data) => (kind::DATA, data.request),
            Frame::Credit { lane, bytes } => {
                body.byte(*lane as u8).number((*bytes).into());
                (kind::CREDIT, 0)
            }
            Frame::Cancel { request, items } => {
                places(body, items);
                (kind::CANCEL, *request)
            }
            Frame::Miss { request, items } => {
                places(body, items);
                (kind::MISS, *request)
            }
            Frame::Busy { request, retry } => {
                body.number((*retry).into());
                (kind::BUSY, *request)
            }
            Frame::Fetch { request, from, ids: list } => {
                debug_assert!(from.len() <= MAX_HINTS);
                body.number(from.len() as u64);
                from.iter().for_each(|pod| {
                    body.raw(pod.as_bytes());
                });
                ids(body, list);
                (kind::FETCH, *request)
            }
            Frame::Bye { reason } => {
                let ends = reason.char_indices().map(|(at, char)| at + char.len_utf8());
                let end = ends.take_while(|&end| end <= MAX_REASON).last().unwrap_or(0);
                body.bytes(&reason.as_bytes()[..end]);
                (kind::BYE, 0)
            }
        }
    }
}

/// A DATA frame up to its bytes, which are to follow: so that they need not be copied.
pub fn data_header(data: &Data<'_>) -> Vec<u8> {
    let mut body = Writer::default();
    body.number(data.index.into()).number(data.offset).number(data.total);
    finish(kind::DATA, data.request, &body.finish(), data.bytes.len())
}

fn finish(kind: u8, request: u32, body: &[u8], more: usize) -> Vec<u8> {
    let length = super::MIN_FRAME + body.len() + more;
    debug_assert!(length <= super::MAX_FRAME);
    let mut frame = Vec::with_capacity(4 + length);
    frame.extend_from_slice(&(length as u32).to_le_bytes());
    frame.push(kind);
    frame.extend_from_slice(&request.to_le_bytes());
    frame.extend_from_slice(body);
    frame
}

fn ids(body: &mut Writer, ids: &[ObjectId]) {
    debug_assert!(ids.len() <= MAX_ITEMS);
    body.number(ids.len() as u64);
    ids.iter().for_each(|each| id(body, each));
}

fn id(body: &mut Writer, id: &ObjectId) {
    body.byte(id.kind as u8).digest(&id.digest);
}

fn item(body: &mut Writer, item: &Item) {
    match item {
        Item::Whole(of) => {
            body.byte(1);
            id(body, of);
        }
        Item::Part { id: of, offset, length } => {
            body.byte(2);
            id(body, of);
            body.number(*offset).number((*length).into());
        }
        Item::Chunks(of) => {
            body.byte(3);
            id(body, of);
        }
    }
}

fn places(body: &mut Writer, items: &[u32]) {
    debug_assert!(items.len() <= MAX_ITEMS);
    body.number(items.len() as u64);
    items.iter().for_each(|&place| {
        body.number(place.into());
    });
}
