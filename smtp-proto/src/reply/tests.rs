use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn reply(raw: &[u8]) -> Reply {
    let (reply, length) = Reply::parse(raw).expect("a reply").expect("a whole one");
    assert_eq!(length, raw.len());
    reply
}

#[test]
fn the_first_digit_decides() {
    for code in 0..=u16::MAX {
        let severity = match code {
            200..=299 => Some(Severity::Completion),
            300..=399 => Some(Severity::Intermediate),
            400..=499 => Some(Severity::Transient),
            500..=599 => Some(Severity::Permanent),
            _ => None,
        };
        assert_eq!(
            ReplyCode::new(code).map(ReplyCode::severity),
            severity,
            "{code}"
        );
    }
    assert!(reply(b"299 a\r\n").is_completion());
    assert!(reply(b"400 a\r\n").is_transient());
    assert!(reply(b"599 a\r\n").is_permanent());
    let intermediate = reply(b"354 a\r\n");
    assert!(
        !intermediate.is_completion()
            && !intermediate.is_transient()
            && !intermediate.is_permanent()
    );
}

#[test]
fn a_code_is_shown_as_its_three_digits() {
    for code in 200..=599 {
        let code = ReplyCode::new(code).unwrap();
        assert_eq!(code.digits(), code.to_string().as_bytes());
        assert!(code == code.as_u16());
    }
}

#[test]
fn an_enhanced_code_counts_only_in_a_reply_of_its_class() {
    let rows: [(&[u8], Option<&str>); 15] = [
        (b"250 2.1.0 Ok\r\n", Some("2.1.0")),
        (b"450 4.2.0 later\r\n", Some("4.2.0")),
        (b"550 5.7.509 no\r\n", Some("5.7.509")),
        (b"550 5.1.1\r\n", Some("5.1.1")),
        (b"550-5.1.1 one\r\n550 two\r\n", Some("5.1.1")),
        (b"550-one\r\n550 5.1.1 two\r\n", None),
        (b"250 5.1.0 Ok\r\n", None),
        (b"450 5.2.0 later\r\n", None),
        (b"550 4.2.0 no\r\n", None),
        (b"354 2.0.0 go\r\n", None),
        (b"354 3.0.0 go\r\n", None),
        (b"550 5.1.1: no\r\n", None),
        (b"550 5.1.1.1 is no address\r\n", None),
        (b"250\r\n", None),
        (b"250 Ok\r\n", None),
    ];
    for (raw, expected) in rows {
        let shown = reply(raw).enhanced().map(|enhanced| enhanced.to_string());
        assert_eq!(shown.as_deref(), expected, "{}", raw.escape_ascii());
    }
    let enhanced = reply(b"550 5.7.509 no\r\n").enhanced().unwrap();
    assert_eq!(
        (enhanced.class(), enhanced.subject(), enhanced.detail()),
        (5, 7, 509)
    );
}

#[test]
fn lines_are_the_bytes_as_received() {
    let reply = reply(b"250-2.0.0 a\r\n250-\n250-\xc3\xa9\xff\r\r\n250\r\n");
    let lines: Vec<&[u8]> = reply.lines().collect();
    assert_eq!(lines, [&b"2.0.0 a"[..], b"", b"\xc3\xa9\xff\r", b""]);
}

#[test]
fn replies_with_other_line_ends_are_equal() {
    assert_eq!(reply(b"250-a\r\n250 b\r\n"), reply(b"250-a\n250 b\n"));
    assert_eq!(reply(b"250\r\n"), reply(b"250 \n"));
    assert_ne!(reply(b"250 a\r\n"), reply(b"251 a\r\n"));
    assert_ne!(reply(b"250 a\r\n"), reply(b"250-a\r\n250 b\r\n"));
}

#[test]
fn a_clone_shares_the_text() {
    let reply = reply(b"250 a\r\n");
    assert!(Arc::ptr_eq(reply.raw(), reply.clone().raw()));
}

#[test]
fn a_reply_is_shown_in_one_line() {
    let rows: [(&[u8], &str); 10] = [
        (b"250 2.1.0 Ok\r\n", "250 2.1.0 Ok"),
        (b"250\r\n", "250"),
        (b"250 \r\n", "250"),
        (
            b"550-5.1.1 no such user\r\n550 second line\r\n",
            "550 5.1.1 no such user / second line",
        ),
        (
            b"550-5.1.1 no such\r\n550 5.1.1 user\r\n",
            "550 5.1.1 no such / user",
        ),
        (
            b"550-5.1.1 no such\r\n550 5.1.2 user\r\n",
            "550 5.1.1 no such / 5.1.2 user",
        ),
        (b"250-\r\n250-  a\r\n250-\r\n250 b  \r\n", "250 a / b"),
        (b"250 \x1b[2Ja\tb\x7f\r\n", "250 \\x1b[2Ja\\x09b\\x7f"),
        (
            "250 \u{e9}\u{4f60}\u{85}\u{202e}\u{2028}\r\n".as_bytes(),
            "250 é你\\xc2\\x85\\xe2\\x80\\xae\\xe2\\x80\\xa8",
        ),
        (b"250 a\xffb\xc3\r\n", "250 a\\xffb\\xc3"),
    ];
    for (raw, expected) in rows {
        let reply = reply(raw);
        assert_eq!(reply.to_string(), expected);
        assert_eq!(format!("{reply:?}"), format!("Reply({expected})"));
    }
}

