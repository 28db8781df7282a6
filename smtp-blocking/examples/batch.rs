//! Sends a hundred mails over as few connections as it takes, to a server that ends each in the middle.
//!
//! `cargo run --package smtp-blocking --example batch`

use std::error::Error;

use smtp_blocking::Client;
use smtp_blocking::proto::{Mail, MailError};
use smtp_blocking::tls::Endpoint;
use smtp_test::{Action, Config, Server, Stage};

fn main() -> Result<(), Box<dyn Error>> {
    // A server to send to, which takes forty mails a connection; any other would do.
    let tls = smtp_test::Tls::new();
    let going = Action::reply("421 4.3.2 enough for now").then_close();
    let server = Server::start(
        Config::new()
            .tls(tls.clone())
            .on(Stage::Mail.nth(41), going),
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
        let mut client = Client::connect(&endpoint)?;
        let mut again = Vec::new();
        // A mail is taken when it is about to be sent: the iterator could as well read a queue.
        let mut batch = client.send_all(mails.iter().cloned());
        let mut told = 0;
        for outcome in &mut batch {
            if outcome.is_accepted() {
                accepted += 1;
            } else if outcome.recipients().iter().all(|delivery| {
                delivery.status().is_safe_to_retry() && delivery.status().is_transient()
            }) {
                again.push(mails[told].clone());
            } else {
                println!("given up: {:?}", outcome.recipients());
            }
            told += 1;
        }
        // What was not taken, before the connection ended, and what is worth another attempt.
        again.extend(batch.into_rest());
        println!("{told} mails handed over, {} left", again.len());
        mails = again;
    }
    println!("{accepted} accepted, {} stored", server.mails().len());
    Ok(())
}

fn compose(number: usize) -> Result<Mail, MailError> {
    let recipient = format!("reader{number}@example.net");
    let text = format!(
        "From: alice@example.org\r\nTo: {recipient}\r\nSubject: news\r\n\r\nNothing new.\r\n"
    );
    Mail::new("alice@example.org", [recipient], text)
}
