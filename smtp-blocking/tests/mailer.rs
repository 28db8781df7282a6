//! The mailer: many threads, few connections.

mod closing;
mod connections;
mod failures;
mod run;
mod send_all;
mod soak;
mod tokens;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use smtp_blocking::tls::EndpointBuilder;
use smtp_blocking::{Client, Endpoint, Mail, Mailer, PoolConfig, PoolError, Security};
use smtp_test::{Config, Log, Server};

/// A wait that does not end on a machine that works.
const LONG: Duration = Duration::from_secs(60);

fn builder(server: &Server) -> EndpointBuilder {
    Endpoint::builder("127.0.0.1")
        .port(server.port())
        .security(Security::Cleartext)
}

fn endpoint(server: &Server) -> Endpoint {
    builder(server).build().unwrap()
}

fn mailer(server: &Server) -> Mailer {
    Mailer::new(endpoint(server))
}

fn single(server: &Server) -> Mailer {
    Mailer::with_config(endpoint(server), PoolConfig::new().with_max_connections(1))
}

fn start(config: Config) -> Server {
    Server::start(config).unwrap()
}

/// A server that the test plays, and a mailer with one connection.
fn listening() -> (TcpListener, Mailer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::builder("127.0.0.1")
        .port(listener.local_addr().unwrap().port())
        .security(Security::Cleartext)
        .build()
        .unwrap();
    let config = PoolConfig::new().with_max_connections(1);
    (listener, Mailer::with_config(endpoint, config))
}

/// A message that the server can tell from others.
fn numbered(number: usize) -> Mail {
    let message = "From: alice@example.org\r\nSubject: hi\r\n\r\nhello\r\n";
    Mail::new(
        format!("m{number}@example.org"),
        ["bob@example.net"],
        message,
    )
    .unwrap()
}

/// The senders of the messages that are stored, each once.
fn stored(log: &Log) -> BTreeSet<String> {
    let mails = log.mails();
    let senders: BTreeSet<_> = mails.iter().map(|mail| mail.sender().to_owned()).collect();
    assert_eq!(senders.len(), mails.len(), "a message is stored twice");
    senders
}

/// Lets other threads go on until this is so.
fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// Closes the mailer when a test ends, and ends the threads that run it.
struct CloseOnDrop<'a>(&'a Mailer);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close(Duration::ZERO);
    }
}

#[test]
fn thirty_two_threads_share_three_connections() {
    let server = start(Config::new());
    let mailer = mailer(&server);
    thread::scope(|scope| {
        for number in 0..32 {
            let mailer = mailer.clone();
            scope.spawn(move || {
                for message in 0..20 {
                    let outcome = mailer.send(numbered(number * 20 + message)).unwrap();
                    assert!(outcome.is_accepted(), "{outcome}");
                }
            });
        }
    });
    assert_eq!(stored(&server.log()).len(), 640);
    let stats = mailer.stats();
    assert_eq!((stats.sent, stats.waiting), (640, 0), "{stats:?}");
    assert_eq!(stats.open, stats.idle);
    // A connection carries 100 messages.
    assert!(stats.open <= 3 && stats.connected >= 7, "{stats:?}");
    server.log().assert_clean();
}

#[test]
fn the_text_of_a_check_describes_the_server_and_its_connection_is_kept() {
    let server = start(Config::new().without("SIZE"));
    let mailer = mailer(&server);
    let check = mailer.check().unwrap();
    let peer = format!("127.0.0.1:{}", server.port());
    assert_eq!(check.peer().unwrap().endpoint(), peer);
    assert!(
        check
            .to_string()
            .starts_with(&format!("server: {peer}\nname: "))
    );
    assert!(check.capabilities().pipelining() && check.mechanism().is_none());
    assert!(mailer.send(numbered(0)).unwrap().is_accepted());
    assert_eq!(mailer.stats().connected, 1);
    // A further check opens another connection.
    mailer.check().unwrap();
    assert_eq!(mailer.stats().connected, 2);
}

#[test]
fn a_streamed_message_is_returned() {
    let server = start(Config::new());
    let mailer = mailer(&server);
    let error = mailer.send(adapter_tests::common::streamed()).unwrap_err();
    assert_eq!(*error.kind(), PoolError::Streamed);
    assert!(error.into_mail().size().is_none());
    assert_eq!(mailer.stats().connected, 0);
}

#[test]
fn a_message_takes_no_more_allocations_than_over_a_client() {
    let server = start(Config::new().discard_transcripts());
    let mut client = Client::connect(&endpoint(&server)).unwrap();
    let mailer = mailer(&server);
    let least = |send: &mut dyn FnMut(Mail)| {
        let counts = (0..20).map(numbered).map(|mail| {
            let info = allocation_counter::measure(|| send(mail));
            info.count_total
        });
        counts.min()
    };
    let by_client = least(&mut |mail| assert!(client.send(mail).unwrap().is_accepted()));
    let by_mailer = least(&mut |mail| assert!(mailer.send(mail).unwrap().is_accepted()));
    assert_eq!(by_mailer, by_client);
}
