//! No freed memory holds a secret, whether a login succeeds or ends in the middle.
//!
//! A test program of its own, because its allocator searches every block that is freed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

use std::io;
use std::sync::Arc;
use std::task::Poll;

#[cfg(feature = "scram")]
use smtp_proto::sasl::Scram;
use smtp_proto::sasl::{Login, Mechanism, OAuthBearer, Plain, XOAuth2};
use smtp_proto::{
    Config, Connection, Credentials, Secret, Security, Seed, Time, TlsInfo, Transmit,
};
use smtp_test::{Machine, Output, Peer};
use watched_heap::{CANARY, Canary, LONG_CANARY, WatchedHeap, unwatched, watch};

#[global_allocator]
static HEAP: WatchedHeap = WatchedHeap;

/// Credentials for one mechanism: its name, and how they are made of the secret.
type Way = (&'static str, fn(&'static str) -> Credentials);

const WAYS: &[Way] = &[
    ("PLAIN", |secret| of(Plain::new("alice", secret).unwrap())),
    ("PLAIN", |secret| {
        let plain = Plain::new("alice", secret.to_owned()).unwrap();
        of(plain.authorize_as("bob").unwrap())
    }),
    ("PLAIN", password),
    ("PLAIN", |secret| {
        password(secret).without_initial_response()
    }),
    ("LOGIN", |secret| {
        of(Login::new("alice", secret.as_bytes().to_vec()).unwrap())
    }),
    ("LOGIN", password),
    ("XOAUTH2", |secret| {
        of(XOAuth2::new("alice", secret).unwrap())
    }),
    ("XOAUTH2", |secret| {
        Credentials::token("alice", secret.to_owned()).unwrap()
    }),
    ("XOAUTH2", source),
    ("OAUTHBEARER", |secret| {
        of(OAuthBearer::new("alice", secret).unwrap())
    }),
    ("OAUTHBEARER", source),
    ("OAUTHBEARER", fetched),
    ("XOAUTH2", fetched),
    #[cfg(feature = "scram")]
    ("SCRAM-SHA-1", |secret| scram(Scram::sha1("alice", secret))),
    #[cfg(feature = "scram")]
    ("SCRAM-SHA-256", |secret| {
        scram(Scram::sha256("alice", secret))
    }),
    #[cfg(feature = "scram")]
    ("SCRAM-SHA-512-PLUS", |secret| {
        scram(Scram::sha512("alice", secret).map(Scram::plus))
    }),
    #[cfg(feature = "legacy")]
    ("CRAM-MD5", |secret| {
        of(smtp_proto::sasl::CramMd5::new("alice", secret).unwrap())
    }),
];

