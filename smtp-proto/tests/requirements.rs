//! Every combination of content, envelope and advertised extensions: the parameters of MAIL, or the
//! reason of a rejection with its location. A reference function states the rules.

use std::convert::Infallible;
use std::sync::Arc;

use crate::common::harness::Harness;
use crate::common::pair::Pair;
use crate::common::raw_mail;
use bytes::Bytes;
use smtp_proto::content::ContentErrorKind;
use smtp_proto::{
    Command, Config, Connection, Error, ErrorKind, Location, Mail, MailBuilder, MailError,
    MailErrorKind, MailPart, MissingExtension, Outcome, Pipelining, RecipientStatus, Security,
    StreamedContent,
};
use smtp_test::{Machine, StoredMail};

/// Content, and the bytes in it that need an extension.
struct Text {
    text: &'static str,
    binary: bool,
    /// The first 8-bit byte of the header section: its offset and line.
    header: Option<(u64, u64)>,
    /// The same for the whole content.
    eight_bit: Option<(u64, u64)>,
    /// The first byte that no content may have.
    not_text: Option<(u64, u64)>,
}

const TEXTS: [Text; 6] = [
    Text {
        text: "Subject: a\r\n\r\nplain\r\n",
        binary: false,
        header: None,
        eight_bit: None,
        not_text: None,
    },
    Text {
        text: "Subject: a\r\n\r\nplain\r\ngr\u{fc}n\r\n",
        binary: false,
        header: None,
        eight_bit: Some((23, 4)),
        not_text: None,
    },
    Text {
        text: "To: b\r\nSubject: \u{e9}t\u{e9}\r\n\r\nplain\r\n",
        binary: false,
        header: Some((16, 2)),
        eight_bit: Some((16, 2)),
        not_text: None,
    },
    Text {
        text: "Subject: \u{e9}t\u{e9}\r\n\r\ngr\u{fc}n\r\n",
        binary: false,
        header: Some((9, 1)),
        eight_bit: Some((9, 1)),
        not_text: None,
    },
    Text {
        text: "Subject: a\r\n\r\na\r\nb\nc\r\n",
        binary: true,
        header: None,
        eight_bit: None,
        not_text: Some((18, 4)),
    },
    Text {
        text: "Subject: \u{e9}\r\n\r\na\0\n",
        binary: true,
        header: Some((9, 1)),
        eight_bit: Some((9, 1)),
        not_text: Some((16, 3)),
    },
];

/// An envelope, and the first address with a non-ASCII local part and with a non-ASCII domain.
struct Envelope {
    sender: &'static str,
    recipients: [&'static str; 2],
    local_part: Option<(MailPart, u64)>,
    domain: Option<(MailPart, u64)>,
}

const ENVELOPES: [Envelope; 6] = [
    Envelope {
        sender: "a@x.test",
        recipients: ["b@x.test", "c@x.test"],
        local_part: None,
        domain: None,
    },
    Envelope {
        sender: "",
        recipients: ["b@x.test", "c@y.b\u{fc}cher.test"],
        local_part: None,
        domain: Some((MailPart::Recipient(1), 5)),
    },
    Envelope {
        sender: "a@b\u{fc}cher.test",
        recipients: ["\"b b\"@B\u{dc}cher.test", "c@x.test"],
        local_part: None,
        domain: Some((MailPart::Sender, 3)),
    },
    Envelope {
        sender: "\u{e9}@x.test",
        recipients: ["b@b\u{fc}cher.test", "c@x.test"],
        local_part: Some((MailPart::Sender, 0)),
        domain: Some((MailPart::Recipient(0), 3)),
    },
    Envelope {
        sender: "a@x.test",
        recipients: ["b@x.test", "caf\u{e9}@x.test"],
        local_part: Some((MailPart::Recipient(1), 3)),
        domain: None,
    },
    // A domain that has no A-labels.
    Envelope {
        sender: "a@x.test",
        recipients: ["b@x.test", "c@\u{fb01}n.test"],
        local_part: None,
        domain: Some((MailPart::Recipient(1), 2)),
    },
];

const OFFERS: [&str; 4] = ["8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME"];

const LEVELS: [Pipelining; 4] = [
    Pipelining::Off,
    Pipelining::Envelope,
    Pipelining::Transactions,
    Pipelining::Speculative,
];

/// The parameters of MAIL for a message that is sent.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    body: Option<&'static str>,
    smtp_utf8: bool,
    a_labels: bool,
    recoded: bool,
}

