//! The values of the known extensions.

use alloc::string::ToString;
use core::str::FromStr;

use super::*;
use crate::address::ReversePath;

fn parse(text: &str) -> Result<Parameter, ParameterError> {
    match text.split_once('=') {
        Some((keyword, value)) => Parameter::new(keyword, Some(value)),
        None => Parameter::new(text, None),
    }
}

fn path(text: &str) -> ReversePath {
    text.parse().unwrap()
}

fn moment() -> DateTime {
    "2030-01-02T03:04:05Z".parse().unwrap()
}

#[test]
fn each_parameter_is_built_as_its_rfc_specifies() {
    let original = |text| OriginalRecipient::try_from(text).unwrap();
    for (made, expected, extension) in [
        (Ok(Parameter::ret(Return::Full)), "RET=FULL", "DSN"),
        (Ok(Parameter::ret(Return::Headers)), "RET=HDRS", "DSN"),
        (
            Parameter::envelope_id("QQ 314+159"),
            "ENVID=QQ+20314+2B159",
            "DSN",
        ),
        (Ok(Parameter::notify(Notify::NEVER)), "NOTIFY=NEVER", "DSN"),
        (Ok(Parameter::notify(Notify::DELAY)), "NOTIFY=DELAY", "DSN"),
        (
            Ok(Parameter::notify(
                Notify::DELAY | Notify::FAILURE | Notify::SUCCESS,
            )),
            "NOTIFY=SUCCESS,FAILURE,DELAY",
            "DSN",
        ),
        (
            Ok(Parameter::original_recipient(original("a+b=c@x.test"))),
            "ORCPT=rfc822;a+2Bb+3Dc@x.test",
            "DSN",
        ),
        (
            Ok(Parameter::original_recipient(original(
                "gr\u{fc}\u{df}e@x.test",
            ))),
            "ORCPT=utf-8;gr\\x{FC}\\x{DF}e@x.test",
            "DSN",
        ),
        (
            OriginalRecipient::unitext("a b\\+=\u{fc}@x").map(Parameter::original_recipient),
            "ORCPT=utf-8;a\\x{20}b\\x{5C}\\x{2B}\\x{3D}\u{fc}@x",
            "DSN",
        ),
        (
            OriginalRecipient::new("x400", "/C=DE/").map(Parameter::original_recipient),
            "ORCPT=x400;/C+3DDE/",
            "DSN",
        ),
        (Ok(Parameter::require_tls()), "REQUIRETLS", "REQUIRETLS"),
        (
            DeliverBy::or_return(1).map(Parameter::deliver_by),
            "BY=1;R",
            "DELIVERBY",
        ),
        (
            DeliverBy::or_notify(-999_999_999).map(Parameter::deliver_by),
            "BY=-999999999;N",
            "DELIVERBY",
        ),
        (
            DeliverBy::or_notify(0).map(|by| Parameter::deliver_by(by.traced())),
            "BY=0;NT",
            "DELIVERBY",
        ),
        (Parameter::priority(-9), "MT-PRIORITY=-9", "MT-PRIORITY"),
        (Parameter::priority(0), "MT-PRIORITY=0", "MT-PRIORITY"),
        (Parameter::priority(9), "MT-PRIORITY=9", "MT-PRIORITY"),
        (Parameter::hold_for(1), "HOLDFOR=1", "FUTURERELEASE"),
        (
            Parameter::hold_for(999_999_999),
            "HOLDFOR=999999999",
            "FUTURERELEASE",
        ),
        (
            Ok(Parameter::hold_until(moment())),
            "HOLDUNTIL=2030-01-02T03:04:05Z",
            "FUTURERELEASE",
        ),
        (
            Ok(Parameter::valid_since(moment(), None)),
            "RRVS=2030-01-02T03:04:05Z",
            "RRVS",
        ),
        (
            Ok(Parameter::valid_since(
                moment(),
                Some(IfUnsupported::Continue),
            )),
            "RRVS=2030-01-02T03:04:05Z;C",
            "RRVS",
        ),
        (
            Ok(Parameter::valid_since(
                moment(),
                Some(IfUnsupported::Reject),
            )),
            "RRVS=2030-01-02T03:04:05Z;R",
            "RRVS",
        ),
        (Parameter::submitter(&path("")), "AUTH=<>", "AUTH"),
        (
            Parameter::submitter(&path("e=mc2@example.com")),
            "AUTH=e+3Dmc2@example.com",
            "AUTH",
        ),
        (
            Parameter::submitter(&path("\"a b\"@x.test")),
            "AUTH=\"a+20b\"@x.test",
            "AUTH",
        ),
    ] {
        let made = made.unwrap();
        assert_eq!(
            (made.to_string().as_str(), made.extension()),
            (expected, extension)
        );
        // Parsing returns the same parameter.
        assert_eq!(parse(expected).unwrap(), made);
        assert!(made.encoded_len() <= made.extra_line_len(), "{made}");
    }
}

