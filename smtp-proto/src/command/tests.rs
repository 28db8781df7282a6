use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use proptest::prelude::*;

use super::*;
use crate::{
    Mailbox,
    extension::{Body, Parameters},
    sasl::{ConnectionInfo, Driver, Login, Mechanism, Plain, XOAuth2, initial_response_fits},
};

mod fields;
mod server;

fn wire(line: Line<'_>) -> Vec<u8> {
    let mut out = b"before\r\n".to_vec();
    line.encode(&mut out);
    out.split_off(8)
}

fn text(line: Line<'_>) -> String {
    String::from_utf8(wire(line)).unwrap()
}

fn auth<'a>(mechanism: &dyn Mechanism, initial: Option<&'a Secret>) -> Line<'a> {
    Line::Auth {
        mechanism: mechanism.name(),
        initial,
    }
}

#[test]
fn every_line_is_written_as_the_rfcs_specify() {
    let name = "client.example.org".parse().unwrap();
    let literal = ClientName::from(core::net::Ipv4Addr::new(192, 0, 2, 1));
    let sender = "a@b".parse().unwrap();
    let recipient = r#""c d"@e"#.parse().unwrap();
    let content = Content {
        size: Some(1000),
        body: Some(Body::EightBitMime),
        smtp_utf8: true,
    };
    let envid = Parameter::new("ENVID", Some("x1")).unwrap();
    let notify = Parameter::new("NOTIFY", Some("NEVER")).unwrap();
    let plain = Plain::new("u", "p").unwrap();
    let response = Secret::from("abcd");
    let empty = Secret::default();
    let (null, none) = (ReversePath::null(), Content::default());

    for (line, expected) in [
        (Line::Ehlo(&name), "EHLO client.example.org"),
        (Line::Helo(&name), "HELO client.example.org"),
        (Line::Lhlo(&literal), "LHLO [192.0.2.1]"),
        (Line::StartTls, "STARTTLS"),
        (auth(&plain, None), "AUTH PLAIN"),
        (auth(&plain, Some(&response)), "AUTH PLAIN YWJjZA=="),
        (auth(&plain, Some(&empty)), "AUTH PLAIN ="),
        (Line::SaslResponse(&response), "YWJjZA=="),
        (Line::SaslResponse(&empty), ""),
        (Line::SaslCancel, "*"),
        (
            Line::Mail {
                path: &null,
                content: none,
                parameters: &[],
            },
            "MAIL FROM:<>",
        ),
        (
            Line::Mail {
                path: &sender,
                content,
                parameters: &[envid],
            },
            "MAIL FROM:<a@b> SIZE=1000 BODY=8BITMIME SMTPUTF8 ENVID=x1",
        ),
        (
            Line::Rcpt {
                path: &recipient,
                parameters: &[],
            },
            r#"RCPT TO:<"c d"@e>"#,
        ),
        (
            Line::Rcpt {
                path: &ForwardPath::postmaster(),
                parameters: &[notify],
            },
            "RCPT TO:<Postmaster> NOTIFY=NEVER",
        ),
        (Line::Data, "DATA"),
        (Line::Bdat { len: 0, last: true }, "BDAT 0 LAST"),
        (
            Line::Bdat {
                len: 65536,
                last: false,
            },
            "BDAT 65536",
        ),
        (Line::Rset, "RSET"),
        (Line::Quit, "QUIT"),
        (Line::User(&Command::noop()), "NOOP"),
        (Line::User(&Command::rset()), "RSET"),
        (Line::User(&Command::vrfy("Smith").unwrap()), "VRFY Smith"),
        (
            Line::User(&Command::expn("a\u{e9}").unwrap()),
            "EXPN a\u{e9} SMTPUTF8",
        ),
        (Line::User(&Command::help(None).unwrap()), "HELP"),
        (
            Line::User(&Command::help(Some("MAIL")).unwrap()),
            "HELP MAIL",
        ),
        (
            Line::User(&Command::etrn("@example.org").unwrap()),
            "ETRN @example.org",
        ),
        (
            Line::User(&Command::custom("XFORWARD", Some("NAME=a PORT=1")).unwrap()),
            "XFORWARD NAME=a PORT=1",
        ),
        (
            Line::User(&Command::xforward(
                Xforward::new().addr_unavailable().port(1),
            )),
            "XFORWARD ADDR=[UNAVAILABLE] PORT=1",
        ),
    ] {
        assert_eq!(text(line), format!("{expected}\r\n"));
        if !line.is_secret() {
            assert_eq!(line.redacted().to_string(), expected);
        }
    }
}

