//! Many mails at a time through the blocking client.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crate::common::*;
use crate::invariants::cause;
use smtp_blocking::proto::{
    Connection, Error, ErrorKind, Mail, Outcome, Pipelining, RecipientStatus, Security, Seed,
    SpeculationLimits,
};
use smtp_blocking::{Client, Stream};
use smtp_test::{Action, Config, MemoryServer, Server, Stage};

#[test]
fn outcomes_come_in_the_order_of_the_mails() {
    for config in both(Config::new().reject("bob1@example.net", "550 5.1.1 gone")) {
        let (mut client, log) = in_memory(&config);
        let outcomes: Vec<Outcome> = client.send_all(mails(0..20)).collect();
        assert_eq!(outcomes.len(), 20);
        for (number, outcome) in outcomes.iter().enumerate() {
            let delivery = &outcome.recipients()[0];
            assert_eq!(
                delivery.recipient().as_str(),
                format!("bob{number}@example.net")
            );
            assert_eq!(outcome.is_accepted(), number != 1, "{outcome:?}");
        }
        let stored: Vec<_> = log
            .mails()
            .iter()
            .map(|mail| mail.addresses()[0].to_owned())
            .collect();
        let expected = (0..20)
            .filter(|number| *number != 1)
            .map(|number| format!("bob{number}@example.net"));
        assert!(stored.into_iter().eq(expected));
        client.quit().unwrap();
        log.assert_clean();
    }
}

#[test]
fn a_mail_takes_one_round_trip_however_many_recipients_it_has() {
    for config in both(Config::new()) {
        for recipients in [1, 10, 100] {
            let (mut client, log) = in_memory(&config);
            let mut batch = client.send_all((0..121).map(|_| mail_to(recipients)));
            assert!(batch.next().unwrap().is_accepted());
            let before = log.session().round_trips();
            let taken = batch
                .by_ref()
                .take(100)
                .filter(Outcome::is_accepted)
                .count();
            assert_eq!(taken, 100);
            assert_eq!(
                log.session().round_trips() - before,
                100,
                "{recipients} recipients"
            );
            assert_eq!(batch.filter(Outcome::is_accepted).count(), 20);
            log.assert_clean();
        }
    }
}

#[test]
fn a_mail_takes_one_write_and_one_read() {
    for config in both(Config::new()) {
        let server = Server::start(config).unwrap();
        let stream = TcpStream::connect(server.addr()).unwrap();
        let mut client = Client::from_stream(Counting::new(stream), wire(Security::Cleartext));
        client.ready().unwrap();
        let before = client.get_ref().operations;
        assert!(
            client
                .send_all(mails(0..50))
                .all(|outcome| outcome.is_accepted())
        );
        // The first envelope and the last text have no neighbour to share a flight with; and it begins with a look at what has
        // come meanwhile.
        assert_eq!(client.get_ref().operations - before, 2 * 51 + 1);
        client.quit().unwrap();
        server.log().assert_clean();
    }
}

#[test]
fn no_more_mails_are_taken_than_are_about_to_be_sent() {
    let (mut client, _) = in_memory(&Config::new());
    let mut given = 0;
    let mut told = 0;
    let counted = mails(0..100).inspect(|_| given += 1);
    let mut batch = client.send_all(counted);
    while batch.next().is_some() {
        told += 1;
        if told == 50 {
            break;
        }
    }
    let rest = batch.into_rest().count();
    assert!(rest >= 100 - 50 - 4, "{rest} are left");
    assert_eq!(given, 100);
}

#[test]
fn the_level_is_raised_for_the_batch_alone_and_never_against_the_callers_will() {
    let (mut client, log) = in_memory(&Config::new());
    assert_eq!(client.send_all(mails(0..2)).count(), 2);
    let before = log.session().round_trips();
    for id in [client.submit(mail()), client.submit(mail())] {
        assert!(client.wait_outcome(id).unwrap().is_accepted());
    }
    assert_eq!(log.session().round_trips() - before, 2 * 2);

    let server = MemoryServer::new(&Config::new());
    let log = server.log();
    let config = smtp_blocking::proto::Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .pipelining(Pipelining::Off)
        .build()
        .unwrap();
    let connection = Connection::new(Arc::new(config), Seed::from_bytes([7; 32]));
    let mut client = Client::from_stream(Untimed(server), connection);
    assert_eq!(
        client
            .send_all(mails(0..3))
            .filter(Outcome::is_accepted)
            .count(),
        3
    );
    assert!(
        log.session().round_trips() >= 3 * 4,
        "one command at a time"
    );
}

