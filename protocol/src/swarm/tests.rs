//! Frames round-trip, stay as they are, and nothing that is no frame does harm.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::codec::BadObject;
use crate::{Digest, ObjectId, ObjectKind, PodId};

fn id() -> impl Strategy<Value = ObjectId> {
    (0..4usize, any::<[u8; 32]>()).prop_map(|(kind, digest)| ObjectId {
        kind: ObjectKind::ALL[kind],
        digest: Digest::from_bytes(digest),
    })
}

fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::Urgent), Just(Lane::Bulk)]
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        id().prop_map(Item::Whole),
        id().prop_map(Item::Chunks),
        (id(), any::<u32>(), 1..u32::MAX).prop_map(|(id, offset, length)| Item::Part {
            id,
            offset: offset.into(),
            length
        }),
    ]
}

/// Frames without bytes of their own.
fn frame() -> impl Strategy<Value = Frame<'static>> {
    let request = any::<u32>();
    prop_oneof![
        (any::<u16>(), any::<u16>(), any::<u64>(), any::<[u32; 2]>()).prop_map(
            |(major, minor, features, credit)| Frame::Hello(Hello { major, minor, features, credit })
        ),
        (request, vec(id(), 0..20)).prop_map(|(request, ids)| Frame::Ask { request, ids }),
        (request, vec(any::<Option<u64>>(), 0..40), any::<u32>())
            .prop_map(|(request, sizes, lease)| Frame::Have { request, sizes, lease }),
        (request, lane(), vec(item(), 0..20)).prop_map(|(request, lane, items)| Frame::Want {
            request,
            lane,
            items
        }),
        (lane(), any::<u32>()).prop_map(|(lane, bytes)| Frame::Credit { lane, bytes }),
        (request, vec(any::<u32>(), 0..20)).prop_map(|(request, items)| Frame::Cancel { request, items }),
        (request, vec(any::<u32>(), 0..20)).prop_map(|(request, items)| Frame::Miss { request, items }),
        (request, any::<u32>()).prop_map(|(request, retry)| Frame::Busy { request, retry }),
        (request, vec(any::<[u8; 32]>().prop_map(PodId::from_bytes), 0..8), vec(id(), 0..20))
            .prop_map(|(request, from, ids)| Frame::Fetch { request, from, ids }),
        ".{0,100}".prop_map(|reason| Frame::Bye { reason }),
    ]
}

/// Takes a frame apart as a connection does.
fn read(bytes: &[u8]) -> Result<Frame<'_>, BadFrame> {
    let Some((length, rest)) = bytes.split_first_chunk() else { return Err(BadFrame::Length(0)) };
    let length = body_length(*length)?;
    match rest.split_at_checked(length) {
        Some((frame, &[])) => Frame::decode(frame),
        _ => Err(BadFrame::Length(length as u32)),
    }
}

proptest! {
    #[test]
    fn frames_round_trip(frame in frame()) {
        let bytes = frame.encode();
        prop_assert_eq!(read(&bytes), Ok(frame));
    }

    #[test]
    fn data_round_trips(request: u32, index: u32, offset in 0..u64::MAX / 2, bytes in vec(any::<u8>(), 1..2000)) {
        let total = offset + bytes.len() as u64;
        let frame = Frame::Data(Data { request, index, offset, total, bytes: &bytes });
        let encoded = frame.encode();
        prop_assert_eq!(read(&encoded), Ok(frame));
    }

    #[test]
    fn half_a_frame_is_none(frame in frame(), cut in 0.0..1.0f64) {
        let bytes = frame.encode();
        let cut = (bytes.len() as f64 * cut) as usize;
        prop_assert!(read(&bytes[..cut]).is_err());
        // Nor when the length in front is made to fit.
        if let Some(half) = bytes.get(4..cut) && half.len() >= MIN_FRAME {
            prop_assert!(Frame::decode(half).is_err());
        }
    }

    #[test]
    fn more_than_a_frame_is_none(frame in frame(), more in vec(any::<u8>(), 1..9)) {
        let mut bytes = frame.encode();
        bytes.extend(more);
        prop_assert!(Frame::decode(&bytes[4..]).is_err());
    }

    #[test]
    fn garbage_never_panics(kind in 0..16u8, body in vec(any::<u8>(), 0..300)) {
        let mut bytes = vec![kind, 0, 0, 0, 0];
        bytes.extend(body);
        if let Ok(frame) = Frame::decode(&bytes) {
            // One value, one encoding.
            prop_assert_eq!(&frame.encode()[4..], &bytes[..]);
        }
    }

    #[test]
    fn lengths_are_refused_before_they_are_allocated(length: u32) {
        let allowed = (MIN_FRAME..=MAX_FRAME).contains(&(length as usize));
        prop_assert_eq!(body_length(length.to_le_bytes()).is_ok(), allowed);
    }

    #[test]
    fn garbage_is_no_chunk_list(id in id(), bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(ChunkList::decode(id, &bytes).is_err());
    }

    #[test]
    fn chunk_lists_round_trip_and_know_their_object(
        id in id(),
        lengths in vec(ChunkParams::DEFAULT.least()..=ChunkParams::DEFAULT.most(), 0..20),
        last in 1..=ChunkParams::DEFAULT.most(),
        flip in any::<prop::sample::Index>(),
    ) {
        let lengths = lengths.into_iter().chain([last]);
        let chunks: Vec<_> = lengths.map(|length| Chunk { digest: Digest::of(&length.to_le_bytes()), length }).collect();
        let list = ChunkList::new(id, chunks).unwrap();
        let mut bytes = list.encode();
        prop_assert!(bytes.len() as u64 <= ChunkList::longest(list.size()));
        prop_assert_eq!(ChunkList::decode(id, &bytes), Ok(list.clone()));
        prop_assert_eq!(list.placed().last().map(|(at, chunk)| at + u64::from(chunk.length)), Some(list.size()));
        prop_assert!(ChunkList::decode(ObjectId::blob(Digest::of(b"other")), &bytes).is_err());
        let flip = flip.index(bytes.len());
        bytes[flip] ^= 1;
        prop_assert!(ChunkList::decode(id, &bytes).is_err());
    }
}

