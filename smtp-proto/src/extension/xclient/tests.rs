use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use proptest::prelude::*;

use super::*;

type Text = fn(&str) -> Result<Attributes, AttributeError>;

const TEXTS: &[(&str, Text)] = &[
    ("NAME", |text| Ok(Xclient::new().name(text)?.attributes)),
    ("HELO", |text| Ok(Xclient::new().helo(text)?.attributes)),
    ("LOGIN", |text| Ok(Xclient::new().login(text)?.attributes)),
    ("NAME", |text| Ok(Xforward::new().name(text)?.attributes)),
    ("HELO", |text| Ok(Xforward::new().helo(text)?.attributes)),
    ("PROTO", |text| Ok(Xforward::new().proto(text)?.attributes)),
    ("IDENT", |text| Ok(Xforward::new().ident(text)?.attributes)),
];

fn lines(mut attributes: Attributes) -> Vec<String> {
    let mut lines = vec![];
    while !attributes.is_empty() {
        let mut line = vec![];
        attributes
            .line()
            .iter()
            .for_each(|each| each.encode(&mut line));
        lines.push(String::from_utf8(line).unwrap());
        attributes.advance();
    }
    lines
}

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn every_attribute_is_written_as_postfix_defines_it() {
    let client = Xclient::new()
        .login("a b+c=\u{e9}")
        .unwrap()
        .helo("[192.0.2.1]")
        .unwrap()
        .proto(XclientProto::Smtp)
        .dest_port(25)
        .dest_addr(addr("2001:db8::1"))
        .port(4711)
        .addr(addr("192.0.2.1"))
        .name("mail.example.org")
        .unwrap()
        .proto(XclientProto::Esmtp);
    assert_eq!(
        client.to_string(),
        "XCLIENT NAME=mail.example.org ADDR=192.0.2.1 PORT=4711 DESTADDR=IPV6:2001:db8::1 DESTPORT=25 \
         PROTO=ESMTP HELO=[192.0.2.1] LOGIN=a+20b+2Bc+3D+C3+A9"
    );
    let mail = Xforward::new()
        .source(XforwardSource::Remote)
        .ident("4Xyz")
        .unwrap()
        .proto("HTTP")
        .unwrap()
        .addr(addr("::ffff:192.0.2.1"));
    assert_eq!(
        mail.to_string(),
        "XFORWARD ADDR=192.0.2.1 IDENT=4Xyz SOURCE=REMOTE PROTO=HTTP"
    );
    let unknown = Xclient::new()
        .name_temporarily_unavailable()
        .addr_unavailable()
        .port_unavailable()
        .dest_addr_unavailable()
        .dest_port_unavailable()
        .helo_unavailable()
        .login_unavailable();
    assert_eq!(
        unknown.to_string(),
        "XCLIENT NAME=[TEMPUNAVAIL] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] DESTADDR=[UNAVAILABLE] \
         DESTPORT=[UNAVAILABLE] HELO=[UNAVAILABLE] LOGIN=[UNAVAILABLE]"
    );
    assert_eq!(
        unknown
            .name_unavailable()
            .attributes
            .to_string()
            .split(' ')
            .nth(1),
        Some("NAME=[UNAVAILABLE]")
    );
    let mail = Xforward::new()
        .source(XforwardSource::Local)
        .source_unavailable();
    assert_eq!(mail.to_string(), "XFORWARD SOURCE=[UNAVAILABLE]");
    let mail = Xforward::new()
        .name_unavailable()
        .addr_unavailable()
        .port_unavailable()
        .helo_unavailable()
        .proto_unavailable()
        .ident_unavailable();
    assert_eq!(
        mail.to_string(),
        "XFORWARD NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] IDENT=[UNAVAILABLE] \
         PROTO=[UNAVAILABLE] HELO=[UNAVAILABLE]"
    );
    let reserved = Xclient::new().name("[UNAVAILABLE]").unwrap_err();
    assert_eq!(
        reserved.to_string(),
        "NAME: `[UNAVAILABLE]` is reserved; use `name_unavailable()`"
    );
}