#[test]
fn v09_an_invalid_command_is_rejected_with_its_offset() {
    use CommandErrorKind as F;
    for (verb, arguments, offset, reason) in [
        ("", None, 0, F::Empty),
        ("1X", None, 0, F::Verb),
        ("X_Y", None, 1, F::Verb),
        ("X Y", None, 1, F::Verb),
        ("X\r\nMAIL", None, 1, F::Verb),
        ("\u{c4}", None, 0, F::Verb),
        ("X", Some(""), 2, F::Empty),
        ("X", Some(" a"), 2, F::Space),
        ("X", Some("a "), 3, F::Space),
        ("X", Some("a\r\nDATA"), 3, F::Character),
        ("X", Some("a\0"), 3, F::Character),
        ("X", Some("a\x7f"), 3, F::Character),
        ("X", Some("\u{e9}\u{85}"), 4, F::Character),
        ("X", Some("a\u{2028}"), 3, F::Character),
    ] {
        let error = Command::custom(verb, arguments).unwrap_err();
        assert_eq!(
            (error.offset(), error.kind()),
            (offset, reason),
            "{verb:?} {arguments:?}"
        );
    }
    let error = Command::vrfy("secret\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "command with a control character at offset 11"
    );
}

#[test]
fn a_custom_command_cannot_use_a_reserved_verb() {
    for verb in [
        "EHLO", "HELO", "LHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BDAT", "BURL", "QUIT",
        "RSET", "XCLIENT", "TURN", "ATRN", "SEND", "SOML", "SAML", "XEXCH50",
    ] {
        for spelling in [
            verb.to_owned(),
            verb.to_lowercase(),
            verb[..1].to_lowercase() + &verb[1..],
        ] {
            for arguments in [None, Some("x")] {
                let error = Command::custom(&spelling, arguments).unwrap_err();
                assert_eq!(
                    (error.offset(), error.kind()),
                    (0, CommandErrorKind::Owned),
                    "{spelling}"
                );
            }
        }
        assert!(Command::custom(&format!("{verb}X"), None).is_ok());
    }
}

#[test]
fn a_command_line_is_limited_to_512_bytes_and_the_smtputf8_parameter_counts() {
    let longest = Command::vrfy(&"a".repeat(505)).unwrap();
    assert_eq!(wire(Line::User(&longest)).len(), 512);
    let longest = Command::vrfy(&("\u{e9}".to_owned() + &"a".repeat(494))).unwrap();
    assert_eq!(wire(Line::User(&longest)).len(), 512);
    for error in [
        Command::vrfy(&"a".repeat(506)).unwrap_err(),
        Command::vrfy(&("\u{e9}".to_owned() + &"a".repeat(495))).unwrap_err(),
        Command::custom(&"A".repeat(65536), None).unwrap_err(),
        Command::help(Some(&" ".repeat(65536))).unwrap_err(),
    ] {
        assert_eq!(
            (error.offset(), error.kind()),
            (510, CommandErrorKind::TooLong)
        );
    }
}

#[test]
fn a_command_returns_its_verb_and_whether_it_is_rset() {
    assert!(Command::rset().is_rset() && !Command::noop().is_rset());
    let command = Command::custom("xFoo", Some("bar baz")).unwrap();
    assert_eq!((command.verb(), command.as_str()), ("xFoo", "xFoo bar baz"));
    assert!(!Command::vrfy("\u{e9}").unwrap().is_ascii());
}

#[test]
fn v12_an_initial_response_fits_up_to_an_exact_length() {
    let names = [
        "A",
        "AB",
        "ABC",
        "ABCD",
        "SCRAM-SHA-256-PLUS",
        "ABCDEFGHIJKLMNOPQRST",
    ];
    for mechanism in names.map(|name| sasl::Name::new(name).unwrap()) {
        for len in 0..400 {
            let response = Secret::from(vec![b'x'; len]);
            let line = Line::Auth {
                mechanism,
                initial: Some(&response),
            };
            let fits = wire(line).len() <= 512;
            assert_eq!(
                initial_response_fits(mechanism, response.expose()),
                fits,
                "{mechanism} {len}"
            );
        }
    }
}

#[test]
fn a_line_is_appended_without_an_allocation() {
    let sender: ReversePath = "\"a b\"@example.org".parse().unwrap();
    let content = Content {
        size: Some(u64::MAX),
        body: Some(Body::BinaryMime),
        smtp_utf8: true,
    };
    let parameters = [Parameter::new("ENVID", Some("x")).unwrap()];
    let response = Secret::from(vec![b'x'; 300]);
    let mut out = Vec::with_capacity(1024);
    let memory = (out.as_ptr(), out.capacity());
    Line::Mail {
        path: &sender,
        content,
        parameters: &parameters,
    }
    .encode(&mut out);
    Line::SaslResponse(&response).encode(&mut out);
    assert_eq!((out.as_ptr(), out.capacity()), memory);
}

