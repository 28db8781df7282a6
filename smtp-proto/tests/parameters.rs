//! Each parameter, advertised or not, in TLS or in cleartext, with a server that has its own parser
//! for the extension.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::task::Poll;

use crate::common::harness::Harness;
use crate::common::pair::{Pair, facts};
use proptest::prelude::*;
use smtp_proto::dsn::{Notify, OriginalRecipient, Return};
use smtp_proto::parameter::{DateTime, DeliverBy, IfUnsupported};
use smtp_proto::{
    Config, Connection, ErrorKind, LimitExceeded, Mail, MailBuilder, MissingExtension, Outcome,
    Parameter, Recipient, RecipientStatus, Security,
};
use smtp_test::{Log, Machine, xtext};

/// A row of the table: a parameter, and the EHLO line of its extension.
struct Row {
    parameter: Parameter,
    of_recipient: bool,
    offer: &'static str,
    /// Whether it may be sent in cleartext.
    in_clear: bool,
}

#[test]
fn a_parameter_is_sent_where_it_is_advertised_and_otherwise_the_message_is_not_sent() {
    for row in table() {
        for in_tls in [true, false] {
            for offered in [true, false] {
                let shown = format!("{}, offered: {offered}, TLS: {in_tls}", row.parameter);
                let mail = row.mail(|builder| builder);
                let (outcome, log) = send(mail, offered.then_some(row.offer), in_tls);
                if offered && (in_tls || row.in_clear) {
                    assert!(outcome.is_accepted(), "{shown}: {outcome:?}");
                    assert_eq!(row.stored(&log), Some(row.parameter.to_string()), "{shown}");
                } else {
                    assert_eq!(log.mails().len(), 0, "{shown}");
                    let session = log.session();
                    let commands = session.commands();
                    assert!(
                        !commands.iter().any(|line| line.starts_with("MAIL")),
                        "{shown}"
                    );
                    row.check_need(&outcome);
                }
                log.assert_clean();
            }
        }
    }
}

#[test]
fn an_optional_parameter_is_left_out_where_it_is_not_advertised() {
    for row in table() {
        for in_tls in [true, false] {
            for offered in [true, false] {
                let shown = format!("{}, offered: {offered}, TLS: {in_tls}", row.parameter);
                let extension = row.parameter.extension().to_owned();
                // A report, which alone may be sent without REQUIRETLS (RFC 8689, section 5).
                let mail = row.mail(|builder| builder.sender("").optional_extension(&extension));
                let (outcome, log) = send(mail, offered.then_some(row.offer), in_tls);
                assert!(outcome.is_accepted(), "{shown}: {outcome:?}");
                let sent = (offered && (in_tls || row.in_clear)).then(|| row.parameter.to_string());
                assert_eq!(row.stored(&log), sent, "{shown}");
                log.assert_clean();
            }
        }
    }
}

#[test]
fn all_parameters_of_a_command_go_together() {
    let all = |of_recipient| {
        table()
            .into_iter()
            .filter(move |row| row.of_recipient == of_recipient)
    };
    let mut builder = mail();
    for row in all(false).filter(|row| row.parameter.keyword().as_str() != "HOLDUNTIL") {
        builder = builder.parameter(row.parameter);
    }
    let recipient = all(true)
        .map(|row| row.parameter)
        .fold(Recipient::new("c@x.test"), Recipient::parameter);
    let builder = builder.recipient(recipient);
    let (mut pair, log) = connect(server(table().iter().map(|row| row.offer)), true);
    let outcome = deliver(&mut pair, builder.build().unwrap());
    assert!(outcome.is_accepted(), "{outcome:?}");
    log.assert_clean();
    let stored = log.mails().remove(0);
    let keywords = |parameters: &[smtp_test::Parameter]| -> Vec<String> {
        let shown = parameters.iter().map(|each| each.keyword().to_owned());
        shown.collect()
    };
    let mut own = keywords(stored.parameters());
    own.retain(|keyword| keyword != "SIZE");
    assert_eq!(
        own,
        [
            "RET",
            "ENVID",
            "REQUIRETLS",
            "BY",
            "MT-PRIORITY",
            "HOLDFOR",
            "AUTH",
            "XOWN"
        ]
    );
    let [first, second] = stored.recipients() else {
        panic!("{stored:?}");
    };
    assert_eq!(keywords(first.parameters()), [""; 0]);
    assert_eq!(
        keywords(second.parameters()),
        ["NOTIFY", "ORCPT", "RRVS", "XMINE"]
    );
    assert_eq!(stored.submitter().as_deref(), Some("e=mc2@x.test"));
    assert_eq!(stored.envelope_id().as_deref(), Some("q+1 2"));
    assert_eq!(second.notify(), ["SUCCESS", "DELAY"]);
    let original = ("utf-8".to_owned(), "gr\u{fc}n+@x.test".to_owned());
    assert_eq!(second.original_recipient(), Some(original));
}

