//! The blocking client with TLS of its own: over sockets, and against a server in memory.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::secured::*;
use crate::common::*;
use crate::debug_output::DebugOutput;
use crate::invariants::check_secret;
use smtp_blocking::proto::{ErrorKind, ProtocolError, Security, Stage};
use smtp_blocking::{Client, Stream};
use smtp_test::{Action, Config, Defect, Fault, Faulty, Log, MemoryServer, Plan, Server, Tls};

/// The usual client has a short name.
struct Holder {
    client: Client,
}

#[test]
fn a_client_connects_with_tls_from_the_first_byte_and_by_starttls() {
    for (server, endpoint) in both_ways() {
        let mut holder = Holder {
            client: Client::connect(&endpoint).unwrap(),
        };
        assert!(holder.client.get_ref().nodelay().unwrap());
        assert_eq!(holder.client.tls().unwrap().version(), Some("TLSv1.3"));
        assert!(!format!("{:?}", holder.client).contains("horse"));
        let outcome = holder.client.send(mail()).unwrap();
        assert_eq!(judge(&outcome, &server.log()), Came::Accepted);
        let text = long_text(1 << 20);
        assert!(
            holder
                .client
                .send_from(streamed(), text.as_bytes())
                .unwrap()
                .is_accepted()
        );
        holder.client.quit().unwrap();
        let mails = server.mails();
        assert_stored(&mails[1], &text);
        assert!(mails.iter().all(|mail| mail.over_tls()));
        assert_eq!(mails[0].authenticated_as(), Some("alice"));
        assert_eq!(server.sessions()[0].client_name(), Some("[127.0.0.1]"));
        server.log().assert_clean();
    }
}

#[test]
fn every_address_is_tried_while_it_may_go_better_elsewhere() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = Server::start(Config::new()).unwrap();
    let endpoint = cleartext(server.port());
    let client = Client::connect_to(&endpoint, &[closed, server.addr()]).unwrap();
    client.quit().unwrap();

    let name = format!("localhost:{}", server.port());
    let addresses = closed_ports();
    let error = Client::connect_to(&endpoint, &addresses).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transport(_)), "{error:#}");
    assert_eq!(error.stage(), Stage::Connect);
    assert_tried(&error, &name, &addresses);
    let error = Client::connect_to(&endpoint, &[]).unwrap_err();
    assert_eq!(error.stage(), Stage::Connect);
    assert_tried(&error, &name, &[]);

    // A failure after connecting names the server, too.
    let cut = Action::cut();
    let server = Server::start(Config::new().on(smtp_test::Stage::EndOfData, cut)).unwrap();
    let mut client = Client::connect(&cleartext(server.port())).unwrap();
    let outcome = client.send(mail()).unwrap();
    let error = outcome.error().unwrap();
    let name = format!("localhost:{}", server.port());
    assert_eq!(error.endpoint(), Some(&*name));
    assert_eq!(error.address(), Some(server.addr()));
}

#[test]
fn a_rejection_for_good_is_not_asked_for_twice() {
    let reject = Action::reply("554 5.7.1 not you").then_close();
    let server = Server::start(Config::new().on(smtp_test::Stage::Greeting, reject)).unwrap();
    let error = Client::connect_to(&cleartext(server.port()), &[server.addr(); 3]).unwrap_err();
    assert_eq!(error.reply().unwrap().code().as_u16(), 554);
    assert_eq!(error.address(), Some(server.addr()));
    assert_eq!(server.sessions().len(), 1);
}

#[test]
fn a_name_that_does_not_resolve_is_an_error_of_connecting() {
    let endpoint = smtp_blocking::tls::Endpoint::builder("nowhere.invalid")
        .security(Security::Cleartext)
        .build()
        .unwrap();
    let error = Client::connect(&endpoint).unwrap_err();
    assert_eq!(error.stage(), Stage::Connect);
    assert_tried(&error, "nowhere.invalid:25", &[]);
}

#[test]
fn opportunistic_goes_on_in_tls_with_a_server_that_is_not_verified() {
    let tls = Tls::new();
    let server = Server::start(Config::new().tls(tls.clone().defect(Defect::Expired))).unwrap();
    let endpoint = endpoint(&tls)
        .security(Security::Opportunistic)
        .port(server.port())
        .build()
        .unwrap();
    let mut client = Client::connect_to(&endpoint, &[server.addr()]).unwrap();
    assert!(!client.tls().unwrap().is_peer_verified());
    assert_eq!(
        judge(&client.send(mail()).unwrap(), &server.log()),
        Came::Accepted
    );
    assert_eq!(server.sessions().len(), 1);
}

#[test]
fn opportunistic_connects_again_in_clear_after_a_handshake_that_broke() {
    let tls = Tls::new();
    let breaks = Action::normal().then_close();
    let config = Config::new().tls(tls.clone());
    let server = Server::start(config.on(smtp_test::Stage::StartTls, breaks)).unwrap();
    let endpoint = endpoint(&tls)
        .security(Security::Opportunistic)
        .port(server.port())
        .build()
        .unwrap();
    let mut client = Client::connect_to(&endpoint, &[server.addr()]).unwrap();
    assert!(client.tls().is_none());
    assert_eq!(
        judge(&client.send(mail()).unwrap(), &server.log()),
        Came::Accepted
    );
    assert_eq!(server.sessions().len(), 2);
}

