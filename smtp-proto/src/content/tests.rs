use alloc::{string::ToString, vec, vec::Vec};

use bytes::Bytes;

use super::*;

fn fault(body: &[u8], rules: &LineRules) -> Option<(u64, ContentErrorKind)> {
    scan(body, rules)
        .err()
        .map(|fault| (fault.offset(), fault.kind()))
}

/// All pieces that one call passes to `out`.
fn pieces(encoder: &mut Encoder, chunk: &mut Bytes, room: Room) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    encoder
        .encode(chunk, room, &mut |piece| pieces.push(piece))
        .unwrap();
    pieces
}

fn lines(count: usize, line: &[u8]) -> Bytes {
    [line, b"\r\n"].concat().repeat(count).into()
}

const ALL: Room = Room::new(usize::MAX, usize::MAX);

#[test]
fn the_terminator_adds_a_line_end_only_where_there_is_none() {
    for (body, end) in [
        (&b""[..], &b".\r\n"[..]),
        (b"x\r\n", b".\r\n"),
        (b"\r\n", b".\r\n"),
        (b"x", b"\r\n.\r\n"),
        (b".", b"\r\n.\r\n"),
    ] {
        let mut encoder = Encoder::new(&LineRules::new());
        pieces(&mut encoder, &mut Bytes::copy_from_slice(body), ALL);
        assert_eq!(encoder.finish(), Ok(end), "{body:?}");
        assert_eq!(encoder.finish(), Ok(end), "asking changes nothing");
    }
}

#[test]
fn a_carriage_return_at_the_end_of_a_chunk_waits_for_the_next() {
    let mut encoder = Encoder::new(&LineRules::new());
    assert_eq!(
        pieces(&mut encoder, &mut Bytes::from_static(b"x\r"), ALL),
        ["x"]
    );
    assert_eq!(
        encoder.finish().unwrap_err().to_string(),
        "carriage return without line feed at offset 1"
    );
    assert_eq!(
        pieces(&mut encoder, &mut Bytes::from_static(b"\n.\r"), ALL).concat(),
        b"\r\n.."
    );
    let mut sent = false;
    let bare = encoder.encode(&mut Bytes::from_static(b"y"), ALL, &mut |_| sent = true);
    assert_eq!(
        bare,
        Err(ContentError {
            offset: 4,
            reason: ContentErrorKind::BareCr
        })
    );
    assert_eq!(encoder.finish().map(drop), bare, "a fault stays");
    assert!(!sent);
}

#[test]
fn cr_cr_lf_is_converted_to_two_line_ends() {
    let mut encoder = Encoder::new(&LineRules::new().line_ends(BareLineEnds::Convert));
    assert_eq!(
        pieces(&mut encoder, &mut Bytes::from_static(b"x\r\r\n.\ny\r"), ALL).concat(),
        b"x\r\n\r\n..\r\ny"
    );
    assert_eq!(encoder.finish(), Ok(&b"\r\n.\r\n"[..]));
}

#[test]
fn a_line_may_have_998_bytes_and_no_more() {
    for max in [998, 1, 0, 79, 480, 481, 959, 960, 5000] {
        let rules = LineRules::new().max_line_len(Some(max));
        let too_long = Some((u64::try_from(max).unwrap(), ContentErrorKind::LineTooLong));
        for behind in [&b""[..], b"\r\n", b"\r\nx", b"\r\n\r\n\r\n\r\n"] {
            let fits = [&vec![b'x'; max], behind].concat();
            let over = [&vec![b'x'; max + 1], behind].concat();
            assert_eq!(fault(&fits, &rules), fault(behind, &rules), "{max}");
            assert_eq!(fault(&over, &rules), too_long, "{max}");
        }
    }
    assert_eq!(
        fault(&[b'x'; 999], &LineRules::new()),
        Some((998, ContentErrorKind::LineTooLong))
    );
    assert_eq!(
        fault(&[b'x'; 100_000], &LineRules::new().max_line_len(None)),
        None
    );
}

#[test]
fn a_line_too_long_is_found_wherever_it_starts() {
    for start in 0..600 {
        for len in [900, 998, 999] {
            let before = lines(40, &[b'x'; 75]);
            let body = [
                &before,
                &vec![b'y'; start][..],
                b"\r\n",
                &vec![b'z'; len],
                b"\r\n",
                &before,
            ]
            .concat();
            let offset = u64::try_from(before.len() + start + 2 + 998).unwrap();
            let expected = (len > 998).then_some((offset, ContentErrorKind::LineTooLong));
            assert_eq!(
                fault(&body, &LineRules::new()),
                expected,
                "{len} at {start}"
            );
        }
    }
}