#[test]
fn requiretls_needs_a_verified_server_name() {
    let said = |facts| {
        let config = Config::builder("client.test".parse().unwrap()).security(Security::Implicit);
        let mut harness = Harness::new(config.build().unwrap());
        let id = harness
            .connection
            .submit(mail().parameter(Parameter::require_tls()).build().unwrap());
        let now = harness.now;
        let upgrade = harness.connection.begin_tls(now).unwrap();
        upgrade.complete(now, facts);
        harness.ask("220 mx.test\r\n");
        let said = harness.ask("250-mx.test\r\n250 REQUIRETLS\r\n");
        let outcome = harness.connection.poll_outcome(id).map(Result::unwrap);
        (
            said,
            matches!(outcome, Poll::Ready(outcome) if need(&outcome).is_some()),
        )
    };
    assert_eq!(
        said(facts()),
        ("MAIL FROM:<a@x.test> REQUIRETLS\r\n".to_owned(), false)
    );
    assert!(!facts().with_unverified_peer().is_peer_verified());
    assert_eq!(said(facts().with_unverified_peer()), (String::new(), true));
}

#[test]
fn limits_of_time_are_exact_to_the_second() {
    let by = |seconds| Parameter::deliver_by(DeliverBy::or_return(seconds).unwrap());
    let until = |text: &str| Parameter::hold_until(text.parse::<DateTime>().unwrap());
    for (parameter, offer, expected) in [
        (by(60), "DELIVERBY 60", None),
        (
            by(59),
            "DELIVERBY 60",
            Some("deliver-by 59 s is below the server's minimum of 60 s"),
        ),
        (by(1), "DELIVERBY", None),
        (Parameter::hold_for(86_400).unwrap(), HOLDS, None),
        (
            Parameter::hold_for(86_401).unwrap(),
            HOLDS,
            Some("hold-for 86401 s is above the server's maximum of 86400 s"),
        ),
        (until("2029-12-31T23:59:59Z"), HOLDS, None),
        (until("2030-01-01T00:00:00Z"), HOLDS, None),
        (
            until("2030-01-01T00:00:01Z"),
            HOLDS,
            Some(
                "hold-until 2030-01-01T00:00:01Z is after the server's latest, 2030-01-01T00:00:00Z",
            ),
        ),
        // A value that is not a time is left to the server.
        (until("9999-12-31T23:59:59Z"), "FUTURERELEASE 1 never", None),
    ] {
        let shown = format!("{parameter} to {offer}");
        let mail = mail().parameter(parameter.clone()).build().unwrap();
        let (outcome, log) = send(mail, Some(offer), false);
        let exceeded = exceeded(&outcome);
        let text = exceeded.as_ref().map(ToString::to_string);
        assert_eq!(text.as_deref(), expected, "{shown}");
        if let Some(exceeded) = exceeded {
            assert_eq!(exceeded.parameter(), &parameter);
            assert!(offer.contains(exceeded.limit()), "{shown}");
        }
        assert_eq!(outcome.is_accepted(), expected.is_none(), "{shown}");
        log.assert_clean();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn v11_xtext_is_decoded_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        let value = smtp_proto::parameter::Value::xtext(&bytes).unwrap();
        prop_assert_eq!(xtext::decode(value.as_str()), Some(bytes));
    }

    #[test]
    fn a_non_ascii_original_recipient_is_decoded_to_the_same_address(
        address in "[ -~\u{a1}-\u{2fff}\u{1f600}-\u{1f64f}]{1,40}",
        wide: bool,
    ) {
        let make = if wide { OriginalRecipient::unitext } else { OriginalRecipient::utf8 };
        let Ok(original) = make(&address) else {
            let breaks = ['\u{2028}', '\u{2029}'];
            prop_assert!(address.contains(breaks));
            return Ok(());
        };
        let (kind, text) = original.as_str().split_once(';').unwrap();
        prop_assert_eq!(kind, "utf-8");
        prop_assert_eq!(xtext::decode_address(text), Some(address));
    }

    #[test]
    fn any_parameters_of_a_recipient_reach_the_server(
        id in "[ -~]{1,30}",
        address in "[ -~]{1,100}|[ -~\u{e4}\u{4e2d}]{1,30}",
        occasions in 1_u8..8,
    ) {
        let all = [Notify::SUCCESS, Notify::FAILURE, Notify::DELAY];
        let chosen = (0..3).filter(|bit| occasions & (1 << bit) != 0).map(|bit| all[bit]);
        let notify = chosen.reduce(|one, other| one | other).unwrap();
        let mail = mail()
            .recipient(Recipient::new("c@x.test").notify(notify).original_recipient(&*address))
            .parameter(Parameter::envelope_id(&id).unwrap())
            .build()
            .unwrap();
        let (outcome, log) = send(mail, Some("DSN"), false);
        prop_assert!(outcome.is_accepted());
        log.assert_clean();
        let stored = log.mails().remove(0);
        prop_assert_eq!(stored.envelope_id(), Some(id));
        let recipient = &stored.recipients()[1];
        prop_assert_eq!(recipient.notify().join(","), Notify::from(notify).to_string());
        prop_assert_eq!(recipient.original_recipient().map(|(_, address)| address), Some(address));
        prop_assert_eq!(stored.recipients()[0].parameters(), []);
    }
}

