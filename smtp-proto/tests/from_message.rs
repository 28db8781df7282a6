//! The envelope that a message states in its header section, and the content that is sent.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by a panic"
)]

use std::collections::HashSet;

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use smtp_proto::content::{BareLineEnds, ContentErrorKind};
use smtp_proto::dsn::{Notify, Return};
use smtp_proto::{
    AddressErrorKind, FieldErrorKind, Mail, MailBuilder, MailError, MailErrorKind, MailPart,
    Mailbox, Parameter, Pipelining, Recipient,
};
use smtp_test::Machine;

use crate::common::pair::Pair;
use crate::common::session::Mode;

/// Sender, recipients and content.
type Sent = (String, Vec<String>, String);

/// What a server receives.
fn sent(mail: Mail) -> Sent {
    let mode = Mode::new(Pipelining::Envelope);
    let mut pair = Pair::new(mode.config(), Machine::new(&mode.plain_server()));
    let id = pair.connection.submit(mail);
    let outcome = pair
        .drive(|connection| connection.poll_outcome(id))
        .unwrap();
    outcome.all_accepted().unwrap();
    let stored = pair.peer.log().mails().pop().unwrap();
    let addresses = stored.addresses().into_iter().map(str::to_owned);
    (
        stored.sender().to_owned(),
        addresses.collect(),
        String::from_utf8(stored.body().to_vec()).unwrap(),
    )
}

fn fault(message: &str) -> MailError {
    Mail::from_message(message.to_owned()).unwrap_err()
}

/// A header section with line feeds, as a message.
fn message(header: &str) -> String {
    format!("{header}\n\nHello\nBcc: in the body\n").replace('\n', "\r\n")
}

#[test]
fn sender_and_recipients_are_those_of_the_fields() {
    for (header, sender, recipients) in [
        (
            "From: a@x.test\nTo: b@x.test",
            "a@x.test",
            &["b@x.test"] as &[&str],
        ),
        (
            "To: b@x.test\nFrom: Alice <a@x.test>",
            "a@x.test",
            &["b@x.test"],
        ),
        (
            "FROM:a@x.test\nto:b@x.test\ncC:c@x.test",
            "a@x.test",
            &["b@x.test", "c@x.test"],
        ),
        // The order is that of the fields.
        (
            "Bcc: d@x.test\nCc: c@x.test\nFrom: a@x.test\nTo: b@x.test",
            "a@x.test",
            &["d@x.test", "c@x.test", "b@x.test"],
        ),
        (
            "From: a@x.test\nTo: b@x.test\nTo: c@x.test, d@x.test",
            "a@x.test",
            &["b@x.test", "c@x.test", "d@x.test"],
        ),
        (
            "From: a@x.test\nTo : b@x.test\nBcc \t: c@x.test",
            "a@x.test",
            &["b@x.test", "c@x.test"],
        ),
        (
            "From: a@x.test\nTo:\n b@x.test,\n\tBob\n (a \\) comment)\n <c@x.test>",
            "a@x.test",
            &["b@x.test", "c@x.test"],
        ),
        // The sender is not the author.
        (
            "From: a@x.test, b@x.test\nSender: s@x.test\nTo: c@x.test",
            "s@x.test",
            &["c@x.test"],
        ),
        (
            "Sender: S <s@x.test>\nFrom: not an address\nTo: c@x.test",
            "s@x.test",
            &["c@x.test"],
        ),
        (
            "From: Team: a@x.test;\nTo: c@x.test",
            "a@x.test",
            &["c@x.test"],
        ),
        (
            "From: a@x.test\nReply-To: r@x.test\nTo: c@x.test",
            "a@x.test",
            &["c@x.test"],
        ),
        // A recipient who is the sender.
        ("From: a@x.test\nTo: a@x.test", "a@x.test", &["a@x.test"]),
        (
            "From: a@x.test\nTo: undisclosed-recipients:;\nBcc: b@x.test",
            "a@x.test",
            &["b@x.test"],
        ),
        (
            "From: a@x.test\nTo: A: b@x.test, c@x.test;, d@x.test\nCc:",
            "a@x.test",
            &["b@x.test", "c@x.test", "d@x.test"],
        ),
        // Each mailbox once; domains do not depend on letter case, local parts do.
        (
            "From: a@x.test\nTo: b@x.test, \"b\"@X.Test, B@x.test\nCc: Bob <b@x.test>",
            "a@x.test",
            &["b@x.test", "B@x.test"],
        ),
        (
            "From: a@x.test\nTo: \"a b\"@x.test, \"Doe, Bob\" <\"c,d\"@x.test>",
            "a@x.test",
            &["\"a b\"@x.test", "\"c,d\"@x.test"],
        ),
        (
            "From: =?utf-8?Q?J=C3=B6rg?= <a@x.test>\nTo: =?utf-8?B?w7w=?=\n =?utf-8?Q?_x?= <b@x.test>",
            "a@x.test",
            &["b@x.test"],
        ),
        // Without an empty line after the header section.
        (
            "From: a@x.test\nTo: postmaster@x.test",
            "a@x.test",
            &["postmaster@x.test"],
        ),
    ] {
        let message = message(header);
        let mail = Mail::from_message(message.clone())
            .unwrap_or_else(|error| panic!("{header}: {error:#}"));
        let (got_sender, got_recipients, _) = sent(mail);
        assert_eq!(
            (&*got_sender, &*got_recipients),
            (
                sender,
                &recipients
                    .iter()
                    .map(|each| (*each).to_owned())
                    .collect::<Vec<_>>()[..]
            ),
            "{header}"
        );
    }
}

