use alloc::format;

use super::*;
use crate::content::{first_eight_bit, header_not_utf8, section_fault};

fn found(body: &[u8], required: bool, high: High, size: usize) -> Option<ContentError> {
    let mut watch = HeaderWatch::new(HeaderRules { required, high });
    body.chunks(size).for_each(|piece| watch.look(piece));
    watch.end();
    watch.check().err()
}

#[test]
fn pieces_give_the_same_result_as_a_scan_of_the_whole() {
    for body in [
        &b"Subject: a\r\n\r\n\xc3\xbc\xfc\r\n"[..],
        b"Subject: \xc3\xbc\r\n\r\na\r\n",
        b"Subject: a\r\nTo: \xc3\xbc",
        b"Subject: \xe2\x82\xac\xf0\x9f\x98\x80: \xfc\r\n\r\n",
        b"a: \xc3a\xbc",
        b"a: \xc3\r\n:\xbc",
        b"a: \xc3\r\n\r\na",
        b"a: \xf0\x9f\x98",
        b"a: \xed\xa0\x80\r\n",
        b"a: \xc0\x80\r\n",
        b"a: \xf4\x90\x80\x80\r\n",
        b"a:\rb:\r\r\xfc",
        b"a:\n\n\xfc",
        b"a:\r\n\n\xfc",
        b"a:\n\r\n\xfc",
        b"a:\n b\n\xfc",
        b"\r\n\xfc",
        b"\n\xfc",
        b"\xfc: a",
        b"a\xfc: b",
        b"\xc3\xbc: a",
        b"a b: \xfc",
        b": \xfc",
        b"a\r\nb: \xfc",
        b"a :\xfc",
        b"",
    ] {
        let high = crate::content::scan::High::of(body).header;
        let high = high.then(|| first_eight_bit(body)).flatten();
        let other = header_not_utf8(body);
        assert_eq!(
            other.is_some(),
            crate::content::scan::High::of(body).header_other
        );
        for size in 1..=body.len().max(1) {
            let context = format!("{} by {size}", body.escape_ascii());
            let found = |high| found(body, false, high, size);
            let ascii = found(High::None).map(|fault| fault.offset());
            assert_eq!(ascii, high, "{context}");
            assert_eq!(found(High::Utf8), other, "{context}");
            assert_eq!(found(High::Any), None, "{context}");
        }
    }
}

#[test]
fn a_header_section_is_fields_including_from_up_to_an_empty_line_or_the_end() {
    use ContentErrorKind as F;
    for (body, expected) in [
        ("From: a", None),
        ("From:", None),
        ("From: a\r\n", None),
        ("From: a\r\n\r\nHello", None),
        ("Subject: a\r\n b\r\n\tc\r\nFROM \t: a\r\n\r\n", None),
        ("To: a\nfrom: b\n\nHello", None),
        ("To: a\rfrom: b\r\rHello", None),
        ("", Some((0, F::NoHeader))),
        ("\r\n", Some((0, F::NoHeader))),
        ("\nFrom: a\r\n", Some((0, F::NoHeader))),
        ("Hello", Some((0, F::NoHeader))),
        ("Hello\r\n", Some((0, F::NoHeader))),
        ("Hello \t", Some((0, F::NoHeader))),
        ("Hello Bob: hello", Some((0, F::NoHeader))),
        (": a", Some((0, F::NoHeader))),
        (" From: a", Some((0, F::NoHeader))),
        (
            "From a@x.test Mon Jan  1\r\nFrom: a\r\n",
            Some((0, F::NoHeader)),
        ),
        ("\u{feff}From: a\r\n\r\n", Some((0, F::ByteOrderMark))),
        ("\u{feff}", Some((0, F::ByteOrderMark))),
        ("F\u{feff}rom: a\r\n\r\n", Some((0, F::NoHeader))),
        ("Subject: a", Some((10, F::NoFrom))),
        ("Subject: a\r\n\r\nFrom: a\r\n", Some((12, F::NoFrom))),
        ("Subject:\r\n From: a\r\n", Some((20, F::NoFrom))),
        ("Fro: a\r\nFromm: b\r\nXFrom: c\r\n", Some((28, F::NoFrom))),
        ("From: a\r\nHello Bob.\r\n", Some((9, F::NotAField))),
        ("From: a\r\nHello", Some((9, F::NotAField))),
        ("From: a\r\nHello\r\n", Some((9, F::NotAField))),
        ("From: a\r\n\u{fc}: b\r\n", Some((9, F::NotAField))),
        ("From: a\r\n: b\r\n", Some((9, F::NotAField))),
        ("From: a\r\n>From b\r\n\r\n", Some((9, F::NotAField))),
    ] {
        let pair = |fault: ContentError| (fault.offset(), fault.kind());
        let body = body.as_bytes();
        let context = body.escape_ascii();
        assert_eq!(section_fault(body).map(pair), expected, "{context}");
        for size in 1..=body.len().max(1) {
            let found = found(body, true, High::Any, size);
            assert_eq!(found.map(pair), expected, "{context} by {size}");
        }
    }
}

#[test]
fn a_name_without_a_colon_at_the_end_is_an_error_only_where_a_header_section_is_required() {
    for (body, expected) in [
        (&b"Fro"[..], ContentErrorKind::NoHeader),
        (b"From ", ContentErrorKind::NoHeader),
        (b"From: a\r\nTo", ContentErrorKind::NotAField),
        (b"From: a\r\nTo ", ContentErrorKind::NotAField),
    ] {
        let error = found(body, true, High::Utf8, 1).unwrap();
        assert_eq!(error.kind(), expected, "{}", body.escape_ascii());
        assert_eq!(found(body, false, High::Utf8, 1), None);
    }
}
