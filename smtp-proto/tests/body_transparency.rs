//! Content is sent as it is and ends once, whatever its bytes and however it is cut.

#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by a panic"
)]

use crate::exhaustive::is_exhaustive;
use crate::reference::{Policy, canonical, receive};
use bytes::Bytes;
use proptest::prelude::*;
use smtp_proto::content::internals::{Encoder, LineRules, Room, scan};
use smtp_proto::content::{ContentError, ContentErrorKind};

/// The bytes that matter to the end of the data and to dot-stuffing.
const ALPHABET: [u8; 5] = [b'\r', b'\n', b'.', b'x', 0];

/// Sequences that servers are known to have taken for `CRLF . CRLF`.
const SMUGGLING: [&[u8]; 9] = [
    b"\n.\n",
    b"\n.\r",
    b"\r.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\n\0.\r\n",
];

#[test]
fn v15_every_short_body_rejected_by_default_or_received_as_it_is_at_every_cut() {
    assert_eq!(Policy::REJECT.rules(), LineRules::new());
    every_short_body(Policy::REJECT);
}

#[test]
fn v15_every_short_body_converted_is_received_with_proper_line_ends_at_every_cut() {
    every_short_body(Policy::CONVERT);
}

#[test]
fn v15_every_short_body_keeps_a_tight_line_limit_at_every_cut() {
    for policy in [Policy::REJECT, Policy::CONVERT] {
        let policy = Policy {
            max_line: Some(2),
            ..policy
        };
        let len = if is_exhaustive() { 6 } else { 5 };
        bodies(len, &mut |body| every_cut(body, policy));
    }
}

#[test]
fn v16_a_smuggled_end_ends_nothing_at_any_offset() {
    let mut wire = Vec::new();
    for policy in [Policy::REJECT, Policy::CONVERT] {
        for sequence in SMUGGLING {
            for before in [
                "",
                "x",
                "first line\r\nsecond",
                "line\r\n",
                &"padding\r\n".repeat(40),
            ] {
                for after in [
                    "",
                    "\r\n",
                    "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
                    ".",
                ] {
                    let body = [before.as_bytes(), sequence, after.as_bytes()].concat();
                    every_cut(&body, policy);
                    // In pieces of every size, so that every byte comes first and last in some
                    // chunk.
                    for size in 1..=sequence.len() + 2 {
                        let sent = encode(body.chunks(size), policy, WIDE, &mut wire);
                        assert_eq!(sent.is_ok(), canonical(&body, policy).is_ok());
                        assert!(sent.is_err() || receive(&wire).is_some());
                    }
                }
            }
        }
        let rejected = |sequence: &&[u8]| scan(sequence, &policy.rules()).is_err();
        let nul = |sequence: &&[u8]| sequence.contains(&0);
        let expected = |sequence: &&[u8]| !policy.convert || nul(sequence);
        assert!(
            SMUGGLING
                .iter()
                .all(|sequence| rejected(sequence) == expected(sequence))
        );
    }
}

