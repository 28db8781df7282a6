//! Requests delivery reports: of success and failure for one recipient, of failure only for the
//! other.
//!
//! `cargo run --package smtp-blocking --example dsn`

use std::error::Error;

use smtp_blocking::proto::Parameter;
use smtp_blocking::proto::dsn::{Notify, Return};
use smtp_blocking::{Client, Endpoint, Mail, Recipient};

fn main() -> Result<(), Box<dyn Error>> {
    // A server for the demo.
    let tls = smtp_test::Tls::new();
    let server = smtp_test::Server::start(smtp_test::Config::new().tls(tls.clone()))?;
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.client_config())
        .build()?;

    let mail = Mail::builder()
        .sender("alice@example.org")
        .recipient(
            Recipient::new("bob@example.net")
                .notify(Notify::SUCCESS | Notify::FAILURE)
                .original_recipient("bob@example.net"),
        )
        .recipient(Recipient::new("carol@example.net").notify(Notify::FAILURE))
        // Reports carry this id, and the header section of the message without its body.
        .parameter(Parameter::envelope_id("order 4711")?)
        .parameter(Parameter::ret(Return::Headers))
        // Without this line, the message is not sent to a server that does not advertise DSN.
        .optional_extension("DSN")
        .message(
            "From: alice@example.org\r\nTo: bob@example.net, carol@example.net\r\nSubject: order\r\n\r\n\
             The goods are on their way.\r\n",
        )
        .build()?;

    let mut client = Client::connect(&endpoint)?;
    let reports = client.capabilities().dsn();
    // Treat anything short of full acceptance as an error.
    let outcome = client.send(mail)?.all_accepted()?;
    println!(
        "accepted for {}; reports are {}",
        outcome.recipients().len(),
        if reports {
            "requested"
        } else {
            "not available"
        }
    );
    client.quit()?;

    for mail in server.mails() {
        println!("envelope id: {}", mail.envelope_id().unwrap_or_default());
        for recipient in mail.recipients() {
            println!("{}: {}", recipient.address(), recipient.notify().join(", "));
        }
    }
    Ok(())
}
