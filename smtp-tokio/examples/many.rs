//! Sends several mails over one connection: all are put in line at once, and the outcome of each is asked for later.
//!
//! `cargo run --package smtp-tokio --example many`

use std::error::Error;

use smtp_tokio::Client;
use smtp_tokio::proto::Mail;
use smtp_tokio::tls::Endpoint;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // A server to send to; any other would do.
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

    // Nothing of this waits. The mails go out, one behind the other, while an outcome is awaited.
    let mut ids = Vec::new();
    for recipient in [
        "bob@example.net",
        "carol@example.net",
        "dave@example.net",
        "erin@example.net",
    ] {
        let text = format!(
            "From: alice@example.org\r\nTo: {recipient}\r\nSubject: hello\r\n\r\nHello.\r\n"
        );
        ids.push(client.submit(Mail::new("alice@example.org", [recipient], text)?));
    }

    // What becomes of one mail is no matter to the others, unless the connection fails: then the outcome of each that
    // was in line tells how far it came.
    for id in ids {
        let outcome = client.wait_outcome(id).await?;
        for delivery in outcome.recipients() {
            println!("{}: {}", delivery.recipient(), delivery.status());
        }
    }
    println!(
        "{} round trips in all",
        client.connection().stats().round_trips()
    );
    client.quit().await?;
    println!("the server stored {} mails", server.mails().len());
    Ok(())
}
