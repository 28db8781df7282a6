//! V42: input that arrives while no reply is pending is read before more is sent.

use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use smtp_proto::{
    Command, ContentStatus, Error, ErrorKind, Outcome, Pipelining, ProtocolError, RecipientStatus,
    Security, Timeouts,
};
use smtp_test::{Config, Output, Tls};

use super::host::Host;
use super::{Adapter, wait_for_input};
use crate::common::secured::endpoint;
use crate::common::{mail, streamed};
use crate::invariants::cause;

/// What arrives while a client is idle, and how its next message fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// A reply of this code, which is unexpected.
    Reply(u16),
    /// A reply of this code, with which the server closes.
    Farewell(u16),
    HalfReply,
    Nul,
    End,
    Reset,
}

const CAME: [Came; 8] = [
    Came::Reply(250),
    Came::Reply(550),
    Came::Farewell(421),
    Came::Farewell(221),
    Came::HalfReply,
    Came::Nul,
    Came::End,
    Came::Reset,
];

const LEVELS: [Pipelining; 4] = [
    Pipelining::Off,
    Pipelining::Envelope,
    Pipelining::Transactions,
    Pipelining::Speculative,
];

impl Came {
    fn output(self) -> Output {
        match self {
            Self::Reply(code) | Self::Farewell(code) => {
                Output::Write(format!("{code} surplus\r\n").into_bytes())
            }
            Self::HalfReply => Output::Write(b"25".to_vec()),
            Self::Nul => Output::Write(b"\0".to_vec()),
            Self::End => Output::Close,
            Self::Reset => Output::Reset,
        }
    }

    /// Checks the error of the next message against what arrived.
    #[track_caller]
    fn check(self, error: &Error, case: &str) {
        assert!(error.is_transient(), "{case}: {error:#}");
        let error = cause(error);
        let code = error.reply().map(|reply| reply.code().as_u16());
        let (right, said) = match self {
            Self::Reply(code) => (is_unexpected(error), Some(code)),
            Self::Farewell(code) => (
                matches!(error.kind(), ErrorKind::ConnectionLost),
                Some(code),
            ),
            Self::HalfReply | Self::Nul => (is_unexpected(error), None),
            Self::End => (matches!(error.kind(), ErrorKind::ConnectionLost), None),
            Self::Reset => (matches!(error.kind(), ErrorKind::Transport(_)), None),
        };
        assert!(right && code == said, "{case}: {error:?}");
    }
}

fn is_unexpected(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Protocol(ProtocolError::UnexpectedReply | ProtocolError::Reply(_))
    )
}

/// How the clients of these tests differ.
#[derive(Clone, Copy, Debug)]
struct Way {
    level: Pipelining,
    chunking: bool,
    secure: bool,
}

impl Way {
    fn all() -> impl Iterator<Item = Self> {
        LEVELS.into_iter().flat_map(|level| {
            [(false, false), (false, true), (true, false), (true, true)].map(
                |(chunking, secure)| Self {
                    level,
                    chunking,
                    secure,
                },
            )
        })
    }

    fn begin<A: Adapter>(self, tls: &Tls) -> (Host, A) {
        let mut config = Config::new();
        if !self.chunking {
            config = config.without("CHUNKING");
        }
        let (host, security) = if self.secure {
            let config = config.tls(tls.clone()).implicit_tls();
            (Host::start(&config, Some(tls)), Security::Implicit)
        } else {
            (Host::start(&config, None), Security::Cleartext)
        };
        let endpoint = endpoint(tls)
            .security(security)
            .port(host.address().port())
            .pipelining(self.level)
            .timeouts(Timeouts::default().with_drain(DRAIN))
            .build()
            .unwrap();
        let client = A::connect(&endpoint, host.address()).unwrap();
        (host, client)
    }
}

/// The size of an encrypted alert in bytes (RFC 8446, section 5).
const ALERT: usize = 24;

/// A connection to a server that sends nothing more.
struct Silenced {
    host: Host,
    way: Way,
    commands: Vec<String>,
    received: usize,
}

impl Silenced {
    /// Sends something to an idle client, and returns when it can be read.
    fn say(host: Host, socket: &TcpStream, way: Way, came: Came) -> Self {
        let (commands, received) = (host.commands(), host.received());
        host.say(came.output());
        wait_for_input(socket);
        Self {
            host,
            way,
            commands,
            received,
        }
    }

    /// Asserts, after the client was dropped, that the server has received nothing since.
    #[track_caller]
    fn check(self, case: &str) {
        let (received, log) = self.host.finish();
        assert_eq!(log.session().commands(), self.commands, "{case}");
        let more = received.len() - self.received;
        let most = if self.way.secure { ALERT } else { 0 };
        assert!(more <= most, "{case}: {more} bytes more were sent");
    }
}

#[track_caller]
fn not_sent<'a>(outcome: &'a Outcome, case: &str) -> &'a Error {
    let mut error = None;
    for delivery in outcome.recipients() {
        match delivery.status() {
            RecipientStatus::NotSent(why) => error = Some(why),
            fate => panic!("{case}: {fate:#}"),
        }
    }
    error.expect("a message has a recipient")
}

pub fn v42_nothing_is_sent_behind_what_came_while_idle<A: Adapter>() {
    let tls = Tls::new();
    for way in Way::all() {
        for came in CAME {
            let case = format!("{came:?}, {way:?}");
            let (host, mut client) = way.begin::<A>(&tls);
            assert!(client.send(mail()).is_accepted(), "{case}");
            let silenced = Silenced::say(host, &client.socket(), way, came);
            let outcome = client.send(mail());
            came.check(not_sent(&outcome, &case), &case);
            // All further messages fail, too.
            came.check(not_sent(&client.send(mail()), &case), &case);
            assert_eq!(silenced.host.mail_count(), 1, "{case}");
            drop(client);
            silenced.check(&case);
        }
    }
}

