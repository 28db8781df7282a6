//! The recoded message byte for byte, and which messages are unchanged or rejected.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use bytes::Bytes;
use smtp_recode::{RecodeErrorKind, seven_bit};

fn recoded(text: &[u8]) -> String {
    let recoded = seven_bit(&Bytes::copy_from_slice(text)).unwrap();
    String::from_utf8(recoded.to_vec()).unwrap()
}

#[test]
fn text_stays_legible_and_its_header_section_unchanged() {
    let text = "FROM:a@x.test\r\n\
        Subject: a\r\n b\r\n\
        mime-version: 1.0 (mine)\r\n\
        content-TRANSFER-encoding:  8BIT\r\n\
        Content-Type: TEXT/plain;\r\n\tcharset=\"utf-8\"\r\n\
        X-Last: field\r\n\
        \r\n\
        Gr\u{fc}\u{df}e = greetings, to all of you who can read this \r\n\
        .\r\n";
    let expected = "FROM:a@x.test\r\n\
        Subject: a\r\n b\r\n\
        mime-version: 1.0 (mine)\r\n\
        content-TRANSFER-encoding:  quoted-printable\r\n\
        Content-Type: TEXT/plain;\r\n\tcharset=\"utf-8\"\r\n\
        X-Last: field\r\n\
        \r\n\
        Gr=C3=BC=C3=9Fe =3D greetings, to all of you who can read this=20\r\n\
        .\r\n";
    assert_eq!(recoded(text.as_bytes()), expected);
}

#[test]
fn a_message_without_mime_version_gets_one() {
    let tail = "e au lait, s'il vous plait\r\n";
    for (body, charset, encoded) in [
        ("\u{e9}".as_bytes(), "utf-8", "=C3=A9"),
        (b"\xe9", "unknown-8bit", "=E9"),
    ] {
        let text = [b"Subject: a\r\n\r\n", body, tail.as_bytes()].concat();
        let expected = format!(
            "Subject: a\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset={charset}\r\n\
             \r\n\
             {encoded}{tail}"
        );
        assert_eq!(recoded(&text), expected);
    }
    // Without any field.
    let text = "\r\n\u{e9}tude, et encore une\r\n".as_bytes();
    assert!(
        recoded(text).starts_with("Content-Transfer-Encoding: quoted-printable\r\nMIME-Version")
    );
}

#[test]
fn each_part_is_encoded_by_itself_and_7bit_parts_are_unchanged() {
    let text = [
        "MIME-Version: 1.0\r\n\
         Content-Type: Multipart/Mixed; boundary=\"out;er\"\r\n\
         Content-Transfer-Encoding: 8bit\r\n\
         \r\n\
         preamble\r\n\
         --out;er\r\n\
         Content-Type: multipart/alternative; boundary=inner\r\n\
         \r\n\
         --inner\r\n\
         \r\n\
         plain =\r\n\
         --inner  \r\n\
         Content-Type: text/html; charset=utf-8\r\n\
         \r\n\
         <p>plain text, except one \u{fc}</p>\r\n\
         --inner--\r\n\
         \r\n\
         --out;er\r\n\
         Content-Type: image/png\r\n\
         Content-Transfer-Encoding: binary\r\n\
         \r\n"
            .as_bytes(),
        b"\x89PNG\r\n\x1a\n\0\0\0",
        "\r\n\
         --out;er\r\n\
         Content-Type: message/rfc822\r\n\
         Content-Transfer-Encoding: 8bit\r\n\
         \r\n\
         Subject: within\r\n\
         \r\n\
         \u{4f8b}\u{3048}\r\n\
         --out;er--\r\n\
         epilogue\r\n"
            .as_bytes(),
    ]
    .concat();
    let expected = "MIME-Version: 1.0\r\n\
         Content-Type: Multipart/Mixed; boundary=\"out;er\"\r\n\
         Content-Transfer-Encoding: 7bit\r\n\
         \r\n\
         preamble\r\n\
         --out;er\r\n\
         Content-Type: multipart/alternative; boundary=inner\r\n\
         \r\n\
         --inner\r\n\
         \r\n\
         plain =\r\n\
         --inner  \r\n\
         Content-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\
         \r\n\
         <p>plain text, except one =C3=BC</p>\r\n\
         --inner--\r\n\
         \r\n\
         --out;er\r\n\
         Content-Type: image/png\r\n\
         Content-Transfer-Encoding: base64\r\n\
         \r\n\
         iVBORw0KGgoAAAA=\r\n\
         --out;er\r\n\
         Content-Type: message/rfc822\r\n\
         Content-Transfer-Encoding: 7bit\r\n\
         \r\n\
         Subject: within\r\n\
         Content-Transfer-Encoding: base64\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         \r\n\
         5L6L44GI\r\n\
         --out;er--\r\n\
         epilogue\r\n";
    assert_eq!(recoded(&text), expected);
}

