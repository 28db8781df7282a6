use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// The result of an input: the kept bytes of each reply and whether they are all of it, the error,
/// and the bytes left over.
#[derive(Debug, PartialEq)]
struct Read {
    replies: Vec<(Vec<u8>, bool)>,
    error: Option<ReplyError>,
    fragment: Vec<u8>,
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &ReplyLimits) -> Read {
    let mut reply_reader = ReplyReader::default();
    let mut replies = Vec::new();
    for piece in pieces {
        let mut input = piece;
        let error = loop {
            match reply_reader.next(&mut input, limits) {
                Ok(Some(reply)) => {
                    let digits = &reply.raw()[..3];
                    assert_eq!(reply.code().to_string().as_bytes(), digits);
                    replies.push((reply.raw().to_vec(), reply.is_truncated()));
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        if error.is_some() {
            assert_eq!(
                reply_reader.next(&mut &b"250 ok\r\n"[..], limits).err(),
                error,
                "an error stays"
            );
            return Read {
                replies,
                error,
                fragment: reply_reader.partial_reply().to_vec(),
            };
        }
        assert!(input.is_empty(), "all of it is taken");
    }
    Read {
        replies,
        error: None,
        fragment: reply_reader.partial_reply().to_vec(),
    }
}

fn by_byte(input: &[u8], limits: &ReplyLimits) -> Read {
    read(input.chunks(1), limits)
}

/// A model that reads one byte at a time, written independently of the reply reader and without
/// regard for speed and memory.
fn model(input: &[u8], limits: &ReplyLimits) -> Read {
    let mut replies = Vec::new();
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut first: Option<u16> = None;
    for &byte in input {
        let line = lines.last_mut().unwrap();
        line.push(byte);
        let line = line.clone();
        let len = lines.iter().map(Vec::len).sum::<usize>();
        let mut verdict = Ok(None);
        if len == 1 && (byte == 0x15 || byte == 0x16) {
            verdict = Err(ReplyError::TlsRecord);
        } else if byte == 0 {
            verdict = Err(ReplyError::Nul { offset: len - 1 });
        } else if byte == b'\n' {
            let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let code = String::from_utf8_lossy(&line[..digits]).parse::<u16>();
            verdict = match (digits, code, &line[digits..]) {
                (3, Ok(code), [b'-' | b' ', ..] | b"\n" | b"\r\n") => match first.replace(code) {
                    _ if !(200..600).contains(&code) => Err(ReplyError::BadCode { code }),
                    Some(first) if first != code => Err(ReplyError::MixedCodes {
                        first: ReplyCode::new(first).unwrap(),
                        other: ReplyCode::new(code).unwrap(),
                    }),
                    _ => Ok((line[3] != b'-').then_some(code)),
                },
                _ => Err(ReplyError::Malformed { line: lines.len() }),
            };
        }
        match verdict {
            Ok(Some(_)) => {
                replies.push(kept(&lines, limits));
                (first, lines) = (None, vec![Vec::new()]);
            }
            Ok(None) if byte == b'\n' => lines.push(Vec::new()),
            Ok(None) => {}
            Err(error) => {
                return Read {
                    replies,
                    error: Some(error),
                    fragment: kept(&lines, limits).0,
                };
            }
        }
    }
    Read {
        replies,
        error: None,
        fragment: kept(&lines, limits).0,
    }
}

/// What the limits keep of these lines, and whether anything was dropped. An incomplete line is not
/// marked yet.
fn kept(lines: &[Vec<u8>], limits: &ReplyLimits) -> (Vec<u8>, bool) {
    let (mut kept, mut truncated) = (Vec::new(), false);
    for (number, line) in lines.iter().enumerate() {
        let left = limits.reply - kept.len();
        let most = if number < limits.lines && left >= 16 {
            left.min(limits.line)
        } else {
            0
        };
        if line.len() <= most {
            kept.extend(line);
        } else if most > 0 && line.ends_with(b"\n") {
            kept.extend(&line[..most - 5]);
            kept.extend("…\r\n".as_bytes());
            truncated = true;
        } else {
            kept.extend(&line[..most]);
            truncated |= line.ends_with(b"\n");
        }
    }
    (kept, truncated)
}

fn code(code: u16) -> ReplyCode {
    ReplyCode::new(code).unwrap()
}

#[test]
fn v23_a_reply_follows_the_grammar_and_anything_else_is_fatal() {
    enum Is {
        Replies(usize),
        Partial,
        Fatal(ReplyError),
    }
    use Is::{Fatal, Partial, Replies};
    let malformed = |line| Fatal(ReplyError::Malformed { line });
    let bad = |code| Fatal(ReplyError::BadCode { code });
    let mixed = |first, other| {
        Fatal(ReplyError::MixedCodes {
            first: code(first),
            other: code(other),
        })
    };
    let rows: [(&[u8], Is); 46] = [
        (b"250 ok\r\n", Replies(1)),
        (b"250\r\n", Replies(1)),
        (b"250 \r\n", Replies(1)),
        (b"250 ok\n", Replies(1)),
        (b"250\n", Replies(1)),
        (b"250-a\r\n250 b\r\n", Replies(1)),
        (b"250-a\r\n250\r\n", Replies(1)),
        (b"250-\r\n250-\r\n250 \r\n", Replies(1)),
        (b"250-a\n250 b\r\n", Replies(1)),
        (b"250 a\rb\r\n", Replies(1)),
        (b"250 a\r\r\n", Replies(1)),
        (b"250 \xc3\xa9\xff\x01\x7f\r\n", Replies(1)),
        (b"299 a\r\n399 b\r\n499 c\r\n599 d\r\n", Replies(4)),
        (b"220 a\r\n250-b\r\n250 c\r\n", Replies(2)),
        (b"571 a\r\n", Replies(1)),
        (b"250 250-a\r\n", Replies(1)),
        (b"250--\r\n250 -\r\n", Replies(1)),
        (b"", Partial),
        (b"250 a\r", Partial),
        (b"250-a\r\n", Partial),
        (b"1234", Partial),
        (b"\r\n", malformed(1)),
        (b"\n", malformed(1)),
        (b" \r\n", malformed(1)),
        (b"0\r\n", malformed(1)),
        (b"25\r\n", malformed(1)),
        (b"25 a\r\n", malformed(1)),
        (b"01x\r\n", malformed(1)),
        (b"1234\r\n", malformed(1)),
        (b"2500 a\r\n", malformed(1)),
        (b"250x\r\n", malformed(1)),
        (b"250\ta\r\n", malformed(1)),
        (b"250\r\r\n", malformed(1)),
        (b" 250 a\r\n", malformed(1)),
        (b"HTTP/1.1 400 Bad Request\r\n", malformed(1)),
        (b"250-a\r\n\r\n250 b\r\n", malformed(2)),
        (b"250-a\r\nb\r\n250 c\r\n", malformed(2)),
        (b"250-a\r\n250.b\r\n", malformed(2)),
        (b"000 a\r\n", bad(0)),
        (b"050 a\r\n", bad(50)),
        (b"199 a\r\n", bad(199)),
        (b"600 a\r\n", bad(600)),
        (b"850-a\r\n", bad(850)),
        (b"999 a\r\n", bad(999)),
        (b"250-a\r\n251 b\r\n", mixed(250, 251)),
        (b"250-a\r\n250-b\r\n550-c\r\n", mixed(250, 550)),
    ];
    for (input, is) in rows {
        let whole = read([input], &ReplyLimits::default());
        let expected = match is {
            Replies(count) => (count, None),
            Partial => (0, None),
            Fatal(error) => (0, Some(error)),
        };
        assert_eq!(
            (whole.replies.len(), whole.error),
            expected,
            "{}",
            input.escape_ascii()
        );
        assert_eq!(
            whole,
            by_byte(input, &ReplyLimits::default()),
            "{}",
            input.escape_ascii()
        );
        assert_eq!(
            whole,
            model(input, &ReplyLimits::default()),
            "{}",
            input.escape_ascii()
        );
    }
}

#[test]
fn a_malformed_line_is_reported_at_its_line_feed() {
    let mut reply_reader = ReplyReader::default();
    for byte in b"garbage\r" {
        assert_eq!(
            reply_reader
                .next(&mut &[*byte][..], &ReplyLimits::default())
                .unwrap()
                .map(|_| ()),
            None
        );
    }
    assert!(
        reply_reader
            .next(&mut &b"\n"[..], &ReplyLimits::default())
            .is_err()
    );
    assert_eq!(reply_reader.partial_reply(), b"garbage\r\n");
    reply_reader.clear();
    assert!(reply_reader.partial_reply().is_empty());
    assert!(
        reply_reader
            .next(&mut &b"250 ok\r\n"[..], &ReplyLimits::default())
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_tls_record_is_recognized_by_its_first_byte() {
    for first in 0..=u8::MAX {
        let error = read([&[first][..]], &ReplyLimits::default()).error;
        let expected = match first {
            0x15 | 0x16 => Some(ReplyError::TlsRecord),
            0 => Some(ReplyError::Nul { offset: 0 }),
            b'\n' => Some(ReplyError::Malformed { line: 1 }),
            _ => None,
        };
        assert_eq!(error, expected, "{first:#x}");
    }
    // Also as the second reply, but not inside one.
    assert_eq!(
        by_byte(b"220 a\r\n\x16", &ReplyLimits::default()).error,
        Some(ReplyError::TlsRecord)
    );
    let within = by_byte(b"220-a\r\n\x16\x03\r\n", &ReplyLimits::default()).error;
    assert_eq!(within, Some(ReplyError::Malformed { line: 2 }));
}

#[test]
fn v22_limits_cut_what_is_kept_to_the_byte() {
    let limits = ReplyLimits::default().line(20).reply(50).lines(3);
    // An input, what is kept of it, and whether that is less than all.
    let rows: [(&[u8], &str, bool); 11] = [
        (b"250 45678901234567\r\n", "250 45678901234567\r\n", false),
        (b"250 456789012345678\n", "250 456789012345678\n", false),
        (b"250 456789012345678\r\n", "250 45678901234…\r\n", true),
        (b"250 4567890123456789\n", "250 45678901234…\r\n", true),
        (
            &[b"250 ", &[b'x'; 100_000][..], b"\r\n"].concat(),
            "250 xxxxxxxxxxx…\r\n",
            true,
        ),
        (b"250-a\n250-b\n250 c\n", "250-a\n250-b\n250 c\n", false),
        (
            b"250-a\n250-b\n250-c\n250 d\n",
            "250-a\n250-b\n250-c\n",
            true,
        ),
        (
            b"250-a\n250-b\n250-c\n250-\n250\r\n",
            "250-a\n250-b\n250-c\n",
            true,
        ),
        // After 34 bytes, 16 are left for a line, which may be cut to fit; after 35, no line fits.
        (
            b"250-5678901234567\n250-5678901234\r\n250 56789012345\n",
            "250-5678901234567\n250-5678901234\r\n250 56789012345\n",
            false,
        ),
        (
            b"250-5678901234567\n250-5678901234\r\n250 567890123456\n",
            "250-5678901234567\n250-5678901234\r\n250 5678901…\r\n",
            true,
        ),
        (
            b"250-5678901234567\n250-56789012345\r\n250 56\n",
            "250-5678901234567\n250-56789012345\r\n",
            true,
        ),
    ];
    for (input, expected, truncated) in rows {
        let expected = Read {
            replies: vec![(expected.into(), truncated)],
            error: None,
            fragment: Vec::new(),
        };
        let shown = input.escape_ascii();
        assert_eq!(read([input], &limits), expected, "{shown}");
        assert_eq!(by_byte(input, &limits), expected, "{shown}");
        assert_eq!(model(input, &limits), expected, "{shown}");
    }
    assert_eq!(
        ReplyLimits::default().line(0).reply(0).lines(0),
        ReplyLimits::default().line(16).reply(16).lines(1)
    );
}

#[test]
fn v22_input_that_is_not_kept_is_still_checked() {
    let limits = ReplyLimits::default().line(20).reply(50).lines(3);
    let long = [b"250-", &[b'x'; 1000][..], b"\r\n"].concat();
    let short = b"250-a\r\n";
    for front in [
        long.repeat(1),
        long.repeat(5),
        short.repeat(3),
        short.repeat(500),
    ] {
        let lines = front.iter().filter(|byte| **byte == b'\n').count();
        let malformed = |line| ReplyError::Malformed { line: lines + line };
        let mixed = |other| ReplyError::MixedCodes {
            first: code(250),
            other: code(other),
        };
        let nul = |offset| ReplyError::Nul {
            offset: front.len() + offset,
        };
        let rows: [(&[u8], Option<ReplyError>); 12] = [
            (b"250\n", None),
            (b"250 a\r\n", None),
            (b"250\r\n", None),
            (b"251 a\n", Some(mixed(251))),
            (b"250-a\n550 b\n", Some(mixed(550))),
            (b"250.a\n", Some(malformed(1))),
            (b"250\r\r\n", Some(malformed(1))),
            (b"250-\n25\n", Some(malformed(2))),
            (b"\n", Some(malformed(1))),
            (b"150 a\n", Some(ReplyError::BadCode { code: 150 })),
            (b"\0", Some(nul(0))),
            (b"250 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0a\n", Some(nul(34))),
        ];
        for (end, expected) in rows {
            let input = [&front, end].concat();
            let whole = read([&input[..]], &limits);
            assert_eq!(
                whole.error,
                expected,
                "{lines} lines, {}",
                end.escape_ascii()
            );
            let whole_reply = whole.replies.iter().all(|(_, truncated)| *truncated);
            assert!(whole_reply && whole.replies.len() == usize::from(expected.is_none()));
            assert_eq!(by_byte(&input, &limits), whole);
            assert_eq!(model(&input, &limits), whole);
        }
    }
}

#[test]
fn v22_a_flood_of_any_shape_is_read_in_bounded_memory() {
    let limits = ReplyLimits::default();
    let shapes: [&[u8]; 5] = [
        b"a",
        b"250-\r\n",
        b"250-\n",
        &[b"250-", &[b'a'; 5000][..], b"\r\n"].concat(),
        b"250 ok\r\n",
    ];
    for shape in shapes {
        let flood = shape.repeat(256 * 1024 / shape.len() + 1);
        for piece in [1, 7, 4096, flood.len()] {
            let mut reply_reader = ReplyReader::default();
            for mut input in flood.chunks(piece) {
                while !input.is_empty() {
                    assert!(reply_reader.next(&mut input, &limits).is_ok());
                    assert!(reply_reader.partial.capacity() <= 2 * 32 * 1024);
                }
            }
            assert!(reply_reader.partial_reply().len() <= 32 * 1024);
        }
    }
}

#[test]
fn the_largest_reply_arrives_byte_by_byte() {
    let mut largest = [b"250-", &[b'a'; 122][..], b"\r\n"].concat().repeat(255);
    largest.extend_from_slice(&[b"250 ", &[b'b'; 122][..], b"\r\n"].concat());
    assert_eq!(largest.len(), 32 * 1024);
    let read = by_byte(&largest, &ReplyLimits::default());
    assert_eq!(read.replies, [(largest, false)]);
    assert!(read.fragment.is_empty());
}

#[test]
fn a_whole_reply_is_lent_from_the_input_and_nothing_is_kept() {
    let input = &b"250-a\r\n250 b\r\n221 c\r\n"[..];
    let mut rest = input;
    let mut reply_reader = ReplyReader::default();
    let reply = reply_reader
        .next(&mut rest, &ReplyLimits::default())
        .unwrap()
        .unwrap();
    assert!(core::ptr::eq(reply.raw(), &raw const input[..14]));
    assert_eq!(rest, b"221 c\r\n");
    assert!(reply_reader.partial_reply().is_empty());
    assert_eq!(
        reply_reader.partial.capacity() + reply_reader.lent.capacity(),
        0
    );
}

#[test]
fn the_buffer_of_a_split_reply_is_freed_when_the_next_is_requested() {
    let mut reply_reader = ReplyReader::default();
    let limits = ReplyLimits::default();
    assert!(
        reply_reader
            .next(&mut &b"250 o"[..], &limits)
            .unwrap()
            .is_none()
    );
    assert_eq!(reply_reader.partial_reply(), b"250 o");
    let mut rest = &b"k\r\n221 bye\r\n22"[..];
    assert_eq!(
        reply_reader
            .next(&mut rest, &limits)
            .unwrap()
            .unwrap()
            .raw(),
        b"250 ok\r\n"
    );
    assert_eq!(rest, b"221 bye\r\n22");
    assert!(reply_reader.partial_reply().is_empty());
    assert_eq!(
        reply_reader
            .next(&mut rest, &limits)
            .unwrap()
            .unwrap()
            .raw(),
        b"221 bye\r\n"
    );
    assert_eq!(
        reply_reader.partial.capacity() + reply_reader.lent.capacity(),
        0
    );
    assert!(reply_reader.next(&mut rest, &limits).unwrap().is_none());
    assert_eq!(reply_reader.partial_reply(), b"22");
}

#[test]
fn limits_may_narrow_in_the_middle_of_a_reply() {
    // New limits apply from the next line.
    let wide = ReplyLimits::default();
    let mut reply_reader = ReplyReader::default();
    let first = b"334-0123456789012345678901234567890";
    assert!(reply_reader.next(&mut &first[..], &wide).unwrap().is_none());
    let mut input = &b"1\n334-0123456789012345\n334-a\n334 b\r\n220 c\n"[..];
    let reply = reply_reader
        .next(&mut input, &wide.line(16).reply(60))
        .unwrap();
    let raw = String::from_utf8(reply.unwrap().raw().to_vec()).unwrap();
    let expected = "334-01234567890123456789012345678901\n334-0123456…\r\n";
    assert_eq!((raw.as_str(), input), (expected, &b"220 c\n"[..]));
}

#[test]
fn parsing_one_reply_returns_its_length_or_that_it_is_incomplete() {
    let (reply, length) = Reply::parse(b"250-a\r\n250 b\r\n221").unwrap().unwrap();
    assert_eq!((reply.code().as_u16(), length), (250, 14));
    for part in 0..14 {
        assert_eq!(Reply::parse(&b"250-a\r\n250 b\r\n"[..part]), Ok(None));
    }
    assert_eq!(Reply::parse(b"x\n"), Err(ReplyError::Malformed { line: 1 }));
}

#[test]
fn every_error_has_a_text() {
    let rows = [
        (
            ReplyError::Malformed { line: 2 },
            "line 2 of the reply does not begin with a reply code",
        ),
        (
            ReplyError::BadCode { code: 50 },
            "invalid reply code 050: the first digit must be 2 to 5",
        ),
        (
            ReplyError::MixedCodes {
                first: code(250),
                other: code(550),
            },
            "the lines of one reply have the codes 250 and 550",
        ),
        (
            ReplyError::Nul { offset: 7 },
            "NUL byte at offset 7 of the reply",
        ),
        (
            ReplyError::TlsRecord,
            "the server sent a TLS record instead of a reply in cleartext",
        ),
    ];
    for (error, shown) in rows {
        assert_eq!(error.to_string(), shown);
    }
}

proptest! {
    #[test]
    fn i2_any_split_gives_the_same_replies_error_and_partial_reply(
        input in replies_and_garbage(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        limits in prop_oneof![
            Just(ReplyLimits::default()),
            (16..40_usize, 16..100_usize, 1..6_usize)
                .prop_map(|(line, reply, lines)| ReplyLimits::default().line(line).reply(reply).lines(lines)),
        ],
    ) {
        let expected = model(&input, &limits);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &input[cut[0]..cut[1]]);
        prop_assert_eq!(&read(pieces, &limits), &expected);
        prop_assert_eq!(&read([&input[..]], &limits), &expected);
        prop_assert_eq!(&by_byte(&input, &limits), &expected);
    }

    #[test]
    fn i1_any_bytes_are_read_without_a_panic(input in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(read([&input[..]], &ReplyLimits::default()), model(&input, &ReplyLimits::default()));
    }
}

fn replies_and_garbage() -> impl Strategy<Value = Vec<u8>> {
    let likely = prop::sample::select(vec![
        &b"250 ok\r\n"[..],
        b"250-a\r\n",
        b"250\r\n",
        b"250 \n",
        b"550-5.1.1 no\r\n",
        b"550 5.1.1 no\n",
        b"354 go\r\n",
        b"250-a line that is not kept whole\r\n",
        b"250 a line that is not kept whole\n",
    ]);
    let odd = prop::sample::select(vec![
        &b"\r\n"[..],
        b"\n",
        b"\r",
        b"\0",
        b"\x16",
        b"x",
        b"25",
        b"1",
        b"-",
        b" ",
        b"199 a\r\n",
        b"2500\r\n",
    ]);
    prop::collection::vec(prop_oneof![6 => likely, 1 => odd], 0..14)
        .prop_map(|pieces| pieces.concat())
}