#[test]
fn a_doubled_dot_does_not_count_for_the_line() {
    let rules = LineRules::new().max_line_len(Some(3));
    assert_eq!(fault(b"...\r\n...\r\n", &rules), None);
    assert_eq!(
        fault(b"...\r\n....\r\n", &rules),
        Some((8, ContentErrorKind::LineTooLong))
    );
}

#[test]
fn an_invalid_byte_is_reported_before_the_length_of_its_line() {
    let rules = LineRules::new().max_line_len(Some(1));
    assert_eq!(fault(b"x\0", &rules), Some((1, ContentErrorKind::Nul)));
    assert_eq!(fault(b"x\ry", &rules), Some((1, ContentErrorKind::BareCr)));
    assert_eq!(fault(b"x\n", &rules), Some((1, ContentErrorKind::BareLf)));
    assert_eq!(
        fault(b"x\xff", &rules),
        Some((1, ContentErrorKind::EightBit))
    );
    assert_eq!(
        fault(b"xx\0", &rules),
        Some((1, ContentErrorKind::LineTooLong))
    );
}

#[test]
fn the_first_empty_line_separates_8_bit_bytes_of_header_and_body() {
    let rules = LineRules::new()
        .eight_bit(true)
        .line_ends(BareLineEnds::Convert);
    for (body, header, rest) in [
        ("A: a\r\n\r\nb", false, false),
        ("A: é\r\n\r\nb", true, false),
        ("A: a\r\n\r\né", false, true),
        ("A: é\r\n\r\né", true, true),
        ("A: a\n\né", false, true),
        ("A: é\r\rb", true, false),
        ("A: a\r\né", true, false),
        ("\r\né", false, true),
        ("", false, false),
    ] {
        let facts = scan(body.as_bytes(), &rules).unwrap();
        assert_eq!(
            (facts.header_eight_bit(), facts.body_eight_bit()),
            (header, rest),
            "{body:?}"
        );
    }
    assert_eq!(
        fault("A: é".as_bytes(), &LineRules::new()),
        Some((3, ContentErrorKind::EightBit))
    );
}

#[test]
fn content_is_passed_as_slices_of_the_chunk() {
    let body = lines(1000, &[b'x'; 78]);
    for mut encoder in [
        Encoder::new(&LineRules::new()),
        Encoder::verified(&scan(&body, &LineRules::new()).unwrap()),
    ] {
        let mut rest = body.clone();
        let sent = pieces(&mut encoder, &mut rest, Room::new(50_000, 64));
        assert_eq!(
            (sent.len(), sent[0].as_ptr(), rest.len()),
            (1, body.as_ptr(), 30_000)
        );
        assert_eq!(
            pieces(&mut encoder, &mut rest, ALL)[0].as_ptr(),
            body[50_000..].as_ptr()
        );
    }
}

#[test]
fn a_rare_dot_is_a_piece_between_slices_and_dense_dots_are_one_piece() {
    let (mut rare, mut dense) = (lines(100, &[b'x'; 78]).to_vec(), lines(1000, b".x"));
    rare.extend_from_within(..);
    rare[8000] = b'.';
    let mut encoder = Encoder::new(&LineRules::new());
    let lens: Vec<usize> = pieces(&mut encoder, &mut rare.into(), ALL)
        .iter()
        .map(Bytes::len)
        .collect();
    assert_eq!(lens, [8000, 1, 8000]);
    assert_eq!(
        pieces(&mut encoder, &mut dense, Room::new(4096, 1))[0].len(),
        4096
    );
}