/// How a login ends in the middle.
#[derive(Clone, Copy, Debug)]
enum End {
    Dropped,
    Eof,
    ReadError,
    WriteError,
    Timeout,
    Says(&'static str),
}

const ENDS: &[End] = &[
    End::Dropped,
    End::Eof,
    End::ReadError,
    End::WriteError,
    End::Timeout,
    End::Says("535 5.7.8 no\r\n"),
    End::Says("421 4.3.2 down\r\n"),
    End::Says("235 2.7.0 welcome\r\n"),
    End::Says("334 not base64!\r\n"),
    End::Says("334-a\r\n334 b\r\n"),
    End::Says("334 eHh4\r\n"),
    End::Says("334 \r\n334 \r\n334 \r\n334 \r\n"),
    End::Says("334 \r\n535 5.7.8 no\r\n"),
    End::Says("nonsense\r\n"),
];

#[test]
fn v37_no_freed_memory_holds_the_secret_of_a_successful_login() {
    for canary in [CANARY, LONG_CANARY] {
        for &(mechanism, credentials) in WAYS {
            let run = Run::new(mechanism, canary).go(credentials, None);
            assert!(run.ready, "{mechanism}");
            run.check(mechanism, "a login that goes well");
        }
    }
}

#[test]
fn v37_no_freed_memory_holds_the_secret_wherever_a_login_ends() {
    for canary in [CANARY, LONG_CANARY] {
        for &(mechanism, credentials) in WAYS {
            let steps = Run::new(mechanism, canary).go(credentials, None).steps;
            for step in 0..steps {
                for &end in ENDS {
                    let run = Run::new(mechanism, canary).go(credentials, Some((step, end)));
                    run.check(mechanism, &format!("{end:?} at step {step} of {steps}"));
                }
            }
        }
    }
}

#[test]
fn v37_rejected_credentials_leave_nothing_behind() {
    let (_, finds) = watch(&CANARY, || {
        for bad in ["\0", "\u{1}"] {
            // Owned, so that the crate wipes it; the buffer of the formatting does not grow.
            let secret = || {
                let mut secret = String::with_capacity(100);
                secret.push_str(CANARY.text());
                secret.push_str(bad);
                Secret::from(secret)
            };
            let _ = Plain::new("alice", secret()).map(of);
            let _ = Login::new("alice", secret()).map(of);
            let _ = XOAuth2::new("alice", secret()).map(of);
            let _ = OAuthBearer::new("alice", secret()).map(of);
            let _ = Credentials::password("alice", secret());
            let _ = Credentials::token("alice", secret());
            let mut run = unwatched(|| Run::new("XOAUTH2", CANARY));
            let config = Config::builder("client.test".parse().unwrap())
                .security(Security::Implicit)
                .credentials(fetched(""))
                .build()
                .unwrap();
            let mut connection = Connection::new(Arc::new(config), Seed::from_bytes([7; 32]));
            // Up to the request, after greeting, EHLO and its reply in two halves each.
            assert!(run.converse(&mut connection, Some(6)));
            connection.provide_token(secret()).unwrap_err();
            unwatched(|| drop(run));
        }
    });
    assert_eq!(finds.count(), 0);
}

#[test]
fn sent_bytes_are_seen_by_this_allocator() {
    // Otherwise the tests above would pass for the wrong reason: the lines with the secret are in
    // its memory.
    for &(mechanism, credentials) in WAYS {
        let run = Run::new(mechanism, CANARY).go(credentials, None);
        let proves = mechanism.starts_with("SCRAM") || mechanism.starts_with("CRAM");
        assert_ne!(run.sent_secret, proves, "{mechanism}");
    }
    let ((), finds) = watch(&CANARY, || drop(CANARY.text().to_owned()));
    assert_eq!(finds.count(), 1);
}

/// A login, from the first byte to the last, with every allocation of the client watched.
struct Run {
    canary: Canary,
    server: Machine,
    steps: usize,
    ready: bool,
    sent_secret: bool,
    finds: usize,
}

impl Run {
    fn new(mechanism: &str, canary: Canary) -> Self {
        let config = smtp_test::Config::new()
            .user("alice", canary.text())
            .token("alice", canary.text())
            .implicit_tls()
            .scram(smtp_test::Scram::new().iterations(1))
            .capabilities([format!("AUTH {mechanism}")]);
        Self {
            canary,
            server: Machine::new(&config),
            steps: 0,
            ready: false,
            sent_secret: false,
            finds: 0,
        }
    }