#[test]
fn lists_keep_their_bounds() {
    let blob = ObjectId::blob(Digest::of(b"x"));
    for (count, fits) in [(MAX_ITEMS, true), (MAX_ITEMS + 1, false)] {
        let mut writer = crate::codec::Writer::default();
        writer.number(count as u64);
        (0..count).for_each(|_| {
            writer.byte(1).digest(&blob.digest);
        });
        let mut bytes = vec![2, 0, 0, 0, 0];
        bytes.extend(writer.finish());
        assert_eq!(Frame::decode(&bytes).is_ok(), fits);
    }
    let full = [Item::Part { id: blob, offset: u64::MAX / 2, length: u32::MAX }; MAX_ITEMS];
    let frame = Frame::Want { request: 1, lane: Lane::Bulk, items: full.to_vec() };
    assert!(frame.encode().len() <= 4 + MAX_FRAME);
}

#[test]
fn a_count_makes_nobody_allocate() {
    // HAVE of 2^60 objects; a FETCH from 2^60 pods.
    for kind in [2, 3, 4, 7, 8, 10] {
        let mut bytes = vec![kind, 0, 0, 0, 0];
        bytes.extend(if kind == 4 { vec![1] } else { vec![] });
        bytes.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert!(matches!(Frame::decode(&bytes), Err(BadFrame::TooMany { .. })), "type {kind}");
    }
}

#[test]
fn an_item_keeps_to_its_total() {
    let frame =
        |offset, total, bytes| Frame::Data(Data { request: 1, index: 2, offset, total, bytes }).encode();
    assert!(Frame::decode(&frame(0, 0, b"")[4..]).is_ok());
    for bad in [frame(0, 2, b"abc"), frame(2, 4, b"abc"), frame(u64::MAX, u64::MAX, b"abc"), frame(0, 3, b"")]
    {
        let error = Frame::decode(&bad[4..]).unwrap_err();
        assert_eq!(error, BadFrame::Body { kind: 5, source: BadObject::Field("an offset") });
    }
}

/// The bytes of version 1.0, which other versions must understand.
#[test]
fn the_bytes_stay() {
    let digest = Digest::from_bytes([0xaa; 32]);
    let (blob, tree) = (ObjectId::blob(digest), ObjectId { kind: ObjectKind::Tree, digest });
    let pod = PodId::from_bytes([0xbb; 32]);
    let frames = [
        Frame::Hello(Hello { major: MAJOR, minor: MINOR, features: 0, credit: [1 << 20, 8 << 20] }),
        Frame::Ask { request: 7, ids: vec![blob, tree] },
        Frame::Have { request: 7, sizes: vec![Some(5), None, Some(300)], lease: 60 },
        Frame::Want {
            request: 8,
            lane: Lane::Urgent,
            items: vec![
                Item::Whole(blob),
                Item::Part { id: blob, offset: 128, length: 2 },
                Item::Chunks(tree),
            ],
        },
        Frame::Data(Data { request: 8, index: 1, offset: 0, total: 2, bytes: b"hi" }),
        Frame::Credit { lane: Lane::Bulk, bytes: 65536 },
        Frame::Cancel { request: 8, items: vec![] },
        Frame::Miss { request: 8, items: vec![2] },
        Frame::Busy { request: 8, retry: 100 },
        Frame::Fetch { request: 9, from: vec![pod], ids: vec![blob] },
        Frame::Bye { reason: "no".to_owned() },
    ];
    let hex = |frame: &Frame<'_>| -> String {
        let hex: String = frame.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        hex.replace(&"aa".repeat(32), "(digest)").replace(&"bb".repeat(32), "(pod)")
    };
    insta::assert_snapshot!(frames.iter().map(hex).collect::<Vec<_>>().join("\n"), @r"
    0f000000010000000001000080804080808004
    4800000002070000000201(digest)02(digest)
    0b0000000307000000033c0505ac02
    70000000040800000001030101(digest)0201(digest)8001020302(digest)
    0a00000005080000000100026869
    09000000060000000002808004
    06000000070800000000
    0700000008080000000102
    06000000090800000064
    480000000a0900000001(pod)0101(digest)
    080000000b00000000026e6f
    ");
}
