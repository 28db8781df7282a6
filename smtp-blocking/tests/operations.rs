//! Which operations the blocking client does on its stream.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adapter_tests::common::*;
use smtp_blocking::proto::{Security, Timeouts, TlsInfo};
use smtp_blocking::{Client, Stream};
use smtp_test::{Config, Faulty, MemoryServer, Plan, Server};

use crate::rt::Untimed;

#[test]
fn a_message_of_a_batch_takes_one_write_and_one_read() {
    for config in [Config::new(), Config::new().with("CHUNKING")] {
        let server = Server::start(config).unwrap();
        let stream = TcpStream::connect(server.addr()).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Client::from_stream(Observed::new(stream), wire(Security::Cleartext));
        client.ready().unwrap();
        let before = client.get_ref().operations;
        let mails = (0..50).map(|_| mail());
        assert!(client.send_all(mails).all(|outcome| outcome.is_accepted()));
        // The first envelope and the last content have no neighbor to share a flight with. A batch
        // begins with a read of what has arrived before.
        assert_eq!(client.get_ref().operations - before, 2 * 51 + 1);
        client.quit().unwrap();
        server.log().assert_clean();
    }
}

#[test]
fn a_message_takes_two_writes_and_three_reads_and_no_change_of_timeouts() {
    let server = Untimed(MemoryServer::new(&Config::new()));
    let wire = with_timeouts(Security::Cleartext, Timeouts::default());
    let mut client = Client::from_stream(Observed::new(server), wire);
    assert!(client.send(mail()).unwrap().is_accepted());
    let before = client.get_ref().operations;
    assert!(client.send(mail()).unwrap().is_accepted());
    assert_eq!(client.get_ref().operations - before, 5);
}

#[test]
fn no_more_messages_of_a_batch_are_taken_than_are_queued() {
    let server = Untimed(MemoryServer::new(&Config::new()));
    let mut client = Client::from_stream(server, wire(Security::Cleartext));
    let mut given = 0;
    let mails = (0..100).map(|_| mail()).inspect(|_| given += 1);
    let mut batch = client.send_all(mails);
    assert_eq!(batch.by_ref().take(50).count(), 50);
    let rest = batch.into_rest().count();
    assert!(rest >= 100 - 50 - 4, "{rest} are left");
    assert_eq!(given, 100);
}

#[test]
fn everything_is_written_before_a_reply_is_read_also_a_byte_at_a_time() {
    let mut transcripts = Vec::new();
    for plan in [
        Plan::new(),
        Plan::new().at_most(1),
        Plan::new().at_most(1).pending_first(),
    ] {
        let server = MemoryServer::new(&Config::new());
        let log = server.log();
        let stream = Untimed(Faulty::new(server, plan));
        let mut client = Client::from_stream(stream, wire(Security::Cleartext));
        let outcome = client.send(mail()).unwrap();
        assert_eq!(status_of(&outcome, &log), Status::Accepted);
        client.quit().unwrap();
        transcripts.push(log.session().transcript());
    }
    assert_eq!(transcripts[0], transcripts[1]);
    assert_eq!(transcripts[0], transcripts[2]);
}

#[test]
fn timeouts_are_set_for_every_wait_that_the_last_ones_do_not_fit() {
    let seconds = Duration::from_secs;
    let timeouts = Timeouts::default()
        .with_greeting(seconds(1))
        .with_ehlo(seconds(100))
        .with_starttls(seconds(300))
        .with_quit(seconds(5));
    let server = MemoryServer::new(&Config::new().advertise_starttls());
    let stream = Observed::new(Untimed(server));
    let limits = Arc::clone(&stream.limits);
    let limits = || limits.lock().unwrap().clone();
    let fits =
        |limit: Duration, left: u64| limit <= seconds(left) && limit > seconds(left) * 9 / 10;
    let client = Client::from_stream(stream, with_timeouts(Security::StartTls, timeouts));
    let client = client.upgrade(|stream| {
        let [greeting, ehlo, handshake] = limits()[..] else {
            panic!("{:?}", limits());
        };
        assert!(fits(greeting, 1));
        assert!(fits(ehlo, 100), "a hundredth of it was much too short");
        assert!(fits(handshake, 300), "a third of it would not do either");
        Ok((stream, TlsInfo::asserted()))
    });
    client.unwrap().quit().unwrap();
    let quit = *limits().last().unwrap();
    assert!(fits(quit, 5), "{:?}", limits());
}

#[cfg(feature = "rustls")]
#[test]
fn quit_closes_tls_by_an_alert() {
    // Up to TLS 1.2, an alert can be recognized from the outside.
    let tls = smtp_test::Tls::new().only_tls12();
    let server = MemoryServer::new(&Config::new().tls(tls.clone()));
    let log = server.log();
    let stream = Observed::new(Untimed(server));
    let written = Arc::clone(&stream.written);
    let client = Client::from_stream(stream, secured::session(&tls));
    client.quit().unwrap();
    assert!(log.session().quit());
    assert_eq!(written.lock().unwrap()[..3], [21, 3, 3]);
}

/// A stream that records what is done with it.
struct Observed<S> {
    stream: S,
    /// The number of system calls that a socket would have taken.
    operations: usize,
    limits: Arc<Mutex<Vec<Duration>>>,
    /// What was written last.
    written: Arc<Mutex<Vec<u8>>>,
}

impl<S> Observed<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            operations: 0,
            limits: Arc::default(),
            written: Arc::default(),
        }
    }
}

impl<S: Read> Read for Observed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.operations += 1;
        self.stream.read(buffer)
    }
}

impl<S: Write> Write for Observed<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.operations += 1;
        *self.written.lock().unwrap() = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        self.stream.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Stream> Stream for Observed<S> {
    fn set_timeouts(&mut self, limit: Duration) -> io::Result<()> {
        self.operations += 2;
        self.limits.lock().unwrap().push(limit);
        self.stream.set_timeouts(limit)
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        self.operations += 1;
        self.stream.try_read(buffer)
    }
}
