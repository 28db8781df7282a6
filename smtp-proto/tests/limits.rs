//! Limits of a server's input: of a reply, and of a session. A flood ends in an error that names
//! the limit, and takes no more memory than the limits allow.

use crate::common::Answered as _;
use crate::common::pair::transmit;
use crate::common::raw_mail;
use crate::exhaustive::in_turn;
use std::sync::Arc;

use smtp_proto::sasl::ExchangeError;
use smtp_proto::{
    AuthenticationError, Command, Config, Connection, Credentials, ErrorKind, Event, ProtocolError,
    ReplyLimits, Security, Seed, Time,
};

const NOW: Time = Time::ORIGIN;

fn config(limits: ReplyLimits) -> Config {
    Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .reply_limits(limits)
        .build()
        .unwrap()
}

/// Sends all output.
fn send_all(connection: &mut Connection) {
    while let Some(offer) = transmit(connection, NOW) {
        let len = offer.len();
        connection.handle_sent(NOW, len);
    }
}

/// A connection with a message, after these replies, with all output sent.
fn brought_to(config: Config, replies: &[&str]) -> Connection {
    let mut connection = Connection::new(Arc::new(config), Seed::from_bytes([0; 32]));
    connection.submit(raw_mail("a@x.test", ["b@x.test"], "hello\r\n").unwrap());
    connection.quit();
    send_all(&mut connection);
    for reply in replies {
        connection.handle_input(NOW, reply.as_bytes());
        send_all(&mut connection);
    }
    assert!(!connection.is_closed());
    connection
}

const REPLIES: [&str; 7] = [
    "220 hi\r\n",
    "250 hi\r\n",
    "250 ok\r\n",
    "250 ok\r\n",
    "354 go on\r\n",
    "250 taken\r\n",
    "",
];

/// Patterns of floods.
const FLOODS: [&[u8]; 14] = [
    b"x",
    b"2",
    b"250 ",
    b"250-",
    b"\r",
    b"\n",
    b"\r\n",
    b"x\r\n",
    b"250-\r\n",
    b"250-the same again\r\n",
    b"354-\n",
    b"\0",
    b"\x16\x03\x01",
    b"1",
];

/// The most bytes of a flood before it is stopped: the input limit of a session with a few
/// commands.
const STOPPED_BY: usize = (1 << 20) + 8 * 4096;

/// Repeats the pattern, in pieces of this size; returns the bytes taken in, and the heap that they
/// took.
fn flood(connection: &mut Connection, pattern: &[u8], piece: usize) -> (usize, u64) {
    let flood: Vec<u8> = pattern.iter().copied().cycle().take(256 * 1024).collect();
    let before = connection.stats().bytes_received();
    let heap = allocation_counter::measure(|| {
        // Beyond every limit.
        for part in (0..8).flat_map(|_| flood.chunks(piece)) {
            connection.handle_input(NOW, part);
            if connection.is_closed() {
                break;
            }
        }
    });
    assert!(connection.is_closed(), "{pattern:?} does not end");
    let taken = connection.stats().bytes_received() - before;
    (usize::try_from(taken).unwrap(), heap.bytes_max)
}

fn error_of(connection: &mut Connection) -> Option<smtp_proto::Error> {
    loop {
        match connection.poll_event() {
            Some(Err(error)) => return Some(error),
            Some(Ok(Event::Closed)) => return None,
            Some(Ok(_)) => {}
            None => panic!("neither closed nor failed"),
        }
    }
}

#[test]
fn v22_every_flood_at_every_stage_ends_in_an_error_that_names_the_limit() {
    for stage in 0..REPLIES.len() {
        for &pattern in FLOODS.chunks(3).flat_map(|some| in_turn(some, stage)) {
            let mut told = Vec::new();
            // One byte at a time takes long, so it is tried at one stage only.
            let pieces = if stage == 2 {
                [1, 1000]
            } else {
                [997, 256 * 1024]
            };
            for piece in pieces {
                let mut connection = brought_to(config(ReplyLimits::default()), &REPLIES[..stage]);
                let (taken, heap) = flood(&mut connection, pattern, piece);
                assert!(
                    taken <= STOPPED_BY,
                    "{pattern:?}: {taken} bytes were taken in"
                );
                // The input, twice while the buffer grows, and the copy in the error.
                assert!(heap <= 4 * 32 * 1024, "{pattern:?}: {heap} bytes of heap");
                let error = error_of(&mut connection);
                let shown = error.as_ref().map(ToString::to_string);
                if let Some(error) = error {
                    assert!(
                        matches!(
                            error.kind(),
                            ErrorKind::Protocol(
                                ProtocolError::Reply(_)
                                    | ProtocolError::TooMuchInput
                                    | ProtocolError::UnexpectedReply
                                    | ProtocolError::WrongClass
                            )
                        ),
                        "{pattern:?}: {error:#}"
                    );
                    assert!(format!("{error:#}").len() <= 1024, "{error:#}");
                } else {
                    assert_eq!(
                        stage, 6,
                        "{pattern:?} is a failure everywhere except after QUIT"
                    );
                }
                told.push((taken, shown));
            }
            told.dedup();
            assert_eq!(
                told.len(),
                1,
                "{pattern:?}: the result depends on the cuts: {told:?}"
            );
        }
    }
}