#[test]
fn base64_is_in_lines_and_ends_with_a_line_end() {
    let text = [
        &b"Content-Type: image/png\r\nMIME-Version: 1.0\r\n\r\n"[..],
        &[0xff; 58],
    ]
    .concat();
    let expected = format!(
        "Content-Type: image/png\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n/w==\r\n",
        "/".repeat(76)
    );
    assert_eq!(recoded(&text), expected);
}

#[test]
fn lines_that_are_too_long_are_encoded_without_any_8bit_byte() {
    let line = "x".repeat(999);
    let text = format!("MIME-Version: 1.0\r\n\r\n{line}\r\n");
    let recoded = recoded(text.as_bytes());
    let (header, body) = recoded.split_once("\r\n\r\n").unwrap();
    assert!(header.ends_with("Content-Transfer-Encoding: quoted-printable"));
    assert!(body.lines().all(|line| line.len() <= 76));
    assert_eq!(body.replace("=\r\n", ""), format!("{line}\r\n"));
}

#[test]
fn the_parts_of_a_digest_are_messages_by_default() {
    let text = "MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n\
        --b\r\n\r\nSubject: within\r\n\r\nplain text, except one \u{fc}\r\n--b--\r\n";
    let expected = "MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n\
        --b\r\n\r\nSubject: within\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\nplain text, except one =C3=BC\r\n--b--\r\n";
    assert_eq!(recoded(text.as_bytes()), expected);
}

#[test]
fn seven_bit_data_is_returned_without_a_copy() {
    for text in [
        "",
        "no header, no end",
        "Subject: a\r\n\r\nplain\r\n",
        "DKIM-Signature: v=1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain\r\n",
        "Content-Type: multipart/mixed\r\n\r\nno parts\r\n",
        "Content-Transfer-Encoding: x-own\r\n\r\nplain\r\n",
        "\r\r\r\n".strip_prefix("\r\r").unwrap(),
    ] {
        let text = Bytes::copy_from_slice(text.as_bytes());
        let kept = seven_bit(&text).unwrap();
        assert_eq!((kept.as_ptr(), kept.len()), (text.as_ptr(), text.len()));
    }
}

#[test]
fn what_must_not_be_changed_is_rejected_with_kind_and_offset() {
    use RecodeErrorKind as F;
    let mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let cases: [(String, usize, F); 21] = [
        ("DKIM-Signature: v=1\r\n\r\n\u{fc}\r\n".into(), 0, F::Signed),
        (
            "arc-message-signature: i=1\r\n\r\n\u{fc}\r\n".into(),
            0,
            F::Signed,
        ),
        (
            "DomainKey-Signature: a\r\n\r\n\u{fc}\r\n".into(),
            0,
            F::Signed,
        ),
        (
            "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\u{fc}\r\n--b--\r\n"
                .into(),
            0,
            F::Signed,
        ),
        (
            "Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\n\r\n\u{fc}\r\n--b--\r\n"
                .into(),
            0,
            F::Encrypted,
        ),
        (
            "Content-Type: application/pkcs7-mime\r\n\r\n\u{fc}".into(),
            0,
            F::Signed,
        ),
        (
            "Content-Type: Application/X-PKCS7-mime\r\n\r\n\u{fc}".into(),
            0,
            F::Signed,
        ),
        // Nested.
        (
            format!(
                "{mixed}--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\n\u{fc}\r\n--c--\r\n--b--\r\n"
            ),
            50,
            F::Signed,
        ),
        (
            format!(
                "{mixed}--b\r\nContent-Type: message/rfc822\r\n\r\nDKIM-Signature: a\r\n\r\n\u{fc}\r\n--b--\r\n"
            ),
            82,
            F::Signed,
        ),
        // A signature is reported before other errors.
        (
            "DKIM-Signature: \u{fc}\r\n\r\n\u{fc}\r\n".into(),
            0,
            F::Signed,
        ),
        (
            format!("Subject: {}\r\n\r\n", "x".repeat(990)),
            998,
            F::Header,
        ),
        ("Subject: a\nTo: b\r\n\r\n\u{fc}".into(), 10, F::Header),
        (
            format!("{mixed}--b\r\nContent-ID: \u{fc}\r\n\r\n\r\n--b--\r\n"),
            62,
            F::Header,
        ),
        (
            "Content-Transfer-Encoding: base64\r\n\r\n\u{fc}".into(),
            0,
            F::Encoded,
        ),
        (
            "Content-Transfer-Encoding: x-own\r\n\r\n\u{fc}".into(),
            0,
            F::Encoded,
        ),
        (
            "Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u{fc}"
                .into(),
            33,
            F::Malformed,
        ),
        (
            "Content-Type: message/partial\r\n\r\n\u{fc}".into(),
            0,
            F::Type,
        ),
        (
            "Content-Type: multipart/mixed\r\n\r\n\u{fc}".into(),
            0,
            F::Type,
        ),
        (
            format!("{mixed}gr\u{fc}n\r\n--b\r\n\r\na\r\n--b--\r\n"),
            47,
            F::OutsideParts,
        ),
        (
            format!("{mixed}--b\r\n\r\na\r\n--b--\r\n\u{fc}"),
            62,
            F::OutsideParts,
        ),
        (" Subject: a\r\n\r\n\u{fc}".into(), 0, F::Malformed),
    ];
    for (text, at, reason) in cases {
        let error = seven_bit(&text.clone().into()).expect_err(&text);
        assert_eq!((error.offset(), error.kind()), (at, reason), "{text:?}");
    }
}

