use std::string::String;
use std::vec::Vec;

use super::address_list::address_list;
use super::{FieldErrorKind, Name};
use crate::address::AddressErrorKind;
use crate::mail::{Mail, MailErrorKind};

/// The mailboxes of a list as text, or its malformed address.
fn parsed(value: &str) -> Result<Vec<String>, String> {
    let list = address_list(value.as_bytes()).map_err(|error| error.text)?;
    Ok(list
        .mailboxes
        .iter()
        .map(|each| each.as_str().into())
        .collect())
}

#[test]
fn lists_give_their_mailboxes() {
    for (value, expected) in [
        ("", &[] as &[&str]),
        (" \r\n ", &[]),
        ("a@x.test", &["a@x.test"]),
        (" a@x.test\r\n", &["a@x.test"]),
        ("<a@x.test>", &["a@x.test"]),
        ("a@x.test,b@x.test", &["a@x.test", "b@x.test"]),
        ("a@x.test,\r\n\tb@x.test\r\n", &["a@x.test", "b@x.test"]),
        // Empty elements (obs-addr-list).
        (",, a@x.test ,,b@x.test, ,", &["a@x.test", "b@x.test"]),
        (
            "Alice <a@x.test>, \"Doe, Bob\" <b@x.test>",
            &["a@x.test", "b@x.test"],
        ),
        ("\"<evil@x.test>\" <a@x.test>", &["a@x.test"]),
        ("\"a \\\" <evil@x.test>, \" <a@x.test>", &["a@x.test"]),
        ("John Q. Public <a@x.test>", &["a@x.test"]),
        ("\"John\" Q. \"Public\"<a@x.test>", &["a@x.test"]),
        (
            "=?utf-8?Q?J=C3=B6rg_=2C?= =?utf-8?B?w7w=?= <a@x.test>",
            &["a@x.test"],
        ),
        ("Jörg <a@x.test>", &["a@x.test"]),
        // Comments nest, and hide what is in them.
        (
            "(one (two) \\) <evil@x.test>,) a(b)@(c)x.test(d), b@x.test",
            &["a@x.test", "b@x.test"],
        ),
        ("a . b @ x . test", &["a.b@x.test"]),
        ("a.\r\n (c)b@x.test", &["a.b@x.test"]),
        ("<(c) a@x.test (d)>", &["a@x.test"]),
        // Quoted local parts, with what else is special.
        (r#""a b"@x.test"#, &[r#""a b"@x.test"#]),
        (r#"<"a@b, <c>;(d)"@x.test>"#, &[r#""a@b, <c>;(d)"@x.test"#]),
        (r#""a\"\\b"@x.test"#, &[r#""a\"\\b"@x.test"#]),
        (
            r#""a"@x.test, "a.b"@x.test, ""@x.test"#,
            &["a@x.test", "a.b@x.test", r#"""@x.test"#],
        ),
        (r#""a"."b c".d@x.test"#, &[r#""a.b c.d"@x.test"#]),
        ("\"a\r\n b\"@x.test", &["\"a b\"@x.test"]),
        ("\".a\"@x.test", &["\".a\"@x.test"]),
        (
            "a@[192.0.2.1], b@[ IPv6:2001:db8::1\r\n ]",
            &["a@[192.0.2.1]", "b@[IPv6:2001:db8::1]"],
        ),
        ("ä@bücher.test", &["ä@bücher.test"]),
        // Groups.
        (
            "Team: a@x.test, Bob <b@x.test>;, c@x.test",
            &["a@x.test", "b@x.test", "c@x.test"],
        ),
        ("undisclosed-recipients:;", &[]),
        ("A B:, ,; (c)", &[]),
        ("\"A: b\" c: a@x.test;", &["a@x.test"]),
        ("A:;, B:a@x.test;", &["a@x.test"]),
    ] {
        let found = parsed(value).unwrap_or_else(|text| panic!("{value:?}: {text}"));
        assert_eq!(found, expected, "{value:?}");
    }
}

#[test]
fn v14_of_a_malformed_list_no_address_is_taken() {
    for (value, text) in [
        ("a@x.test b@x.test", "a@x.test b@x.test"),
        ("a@x.test, b@x.test c, d@x.test", "b@x.test c"),
        ("a@x.test; b@x.test", "a@x.test; b@x.test"),
        ("a@x.test <b@x.test>", "a@x.test <b@x.test>"),
        ("<a@x.test> b", "<a@x.test> b"),
        ("<a@x.test", "<a@x.test"),
        ("<<a@x.test>>", "<<a@x.test>>"),
        ("a@x.test>", "a@x.test>"),
        ("\"Bob <a@x.test>", "\"Bob <a@x.test>"),
        ("Bob\" <a@x.test>", "Bob\" <a@x.test>"),
        ("(Bob <a@x.test>", "(Bob <a@x.test>"),
        ("(Bob\\) <a@x.test>", "(Bob\\) <a@x.test>"),
        ("Bob) <a@x.test>", "Bob) <a@x.test>"),
        ("a@[192.0.2.1", "a@[192.0.2.1"),
        ("Team: a@x.test", "Team: a@x.test"),
        ("Team: Sub: a@x.test;;", "Sub: a@x.test;;"),
        ("Team: a@x.test;;", "Team: a@x.test;;"),
        ("Team: a@x.test; b@x.test", "Team: a@x.test; b@x.test"),
        (": a@x.test;", ": a@x.test;"),
        ("Joe Bob@x.test", "Joe Bob@x.test"),
        ("\"a\"b@x.test", "\"a\"b@x.test"),
        ("\"a\"..b@x.test", "\"a\"..b@x.test"),
        ("\"a\".@x.test", "\"a\".@x.test"),
        ("a\\b@x.test", "a\\b@x.test"),
        ("a\0@x.test", "a\0@x.test"),
        ("Bob Doe, <a@x.test>", "Bob Doe"),
    ] {
        let error = address_list(value.as_bytes()).unwrap_err();
        assert_eq!(
            (error.kind, &*error.text),
            (FieldErrorKind::Syntax, text),
            "{value:?}"
        );
    }
    for bytes in [&b"a\xff@x.test"[..], b"a@x\xff.test", b"\"a\xff\"@x.test"] {
        assert_eq!(
            address_list(bytes).unwrap_err().kind,
            FieldErrorKind::Syntax
        );
    }
    // Only the address has to be text.
    assert!(address_list(b"M\xfcller (\xff) \"\xff\" <a@x.test>").is_ok());
}

#[test]
fn an_address_that_is_no_mailbox_is_named() {
    for (value, text, kind, offset) in [
        ("a@x.test, bob", "bob", AddressErrorKind::NoDomain, 3),
        ("Bob <bob>", "bob", AddressErrorKind::NoDomain, 3),
        ("Doe, Bob <b@x.test>", "Doe", AddressErrorKind::NoDomain, 3),
        ("<>", "", AddressErrorKind::Empty, 0),
        ("@x.test", "@x.test", AddressErrorKind::Empty, 0),
        ("<@x.test>", "@x.test", AddressErrorKind::Empty, 0),
        // A route.
        (
            "<@relay.test:a@x.test>",
            "@relay.test",
            AddressErrorKind::Empty,
            0,
        ),
        ("a@", "a@", AddressErrorKind::Empty, 2),
        ("a@, b@x.test", "a@", AddressErrorKind::Empty, 2),
        (".a@x.test", ".a@x.test", AddressErrorKind::Dot, 0),
        ("a..b@x.test", "a..b@x.test", AddressErrorKind::Dot, 2),
        ("a.@x.test", "a.@x.test", AddressErrorKind::Dot, 1),
        ("a@x.test.", "a@x.test.", AddressErrorKind::Dot, 9),
        ("a@-x.test", "a@-x.test", AddressErrorKind::Hyphen, 2),
        ("a@x_y.test", "a@x_y.test", AddressErrorKind::Character, 3),
        ("a@[x]", "a@[x]", AddressErrorKind::Literal, 2),
        (
            "\"a\x07\"@x.test",
            "a\x07@x.test",
            AddressErrorKind::Control,
            1,
        ),
        (
            "\"a\\\r\n b\"@x.test",
            "a\r b@x.test",
            AddressErrorKind::Control,
            1,
        ),
    ] {
        let error = address_list(value.as_bytes()).unwrap_err();
        let FieldErrorKind::Address(address) = error.kind else {
            panic!("{value:?}: {:?}", error.kind);
        };
        assert_eq!(
            (address.kind(), address.offset()),
            (kind, offset),
            "{value:?}"
        );
        assert_eq!(error.text, text, "{value:?}");
    }
}

#[test]
fn empty_groups_are_found() {
    for (value, expected) in [
        ("a:;", Some(0)),
        (" x@x.test, a: ,\r\n ;, b:;", Some(11)),
        ("a: x@x.test;", None),
        ("", None),
    ] {
        let list = address_list(value.as_bytes()).unwrap();
        assert_eq!(list.empty_group, expected, "{value:?}");
    }
}

#[test]
fn names_are_known_in_any_case() {
    assert_eq!(Name::of(b"rEsEnt-bCC"), (Name::Bcc, true));
    assert_eq!(Name::of(b"to"), (Name::To, false));
    assert_eq!(Name::of(b"Resent-"), (Name::Other, true));
    assert_eq!(Name::of(b"Apparently-To"), (Name::Other, false));
    assert_eq!(Name::Cc.as_str(true), "Resent-Cc");
}

#[test]
fn a_long_address_is_cut() {
    let message = std::format!("From: a@x.test\r\nTo: {}\r\n\r\n", "ä".repeat(400));
    let error = Mail::from_message(message).unwrap_err();
    let MailErrorKind::Field(field) = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(field.address().map(str::len), Some(256));
    assert!(std::format!("{error:#}").len() < 400);
}
