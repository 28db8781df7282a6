//! Streamed content for a server with CHUNKING: the sizes of the chunks, when each piece is wanted,
//! and that nothing is copied.

use std::task::Poll;

use crate::common;
use crate::common::pair::transmit;

use bytes::Bytes;
use common::pair::Pair;
use common::session::Mode;
use proptest::prelude::*;
use smtp_proto::content::{BareLineEnds, ContentErrorKind};
use smtp_proto::{ContentStatus, ErrorKind, Mail, MailId, Pipelining, StreamedContent};
use smtp_test::Machine;

fn pair(mode: Mode) -> Pair<Machine> {
    Pair::new(mode.config(), Machine::new(&mode.plain_server()))
}

fn streamed(line_ends: BareLineEnds) -> Mail {
    Mail::builder()
        .sender("from@x.test")
        .recipient("to@x.test")
        .bare_line_ends(line_ends)
        .max_line_len(None)
        .without_header_check()
        .streamed(StreamedContent::new())
        .build()
        .unwrap()
}

/// Waits until a piece is wanted.
fn wanted(pair: &mut Pair<Machine>, id: MailId) {
    let status = pair.drive(|c| c.poll_content(id)).unwrap();
    assert_eq!(status, ContentStatus::Wanted);
}

/// The sizes of all chunks, as BDAT announced them.
fn chunks(pair: &Pair<Machine>) -> Vec<usize> {
    let mut sizes = Vec::new();
    let mut rest = pair.sent.as_slice();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&rest[..end]).trim_end().to_owned();
        rest = &rest[end + 1..];
        if let Some((size, _)) = common::dialogue::chunk(&line) {
            sizes.push(size);
            rest = &rest[size..];
        }
    }
    sizes
}

const LINE: &[u8] = b"0123456789012345678901234567890123456789012345678901234567890123456789\r\n";

#[test]
fn ten_megabytes_go_through_a_bounded_send_buffer_without_a_copy() {
    let mode = Mode::new(Pipelining::Envelope).in_chunks(1 << 20);
    let server = mode.plain_server().discard_bodies().discard_transcripts();
    let mut pair = Pair::new(mode.config(), Machine::new(&server));
    let id = pair.connection.submit(streamed(BareLineEnds::Reject));
    let piece = Bytes::from(LINE.repeat(1024));
    let inside = |slice: &[u8]| {
        let (all, part) = (piece.as_ptr_range(), slice.as_ptr_range());
        all.start <= part.start && part.end <= all.end
    };
    let mut written = 0;
    while written < 10 << 20 {
        wanted(&mut pair, id);
        let heap = allocation_counter::measure(|| {
            pair.connection.write_content(id, piece.clone()).unwrap();
            let offer = transmit(&mut pair.connection, pair.now).unwrap();
            assert!(offer.len() <= 65_536 + "BDAT 73728\r\n".len());
            for slice in offer.iter() {
                assert!(inside(slice) || slice == b"BDAT 73728\r\n", "copied");
            }
        });
        assert!(heap.bytes_max < 4096, "{} bytes of heap", heap.bytes_max);
        written += piece.len();
        pair.exchange();
        pair.sent.clear();
        pair.transmitted.clear();
    }
    pair.connection.finish_content(id).unwrap();
    assert!(pair.drive(|c| c.poll_outcome(id)).unwrap().is_accepted());
    let mails = pair.peer.log().mails();
    assert_eq!(mails[0].body_len(), u64::try_from(written).unwrap());
}

#[test]
fn a_piece_is_sent_in_the_fewest_chunks_of_the_chunk_size() {
    for (size, expected) in [
        (1 << 20, vec![200_000, 0]),
        (200_000, vec![200_000, 0]),
        (199_999, vec![199_999, 1, 0]),
        (70_000, vec![70_000, 70_000, 60_000, 0]),
    ] {
        let mut pair = pair(Mode::new(Pipelining::Envelope).in_chunks(size));
        let id = pair.connection.submit(streamed(BareLineEnds::Reject));
        wanted(&mut pair, id);
        let text: Vec<u8> = LINE
            .iter()
            .copied()
            .cycle()
            .take(199_998)
            .chain(*b"\r\n")
            .collect();
        pair.connection.write_content(id, text.into()).unwrap();
        wanted(&mut pair, id);
        pair.connection.finish_content(id).unwrap();
        assert!(pair.drive(|c| c.poll_outcome(id)).unwrap().is_accepted());
        assert_eq!(chunks(&pair), expected);
        pair.peer.log().assert_clean();
    }
}