    fn go(
        mut self,
        credentials: fn(&'static str) -> Credentials,
        end: Option<(usize, End)>,
    ) -> Self {
        let canary = self.canary;
        let ((), finds) = watch(&canary, || {
            let config = Config::builder("client.test".parse().unwrap())
                .security(Security::Implicit)
                .credentials(credentials(canary.text()))
                .build()
                .unwrap();
            let mut connection = Connection::new(Arc::new(config), Seed::from_bytes([7; 32]));
            if self.converse(&mut connection, end.map(|(step, _)| step))
                && let Some((_, end)) = end
            {
                Self::end(&mut connection, end);
            }
        });
        self.finds = finds.count();
        self
    }

    /// Drives up to a step, or to the end; returns whether the step was reached.
    fn converse(&mut self, connection: &mut Connection, stop: Option<usize>) -> bool {
        loop {
            let mut moved = false;
            if let Some(offer) = connection.poll_transmit(Time::ORIGIN) {
                let bytes = Taken::new(&offer);
                self.sent_secret |= self.canary.is_in(&bytes.0);
                // One half first: what is sent then is before the rest.
                for part in halves(&bytes.0) {
                    if self.step(stop) {
                        return true;
                    }
                    connection.handle_sent(Time::ORIGIN, part.len());
                    unwatched(|| self.server.handle_input(part));
                }
                moved = true;
            }
            if unwatched(|| self.server.poll_upgrade()) {
                let facts = TlsInfo::new().with_exporter(vec![9; 32]);
                let upgrade = connection.begin_tls(Time::ORIGIN).unwrap();
                upgrade.complete(Time::ORIGIN, facts);
                unwatched(|| {
                    let facts = smtp_test::TlsInfo::pretended();
                    self.server
                        .handle_tls(facts.with_binding("tls-exporter", [9; 32]));
                });
                moved = true;
            }
            while let Some(output) = unwatched(|| self.server.poll_output()) {
                let Output::Write(bytes) = output else {
                    panic!("{output:?}");
                };
                for part in halves(&bytes) {
                    if self.step(stop) {
                        return true;
                    }
                    connection.handle_input(Time::ORIGIN, part);
                }
                moved = true;
            }
            if let Poll::Ready(Ok(Some(_))) = connection.poll_token() {
                if self.step(stop) {
                    return true;
                }
                let token = Secret::from(self.canary.text());
                connection.provide_token(token).unwrap();
                // A look for input, without which nothing is sent.
                assert!(connection.poll_transmit(Time::ORIGIN).is_none());
                connection.handle_timeout(Time::ORIGIN);
                moved = true;
            }
            if !moved {
                self.ready = matches!(connection.poll_ready(), Poll::Ready(Ok(())));
                return false;
            }
        }
    }

    fn step(&mut self, stop: Option<usize>) -> bool {
        let here = Some(self.steps) == stop;
        self.steps += 1;
        here
    }

    fn end(connection: &mut Connection, end: End) {
        let now = Time::ORIGIN;
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset).into();
        match end {
            End::Dropped => return,
            End::Eof => connection.handle_eof(now),
            End::ReadError => connection.handle_read_error(now, reset()),
            End::WriteError => connection.handle_write_error(now, reset()),
            End::Timeout => {
                if let Some(until) = connection.poll_timeout() {
                    connection.handle_timeout(until);
                }
            }
            End::Says(bytes) => {
                for line in bytes.split_inclusive('\n') {
                    if let Some(count) = connection.poll_transmit(now).map(|offer| offer.len()) {
                        connection.handle_sent(now, count);
                    }
                    connection.handle_input(now, line.as_bytes());
                }
            }
        }
        let _ = connection.poll_transmit(now);
        let _ = connection.poll_ready();
    }

    fn check(&self, mechanism: &str, what: &str) {
        assert_eq!(self.finds, 0, "{mechanism}: {what}");
    }
}

/// The test's own copy of the output.
struct Taken(Vec<u8>);

impl Taken {
    fn new(offer: &Transmit<'_>) -> Self {
        unwatched(|| Self(offer.iter().flatten().copied().collect()))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        unwatched(|| drop(std::mem::take(&mut self.0)));
    }
}

fn of(mechanism: impl Mechanism + 'static) -> Credentials {
    Credentials::from_mechanisms(vec![Arc::new(mechanism)])
}

fn password(secret: &'static str) -> Credentials {
    Credentials::password("alice", secret).unwrap()
}

/// With the fewest iterations.
#[cfg(feature = "scram")]
fn scram(made: Result<Scram, smtp_proto::sasl::CredentialsError>) -> Credentials {
    of(made.unwrap().iterations(1..=1))
}

fn source(secret: &'static str) -> Credentials {
    Credentials::token_provider("alice", move |_| Some(secret.into())).unwrap()
}

fn fetched(_: &'static str) -> Credentials {
    Credentials::fetched_token("alice").unwrap()
}

fn halves(bytes: &[u8]) -> [&[u8]; 2] {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    [first, second]
}
