//! The recoded body of a message byte for byte, and which messages are unchanged.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use bytes::Bytes;
use smtp_recode::{RecodeErrorKind, seven_bit};

/// The recoded message, which is ASCII.
pub(crate) fn recoded(text: &[u8]) -> String {
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