#[test]
fn small_pieces_at_hand_are_sent_in_one_chunk_without_a_wait() {
    let mut pair = pair(Mode::new(Pipelining::Envelope).in_chunks(1 << 20));
    let id = pair.connection.submit(streamed(BareLineEnds::Reject));
    let write = |pair: &mut Pair<Machine>, piece: &'static [u8]| {
        let piece = Bytes::from_static(piece);
        pair.connection.write_content(id, piece).unwrap();
    };
    wanted(&mut pair, id);
    write(&mut pair, b"one\r\n");
    wanted(&mut pair, id);
    for _ in 0..10_000 {
        write(&mut pair, b"ab");
        write(&mut pair, b"cdefgh\r\n");
    }
    let offer = transmit(&mut pair.connection, pair.now).unwrap();
    // The buffer of the chunk, a piece, and the joined pieces: a copy of about 16 KiB each.
    assert!(offer.iter().count() < 10, "{offer:?}");
    wanted(&mut pair, id);
    write(&mut pair, LINE);
    write(&mut pair, b"end\r\n");
    pair.connection.finish_content(id).unwrap();
    assert!(pair.drive(|c| c.poll_outcome(id)).unwrap().is_accepted());
    assert_eq!(chunks(&pair), [5, 100_000, LINE.len() + 5]);
    pair.peer.log().assert_clean();
}

#[test]
fn a_large_piece_is_not_joined_with_others() {
    let mut pair = pair(Mode::new(Pipelining::Envelope).in_chunks(1 << 20));
    let id = pair.connection.submit(streamed(BareLineEnds::Reject));
    wanted(&mut pair, id);
    let large = Bytes::from(LINE.repeat(8));
    for piece in [b"a\r\n", b"b\r\n", b"c\r\n"] {
        let piece = Bytes::from_static(piece);
        pair.connection.write_content(id, piece).unwrap();
        pair.connection.write_content(id, large.clone()).unwrap();
    }
    let offer = transmit(&mut pair.connection, pair.now).unwrap();
    let lens: Vec<_> = offer.iter().map(<[u8]>::len).collect();
    assert_eq!(lens, [11, 3, 576, 3, 576, 3, 576]);
}

#[test]
fn no_piece_is_wanted_while_a_chunk_waits_for_the_reply_to_the_one_before() {
    let mut pair = pair(Mode::new(Pipelining::Off).in_chunks(1 << 20));
    let id = pair.connection.submit(streamed(BareLineEnds::Reject));
    wanted(&mut pair, id);
    pair.connection
        .write_content(id, Bytes::from_static(b"one\r\n"))
        .unwrap();
    pair.write();
    // All of it is sent, and the next piece may be prepared meanwhile.
    assert!(matches!(
        pair.connection.poll_content(id),
        Poll::Ready(Ok(ContentStatus::Wanted))
    ));
    pair.connection
        .write_content(id, Bytes::from_static(b"two\r\n"))
        .unwrap();
    assert!(
        !pair.write(),
        "a chunk went out before the reply to the one before"
    );
    for _ in 0..3 {
        assert!(pair.connection.poll_content(id).is_pending());
    }
    pair.read();
    assert!(pair.write());
    assert!(matches!(
        pair.connection.poll_content(id),
        Poll::Ready(Ok(ContentStatus::Wanted))
    ));
    assert_eq!(chunks(&pair), [5, 5]);
}