#[test]
fn v22_the_limits_of_the_config_are_exact_to_the_byte() {
    let limits = ReplyLimits::default().line(20).reply(50).lines(3);
    let heard = |reply: &str| {
        let mut connection = brought_to(config(limits), &[]);
        connection.handle_input(NOW, reply.as_bytes());
        let error = error_of(&mut connection).unwrap();
        assert!(matches!(error.kind(), ErrorKind::Rejected), "{error:#}");
        let reply = error.reply().unwrap().clone();
        (reply.to_string(), reply.is_truncated())
    };
    let rows = [
        ("554 5.7.1 go away..\n", "554 5.7.1 go away..", false),
        ("554 5.7.1 go away..\r\n", "554 5.7.1 go aw…", true),
        ("554-a\n554-b\n554 c\n", "554 a / b / c", false),
        ("554-a\n554-b\n554-c\n554 d\n", "554 a / b / c / …", true),
        ("554-\n554-\n554-\n554-\n554\n", "554 …", true),
        (
            "554-5678901234567890\n554-5678901234567890\n554 a\n",
            "554 56789012345… / 56789012345…",
            true,
        ),
    ];
    for (reply, shown, truncated) in rows {
        assert_eq!(heard(reply), (shown.to_owned(), truncated));
    }
}

#[test]
fn v22_a_long_reply_is_understood_wherever_it_comes() {
    // A session in which each reply exceeds the limits: by its line, by its lines, and by both.
    let line = |code: u16, separator: char, len: usize| {
        format!("{code}{separator}{}\r\n", "x".repeat(len))
    };
    let long = |code| line(code, ' ', 100_000);
    let many = |code| line(code, '-', 1).repeat(10_000) + &line(code, ' ', 1);
    let both = |code| line(code, '-', 3000).repeat(30) + &line(code, ' ', 1);
    for (code, fits) in [(250, true), (450, false), (550, false)] {
        for reply in [long(code), many(code), both(code)] {
            let mut connection = brought_to(config(ReplyLimits::default()), &REPLIES[..5]);
            let heap = allocation_counter::measure(|| {
                for part in reply.as_bytes().chunks(1500) {
                    connection.handle_input(NOW, part);
                }
            });
            assert!(heap.bytes_max <= 4 * 32 * 1024, "{} bytes", heap.bytes_max);
            let Some(Ok(Event::Outcome(_, outcome))) = (0..2).find_map(|_| {
                let event = connection.poll_event();
                event.filter(|event| !matches!(event, Ok(Event::Ready)))
            }) else {
                panic!("no outcome of {code}");
            };
            assert_eq!(outcome.is_accepted(), fits);
            let reply = outcome.recipients()[0].status().reply().unwrap();
            assert_eq!(reply.code(), code);
            assert!(reply.is_truncated());
            assert!(reply.lines().count() <= 256);
            assert!(reply.lines().all(|line| line.len() <= 2048));
        }
    }
    for reply in [long(220), many(220), both(220)] {
        let mut connection = brought_to(config(ReplyLimits::default()), &[&reply]);
        connection.handle_input(NOW, many(250).as_bytes());
        send_all(&mut connection);
        assert!(connection.poll_ready().answer().is_ok());
    }
}

