//! The frames.

use crate::{ObjectId, PodId};

/// One of the two streams that carry bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Lane {
    /// What a running step waits for.
    Urgent = 1,
    /// Everything else.
    Bulk = 2,
}

impl Lane {
    /// Both, the urgent first.
    pub const ALL: [Lane; 2] = [Self::Urgent, Self::Bulk];

    /// Its place in arrays of both.
    pub const fn index(self) -> usize {
        self as usize - 1
    }
}

/// The first frame of each side on the control stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// See [`super::MAJOR`].
    pub major: u16,
    /// See [`super::MINOR`].
    pub minor: u16,
    /// Bits of what it can do beyond its minor version; unknown ones are ignored.
    pub features: u64,
    /// Bytes that it takes before it gives more credit, for each lane.
    pub credit: [u32; 2],
}

/// One thing that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Item {
    /// An object from start to end.
    Whole(ObjectId),
    /// A part of an object.
    Part {
        /// The object.
        id: ObjectId,
        /// The first byte.
        offset: u64,
        /// How many bytes, at least one.
        length: u32,
    },
    /// The object's [`super::ChunkList`] in its canonical form.
    Chunks(ObjectId),
}

impl Item {
    /// The object that it is of.
    pub fn id(&self) -> ObjectId {
        match *self {
            Self::Whole(id) | Self::Part { id, .. } | Self::Chunks(id) => id,
        }
    }
}

/// Bytes of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data<'a> {
    /// The WANT that they answer.
    pub request: u32,
    /// The item's place in it.
    pub index: u32,
    /// Where in the item they begin: the parts of an item come in order, the items of a lane too.
    pub offset: u64,
    /// The item's length.
    pub total: u64,
    /// At most [`super::MAX_DATA`]; empty only if the item is.
    pub bytes: &'a [u8],
}

/// What is said. Requests are numbered by the asker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Who speaks, and what it can do.
    Hello(Hello),
    /// HAVE?: are these there?
    Ask {
        /// Its number.
        request: u32,
        /// At most [`super::MAX_ITEMS`].
        ids: Vec<ObjectId>,
    },
    /// These are there: a bitmap, and the sizes of the set ones.
    Have {
        /// The question.
        request: u32,
        /// In the question's order.
        sizes: Vec<Option<u64>>,
        /// Seconds for which what is there will surely stay.
        lease: u32,
    },
    /// Send these.
    Want {
        /// Its number.
        request: u32,
        /// On this stream.
        lane: Lane,
        /// At most [`super::MAX_ITEMS`].
        items: Vec<Item>,
    },
    /// Bytes.
    Data(Data<'a>),
    /// So many bytes more may be sent on this lane.
    Credit {
        /// The lane.
        lane: Lane,
        /// More bytes.
        bytes: u32,
    },
    /// These are no longer wanted.
    Cancel {
        /// The WANT.
        request: u32,
        /// Places in it; none means all.
        items: Vec<u32>,
    },
    /// These are not there.
    Miss {
        /// The WANT.
        request: u32,
        /// Places in it.
        items: Vec<u32>,
    },
    /// Not now: nothing of this request will be answered.
    Busy {
        /// The WANT, HAVE? or FETCH.
        request: u32,
        /// Milliseconds after which it is worth asking again.
        retry: u32,
    },
    /// Get these from one of those pods, and answer with a HAVE.
    Fetch {
        /// Its number.
        request: u32,
        /// At most [`super::MAX_HINTS`].
        from: Vec<PodId>,
        /// At most [`super::MAX_ITEMS`].
        ids: Vec<ObjectId>,
    },
    /// The speaker closes the connection, and why.
    Bye {
        /// A sentence, cut at [`super::MAX_REASON`] bytes.
        reason: String,
    },
}

/// The numbers of the types.
pub(super) mod kind {
    pub const HELLO: u8 = 1;
    pub const ASK: u8 = 2;
    pub const HAVE: u8 = 3;
    pub const WANT: u8 = 4;
    pub const DATA: u8 = 5;
    pub const CREDIT: u8 = 6;
    pub const CANCEL: u8 = 7;
    pub const MISS: u8 = 8;
    pub const BUSY: u8 = 9;
    pub const FETCH: u8 = 10;
    pub const BYE: u8 = 11;
}
