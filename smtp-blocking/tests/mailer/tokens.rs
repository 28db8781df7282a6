//! Tokens that are fetched: one thread fetches for all.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use adapter_tests::common::secured;
use adapter_tests::token::{logins, waiting};
use smtp_blocking::proto::sasl::TokenRequest;
use smtp_blocking::proto::{AuthenticationError, Timeout};
use smtp_blocking::{
    Client, Credentials, Endpoint, ErrorKind, Mailer, PoolConfig, Timeouts, TokenError,
    TokenSource, send_with_tokens,
};
use smtp_test::{Config, Server, Tls};

use super::{numbered, start};

const LIMIT: Duration = Duration::from_millis(200);

/// A server that accepts the token `good` of alice, and its endpoint.
fn server(timeouts: Timeouts) -> (Server, Endpoint) {
    let tls = Tls::new();
    let server = start(Config::new().tls(tls.clone()).token("alice", "good"));
    let endpoint = secured::endpoint(&tls)
        .port(server.port())
        .timeouts(timeouts)
        .credentials(Credentials::fetched_token("alice").unwrap())
        .build()
        .unwrap();
    (server, endpoint)
}

#[test]
fn a_hundred_connections_want_a_token_and_one_thread_fetches_it() {
    const COUNT: usize = 100;
    let (server, endpoint) = server(Timeouts::submission());
    let fetches = Arc::new(AtomicUsize::new(0));
    let (log, count) = (server.log(), Arc::clone(&fetches));
    let tokens = TokenSource::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        // It answers when all of them wait.
        while waiting(&log) < COUNT {
            thread::yield_now();
        }
        io::Result::Ok("good")
    });
    let config = PoolConfig::new().with_max_connections(100);
    let mailer = Mailer::with_tokens(endpoint, config, tokens);
    thread::scope(|scope| {
        let mailer = &mailer;
        let senders: Vec<_> = (0..COUNT)
            .map(|number| scope.spawn(move || mailer.send(numbered(number))))
            .collect();
        for sender in senders {
            assert!(sender.join().unwrap().unwrap().is_accepted());
        }
    });
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
    assert_eq!(logins(&server.log()), COUNT);
}

#[test]
fn a_rejected_token_is_refreshed_once() {
    let (server, endpoint) = server(Timeouts::submission());
    for (refreshed, is_accepted) in [("good", true), ("ended", false)] {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let tokens = TokenSource::new(move |request| {
            kept.lock().unwrap().push(request);
            io::Result::Ok(match request {
                TokenRequest::Refreshed => refreshed,
                _ => "ended",
            })
        });
        let sent = send_with_tokens(&endpoint, numbered(0), &tokens);
        match sent {
            Ok(outcome) => assert!(is_accepted && outcome.is_accepted()),
            Err(error) => {
                let ErrorKind::Authentication(AuthenticationError::TokenSource(source)) =
                    error.kind()
                else {
                    panic!("{error:#}");
                };
                let same = Some(&TokenError::SameToken);
                assert_eq!(source.get_ref().downcast_ref(), same);
                assert!(!is_accepted);
            }
        }
        let requests = requests.lock().unwrap();
        assert_eq!(*requests, [TokenRequest::Cached, TokenRequest::Refreshed]);
    }
    assert_eq!(logins(&server.log()), 3);
}

#[test]
fn a_thread_that_waits_for_another_has_the_time_of_its_connection() {
    let (server, endpoint) = server(Timeouts::submission().with_token(LIMIT));
    let failed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&failed);
    // The first to fetch answers when the other has given up.
    let tokens = TokenSource::new(move |_| {
        while count.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        io::Result::Ok("good")
    });
    thread::scope(|scope| {
        let connect = || {
            let connected = Client::connect_with_tokens(&endpoint, &tokens);
            failed.fetch_add(1, Ordering::SeqCst);
            connected.map(drop)
        };
        for thread in [scope.spawn(connect), scope.spawn(connect)] {
            let error = thread.join().unwrap().unwrap_err();
            // The one that fetched was too late for its own connection.
            let kind = error.kind();
            assert!(
                matches!(kind, ErrorKind::Timeout(Timeout::Token)),
                "{error:#}"
            );
        }
    });
    assert_eq!(logins(&server.log()), 0);
    // The token is kept for the next.
    let client = Client::connect_with_tokens(&endpoint, &tokens).unwrap();
    client.quit().unwrap();
}

#[test]
fn another_thread_fetches_after_a_panic_of_the_source() {
    let (server, endpoint) = server(Timeouts::submission());
    let calls = AtomicUsize::new(0);
    let log = server.log();
    let tokens = TokenSource::new(move |_| {
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            while waiting(&log) < 2 {
                thread::yield_now();
            }
            panic!("no token yet");
        }
        io::Result::Ok("good")
    });
    thread::scope(|scope| {
        let connect = || {
            catch_unwind(AssertUnwindSafe(|| {
                Client::connect_with_tokens(&endpoint, &tokens).map(drop)
            }))
        };
        let threads = [scope.spawn(connect), scope.spawn(connect)];
        let results = threads.map(|thread| thread.join().unwrap());
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
        assert_eq!(
            results
                .iter()
                .filter(|result| matches!(result, Ok(Ok(()))))
                .count(),
            1
        );
    });
}

#[test]
fn a_client_over_a_stream_gets_its_token() {
    let (server, endpoint) = server(Timeouts::submission());
    let stream = std::net::TcpStream::connect(server.addr()).unwrap();
    let mut client = Client::from_stream(stream, endpoint.session());
    let tokens = TokenSource::new(|_| io::Result::Ok("good"));
    client.ready_with_tokens(&tokens).unwrap();
    assert!(client.send(numbered(0)).unwrap().is_accepted());
}

#[test]
fn a_client_without_a_source_does_not_wait_for_a_token() {
    let hour = Duration::from_secs(3600);
    let (server, endpoint) = server(Timeouts::submission().with_token(hour));
    let error = Client::connect(&endpoint).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Misuse(_)), "{error:#}");
    assert!(server.log().session().quit());
}
