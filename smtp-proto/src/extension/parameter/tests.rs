use alloc::{
    format,
    string::{String, ToString},
    vec,
};

use proptest::prelude::*;

use super::*;
use crate::extension::Body;
use crate::extension::dsn::{Notify, OriginalRecipient, Return};

mod date_time;
mod extensions;

fn reason<T>(result: Result<T, ParameterError>) -> (usize, ParameterErrorKind) {
    match result {
        Ok(_) => panic!("accepted"),
        Err(error) => (error.offset(), error.kind()),
    }
}

fn encoded(parameter: &Parameter) -> String {
    let mut out = vec![];
    parameter.encode(&mut out);
    assert_eq!(out.len(), parameter.encoded_len());
    String::from_utf8(out).unwrap()
}

#[test]
fn a_parameter_is_a_keyword_in_upper_case_with_or_without_a_value() {
    let ret = Parameter::new("ret", Some("HDRS")).unwrap();
    assert_eq!(encoded(&ret), " RET=HDRS");
    assert_eq!(
        (ret.to_string().as_str(), ret.extension()),
        ("RET=HDRS", "DSN")
    );

    let flag = Parameter::new("x-flag", None).unwrap();
    assert_eq!(
        (encoded(&flag).as_str(), flag.extension()),
        (" X-FLAG", "X-FLAG")
    );

    assert!(!Value::try_from("caf\u{e9}").unwrap().is_ascii());
}

#[test]
fn v11_a_parameter_outside_the_grammar_is_rejected_with_its_offset() {
    use ParameterErrorKind as F;
    for (keyword, value, offset, fault) in [
        ("", None, 0, F::Empty),
        ("-A", None, 0, F::Character),
        ("A_B", None, 1, F::Character),
        ("A=B", None, 1, F::Character),
        ("A\r\n", None, 1, F::Character),
        ("\u{c4}", None, 0, F::Character),
        ("A", Some(""), 2, F::Empty),
        ("A", Some("b c"), 3, F::Character),
        ("A", Some("b=c"), 3, F::Character),
        ("A", Some("b\r\nDATA"), 3, F::Character),
        ("A", Some("\0"), 2, F::Character),
        ("A", Some("\x7f"), 2, F::Character),
        ("A", Some("\u{85}"), 2, F::Character),
        ("size", Some("1"), 0, F::Reserved),
        ("BODY", Some("8BITMIME"), 0, F::Reserved),
        ("SmtpUtf8", None, 0, F::Reserved),
    ] {
        assert_eq!(
            reason(Parameter::new(keyword, value)),
            (offset, fault),
            "{keyword:?} {value:?}"
        );
    }
    assert_eq!(
        reason(Parameter::new(&"A".repeat(65), None)),
        (64, F::TooLong)
    );
    assert_eq!(
        reason("a".repeat(1025).parse::<Value>()),
        (1024, F::TooLong)
    );
    assert!(Parameter::new(&"A".repeat(64), Some(&"a".repeat(1024))).is_ok());
}

#[test]
fn a_set_has_no_keyword_twice_and_none_of_the_other_command() {
    let parameter = |keyword: &str| {
        let value = match keyword {
            "NOTIFY" => "NEVER",
            "RET" => "FULL",
            _ => "x",
        };
        Parameter::new(keyword, Some(value)).unwrap()
    };
    let mut mail = Parameters::mail();
    mail.push(parameter("ENVID")).unwrap();
    assert_eq!(
        reason(mail.push(parameter("envid"))),
        (0, ParameterErrorKind::Duplicate)
    );
    assert_eq!(
        reason(mail.push(parameter("NOTIFY"))),
        (0, ParameterErrorKind::Misplaced)
    );
    mail.push(parameter("X-OWN")).unwrap();
    assert_eq!(mail.as_slice(), [parameter("ENVID"), parameter("X-OWN")]);

    let mut rcpt = Parameters::rcpt();
    rcpt.push(parameter("NOTIFY")).unwrap();
    assert_eq!(
        reason(rcpt.push(parameter("RET"))),
        (0, ParameterErrorKind::Misplaced)
    );
    assert!(rcpt.is_ascii());
    rcpt.push(Parameter::new("X", Some("\u{e9}")).unwrap())
        .unwrap();
    assert!(!rcpt.is_ascii());
}