#[test]
fn the_most_recent_block_of_resent_fields_decides() {
    let original = "From: a@x.test\nSender: s@x.test\nTo: b@x.test\nBcc: secret@x.test";
    for (resent, sender, recipients) in [
        (
            "Resent-From: c@x.test\nResent-To: d@x.test",
            "c@x.test",
            &["d@x.test"] as &[&str],
        ),
        (
            "resent-from: c@x.test, e@x.test\nRESENT-SENDER: f@x.test\nResent-Date: now\nResent-To: d@x.test\nResent-Cc: g@x.test\nResent-Bcc: h@x.test",
            "f@x.test",
            &["d@x.test", "g@x.test", "h@x.test"],
        ),
        // Trace fields are between two blocks.
        (
            "Received: x\nResent-From: c@x.test\nResent-Bcc: d@x.test\nReceived: y\nResent-Sender: z@x.test\nResent-From: e@x.test\nResent-To: f@x.test",
            "c@x.test",
            &["d@x.test"],
        ),
        // Nothing is between them.
        (
            "Resent-Date: x\nResent-From: c@x.test\nResent-To: d@x.test\nResent-Date: y\nResent-From: e@x.test\nResent-Cc: f@x.test",
            "c@x.test",
            &["d@x.test"],
        ),
        (
            "Resent-To: d@x.test\nResent-From: c@x.test\nResent-From: e@x.test\nResent-To: f@x.test",
            "c@x.test",
            &["d@x.test"],
        ),
        // One of another name does not end a block.
        (
            "Resent-From: c@x.test\nResent-Note: x\nResent-Note: y\nResent-To: d@x.test",
            "c@x.test",
            &["d@x.test"],
        ),
    ] {
        for header in [
            format!("{resent}\n{original}"),
            format!("{original}\n{resent}"),
        ] {
            let mail = Mail::from_message(message(&header))
                .unwrap_or_else(|error| panic!("{header}: {error:#}"));
            let (got_sender, got_recipients, content) = sent(mail);
            assert_eq!(got_sender, sender, "{header}");
            assert_eq!(got_recipients, recipients, "{header}");
            assert_eq!(content, without_bcc(&message(&header)));
            assert!(!content.contains("secret") && !content.contains("h@x.test"));
        }
    }
}