#[test]
fn v22_a_word_that_is_cut_off_in_the_reply_to_ehlo_does_not_count() {
    // The bytes that are kept end inside a word. The shortened word does not count.
    let limits = ReplyLimits::default().line(48);
    let rows = [
        (
            "AUTH PLAIN LOGIN XOAUTH2 SCRAM-SHA-256-PLUS",
            "AUTH PLAIN LOGIN XOAUTH2 SCRAM-SHA-256",
        ),
        (
            "SIZE 000000000000000000000000000000012345678",
            "SIZE 00000000000000000000000000000001234",
        ),
        (
            "XCLIENT NAME ADDR PORT PROTO HELO LOGIN-ADDR",
            "XCLIENT NAME ADDR PORT PROTO HELO LOGIN",
        ),
        (
            "X-A-LONG-KEYWORD-THAT-NOBODY-KNOWS-OR-WANTS",
            "X-A-LONG-KEYWORD-THAT-NOBODY-KNOWS-OR-W",
        ),
    ];
    for (line, half) in rows {
        let mut connection = brought_to(config(limits), &["220 hi\r\n"]);
        let reply = format!("250-hi\r\n250-{line}\r\n250 PIPELINING\r\n");
        connection.handle_input(NOW, reply.as_bytes());
        let capabilities = connection.capabilities();
        assert!(capabilities.pipelining());
        assert_eq!(capabilities.size(), None, "{half}");
        assert!(
            capabilities
                .auth()
                .all(|name| line.split(' ').any(|word| word == name))
        );
        assert!(!capabilities.has("X-A-LONG-KEYWORD-THAT-NOBODY-KNOWS-OR-W"));
    }
}

#[test]
fn v22_the_first_unexpected_reply_ends_the_connection() {
    for reply in [
        "250 ok\r\n",
        "220 hi\r\n",
        "421 going\r\n",
        "550 no\r\n",
        "354 go on\r\n",
    ] {
        let mut connection = Connection::new(
            Arc::new(config(ReplyLimits::default())),
            Seed::from_bytes([0; 32]),
        );
        for reply in &REPLIES[..2] {
            send_all(&mut connection);
            connection.handle_input(NOW, reply.as_bytes());
        }
        assert!(connection.is_idle());
        let before = connection.stats().bytes_received();
        connection.handle_input(NOW, reply.repeat(10_000).as_bytes());
        assert!(connection.is_closed());
        let taken = connection.stats().bytes_received() - before;
        assert_eq!(taken, u64::try_from(reply.len()).unwrap());
    }
}

#[test]
fn v22_the_input_of_a_session_and_each_reply_are_bounded() {
    let reply = format!(
        "{}250 end\r\n",
        format!("250-{}\r\n", "x".repeat(114)).repeat(250)
    );
    let mut told = Vec::new();
    for piece in [1, 1000, usize::MAX] {
        let mut connection = Connection::new(
            Arc::new(config(ReplyLimits::default())),
            Seed::from_bytes([0; 32]),
        );
        for reply in &REPLIES[..2] {
            send_all(&mut connection);
            connection.handle_input(NOW, reply.as_bytes());
        }
        let mut answered = 0;
        while !connection.is_closed() {
            let id = connection.command(Command::noop());
            send_all(&mut connection);
            for part in reply.as_bytes().chunks(piece) {
                connection.handle_input(NOW, part);
            }
            if connection.poll_reply(id).answer().is_ok() {
                answered += 1;
            }
        }
        let error = error_of(&mut connection).unwrap();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Protocol(ProtocolError::TooMuchInput)
            ),
            "{error:#}"
        );
        let received = connection.stats().bytes_received();
        assert_eq!(received, (1 << 20) + 4096 * (answered + 1));
        told.push((answered, received, format!("{error:#?}")));
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn v22_a_session_of_many_messages_may_have_long_replies_to_all_of_them() {
    let mut connection = Connection::new(
        Arc::new(config(ReplyLimits::default())),
        Seed::from_bytes([0; 32]),
    );
    for reply in &REPLIES[..2] {
        send_all(&mut connection);
        connection.handle_input(NOW, reply.as_bytes());
    }
    for _ in 0..500 {
        let mail = raw_mail("a@x.test", ["b@x.test"], "hello\r\n").unwrap();
        let id = connection.submit(mail);
        for code in [250, 250, 354, 250] {
            send_all(&mut connection);
            let reply = format!("{code} {}\r\n", "x".repeat(2000));
            connection.handle_input(NOW, reply.as_bytes());
        }
        assert!(connection.poll_outcome(id).answer().unwrap().is_accepted());
    }
    assert!(connection.stats().bytes_received() > 4_000_000);
}

#[test]
fn i1_a_long_reply_costs_no_more_a_byte_than_a_short_one() {
    // A new scan of all bytes whenever one comes would take hours here.
    let limits = ReplyLimits::default()
        .line(1_000_000)
        .reply(1_000_000)
        .lines(1_000_000);
    for line in [
        "220-\r\n".to_owned(),
        format!("220-{}\r\n", "x".repeat(899_000)),
    ] {
        let reply = line.repeat(900_000 / line.len()) + "220 hi\r\n";
        let mut connection = brought_to(config(limits), &[]);
        let heap = allocation_counter::measure(|| {
            for byte in reply.as_bytes().chunks(1) {
                connection.handle_input(NOW, byte);
            }
        });
        assert!(!connection.is_closed());
        assert!(heap.count_total < 100, "{} allocations", heap.count_total);
        assert!(heap.bytes_max < 4_000_000, "{} bytes", heap.bytes_max);
        assert!(transmit(&mut connection, NOW).is_some(), "EHLO is next");
    }
}