#[test]
fn mails_that_wait_already_go_first() {
    let (mut client, log) = in_memory(&Config::new());
    let before: Vec<_> = mails(0..10).map(|mail| client.submit(mail)).collect();
    assert!(
        client
            .send_all(mails(10..15))
            .all(|outcome| outcome.is_accepted())
    );
    for id in before {
        assert!(client.wait_outcome(id).unwrap().is_accepted());
    }
    let first = log.mails()[0].addresses()[0].to_owned();
    assert_eq!(
        (first.as_str(), log.mails().len()),
        ("bob0@example.net", 15)
    );
}

#[test]
fn an_envelope_rejected_as_a_whole_does_not_hold_up_the_next() {
    for config in both(
        Config::new()
            .on(Stage::Mail.nth(3), Action::reply("550 5.7.1 not from you"))
            .on(Stage::EndOfData.nth(5), Action::reply("554 5.6.0 not this"))
            .reject("bob7@example.net", "452 4.2.2 full"),
    ) {
        let (mut client, log) = in_memory(&config);
        let outcomes: Vec<Outcome> = client.send_all(mails(0..12)).collect();
        let rejected: Vec<usize> = (0..12)
            .filter(|index| !outcomes[*index].is_accepted())
            .collect();
        assert_eq!(rejected, [2, 5, 7]);
        let rejected = |index: usize| {
            matches!(
                outcomes[index].recipients()[0].status(),
                RecipientStatus::Rejected { .. }
            )
        };
        assert!(rejected(2) && rejected(5) && rejected(7));
        assert_eq!(log.mails().len(), 9);
        log.assert_clean();
    }
}

#[test]
fn after_a_failure_nothing_more_is_taken_and_all_that_was_has_an_outcome() {
    for config in both(Config::new().on(
        Stage::Mail.nth(5),
        Action::reply("421 4.3.2 going down").then_close(),
    )) {
        let (mut client, log) = in_memory(&config);
        let mut batch = client.send_all(mails(0..50));
        let outcomes: Vec<Outcome> = batch.by_ref().collect();
        let rest: Vec<Mail> = batch.into_rest().collect();
        assert_eq!(outcomes.len() + rest.len(), 50);
        assert!((5..=8).contains(&outcomes.len()), "{}", outcomes.len());
        let accepted = outcomes
            .iter()
            .filter(|outcome| outcome.is_accepted())
            .count();
        assert_eq!((accepted, log.mails().len()), (4, 4));
        let last = outcomes.last().unwrap();
        assert_eq!(
            last.error()
                .map(cause)
                .and_then(Error::reply)
                .unwrap()
                .code()
                .as_u16(),
            421
        );
        let first = rest[0].recipients().next().unwrap().to_string();
        assert_eq!(first, format!("<bob{}@example.net>", outcomes.len()));
    }
}

#[test]
fn a_connection_that_had_failed_before_takes_one_mail_to_say_why() {
    let (mut client, _) = in_memory(&Config::new().on(Stage::Greeting, Action::close()));
    for _ in 0..2 {
        let mut batch = client.send_all(mails(0..5));
        let outcome = batch.next().unwrap();
        assert!(
            matches!(reason(&outcome), ErrorKind::ConnectionLost),
            "{outcome:?}"
        );
        assert!(batch.next().is_none());
        assert_eq!(batch.into_rest().count(), 4);
    }
}

#[test]
fn a_server_that_takes_so_many_mails_a_session_gets_no_more() {
    let (mut client, log) = in_memory(&Config::new().with("LIMITS MAILMAX=7"));
    let mut batch = client.send_all(mails(0..20));
    let outcomes: Vec<Outcome> = batch.by_ref().collect();
    assert_eq!(batch.into_rest().count(), 12);
    let (last, others) = outcomes.split_last().unwrap();
    assert_eq!(
        others
            .iter()
            .filter(|outcome| outcome.is_accepted())
            .count(),
        7
    );
    assert!(matches!(reason(last), ErrorKind::TooManyMails));
    client.quit().unwrap();
    assert!(log.session().quit());
    log.assert_clean();
}

