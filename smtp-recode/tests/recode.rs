//! What becomes of a mail, octet for octet, and which mails are left alone or refused.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use bytes::Bytes;
use smtp_recode::{RecodeFault, seven_bit};

fn recoded(text: &[u8]) -> String {
    let recoded = seven_bit(&Bytes::copy_from_slice(text)).unwrap();
    String::from_utf8(recoded.to_vec()).unwrap()
}

#[test]
fn a_text_stays_legible_and_its_header_stays_as_it_is() {
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
fn a_text_that_is_no_mime_becomes_mime() {
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
    // Not even a header.
    let text = "\r\n\u{e9}tude, et encore une\r\n".as_bytes();
    assert!(
        recoded(text).starts_with("Content-Transfer-Encoding: quoted-printable\r\nMIME-Version")
    );
}

#[test]
fn each_part_is_encoded_by_itself_and_those_that_are_fit_are_not() {
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
         <p>plain text, but for one \u{fc}</p>\r\n\
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
         <p>plain text, but for one =C3=BC</p>\r\n\
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
fn base64_comes_in_lines_and_ends_the_last_of_the_mail() {
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
fn lines_that_are_too_long_are_mended_without_any_octet_above_127() {
    let line = "x".repeat(999);
    let text = format!("MIME-Version: 1.0\r\n\r\n{line}\r\n");
    let recoded = recoded(text.as_bytes());
    let (header, body) = recoded.split_once("\r\n\r\n").unwrap();
    assert!(header.ends_with("Content-Transfer-Encoding: quoted-printable"));
    assert!(body.lines().all(|line| line.len() <= 76));
    assert_eq!(body.replace("=\r\n", ""), format!("{line}\r\n"));
}

#[test]
fn a_digest_holds_messages_without_saying_so() {
    let text = "MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n\
        --b\r\n\r\nSubject: within\r\n\r\nplain text, but for one \u{fc}\r\n--b--\r\n";
    let expected = "MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n\
        --b\r\n\r\nSubject: within\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\nplain text, but for one =C3=BC\r\n--b--\r\n";
    assert_eq!(recoded(text.as_bytes()), expected);
}

#[test]
fn what_is_fit_is_returned_without_a_copy_whatever_it_is() {
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
fn what_may_not_be_changed_is_refused_with_the_reason_and_the_place() {
    use RecodeFault as F;
    let mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let cases: [(String, usize, F); 22] = [
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
        // Within others.
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
        // A signature counts for more than what else is wrong.
        (
            "DKIM-Signature: \u{fc}\r\n\r\n\u{fc}\r\n".into(),
            0,
            F::Signed,
        ),
        ("To: b\r\nSubject: \u{fc}\r\n\r\n".into(), 16, F::Header),
        (
            format!("Subject: {}\r\n\r\n", "x".repeat(990)),
            998,
            F::Header,
        ),
        ("Subject: a\nTo: b\r\n\r\n\u{fc}".into(), 10, F::Header),
        (
            format!("{mixed}--b\r\nX-Name: \u{fc}\r\n\r\n\r\n--b--\r\n"),
            58,
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
        assert_eq!((error.offset(), error.reason()), (at, reason), "{text:?}");
    }
}

#[test]
fn a_signed_part_that_is_fit_stays_as_it_is_beside_one_that_is_not() {
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
fn parts_within_parts_end_somewhere() {
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
        assert_eq!(enclosed(times).unwrap_err().reason(), RecodeFault::TooDeep);
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