#[test]
fn a_message_that_states_no_envelope_is_an_error_that_says_why() {
    for (header, line, expected) in [
        (
            "From: a@x.test",
            None,
            "content: no address in To, Cc or Bcc (add a To, Cc or Bcc field, or call `MailBuilder::recipient`)",
        ),
        (
            "From: a@x.test\nTo:\nCc: ,",
            None,
            "content: no address in To, Cc or Bcc (add a To, Cc or Bcc field, or call `MailBuilder::recipient`)",
        ),
        (
            "From: a@x.test\nTo: undisclosed-recipients:;",
            Some(2),
            "content, line 2: To: a group without members, and no recipient in another field (add a Bcc field, which is not sent, or call `MailBuilder::recipient`)",
        ),
        (
            "From: a@x.test\nBcc:\n x:;",
            Some(3),
            "content, line 3: Bcc: a group without members, and no recipient in another field (add a Bcc field, which is not sent, or call `MailBuilder::recipient`)",
        ),
        (
            "From: a@x.test\nTo: b@x.test\nFrom: a@x.test",
            Some(3),
            "content, line 3: From: the field occurs more than once (leave only one of them, and separate addresses by commas)",
        ),
        (
            "From: a@x.test\nTo: b@x.test\nSender: a@x.test\nSender: b@x.test",
            Some(4),
            "content, line 4: Sender: the field occurs more than once (leave only one of them, and separate addresses by commas)",
        ),
        (
            "To: b@x.test\nFrom: a@x.test, c@x.test",
            Some(2),
            "content, line 2: From: more than one mailbox (add a Sender field with the one mailbox that sends the message)",
        ),
        (
            "From: a@x.test\nSender: a@x.test, c@x.test\nTo: b@x.test",
            Some(2),
            "content, line 2: Sender: more than one mailbox (name only the mailbox that sends the message)",
        ),
        (
            "From: \nTo: b@x.test",
            Some(1),
            "content, line 1: From: no mailbox (a message names its sender in From or Sender)",
        ),
        (
            "From: group:;\nTo: b@x.test",
            Some(1),
            "content, line 1: From: no mailbox (a message names its sender in From or Sender)",
        ),
        (
            "From: a@x.test\nTo: b@x.test,\n c@x.test,\n dave",
            Some(4),
            "content, line 4: To \"dave\": no @ after the local part at offset 4 (commas separate addresses; a display name with special characters needs quotes: \"Doe, Bob\" <bob@example.net>)",
        ),
        (
            "From: a@x.test\nCc: b@x.test; c@x.test",
            Some(2),
            "content, line 2: Cc \"b@x.test; c@x.test\": malformed list of addresses (commas separate addresses; a display name with special characters needs quotes: \"Doe, Bob\" <bob@example.net>)",
        ),
        (
            "From: a@x.test\nTo: b@x.test\nBcc: \x1b[2J",
            Some(3),
            "content, line 3: Bcc \"\\x1b[2J\": malformed list of addresses (commas separate addresses; a display name with special characters needs quotes: \"Doe, Bob\" <bob@example.net>)",
        ),
        (
            "Resent-To: b@x.test\nFrom: a@x.test\nTo: b@x.test",
            None,
            "content: Resent-From: no mailbox (a message names its sender in From or Sender)",
        ),
        (
            "Resent-From: b@x.test\nFrom: a@x.test\nTo: b@x.test",
            None,
            "content: no address in Resent-To, Resent-Cc or Resent-Bcc (add a To, Cc or Bcc field, or call `MailBuilder::recipient`)",
        ),
        // The second one may be of an earlier block, whose recipients have the message.
        (
            "Resent-To: b@x.test\nResent-To: c@x.test\nResent-From: b@x.test\nFrom: a@x.test\nTo: b@x.test",
            Some(2),
            "content, line 2: Resent-To: the field occurs more than once (leave only one of them, and separate addresses by commas)",
        ),
    ] {
        let error = fault(&message(header));
        assert_eq!(format!("{error:#}"), expected, "{header}");
        assert_eq!(error.part(), MailPart::Content);
        assert_eq!(error.location().line(), line, "{header}");
        assert!(matches!(error.kind(), MailErrorKind::Field(_)));
        let shown = format!("{error}");
        assert!(expected.starts_with(&shown) && !shown.contains('`'));
    }
}