#[test]
fn v37_transcripts_and_debug_show_only_the_length_of_sasl_messages() {
    const CANARY: &str = "c4narY-t0ken";
    let plain = Plain::new("user", CANARY).unwrap();
    let login = Login::new("user", CANARY).unwrap();
    let xoauth2 = XOAuth2::new("user", CANARY).unwrap();
    let mechanisms: [&dyn Mechanism; 3] = [&plain, &login, &xoauth2];
    for mechanism in mechanisms {
        let (mut dialogue, initial) =
            Driver::begin(mechanism, &ConnectionInfo::new([0; 32])).unwrap();
        let response = dialogue.challenge(b"").unwrap_or_default();
        for line in [
            auth(mechanism, initial.as_ref()),
            Line::SaslResponse(&response),
        ] {
            let shown = format!("{} {line:?} {line:#?}", line.redacted());
            let sent = text(line);
            let carried = sent.trim_end().rsplit(' ').next().unwrap();
            let names = ["LOGIN", ""].contains(&carried);
            assert!(names || !shown.contains(carried), "{carried} in {shown}");
            assert!(!shown.contains(CANARY));
            assert_eq!(line.is_secret(), carried != "LOGIN");
        }
    }
    let response = Secret::from(CANARY);
    assert_eq!(
        auth(&plain, Some(&response)).redacted().to_string(),
        "AUTH PLAIN <16 bytes>"
    );
    assert_eq!(
        Line::SaslResponse(&response).redacted().to_string(),
        "<16 bytes>"
    );
}

#[test]
fn v09_every_byte_at_every_place_of_every_field_is_rejected_or_comes_back_from_the_wire() {
    for field in fields::FIELDS {
        let mut accepted = 0;
        for sample in field.samples {
            let chars: Vec<char> = sample.chars().collect();
            for place in 0..=chars.len() {
                for byte in 0..=255_u8 {
                    let c = char::from(byte);
                    let inserted: String = chars[..place]
                        .iter()
                        .chain(&[c])
                        .chain(&chars[place..])
                        .collect();
                    accepted += u32::from((field.check)(&inserted));
                    if place < chars.len() {
                        let replaced: String = chars[..place]
                            .iter()
                            .chain(&[c])
                            .chain(&chars[place + 1..])
                            .collect();
                        accepted += u32::from((field.check)(&replaced));
                    }
                }
            }
        }
        assert!(accepted > 10, "{} takes nothing", field.name);
    }
}

#[test]
fn v09_every_scalar_in_every_field_is_rejected_or_comes_back_from_the_wire() {
    let scalars: Vec<char> = ('\0'..=char::MAX).collect();
    for field in fields::FIELDS {
        let (front, back) = field.around;
        let mut text = front.to_owned();
        let mut accepts = |scalars: &[char]| {
            text.truncate(front.len());
            for scalar in scalars {
                text.push(*scalar);
            }
            text.push_str(back);
            (field.check)(&text)
        };
        // A dozen at a time where all are accepted, otherwise one by one.
        for dozen in scalars.chunks(12) {
            if accepts(dozen) {
                assert!(
                    !dozen.iter().any(|c| c.is_control()),
                    "{dozen:?} in {}",
                    field.name
                );
                continue;
            }
            for c in dozen {
                assert!(
                    !(accepts(&[*c]) && c.is_control()),
                    "{c:?} in {}",
                    field.name
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn v11_any_parameters_come_back_from_the_wire(
        size: Option<u64>,
        smtp_utf8: bool,
        own in prop::collection::vec(("[A-Z0-9][A-Z0-9-]{0,9}", prop::option::of("[!-<>-~é]{1,20}")), 0..5),
    ) {
        let mut parameters = Parameters::mail();
        for (keyword, value) in &own {
            if let Ok(parameter) = Parameter::new(keyword, value.as_deref()) {
                let _: Result<(), _> = parameters.push(parameter);
            }
        }
        let content = Content { size, body: None, smtp_utf8 };
        let path = ReversePath::null();
        let sent = text(Line::Mail { path: &path, content, parameters: parameters.as_slice() });
        let size = size.map(|size| ("SIZE".to_owned(), Some(size.to_string())));
        let smtp_utf8 = smtp_utf8.then(|| ("SMTPUTF8".to_owned(), None));
        let own = parameters.as_slice().iter().map(|parameter| {
            (parameter.keyword().to_string(), parameter.value().map(ToString::to_string))
        });
        let expected: Vec<_> = size.into_iter().chain(smtp_utf8).chain(own).collect();
        prop_assert_eq!(server::path(&sent, "MAIL FROM:").parameters, expected);
    }
}