pub fn v42_a_reply_that_is_whole_only_later_is_as_fatal<A: Adapter>() {
    for secure in [false, true] {
        let tls = Tls::new();
        let way = Way {
            level: Pipelining::Envelope,
            chunking: true,
            secure,
        };
        let (host, mut client) = way.begin::<A>(&tls);
        assert!(client.send(mail()).is_accepted());
        let silenced = Silenced::say(host, &client.socket(), way, Came::HalfReply);
        let id = client.submit(mail());
        silenced.host.say(Output::Write(b"0 surplus\r\n".to_vec()));
        let outcome = client.outcome(id);
        let error = not_sent(&outcome, "half a reply");
        assert!(
            error.is_transient() && is_unexpected(cause(error)),
            "{error:#}"
        );
        drop(client);
        silenced.check("half a reply");
    }
}

pub fn v42_nothing_is_sent_behind_what_came_behind_a_batch<A: Adapter>() {
    let tls = Tls::new();
    for way in Way::all() {
        for came in [
            Came::Reply(250),
            Came::Reply(550),
            Came::Farewell(221),
            Came::End,
        ] {
            let case = format!("{came:?}, {way:?}");
            let (host, mut client) = way.begin::<A>(&tls);
            let (mut host, mut silenced) = (Some(host), None);
            let mut told = 0;
            // The last outcome was returned, and the caller waits before it asks for more.
            let socket = client.socket();
            let outcomes = client.send_all(vec![mail(); 3], || {
                told += 1;
                if told == 3 {
                    let host = host.take().unwrap();
                    silenced = Some(Silenced::say(host, &socket, way, came));
                }
            });
            assert_eq!(outcomes.len(), 3, "{case}");
            assert!(outcomes.iter().all(Outcome::is_accepted), "{case}");
            let outcomes = client.send_all(vec![mail(); 2], || {});
            assert!(!outcomes.is_empty(), "{case}");
            for outcome in &outcomes {
                came.check(not_sent(outcome, &case), &case);
            }
            drop(client);
            drop(socket);
            silenced.unwrap().check(&case);
        }
    }
}

pub fn v42_nothing_is_sent_behind_what_came_between_two_pieces<A: Adapter>() {
    let tls = Tls::new();
    let lines = ("x".repeat(998) + "\r\n").repeat(PIECES);
    let piece = Bytes::from(format!("Subject: long\r\n\r\n{lines}"));
    for way in Way::all() {
        for came in CAME {
            let case = format!("{came:?}, {way:?}");
            let (host, mut client) = way.begin::<A>(&tls);
            let id = client.submit(streamed());
            for _ in 0..2 {
                assert_eq!(client.body(id).unwrap(), ContentStatus::Wanted);
                client.write_content(id, piece.clone());
            }
            // The next piece is wanted after the first was sent.
            assert_eq!(client.body(id).unwrap(), ContentStatus::Wanted);
            host.wait_for(piece.len());
            let silenced = Silenced::say(host, &client.socket(), way, came);
            client.write_content(id, piece.clone());
            client.finish_content(id);
            let outcome = client.outcome(id);
            let error = cause(not_sent(&outcome, &case));
            let code = error.reply().map(|reply| reply.code().as_u16());
            if let Came::Reply(said) | Came::Farewell(said) = came {
                assert_eq!(code, Some(said), "{case}: {error:#}");
            }
            drop(client);
            assert_eq!(silenced.host.finish().1.mail_count(), 0, "{case}");
        }
    }
}

pub fn v42_nothing_is_asked_behind_what_came_while_idle<A: Adapter>() {
    let tls = Tls::new();
    for secure in [false, true] {
        let way = Way {
            level: Pipelining::Envelope,
            chunking: true,
            secure,
        };
        for came in CAME {
            let case = format!("{came:?}, {way:?}");
            let (host, mut client) = way.begin::<A>(&tls);
            let silenced = Silenced::say(host, &client.socket(), way, came);
            let error = client
                .command(Command::custom("NOOP", None).unwrap())
                .unwrap_err();
            came.check_own(&error, &case);
            drop(client);
            silenced.check(&case);

            let (host, client) = way.begin::<A>(&tls);
            let silenced = Silenced::say(host, &client.socket(), way, came);
            match (came, client.quit()) {
                // The client ends the connection anyway.
                (Came::Farewell(_) | Came::End | Came::Reset, ended) => {
                    ended.unwrap_or_else(|error| panic!("{case}: {error:#}"));
                }
                (_, ended) => came.check_own(&ended.unwrap_err(), &case),
            }
            silenced.check(&case);
        }
    }
}

impl Came {
    /// The same for the error of the connection, which may be permanent.
    #[track_caller]
    fn check_own(self, error: &Error, case: &str) {
        let code = error.reply().map(|reply| reply.code().as_u16());
        let right = match self {
            Self::Reply(said) => {
                is_unexpected(cause(error))
                    && cause(error)
                        .reply()
                        .is_some_and(|reply| reply.code() == said)
            }
            Self::Farewell(said) => {
                matches!(error.kind(), ErrorKind::ConnectionLost) && code == Some(said)
            }
            Self::HalfReply | Self::Nul => is_unexpected(cause(error)),
            Self::End => matches!(error.kind(), ErrorKind::ConnectionLost),
            Self::Reset => matches!(error.kind(), ErrorKind::Transport(_)),
        };
        assert!(right, "{case}: {error:?}");
    }
}

/// The lines of a piece, of 1000 bytes each: more than is held at a time.
const PIECES: usize = 100;

/// How long the rest of a reply, which never comes, is waited for.
const DRAIN: Duration = Duration::from_millis(20);
