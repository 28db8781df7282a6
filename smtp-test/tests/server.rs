//! A client written by hand, against the server on its thread.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};
use smtp_test::{Action, Config, Defect, Rule, Server, Stage, Tls};

const SOON: Duration = Duration::from_secs(20);

/// A client of few words.
struct Raw<S>(BufReader<S>);

impl<S: Read + Write> Raw<S> {
    fn send(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).unwrap();
        self.0.get_mut().flush().unwrap();
    }

    /// One whole reply.
    fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
        }
    }

    fn ask(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n"));
        self.reply()
    }
}

fn connect(server: &Server) -> Raw<TcpStream> {
    let stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    Raw(BufReader::new(stream))
}

fn secure(raw: Raw<TcpStream>, tls: &Tls) -> Raw<StreamOwned<ClientConnection, TcpStream>> {
    secure_with(raw, tls.client_config())
}

fn secure_with(
    raw: Raw<TcpStream>,
    config: Arc<rustls::ClientConfig>,
) -> Raw<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(config, name).unwrap();
    assert!(raw.0.buffer().is_empty());
    Raw(BufReader::new(StreamOwned::new(
        connection,
        raw.0.into_inner(),
    )))
}

#[test]
fn a_mail_over_tcp_is_stored_as_it_was_written() {
    let server = Server::start(Config::new()).unwrap();
    let mut client = connect(&server);
    assert_eq!(client.reply(), "220 mail.test ESMTP\r\n");
    assert!(
        client
            .ask("EHLO client.test")
            .contains("250-PIPELINING\r\n")
    );
    client.send(
        "MAIL FROM:<a@x.test> SIZE=9\r\nRCPT TO:<b@y.test>\r\nRCPT TO:<c@y.test>\r\nDATA\r\n",
    );
    assert!(client.reply().starts_with("250"));
    assert!(client.reply().starts_with("250"));
    assert!(client.reply().starts_with("250"));
    assert!(client.reply().starts_with("354"));
    assert!(client.ask("one\r\n..two\r\n.").starts_with("250"));
    assert!(client.ask("QUIT").starts_with("221"));
    let mails = server.wait_for_mails(1, SOON);
    assert_eq!(mails[0].sender(), "a@x.test");
    assert_eq!(mails[0].addresses(), ["b@y.test", "c@y.test"]);
    assert_eq!(mails[0].parameter("size"), Some("9"));
    assert_eq!(mails[0].body(), b"one\r\n.two\r\n");
    assert!(!mails[0].over_tls());
    let sessions = server.wait_for_sessions(1, SOON);
    assert_eq!(sessions[0].commands().len(), 6);
    assert_eq!(sessions[0].mails(), 1);
    assert!(sessions[0].quit());
    server.log().assert_clean();
}

#[test]
fn starttls_forgets_what_was_said_and_authenticates_inside() {
    let tls = Tls::new();
    let server = Server::start(
        Config::new()
            .tls(tls.clone())
            .user("alice", "secret")
            .require_tls(),
    )
    .unwrap();
    let mut client = connect(&server);
    client.reply();
    let before = client.ask("EHLO client.test");
    assert!(
        before.contains("STARTTLS") && !before.contains("AUTH"),
        "{before}"
    );
    assert!(client.ask("MAIL FROM:<a@x.test>").starts_with("530"));
    assert!(client.ask("STARTTLS").starts_with("220"));
    let mut client = secure(client, &tls);
    let after = client.ask("EHLO client.test");
    assert!(
        !after.contains("STARTTLS") && after.contains("AUTH PLAIN LOGIN"),
        "{after}"
    );
    assert!(
        client
            .ask("AUTH PLAIN AGFsaWNlAHNlY3JldA==")
            .starts_with("235")
    );
    client.ask("MAIL FROM:<a@x.test>");
    client.ask("RCPT TO:<b@y.test>");
    client.ask("DATA");
    client.ask("hi\r\n.");
    client.ask("QUIT");
    let mails = server.wait_for_mails(1, SOON);
    assert!(mails[0].over_tls());
    assert_eq!(mails[0].authenticated_as(), Some("alice"));
    let session = &server.wait_for_sessions(1, SOON)[0];
    let facts = session.tls().unwrap();
    assert_eq!(
        (facts.version(), facts.resumed(), facts.server_name()),
        ("TLSv1.3", false, Some("localhost"))
    );
    server.log().assert_clean();
}