/// The reason why a message is not sent, and its location: part, offset, line.
type Rejection = (&'static str, MailPart, Option<u64>, Option<u64>);

/// The rules: RFC 6531, sections 3.1, 3.2 and 3.4; RFC 6152; RFC 3030, section 3.
fn expected(
    text: &Text,
    envelope: &Envelope,
    offered: &dyn Fn(&str) -> bool,
    recodes: bool,
) -> Result<Said, Rejection> {
    let utf8_offered = offered("SMTPUTF8");
    let convertible = cfg!(feature = "idna") && !envelope.recipients[1].contains('\u{fb01}');
    let of_text = |reason, place: Option<(u64, u64)>| {
        let (offset, line) = place.unzip();
        Err((reason, MailPart::Content, offset, line))
    };
    let of_address = |reason, (field, offset)| Err((reason, field, Some(offset), None));
    let (smtp_utf8, a_labels) = match (text.header, envelope.local_part, envelope.domain) {
        (None, None, None) => (false, false),
        (None, None, Some(_)) if convertible => (false, true),
        _ if utf8_offered => (true, false),
        (Some(_), ..) if recodes => {
            return Ok(Said {
                recoded: true,
                ..expected(&TEXTS[0], envelope, offered, false)?
            });
        }
        (Some(_), ..) => return of_text("SMTPUTF8", text.header),
        (None, Some(place), _) => return of_address("SMTPUTF8", place),
        (None, None, Some(place)) if cfg!(feature = "idna") => {
            return of_address("no A-labels", place);
        }
        (None, None, Some(place)) => return of_address("feature", place),
    };
    let (needed, taken, place) = if text.binary {
        let taken = offered("BINARYMIME") && offered("CHUNKING");
        (Some("BINARYMIME"), taken, text.not_text)
    } else if text.eight_bit.is_some() {
        let taken = offered("8BITMIME") || utf8_offered;
        (Some("8BITMIME"), taken, text.eight_bit)
    } else {
        (None, true, None)
    };
    match needed {
        Some(_) if !taken && recodes => Ok(Said {
            recoded: true,
            ..expected(&TEXTS[0], envelope, offered, false)?
        }),
        Some(reason) if !taken => of_text(reason, place),
        _ => Ok(Said {
            body: needed,
            smtp_utf8,
            a_labels,
            recoded: false,
        }),
    }
}

/// Stands for a MIME downgrade.
fn recode(_: &Bytes) -> Result<Bytes, Infallible> {
    Ok(Bytes::from_static(RECODED))
}

const RECODED: &[u8] = b"Subject: recoded\r\n\r\nseven bits\r\n";

fn mail(text: &Text, envelope: &Envelope) -> MailBuilder {
    let mail = Mail::builder()
        .sender(envelope.sender)
        .recipients(envelope.recipients)
        .without_header_check();
    if text.binary {
        mail.binary_message(text.text)
    } else {
        mail.message(text.text)
    }
}

fn connection(level: Pipelining) -> Arc<Config> {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .pipelining(level);
    Arc::new(config.build().unwrap())
}

/// Sends a message to a server without these extensions; returns the parameters of MAIL, the
/// outcome and the stored message.
fn send(level: Pipelining, mail: Mail, lacking: &[&str]) -> (Outcome, Option<StoredMail>, usize) {
    let generous = smtp_test::Config::new().with("CHUNKING").with("BINARYMIME");
    let server = (lacking.iter()).fold(generous, |server, keyword| server.without(*keyword));
    let mut pair = Pair::new(connection(level), Machine::new(&server));
    pair.drive(Connection::poll_ready).unwrap();
    let before = pair.sent.len();
    let id = pair.connection.submit(mail);
    let outcome = pair
        .drive(|connection| connection.poll_outcome(id))
        .unwrap();
    let said = pair.sent.len().saturating_sub(before);
    let log = pair.peer.log();
    log.assert_clean();
    (outcome, log.mails().pop(), said)
}

fn rejection(error: &Error) -> Rejection {
    let reason = match error.kind() {
        ErrorKind::Unsupported(MissingExtension::SmtpUtf8) => "SMTPUTF8",
        ErrorKind::Unsupported(MissingExtension::EightBitMime) => "8BITMIME",
        ErrorKind::Unsupported(MissingExtension::BinaryMime) => "BINARYMIME",
        ErrorKind::Unsupported(MissingExtension::ALabels) => "feature",
        ErrorKind::Address(_) => "no A-labels",
        other => panic!("{other:?}"),
    };
    let place = error.location().expect("a rejected mail has a place");
    (reason, place.part(), place.offset(), place.line())
}

#[test]
fn v18_a_message_is_sent_with_the_advertised_extensions_or_rejected_with_reason_and_location() {
    let subsets = 0..1_u32 << OFFERS.len();
    for offered in subsets {
        let is_offered = |keyword: &str| {
            (0..OFFERS.len()).any(|at| OFFERS[at] == keyword && offered & (1 << at) != 0)
        };
        let lacking: Vec<_> = OFFERS
            .into_iter()
            .filter(|each| !is_offered(each))
            .collect();
        for (number, text) in TEXTS.iter().enumerate() {
            for (envelope_number, envelope) in ENVELOPES.iter().enumerate() {
                for recodes in [false, true] {
                    // Each level meets each set of extensions, content and envelope; with a
                    // downgrade, one level is enough.
                    for level in LEVELS.into_iter().skip(if recodes { 3 } else { 0 }) {
                        let context = format!(
                            "text {number}, envelope {envelope_number}, without {lacking:?}, {level:?}, {recodes}"
                        );
                        let mut mail = mail(text, envelope);
                        if recodes {
                            mail = mail.downgrade_with(recode);
                        }
                        let (outcome, stored, said) = send(level, mail.build().unwrap(), &lacking);
                        let expected = expected(text, envelope, &is_offered, recodes);
                        // Whatever was sent, the outcome has the caller's own message.
                        for (delivery, given) in
                            outcome.recipients().iter().zip(envelope.recipients)
                        {
                            assert_eq!(delivery.recipient().as_str(), given, "{context}");
                        }
                        match (expected, outcome.recipients()[1].status()) {
                            (Ok(expected), RecipientStatus::Accepted(_)) => {
                                check(&expected, text, envelope, &stored.unwrap(), &context);
                            }
                            (Err(expected), RecipientStatus::NotSent(error)) => {
                                assert_eq!(rejection(error), expected, "{context}");
                                assert_eq!(said, 0, "{context}");
                                assert!(stored.is_none(), "{context}");
                            }
                            (expected, fate) => panic!("{context}: {expected:?}, but {fate:#}"),
                        }
                    }
                }
            }
        }
    }
}

fn check(expected: &Said, text: &Text, envelope: &Envelope, stored: &StoredMail, context: &str) {
    let sent = if expected.recoded {
        RECODED
    } else {
        text.text.as_bytes()
    };
    let says = |keyword| (stored.parameters().iter()).any(|each| each.keyword() == keyword);
    assert_eq!(stored.body(), sent, "{context}");
    assert_eq!(stored.parameter("BODY"), expected.body, "{context}");
    assert_eq!(says("SMTPUTF8"), expected.smtp_utf8, "{context}");
    assert_eq!(
        stored.parameter("SIZE"),
        Some(&*sent.len().to_string()),
        "{context}"
    );
    let told = |given: &str| {
        if expected.a_labels {
            given
                .replace("b\u{fc}cher", "xn--bcher-kva")
                .replace("B\u{dc}cher", "xn--bcher-kva")
        } else {
            given.to_owned()
        }
    };
    assert_eq!(stored.sender(), told(envelope.sender), "{context}");
    assert_eq!(
        stored.addresses(),
        envelope.recipients.map(told),
        "{context}"
    );
}

#[test]
fn streamed_content_requires_what_it_declares_and_its_rejection_has_no_location() {
    for (declared, lacking, expected) in [
        (
            StreamedContent::new().eight_bit(),
            &["8BITMIME", "SMTPUTF8"][..],
            "8BITMIME",
        ),
        (
            StreamedContent::new().utf8_headers(),
            &["SMTPUTF8"],
            "SMTPUTF8",
        ),
        (
            StreamedContent::new().binary(),
            &["BINARYMIME"],
            "BINARYMIME",
        ),
        (StreamedContent::new().binary(), &["CHUNKING"], "BINARYMIME"),
    ] {
        let mail = Mail::builder()
            .recipient("b@x.test")
            .without_header_check()
            .streamed(declared)
            .downgrade_with(recode)
            .build()
            .unwrap();
        let (outcome, ..) = send(Pipelining::Envelope, mail, lacking);
        let RecipientStatus::NotSent(error) = outcome.recipients()[0].status() else {
            panic!("{outcome:?}");
        };
        assert_eq!(rejection(error), (expected, MailPart::Content, None, None));
    }
}

#[test]
fn v18_a_header_section_of_streamed_content_keeps_to_its_declaration() {
    let pieces =
        |text: &'static str, size: usize| text.as_bytes().chunks(size).map(Bytes::from_static);
    let (ascii, utf8) = (
        "Subject: a\r\nTo: b\r\n\r\ngr\u{fc}n\r\n",
        "Subject: a\r\nTo: \u{fc}\r\n\r\na\r\n",
    );
    let body = StreamedContent::new().eight_bit();
    for (text, declared, offset) in [
        (ascii, body, None),
        (ascii, StreamedContent::new().binary(), None),
        (utf8, body, Some(16)),
        (utf8, StreamedContent::new().binary(), Some(16)),
        (utf8, StreamedContent::new().utf8_headers(), None),
        (utf8, body.utf8_headers(), None),
    ] {
        for size in [1, 3, 17, 100] {
            let server = smtp_test::Config::new().with("CHUNKING").with("BINARYMIME");
            let config = connection(Pipelining::Envelope);
            let mut pair = Pair::new(config, Machine::new(&server));
            let mail = Mail::builder()
                .recipient("b@x.test")
                .without_header_check()
                .streamed(declared);
            let id = pair.connection.submit(mail.build().unwrap());
            for piece in pieces(text, size) {
                pair.connection.write_content(id, piece).unwrap();
            }
            pair.connection.finish_content(id).unwrap();
            let outcome = pair
                .drive(|connection| connection.poll_outcome(id))
                .unwrap();
            let log = pair.peer.log();
            log.assert_clean();
            let found = match outcome.recipients()[0].status() {
                RecipientStatus::Accepted(_) => None,
                RecipientStatus::NotSent(error) => match error.kind() {
                    ErrorKind::Content(fault) => {
                        assert_eq!(fault.kind(), ContentErrorKind::HeaderEightBit);
                        Some(fault.offset())
                    }
                    other => panic!("{other:?}"),
                },
                other => panic!("{other}"),
            };
            assert_eq!(found, offset, "{text:?} by {size}, {declared:?}");
            assert_eq!(log.mail_count(), usize::from(offset.is_none()));
        }
    }
}

#[test]
fn a_downgrade_gets_converted_content_and_its_result_is_checked() {
    let lacking = &["8BITMIME", "SMTPUTF8"];
    let mail = |recode: fn(&Bytes) -> Result<Bytes, std::io::Error>| {
        Mail::builder()
            .recipient("b@x.test")
            .without_header_check()
            .message("Subject: a\n\ngr\u{fc}n\nb")
            .bare_line_ends(smtp_proto::content::BareLineEnds::Convert)
            .downgrade_with(recode)
            .build()
            .unwrap()
    };
    let replaced = mail(|text| {
        assert_eq!(&text[..], "Subject: a\r\n\r\ngr\u{fc}n\r\nb\r\n".as_bytes());
        Ok(Bytes::from_static(b"Subject: a\r\n\r\ngruen\r\nb"))
    });
    let (outcome, stored, _) = send(Pipelining::Envelope, replaced, lacking);
    assert!(outcome.is_accepted());
    assert_eq!(stored.unwrap().body(), b"Subject: a\r\n\r\ngruen\r\nb\r\n");

    let failing = mail(|_| Err(std::io::Error::other("signed")));
    let unfit = mail(|text| Ok(text.clone()));
    let rejected = |mail: Mail| {
        let (outcome, stored, said) = send(Pipelining::Envelope, mail, lacking);
        assert_eq!((stored.is_none(), said), (true, 0));
        match outcome.recipients()[0].status() {
            RecipientStatus::NotSent(error) => error.clone(),
            other => panic!("{other}"),
        }
    };
    let error = rejected(failing);
    assert!(matches!(error.kind(), ErrorKind::Recode(_)), "{error:#}");
    assert_eq!(error.location(), None);
    let error = rejected(unfit);
    assert!(matches!(error.kind(), ErrorKind::Content(_)), "{error:#}");
    assert_eq!(error.location().and_then(Location::offset), Some(16));
}

#[test]
fn no_downgrade_for_a_server_that_accepts_the_content() {
    let never = |_: &Bytes| -> Result<Bytes, Infallible> { panic!("asked for no reason") };
    for (text, lacking) in [
        (&TEXTS[0], &OFFERS[..]),
        (&TEXTS[1], &[]),
        (&TEXTS[2], &["8BITMIME"]),
        (&TEXTS[3], &["8BITMIME"]),
        (&TEXTS[4], &[]),
    ] {
        let mail = mail(text, &ENVELOPES[0])
            .downgrade_with(never)
            .build()
            .unwrap();
        let (outcome, ..) = send(Pipelining::Envelope, mail, lacking);
        assert!(outcome.is_accepted());
    }
}

#[test]
fn invalid_content_is_rejected_with_line_and_offset() {
    let long = format!("Subject: a\r\n\r\n{}\r\n", "x".repeat(999));
    for (text, offset, line) in [
        ("a\r\nb\nc", 4, 2),
        ("a\r\n\r\nb\rc\r\n", 6, 3),
        ("a\r\n\0", 3, 2),
        (&*long, 14 + 998, 3),
    ] {
        let error = raw_mail("a@x.test", ["b@x.test"], text.to_owned()).unwrap_err();
        let place = error.location();
        assert!(matches!(error.kind(), MailErrorKind::Content(fault) if fault.offset() == offset));
        assert_eq!(
            (place.part(), place.offset(), place.line()),
            (MailPart::Content, Some(offset), Some(line))
        );
        assert!(
            error
                .to_string()
                .starts_with(&format!("content, line {line}: ")),
            "{error:#}"
        );
    }
    let place = |error: MailError| (error.location().part(), error.location().offset());
    let error = raw_mail("a@x.test", ["b@x.test", "c c@x.test"], "a\r\n").unwrap_err();
    assert_eq!(place(error), (MailPart::Recipient(1), Some(1)));
    let error = raw_mail("a@x.test", [""; 0], "a\r\n").unwrap_err();
    assert_eq!(place(error), (MailPart::Recipients, None));
}

#[test]
fn the_text_of_a_rejection_names_extension_location_and_remedy() {
    let told = |text: &Text, envelope: &Envelope| {
        let (outcome, ..) = send(
            Pipelining::Envelope,
            mail(text, envelope).build().unwrap(),
            &OFFERS,
        );
        match outcome.recipients()[0].status() {
            RecipientStatus::NotSent(error) => format!("{error:#}"),
            other => panic!("{other}"),
        }
    };
    let told_of = told(&TEXTS[1], &ENVELOPES[0]);
    for part in ["8BITMIME", "see content, line 4, offset 23", "downgraded"] {
        assert!(told_of.contains(part), "{told_of}");
    }
    let told_of = told(&TEXTS[0], &ENVELOPES[4]);
    for part in ["SMTPUTF8", "see recipient 1, offset 3"] {
        assert!(told_of.contains(part), "{told_of}");
    }
    let told_of = told(&TEXTS[0], &ENVELOPES[5]);
    let reason = if cfg!(feature = "idna") {
        "label"
    } else {
        "feature `idna`"
    };
    for part in [reason, "see recipient 1, offset 2"] {
        assert!(told_of.contains(part), "{told_of}");
    }
}

#[test]
fn vrfy_and_expn_use_ascii_where_only_the_domain_is_non_ascii() {
    let idna = cfg!(feature = "idna");
    type Ask = fn(&str) -> Result<Command, smtp_proto::CommandError>;
    let rows: [(&str, Option<&str>); 6] = [
        ("b@gr\u{fc}n.test", Some("b@xn--grn-ioa.test")),
        ("\"b c\"@gr\u{fc}n.test", Some("\"b c\"@xn--grn-ioa.test")),
        ("b\u{fc}@gr\u{fc}n.test", None),
        ("b\u{fc}", None),
        ("who is b@gr\u{fc}n.test", None),
        // It has no A-label.
        ("b@\u{fb01}n.test", None),
    ];
    for (text, ascii) in rows {
        for (verb, ask) in [("VRFY", Command::vrfy as Ask), ("EXPN", Command::expn)] {
            let command = ask(text).unwrap();
            let expected = match ascii.filter(|_| idna) {
                Some(ascii) => format!("{verb} {ascii}"),
                None => format!("{verb} {text} SMTPUTF8"),
            };
            assert_eq!(command.as_str(), expected);
            // A server without SMTPUTF8 gets it in ASCII only.
            let mut harness = Harness::new(
                Config::builder("client.test".parse().unwrap())
                    .security(Security::Cleartext)
                    .build()
                    .unwrap(),
            );
            harness.listen();
            harness.ask("220 mx.test\r\n");
            harness.ask("250 mx.test\r\n");
            harness.connection.command(command.clone());
            let said = harness.listen();
            if command.is_ascii() {
                assert_eq!(said, format!("{expected}\r\n"));
            } else {
                assert_eq!(said, "");
            }
        }
    }
}
