//! The client over real sockets, with each driver that the system permits.

use std::future::{Future as _, poll_fn};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::Poll;
use std::thread::spawn;
use std::time::Duration;

use compio::driver::{DriverType, ProactorBuilder};
use compio::net::TcpStream;
use compio::runtime::{RuntimeBuilder, spawn as spawn_task};
use compio_adapter::Client;
use smtp_proto::{
    Config, Connection, ErrorKind, Mail, RecipientStatus, Security, Seed, Timeout, Timeouts,
};
use smtp_rustls::Endpoint;
use smtp_test::{Server, Tls};

/// Runs a test with io_uring, if the system permits it, and with polling.
fn on_each_driver(test: impl AsyncFn()) {
    for driver in [DriverType::IoUring, DriverType::Poll] {
        let mut proactor = ProactorBuilder::new();
        proactor.driver_type(driver);
        match RuntimeBuilder::new().with_proactor(proactor).build() {
            Ok(runtime) => runtime.block_on(test()),
            Err(error) => {
                assert!(driver.is_iouring(), "{error}");
                println!("io_uring is not permitted here: {error}");
            }
        }
    }
}

fn text(bytes: usize) -> String {
    let lines = "a line of the content of a long message\r\n".repeat(bytes / 41);
    format!("From: alice@example.org\r\nSubject: long\r\n\r\n{lines}")
}

fn mail(bytes: usize) -> Mail {
    Mail::new("alice@example.org", ["bob@example.net"], text(bytes)).unwrap()
}

fn cleartext(timeouts: Timeouts) -> Connection {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .timeouts(timeouts);
    Connection::new(Arc::new(config.build().unwrap()), Seed::from_bytes([7; 32]))
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
            input
                .get_mut()
                .write_all(format!("{reply}\r\n").as_bytes())
                .unwrap();
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
    on_each_driver(async || {
        let tls = Tls::new();
        let config = smtp_test::Config::new().tls(tls.clone());
        let server = Server::start(config).unwrap();
        let endpoint = Endpoint::starttls("localhost")
            .port(server.port())
            .tls(tls.client_config())
            .build()
            .unwrap();
        let mut client = Client::connect(&endpoint).await.unwrap();
        for _ in 0..2 {
            assert!(client.send(mail(100_000)).await.unwrap().is_accepted());
        }
        client.quit().await.unwrap();
        let session = server.log().session();
        assert!(session.quit() && session.violations().is_empty());
        for mail in server.mails() {
            assert!(mail.over_tls());
            assert_eq!(mail.body(), text(100_000).as_bytes());
        }
        assert_eq!(server.mails().len(), 2);
    });
}

#[test]
fn a_connection_without_tls_is_an_error() {
    on_each_driver(async || {
        let server = Server::start(smtp_test::Config::new()).unwrap();
        let endpoint = Endpoint::starttls("localhost")
            .port(server.port())
            .tls(Tls::new().client_config());
        let connected = Client::connect(&endpoint.build().unwrap()).await;
        let error = connected.err().expect("TLS is required");
        assert!(error.to_string().contains("TLS is required"), "{error}");
        // QUIT was sent, although the connection had failed.
        assert!(server.log().session().quit());
    });
}

#[test]
fn futures_that_are_dropped_at_each_poll_lose_and_double_nothing() {
    on_each_driver(async || {
        let server = Server::start(smtp_test::Config::new()).unwrap();
        let stream = TcpStream::connect(server.addr()).await.unwrap();
        let mut client = Client::from_stream(stream, cleartext(Timeouts::default()));
        let id = client.smtp_mut().submit(mail(1_000_000));
        let outcome = loop {
            let polled = poll_fn(|cx| {
                let question = |smtp: &mut Connection| smtp.poll_outcome(id);
                Poll::Ready(pin!(client.drive(question)).poll(cx))
            });
            if let Poll::Ready(outcome) = polled.await {
                break outcome.unwrap();
            }
            // A turn of the runtime.
            spawn_task(async {}).await.unwrap();
            compio::time::sleep(Duration::from_micros(1)).await;
        };
        assert!(outcome.is_accepted());
        client.quit().await.unwrap();
        assert_eq!(server.mails().len(), 1);
        assert_eq!(server.mails()[0].body(), text(1_000_000).as_bytes());
    });
}

#[test]
fn an_early_reply_is_taken_while_a_write_is_in_progress() {
    on_each_driver(async || {
        let (address, _done) = stuck("552 5.3.4 too big\r\n");
        let stream = TcpStream::connect(address).await.unwrap();
        let mut client = Client::from_stream(stream, cleartext(Timeouts::default()));
        let outcome = client.send(mail(32_000_000)).await.unwrap();
        let RecipientStatus::NotSent(error) = outcome.recipients()[0].status() else {
            panic!("{outcome}");
        };
        assert_eq!(error.reply().unwrap().code().as_u16(), 552);
    });
}

#[test]
fn a_write_that_does_not_complete_is_a_timeout() {
    on_each_driver(async || {
        let (address, _done) = stuck("");
        let stream = TcpStream::connect(address).await.unwrap();
        let timeouts = Timeouts::default().with_data_block(Duration::from_millis(100));
        let mut client = Client::from_stream(stream, cleartext(timeouts));
        let outcome = client.send(mail(32_000_000)).await.unwrap();
        let RecipientStatus::NotSent(error) = outcome.recipients()[0].status() else {
            panic!("{outcome}");
        };
        let kind = error.kind();
        assert!(
            matches!(kind, ErrorKind::Timeout(Timeout::Write)),
            "{error:#}"
        );
    });
}
