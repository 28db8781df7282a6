//! Sends messages of many tasks over a few connections.
//!
//! `cargo run --package smtp-tokio --example mailer_tokio`

use std::error::Error;
use std::time::Duration;

use smtp_tokio::{Endpoint, Mail, Mailer};
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // A server for the demo.
    let tls = smtp_test::Tls::new();
    let config = smtp_test::Config::new()
        .tls(tls.clone())
        .reject("user7@example.net", "550 5.1.1 no such user");
    let server = smtp_test::Server::start(config)?;
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.client_config())
        .build()?;
    let mailer = Mailer::new(endpoint);
    println!("{}\n", mailer.check().await?);

    // The driver sends what all tasks have waiting. Without it each task would send for itself.
    if let Some(driver) = mailer.driver() {
        tokio::spawn(driver);
    }
    let mut tasks = JoinSet::new();
    for number in 0..20 {
        let mailer = mailer.clone();
        tasks.spawn(async move {
            let recipient = format!("user{number}@example.net");
            let message = format!(
                "From: alice@example.org\r\nTo: {recipient}\r\nSubject: hello\r\n\r\nHello.\r\n"
            );
            let mail = Mail::new("alice@example.org", [recipient], message);
            match mailer.send(mail.expect("the addresses are valid")).await {
                Ok(outcome) => println!("{outcome}"),
                Err(error) => eprintln!("{error:#}"),
            }
        });
    }
    tasks.join_all().await;

    let stats = mailer.stats();
    println!(
        "\n{} sent, {} rejected, over {} connections",
        stats.sent, stats.failed, stats.connected
    );
    mailer.close(Duration::from_secs(10)).await;
    Ok(())
}
