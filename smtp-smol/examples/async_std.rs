//! Sends a mail over a stream of async-std's: the client takes any stream with the traits of futures-io.
//!
//! `cargo run --package smtp-smol --example async_std`

use std::error::Error;

use async_std::net::TcpStream;
use smtp_smol::Client;
use smtp_smol::proto::Mail;
use smtp_smol::tls::Endpoint;

fn main() -> Result<(), Box<dyn Error>> {
    async_std::task::block_on(send())
}

async fn send() -> Result<(), Box<dyn Error>> {
    // A server to send to; any other would do.
    let tls = smtp_test::Tls::new();
    let server = smtp_test::Server::start(smtp_test::Config::new().tls(tls.clone()))?;
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.client_config())
        .build()?;

    // `Client::connect` would open a stream of smol's. Here the stream is opened by the caller, and the endpoint gives
    // what goes between the stream and the protocol, TLS included.
    let stream = TcpStream::connect(server.addr()).await?;
    stream.set_nodelay(true)?;
    let session = endpoint.session();
    let mut client = Client::from_stream(stream, session);
    client.ready().await?;

    let text = "From: alice@example.org\r\nSubject: hello\r\n\r\nOver another runtime.\r\n";
    let mail = Mail::new("alice@example.org", ["bob@example.net"], text)?;
    let outcome = client.send(mail).await?;
    for delivery in outcome.recipients() {
        println!("{}: {}", delivery.recipient(), delivery.status());
    }
    client.quit().await?;
    Ok(())
}