#[test]
fn v28_an_endless_exchange_of_any_mechanism_is_cancelled() {
    let credentials = || {
        [
            ("PLAIN", Credentials::password("user", "password").unwrap()),
            ("LOGIN", Credentials::password("user", "password").unwrap()),
            ("XOAUTH2", Credentials::xoauth2("user", "token").unwrap()),
        ]
    };
    for (index, (mechanism, _)) in credentials().iter().enumerate() {
        for challenge in [
            "334 \r\n",
            "334\r\n",
            "334 eHh4\r\n",
            "334 VXNlcm5hbWU6\r\n",
            "334 not base64!\r\n",
        ] {
            let config = Config::builder("client.test".parse().unwrap())
                .security(Security::Cleartext)
                .credentials(credentials()[index].1.clone())
                .dangerous_credentials_in_cleartext();
            let ehlo = format!("250-hi\r\n250 AUTH {mechanism}\r\n");
            let mut connection = brought_to(config.build().unwrap(), &["220 hi\r\n", &ehlo]);
            let mut challenges = 0;
            while !connection.is_closed() {
                connection.handle_input(NOW, challenge.as_bytes());
                send_all(&mut connection);
                challenges += 1;
                assert!(challenges < 10, "{mechanism} does not end");
            }
            assert!(connection.stats().bytes_sent() < 300);
            let error = error_of(&mut connection).unwrap();
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::Protocol(ProtocolError::WrongClass) | ErrorKind::Authentication(_)
                ),
                "{error:#}"
            );
        }
    }
}

#[test]
fn v22_a_challenge_may_be_longer_than_a_line_and_one_that_was_cut_is_cancelled() {
    let lines = "334-eHh4\r\n".repeat(300);
    let line = |bytes: usize| format!("334 {}\r\n", "eHh4".repeat(bytes / 4));
    for (challenge, fits) in [
        (line(12_000), true),
        (line(13_000), false),
        (lines + "334 eHh4\r\n", false),
    ] {
        let config = Config::builder("client.test".parse().unwrap())
            .security(Security::Cleartext)
            .credentials(Credentials::xoauth2("user", "token").unwrap())
            .dangerous_credentials_in_cleartext();
        let mut connection = brought_to(
            config.build().unwrap(),
            &["220 hi\r\n", "250-hi\r\n250 AUTH XOAUTH2\r\n"],
        );
        connection.handle_input(NOW, challenge.as_bytes());
        let said: Vec<u8> = match connection.poll_transmit(NOW) {
            Some(offer) => offer.iter().flatten().copied().collect(),
            None => Vec::new(),
        };
        assert_eq!(said, if fits { &b"\r\n"[..] } else { b"*\r\n" });
        connection.handle_sent(NOW, said.len());
        connection.handle_input(NOW, b"501 5.7.0 cancelled\r\n");
        let error = error_of(&mut connection).unwrap();
        let ErrorKind::Authentication(kind) = error.kind() else {
            panic!("{error:#}");
        };
        let cancelled = matches!(kind, AuthenticationError::Exchange(ExchangeError::TooLong));
        assert_eq!(cancelled, !fits, "{error:#}");
    }
}

#[test]
fn i10_the_rejections_that_are_kept_are_bounded_by_the_input_limit() {
    let recipients = (0..2000).map(|number| format!("r{number}@x.test"));
    let mut connection = Connection::new(
        Arc::new(config(ReplyLimits::default())),
        Seed::from_bytes([0; 32]),
    );
    let id = connection.submit(raw_mail("a@x.test", recipients, "hello\r\n").unwrap());
    let rejection = format!(
        "{}550 no\r\n",
        format!("550-{}\r\n", "x".repeat(114)).repeat(250)
    );
    let heap = allocation_counter::measure(|| {
        for reply in &REPLIES[..3] {
            connection.handle_input(NOW, reply.as_bytes());
            send_all(&mut connection);
        }
        while !connection.is_closed() {
            connection.handle_input(NOW, rejection.as_bytes());
            send_all(&mut connection);
        }
    });
    let received = connection.stats().bytes_received();
    assert!(
        heap.bytes_max < 2 * received,
        "{} bytes for {received}",
        heap.bytes_max
    );
    assert!(received < 2 << 20);
    assert_eq!(
        connection
            .poll_outcome(id)
            .answer()
            .unwrap()
            .recipients()
            .len(),
        2000
    );
}
