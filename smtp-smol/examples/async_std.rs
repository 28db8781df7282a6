//! Sends a message over a stream of async-std: the client takes any stream with the traits of
//! futures-io.
//!
//! `cargo run --package smtp-smol --example async_std`

use std::error::Error;

use async_std::net::TcpStream;
use smtp_smol::{Client, Endpoint, Mail};

fn main() -> Result<(), Box<dyn Error>> {
    async_std::task::block_on(send())
}

async fn send() -> Result<(), Box<dyn Error>> {
    // A server for the demo.
    let tls = smtp_test::Tls::new();
    let server = smtp_test::Server::start(smtp_test::Config::new().tls(tls.clone()))?;
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.client_config())
        .build()?;

    // `Client::connect` opens a stream of smol. Here the caller opens the stream, and the endpoint
    // builds the session over it, with TLS.
    let stream = TcpStream::connect(server.addr()).await?;
    stream.set_nodelay(true)?;
    let session = endpoint.session();
    let mut client = Client::from_stream(stream, session);
    client.ready().await?;

    let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nOver another runtime.\r\n";
    let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
    let outcome = client.send(mail).await?;
    for recipient in outcome.recipients() {
        println!("{}: {}", recipient.recipient(), recipient.status());
    }
    client.quit().await?;
    Ok(())
}