#[test]
fn content_that_is_no_message_is_an_error_of_the_content() {
    for (message, kind) in [
        ("Hello\r\n", ContentErrorKind::NoHeader),
        ("", ContentErrorKind::NoHeader),
        ("To: b@x.test\r\n\r\n", ContentErrorKind::NoFrom),
        (
            "From: a@x.test\r\nTo: b@x.test\r\nHello\r\n",
            ContentErrorKind::NotAField,
        ),
        ("From: a@x.test\nTo: b@x.test\n\n", ContentErrorKind::BareLf),
        (
            "From: a@x.test\r\nTo: b@x.test\r\n\r\n\0",
            ContentErrorKind::Nul,
        ),
    ] {
        match fault(message).kind() {
            MailErrorKind::Content(error) => assert_eq!(error.kind(), kind, "{message:?}"),
            other => panic!("{message:?}: {other}"),
        }
    }
}

#[test]
fn v44_bcc_fields_are_not_sent_and_no_other_byte_is_changed() {
    for bcc in [
        "Bcc: d@secret.test\n",
        "bCC: d@secret.test\n",
        "Bcc : d@secret.test\n",
        "Bcc\t \t:d@secret.test\n",
        "Bcc:\n d@secret.test,\n\te@secret.test\n",
        "Bcc:\n \n\t\n d@secret.test\n",
        "Bcc: d@secret.test\nBcc: e@secret.test\n",
        "Bcc:\n",
        "Resent-Bcc: d@secret.test\nResent-From: a@x.test\nResent-To: c@x.test\n",
    ] {
        let plain = "Bccc: 1\nX-Bcc: 2\nFrom: a@x.test\nTo: c@x.test\nSubject: Bcc:\n Bcc: 3\n";
        for place in plain.match_indices('\n').map(|(at, _)| at + 1).chain([0]) {
            // Not before a folded line.
            if plain[place..].starts_with(' ') {
                continue;
            }
            let (before, after) = plain.split_at(place);
            let given = message(&format!("{before}{bcc}{after}X: 4"));
            let (_, recipients, content) = sent(Mail::from_message(given.clone()).unwrap());
            assert_eq!(content, without_bcc(&given), "{given}");
            assert!(!content.contains("secret"), "{content}");
            assert!(recipients.contains(&"c@x.test".to_owned()));
            let has_secret = bcc.contains("secret");
            assert_eq!(
                recipients.iter().any(|each| each.ends_with("@secret.test")),
                has_secret
            );
        }
    }
    // The field was between a bare CR and an empty line.
    let given = "From: a@x.test\rBcc: b@secret.test\n\nBcc: c\n";
    let builder = MailBuilder::from_message(given).bare_line_ends(BareLineEnds::Convert);
    let expected = "From: a@x.test\r\n\r\nBcc: c\r\n";
    assert_eq!(sent(builder.build().unwrap()).2, expected);
    assert!(Mail::from_message(given).is_err());
    // The last field, without a line end.
    let mail = Mail::from_message("From: a@x.test\r\nBcc: b@secret.test").unwrap();
    assert_eq!(sent(mail).2, "From: a@x.test\r\n");
}

#[test]
fn a_message_without_bcc_is_not_copied() {
    let given =
        bytes::Bytes::from(message("From: a@x.test\nTo: b@x.test") + &"x\r\n".repeat(100_000));
    let heap = allocation_counter::measure(|| {
        assert!(Mail::from_message(given.clone()).is_ok());
    });
    assert!(heap.bytes_max < 4096, "{} bytes of heap", heap.bytes_max);
}

