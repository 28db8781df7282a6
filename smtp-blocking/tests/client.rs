//! The blocking client against a server in memory, over pipes, and over sockets.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::*;
use smtp_blocking::proto::{
    Command, Connection, ErrorKind, ProtocolError, RecipientStatus, Security, Seed, Stage, Timeout,
    Timeouts, TlsInfo,
};
use smtp_blocking::{Client, Stream};
use smtp_test::{
    Action, Config, Fault, Faulty, Log, Machine, MemoryServer, Plan, Server, pipe, serve,
};

#[test]
fn a_mail_goes_out_and_the_connection_ends_in_good_order() {
    let server = MemoryServer::new(&Config::new());
    let log = server.log();
    let mut client = Client::from_stream(Untimed(server), wire(Security::Cleartext));
    client.ready().unwrap();
    assert!(client.capabilities().pipelining());
    assert!(client.tls().is_none());
    let outcome = client.send(mail()).unwrap();
    assert_eq!(judge(&outcome, &log), Came::Accepted);
    assert_eq!(outcome.stats(), client.connection().stats());
    let reply = client.command(Command::noop()).unwrap();
    assert_eq!(reply.code().as_u16(), 250);
    client.quit().unwrap();
    assert!(log.session().quit());
    assert!(log.session().client_eof());
    log.assert_clean();
}

#[test]
fn mails_wait_in_line_and_each_is_asked_for_by_its_id() {
    let server = MemoryServer::new(&Config::new().reject(TO[1], "550 5.1.1 gone"));
    let log = server.log();
    let mut client = Client::from_stream(Untimed(server), wire(Security::Cleartext));
    let ids = [mail(), mail(), mail()].map(|mail| client.submit(mail));
    for id in ids.into_iter().rev() {
        let outcome = client.wait_outcome(id).unwrap();
        assert!(matches!(
            outcome.recipients()[0].status(),
            RecipientStatus::Accepted(_)
        ));
        assert!(matches!(
            outcome.recipients()[1].status(),
            RecipientStatus::Rejected { .. }
        ));
    }
    let error = client.wait_outcome(ids[0]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Misuse(_)),
        "an outcome is told once"
    );
    assert_eq!(log.mails().len(), 3);
    log.assert_clean();
}

#[test]
fn a_message_is_sent_again_to_whom_it_was_rejected_for_now() {
    let rejection = Action::reply("451 4.7.1 greylisted, try again later");
    let server = MemoryServer::new(&Config::new().on(smtp_test::Stage::Rcpt(2), rejection));
    let log = server.log();
    let mut client = Client::from_stream(Untimed(server), wire(Security::Cleartext));
    let outcome = client.send(mail()).unwrap();
    let retry = outcome.retry().unwrap();
    assert!(retry.recipients().map(|path| path.as_str()).eq([TO[1]]));
    let outcome = client.send(retry).unwrap();
    assert!(outcome.is_accepted(), "{outcome}");
    assert_eq!(outcome.retry(), None);
    client.quit().unwrap();
    assert_eq!(log.mails()[0].addresses(), [TO[0]]);
    assert_eq!(log.mails()[1].addresses(), [TO[1]]);
    assert_eq!(log.mails()[0].body(), log.mails()[1].body());
    log.assert_clean();
}

#[test]
fn commands_wait_in_line_and_none_is_taken_behind_the_end() {
    let server = MemoryServer::new(&Config::new());
    let log = server.log();
    let mut client = Client::from_stream(Untimed(server), wire(Security::Cleartext));
    let noop = client.connection_mut().command(Command::noop());
    let sent = client.submit(mail());
    let vrfy = client
        .connection_mut()
        .command(Command::vrfy("root").unwrap());
    assert_eq!(client.wait_reply(vrfy).unwrap().code().as_u16(), 252);
    assert_eq!(client.wait_reply(noop).unwrap().code().as_u16(), 250);
    assert!(client.wait_outcome(sent).unwrap().is_accepted());
    let again = client.wait_reply(noop).unwrap_err();
    assert!(matches!(again.kind(), ErrorKind::Misuse(_)), "{again}");
    client.connection_mut().quit();
    let late = client.command(Command::noop()).unwrap_err();
    assert!(matches!(late.kind(), ErrorKind::Closed), "{late}");
    client.quit().unwrap();
    assert_eq!(log.session().commands().last().unwrap(), "QUIT");
    log.assert_clean();
}

