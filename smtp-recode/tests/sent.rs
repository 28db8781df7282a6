//! A message is recoded while it is sent, only if the server makes that necessary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use smtp_blocking::Client;
use smtp_blocking::proto::{ErrorKind, Mail, Outcome, RecipientOutcome, RecipientStatus, Security};
use smtp_blocking::tls::Endpoint;
use smtp_test::Server;

const TEXT: &str = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\u{fc}\u{df}e aus dem Norden\r\n";

fn send(server: &Server, text: impl Into<Vec<u8>>) -> Outcome {
    let mail = Mail::builder()
        .sender("a@x.test")
        .recipient("b@x.test")
        .without_header_check()
        .message(text.into())
        .downgrade_with(smtp_recode::seven_bit)
        .build()
        .unwrap();
    let endpoint = Endpoint::builder("127.0.0.1")
        .security(Security::Cleartext)
        .port(server.port())
        .build()
        .unwrap();
    let mut client = Client::connect(&endpoint).unwrap();
    let outcome = client.send(mail).unwrap();
    client.quit().unwrap();
    outcome
}

#[test]
fn a_message_is_recoded_for_a_server_without_8bitmime_only() {
    let server = Server::start(smtp_test::Config::new()).unwrap();
    assert!(send(&server, TEXT.to_owned()).is_accepted());
    assert_eq!(server.mails()[0].body(), TEXT.as_bytes());
    assert_eq!(server.mails()[0].parameter("BODY"), Some("8BITMIME"));
    server.log().assert_clean();

    let old = smtp_test::Config::new()
        .without("8BITMIME")
        .without("SMTPUTF8");
    let server = Server::start(old).unwrap();
    assert!(send(&server, TEXT.to_owned()).is_accepted());
    let mails = server.mails();
    let body = String::from_utf8(mails[0].body().to_vec()).unwrap();
    assert!(
        body.ends_with("\r\n\r\nGr=C3=BC=C3=9Fe aus dem Norden\r\n"),
        "{body}"
    );
    assert_eq!(mails[0].parameter("BODY"), None);
    assert_eq!(mails[0].parameter("SIZE"), Some(&*body.len().to_string()));
    server.log().assert_clean();
}

#[test]
fn fields_that_are_not_utf8_are_recoded_for_each_server() {
    let server = Server::start(smtp_test::Config::new()).unwrap();
    let text =
        b"Subject: gr\xfc\xdfe\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nhello\r\n";
    assert!(send(&server, &text[..]).is_accepted());
    let mails = server.mails();
    assert_eq!(mails[0].parameter("BODY"), None);
    assert_eq!(
        mails[0].body(),
        b"Subject: =?iso-8859-1?q?gr=FC=DFe?=\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nhello\r\n"
    );
    server.log().assert_clean();
}

#[test]
fn fields_in_utf8_are_recoded_for_a_server_without_smtputf8() {
    let config = smtp_test::Config::new().without("SMTPUTF8");
    let server = Server::start(config).unwrap();
    assert!(send(&server, format!("Subject: gr\u{fc}n\r\n{TEXT}")).is_accepted());
    let body = server.mails()[0].body().to_vec();
    assert!(body.starts_with(b"Subject: =?utf-8?q?gr=C3=BCn?=\r\n"));
    server.log().assert_clean();
}

#[test]
fn a_signed_message_is_not_sent_to_a_server_without_8bitmime() {
    let old = smtp_test::Config::new()
        .without("8BITMIME")
        .without("SMTPUTF8");
    let server = Server::start(old).unwrap();
    let outcome = send(&server, format!("DKIM-Signature: v=1\r\n{TEXT}"));
    match outcome.recipients().first().map(RecipientOutcome::status) {
        Some(RecipientStatus::NotSent(error)) => {
            assert!(matches!(error.kind(), ErrorKind::Recode(_)));
            assert!(format!("{error:#}").contains("signature"), "{error:#}");
        }
        other => unreachable!("{other:?}"),
    }
    assert_eq!(server.log().mail_count(), 0);
}