impl Row {
    fn mail(&self, more: impl FnOnce(MailBuilder) -> MailBuilder) -> Mail {
        let mail = more(mail());
        let parameter = self.parameter.clone();
        if self.of_recipient {
            mail.recipient(Recipient::new("c@x.test").parameter(parameter))
        } else {
            mail.parameter(parameter)
        }
        .build()
        .unwrap()
    }

    /// The parameter as the server stored it.
    fn stored(&self, log: &Log) -> Option<String> {
        let mail = log.mails().remove(0);
        let found = if self.of_recipient {
            assert_eq!(
                mail.recipients()[0].parameters(),
                [],
                "the other recipient's"
            );
            mail.recipients()[1].parameters().to_vec()
        } else {
            mail.parameters().to_vec()
        };
        let keyword = self.parameter.keyword().as_str();
        let found = found.iter().find(|each| each.keyword() == keyword);
        found.map(ToString::to_string)
    }

    fn check_need(&self, outcome: &Outcome) {
        let expected = MissingExtension::Parameter {
            keyword: self.parameter.keyword().clone(),
            extension: self.parameter.extension().to_owned(),
            recipient: self.of_recipient.then_some(1),
        };
        assert_eq!(need(outcome), Some(expected));
    }
}

/// The limit of the server that the message exceeds.
fn exceeded(outcome: &Outcome) -> Option<LimitExceeded> {
    outcome
        .recipients()
        .iter()
        .find_map(|recipient| match recipient.status() {
            RecipientStatus::NotSent(error) => match error.kind() {
                ErrorKind::LimitExceeded(exceeded) => Some(exceeded.clone()),
                other => panic!("{other:?}"),
            },
            _ => None,
        })
}