#[test]
fn what_cannot_be_sent_is_not_waited_for() {
    let server = Server::start(Config::new().size_limit(10)).unwrap();
    let stream = TcpStream::connect(server.addr()).unwrap();
    let mut client = Client::from_stream(stream, wire(Security::Cleartext));
    client.ready().unwrap();
    let outcome = client.send(mail()).unwrap();
    assert_eq!(judge(&outcome, &server.log()), Came::NotSent);
    assert!(matches!(
        reason(&outcome),
        ErrorKind::TooLarge { limit: 10, .. }
    ));
    client.quit().unwrap();
}

#[test]
fn a_text_that_turns_out_to_be_unfit_is_not_waited_for() {
    let server = Server::start(Config::new()).unwrap();
    let stream = TcpStream::connect(server.addr()).unwrap();
    let mut client = Client::from_stream(stream, wire(Security::Cleartext));
    let outcome = client
        .send_from(streamed(), &b"Subject: hi\r\n\r\na bare\nline feed"[..])
        .unwrap();
    assert_eq!(judge(&outcome, &server.log()), Came::NotSent);
    assert!(matches!(reason(&outcome), ErrorKind::Content(_)));
}

#[test]
fn one_byte_at_a_time_gives_the_same_conversation() {
    let mut transcripts = Vec::new();
    for plan in [
        Plan::new(),
        Plan::new().at_most(1),
        Plan::new().at_most(1).pending_first(),
    ] {
        let server = MemoryServer::new(&Config::new());
        let log = server.log();
        let stream = Faulty::new(server, plan);
        let mut client = Client::from_stream(Untimed(stream), wire(Security::Cleartext));
        let outcome = client.send(mail()).unwrap();
        assert_eq!(judge(&outcome, &log), Came::Accepted);
        client.quit().unwrap();
        transcripts.push(log.session().transcript());
    }
    assert_eq!(transcripts[0], transcripts[1]);
    assert_eq!(transcripts[0], transcripts[2]);
}

#[test]
fn v25_many_recipients_do_not_lock_both_sides_up() {
    let log = Log::new();
    let (ours, mut theirs) = pipe(8 << 10);
    let mut machine = Machine::with_log(&Config::new(), &log);
    let server = thread::spawn(move || serve(&mut machine, &mut theirs));
    let mut client = Client::from_stream(Timed(ours), wire(Security::Cleartext));
    assert!(client.send(mail_to(2000)).unwrap().is_accepted());
    client.quit().unwrap();
    server.join().unwrap().unwrap();
    assert_eq!(log.mails()[0].addresses().len(), 2000);
}

#[test]
fn text_is_read_from_a_reader() {
    let text = long_text(200_000);
    let server = MemoryServer::new(&Config::new());
    let log = server.log();
    let mut client = Client::from_stream(Untimed(server), wire(Security::Cleartext));
    assert!(
        client
            .send_from(streamed(), text.as_bytes())
            .unwrap()
            .is_accepted()
    );
    assert_stored(&log.mails()[0], &text);
    assert!(
        client
            .send_from(streamed(), io::empty())
            .unwrap()
            .is_accepted()
    );
    let error = client.send_from(mail(), text.as_bytes()).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Misuse(_)),
        "its text is at hand already: {error:#}"
    );
    assert_eq!(log.mails().len(), 2, "and so it is given up");
    log.assert_clean();
}

#[test]
fn text_in_pieces_is_pushed_as_it_is_wanted() {
    let server = MemoryServer::new(&Config::new());
    let log = server.log();
    let mut client = Client::from_stream(Untimed(server), wire(Security::Cleartext));
    let id = client.submit(streamed());
    for piece in TEXT.split_inclusive('\n') {
        client.content_wanted(id).unwrap();
        client
            .connection_mut()
            .write_content(id, piece.to_owned().into())
            .unwrap();
    }
    client.connection_mut().finish_content(id).unwrap();
    assert!(
        client
            .connection_mut()
            .write_content(id, "more".into())
            .is_err()
    );
    let outcome = client.wait_outcome(id).unwrap();
    assert_eq!(judge(&outcome, &log), Came::Accepted);
}

