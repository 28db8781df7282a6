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
use smtp_rustls::proto::{Credentials, Security, Wire};
use smtp_rustls::{Endpoint, EndpointBuilder, ProxyServer, Session, TlsConfig, UrlError};
use smtp_test::{Config, Log, Machine, Output, Peer, Proxy, TlsPeer};
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

#[test]
fn v37_no_freed_memory_holds_the_password_of_a_proxy_in_a_url() {
    let (_, trusted) = common::steady();
    for canary in [CANARY, LONG_CANARY] {
        // For the URL of the proxy, and for the parameter.
        let once: String = (canary.text().bytes())
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        let twice = once.replace('%', "%25");
        for (end, is_valid) in [
            ("%40proxy.test", true),
            ("%40proxy.test:0", false),
            ("%40proxy.test/path", false),
            ("%250D%40proxy.test", false),
            ("%25FF%40proxy.test", false),
            ("%25%40proxy.test", false),
            ("/%40proxy.test", false),
            ("%zz%40proxy.test", false),
            ("%40proxy.test&proxy=x", false),
        ] {
            let url = format!("smtps://mail.test?proxy=https://bob:{twice}{end}");
            let (parsed, finds) = watch(&canary, || {
                let builder = EndpointBuilder::from_url(&url)?;
                let builder = builder.tls(trusted.clone()).proxy_tls(trusted.clone());
                drop(builder.build().unwrap().session());
                Ok::<(), UrlError>(())
            });
            assert_eq!((parsed.is_ok(), finds.count()), (is_valid, 0), "{end}");
            let url = format!(
                "https://bob:{once}{}",
                end.replace("%40", "@").replace("%25", "%")
            );
            let (_, finds) = watch(&canary, || drop(ProxyServer::from_url(&url)));
            assert_eq!(finds.count(), 0, "{end}");
        }
    }
}

#[test]
fn v37_freed_memory_holds_no_password_of_a_proxy_that_is_reached_by_tls() {
    let (server, client) = common::steady();
    let canary = CANARY;
    let log_in = |stop: Option<usize>| {
        let proxy = Proxy::http().in_tls().login("bob", canary.text());
        let machine = Machine::with_log(&Config::new(), &Log::new());
        let mut server = TlsPeer::new(proxy.peer(machine), server.server_config());
        let mut steps = 0;
        let (ready, finds) = watch(&canary, || {
            let endpoint = Endpoint::builder("localhost")
                .security(Security::Cleartext)
                .proxy(ProxyServer::https("localhost").credentials("bob", canary.text()))
                .proxy_tls(client.clone())
                .build()
                .unwrap();
            drive(endpoint.session(), &mut server, || {
                steps += 1;
                stop == Some(steps - 1)
            })
        });
        Run {
            steps,
            ready,
            finds: finds.count(),
        }
    };
    let whole = log_in(None);
    assert_eq!((whole.ready, whole.finds), (true, 0));
    for step in 0..whole.steps {
        assert_eq!(log_in(Some(step)).finds, 0, "dropped at step {step}");
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
    let stops = || {
        steps += 1;
        stop == Some(steps - 1)
    };
    let (ready, finds) = watch(&canary, || {
        let endpoint = Endpoint::implicit("localhost")
            .tls(trusted.clone())
            .credentials(credentials(canary.text()))
            .build()
            .unwrap();
        drive(endpoint.session(), &mut server, stops)
    });
    Run {
        steps,
        ready,
        finds: finds.count(),
    }
}

/// Moves bytes until neither side has output, or `stops` returns `true`. Returns whether the client
/// is ready.
fn drive(mut session: Session, server: &mut impl Peer, mut stops: impl FnMut() -> bool) -> bool {
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
}