#[test]
fn more_can_be_set_after_the_message() {
    let given = message("From: a@x.test\nTo: b@x.test");
    let mail = MailBuilder::from_message(given)
        .sender("bounces@x.test")
        .recipient(Recipient::new("c@x.test").notify(Notify::NEVER))
        .parameter(Parameter::ret(Return::Headers))
        .build()
        .unwrap();
    assert_eq!(mail.sender().as_str(), "bounces@x.test");
    assert_eq!(mail.recipients().len(), 2);
    assert_eq!(mail.parameters()[0].to_string(), "RET=HDRS");
    assert!(mail.recipient_parameters(0).is_empty());
    assert_eq!(mail.recipient_parameters(1)[0].to_string(), "NOTIFY=NEVER");

    // A recipient that no field states.
    for header in ["From: a@x.test", "From: a@x.test\nTo: x:;"] {
        let mail = MailBuilder::from_message(message(header))
            .recipient("b@x.test")
            .build();
        assert_eq!(mail.unwrap().recipients().len(), 1);
    }
}

#[test]
fn addresses_follow_the_rules_of_smtputf8() {
    let mail = Mail::from_message(message("From: ä@x.test\nTo: ü@x.test, b@bücher.test")).unwrap();
    assert_eq!(sent(mail).1, ["ü@x.test", "b@bücher.test"]);
    let error = fault(&message("From: a@x.test\nTo: b@\u{2028}.test"));
    let MailErrorKind::Field(field) = error.kind() else {
        panic!("{error}");
    };
    let FieldErrorKind::Address(address) = field.kind() else {
        panic!("{field}");
    };
    assert_eq!(address.kind(), AddressErrorKind::Control);
}

/// A message without its Bcc fields, line by line.
fn without_bcc(message: &str) -> String {
    let (mut kept, mut in_header, mut in_bcc) = (String::new(), true, false);
    for line in message.split_inclusive('\n') {
        if in_header && line.trim_end_matches(['\r', '\n']).is_empty() {
            in_header = false;
            in_bcc = false;
        }
        if in_header && !line.starts_with([' ', '\t']) {
            let name = line
                .split(':')
                .next()
                .unwrap_or_default()
                .trim_end()
                .to_lowercase();
            in_bcc = ["bcc", "resent-bcc"].contains(&&*name);
        }
        if !in_bcc {
            kept.push_str(line);
        }
    }
    kept
}

/// A mailbox as it is written.
fn mailbox() -> impl Strategy<Value = String> {
    let local = prop_oneof![
        "[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,6}(\\.[a-zA-Z]{1,3}){0,2}",
        "[ -~]{0,8}",
        "[\"\\\\ ,;:<>@().]{1,6}",
        "[a-zäü日]{1,4}",
    ];
    let domain = select(vec![
        "x.test",
        "X.TEST",
        "a-b.y.test",
        "[192.0.2.1]",
        "bücher.test",
    ]);
    (local, domain).prop_map(|(local, domain)| Mailbox::new(&local, domain).unwrap().to_string())
}

fn display_name() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        "[ -~]{1,20}".prop_map(Some),
        "[\"\\\\ ,;:<>@().]{1,9}".prop_map(Some),
        "\\PC{1,30}".prop_map(Some),
        Just(Some("=?utf-8?Q?=2C_x?=".to_owned())),
    ]
}

/// An address, or a group, with its mailboxes.
fn address() -> impl Strategy<Value = (Address<'static>, Vec<String>)> {
    let one = (display_name(), mailbox())
        .prop_map(|(name, email)| (Address::new_address(name, email.clone()), vec![email]));
    let members = vec((display_name(), mailbox()), 0..4);
    let group = ("\\PC{1,20}", members).prop_map(|(name, members)| {
        let emails = members.iter().map(|(_, email)| email.clone()).collect();
        let members = members
            .into_iter()
            .map(|(name, email)| Address::new_address(name, email));
        (Address::new_group(Some(name), members.collect()), emails)
    });
    prop_oneof![3 => one, 1 => group]
}

