//! Sends a message with STARTTLS, by the adapter for compio, to a test server that it starts:
//! `cargo run` in this folder.

use std::error::Error;

use compio::runtime::Runtime;
use compio_adapter::Client;
use smtp_proto::Mail;
use smtp_rustls::Endpoint;
use smtp_test::{Config, Server, Tls};

fn main() -> Result<(), Box<dyn Error>> {
    let tls = Tls::new();
    let server = Server::start(Config::new().tls(tls.clone()))?;
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.client_config())
        .build()?;
    let text = "From: alice@example.org\r\nSubject: hello\r\n\r\nBy completion.\r\n";
    let mail = Mail::new("alice@example.org", ["bob@example.net"], text)?;

    let runtime = Runtime::new()?;
    println!("driver: {:?}", runtime.driver_type());
    let outcome = runtime.block_on(async {
        let mut client = Client::connect(&endpoint).await?;
        let outcome = client.send(mail).await?;
        client.quit().await?;
        Ok::<_, smtp_proto::Error>(outcome)
    })?;
    println!("{outcome}");
    for mail in server.mails() {
        println!("stored, over TLS: {}", mail.over_tls());
    }
    Ok(())
}