#[test]
fn values_received_by_a_relay_are_kept_unchanged() {
    for text in [
        "RET=hdrs",
        "ENVID=a+2Bb",
        "NOTIFY=Delay,success",
        "NOTIFY=never",
        "ORCPT=RFC822;Dana@Ivory.example",
        "ORCPT=utf-8;a\\x{10FFFD}\\x{1F600}\\x{E9}b",
        "BY=+5;nt",
        "BY=007;rT",
        "HOLDUNTIL=2030-01-02t03:04:05.5+01:00",
        "RRVS=1996-12-19T16:39:57.25-08:00;c",
        "SUBMITTER=whatever",
    ] {
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn v11_values_undefined_by_the_extension_are_rejected_with_their_offset() {
    use ParameterErrorKind as F;
    let long = |before: &str, bytes: usize| format!("{before}{}", "a".repeat(bytes));
    for (text, offset, fault) in [
        ("RET", 3, F::Empty),
        ("RET=ALL", 4, F::Value),
        ("ENVID", 5, F::Empty),
        ("ENVID=a+2b", 7, F::Character),
        ("ENVID=a+2", 7, F::Character),
        ("ENVID=a+0D+0AQUIT", 7, F::Character),
        ("ENVID=+41+7F", 9, F::Character),
        ("ENVID=caf\u{e9}", 9, F::Character),
        (&long("ENVID=", 95), 100, F::TooLong),
        ("NOTIFY=", 7, F::Empty),
        ("NOTIFY=DELAY,", 13, F::Empty),
        ("NOTIFY=SUCCES", 7, F::Value),
        ("NOTIFY=DELAY,DELAY", 13, F::Duplicate),
        ("NOTIFY=NEVER,DELAY", 13, F::Conflict),
        ("NOTIFY=DELAY,NEVER", 13, F::Conflict),
        ("ORCPT=a@x", 7, F::Character),
        ("ORCPT=;a@x", 6, F::Empty),
        ("ORCPT=rfc822", 12, F::Empty),
        ("ORCPT=rfc822;", 13, F::Empty),
        ("ORCPT=rfc822;a+b@x", 14, F::Character),
        ("ORCPT=rfc822;a+0A", 14, F::Character),
        ("ORCPT=rfc822;\u{e9}", 13, F::Character),
        ("ORCPT=utf-8;", 12, F::Empty),
        ("ORCPT=utf-8;a+2Bb", 13, F::Character),
        ("ORCPT=utf-8;a\\b", 13, F::Character),
        ("ORCPT=utf-8;a\\x{41}", 13, F::Character),
        ("ORCPT=utf-8;a\\x{e9}", 13, F::Character),
        ("ORCPT=utf-8;a\\x{0E9}", 13, F::Character),
        ("ORCPT=utf-8;a\\x{D800}", 13, F::Character),
        ("ORCPT=utf-8;a\\x{110000}", 13, F::Character),
        ("ORCPT=utf-8;a\\x{0A}", 13, F::Character),
        ("ORCPT=utf-8;a\\x{2028}", 13, F::Character),
        ("ORCPT=utf-8;a\\x{}", 13, F::Character),
        ("ORCPT=utf-8;a\\x{E9", 13, F::Character),
        (&long("ORCPT=rfc822;", 488), 500, F::TooLong),
        ("REQUIRETLS=1", 11, F::Value),
        ("BY=120", 6, F::Empty),
        ("BY=;R", 3, F::Empty),
        ("BY=-;N", 4, F::Empty),
        ("BY=1x;N", 4, F::Character),
        ("BY=1;X", 5, F::Value),
        ("BY=1;RTT", 5, F::Value),
        ("BY=0;R", 5, F::Value),
        ("BY=-1;R", 6, F::Value),
        ("BY=1234567890;N", 12, F::TooLong),
        ("MT-PRIORITY=10", 12, F::Value),
        ("MT-PRIORITY=-0", 12, F::Value),
        ("MT-PRIORITY=+1", 12, F::Value),
        ("HOLDFOR=0", 8, F::Value),
        ("HOLDFOR=01", 8, F::Value),
        ("HOLDFOR=-1", 8, F::Character),
        ("HOLDFOR=1234567890", 17, F::TooLong),
        ("HOLDUNTIL=2030-01-02", 20, F::Value),
        ("RRVS=2030-01-02T03:04:05", 24, F::Value),
        ("RRVS=2030-01-02T03:04:05Z;", 26, F::Empty),
        ("RRVS=2030-01-02T03:04:05Z;X", 26, F::Value),
        ("AUTH=", 5, F::Empty),
        ("AUTH=a", 5, F::Value),
        ("AUTH=a+20b@x.test", 5, F::Value),
        ("AUTH=a+C3+A9@x.test", 5, F::Value),
        ("AUTH=\u{e9}@x.test", 5, F::Character),
    ] {
        assert_eq!(reason(parse(text)), (offset, fault), "{text}");
    }
}

#[test]
fn v11_invalid_values_cannot_be_built() {
    use ParameterErrorKind as F;
    assert_eq!(reason(Parameter::envelope_id("")), (0, F::Empty));
    assert_eq!(reason(Parameter::envelope_id("a\r\nb")), (1, F::Character));
    assert_eq!(
        reason(Parameter::envelope_id("caf\u{e9}")),
        (3, F::Character)
    );
    assert_eq!(
        reason(Parameter::envelope_id(&"=".repeat(32))),
        (94, F::TooLong)
    );
    assert!(Parameter::envelope_id(&"a".repeat(94)).is_ok());

    assert_eq!(
        format!("{:?} {:?}", Notify::NEVER, Notify::DELAY | Notify::SUCCESS),
        "Notify(NEVER) Occasions(SUCCESS,DELAY)"
    );

    assert_eq!(reason(OriginalRecipient::try_from("")), (7, F::Empty));
    assert_eq!(
        reason(OriginalRecipient::try_from("a\nb")),
        (8, F::Character)
    );
    assert_eq!(
        reason(OriginalRecipient::try_from("\u{e9}\nb")),
        (8, F::Character)
    );
    assert_eq!(
        reason(OriginalRecipient::unitext("a\u{85}")),
        (7, F::Character)
    );
    assert_eq!(reason(OriginalRecipient::new("", "a")), (0, F::Empty));
    assert_eq!(
        reason(OriginalRecipient::new("a b", "a")),
        (1, F::Character)
    );
    assert_eq!(
        reason(OriginalRecipient::new("a;b", "a")),
        (1, F::Character)
    );
    assert_eq!(
        reason(OriginalRecipient::new("x", &"a".repeat(493))),
        (494, F::TooLong)
    );
    assert!(OriginalRecipient::new("x", &"a".repeat(492)).is_ok());
    // The name of the function, not a trait, distinguishes an address from an encoded value.
    for text in ["a+b@x.test", "rfc822;a+2Bb", "gr\u{fc}n@x.test"] {
        let parsed = OriginalRecipient::from_str(text);
        assert_eq!(parsed, OriginalRecipient::try_from(text));
        let value = parsed.unwrap();
        assert_eq!(
            OriginalRecipient::from_value(value.as_str()).as_ref(),
            Ok(&value)
        );
        assert_ne!(value.as_str(), text);
    }
    assert!(OriginalRecipient::from_value("rfc822;a+2Bb").is_ok());
    assert!(OriginalRecipient::from_value("a@x.test").is_err());

    assert_eq!(reason(DeliverBy::or_return(0)), (0, F::Value));
    assert_eq!(reason(DeliverBy::or_return(1_000_000_000)), (0, F::Value));
    assert_eq!(reason(DeliverBy::or_notify(i32::MIN)), (0, F::Value));
    assert_eq!(reason(Parameter::priority(-10)), (0, F::Value));
    assert_eq!(reason(Parameter::priority(10)), (0, F::Value));
    assert_eq!(reason(Parameter::hold_for(0)), (0, F::Value));
    assert_eq!(reason(Parameter::hold_for(1_000_000_000)), (0, F::Value));
    assert_eq!(
        reason(Parameter::submitter(&path("\u{e9}@x.test"))),
        (0, F::Character)
    );
}

#[test]
fn one_hold_excludes_the_other() {
    for pair in [
        [
            Parameter::hold_for(1).unwrap(),
            Parameter::hold_until(moment()),
        ],
        [
            Parameter::hold_until(moment()),
            Parameter::hold_for(1).unwrap(),
        ],
    ] {
        let [first, second] = pair;
        let mut all = Parameters::mail();
        all.push(first).unwrap();
        assert_eq!(reason(all.push(second)), (0, ParameterErrorKind::Conflict));
    }
}

#[test]
fn the_caller_names_an_unknown_extension() {
    let own = Parameter::new("XVERP", None).unwrap();
    assert_eq!((own.extension(), own.extra_line_len()), ("XVERP", 0));
    let named = own
        .with_extension("verp")
        .and_then(|own| own.with_extra_line_len(6))
        .unwrap();
    assert_eq!((named.extension(), named.extra_line_len()), ("VERP", 6));
    let fault = |parameter: Parameter, extension: &str| reason(parameter.with_extension(extension));
    assert_eq!(fault(named, "a b"), (1, ParameterErrorKind::Character));
    assert_eq!(
        fault(Parameter::require_tls(), "X"),
        (0, ParameterErrorKind::Registered)
    );
    assert_eq!(
        reason(Parameter::require_tls().with_extra_line_len(1)),
        (0, ParameterErrorKind::Registered)
    );
}

proptest! {
    #[test]
    fn any_address_displayed_parses_to_itself(address in "[ -~\u{e4}\u{4e2d}\u{1f600}]{1,30}", wide: bool) {
        let wide = if wide { xtext::Wide::Plain } else { xtext::Wide::Escaped };
        let mut shown = String::new();
        xtext::encode_address(&address, wide, &mut shown);
        prop_assert!(wide == xtext::Wide::Plain || shown.is_ascii());
        let read: Result<String, _> = xtext::decode_address(&shown).collect();
        prop_assert_eq!(read.unwrap(), address);
    }

    #[test]
    fn any_bytes_displayed_parse_to_themselves(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut shown = String::new();
        xtext::encode(&bytes, &mut shown);
        let read: Result<Vec<u8>, _> = xtext::decode(&shown).collect();
        prop_assert_eq!(read.unwrap(), bytes);
    }
}
