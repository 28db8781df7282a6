//! Queues several messages on one connection at once, and waits for each outcome later.
//!
//! `cargo run --package smtp-tokio --example many`

use std::error::Error;

use smtp_tokio::{Client, Endpoint, Mail};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // A server for the demo.
    let tls = smtp_test::Tls::new();
    let rejection = "550 5.1.1 no such user";
    let server = smtp_test::Server::start(
        smtp_test::Config::new()
            .tls(tls.clone())
            .reject("dave@example.net", rejection),
    )?;
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.client_config())
        .build()?;
    let mut client = Client::connect(&endpoint).await?;

    // Nothing here waits. The messages are sent, one after the other, while an outcome is awaited.
    let mut ids = Vec::new();
    for recipient in [
        "bob@example.net",
        "carol@example.net",
        "dave@example.net",
        "erin@example.net",
    ] {
        let message = format!(
            "From: alice@example.org\r\nTo: {recipient}\r\nSubject: hello\r\n\r\nHello.\r\n"
        );
        ids.push(client.submit(Mail::new("alice@example.org", [recipient], message)?));
    }

    // The outcome of a message does not depend on the others. If the connection fails, each queued
    // message has an outcome with the failure.
    for id in ids {
        let outcome = client.wait_outcome(id).await?;
        for recipient in outcome.recipients() {
            println!("{}: {}", recipient.recipient(), recipient.status());
        }
    }
    println!(
        "{} round trips in all",
        client.connection().stats().round_trips()
    );
    client.quit().await?;
    println!("the server stored {} messages", server.mails().len());
    Ok(())
}