#[test]
fn signed_and_encrypted_parts_are_recognized_in_each_spelling() {
    use RecodeErrorKind as F;
    let part = "--b\r\n\r\n\u{fc}\r\n--b--\r\n";
    let mut cases = Vec::new();
    for (kind, reason) in [
        ("multipart/signed", F::Signed),
        ("multipart/encrypted", F::Encrypted),
        ("application/pkcs7-mime", F::Signed),
    ] {
        let (main, sub) = kind.split_once('/').unwrap();
        for field in [
            format!("Content-Type: {kind} (a comment); boundary=b"),
            format!("Content-Type: (a comment) {kind}; boundary=b"),
            format!("Content-Type: {main} / {sub} ; boundary = b"),
            format!("Content-Type: {main}(a (nested \\) one))/\r\n\t{sub}\r\n ;boundary=b"),
            format!("Content-Type: {} boundary=b", kind.to_uppercase()),
            format!("Content-Type: {kind} is what it is; boundary"),
            format!("Content-Type : {kind}; boundary=b"),
            format!("content-type\t :\r\n {kind}; boundary=b"),
        ] {
            cases.push((format!("{field}\r\n\r\n{part}"), reason));
        }
    }
    for name in [
        "DKIM-Signature",
        "DomainKey-Signature",
        "ARC-Message-Signature",
    ] {
        for field in [
            format!("{name} : v=1"),
            format!("{}\t:\r\n v=1", name.to_lowercase()),
        ] {
            cases.push((format!("{field}\r\n\r\n\u{fc}\r\n"), F::Signed));
            // The signature covers fields as well.
            cases.push((
                format!("{field}\r\nSubject: \u{fc}\r\n\r\nplain\r\n"),
                F::Signed,
            ));
        }
    }
    // A field with invalid syntax could mean a signature.
    for field in [
        "Content-Type: multipart/(signed; boundary=b",
        "Content-Type: \"multipart/signed\"; boundary=b",
        "Content-Type: multipart; boundary=b",
        "Content-Type:",
        "Content-Type: text/plain\r\nContent-type : multipart/signed; boundary=b",
        "Content-Type: multipart/mixed; boundary=b\r\n \r\nSubject: a",
        "Content-Type: multipart/mixed; boundary=\"\"",
        "no field",
    ] {
        cases.push((format!("{field}\r\n\r\n{part}"), F::Malformed));
    }
    for (text, reason) in cases {
        let error = seven_bit(&text.clone().into()).expect_err(&text);
        assert_eq!(error.kind(), reason, "{text:?}");
        let within = format!(
            "Content-Type: multipart/mixed (and more);\r\n boundary=\"outer\"\r\n\r\n--outer\r\n{text}\r\n--outer--\r\n"
        );
        let error = seven_bit(&within.clone().into()).expect_err(&within);
        assert_eq!(error.kind(), reason, "{within:?}");
    }
}

