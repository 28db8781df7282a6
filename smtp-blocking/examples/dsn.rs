//! Asks for a report of success: of delivery to one recipient, and of nothing but failure to the other.
//!
//! `cargo run --package smtp-blocking --example dsn`

use std::error::Error;

use smtp_blocking::Client;
use smtp_blocking::proto::dsn::{Notify, Return};
use smtp_blocking::proto::{Mail, Parameter, Recipient};
use smtp_blocking::tls::Endpoint;

fn main() -> Result<(), Box<dyn Error>> {
    // A server to send to; any other would do.
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
        // Reports say which mail they are about by this, and have its headers in them, not its text.
        .parameter(Parameter::envelope_id("order 4711")?)
        .parameter(Parameter::ret(Return::Headers))
        // Better a mail without its report than none. Without this line, it would not go to a server that offers no DSN.
        .optional_extension("DSN")
        .message(
            "From: alice@example.org\r\nTo: bob@example.net, carol@example.net\r\nSubject: order\r\n\r\n\
             The goods are on their way.\r\n",
        )
        .build()?;

    let mut client = Client::connect(&endpoint)?;
    let reports = client.capabilities().dsn();
    // To whom all or nothing is what counts, anything but "accepted for all" is an error.
    let outcome = client.send(mail)?.all_accepted()?;
    println!(
        "accepted for {}; reports are {}",
        outcome.recipients().len(),
        if reports {
            "asked for"
        } else {
            "not to be had"
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