/// The required extension that the server lacks.
fn need(outcome: &Outcome) -> Option<MissingExtension> {
    outcome
        .recipients()
        .iter()
        .find_map(|delivery| match delivery.status() {
            RecipientStatus::NotSent(error) => match error.kind() {
                ErrorKind::Unsupported(need) => Some(need.clone()),
                other => panic!("{other:?}"),
            },
            _ => None,
        })
}

fn table() -> Vec<Row> {
    let moment: DateTime = "2029-01-02T03:04:05Z".parse().unwrap();
    let by = DeliverBy::or_return(120).unwrap().traced();
    let original = OriginalRecipient::utf8("gr\u{fc}n+@x.test").unwrap();
    let row = |parameter, offer| Row {
        parameter,
        of_recipient: false,
        offer,
        in_clear: true,
    };
    let of_recipient = |parameter, offer| Row {
        of_recipient: true,
        ..row(parameter, offer)
    };
    let own = |keyword| Parameter::new(keyword, Some("1")).unwrap();
    vec![
        row(Parameter::ret(Return::Headers), "DSN"),
        row(Parameter::envelope_id("q+1 2").unwrap(), "DSN"),
        Row {
            in_clear: false,
            ..row(Parameter::require_tls(), "REQUIRETLS")
        },
        row(Parameter::deliver_by(by), "DELIVERBY 60"),
        row(Parameter::priority(-9).unwrap(), "MT-PRIORITY MIXER"),
        row(Parameter::hold_for(60).unwrap(), HOLDS),
        row(Parameter::hold_until(moment), HOLDS),
        row(
            Parameter::submitter(&"e=mc2@x.test".parse().unwrap()).unwrap(),
            "AUTH PLAIN",
        ),
        row(own("XOWN").with_extension("XTEND").unwrap(), "XTEND"),
        of_recipient(Parameter::notify(Notify::SUCCESS | Notify::DELAY), "DSN"),
        of_recipient(Parameter::original_recipient(original), "DSN"),
        of_recipient(
            Parameter::valid_since(moment, Some(IfUnsupported::Continue)),
            "RRVS",
        ),
        of_recipient(own("XMINE"), "XMINE"),
    ]
}

fn mail() -> MailBuilder {
    Mail::builder()
        .sender("a@x.test")
        .recipient("b@x.test")
        .without_header_check()
        .message("Subject: t\r\n\r\nhello\r\n")
}

/// A server with these lines and no other extension that has parameters. For an extension that it
/// does not know it advertises the parameter's keyword, too, because it cannot know which belongs
/// to which.
fn server<'a>(offers: impl IntoIterator<Item = &'a str>) -> smtp_test::Config {
    let offers: Vec<&str> = offers.into_iter().collect();
    let bare = if offers.contains(&"DSN") {
        smtp_test::Config::new()
    } else {
        smtp_test::Config::new().without("DSN")
    };
    offers.iter().fold(bare, |config, offer| match *offer {
        "DSN" => config,
        "XTEND" => config.with("XTEND").with("XOWN"),
        other => config.with(other),
    })
}

fn send(mail: Mail, offer: Option<&str>, in_tls: bool) -> (Outcome, Log) {
    let (mut pair, log) = connect(server(offer), in_tls);
    (deliver(&mut pair, mail), log)
}

fn connect(server: smtp_test::Config, in_tls: bool) -> (Pair<Machine>, Log) {
    let (server, security) = if in_tls {
        (server.implicit_tls(), Security::Implicit)
    } else {
        (server, Security::Cleartext)
    };
    let machine = Machine::new(&server);
    let log = machine.log();
    let config = Config::builder("client.test".parse().unwrap()).security(security);
    let mut pair = Pair::new(Arc::new(config.build().unwrap()), machine);
    // The driver begins TLS before its first question.
    pair.exchange();
    pair.drive(Connection::poll_ready).unwrap();
    (pair, log)
}

fn deliver(pair: &mut Pair<Machine>, mail: Mail) -> Outcome {
    let id = pair.connection.submit(mail);
    pair.drive(|connection| connection.poll_outcome(id))
        .unwrap()
}

const HOLDS: &str = "FUTURERELEASE 86400 2030-01-01T00:00:00Z";
