//! The forms in which sender and recipients are given, and the errors of invalid ones.

use std::borrow::Cow;

use smtp_proto::dsn::Notify;
use smtp_proto::{
    AddressErrorKind, Connection, Credentials, Error, ForwardPath, Mail, MailError, MailErrorKind,
    MailPart, Mailbox, NotAllAccepted, Outcome, Recipient,
};

const TEXT: &str =
    "From: a@x.test\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\nSubject: t\r\n\r\nhello\r\n";

fn recipients(mail: &Mail) -> Vec<&str> {
    mail.recipients().map(ForwardPath::as_str).collect()
}

#[test]
fn recipients_are_taken_from_any_iterable() {
    const BOTH: [&str; 2] = ["b@x.test", "c@x.test"];
    let slice: &[&str] = &BOTH;
    let strings = BOTH.map(String::from);
    let vector = strings.to_vec();
    let boxes = BOTH.map(Box::<str>::from);
    let cows = BOTH.map(Cow::from);
    let mailboxes: Vec<Mailbox> = BOTH.iter().map(|text| text.parse().unwrap()).collect();
    let paths: Vec<ForwardPath> = BOTH.iter().map(|text| text.parse().unwrap()).collect();
    let whole: Vec<Recipient> = BOTH.iter().map(Recipient::new).collect();
    let mails = [
        Mail::new("a@x.test", BOTH, TEXT),
        Mail::new("a@x.test", &BOTH, TEXT),
        Mail::new("a@x.test", slice, TEXT),
        Mail::new("a@x.test", slice.iter().copied(), TEXT),
        Mail::new("a@x.test", vec!["b@x.test", "c@x.test"], TEXT),
        Mail::new("a@x.test", &vec!["b@x.test", "c@x.test"], TEXT),
        Mail::new("a@x.test", &strings, TEXT),
        Mail::new("a@x.test", strings.clone(), TEXT),
        Mail::new("a@x.test", &strings[..], TEXT),
        Mail::new("a@x.test", &vector, TEXT),
        Mail::new("a@x.test", vector.iter().collect::<Vec<_>>(), TEXT),
        Mail::new("a@x.test", &vector.iter().collect::<Vec<_>>(), TEXT),
        Mail::new("a@x.test", vector.clone(), TEXT),
        Mail::new("a@x.test", boxes, TEXT),
        Mail::new("a@x.test", &cows, TEXT),
        Mail::new("a@x.test", cows.clone(), TEXT),
        Mail::new("a@x.test", &mailboxes, TEXT),
        Mail::new("a@x.test", mailboxes, TEXT),
        Mail::new("a@x.test", &paths, TEXT),
        Mail::new("a@x.test", paths, TEXT),
        Mail::new("a@x.test", &whole, TEXT),
        Mail::new("a@x.test", whole.clone(), TEXT),
        Mail::new("a@x.test", [&whole[0], &whole[1]], TEXT),
    ];
    for mail in mails {
        assert_eq!(recipients(&mail.unwrap()), BOTH);
    }
}

#[test]
fn all_malformed_recipients_are_named_at_once() {
    let given = [
        "a@x.test",
        "b@x_y.test",
        "c@x.test",
        "d e@x.test",
        "Eve <e@x.test>",
        "f@x.test",
        "g\r\n@x.test",
    ];
    let error = Mail::new("s@x.test", given, TEXT).unwrap_err();
    assert_eq!(error.part(), MailPart::Recipient(1));
    let found: Vec<_> = (error.invalid_recipients().iter())
        .map(|each| (each.index(), each.text(), each.error().character()))
        .collect();
    assert_eq!(
        found,
        [
            (1, given[1], Some('_')),
            (3, given[3], Some(' ')),
            (4, given[4], None),
            (6, given[6], Some('\r')),
        ]
    );
    assert_eq!(
        format!("{error:#}"),
        "recipient 1 \"b@x_y.test\": character '_' is not allowed at offset 3; \
         recipient 3 \"d e@x.test\": character ' ' is not allowed at offset 1; \
         recipient 4 \"Eve <e@x.test>\": display name: write only the address inside <>, which begins at offset 4; \
         recipient 6 \"g\\x0d\\x0a@x.test\": control character '\\r' at offset 1"
    );
}

#[test]
fn malformed_recipients_keep_their_index_beside_another_error() {
    let error = Mail::builder()
        .sender("s")
        .recipient("a@x.test")
        .recipient("b")
        .recipient(Recipient::new("c").notify(Notify::NEVER))
        .recipient(
            Recipient::new("d@x.test")
                .notify(Notify::NEVER)
                .notify(Notify::NEVER),
        )
        .message(TEXT)
        .build()
        .unwrap_err();
    assert_eq!(error.part(), MailPart::Sender);
    assert_eq!(
        format!("{error:#}"),
        "sender: no @ after the local part at offset 1; \
         recipient 1 \"b\": no @ after the local part at offset 1; \
         recipient 2 \"c\": no @ after the local part at offset 1"
    );
    // The address is replaced by a valid one with invalid parameters, and still is the third.
    let error = Mail::builder()
        .recipient("a@x.test")
        .recipient(
            Recipient::new("d@x.test")
                .notify(Notify::NEVER)
                .notify(Notify::NEVER),
        )
        .recipient("b")
        .message(TEXT)
        .build()
        .unwrap_err();
    assert_eq!(error.part(), MailPart::Recipient(1));
    assert!(matches!(error.kind(), MailErrorKind::Parameter(_)));
    assert_eq!(error.invalid_recipients()[0].index(), 2);
}

#[test]
fn the_text_about_malformed_recipients_is_bounded() {
    let long = "\u{1b}[2J".repeat(1000);
    let error = Mail::new("s@x.test", vec![&long; 300], TEXT).unwrap_err();
    assert_eq!(error.invalid_recipients().len(), 300);
    for recipient in error.invalid_recipients() {
        assert!(recipient.text().len() <= 256 && long.starts_with(recipient.text()));
    }
    let shown = format!("{error:#}");
    assert!(shown.len() <= 1024, "{} bytes", shown.len());
    assert!(shown.ends_with("; and 295 more"), "{shown}");
    assert!(!shown.contains(|c: char| c.is_control()));
    // Cut between two characters.
    let error = Mail::new("s@x.test", ["\u{4e2d}".repeat(100)], TEXT).unwrap_err();
    assert_eq!(error.invalid_recipients()[0].text(), "\u{4e2d}".repeat(85));
    let MailErrorKind::Address(fault) = error.kind() else {
        panic!("{error:#}");
    };
    assert_eq!(fault.kind(), AddressErrorKind::LongMailbox);
}

/// A result that is used as a whole gives no warning; that it compiles is the test.
#[deny(unused_must_use)]
#[expect(dead_code, reason = "it is only compiled")]
fn all_or_nothing(outcome: Outcome) -> Result<(), NotAllAccepted> {
    outcome.all_accepted()?;
    Ok(())
}

#[test]
fn public_types_are_send_and_sync() {
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Connection>();
    assert_shared::<Credentials>();
    assert_shared::<Error>();
    assert_shared::<Mail>();
    assert_shared::<MailError>();
    assert_shared::<Outcome>();
}