#[test]
fn a_reader_that_fails_midway_leaves_the_mail_unsent() {
    let text = long_text(100_000);
    let server = MemoryServer::new(&Config::new());
    let log = server.log();
    let mut client = Client::from_stream(Untimed(server), wire(Security::Cleartext));
    let broken = Faulty::new(
        text.as_bytes(),
        Plan::new().fault(2, Fault::Error(io::ErrorKind::InvalidData)),
    );
    let outcome = client.send_from(streamed(), broken).unwrap();
    assert_eq!(judge(&outcome, &log), Came::NotSent);
    let ErrorKind::Source(error) = reason(&outcome) else {
        panic!("{outcome:?}");
    };
    assert!(format!("{error:#}").contains("invalid data"), "{error:#}");
    assert!(
        client.send(mail()).unwrap().error().is_some(),
        "the connection is over"
    );
}

#[test]
fn every_operation_that_breaks_leads_to_a_fate_that_is_true() {
    for fault in [
        Fault::Reset,
        Fault::Eof,
        Fault::Short(0),
        Fault::Error(io::ErrorKind::Other),
    ] {
        let mut fates = Vec::new();
        for k in 1.. {
            let (outcome, log, count) = session_with(Plan::new().fault(k, fault));
            fates.push(judge(&outcome, &log));
            if count < k {
                break;
            }
        }
        assert_rising(&fates);
    }
}

#[test]
fn every_operation_that_is_disturbed_is_done_again() {
    for fault in [Fault::Short(1), Fault::Interrupted, Fault::WouldBlock] {
        for k in 1.. {
            let (outcome, log, count) = session_with(Plan::new().fault(k, fault));
            assert_eq!(judge(&outcome, &log), Came::Accepted, "{fault:?} {k}");
            log.assert_clean();
            if count < k {
                break;
            }
        }
    }
}

/// Sends a mail while things go wrong by a plan; gives its outcome and the count of operations.
fn session_with(plan: Plan) -> (smtp_blocking::proto::Outcome, Log, usize) {
    let server = MemoryServer::new(&Config::new());
    let log = server.log();
    let stream = Faulty::new(server, plan);
    let operations = stream.operations();
    let mut client = Client::from_stream(Untimed(stream), hasty());
    let outcome = client.send(mail()).unwrap();
    let _ = client.quit();
    (outcome, log, operations.count())
}

#[test]
fn a_stream_that_keeps_bytes_back_is_flushed() {
    struct Buffered(MemoryServer, Vec<u8>);
    impl Read for Buffered {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl Write for Buffered {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.write_all(&std::mem::take(&mut self.1))
        }
    }

    let server = MemoryServer::new(&Config::new());
    let log = server.log();
    let mut client = Client::from_stream(
        Untimed(Buffered(server, Vec::new())),
        wire(Security::Cleartext),
    );
    assert_eq!(judge(&client.send(mail()).unwrap(), &log), Came::Accepted);
    client.quit().unwrap();
    assert!(log.session().quit());
}

#[test]
fn the_reason_is_read_after_a_write_failed() {
    let config = Config::new().on(
        smtp_test::Stage::Body(10),
        Action::reply("552 5.3.4 too much").then_close(),
    );
    let server = MemoryServer::new(&config);
    let mut client = Client::from_stream(Untimed(server), wire(Security::Cleartext));
    let text = long_text(300_000);
    let outcome = client.send_from(streamed(), text.as_bytes()).unwrap();
    let reply = outcome
        .error()
        .unwrap()
        .reply()
        .expect("the server said why");
    assert_eq!(reply.code().as_u16(), 552);
}

#[test]
fn another_tls_stack_takes_the_stream_over() {
    let server = MemoryServer::new(&Config::new().advertise_starttls().require_tls());
    let log = server.log();
    let client = Client::from_stream(Untimed(server), wire(Security::StartTls));
    let mut client = client
        .upgrade(|stream| Ok((Box::new(stream), TlsInfo::asserted())))
        .unwrap();
    assert!(client.tls().unwrap().is_asserted());
    assert!(
        !client.capabilities().start_tls(),
        "what was said in cleartext is forgotten"
    );
    let outcome = client.send(mail()).unwrap();
    assert_eq!(judge(&outcome, &log), Came::Accepted);
    assert!(outcome.tls().is_some());
    log.assert_clean();
}