#[test]
fn a_long_reply_is_shown_in_a_kibibyte_with_an_ellipsis() {
    for filler in ["a", "é", "\u{4f60}", "\u{1f600}", "\u{1}", "\u{202e}"] {
        let raw = format!("550 {}\r\n", filler.repeat(2000 / filler.len()));
        let shown = reply(raw.as_bytes()).to_string();
        assert!(
            shown.len() <= DISPLAY_LIMIT && shown.len() > DISPLAY_LIMIT - 8,
            "{}",
            shown.len()
        );
        assert!(shown.ends_with('…'));
    }
    let fits = format!("550 {}\r\n", "a".repeat(DISPLAY_LIMIT - 7));
    assert!(!reply(fits.as_bytes()).to_string().contains('…'));
}

#[test]
fn escaped_text_keeps_to_any_limit() {
    for limit in 3..40 {
        let shown = Escaped::new("a\u{1}é\u{202e}\u{1f600}\u{ff}bcd".as_bytes(), limit).to_string();
        assert!(shown.len() <= limit, "{shown} in {limit}");
    }
    assert_eq!(Escaped::new(b"a\0", 8).to_string(), "a\\x00");
    assert_eq!(format!("{:?}", Escaped::new(b"a\n", 8)), "a\\x0a");
}

#[test]
fn v30_every_directional_control_is_escaped_and_its_neighbors_are_not() {
    let controls = ['\u{61c}', '\u{200e}', '\u{200f}'];
    let ranges = ('\u{2028}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
    for control in controls
        .into_iter()
        .chain(ranges)
        .chain('\u{7f}'..='\u{9f}')
    {
        let shown = Escaped::new(control.to_string().as_bytes(), 64).to_string();
        assert!(shown.is_ascii() && shown.starts_with("\\x"), "{shown:?}");
    }
    for letter in [
        '\u{61b}', '\u{61e}', '\u{2010}', '\u{2027}', '\u{2030}', '\u{a1}',
    ] {
        assert_eq!(
            Escaped::new(letter.to_string().as_bytes(), 64).to_string(),
            letter.to_string()
        );
    }
}

#[test]
fn v17_every_byte_in_the_text_of_a_reply_is_kept_or_rejected_and_never_shown_raw() {
    for byte in 0..=u8::MAX {
        let raw = [b"250 a", &[byte][..], b"b\r\n"].concat();
        match byte {
            0 => assert_eq!(
                Reply::parse(&raw),
                Err(crate::ReplyError::Nul { offset: 5 })
            ),
            // The line ends there. The rest belongs to the next reply.
            b'\n' => assert_eq!(Reply::parse(&raw).unwrap().unwrap().1, 6),
            _ => {
                let reply = reply(&raw);
                assert!(reply.lines().eq([&[b'a', byte, b'b'][..]]));
                let shown = match byte {
                    b' '..=b'~' => format!("250 a{}b", char::from(byte)),
                    _ => format!("250 a\\x{byte:02x}b"),
                };
                assert_eq!(reply.to_string(), shown);
            }
        }
    }
}

fn is_harmless(shown: &str) -> bool {
    let bidi = [
        '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
        '\u{202e}',
    ];
    let isolates = ['\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}'];
    !shown
        .chars()
        .any(|shown| shown.is_control() || bidi.contains(&shown) || isolates.contains(&shown))
}

proptest! {
    #[test]
    fn v30_display_has_no_control_and_at_most_a_kibibyte(text in any_text()) {
        let text: Vec<u8> = text.into_iter().filter(|byte| !matches!(byte, b'\n' | 0)).collect();
        let raw = [b"550-5.0.0 ", &text[..], b"\r\n550 ", &text, b"\r\n"].concat();
        let reply = reply(&raw);
        for shown in [reply.to_string(), reply.as_ref().to_string(), format!("{reply:?}"), format!("{reply:#?}")] {
            prop_assert!(is_harmless(&shown), "{shown:?}");
            prop_assert!(shown.len() <= 1024 + "Reply()".len());
        }
        prop_assert!(reply.to_string().len() <= 1024);
    }
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let controls = prop::collection::vec(0..0x100_u32, 0..400).prop_map(|scalars| {
        let scalars = scalars
            .into_iter()
            .filter_map(|scalar| char::from_u32(0x1f80 + scalar));
        scalars.collect::<String>().into_bytes()
    });
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..700),
        any::<String>().prop_map(String::into_bytes),
        controls,
    ]
}

#[test]
fn a_reply_that_was_cut_differs_from_one_of_the_same_text() {
    let whole = reply(b"250-one\r\n250 two\r\n");
    assert_eq!(
        whole,
        reply(b"250-one\n250 two\n"),
        "line ends do not count"
    );
    assert_ne!(whole, reply(b"251-one\r\n251 two\r\n"));
    assert_ne!(whole, reply(b"250-one\r\n250 too\r\n"));
    let cut = ReplyRef::new(whole.code(), whole.raw(), true).to_reply();
    assert!(cut.is_truncated() && !whole.is_truncated());
    assert_ne!(whole, cut);
}