#[test]
fn v05_a_bad_certificate_ends_the_connection_and_the_server_is_told() {
    for (security, server, session) in strangers() {
        let log = server.log();
        let mut client = Client::from_stream(Untimed(server), session);
        let error = client.ready().unwrap_err();
        assert_eq!(judge(&client.send(mail()).unwrap(), &log), Came::NotSent);
        check_stranger(security, &error, &log);
    }
}

#[test]
fn injected_bytes_behind_the_220_are_fatal_in_the_same_segment_and_in_a_later_one() {
    for action in [
        Action::normal().append("250 injected\r\n"),
        Action::normal().then("250 injected\r\n"),
    ] {
        let same_segment = action == Action::normal().append("250 injected\r\n");
        let tls = Tls::new();
        let server = MemoryServer::new(
            &Config::new()
                .tls(tls.clone())
                .on(smtp_test::Stage::StartTls, action),
        );
        let log = server.log();
        let mut client = Client::from_stream(Untimed(server), session(&tls));
        let error = client.ready().unwrap_err();
        let injected = matches!(
            error.kind(),
            ErrorKind::Protocol(ProtocolError::InjectedBeforeTls)
        );
        assert_eq!(injected, same_segment, "{error:#}");
        assert_eq!(
            error.stage(),
            if same_segment {
                Stage::StartTls
            } else {
                Stage::TlsHandshake
            }
        );
        assert_eq!(judge(&client.send(mail()).unwrap(), &log), Came::NotSent);
        assert!(log.session().tls().is_none());
    }
}

#[test]
fn one_byte_at_a_time_gives_the_same_conversation_inside_tls() {
    let mut transcripts = Vec::new();
    for plan in [Plan::new(), Plan::new().at_most(1)] {
        let (outcome, log, _) = session_with(plan);
        assert_eq!(judge(&outcome, &log), Came::Accepted);
        log.assert_clean();
        transcripts.push(log.session().transcript());
    }
    assert_eq!(transcripts[0], transcripts[1]);
}

#[test]
fn every_operation_that_breaks_inside_tls_leads_to_a_fate_that_is_true() {
    for fault in [Fault::Reset, Fault::Eof, Fault::Short(0)] {
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
fn v37_no_secret_shows_in_a_session_that_goes_well_or_breaks() {
    let tls = Tls::new();
    let shown = DebugOutput::default();
    let endpoint = observed(&tls, shown.observer());
    shown.debug(&endpoint);
    for (number, config) in jealous(&tls).iter().enumerate() {
        let takes_it = number < 2;
        for k in 0.. {
            let plan = Plan::new().fault(k, Fault::Reset);
            let stream = Faulty::new(MemoryServer::new(config), plan);
            let (log, operations) = (stream.get_ref().log(), stream.operations());
            let session = endpoint.session();
            let client = Client::from_stream(Untimed(stream), session);
            let accepted = watched!(&shown, client);
            if k == 0 {
                let user = log.session().authenticated_as().map(str::to_owned);
                assert_eq!(user.as_deref(), takes_it.then_some("alice"));
                assert_eq!(accepted, takes_it);
            }
            // The first session is whole, then each operation breaks in turn where it can go well.
            if !takes_it || operations.count() < k {
                break;
            }
        }
    }
    assert!(
        shown.all().contains("AUTH LOGIN"),
        "the transcript is there"
    );
    check_secret(CANARY, &shown.all());
}

/// Sends a mail in TLS while things go wrong by a plan; gives its outcome and the count of operations.
fn session_with(plan: Plan) -> (smtp_blocking::proto::Outcome, Log, usize) {
    let tls = Tls::new();
    let server = MemoryServer::new(&Config::new().tls(tls.clone()));
    let log = server.log();
    let stream = Faulty::new(server, plan);
    let operations = stream.operations();
    let mut client = Client::from_stream(Untimed(stream), session(&tls));
    let outcome = client.send(mail()).unwrap();
    let _ = client.quit();
    (outcome, log, operations.count())
}

#[test]
fn to_quit_closes_tls_in_good_order() {
    /// Remembers what was written last.
    struct Last(MemoryServer, Arc<Mutex<Vec<u8>>>);
    impl Read for Last {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl Write for Last {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            *self.1.lock().unwrap() = bytes.to_vec();
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    // Up to TLS 1.2, an alert can be told from the outside.
    let tls = Tls::new().only_tls12();
    let server = MemoryServer::new(&Config::new().tls(tls.clone()));
    let log = server.log();
    let last = Arc::default();
    let client = Client::from_stream(Untimed(Last(server, Arc::clone(&last))), session(&tls));
    client.quit().unwrap();
    assert!(log.session().quit());
    assert_eq!(last.lock().unwrap()[..3], [21, 3, 3]);
}

#[test]
fn clients_with_tls_may_be_sent_to_and_shared_by_threads() {
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Client>();
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