#[test]
fn another_tls_stack_takes_over_from_the_first_byte() {
    let server = MemoryServer::new(&Config::new().implicit_tls());
    let log = server.log();
    let client = Client::from_stream(Untimed(server), wire(Security::Implicit));
    let mut client = client
        .upgrade(|stream| Ok((stream, TlsInfo::asserted())))
        .unwrap();
    assert_eq!(judge(&client.send(mail()).unwrap(), &log), Came::Accepted);
}

#[test]
fn a_handshake_that_fails_is_the_failure_of_the_connection() {
    let server = MemoryServer::new(&Config::new().advertise_starttls());
    let client = Client::from_stream(Untimed(server), wire(Security::StartTls));
    let error = client
        .upgrade(|_| Err::<(TcpStream, _), _>(io::Error::other("bad certificate")))
        .unwrap_err();
    assert_eq!(error.stage(), Stage::TlsHandshake);
    assert!(
        format!("{error:#}").contains("bad certificate"),
        "{error:#}"
    );
}

#[test]
fn without_tls_of_its_own_a_client_that_wants_it_says_what_is_missing() {
    let server = MemoryServer::new(&Config::new().advertise_starttls());
    let mut client = Client::from_stream(Untimed(server), wire(Security::StartTls));
    let error = client.ready().unwrap_err();
    assert!(error.hint().unwrap().contains("upgrade"), "{error:#}");
}

#[test]
fn injected_bytes_behind_the_220_never_reach_the_handshake() {
    let append = Action::normal().append("250 injected\r\n");
    let server = MemoryServer::new(
        &Config::new()
            .advertise_starttls()
            .on(smtp_test::Stage::StartTls, append),
    );
    let client = Client::from_stream(Untimed(server), wire(Security::StartTls));
    let error = client
        .upgrade(|_| -> io::Result<(TcpStream, TlsInfo)> { panic!("TLS must not begin") })
        .unwrap_err();
    let injected = ErrorKind::Protocol(ProtocolError::InjectedBeforeTls);
    assert_eq!(format!("{:?}", error.kind()), format!("{injected:?}"));
}

#[cfg(unix)]
#[test]
fn a_unix_socket_will_do() {
    let log = Log::new();
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut machine = Machine::with_log(&Config::new(), &log);
    let server = thread::spawn(move || serve(&mut machine, &mut theirs));
    let mut client = Client::from_stream(ours, wire(Security::Cleartext));
    assert_eq!(judge(&client.send(mail()).unwrap(), &log), Came::Accepted);
    client.quit().unwrap();
    server.join().unwrap().unwrap();
    log.assert_clean();
}

#[test]
fn v29_a_silent_server_and_one_that_drips_run_into_the_same_deadline() {
    // Longer than any machine is busy.
    let greeting = format!("220 {}", "drip".repeat(500));
    let drips = Action::reply(greeting).drip(Duration::from_millis(50));
    for action in [Action::silent(), drips] {
        let server = Server::start(Config::new().on(smtp_test::Stage::Greeting, action)).unwrap();
        let stream = TcpStream::connect(server.addr()).unwrap();
        let mut client = Client::from_stream(
            stream,
            with_timeouts(Security::Cleartext, Timeouts::default().with_greeting(SOON)),
        );
        let error = client.ready().unwrap_err();
        assert!(
            matches!(
                (error.kind(), error.stage()),
                (ErrorKind::Timeout(Timeout::Reply), Stage::Greeting)
            ),
            "{error:#}"
        );
    }
}

