//! Sends a message over STARTTLS with the TLS stack of the system (OpenSSL, SChannel or Secure
//! Transport, by native-tls).
//!
//! The adapter is built without its feature `rustls` here. It drives the session until TLS starts,
//! hands the stream over, and continues on the stream that it gets back.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use native_tls::{Certificate, TlsConnector, TlsStream};
use smtp_blocking::proto::{Config, Connection, Mail, Seed, TlsInfo};
use smtp_blocking::{Client, Stream};
use smtp_test::{Server, Tls};

fn main() -> Result<(), Box<dyn Error>> {
    let tls = Tls::for_names(["mail.example.org"]);
    let connector = TlsConnector::builder()
        .add_root_certificate(Certificate::from_der(&tls.authority_der())?)
        .build()?;
    let server = Server::start(smtp_test::Config::new().tls(tls).advertise_starttls())?;

    let config = Config::builder("client.example.org".parse()?)
        .transcript(|entry| println!("{entry}"))
        .build()?;
    // The seed is for mechanisms with a nonce; there is no login here.
    let connection = Connection::new(Arc::new(config), Seed::random());
    let stream = TcpStream::connect(server.addr())?;
    stream.set_nodelay(true)?;
    let mut client = Client::from_stream(stream, connection).upgrade(|stream| {
        let secured = connector
            .connect("mail.example.org", stream)
            .map_err(io::Error::other)?;
        Ok((Secured(secured), TlsInfo::asserted()))
    })?;

    let text = "From: alice@example.org\r\nSubject: hello\r\n\r\nBy another TLS stack.\r\n";
    let outcome = client.send(Mail::new("alice@example.org", ["bob@example.net"], text)?)?;
    for each in outcome.recipients() {
        println!("{}: {}", each.recipient(), each.status());
    }
    client.quit()?;
    for mail in server.mails() {
        println!("stored, over TLS: {}", mail.over_tls());
    }
    Ok(())
}

/// The stream of the other TLS stack, with the adapter's trait.
struct Secured(TlsStream<TcpStream>);

impl Read for Secured {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Secured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for Secured {
    fn set_timeouts(&mut self, limit: Duration) -> io::Result<()> {
        self.0.get_mut().set_timeouts(limit)
    }

    fn shut_down(&mut self) -> io::Result<()> {
        self.0.shutdown()
    }
}