#[test]
fn content_transfer_encoding_is_recognized_in_each_spelling() {
    for field in [
        "Content-Transfer-Encoding : 8bit",
        "Content-Transfer-Encoding\t: (a comment) 8bit",
        "Content-Transfer-Encoding: 8BIT (a (nested\\)) one)",
        "Content-Transfer-Encoding: 8bit;",
    ] {
        let text = format!("MIME-version : 1.0\r\n{field}\r\n\r\nplain except \u{fc}\r\n");
        assert_eq!(
            recoded(text.as_bytes()),
            "MIME-version : 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nplain except =C3=BC\r\n"
        );
    }
    for value in ["base64 (8bit)", "(8bit) x-own", "8bit 7bit", "(8bit", ""] {
        let text = format!("Content-Transfer-Encoding : {value}\r\n\r\n\u{fc}\r\n");
        let error = seven_bit(&text.into()).unwrap_err();
        assert_eq!(error.kind(), RecodeErrorKind::Encoded, "{value}");
    }
}

#[test]
fn a_soft_line_break_creates_no_boundary_line() {
    let mixed = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=next\r\n\r\n";
    let injected = "Content-Type: text/html";
    for before in 60..90 {
        let line = "x".repeat(before);
        let text = format!(
            "{mixed}--next\r\n\r\n{line}--next\r\n{injected}\r\n\r\n\u{fc} and a lot of ascii here\r\n-- \r\n---\r\n--next--\r\n"
        );
        let recoded = recoded(text.as_bytes());
        assert!(recoded.contains("quoted-printable"), "{recoded}");
        let boundaries = recoded.lines().filter(|line| line.starts_with("--"));
        assert_eq!(boundaries.count(), 2, "{recoded}");
        assert!(
            recoded.contains("\r\n=2D-=20\r\n=2D--\r\n--next--"),
            "{recoded}"
        );
        assert!(recoded.lines().all(|line| line.len() <= 76), "{recoded}");
        assert!(
            recoded
                .replace("=\r\n", "")
                .replace("=2D", "-")
                .contains(&format!("{line}--next\r\n{injected}"))
        );
    }
}

#[test]
fn a_line_that_only_begins_like_a_boundary_line_is_malformed() {
    let mixed = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=next\r\n\r\n";
    for line in [
        "--nextnext",
        "--next x",
        "--next-",
        "--next--x",
        "--next\u{fc}",
    ] {
        let text = format!("{mixed}--next\r\n\r\n\u{fc}\r\n{line}\r\n--next--\r\n");
        let error = seven_bit(&text.into()).unwrap_err();
        assert_eq!(error.kind(), RecodeErrorKind::Malformed, "{line}");
    }
    // A boundary line after the closing one.
    let text = format!("{mixed}--next\r\n\r\n\u{fc}\r\n--next--\r\n--next\r\n");
    let error = seven_bit(&text.into()).unwrap_err();
    assert_eq!(error.kind(), RecodeErrorKind::Malformed);
}

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
fn a_7bit_signed_part_is_unchanged_beside_an_8bit_part() {
    let signed =
        "--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\nplain\r\n--c--\r\n";
    let text = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{signed}--b\r\n\r\n\u{4f8b}\r\n--b--\r\n"
    );
    let recoded = recoded(text.as_bytes());
    assert!(recoded.contains(signed), "{recoded}");
    assert!(recoded.contains("5L6L"), "{recoded}");
}

#[test]
fn the_depth_of_parts_is_limited() {
    let enclosed = |times: usize| {
        let text = "Content-Type: message/rfc822\r\n\r\n".repeat(times)
            + "\r\n\u{fc} and more, much more\r\n";
        seven_bit(&text.into())
    };
    let two = enclosed(2).unwrap();
    let field = "Content-Type: message/rfc822\r\n";
    let version = "MIME-Version: 1.0\r\n";
    let expected = format!(
        "{field}{version}\r\n{field}{version}\r\nContent-Transfer-Encoding: quoted-printable\r\n{version}\
         Content-Type: text/plain; charset=utf-8\r\n\r\n=C3=BC and more, much more\r\n"
    );
    assert_eq!(two, expected);
    assert!(enclosed(99).is_ok());
    for times in [100, 10_000] {
        assert_eq!(
            enclosed(times).unwrap_err().kind(),
            RecodeErrorKind::TooDeep
        );
    }
    let nested = |times: usize| {
        let open = (0..times)
            .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}.\r\n\r\n--b{n}.\r\n"));
        let text: String = open.collect();
        seven_bit(&(text + "\r\n\u{fc} and more").into())
    };
    assert!(nested(50).is_ok());
    assert!(nested(1_000).is_err());
}