#[test]
fn a_mail_in_pieces_is_passed_over() {
    let (mut client, log) = in_memory(&Config::new());
    let outcomes: Vec<Outcome> = client.send_all([mail(), streamed(), mail()]).collect();
    let accepted: Vec<bool> = outcomes.iter().map(Outcome::is_accepted).collect();
    assert_eq!(accepted, [true, false, true]);
    assert!(matches!(reason(&outcomes[1]), ErrorKind::Misuse(_)));
    assert_eq!(log.mails().len(), 2);
    log.assert_clean();
}

#[test]
fn a_batch_ends_where_tls_is_wanted_and_nobody_does_it() {
    let server = Untimed(MemoryServer::new(&Config::new().advertise_starttls()));
    let mut client = Client::from_stream(server, wire(Security::StartTls));
    let mut batch = client.send_all(mails(0..5));
    let outcomes: Vec<Outcome> = batch.by_ref().collect();
    assert_eq!((outcomes.len(), batch.into_rest().count()), (1, 4));
    assert!(matches!(reason(&outcomes[0]), ErrorKind::Misuse(_)));
}

#[test]
fn where_the_server_is_known_to_be_sound_many_mails_share_a_round_trip() {
    let server = MemoryServer::new(&Config::new().with("CHUNKING"));
    let log = server.log();
    let config = smtp_blocking::proto::Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .pipelining(Pipelining::Speculative)
        .speculation(
            SpeculationLimits::default()
                .with_message_bytes(1000)
                .with_bytes_in_flight(100_000),
        )
        .build()
        .unwrap();
    let connection = Connection::new(Arc::new(config), Seed::from_bytes([7; 32]));
    let mut client = Client::from_stream(Untimed(server), connection);
    client.ready().unwrap();
    let before = log.session().round_trips();
    assert_eq!(
        client
            .send_all(mails(0..500))
            .filter(Outcome::is_accepted)
            .count(),
        500
    );
    let each = (log.session().round_trips() - before) as f64 / 500.0;
    assert!(each < 0.1, "{each} round trips a mail");
    log.assert_clean();
}

#[cfg(feature = "rustls")]
#[test]
fn an_endpoint_says_how_large_chunks_are() {
    let server = Server::start(Config::new().with("CHUNKING")).unwrap();
    let endpoint = smtp_blocking::tls::Endpoint::builder("localhost")
        .port(server.port())
        .security(Security::Cleartext)
        .chunk_size(20)
        .build()
        .unwrap();
    let mut client = Client::connect(&endpoint).unwrap();
    assert!(client.send(mail()).unwrap().is_accepted());
    client.quit().unwrap();
    let session = server.log().session();
    let chunks = session
        .commands()
        .iter()
        .filter(|line| line.starts_with("BDAT"));
    assert!(
        chunks.eq(["BDAT 20", "BDAT 20", "BDAT 15 LAST"]),
        "{}",
        session.transcript()
    );
}

/// The server as configured, by DATA and by BDAT.
fn both(config: Config) -> [Config; 2] {
    [config.clone(), config.with("CHUNKING")]
}

fn in_memory(config: &Config) -> (Client<Untimed, Connection>, smtp_test::Log) {
    let server = MemoryServer::new(config);
    let log = server.log();
    (
        Client::from_stream(Untimed(server), wire(Security::Cleartext)),
        log,
    )
}

/// Mails to `bob0`, `bob1` and so on.
fn mails(numbers: std::ops::Range<usize>) -> impl Iterator<Item = Mail> {
    numbers.map(|number| {
        Mail::new(
            "alice@example.org",
            [format!("bob{number}@example.net")],
            TEXT,
        )
        .unwrap()
    })
}

/// A stream that counts what is asked of it.
struct Counting {
    stream: TcpStream,
    operations: usize,
}

impl Counting {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            operations: 0,
        }
    }
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.operations += 1;
        self.stream.read(buffer)
    }
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.operations += 1;
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.operations += 1;
        self.stream.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Counting {
    fn set_timeouts(&mut self, limit: Duration) -> io::Result<()> {
        self.operations += 2;
        self.stream.set_timeouts(limit)
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        self.operations += 1;
        self.stream.try_read(buffer)
    }
}

/// A stream that never blocks.
struct Untimed(MemoryServer);

impl Read for Untimed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Untimed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for Untimed {
    fn set_timeouts(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        Some(self.0.read(buffer))
    }
}
