//! Freed memory holds no secret, also inside TLS, where rustls receives it as plaintext.
//!
//! A test program of its own, because its allocator searches every freed block.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;
use std::task::Poll;

use smtp_rustls::proto::sasl::{Login, Plain, XOAuth2};
use smtp_rustls::proto::{Credentials, Wire};
use smtp_rustls::{Endpoint, EndpointBuilder, TlsConfig, UrlError};
use smtp_test::{Config, Log, Machine, Output, Peer, TlsPeer};
use watched_heap::{CANARY, Canary, LONG_CANARY, WatchedHeap, unwatched, watch};

use common::NOW;

#[global_allocator]
static HEAP: WatchedHeap = WatchedHeap;

/// A way to log in: the mechanism that the server advertises, and the credentials made from the
/// secret.
type Way = (&'static str, fn(&'static str) -> Credentials);

const WAYS: [Way; 3] = [
    ("PLAIN", |secret| {
        let plain = Plain::new("alice", secret).unwrap();
        Credentials::from_mechanisms(vec![Arc::new(plain)])
    }),
    ("LOGIN", |secret| {
        let login = Login::new("alice", secret).unwrap();
        Credentials::from_mechanisms(vec![Arc::new(login)])
    }),
    ("XOAUTH2", |secret| {
        let token = XOAuth2::new("alice", secret).unwrap();
        Credentials::from_mechanisms(vec![Arc::new(token)])
    }),
];

#[test]
fn v37_freed_memory_holds_no_secret_wherever_a_login_inside_tls_ends() {
    let (server, client) = common::steady();
    let pair = (&server, &client);
    for canary in [CANARY, LONG_CANARY] {
        for way in WAYS {
            let whole = log_in(pair, way, canary, None);
            assert_eq!((whole.ready, whole.finds), (true, 0), "{}", way.0);
            for step in 0..whole.steps {
                let run = log_in(pair, way, canary, Some(step));
                assert_eq!(run.finds, 0, "{}: dropped at step {step}", way.0);
            }
        }
    }
}

#[test]
fn v37_no_freed_memory_holds_the_password_of_a_url_that_is_parsed_or_rejected() {
    let (_, trusted) = common::steady();
    for canary in [CANARY, LONG_CANARY] {
        let raw = canary.text().to_owned();
        let encoded: String = raw.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for password in [&raw, &encoded] {
            for (end, is_valid) in [
                ("@mail.test", true),
                ("@mail.test?auth=SCRAM-SHA-256", true),
                ("@mail.test?auth=XOAUTH2", true),
                ("@mail.test?auth=none", false),
                ("@mail.test?client_name=%20", false),
                ("@mail.test:0", false),
                ("%0D@mail.test", false),
                ("%FF@mail.test", false),
                ("%@mail.test", false),
                ("/@mail.test", false),
                ("", false),
            ] {
                let url = format!("smtps://alice:{password}{end}");
                let (parsed, finds) = watch(&canary, || {
                    let builder = EndpointBuilder::from_url(&url)?.tls(trusted.clone());
                    drop(builder.build().unwrap().session());
                    Ok::<(), UrlError>(())
                });
                assert_eq!((parsed.is_ok(), finds.count()), (is_valid, 0), "{end}");
            }
        }
    }
}

/// The result of a login.
struct Run {
    steps: usize,
    ready: bool,
    finds: usize,
}

/// Logs in, up to a step if one is given, and drops the client.
fn log_in(
    (tls, trusted): (&smtp_test::Tls, &TlsConfig),
    (mechanism, credentials): Way,
    canary: Canary,
    stop: Option<usize>,
) -> Run {
    let config = Config::new()
        .tls(tls.clone())
        .user("alice", canary.text())
        .token("alice", canary.text())
        .implicit_tls()
        .capabilities([format!("AUTH {mechanism}")]);
    let machine = Machine::with_log(&config, &Log::new());
    let mut server = TlsPeer::new(machine, tls.server_config());
    let mut steps = 0;
    let mut stops = || {
        steps += 1;
        stop == Some(steps - 1)
    };
    let (ready, finds) = watch(&canary, || {
        let endpoint = Endpoint::implicit("localhost")
            .tls(trusted.clone())
            .credentials(credentials(canary.text()))
            .build()
            .unwrap();
        let mut session = endpoint.session();
        loop {
            let mut moved = false;
            if let Some(transmit) = session.poll_transmit(NOW) {
                let bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
                let (first, second) = bytes.split_at(bytes.len() / 2);
                for part in [first, second] {
                    if stops() {
                        return false;
                    }
                    session.handle_sent(NOW, part.len());
                    unwatched(|| server.handle_input(part));
                }
                moved = true;
            }
            while let Some(output) = unwatched(|| server.poll_output()) {
                let Output::Write(bytes) = output else {
                    panic!("{output:?}");
                };
                if stops() {
                    return false;
                }
                session.handle_input(NOW, &bytes);
                moved = true;
            }
            if !moved {
                return matches!(session.smtp_mut().poll_ready(), Poll::Ready(Ok(())));
            }
        }
    });
    Run {
        steps,
        ready,
        finds: finds.count(),
    }
}