#[test]
fn scanned_and_unscanned_content_get_the_same_dots() {
    let rules = LineRules::new();
    let far = [&lines(20, &[b'x'; 78])[..], b".\r\n..\r\n\r\n.y\r\n"].concat();
    for body in [
        &b".\r\n"[..],
        b"..x",
        b"a\r\n.\r\n.b\r\n",
        &far,
        &far.repeat(3),
    ] {
        let facts = scan(body, &rules).unwrap();
        let mut checking = Encoder::new(&rules);
        let expected = pieces(&mut checking, &mut Bytes::copy_from_slice(body), ALL).concat();
        assert_eq!(checking.doubled(), facts.dots());
        for mut chunked in [Encoder::chunked(&rules), Encoder::chunked_verified(&facts)] {
            let sent = pieces(&mut chunked, &mut Bytes::copy_from_slice(body), ALL).concat();
            assert_eq!((&sent[..], chunked.doubled()), (body, 0));
        }
        for (bytes, count) in [(1, 1), (2, 1), (3, 2), (100, 1), (512, 3), (1000, 60)] {
            for chunk in [1, 2, 5, 600, body.len()] {
                let mut encoder = Encoder::verified(&facts);
                let mut wire = Vec::new();
                for chunk in body.chunks(chunk) {
                    let mut chunk = Bytes::copy_from_slice(chunk);
                    while !chunk.is_empty() {
                        let given = pieces(&mut encoder, &mut chunk, Room::new(bytes, count));
                        let given_bytes = given.iter().map(Bytes::len).sum::<usize>();
                        assert!((1..=bytes).contains(&given_bytes) && given.len() <= count);
                        wire.extend(given.concat());
                    }
                }
                assert_eq!(wire, expected);
                assert_eq!(encoder.doubled(), facts.dots());
                assert!(encoder.finish().is_ok());
            }
        }
    }
}

#[test]
fn without_room_nothing_is_taken_or_passed() {
    for room in [Room::new(0, 1), Room::new(1, 0)] {
        let facts = scan(b"x", &LineRules::new()).unwrap();
        for mut encoder in [Encoder::new(&LineRules::new()), Encoder::verified(&facts)] {
            let mut chunk = Bytes::from_static(b"x");
            assert_eq!(pieces(&mut encoder, &mut chunk, room), Vec::<Bytes>::new());
            assert_eq!(chunk, "x");
        }
    }
}

#[test]
fn content_of_another_length_than_scanned_is_an_error() {
    let facts = scan(b"abc\r\n", &LineRules::new()).unwrap();
    let changed = |offset| {
        Err(ContentError {
            offset,
            reason: ContentErrorKind::NotAsScanned,
        })
    };
    let mut short = Encoder::verified(&facts);
    pieces(&mut short, &mut Bytes::from_static(b"ab"), ALL);
    assert_eq!(short.finish().map(drop), changed(2));
    let mut long = Encoder::verified(&facts);
    pieces(&mut long, &mut Bytes::from_static(b"abc\r\n"), ALL);
    assert_eq!(long.finish(), Ok(&b".\r\n"[..]));
    let done = long.encode(&mut Bytes::from_static(b"d"), ALL, &mut |_| {
        panic!("sent unverified")
    });
    assert_eq!(done, changed(5));
    assert_eq!(long.finish().map(drop), changed(5));
}

#[test]
fn an_empty_chunk_is_passed_as_nothing() {
    for mut encoder in [
        Encoder::new(&LineRules::new()),
        Encoder::chunked(&LineRules::new()),
        Encoder::binary(),
        Encoder::verified(&scan(b"", &LineRules::new()).unwrap()),
    ] {
        assert_eq!(pieces(&mut encoder, &mut Bytes::new(), ALL), [""; 0]);
    }
}

#[test]
fn without_room_nothing_is_taken() {
    for room in [Room::new(0, 1), Room::new(1, 0)] {
        let body = Bytes::from_static(b".x\r\n");
        for mut encoder in [
            Encoder::new(&LineRules::new()),
            Encoder::chunked(&LineRules::new()),
            Encoder::binary(),
            Encoder::verified(&scan(&body, &LineRules::new()).unwrap()),
        ] {
            let mut rest = body.clone();
            assert_eq!(pieces(&mut encoder, &mut rest, room), [""; 0], "{room:?}");
            assert_eq!(rest, body, "{room:?}");
        }
    }
}

#[test]
fn the_end_completes_a_line_end_of_which_half_had_room() {
    let rules = LineRules::new().line_ends(BareLineEnds::Convert);
    for (mut encoder, end) in [
        (Encoder::new(&rules), &b"\n.\r\n"[..]),
        (Encoder::chunked(&rules), b"\n"),
    ] {
        let mut chunk = Bytes::from_static(b"x\n");
        let sent = pieces(&mut encoder, &mut chunk, Room::new(2, 2));
        assert_eq!(sent.concat(), b"x\r");
        assert_eq!(encoder.finish(), Ok(end));
    }
}
