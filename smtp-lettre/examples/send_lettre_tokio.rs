//! A program for lettre on tokio, with one line changed.
//!
//! `cargo run --package smtp-lettre --features tokio --example send_lettre_tokio`

use std::error::Error;

use lettre::{AsyncTransport, Message, Tokio1Executor};
use smtp_lettre::{AsyncSmtpTransport, Credentials};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // A server for the demo.
    let tls = smtp_test::Tls::new();
    let server = smtp_test::Server::start(
        smtp_test::Config::new()
            .tls(tls.clone())
            .user("alice", "correct horse"),
    )?;

    // The line that differs. With lettre's own transport it begins with the same words.
    let mailer = AsyncSmtpTransport::<Tokio1Executor>::starttls_relay("localhost")?
        .credentials(Credentials::password("alice", "correct horse")?)
        .port(server.port()) // for the demo
        .tls(tls.client_config()) // for the demo
        .build()?;

    // What the mailer has beyond lettre's trait: a driver, which sends in the background.
    if let Some(driver) = mailer.mailer().driver() {
        tokio::spawn(driver);
    }

    let message = Message::builder()
        .from("Alice <alice@example.org>".parse()?)
        .to("Bob <bob@example.net>".parse()?)
        .subject("hello")
        .body("Hello Bob.\r\n".to_owned())?;
    println!("{}", mailer.send(message).await?);
    mailer.shutdown().await;
    println!("the server stored {} messages", server.mails().len());
    Ok(())
}