#[test]
fn invalid_content_gets_no_last_chunk_even_if_one_waits() {
    let mut pair = pair(Mode::new(Pipelining::Off).in_chunks(1 << 20));
    let mail = Mail::builder()
        .recipient("to@x.test")
        .streamed(StreamedContent::new());
    let id = pair.connection.submit(mail.build().unwrap());
    wanted(&mut pair, id);
    for (piece, goes_out) in [("Subject: one\r\n", true), ("To: two\r\n", false)] {
        let piece = Bytes::from_static(piece.as_bytes());
        pair.connection.write_content(id, piece).unwrap();
        assert_eq!(pair.write(), goes_out);
    }
    pair.connection.finish_content(id).unwrap();
    let outcome = pair.drive(|c| c.poll_outcome(id)).unwrap();
    let error = outcome.error().unwrap();
    let fault = match error.kind() {
        ErrorKind::Content(fault) => (fault.offset(), fault.kind()),
        other => panic!("{other:?}"),
    };
    assert_eq!(fault, (23, ContentErrorKind::NoFrom));
    assert_eq!(chunks(&pair), [14]);
}

#[test]
fn no_piece_is_wanted_while_the_transport_takes_nothing() {
    let mut pair = pair(Mode::new(Pipelining::Envelope).in_chunks(1 << 20));
    let id = pair.connection.submit(streamed(BareLineEnds::Reject));
    wanted(&mut pair, id);
    pair.connection
        .write_content(id, LINE.repeat(2000).into())
        .unwrap();
    for _ in 0..100 {
        assert!(transmit(&mut pair.connection, pair.now).unwrap().len() <= 65_600);
        assert!(pair.connection.poll_content(id).is_pending());
    }
    pair.write();
    wanted(&mut pair, id);
}

/// Pieces with line ends of all kinds, cut anywhere.
fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let part = prop::sample::select(vec![
        &b"line\r\n"[..],
        b".\r\n",
        b"a",
        b"\r",
        b"\n",
        b"\r\n",
        b"",
        b"some more of it",
    ]);
    prop::collection::vec(
        prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat()),
        0..6,
    )
}

/// The content with every line end made CRLF, and a missing last one added.
fn canonical(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (end, len) = match &text[at..] {
            [b'\r', b'\n', ..] => (true, 2),
            [b'\r' | b'\n', ..] => (true, 1),
            _ => (false, 1),
        };
        out.extend_from_slice(if end { b"\r\n" } else { &text[at..at + 1] });
        at += len;
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_content_in_any_pieces_in_any_chunks_arrives_whole(
        pieces in pieces(),
        size in 1..20_u64,
        level in prop::sample::select(vec![Pipelining::Off, Pipelining::Envelope, Pipelining::Speculative]),
        waits in any::<bool>(),
        whole in any::<bool>(),
        write_at_most in prop::sample::select(vec![1, 5, usize::MAX]),
    ) {
        let mut pair = pair(Mode::new(level).in_chunks(size));
        pair.write_at_most = write_at_most;
        let text = pieces.concat();
        if whole {
            let mail = Mail::builder()
                .sender("from@x.test")
                .recipient("to@x.test")
                .bare_line_ends(BareLineEnds::Convert)
                .without_header_check().message(text.clone())
                .build()
                .unwrap();
            let id = pair.connection.submit(mail);
            prop_assert!(pair.drive(|c| c.poll_outcome(id)).unwrap().is_accepted());
        } else {
            let id = pair.connection.submit(streamed(BareLineEnds::Convert));
            for piece in pieces {
                if waits {
                    wanted(&mut pair, id);
                }
                pair.connection.write_content(id, piece.into()).unwrap();
            }
            pair.connection.finish_content(id).unwrap();
            prop_assert!(pair.drive(|c| c.poll_outcome(id)).unwrap().is_accepted());
        }
        let log = pair.peer.log();
        log.assert_clean();
        let expected = canonical(&text);
        let mails = log.mails();
        prop_assert_eq!(mails[0].body(), expected.as_slice());
        for each in chunks(&pair) {
            prop_assert!(u64::try_from(each).unwrap() <= size);
        }
    }
}
