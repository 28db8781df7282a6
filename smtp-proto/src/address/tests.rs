use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec,
};
use core::net::IpAddr;

use proptest::prelude::*;

use super::*;

mod reference;

fn mailbox(text: &str) -> Result<Mailbox, AddressError> {
    text.parse()
}

fn fault<T>(result: Result<T, AddressError>) -> (usize, AddressErrorKind) {
    match result {
        Ok(_) => panic!("accepted"),
        Err(error) => (error.offset(), error.kind()),
    }
}

#[test]
fn a_mailbox_returns_its_parts_and_drops_needless_quotes() {
    for (text, local, domain, canonical) in [
        ("a@b", "a", "b", "a@b"),
        (
            "first.last+tag@mail.example.org",
            "first.last+tag",
            "mail.example.org",
            "",
        ),
        (r#""a"@b"#, "a", "b", "a@b"),
        (r#""a.b"@c"#, "a.b", "c", "a.b@c"),
        (r#""a..b"@c"#, "a..b", "c", ""),
        (r#"".a"@c"#, ".a", "c", ""),
        (r#"""@c"#, "", "c", ""),
        (r#"" "@c"#, " ", "c", ""),
        (r#""a@b"@c"#, "a@b", "c", ""),
        (r#""<a>, \"b\\"@c"#, r#"<a>, "b\"#, "c", ""),
        (r#""\a\ \b"@c"#, "a b", "c", r#""a b"@c"#),
        (r#""\@"@c"#, "@", "c", r#""@"@c"#),
        ("a@[192.0.2.1]", "a", "[192.0.2.1]", ""),
        ("a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]", ""),
        (
            "a@[ipv6:::ffff:192.0.2.1]",
            "a",
            "[ipv6:::ffff:192.0.2.1]",
            "",
        ),
        (
            "\u{e9}l\u{e8}ve@b\u{fc}cher.example",
            "\u{e9}l\u{e8}ve",
            "b\u{fc}cher.example",
            "",
        ),
        ("a@1.2.3.4", "a", "1.2.3.4", ""),
        ("!#$%&'*+-/=?^_`{|}~@b", "!#$%&'*+-/=?^_`{|}~", "b", ""),
    ] {
        let parsed = mailbox(text).unwrap();
        assert_eq!(
            (&*parsed.local_part(), parsed.domain()),
            (local, domain),
            "{text}"
        );
        let canonical = if canonical.is_empty() {
            text
        } else {
            canonical
        };
        assert_eq!(parsed.as_str(), canonical);
        assert_eq!(parsed.to_string(), canonical);
        assert_eq!(parsed.is_ascii(), text.is_ascii());
        assert_eq!(mailbox(canonical).unwrap(), parsed);
        assert_eq!(Mailbox::new(local, domain).unwrap(), parsed);
    }
}

#[test]
fn v14_an_invalid_mailbox_is_rejected_with_offset_and_kind() {
    use AddressErrorKind as F;
    for (text, offset, reason) in [
        ("", 0, F::Empty),
        ("@b", 0, F::Empty),
        ("a", 1, F::NoDomain),
        (r#""a""#, 3, F::NoDomain),
        ("a@", 2, F::Empty),
        ("a@b@c", 3, F::Character),
        ("a b@c", 1, F::Character),
        (" a@b", 0, F::Character),
        ("a@b ", 3, F::Character),
        ("a@b>", 3, F::Character),
        ("<a@b>", 0, F::Character),
        ("a\r\n@b", 1, F::Control),
        ("a@b\r\nRCPT TO:<c@d>", 3, F::Control),
        ("a\0@b", 1, F::Control),
        ("\"a\nb\"@c", 2, F::Control),
        ("\"a\\\nb\"@c", 3, F::Control),
        ("a@b\u{85}c", 3, F::Control),
        ("a\u{2028}@b", 1, F::Control),
        ("a\x7f@b", 1, F::Control),
        (".a@b", 0, F::Dot),
        ("a.@b", 1, F::Dot),
        ("a..b@c", 2, F::Dot),
        ("a@b.", 4, F::Dot),
        ("a@.b", 2, F::Dot),
        ("a@b..c", 4, F::Dot),
        ("a@-b", 2, F::Hyphen),
        ("a@b-.c", 3, F::Hyphen),
        ("a@b_c", 3, F::Character),
        ("\"a@b", 4, F::OpenQuote),
        ("\"a\\", 3, F::OpenQuote),
        (r#""a"b@c"#, 3, F::Character),
        (r#"a"b"@c"#, 1, F::Character),
        ("a(comment)@b", 1, F::Character),
        ("Name <a@b>", 5, F::DisplayName),
        ("@x,@y:a@b", 0, F::Empty),
        ("group:a@b;", 5, F::Character),
        ("a@[192.0.2.256]", 2, F::Literal),
        ("a@[192.0.2.01]", 2, F::Literal),
        ("a@[192.0.2.1", 2, F::Literal),
        ("a@[]", 2, F::Literal),
        ("a@[IPv6:1:2:3:4:5:6:7::]", 2, F::Literal),
        ("a@[IPv6:fe80::1%eth0]", 2, F::Literal),
        ("a@[2001:db8::1]", 2, F::Literal),
        ("a@[IPv6:192.0.2.1]", 2, F::Literal),
        ("a@[tag:content]", 2, F::Literal),
        ("a@b\u{3002}c", 3, F::Character),
        ("a@\u{ff42}", 2, F::Character),
        ("a@b\u{ad}c", 3, F::Character),
        ("a@b\u{200b}c", 3, F::Character),
    ] {
        assert_eq!(fault(mailbox(text)), (offset, reason), "{text:?}");
    }
}

#[test]
fn an_error_contains_the_offset_and_the_kind_but_not_the_address() {
    let error = mailbox("secret\r@b").unwrap_err();
    assert_eq!(error.to_string(), "control character '\\r' at offset 6");
    for (text, character, shown) in [
        (
            "a,b@c",
            Some(','),
            "character ',' is not allowed at offset 1",
        ),
        (
            "a b@c",
            Some(' '),
            "character ' ' is not allowed at offset 1",
        ),
        (
            "a@b\u{202e}",
            Some('\u{202e}'),
            "character '\\u{202e}' is not allowed at offset 3",
        ),
        (
            "a@@b",
            Some('@'),
            "character '@' is not allowed at offset 2",
        ),
        (
            "a..b@c",
            None,
            "dot without a name on both sides at offset 2",
        ),
        ("a", None, "no @ after the local part at offset 1"),
    ] {
        let error = mailbox(text).unwrap_err();
        assert_eq!(error.character(), character, "{text:?}");
        assert_eq!(error.to_string(), shown);
    }
}

#[test]
fn an_address_with_a_display_name_gets_an_error_that_says_what_to_write() {
    use AddressErrorKind as F;
    for (text, offset, reason) in [
        ("Alice <alice@example.org>", 6, F::DisplayName),
        ("\"Alice, B.\" <alice@example.org>", 12, F::DisplayName),
        ("Al\u{ef}ce<alice@example.org> ", 6, F::DisplayName),
        ("a@b <alice@example.org>", 4, F::DisplayName),
        (&format!("{} <a@b>", "x".repeat(300)), 301, F::DisplayName),
        // These are not addresses with a display name.
        ("Alice <alice>", 5, F::Character),
        ("Alice <alice@example.org", 5, F::Character),
        ("Alice <a@b> c", 5, F::Character),
        (" <a@b>", 0, F::Character),
        ("Al ice\r\n <a@b>", 2, F::Character),
    ] {
        assert_eq!(fault(mailbox(text)), (offset, reason), "{text:?}");
        assert_eq!(fault(text.parse::<ForwardPath>()), (offset, reason));
        assert_eq!(fault(text.parse::<ReversePath>()), (offset, reason));
    }
    assert_eq!(
        mailbox("Alice <alice@example.org>")
            .unwrap_err()
            .to_string(),
        "display name: write only the address inside <>, which begins at offset 6"
    );
}

#[test]
fn v14_lengths_are_limited_to_the_byte() {
    let of = |n| "a".repeat(n);
    let label = of(63);
    let domain_189 = format!("{label}.{}.{}", of(63), of(61));
    assert_eq!(domain_189.len(), 189);

    // RFC 5321, section 4.5.3.1: a client may try a local part over 64 bytes.
    assert!(mailbox(&format!("{}@b", of(252))).is_ok());
    assert_eq!(
        fault(mailbox(&format!("{}@b", of(253)))),
        (254, AddressErrorKind::LongMailbox)
    );
    assert!(mailbox(&format!("\"{} \"@b", of(249))).is_ok());
    assert_eq!(
        fault(mailbox(&format!("\"{} \"@b", of(250)))),
        (254, AddressErrorKind::LongMailbox)
    );
    assert!(mailbox(&format!("a@{label}")).is_ok());
    assert_eq!(
        fault(mailbox(&format!("a@b.{label}a"))),
        (4, AddressErrorKind::LongLabel)
    );
    assert!(mailbox(&format!("{}@{domain_189}", of(64))).is_ok());
    assert_eq!(
        fault(mailbox(&format!("{}@{domain_189}a", of(64)))),
        (254, AddressErrorKind::LongMailbox)
    );
    assert!(Mailbox::new(&of(64), &domain_189).is_ok());
    assert_eq!(
        fault(Mailbox::new(&of(64), &format!("{domain_189}a"))),
        (65, AddressErrorKind::LongMailbox)
    );
    // Quotes and backslashes count, because they are sent.
    assert!(Mailbox::new(&"\"".repeat(125), "b").is_ok());
    assert_eq!(
        fault(Mailbox::new(&"\"".repeat(126), "b")),
        (127, AddressErrorKind::LongMailbox)
    );

    let domain_255 = format!("{label}.{label}.{label}.{label}");
    assert!(domain_255.parse::<Domain>().is_ok());
    let domain_256 = format!("{label}.{label}.{label}.{}.a", of(62));
    assert_eq!(domain_256.len(), 256);
    assert_eq!(
        fault(domain_256.parse::<Domain>()),
        (255, AddressErrorKind::LongDomain)
    );
    // A U-label of 59 characters may have an A-label of 63 bytes.
    assert!("\u{4e2d}".repeat(59).parse::<Domain>().is_ok());
    assert_eq!(
        fault("\u{4e2d}".repeat(60).parse::<Domain>()),
        (0, AddressErrorKind::LongLabel)
    );
}

#[test]
fn v14_inputs_of_64_kib_are_rejected_whatever_they_contain() {
    for piece in [
        "a", ".", "\"", "\\", "a.", "\\\"", "@", "a@", "[", "<", " ", "\u{e9}", "-", "1:",
    ] {
        for front in ["", "\"", "a@", "a@[IPv6:", "<", "<\"", "[IPv6:"] {
            let text = format!("{front}{}", piece.repeat(65536 / piece.len()));
            assert!(mailbox(&text).is_err());
            assert!(text.parse::<Domain>().is_err());
            assert!(text.parse::<ClientName>().is_err());
            assert!(text.parse::<ReversePath>().is_err());
            assert!(text.parse::<ForwardPath>().is_err());
            assert!(ForwardPath::local(&text).is_err());
            assert!(Mailbox::new(&text, "b").is_err());
        }
    }
}

#[test]
fn v10_a_client_name_is_a_domain_in_ascii_or_an_address_literal() {
    for name in [
        "mail.example.org",
        "localhost",
        "[192.0.2.1]",
        "[IPv6:::1]",
        "xn--bcher-kva.example",
    ] {
        assert_eq!(name.parse::<ClientName>().unwrap().as_str(), name);
    }
    for (name, offset, reason) in [
        ("", 0, AddressErrorKind::Empty),
        ("my_laptop", 2, AddressErrorKind::Character),
        ("a\r\nMAIL FROM:<>", 1, AddressErrorKind::Control),
        ("a b", 1, AddressErrorKind::Character),
        #[cfg(not(feature = "idna"))]
        ("b\u{fc}cher", 1, AddressErrorKind::NonAscii),
        ("host.", 5, AddressErrorKind::Dot),
        ("[host]", 0, AddressErrorKind::Literal),
    ] {
        assert_eq!(
            fault(name.parse::<ClientName>()),
            (offset, reason),
            "{name:?}"
        );
    }
}

#[test]
fn every_ip_address_converts_to_a_client_name_that_parses() {
    for address in [
        "192.0.2.1",
        "::",
        "::1",
        "1::",
        "2001:db8:0:1:1:1:1:1",
        "::ffff:192.0.2.1",
        "fe80::1",
    ] {
        let name = ClientName::from(address.parse::<IpAddr>().unwrap());
        assert_eq!(name.as_str().parse::<ClientName>().unwrap(), name);
        assert!(name.as_str().contains(address));
    }
}

#[test]
fn a_path_is_displayed_with_brackets_and_parsed_with_or_without() {
    for (text, encoded) in [
        ("", "<>"),
        ("<>", "<>"),
        ("a@b", "<a@b>"),
        ("<a@b>", "<a@b>"),
        ("<\"a>\"@b>", "<\"a>\"@b>"),
    ] {
        let path = ReversePath::try_from(text).unwrap();
        let mut out = vec![];
        path.encode(&mut out);
        assert_eq!(out, encoded.as_bytes());
        assert_eq!(path.to_string(), encoded);
        assert_eq!(path.is_null(), encoded == "<>");
        assert_eq!(encoded.parse::<ReversePath>().unwrap(), path);
    }
    assert_eq!(
        fault("<a@b".parse::<ReversePath>()),
        (4, AddressErrorKind::Bracket)
    );
    assert_eq!(
        fault("a@b>".parse::<ReversePath>()),
        (3, AddressErrorKind::Character)
    );
    assert_eq!(
        fault("<<a@b>>".parse::<ReversePath>()),
        (1, AddressErrorKind::Character)
    );
    assert_eq!(
        fault("<a@b >".parse::<ForwardPath>()),
        (4, AddressErrorKind::Character)
    );
    assert_eq!(
        fault("<".parse::<ReversePath>()),
        (1, AddressErrorKind::Bracket)
    );
    assert_eq!(
        fault("".parse::<ForwardPath>()),
        (0, AddressErrorKind::Empty)
    );
    assert_eq!(
        fault("<>".parse::<ForwardPath>()),
        (1, AddressErrorKind::Empty)
    );
}

#[test]
fn a_recipient_without_a_domain_is_the_postmaster_or_created_by_local() {
    for text in ["postmaster", "<POSTMASTER>", "<Postmaster>"] {
        assert_eq!(
            text.parse::<ForwardPath>().unwrap(),
            ForwardPath::postmaster()
        );
    }
    assert_eq!(
        ForwardPath::local("postmaster").unwrap(),
        ForwardPath::postmaster()
    );
    assert_eq!(
        fault("<user>".parse::<ForwardPath>()),
        (5, AddressErrorKind::NoDomain)
    );

    let user = ForwardPath::local("user").unwrap();
    assert_eq!(
        (user.to_string().as_str(), user.domain(), user.mailbox()),
        ("<user>", None, None)
    );
    let quoted = ForwardPath::local("a b>").unwrap();
    assert_eq!(
        (quoted.to_string().as_str(), &*quoted.local_part()),
        ("<\"a b>\">", "a b>")
    );
    assert_eq!(fault(ForwardPath::local("")), (0, AddressErrorKind::Empty));
    assert_eq!(
        fault(ForwardPath::local("a\r\n")),
        (1, AddressErrorKind::Control)
    );
    assert_eq!(
        fault(ForwardPath::local(&"a".repeat(255))),
        (255, AddressErrorKind::LongMailbox)
    );
    assert!(ForwardPath::local(&"a".repeat(254)).is_ok());
}

#[test]
fn addresses_convert_from_common_types() {
    fn take(path: impl TryInto<ForwardPath, Error: Into<AddressError>>) -> ForwardPath {
        path.try_into().map_err(Into::into).unwrap()
    }
    let text = "a@b".to_owned();
    let mailbox = mailbox("a@b").unwrap();
    let all = [
        take("a@b"),
        take(&text),
        take(text),
        take(&mailbox),
        take(mailbox.clone()),
    ];
    assert!(all.iter().all(|path| path.mailbox() == Some(&mailbox)));
    assert_eq!(
        format!("{mailbox:?} {:?}", all[0]),
        r#"Mailbox("a@b") ForwardPath("a@b")"#
    );
}

#[test]
fn v14_an_independent_grammar_agrees_on_every_short_string() {
    let mut text = String::new();
    for length in 0..=6 {
        every_text(length, &mut text, &mut |text| assert_agreement(text));
    }
}

proptest! {
    #[test]
    fn v14_an_independent_grammar_agrees_on_random_strings(
        text in r#"("([a. ]|\\?["\\@]){0,4}"|[ab.+é\u{85}\u{2028}]{1,5}|[a"\\.@ <>]{0,6})@?([a1.-]{0,8}|\[[0-9.]{0,9}\]|[aé。\u{200d}中.-]{0,6}|\[IPv6:[0-9af:.]{0,12}\])"#
    ) {
        assert_agreement(&text);
    }

    #[test]
    fn v14_an_independent_grammar_agrees_on_ipv6_literals(
        front in prop::collection::vec("[0-9a-f]{1,4}", 0..8),
        back in prop::collection::vec("[0-9a-f]{1,4}", 0..8),
        middle in prop::sample::select(vec!["::", ":", ""]),
        tail in prop::sample::select(vec!["", ":192.0.2.1", "192.0.2.1", ":192.0.2"]),
    ) {
        assert_agreement(&format!("a@[IPv6:{}{middle}{}{tail}]", front.join(":"), back.join(":")));
    }

    #[test]
    fn any_local_part_survives_quoting(local in "[ -~é中]{0,130}") {
        if let Ok(made) = Mailbox::new(&local, "example.org") {
            prop_assert_eq!(&*made.local_part(), &local);
            prop_assert_eq!(mailbox(made.as_str()).unwrap(), made);
        } else {
            prop_assert!(local.len() * 2 + 2 > 254 - "@example.org".len());
        }
    }
}

/// Calls `visit` with `text` followed by every string of `length` characters from an alphabet of
/// special characters.
fn every_text(length: usize, text: &mut String, visit: &mut impl FnMut(&str)) {
    if length == 0 {
        return visit(text);
    }
    for c in ['a', '.', '"', '\\', '@', '-', ' ', '['] {
        text.push(c);
        every_text(length - 1, text, visit);
        text.pop();
    }
}

fn assert_agreement(text: &str) {
    let ours = mailbox(text)
        .ok()
        .map(|m| (m.local_part().into_owned(), m.domain().to_owned()));
    assert_eq!(ours, reference::mailbox(text), "{text:?}");
    if let Ok(parsed) = mailbox(text) {
        assert_eq!(mailbox(parsed.as_str()).as_ref(), Ok(&parsed));
    }
}

proptest! {
    #[test]
    fn a_plain_mailbox_is_what_the_grammar_says(
        text in r#"[a.\-@]{0,12}|[ab.]{1,6}@[ab.\-]{1,70}|[ -~é]{0,6}@[ -~é]{0,6}|a{60,70}@(a{60,66}\.?){1,3}"#,
    ) {
        let found = plain::mailbox(&text);
        let expected = grammar::bare_mailbox(&text).ok();
        let is_plain = text.is_ascii() && !text.starts_with('"') && !text.contains('[');
        prop_assert_eq!(found, expected.filter(|_| is_plain));
    }
}