#[test]
fn sessions_resume_in_either_version_unless_told_not_to() {
    for (tls, resumes) in [
        (Tls::new().only_tls12(), true),
        (Tls::new().only_tls13(), true),
        (Tls::new().without_resumption(), false),
    ] {
        let server = Server::start(Config::new().tls(tls.clone()).implicit_tls()).unwrap();
        let config = tls.client_config();
        for _ in 0..2 {
            let mut client = secure_with(connect(&server), Arc::clone(&config));
            assert!(client.reply().starts_with("220"));
            assert!(client.ask("QUIT").starts_with("221"));
        }
        let resumed: Vec<bool> = server
            .wait_for_sessions(2, SOON)
            .iter()
            .map(|session| session.resumed())
            .collect();
        assert_eq!(resumed, [false, resumes]);
    }
}

#[test]
fn a_bad_certificate_is_rejected_and_the_alert_is_recorded() {
    for defect in [
        Defect::Expired,
        Defect::NotYetValid,
        Defect::WrongName,
        Defect::CommonNameOnly,
        Defect::SelfSigned,
        Defect::UnknownAuthority,
        Defect::ClientOnly,
        Defect::NameConstraint,
        Defect::LongChain(20),
    ] {
        let tls = Tls::new().defect(defect);
        let server = Server::start(Config::new().tls(tls.clone()).implicit_tls()).unwrap();
        let mut client = secure(connect(&server), &tls);
        let error = client.0.read_line(&mut String::new()).unwrap_err();
        assert!(
            error.to_string().contains("certificate"),
            "{defect:?}: {error}"
        );
        drop(client);
        let session = &server.wait_for_sessions(1, SOON)[0];
        assert!(session.tls_error().is_some(), "{defect:?}");
        assert!(session.commands().is_empty());
    }
}

#[test]
fn certificates_for_addresses_wildcards_and_chains_are_good() {
    for tls in [
        Tls::for_names(["127.0.0.1", "localhost"]),
        Tls::new().defect(Defect::LongChain(3)),
        Tls::for_names(["other.test"]).sibling(["localhost"]),
    ] {
        let server = Server::start(Config::new().tls(tls.clone()).implicit_tls()).unwrap();
        assert!(secure(connect(&server), &tls).reply().starts_with("220"));
    }
    assert!(
        Tls::new()
            .authority_pem()
            .starts_with("-----BEGIN CERTIFICATE-----\nMII")
    );
}

#[test]
fn bytes_behind_starttls_are_a_violation_and_end_the_connection() {
    let tls = Tls::new();
    let server = Server::start(Config::new().tls(tls)).unwrap();
    let mut client = connect(&server);
    client.reply();
    client.ask("EHLO client.test");
    client.send("STARTTLS\r\nNOOP\r\n");
    let mut rest = Vec::new();
    let _ = client.0.read_to_end(&mut rest);
    let session = &server.wait_for_sessions(1, SOON)[0];
    assert_eq!(session.violations()[0].rule(), Rule::DidNotWait);
    assert!(session.tls().is_none());
}

#[test]
fn a_silent_server_and_a_deaf_one_do_not_hang_the_end() {
    for action in [
        Action::silent(),
        Action::normal().stop_reading(),
        Action::normal().delay(Duration::from_secs(3600)),
    ] {
        let server = Server::start(Config::new().on(Stage::Greeting, action)).unwrap();
        let _client = connect(&server);
        drop(server);
    }
}

#[test]
fn many_clients_are_served_at_once_also_over_ipv6() {
    let server = Server::start(Config::new().ipv6()).unwrap();
    let mut clients: Vec<_> = (0..8).map(|_| connect(&server)).collect();
    for client in &mut clients {
        assert!(client.reply().starts_with("220"));
    }
    for client in &mut clients {
        assert!(client.ask("QUIT").starts_with("221"));
    }
    let sessions = server.wait_for_sessions(8, SOON);
    assert!(
        sessions
            .iter()
            .all(|session| session.quit() && session.is_closed())
    );
}