#[test]
fn an_error_or_dot_is_found_at_any_offset_of_long_content() {
    // Lines of every length around the usual one, so that line ends fall on every offset of a
    // block.
    let text: Vec<u8> = (60..80)
        .flat_map(|len| [&vec![b'x'; len][..], b"\r\n"].concat())
        .collect();
    let mut wire = Vec::new();
    for part in [
        &b"\0"[..],
        b"\r",
        b"\n",
        b"\r\n.",
        b"\r\r\n",
        b"\xc3",
        b"\n.\r\n",
    ] {
        for at in 0..text.len() {
            let mut body = text.clone();
            body.splice(at..at, part.iter().copied());
            for policy in [Policy::REJECT, Policy::CONVERT] {
                let expected = canonical(&body, policy);
                let sent = encode([&body[..]], policy, WIDE, &mut wire);
                assert_eq!(
                    sent.map_err(key),
                    expected.as_ref().map(drop).map_err(|fault| *fault)
                );
                assert_eq!(scan(&body, &policy.rules()).map(drop), sent);
                assert!(
                    sent.is_err() || receive(&wire) == expected.ok(),
                    "{part:?} at {at}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_bytes_on_the_wire_are_the_same_for_any_pieces_and_buffers(
        body in body(),
        convert: bool,
        eight_bit: bool,
        max_line in prop_oneof![Just(None), (0_usize..200).prop_map(Some), Just(Some(998))],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        room in (1_usize..700, 1_usize..5),
    ) {
        let policy = Policy { convert, eight_bit, max_line };
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        let expected = canonical(&body, policy);
        let sent = encode([&body[..]], policy, WIDE, &mut whole);
        prop_assert_eq!(sent.map_err(key), expected.as_ref().map(drop).map_err(|fault| *fault));

        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|ends| &body[ends[0]..ends[1]]);
        let again = encode(chunks, policy, Room::new(room.0, room.1), &mut pieces);
        prop_assert_eq!(again, sent);
        prop_assert_eq!(scan(&body, &policy.rules()).map(drop), sent);
        if let Ok(expected) = expected {
            prop_assert_eq!(receive(&whole), Some(expected.clone()));
            prop_assert_eq!(&whole, &pieces);
            facts_agree(&body, &whole, &expected, policy);
        }
    }
}

/// Content with line ends, dots and runs of every length, and sometimes a forbidden byte.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => (0_usize..160).prop_map(words),
        8 => Just(b"\r\n".to_vec()),
        4 => Just(b".".to_vec()),
        4 => Just(b"\r\n.\r\n".to_vec()),
        1 => (500_usize..1100).prop_map(|len| vec![b'x'; len]),
        1 => prop::sample::select(&FORBIDDEN[..]).prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

fn words(len: usize) -> Vec<u8> {
    b"some words. and more\tof them "
        .iter()
        .cycle()
        .take(len)
        .copied()
        .collect()
}

const FORBIDDEN: [&[u8]; 7] = [
    b"\r",
    b"\n",
    b"\n.\n",
    b"\r.\r",
    b"\0",
    b"\xc3\xa9",
    b"\x80",
];

const WIDE: Room = Room::new(usize::MAX, usize::MAX);

fn every_short_body(policy: Policy) {
    let len = if is_exhaustive() { 8 } else { 6 };
    bodies(len, &mut |body| every_cut(body, policy));
}

/// Calls `each` with every string of at most `len` bytes over the alphabet.
fn bodies(len: usize, each: &mut impl FnMut(&[u8])) {
    fn grow(body: &mut Vec<u8>, len: usize, each: &mut impl FnMut(&[u8])) {
        each(body);
        if body.len() < len {
            for byte in ALPHABET {
                body.push(byte);
                grow(body, len, each);
                body.pop();
            }
        }
    }
    grow(&mut Vec::with_capacity(len), len, each);
}

/// Sends `body` in two chunks, at every cut, and compares with the reference.
fn every_cut(body: &[u8], policy: Policy) {
    let (mut whole, mut wire) = (Vec::new(), Vec::new());
    let sent = encode([body], policy, WIDE, &mut whole);
    let expected = canonical(body, policy);
    assert_eq!(
        sent.map_err(key),
        expected.as_ref().map(drop).map_err(|fault| *fault),
        "{body:?}"
    );
    assert_eq!(scan(body, &policy.rules()).map(drop), sent, "{body:?}");
    if let Ok(expected) = expected {
        assert_eq!(receive(&whole).as_ref(), Some(&expected), "{body:?}");
        facts_agree(body, &whole, &expected, policy);
    }
    // This is the hot loop of the exhaustive tests: it allocates nothing.
    let bytes = Bytes::copy_from_slice(body);
    for cut in 1..body.len() {
        let mut encoder = Encoder::new(&policy.rules());
        wire.clear();
        let mut send = |mut chunk: Bytes| {
            while !chunk.is_empty() {
                encoder.encode(&mut chunk, WIDE, &mut |piece| {
                    wire.extend_from_slice(&piece)
                })?;
            }
            Ok(())
        };
        let ended = send(bytes.slice(..cut))
            .and_then(|()| send(bytes.slice(cut..)))
            .and_then(|()| encoder.finish());
        match (sent, ended) {
            (Ok(()), Ok(end)) => {
                wire.extend_from_slice(end);
                assert!(wire == whole, "{body:?} cut at {cut}: {wire:?}");
            }
            (sent, ended) => assert_eq!(ended.map(drop), sent, "{body:?} cut at {cut}"),
        }
    }
}

/// Compares the scan of valid content, which is received as `text`, with its bytes on the wire,
/// also from an encoder that relies on the scan.
fn facts_agree(body: &[u8], wire: &[u8], text: &[u8], policy: Policy) {
    let facts = scan(body, &policy.rules()).unwrap();
    let mut trusted = Vec::new();
    drive(Encoder::verified(&facts), [body], WIDE, &mut trusted).unwrap();
    assert_eq!(trusted, wire, "{body:?}");
    assert_eq!(facts.wire_len(), wire.len() as u64 - 3, "{body:?}");
    assert_eq!(facts.message_len(), text.len() as u64, "{body:?}");
    assert_eq!(
        facts.dots(),
        facts.wire_len() - facts.message_len(),
        "{body:?}"
    );
    assert_eq!(facts.ends_with_crlf(), body.ends_with(b"\r\n"), "{body:?}");
    let completed = text.strip_suffix(b"\r\n") == Some(body);
    assert_eq!(facts.is_converted(), text != body && !completed, "{body:?}");
}

fn encode<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
    policy: Policy,
    room: Room,
    wire: &mut Vec<u8>,
) -> Result<(), ContentError> {
    drive(Encoder::new(&policy.rules()), chunks, room, wire)
}

/// Appends all that an encoder sends to `wire`, the end of the data included.
fn drive<'a>(
    mut encoder: Encoder,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    room: Room,
    wire: &mut Vec<u8>,
) -> Result<(), ContentError> {
    wire.clear();
    for chunk in chunks {
        let mut chunk = Bytes::copy_from_slice(chunk);
        while !chunk.is_empty() {
            let (left, sent) = (chunk.len(), wire.len());
            let mut pieces = 0;
            let done = encoder.encode(&mut chunk, room, &mut |piece| {
                assert!(!piece.is_empty());
                wire.extend_from_slice(&piece);
                pieces += 1;
            });
            assert!(pieces <= room.pieces() && wire.len() - sent <= room.bytes());
            if let Err(fault) = done {
                assert_eq!(
                    encoder.encode(&mut chunk, room, &mut |_| panic!("sent after a fault")),
                    done
                );
                assert_eq!(encoder.finish(), Err(fault));
                return done;
            }
            assert!(chunk.len() < left || wire.len() > sent, "no progress");
        }
    }
    wire.extend_from_slice(encoder.finish()?);
    Ok(())
}

fn key(fault: ContentError) -> (u64, ContentErrorKind) {
    (fault.offset(), fault.kind())
}
