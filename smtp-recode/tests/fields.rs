//! Header fields that are not ASCII: encoded words and extended parameters.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use smtp_recode::{RecodeErrorKind, seven_bit};

use crate::recode::recoded;

#[test]
fn fields_that_are_not_ascii_become_encoded_words() {
    for (field, expected) in [
        (
            "Subject: Gr\u{fc}\u{df}e",
            "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
        ),
        ("Subject:\u{fc}bel", "Subject: =?utf-8?q?=C3=BCbel?="),
        (
            "SUBJECT : a \u{fc}bel b",
            "SUBJECT : a =?utf-8?q?=C3=BCbel?= b",
        ),
        (
            "Subject: von \u{fc}ber\r\n\tunter nach \u{fc}bel\r\n weg",
            "Subject: von =?utf-8?q?=C3=BCber_unter_nach_=C3=BCbel?=\r\n weg",
        ),
        ("X-Own: \u{4f8b}\u{3048}", "X-Own: =?utf-8?b?5L6L44GI?="),
        // White space between encoded words is ignored, so it is encoded.
        (
            "Subject: =?utf-8?q?=C3=A9?= \u{fc}bel =?utf-8?q?=C3=A9?= and",
            "Subject: =?utf-8?q?=C3=A9?= =?utf-8?q?_=C3=BCbel_?= =?utf-8?q?=C3=A9?= and",
        ),
        (
            "From: J\u{fc}rgen M\u{fc}ller <j@x.test>,\r\n b@x.test (B\u{fc}ro (im \\( Haus))",
            "From: =?utf-8?q?J=C3=BCrgen_M=C3=BCller?= <j@x.test>,\r\n b@x.test (=?utf-8?q?B=C3=BCro_=28im_=28_Haus=29?=)",
        ),
        (
            "To: \"M\u{fc}ller, J\\\"\"<j@x.test>,\u{c4}mter:a@x.test;",
            "To: =?utf-8?q?M=C3=BCller=2C_J=22?= <j@x.test>, =?utf-8?q?=C3=84mter?= :a@x.test;",
        ),
        (
            "Content-Disposition: attachment; filename=\"f\u{fc}r \\\"alle\\\".pdf\"; size=1",
            "Content-Disposition: attachment; filename*=utf-8\'\'f%C3%BCr%20%22alle%22.pdf; size=1",
        ),
        (
            "Content-Disposition: attachment; filename=f\u{fc}r; filename*=utf-8\'\'f%C3%BCr",
            "Content-Disposition: attachment; filename*=utf-8\'\'f%C3%BCr",
        ),
        (
            "Content-Type: text/plain; name=\u{fc}.txt",
            "Content-Type: text/plain; name*=utf-8\'\'%C3%BC.txt",
        ),
        // Other fields are unchanged.
        (
            "Received: from a\r\nSubject: \u{fc}bel\r\nDate: now",
            "Received: from a\r\nSubject: =?utf-8?q?=C3=BCbel?=\r\nDate: now",
        ),
    ] {
        let recoded = recoded(format!("{field}\r\n\r\nplain\r\n").as_bytes());
        assert_eq!(recoded, format!("{expected}\r\n\r\nplain\r\n"));
    }
}

#[test]
fn fields_in_a_charset_other_than_utf_8_are_encoded_in_that_of_the_body() {
    let fields = |charset: &str| {
        [
            b"Subject: Gr\xfc\xdfe\r\nContent-Type: text/plain (it is); charset=",
            charset.as_bytes(),
            b"\r\n\r\nplain\r\n",
        ]
        .concat()
    };
    assert_eq!(
        recoded(&fields("\"ISO-8859-15\"")),
        "Subject: =?iso-8859-15?q?Gr=FC=DFe?=\r\nContent-Type: text/plain (it is); charset=\"ISO-8859-15\"\r\n\r\nplain\r\n"
    );
    for unknown in ["us-ascii", "utf-8", "gb2312", "x-own"] {
        let error = seven_bit(&fields(unknown).into()).unwrap_err();
        assert_eq!(
            (error.offset(), error.kind()),
            (11, RecodeErrorKind::Header)
        );
    }
}

#[test]
fn fields_without_a_place_for_encoded_words_are_rejected() {
    for (field, at) in [
        ("From: \u{fc}@x.test", 6),
        ("From: a <a@\u{fc}.test>", 11),
        ("To: a@x.test, b\u{fc}", 15),
        // After an address with a display name.
        ("To: \u{fc} <a@x.test>, b\u{fc}, c@x.test", 20),
        ("To: \"unclosed \u{fc}", 4),
        ("To: a <b\u{fc}", 7),
        ("Message-ID: <\u{fc}@x.test>", 13),
        ("Received: from \u{fc}", 15),
        ("List-Unsubscribe: <https://x.test/\u{fc}>", 34),
        ("Content-Type: text/plain; charset=\u{fc}", 34),
        ("Content-Type: text/plain (\u{fc})", 26),
        ("Content-Disposition: attachment; filename=a \u{fc}", 44),
    ] {
        let error = seven_bit(&format!("{field}\r\n\r\n").into()).expect_err(field);
        assert_eq!(
            (error.offset(), error.kind()),
            (at, RecodeErrorKind::Header),
            "{field}"
        );
    }
}

#[test]
fn lines_with_encoded_words_have_at_most_76_bytes() {
    for words in 1..80 {
        for before in [0, 1, 50, 70, 80, 200] {
            let word = if words % 2 == 0 {
                "\u{fc}bel"
            } else {
                "\u{4f8b}"
            };
            let start = "x".repeat(before);
            let text = format!(
                "Subject: {start} {}{}\r\n\r\nplain\r\n",
                format!("{word} ").repeat(words),
                "plain words after them"
            );
            let recoded = recoded(text.as_bytes());
            for line in recoded.lines().filter(|line| line.contains("=?utf-8?")) {
                assert!(line.len() <= 76, "{recoded}");
            }
        }
    }
}

#[test]
fn non_ascii_fields_around_a_7bit_signed_multipart_are_encoded() {
    let signed = "Content-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\nplain\r\n--c--\r\n";
    assert_eq!(
        recoded(format!("Subject: \u{fc}bel\r\n{signed}").as_bytes()),
        format!("Subject: =?utf-8?q?=C3=BCbel?=\r\n{signed}")
    );
}

#[test]
fn comments_in_ascii_are_unchanged_beside_words_that_are_not() {
    assert_eq!(
        recoded("From: J\u{fc}rgen <j@x.test> (at work)\r\n\r\nplain\r\n".as_bytes()),
        "From: =?utf-8?q?J=C3=BCrgen?= <j@x.test> (at work)\r\n\r\nplain\r\n"
    );
}

#[test]
fn a_header_section_that_ends_with_the_message_is_recoded() {
    for end in ["", "\r\n"] {
        assert_eq!(
            recoded(format!("Subject: \u{fc}bel{end}").as_bytes()),
            format!("Subject: =?utf-8?q?=C3=BCbel?={end}")
        );
    }
}
