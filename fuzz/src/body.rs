//! For any cuts of the content, a server gets the canonical content and exactly one end, or both
//! `scan` and `Encoder` return the same error.

use bytes::Bytes;
use smtp_proto::content::ContentError;
use smtp_proto::content::internals::{Encoder, Room, scan};

use crate::choice;
use crate::reference::{Policy, canonical, receive};

/// Bytes: rules, line limit, buffer in bytes and pieces, two lengths of chunks; then the content.
pub fn body(mut input: &[u8]) {
    let rules = choice(&mut input, 4);
    let policy = Policy {
        convert: rules & 1 == 1,
        eight_bit: rules & 2 == 2,
        max_line: [Some(998), None, Some(0), Some(1), Some(5), Some(512)][choice(&mut input, 6)],
    };
    let room = Room::new(
        [usize::MAX, 1, 2, 3, 100, 513][choice(&mut input, 6)],
        [usize::MAX, 1, 2, 3][choice(&mut input, 4)],
    );
    let lengths = [choice(&mut input, 80) + 1, choice(&mut input, 80) * 9 + 1];
    let body = input;

    let expected = canonical(body, policy);
    let facts = scan(body, &policy.rules());
    let checked = encode(Encoder::new(&policy.rules()), body, lengths, room);
    let as_pair = |fault: ContentError| (fault.offset(), fault.kind());
    let expected = match expected {
        Ok(expected) => expected,
        Err(fault) => {
            assert_eq!(facts.map(|_| ()).map_err(as_pair), Err(fault));
            assert_eq!(checked.map_err(as_pair), Err(fault));
            return;
        }
    };
    let (facts, checked) = (facts.unwrap(), checked.unwrap());
    let verified = encode(Encoder::verified(&facts), body, lengths, room).unwrap();
    for wire in [&checked, &verified] {
        let received = receive(wire).map(|text| text.escape_ascii().to_string());
        assert_eq!(received, Some(expected.escape_ascii().to_string()));
    }
    assert_eq!(checked, verified);
    assert_eq!(facts.message_len(), byte_len(expected.len()));
    assert_eq!(facts.wire_len() + 3, byte_len(checked.len()));
    assert_eq!(facts.wire_len() - facts.message_len(), facts.dots());
    assert_eq!(facts.ends_with_crlf(), body.ends_with(b"\r\n"));
    let eight_bit = facts.header_eight_bit() || facts.body_eight_bit();
    assert_eq!(eight_bit, !body.is_ascii());
}

/// The expected bytes on the wire.
fn encode(
    mut encoder: Encoder,
    body: &[u8],
    lengths: [usize; 2],
    room: Room,
) -> Result<Vec<u8>, ContentError> {
    let mut wire = Vec::new();
    let mut rest = Bytes::copy_from_slice(body);
    let mut lengths = lengths.into_iter().cycle();
    while !rest.is_empty() {
        let len = lengths.next().unwrap_or(1).min(rest.len());
        let mut chunk = rest.split_to(len);
        while !chunk.is_empty() {
            let (before, mut given, mut pieces) = (chunk.len(), 0, 0);
            let done = encoder.encode(&mut chunk, room, &mut |piece| {
                assert!(!piece.is_empty());
                given += piece.len();
                pieces += 1;
                wire.extend_from_slice(&piece);
            });
            assert!(given <= room.bytes() && pieces <= room.pieces());
            if let Err(fault) = done {
                assert_eq!(encoder.finish(), Err(fault), "a fault stays");
                return Err(fault);
            }
            assert!(given > 0 || chunk.len() < before, "no way forward");
        }
    }
    wire.extend_from_slice(encoder.finish()?);
    Ok(wire)
}

fn byte_len(len: usize) -> u64 {
    u64::try_from(len).unwrap()
}