#[test]
fn actions_apply_to_the_connection_and_the_time_they_name() {
    let server = Server::start(
        Config::new()
            .on(
                Stage::Greeting.connection(1),
                Action::reply("421 busy").then_close(),
            )
            .on(
                Stage::Noop.nth(2),
                Action::reply("250-a\n250 b").drip(Duration::ZERO),
            ),
    )
    .unwrap();
    let mut first = connect(&server);
    assert_eq!(first.reply(), "421 busy\r\n");
    assert_eq!(first.reply(), "");
    let mut second = connect(&server);
    assert!(second.reply().starts_with("220"));
    assert_eq!(second.ask("NOOP"), "250 2.0.0 ok\r\n");
    assert_eq!(second.ask("NOOP"), "250-a\r\n250 b\r\n");
}

#[test]
fn mails_that_are_not_kept_are_counted() {
    let config = Config::new()
        .with("CHUNKING")
        .discard_mails()
        .discard_transcripts();
    let server = Server::start(config).unwrap();
    let mut client = connect(&server);
    client.reply();
    client.ask("EHLO client.test");
    let mail = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nBDAT 3 LAST\r\nx\r\n";
    client.send(&(mail.repeat(500) + "QUIT\r\n"));
    let mut replies = String::new();
    client.0.read_to_string(&mut replies).unwrap();
    assert_eq!(replies.matches("queued").count(), 500);
    assert_eq!(server.wait_for_mails(500, SOON), []);
    assert_eq!(server.log().mail_count(), 500);
    let session = server.wait_for_sessions(1, SOON).remove(0);
    assert_eq!(
        (session.mails(), session.lines(), session.commands()),
        (500, &[][..], &[][..])
    );
    server.log().assert_clean();
}

#[test]
fn a_group_that_arrives_in_pieces_is_one_round_trip() {
    let server = Server::start(Config::new().with("CHUNKING")).unwrap();
    let mut client = connect(&server);
    client.reply();
    client.ask("EHLO client.test");
    // Each piece is read by itself, since its replies come before the next is sent.
    client.send("MAIL FROM:<a@x.test>\r\nRC");
    client.reply();
    client.send("PT TO:<b@y.test>\r\nBDAT 4 LAST\r\nx");
    client.reply();
    client.send("y\r\n");
    client.reply();
    client.ask("QUIT");
    let session = server.wait_for_sessions(1, SOON).remove(0);
    assert_eq!(session.round_trips(), 3, "EHLO, the mail, QUIT");
    server.log().assert_clean();
}

#[cfg(unix)]
#[test]
fn a_unix_socket_serves_lmtp_and_is_gone_at_the_end() {
    use std::os::unix::net::UnixStream;

    let path = std::env::temp_dir().join(format!("smtp-test-{}.sock", std::process::id()));
    let server = Server::start_unix(Config::new().lmtp().with("CHUNKING"), &path).unwrap();
    assert_eq!(server.path(), Some(path.as_path()));
    assert!(Server::start_unix(Config::new(), &path).is_err(), "taken");
    let mut client = Raw(BufReader::new(UnixStream::connect(&path).unwrap()));
    assert_eq!(client.reply(), "220 mail.test LMTP\r\n");
    client.ask("LHLO client.test");
    let body = "x".repeat(98) + "\r\n";
    client.send(&format!(
        "MAIL FROM:<>\r\nRCPT TO:<b@y.test>\r\nRCPT TO:<c@y.test>\r\nBDAT 1000000 LAST\r\n{}",
        body.repeat(10_000)
    ));
    for _ in 0..5 {
        assert!(client.reply().starts_with("250"));
    }
    assert!(client.ask("QUIT").starts_with("221"));
    let mails = server.wait_for_mails(2, SOON);
    assert_eq!(
        mails.iter().map(|mail| mail.body().len()).sum::<usize>(),
        2_000_000
    );
    server.log().assert_clean();
    drop(server);
    assert!(!path.exists());
}

#[cfg(unix)]
#[test]
fn peers_are_served_on_a_unix_socket_too() {
    use smtp_test::Machine;
    use std::os::unix::net::UnixStream;

    let path = std::env::temp_dir().join(format!("smtp-test-peers-{}.sock", std::process::id()));
    let server = Server::with_peers_unix(&path, |number| {
        Box::new(Machine::new(
            &Config::new().greeting(format!("number {number}")),
        ))
    })
    .unwrap();
    for number in 1..=3 {
        let mut client = Raw(BufReader::new(UnixStream::connect(&path).unwrap()));
        assert_eq!(client.reply(), format!("220 number {number}\r\n"));
    }
    drop(server);
}
