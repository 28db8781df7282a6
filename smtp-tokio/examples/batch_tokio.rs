//! Sends a hundred messages over as few connections as possible, to a server that ends each early.
//!
//! `cargo run --package smtp-tokio --example batch_tokio`

use std::error::Error;

use smtp_test::{Action, Config, Server, Stage};
use smtp_tokio::proto::MailError;
use smtp_tokio::{Client, Endpoint, Mail};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // A server that takes forty messages over a connection.
    let tls = smtp_test::Tls::new();
    let closing = Action::reply("421 4.3.2 enough for now").then_close();
    let server = Server::start(
        Config::new()
            .tls(tls.clone())
            .on(Stage::Mail.nth(41), closing),
    )?;
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.client_config())
        .build()?;

    let mut mails: Vec<Mail> = (0..100).map(compose).collect::<Result<_, _>>()?;
    let mut accepted = 0;
    for _attempt in 0..5 {
        if mails.is_empty() {
            break;
        }
        let mut client = Client::connect(&endpoint).await?;
        let mut again = Vec::new();
        // A message is taken when it is about to be sent, so the iterator could also read a queue.
        let mut batch = client.send_all(mails);
        while let Some(outcome) = batch.next().await {
            if outcome.is_accepted() {
                accepted += 1;
            } else if let Some(retry) = outcome.retry() {
                again.push(retry);
            } else {
                println!("failed: {outcome}");
            }
        }
        // Messages to be sent again, and those that were not taken before the connection ended.
        again.extend(batch.into_rest());
        println!("{accepted} messages accepted, {} left", again.len());
        mails = again;
    }
    println!("the server stored {}", server.mails().len());
    Ok(())
}

fn compose(number: usize) -> Result<Mail, MailError> {
    let recipient = format!("reader{number}@example.net");
    let message = format!(
        "From: alice@example.org\r\nTo: {recipient}\r\nSubject: news\r\n\r\nNothing new.\r\n"
    );
    Mail::new("alice@example.org", [recipient], message)
}
