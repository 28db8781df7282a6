//! Which messages are rejected, with which kind of error and where.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use smtp_recode::{RecodeErrorKind, seven_bit};

#[test]
fn what_must_not_be_changed_is_rejected_with_kind_and_offset() {
    use RecodeErrorKind as F;
    let mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let cases: [(String, usize, F); 23] = [
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
        // Parameters that cannot be read.
        (
            "Content-Type: multipart/mixed; boundary=\r\n\r\n\u{fc}".into(),
            0,
            F::Type,
        ),
        (
            "Content-Type: multipart/mixed; charset=; boundary=b\r\n\r\n\u{fc}".into(),
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
        "Content-Type: multipart/mixed; boundary=\"b \"",
        ": no name",
        " : no name",
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