#[test]
fn a_set_is_limited_to_2048_bytes() {
    let mut all = Parameters::mail();
    all.push(Parameter::new("A", Some(&"a".repeat(1021))).unwrap())
        .unwrap();
    all.push(Parameter::new("B", Some(&"b".repeat(1019))).unwrap())
        .unwrap();
    assert_eq!(
        reason(all.push(Parameter::new("CC", None).unwrap())),
        (0, ParameterErrorKind::TooLong)
    );
    all.push(Parameter::new("C", None).unwrap()).unwrap();
    assert_eq!(
        all.as_slice()
            .iter()
            .map(Parameter::encoded_len)
            .sum::<usize>(),
        2048
    );
}

#[test]
fn implied_parameters_are_sent_only_if_needed() {
    for (content, expected) in [
        (Content::default(), ""),
        (
            Content {
                size: Some(0),
                ..Content::default()
            },
            " SIZE=0",
        ),
        (
            Content {
                body: Some(Body::BinaryMime),
                ..Content::default()
            },
            " BODY=BINARYMIME",
        ),
        (
            Content {
                size: Some(u64::MAX),
                body: Some(Body::EightBitMime),
                smtp_utf8: true,
            },
            " SIZE=18446744073709551615 BODY=8BITMIME SMTPUTF8",
        ),
    ] {
        let mut out = vec![];
        content.encode(&mut out);
        assert_eq!(out, expected.as_bytes());
    }
}

#[test]
fn an_error_contains_an_offset_if_there_is_one() {
    let error = Parameter::new("A", Some("secret\n")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "character that is not allowed in a parameter at offset 8"
    );
    let error = Parameter::new("SIZE", None).unwrap_err();
    assert_eq!(error.to_string(), "parameter that follows from the message");
}

#[test]
fn v11_xtext_of_every_pair_of_bytes_is_a_value_and_comes_back() {
    for first in 0..=255 {
        for second in 0..=255 {
            let value = Value::xtext(&[first, second]).unwrap();
            assert_eq!(decode_xtext(value.as_str()), [first, second]);
        }
    }
    assert_eq!(
        Value::xtext(b"a+b=c d\xFF").unwrap().as_str(),
        "a+2Bb+3Dc+20d+FF"
    );
    assert_eq!(reason(Value::xtext(b"")), (0, ParameterErrorKind::Empty));
    assert_eq!(
        reason(Value::xtext(&[b'a'; 65536])),
        (1024, ParameterErrorKind::TooLong)
    );
    assert!(Value::xtext(&[b'a'; 1024]).is_ok());
}

proptest! {
    #[test]
    fn v11_xtext_of_any_bytes_comes_back(bytes in prop::collection::vec(any::<u8>(), 1..300)) {
        prop_assert_eq!(decode_xtext(Value::xtext(&bytes).unwrap().as_str()), bytes);
    }

    #[test]
    fn any_parameter_displayed_parses_to_itself(
        keyword in "[A-Za-z0-9][A-Za-z0-9-]{0,20}",
        value in prop::option::of("[!-<>-~é]{1,20}"),
    ) {
        let Ok(parameter) = Parameter::new(&keyword, value.as_deref()) else {
            prop_assert!(Content::KEYWORDS.contains(&keyword.to_uppercase().as_str()));
            return Ok(());
        };
        let shown = parameter.to_string();
        prop_assert_eq!(&encoded(&parameter), &format!(" {shown}"));
        let (keyword, value) = match shown.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (shown.as_str(), None),
        };
        prop_assert_eq!(Parameter::new(keyword, value).unwrap(), parameter);
    }
}

/// `xtext = *( xchar / "+" 2HEXDIG )`, exactly as in RFC 3461, section 4.
fn decode_xtext(text: &str) -> Vec<u8> {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        rest = others;
        bytes.push(match first {
            b'+' => {
                let (hex, others) = rest.split_at(2);
                rest = others;
                assert!(
                    hex.iter().all(|c| matches!(c, b'0'..=b'9' | b'A'..=b'F')),
                    "{text}"
                );
                u8::from_str_radix(str::from_utf8(hex).unwrap(), 16).unwrap()
            }
            b'!'..=b'<' | b'>'..=b'~' => *first,
            _ => panic!("not xtext: {text:?}"),
        });
    }
    bytes
}