#[test]
fn a_server_that_takes_nothing_more_runs_into_the_deadline_for_writing() {
    let deaf = Action::normal().stop_reading();
    let server = Server::start(Config::new().on(smtp_test::Stage::Data, deaf)).unwrap();
    let stream = TcpStream::connect(server.addr()).unwrap();
    let mut client = Client::from_stream(
        stream,
        with_timeouts(
            Security::Cleartext,
            Timeouts::default().with_data_block(SOON),
        ),
    );
    let text = long_text(16 << 20);
    let outcome = client.send_from(streamed(), text.as_bytes()).unwrap();
    assert_eq!(judge(&outcome, &server.log()), Came::NotSent);
    assert!(
        matches!(reason(&outcome), ErrorKind::Timeout(Timeout::Write)),
        "{outcome:?}"
    );
}

#[test]
fn a_mail_takes_four_operations_and_a_look_and_no_change_of_timeouts_once_the_connection_is_warm() {
    #[derive(Default)]
    struct Counting<S> {
        stream: S,
        calls: usize,
    }
    impl<S: Read> Read for Counting<S> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.calls += 1;
            self.stream.read(buffer)
        }
    }
    impl<S: Write> Write for Counting<S> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            self.stream.write(bytes)
        }
        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.calls += 1;
            self.stream.write_vectored(slices)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.stream.flush()
        }
    }
    impl<S: Read + Write> Stream for Counting<S> {
        fn set_timeouts(&mut self, _: Duration) -> io::Result<()> {
            self.calls += 2;
            Ok(())
        }
        fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
            Some(self.read(buffer))
        }
    }

    let server = Counting {
        stream: MemoryServer::new(&Config::new()),
        calls: 0,
    };
    let config = smtp_blocking::proto::Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .build()
        .unwrap();
    let mut client = Client::from_stream(
        server,
        Connection::new(config.into(), Seed::from_bytes([7; 32])),
    );
    assert!(client.send(mail()).unwrap().is_accepted());
    let before = client.get_ref().calls;
    assert!(client.send(mail()).unwrap().is_accepted());
    assert_eq!(client.get_ref().calls - before, 5);
}

#[test]
fn a_stream_is_told_of_every_wait_that_its_last_limit_does_not_fit() {
    let seconds = Duration::from_secs;
    let timeouts = Timeouts::default()
        .with_greeting(seconds(1))
        .with_ehlo(seconds(100))
        .with_starttls(seconds(300))
        .with_quit(seconds(5));
    let config = Config::new().advertise_starttls();
    let limits = Arc::new(Mutex::new(Vec::new()));
    let told = Told(MemoryServer::new(&config), Arc::clone(&limits));
    let limits = || limits.lock().unwrap().clone();
    let fits =
        |limit: Duration, left: u64| limit <= seconds(left) && limit > seconds(left) * 9 / 10;
    let client = Client::from_stream(told, with_timeouts(Security::StartTls, timeouts));
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

#[test]
fn the_parts_of_a_client_are_where_they_were() {
    let server = Untimed(MemoryServer::new(&Config::new()));
    let mut client = Client::from_stream(server, wire(Security::Cleartext));
    client.ready().unwrap();
    let (mut stream, connection) = client.into_parts();
    assert!(connection.is_idle());
    Write::write_all(&mut stream.0, b"NOOP\r\n").unwrap();
    let mut reply = [0; 3];
    Read::read_exact(&mut stream.0, &mut reply).unwrap();
    assert_eq!(&reply, b"250");
}

#[test]
fn clients_are_send_and_show_no_secret() {
    fn assert_send<T: Send>(_: &T) {}
    let client = Client::from_stream(
        Untimed(MemoryServer::new(&Config::new())),
        wire(Security::Cleartext),
    );
    assert_send(&client);
    assert!(format!("{client:?}").starts_with("Client {"));
}

/// A stream that remembers what limits it was told.
struct Told(MemoryServer, Arc<Mutex<Vec<Duration>>>);

impl Read for Told {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for Told {
    fn set_timeouts(&mut self, limit: Duration) -> io::Result<()> {
        self.1.lock().unwrap().push(limit);
        Ok(())
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        Some(self.0.read(buffer))
    }
}

/// A stream that never blocks.
struct Untimed<S>(S);

impl<S: Read> Read for Untimed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Write> Write for Untimed<S> {
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

impl<S: Read + Write> Stream for Untimed<S> {
    fn set_timeouts(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        Some(self.0.read(buffer))
    }
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
