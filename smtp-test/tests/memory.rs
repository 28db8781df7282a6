//! The stream whose far end is the server, with TLS, scripts and faults.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::io::{ErrorKind, Read, Write};

use rustls::{ClientConnection, Stream, pki_types::ServerName};
use smtp_test::{
    Action, Config, Fault, Faulty, Log, MemoryServer, Operations, Plan, Rule, Script, Split, Stage,
    Tls, TlsPeer,
};

/// Reads up to the line end that ends a reply.
fn reply(stream: &mut impl Read) -> String {
    let mut text = String::new();
    let mut byte = [0];
    loop {
        match stream.read(&mut byte) {
            Ok(0) => return text,
            Ok(_) => text.push(char::from(byte[0])),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error} after {text:?}"),
        }
        let last = text.lines().last().unwrap_or_default();
        if text.ends_with('\n') && last.as_bytes().get(3) != Some(&b'-') {
            return text;
        }
    }
}

fn ask(stream: &mut (impl Read + Write), text: &str) -> String {
    stream.write_all(text.as_bytes()).unwrap();
    while let Err(error) = stream.flush() {
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
    reply(stream)
}

fn connection(tls: &Tls) -> ClientConnection {
    ClientConnection::new(
        tls.client_config(),
        ServerName::try_from("localhost").unwrap(),
    )
    .unwrap()
}

/// One message over STARTTLS, on any stream.
fn send_over_starttls(stream: &mut (impl Read + Write), tls: &Tls) {
    assert!(reply(stream).starts_with("220"));
    ask(stream, "EHLO client.test\r\n");
    assert!(ask(stream, "STARTTLS\r\n").starts_with("220"));
    let mut client = connection(tls);
    let mut inside = Stream::new(&mut client, stream);
    assert!(ask(&mut inside, "EHLO client.test\r\n").starts_with("250"));
    ask(&mut inside, "MAIL FROM:<a@x.test>\r\n");
    ask(&mut inside, "RCPT TO:<b@x.test>\r\n");
    assert!(ask(&mut inside, "DATA\r\n").starts_with("354"));
    assert!(ask(&mut inside, "hello\r\n.\r\n").starts_with("250"));
    assert!(ask(&mut inside, "QUIT\r\n").starts_with("221"));
    assert_eq!(reply(&mut inside), "", "close_notify came");
}

#[test]
fn starttls_works_in_memory_however_the_bytes_are_cut() {
    let tls = Tls::new();
    for split in Split::ALL {
        for plan in [
            Plan::new(),
            Plan::new().at_most(1),
            Plan::new().at_most(7).pending_first(),
        ] {
            let config = Config::new().tls(tls.clone()).split(split);
            let mut stream = Faulty::new(MemoryServer::new(&config), plan);
            let log = stream.get_ref().log();
            send_over_starttls(&mut stream, &tls);
            drop(stream);
            log.assert_clean();
            assert!(log.mails()[0].over_tls());
            let session = log.session();
            assert!(session.is_closed() && session.quit());
            assert_eq!(session.round_trips(), 8);
        }
    }
}

#[test]
fn implicit_tls_works_in_memory_and_resumes() {
    let tls = Tls::new();
    let config = Config::new().tls(tls.clone()).implicit_tls();
    let log = Log::new();
    let client_config = tls.client_config();
    for _ in 0..2 {
        let mut stream = MemoryServer::with_log(&config, &log);
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(client_config.clone(), name).unwrap();
        let mut inside = Stream::new(&mut client, &mut stream);
        assert!(reply(&mut inside).starts_with("220"));
        assert!(ask(&mut inside, "QUIT\r\n").starts_with("221"));
    }
    assert_eq!(log.resumptions(), 1);
    log.assert_clean();
}

#[test]
fn a_cut_connection_ends_tls_without_close_notify() {
    let tls = Tls::new();
    let config = Config::new()
        .tls(tls.clone())
        .implicit_tls()
        .on(Stage::Quit, Action::normal().then_cut());
    let mut stream = MemoryServer::new(&config);
    let mut client = connection(&tls);
    let mut inside = Stream::new(&mut client, &mut stream);
    reply(&mut inside);
    assert!(ask(&mut inside, "QUIT\r\n").starts_with("221"));
    assert_eq!(
        inside.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
}

#[test]
fn injected_bytes_arrive_in_clear_before_the_handshake() {
    let tls = Tls::new();
    for action in [
        Action::normal().append("250 injected\r\n"),
        Action::normal().then("250 injected\r\n"),
    ] {
        let mut stream =
            MemoryServer::new(&Config::new().tls(tls.clone()).on(Stage::StartTls, action));
        let log = stream.log();
        reply(&mut stream);
        ask(&mut stream, "EHLO client.test\r\n");
        assert!(ask(&mut stream, "STARTTLS\r\n").starts_with("220"));
        let mut client = connection(&tls);
        let error = Stream::new(&mut client, &mut stream)
            .write_all(b"EHLO client.test\r\n")
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        log.assert_clean();
    }
}

#[test]
fn silence_is_would_block_and_deafness_too() {
    let config = Config::new()
        .on(Stage::Ehlo, Action::silent())
        .on(Stage::Helo, Action::normal().stop_reading());
    let mut stream = MemoryServer::new(&config);
    reply(&mut stream);
    stream.write_all(b"EHLO client.test\r\n").unwrap();
    assert_eq!(
        stream.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert!(ask(&mut stream, "HELO client.test\r\n").starts_with("250"));
    assert_eq!(
        stream.write(b"NOOP\r\n").unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

#[test]
fn after_the_servers_end_one_write_is_swallowed_and_its_last_words_can_be_read() {
    let config = Config::new().on(Stage::Mail, Action::reply("421 bye").then_close());
    let mut stream = MemoryServer::new(&config);
    reply(&mut stream);
    ask(&mut stream, "EHLO client.test\r\n");
    stream.write_all(b"MAIL FROM:<a@x.test>\r\n").unwrap();
    stream.write_all(b"RCPT TO:<b@x.test>\r\n").unwrap();
    assert_eq!(
        stream.write(b"DATA\r\n").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    assert_eq!(reply(&mut stream), "421 bye\r\n");
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);

    let mut stream = MemoryServer::new(&Config::new().on(Stage::Greeting, Action::reset()));
    assert_eq!(
        stream.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(
        stream.write(b"QUIT\r\n").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

#[test]
fn a_peer_without_tls_is_made_to_believe_in_it() {
    let mut stream = MemoryServer::new(&Config::new().advertise_starttls());
    let log = stream.log();
    reply(&mut stream);
    ask(&mut stream, "EHLO client.test\r\n");
    ask(&mut stream, "STARTTLS\r\n");
    assert!(!ask(&mut stream, "EHLO client.test\r\n").contains("STARTTLS"));
    assert_eq!(log.session().tls().unwrap().version(), "pretended");
    log.assert_clean();
}

#[test]
fn each_operation_can_fail_in_turn() {
    let talk = |plan: Plan| -> (std::io::Result<()>, Operations) {
        let mut stream = Faulty::new(MemoryServer::new(&Config::new()), plan);
        let operations = stream.operations();
        let mut work = || -> std::io::Result<()> {
            let mut buffer = [0; 512];
            stream.read(&mut buffer).map(drop)?;
            for line in ["EHLO client.test\r\n", "NOOP\r\n", "QUIT\r\n"] {
                stream.write(line.as_bytes()).map(drop)?;
                stream.read(&mut buffer).map(drop)?;
            }
            Ok(())
        };
        (work(), operations)
    };
    let (done, operations) = talk(Plan::new());
    done.unwrap();
    assert_eq!(operations.count(), 7);
    for k in 1..=7 {
        let (failed, operations) = talk(Plan::new().fault(k, Fault::Reset));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(operations.count(), k);
        let (failed, _) = talk(Plan::new().fault(k, Fault::Error(ErrorKind::TimedOut)));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::TimedOut);
    }
    assert!(talk(Plan::new().fault(8, Fault::Reset)).0.is_ok());
    let mut stream = Faulty::new(
        MemoryServer::new(&Config::new()),
        Plan::new().fault(1, Fault::Short(2)).fault(2, Fault::Eof),
    );
    let mut buffer = [0; 9];
    assert_eq!(stream.read(&mut buffer).unwrap(), 2);
    assert_eq!(stream.read(&mut buffer).unwrap(), 0);
    assert_eq!(stream.read(&mut buffer).unwrap(), 0);
    assert_eq!(
        stream.write(b"x").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

fn script() -> Script {
    Script::parse(
        r"
        # A session with an upgrade, in which the second RCPT is rejected.
        S: 220 mail.test
        C: EHLO \*.test
        S: 250-mail.test
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 go
        <tls>
        C: EHLO \*
        S: 250 mail.test
        C: MAIL FROM:<a@x.test>
        C: RCPT TO:<b@x.test>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: <body>
        S: 250 queued
        C- QUIT\r\n
        S: <timeout>
        C: <eof>
        ",
    )
    .unwrap()
}

/// A client that keeps to the script, or says `body` at its own peril.
fn follow(stream: &mut (impl Read + Write), tls: &Tls, mail: &str, body: &str) {
    reply(stream);
    ask(stream, "EHLO client.test\r\n");
    ask(stream, "STARTTLS\r\n");
    let mut client = connection(tls);
    let mut inside = Stream::new(&mut client, stream);
    ask(&mut inside, "EHLO client.test\r\n");
    ask(&mut inside, mail);
    reply(&mut inside);
    reply(&mut inside);
    ask(&mut inside, body);
    inside.write_all(b"QUIT\r\n").unwrap();
    inside.flush().unwrap();
}

const MAIL: &str = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n";

#[test]
fn a_script_is_played_through_tls_in_every_split() {
    let tls = Tls::new();
    for split in Split::ALL {
        let player = script().play(split);
        let report = player.report();
        let mut stream = MemoryServer::with_peer(TlsPeer::new(player, tls.server_config()));
        assert_eq!(report.verdict().unwrap_err().line(), Some(4));
        follow(&mut stream, &tls, MAIL, "..x\r\n.\r\n");
        drop(stream);
        report.assert_done();
        assert_eq!(report.bodies(), [b".x\r\n".to_vec()]);
    }
}

/// How a script without TLS ends for a client that sends these bytes after what it has read.
fn play(text: &str, turns: &[&[u8]]) -> Result<(), String> {
    let player = Script::parse(text).unwrap().play(Split::Whole);
    let report = player.report();
    let mut stream = MemoryServer::script(player);
    for turn in turns {
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(turn);
    }
    drop(stream);
    report.verdict().map_err(|mismatch| mismatch.to_string())
}

#[test]
fn a_client_that_leaves_the_script_is_shown_where() {
    let text = "S: 220 hi\nC: NOOP\nS: 250 ok\nC: RSET\nS: 250 ok\nC: <body>\nS: <eof>\n";
    assert_eq!(play(text, &[b"NOOP\r\n", b"RSET\r\n", b".\r\n"]), Ok(()));
    for (turns, complaint) in [
        (
            vec![b"NOOP\r\n".as_slice(), b"REST\r\n"],
            "script line 4: the client sent another line\n  expected: C: RSET\n  received: C: REST\n                ^",
        ),
        (
            vec![b"NOOP\n"],
            "script line 2: the client sent another line\n  expected: C: NOOP\n  received: C: NOOP\\n\n                   ^",
        ),
        (
            vec![b"NOOP\r\nRSET\r\n"],
            "script line 4: the client sent this before the server's reply\n  expected: C: RSET\n  received: C: RSET\n                   ^",
        ),
        (
            vec![b"NOOP\r\n", b"RS"],
            "script line 4: the client closed\n  expected: C: RSET\n  received: C: RS\n                 ^",
        ),
        (
            vec![b"NOOP\r\n", b"RSET\r\n", b"\n"],
            "script line 6: the client's content is invalid at byte 0: bare line feed\n  expected: C: <body>\n  received: C: \\n\n               ^",
        ),
    ] {
        assert_eq!(play(text, &turns), Err(complaint.to_owned()));
    }
    assert!(
        play("S: 220 hi\nC: NOOP\nS: 250 ok", &[b"NOOP\r\n", b"RSET\r\n"])
            .unwrap_err()
            .starts_with("at the end of the script")
    );
    assert!(
        play("C- AB", &[b"AC"])
            .unwrap_err()
            .starts_with("script line 1: the client sent other bytes")
    );
}

#[test]
fn a_client_that_does_not_take_what_was_said_is_told_so() {
    let player = Script::parse("S: 220 hi\nC: NOOP")
        .unwrap()
        .play(Split::Whole);
    let report = player.report();
    MemoryServer::script(player).write_all(b"NOOP\r\n").unwrap();
    let mismatch = report.verdict().unwrap_err().to_string();
    assert!(
        mismatch.contains("the client did not read the server's output before this"),
        "{mismatch}"
    );
}

#[test]
fn a_script_can_wait_for_a_timeout() {
    use smtp_test::Peer;
    let mut player = Script::parse("S: 220 hi\nS: <timeout>\nC: QUIT\nS: <eof>")
        .unwrap()
        .play(Split::Whole);
    assert!(!player.expects_timeout());
    player.poll_output();
    assert!(player.expects_timeout());
    player.handle_timeout();
    player.handle_input(b"QUIT\r\n");
    player.report().assert_done();
    assert!(player.is_closed());
}

#[test]
fn a_script_serves_over_a_socket_too() {
    let script = script();
    let tls = Tls::new();
    let player = script.play(Split::Whole);
    let report = player.report();
    let server_config = tls.server_config();
    let mut player = Some(player);
    let server = smtp_test::Server::with_peers(move |_| {
        Box::new(TlsPeer::new(player.take().unwrap(), server_config.clone()))
    })
    .unwrap();
    let mut stream = std::net::TcpStream::connect(server.addr()).unwrap();
    follow(&mut stream, &tls, MAIL, ".\r\n");
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    report.assert_done();
}

#[test]
fn violations_are_found_through_tls() {
    let tls = Tls::new();
    let mut stream = MemoryServer::new(&Config::new().tls(tls.clone()).implicit_tls());
    let log = stream.log();
    let mut client = connection(&tls);
    let mut inside = Stream::new(&mut client, &mut stream);
    reply(&mut inside);
    ask(&mut inside, "EHLO client.test\r\n");
    ask(&mut inside, "NOOP\n");
    assert_eq!(log.violations()[0].rule(), Rule::BareLf);
}