/// Fields for recipients, with their mailboxes.
fn fields() -> impl Strategy<Value = Vec<(&'static str, Address<'static>, Vec<String>)>> {
    let list = vec(address(), 0..5).prop_map(|all| {
        let (addresses, emails): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        (Address::new_list(addresses), emails.concat())
    });
    vec((select(vec!["To", "Cc", "Bcc", "to", "BCC"]), list), 0..5).prop_map(|all| {
        all.into_iter()
            .map(|(name, (list, emails))| (name, list, emails))
            .collect()
    })
}

/// Each mailbox once, in order.
fn once<'a>(emails: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut known = HashSet::new();
    let identity = |email: &String| {
        let (local, domain) = email.rsplit_once('@').unwrap();
        (local.to_owned(), domain.to_ascii_lowercase())
    };
    emails
        .filter(|email| known.insert(identity(email)))
        .cloned()
        .collect()
}

fn composed(
    author: &str,
    fields: &[(&'static str, Address<'static>, Vec<String>)],
) -> MessageBuilder<'static> {
    let builder = MessageBuilder::new()
        .from(author.to_owned())
        .message_id("1@x.test")
        .date(0_i64)
        .subject("Bcc: x");
    let builder = fields.iter().fold(builder, |builder, (name, list, _)| {
        builder.header(*name, list.clone())
    });
    builder.text_body("Bcc: y\r\n.\r\nBcc: z\r\n")
}

proptest! {
    #[test]
    fn composed_addresses_are_parsed_as_the_same(author in mailbox(), fields in fields()) {
        let bytes = composed(&author, &fields).write_to_string().unwrap();
        let expected = once(fields.iter().flat_map(|(_, _, emails)| emails));
        #[cfg(feature = "mail-builder")]
        prop_assert_eq!(Mail::try_from(composed(&author, &fields)), Mail::from_message(bytes.clone()));
        match Mail::from_message(bytes.clone()) {
            Ok(mail) => {
                prop_assert_eq!(mail.sender().as_str(), &author);
                let recipients: Vec<_> = mail.recipients().map(|path| path.as_str()).collect();
                prop_assert_eq!(recipients, expected);
                let (_, _, content) = sent(mail);
                prop_assert_eq!(content, without_bcc(&bytes));
            }
            Err(error) => {
                prop_assert!(expected.is_empty(), "{error:#} in {bytes}");
                let MailErrorKind::Field(field) = error.kind() else {
                    panic!("{error:#}");
                };
                let kinds = [FieldErrorKind::NoRecipient, FieldErrorKind::EmptyGroup];
                prop_assert!(kinds.contains(&field.kind()), "{error:#}");
            }
        }
    }

    #[test]
    fn v44_bcc_is_not_sent_whatever_the_line_ends(
        lines in vec((select(LINES.to_vec()), select(vec!["\r\n", "\n", "\r", "\r\r\n"])), 0..10)
    ) {
        let mut given = "From: a@x.test\r\nTo: b@x.test\r\n".to_owned();
        given.extend(lines.iter().flat_map(|(line, end)| [*line, *end]));
        let built = MailBuilder::from_message(given.clone()).bare_line_ends(BareLineEnds::Convert).build();
        if let Ok(mail) = built {
            let (_, _, content) = sent(mail);
            prop_assert_eq!(&without_bcc(&content), &content, "{:?}", given);
        }
    }
}

const LINES: [&str; 9] = [
    "Bcc: c@x.test",
    " d@x.test",
    "\t",
    "bcc :e@x.test",
    "Resent-Bcc: c@x.test",
    "Subject: x",
    "Bcc:",
    "",
    "X",
];
