//! Signs a message by DKIM (RFC 6376), sends it, and checks that the signed bytes arrive unchanged.
//!
//! The signature is a header field before the message. `Mail::from_message` removes the `Bcc`
//! field, which must not be among the signed ones, and changes no other byte. The options that
//! change content are off here: `bare_line_ends` and `downgrade_with` break a signature.

use std::error::Error;
use std::net::TcpStream;
use std::sync::Arc;

use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::DkimSigner;
use smtp_blocking::proto::{Config, Connection, Mail, Seed};
use smtp_blocking::{Client, Security};
use smtp_test::Server;

fn main() -> Result<(), Box<dyn Error>> {
    // A key of your own has its public half in DNS, at `mail._domainkey.example.org`.
    let key = Ed25519Key::from_pkcs8_der(&Ed25519Key::generate_pkcs8()?)?;
    let signature = DkimSigner::from_key(key)
        .domain("example.org")
        .selector("mail")
        .headers(["From", "To", "Subject", "Date", "Message-ID"])
        .sign([HEADER, BODY].concat().as_bytes())?;
    let signature = signature.to_header();
    let mail = Mail::from_message([&*signature, HEADER, BCC, BODY].concat())?;

    let server = Server::start(smtp_test::Config::new())?;
    let config = Config::builder("client.example.org".parse()?)
        .security(Security::Cleartext)
        .build()?;
    let connection = Connection::new(Arc::new(config), Seed::random());
    let mut client = Client::from_stream(TcpStream::connect(server.addr())?, connection);
    println!("{}", client.send(mail)?);
    client.quit()?;

    let mails = server.mails();
    let expected = [&*signature, HEADER, BODY].concat();
    assert_eq!(mails[0].body(), expected.as_bytes());
    assert_eq!(
        mails[0].addresses(),
        ["bob@example.net", "archive@example.org"]
    );
    print!("arrived as signed:\n{signature}");
    Ok(())
}

const HEADER: &str = "\
From: Alice <alice@example.org>\r
To: Bob <bob@example.net>\r
Subject: hello\r
Date: Mon, 30 Nov 2026 12:00:00 +0000\r
Message-ID: <1@example.org>\r
";

const BCC: &str = "Bcc: archive@example.org\r\n";

const BODY: &str = "\r\nHello Bob.\r\n";
