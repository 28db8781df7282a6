use std::borrow::Cow;

use io_sasl::mechanism::Sasl;
use io_sasl::rfc4616::plain::SaslPlainCreds;
use io_smtp::client::{SmtpClient, SmtpClientStd, SmtpClientStdConnectOptions};
use io_smtp::message::SmtpMessageSendOptions;
use io_smtp::rfc5321::{
    SmtpDomain, SmtpEhloDomain, SmtpForwardPath, SmtpLocalPart, SmtpMailbox, SmtpReversePath,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args()
        .nth(1)
        .unwrap_or_else(|| String::from("localhost"));
    let mut options = SmtpClientStdConnectOptions::default();
    options.session.starttls = true;
    options.sasl = Some(Sasl::Plain(SaslPlainCreds {
        authzid: None,
        authcid: "alice".into(),
        passwd: "secret".into(),
    }));
    let url = url::Url::parse(&format!("smtp://{host}:587"))?;
    let (mut client, _) = SmtpClientStd::connect(&url, domain("client.example.org"), options)?;
    let from = SmtpReversePath::SmtpMailbox(mailbox("alice", "example.org"));
    let to = vec![SmtpForwardPath(mailbox("bob", "example.net"))];
    let text = b"From: alice@example.org\r\nSubject: hello\r\n\r\nHello.\r\n".to_vec();
    client.send(from, to, text, SmtpMessageSendOptions::default())?;
    client.quit()?;
    Ok(())
}

fn mailbox(local: &'static str, host: &'static str) -> SmtpMailbox<'static> {
    SmtpMailbox {
        local_part: SmtpLocalPart(Cow::Borrowed(local)),
        domain: domain(host),
    }
}

fn domain(name: &'static str) -> SmtpEhloDomain<'static> {
    SmtpEhloDomain::SmtpDomain(SmtpDomain(Cow::Borrowed(name)))
}
