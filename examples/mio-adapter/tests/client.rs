//! The client over real sockets.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::spawn;
use std::time::Duration;

use mio::net::TcpStream;
use mio_adapter::Client;
use smtp_proto::{
    Config, Connection, ErrorKind, Mail, RecipientStatus, Security, Seed, Timeout, Timeouts,
};
use smtp_rustls::Endpoint;
use smtp_test::{Server, Tls};

fn text(bytes: usize) -> String {
    let lines = "a line of the content of a long message\r\n".repeat(bytes / 41);
    format!("From: alice@example.org\r\nSubject: long\r\n\r\n{lines}")
}

fn mail(bytes: usize) -> Mail {
    Mail::new("alice@example.org", ["bob@example.net"], text(bytes)).unwrap()
}

fn client(address: SocketAddr, timeouts: Timeouts) -> Client<Connection> {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .timeouts(timeouts);
    let connection = Connection::new(Arc::new(config.build().unwrap()), Seed::from_bytes([7; 32]));
    let stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_nonblocking(true).unwrap();
    Client::from_stream(TcpStream::from_std(stream), connection).unwrap()
}

/// A server that reads up to DATA, answers, and reads no content until the sender is dropped.
fn stuck(last: &'static str) -> (SocketAddr, Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (done, wait) = channel();
    spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut input = BufReader::new(stream);
        for reply in ["220 mx", "250 mx", "250 ok", "250 ok", "354 go"] {
            let line = format!("{reply}\r\n");
            input.get_mut().write_all(line.as_bytes()).unwrap();
            if reply != "354 go" {
                input.read_line(&mut String::new()).unwrap();
            }
        }
        input.get_mut().write_all(last.as_bytes()).unwrap();
        // An error: the sender is gone.
        _ = wait.recv();
    });
    (address, done)
}

#[test]
fn a_message_over_starttls_is_accepted() {
    let tls = Tls::new();
    let server = Server::start(smtp_test::Config::new().tls(tls.clone())).unwrap();
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.client_config())
        .build()
        .unwrap();
    let mut client = Client::connect(&endpoint).unwrap();
    for _ in 0..2 {
        assert!(client.send(mail(100_000)).unwrap().is_accepted());
    }
    client.quit().unwrap();
    let session = server.log().session();
    assert!(session.quit() && session.violations().is_empty());
    assert_eq!(server.mails().len(), 2);
    for mail in server.mails() {
        assert!(mail.over_tls());
        assert_eq!(mail.body(), text(100_000).as_bytes());
    }
}

#[test]
fn a_connection_without_tls_is_an_error() {
    let server = Server::start(smtp_test::Config::new()).unwrap();
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(Tls::new().client_config())
        .build()
        .unwrap();
    let error = Client::connect(&endpoint).unwrap_err();
    assert!(error.to_string().contains("TLS is required"), "{error}");
    // QUIT was sent, although the connection had failed.
    assert!(server.log().session().quit());
}

#[test]
fn a_port_without_a_listener_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let endpoint = Endpoint::starttls("127.0.0.1")
        .port(port)
        .tls(Tls::new().client_config())
        .build()
        .unwrap();
    let error = Client::connect(&endpoint).unwrap_err();
    assert!(error.to_string().contains("connecting"), "{error}");
}

#[test]
fn an_early_reply_is_taken_while_a_write_is_in_progress() {
    let (address, _done) = stuck("552 5.3.4 too big\r\n");
    let mut client = client(address, Timeouts::default());
    let outcome = client.send(mail(32_000_000)).unwrap();
    let RecipientStatus::NotSent(error) = outcome.recipients()[0].status() else {
        panic!("{outcome}");
    };
    assert_eq!(error.reply().unwrap().code().as_u16(), 552);
}

#[test]
fn a_write_that_is_not_taken_is_a_timeout() {
    let (address, _done) = stuck("");
    let timeouts = Timeouts::default().with_data_block(Duration::from_millis(100));
    let mut client = client(address, timeouts);
    let outcome = client.send(mail(32_000_000)).unwrap();
    let RecipientStatus::NotSent(error) = outcome.recipients()[0].status() else {
        panic!("{outcome}");
    };
    let kind = error.kind();
    assert!(
        matches!(kind, ErrorKind::Timeout(Timeout::Write)),
        "{error:#}"
    );
}
