//! Sends a message with STARTTLS, by the adapter for mio, to a test server that it starts:
//! `cargo run --package mio-adapter`.

use std::error::Error;

use mio_adapter::Client;
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
    let text = "From: alice@example.org\r\nSubject: hello\r\n\r\nBy polling.\r\n";
    let mail = Mail::new("alice@example.org", ["bob@example.net"], text)?;

    let mut client = Client::connect(&endpoint)?;
    println!("{}", client.send(mail)?);
    client.quit()?;
    for mail in server.mails() {
        println!("stored, over TLS: {}", mail.over_tls());
    }
    Ok(())
}
