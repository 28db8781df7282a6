//! The blocking client and peers that could lock it up, or keep it waiting, over the smallest buffers.

use std::io::{self, IoSlice, Read, Write};
use std::time::Duration;

use crate::common::*;
use crate::narrow::{
    BUFFER, CHUNKS, RECIPIENTS, both, deaf, hurried, serving, sockets, talkative,
    talkative_of_chunks, wire, wire_with,
};
use smtp_blocking::proto::{ErrorKind, Mail, Timeout, Timeouts};
use smtp_blocking::{Client, Stream};
use smtp_test::{Log, Tls, pipe};

#[test]
fn v25_a_server_that_reads_on_only_when_its_replies_are_taken_is_no_lock_over_pipes() {
    for tls in both() {
        let (ours, theirs) = pipe(BUFFER);
        let log = Log::new();
        let server = serving(&talkative(), tls.as_ref(), &log, theirs);
        deliver(Timed(ours), tls.as_ref(), &log);
        drop(server.join().unwrap());
    }
}

#[test]
fn v25_a_server_that_reads_on_only_when_its_replies_are_taken_is_no_lock_over_sockets() {
    for tls in both() {
        let (ours, theirs) = sockets();
        let log = Log::new();
        let server = serving(&talkative(), tls.as_ref(), &log, theirs);
        deliver(ours, tls.as_ref(), &log);
        drop(server.join().unwrap());
    }
}

#[test]
fn v25_a_server_that_stops_reading_in_a_text_runs_into_the_deadline_over_pipes() {
    for tls in both() {
        let (ours, theirs) = pipe(BUFFER);
        let log = Log::new();
        let server = serving(&deaf(), tls.as_ref(), &log, theirs);
        give_up(Timed(ours), tls.as_ref(), &log);
        drop(server.join().unwrap());
    }
}

#[test]
fn v25_a_server_that_stops_reading_in_a_text_runs_into_the_deadline_over_sockets() {
    for tls in both() {
        let (ours, theirs) = sockets();
        let log = Log::new();
        let server = serving(&deaf(), tls.as_ref(), &log, theirs);
        give_up(ours, tls.as_ref(), &log);
        drop(server.join().unwrap());
    }
}

#[test]
fn v25_chunks_go_on_only_as_their_replies_are_read() {
    for tls in both() {
        let (ours, theirs) = pipe(BUFFER);
        let log = Log::new();
        let server = serving(&talkative_of_chunks(), tls.as_ref(), &log, theirs);
        let wire = wire_with(tls.as_ref(), |builder| builder.chunk_size(1000));
        let mut client = Client::from_stream(Timed(ours), wire);
        let text = long_text(CHUNKS * 1000);
        let mail = Mail::new("alice@example.org", TO, text).unwrap();
        let outcome = client.send(mail).unwrap();
        assert!(outcome.is_accepted(), "{:?}", outcome.error());
        client.quit().unwrap();
        drop(server.join().unwrap());
        log.assert_clean();
    }
}

/// Sends a mail whose envelope and whose replies are each larger than all the buffers.
fn deliver(stream: impl Stream, tls: Option<&Tls>, log: &Log) {
    let mut client = Client::from_stream(stream, wire(tls, Timeouts::default()));
    let outcome = client.send(mail_to(RECIPIENTS)).unwrap();
    assert!(outcome.is_accepted(), "{:?}", outcome.error());
    client.quit().unwrap();
    assert_eq!(log.mails()[0].addresses().len(), RECIPIENTS);
    log.assert_clean();
}

/// Sends a mail that is not taken.
fn give_up(stream: impl Stream, tls: Option<&Tls>, log: &Log) {
    let mut client = Client::from_stream(stream, wire(tls, hurried()));
    let text = long_text(8 << 20);
    let outcome = client.send_from(streamed(), text.as_bytes()).unwrap();
    assert_eq!(judge(&outcome, log), Came::NotSent);
    let late = ErrorKind::Timeout(Timeout::Write);
    assert_eq!(format!("{:?}", reason(&outcome)), format!("{late:?}"));
}

/// One end of a pipe.
struct Timed(smtp_test::Pipe);

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for Timed {
    fn set_timeouts(&mut self, limit: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(limit))?;
        self.0.set_write_timeout(Some(limit))
    }
}