#[test]
fn an_invalid_attribute_is_rejected_with_its_name() {
    for (name, set) in TEXTS {
        let max = if *name == "PROTO" { 64 } else { 255 };
        let beyond = if *name == "LOGIN" {
            ["a\r\nb", "a\0", "a\u{85}"]
        } else {
            ["a b", "a\u{e9}", "a\n"]
        };
        for (text, reason) in [
            (String::new(), AttributeErrorKind::Empty),
            ("a".repeat(max + 1), AttributeErrorKind::TooLong),
            ("[unavailable]".into(), AttributeErrorKind::Reserved),
            ("[TempUnavail]".into(), AttributeErrorKind::Reserved),
        ]
        .into_iter()
        .chain(beyond.map(|text| (text.into(), AttributeErrorKind::Character)))
        {
            let error = set(&text).unwrap_err();
            assert_eq!(
                (error.attribute(), error.kind()),
                (*name, reason),
                "{text:?}"
            );
            assert!(error.to_string().starts_with(&format!("{name}: ")));
        }
        assert_eq!(lines(set(&"a".repeat(max)).unwrap()).len(), 1);
    }
    // Three bytes of xtext each.
    let error = Xclient::new().name("+".repeat(255).as_str()).unwrap_err();
    assert_eq!(error.kind(), AttributeErrorKind::TooLong);
    // They would need a line each, and the second would undo the first.
    let client = Xclient::new().helo("h".repeat(255).as_str()).unwrap();
    let error = client.clone().login("l".repeat(230).as_str()).unwrap_err();
    assert_eq!(
        (error.attribute(), error.kind()),
        ("LOGIN", AttributeErrorKind::TooLong)
    );
    let client = client.login("l".repeat(200).as_str()).unwrap();
    assert_eq!(lines(client.proto(XclientProto::Esmtp).attributes).len(), 1);
}

#[test]
fn only_advertised_attributes_are_sent() {
    let client = Xclient::new().addr_unavailable().port(1).name("n").unwrap();
    let tell = |client: &Xclient, words: Option<&[&'static str]>| {
        let words = words.map(|words| words.iter().map(|word| word.as_bytes()));
        client.advertised(words).map(|told| told.to_string())
    };
    let all = Some(&["port", "NAME", "ADDR", "HELO"][..]);
    assert_eq!(
        tell(&client, all).unwrap(),
        " NAME=n ADDR=[UNAVAILABLE] PORT=1"
    );
    assert_eq!(tell(&client, Some(&["NAME", "ADDRESS"])), Err("ADDR"));
    assert_eq!(tell(&client, None), Err("NAME"));
    assert_eq!(tell(&Xclient::new(), None).unwrap(), "");
    let client = client.optional();
    assert_eq!(tell(&client, Some(&["PORT"])).unwrap(), " PORT=1");
    assert_eq!(tell(&client, None).unwrap(), "");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_line_fits_and_together_they_contain_every_attribute_in_order(
        name in "[!-~]{1,80}",
        helo in "[a-z+=]{1,160}",
        login in "[a-z \u{e9}]{1,60}",
        port in any::<u16>(),
    ) {
        let client = Xclient::new()
            .addr(addr("2001:db8::1"))
            .port(port)
            .proto(XclientProto::Esmtp)
            .name(name.as_str())
            .and_then(|client| client.helo(helo.as_str()))
            .and_then(|client| client.login(login.as_str()));
        if let Ok(client) = client {
            let lines = lines(client.attributes.clone());
            prop_assert_eq!(lines.concat(), client.attributes.to_string());
            for line in &lines {
                prop_assert!("XFORWARD".len() + line.len() + 2 <= 512);
            }
            let last = lines.last().unwrap();
            for key in [" PROTO=", " HELO=", " LOGIN="] {
                prop_assert!(last.contains(key), "{}", last);
            }
        }
    }
}
