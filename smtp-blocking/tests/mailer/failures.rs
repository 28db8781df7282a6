//! Messages that get no connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use adapter_tests::common::secured;
use smtp_blocking::pool::Limit;
use smtp_blocking::{Credentials, ErrorKind, Mailer, PoolConfig, PoolError, SendError};
use smtp_test::{Action, Config, Server, Stage, Tls};

use super::{CloseOnDrop, LONG, numbered, single, start};

#[test]
fn a_wrong_password_is_told_at_once_and_the_next_attempt_waits() {
    let tls = Tls::new();
    let server = start(Config::new().tls(tls.clone()).user("alice", "correct"));
    let endpoint = secured::endpoint(&tls)
        .port(server.port())
        .credentials(Credentials::password("alice", "wrong").unwrap())
        .build()
        .unwrap();
    let mailer = Mailer::new(endpoint).with_max_wait(Duration::from_millis(20));
    let error = mailer.send(numbered(0)).unwrap_err();
    let PoolError::Connect(cause) = error.kind() else {
        panic!("{error}");
    };
    assert!(matches!(cause.kind(), ErrorKind::Authentication(_)));
    let error = mailer.send(numbered(1)).unwrap_err();
    let is_backoff = matches!(error.kind(), PoolError::Deadline(Limit::Backoff { .. }));
    assert!(is_backoff, "{error}");
    assert_eq!(mailer.stats().connect_failed, 1);
}

#[test]
fn a_message_that_waits_too_long_is_returned_with_the_reason() {
    let server = start(Config::new().on(Stage::EndOfData, Action::silent()));
    let mailer = single(&server);
    thread::scope(|scope| {
        let _close = CloseOnDrop(&mailer);
        let stuck = scope.spawn(|| mailer.send(numbered(0)));
        server.wait_for_mails(1, LONG);
        let hasty = mailer.clone().with_max_wait(Duration::from_millis(20));
        let error = hasty.send(numbered(1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no connection in time: the only connection is in use"
        );
        let mail = error.into_mail();
        assert_eq!(mail.sender().to_string(), numbered(1).sender().to_string());
        assert!(!mailer.close(Duration::ZERO));
        assert!(stuck.join().unwrap().unwrap().is_in_doubt());
    });
}

#[test]
fn too_many_messages_that_wait_are_an_error() {
    let server = start(Config::new().on(Stage::EndOfData, Action::silent()));
    let config = PoolConfig::new()
        .with_max_connections(1)
        .with_max_waiting(1);
    let mailer = Mailer::with_config(super::endpoint(&server), config);
    thread::scope(|scope| {
        let _close = CloseOnDrop(&mailer);
        let stuck = scope.spawn(|| mailer.send(numbered(0)));
        server.wait_for_mails(1, LONG);
        let waits = scope.spawn(|| mailer.send(numbered(1)));
        super::until(|| mailer.stats().waiting == 1);
        let limit = mailer.explain().unwrap();
        assert_eq!(limit.to_string(), "the only connection is in use");
        let error = mailer.send(numbered(2)).unwrap_err();
        assert!(matches!(error.kind(), PoolError::Full { limit: 1, .. }));
        assert!(!mailer.close(Duration::ZERO));
        assert!(stuck.join().unwrap().unwrap().is_in_doubt());
        let error = waits.join().unwrap().unwrap_err();
        assert_eq!(*error.kind(), PoolError::Closed);
    });
}

/// A server, and a mailer whose source of tokens panics at first.
fn panicking() -> (Server, Mailer) {
    let tls = Tls::new();
    let server = start(Config::new().tls(tls.clone()).token("alice", "t0k3n"));
    let calls = AtomicUsize::new(0);
    let source = move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => panic!("no token yet"),
        _ => Some("t0k3n".into()),
    };
    let endpoint = secured::endpoint(&tls)
        .port(server.port())
        .credentials(Credentials::token_provider("alice", source).unwrap())
        .build()
        .unwrap();
    let config = PoolConfig::new().with_max_connections(1);
    (server, Mailer::with_config(endpoint, config))
}

#[test]
fn a_panic_of_a_sender_gives_its_connection_up() {
    let (server, mailer) = panicking();
    let result = catch_unwind(AssertUnwindSafe(|| mailer.send(numbered(0))));
    assert!(result.is_err());
    assert_eq!((mailer.stats().connecting, mailer.stats().open), (0, 0));
    assert!(mailer.send(numbered(1)).unwrap().is_accepted());
    assert_eq!(super::stored(&server.log()).len(), 1);
}

#[test]
fn after_a_panic_of_the_thread_that_runs_the_mailer_callers_send_themselves() {
    let (server, mailer) = panicking();
    thread::scope(|scope| {
        let _close = CloseOnDrop(&mailer);
        let run = scope.spawn(|| catch_unwind(AssertUnwindSafe(|| mailer.run())));
        // Without its thread, the mailer takes none.
        let ticket = loop {
            match mailer.submit(numbered(0)) {
                Ok(ticket) => break ticket,
                Err(error) => assert_eq!(*error.kind(), PoolError::NoDriver),
            }
        };
        let result = mailer.outcome(ticket).unwrap();
        let error = result.map_err(SendError::into_mail).unwrap_err();
        assert!(run.join().unwrap().is_err());
        assert!(mailer.send(error).unwrap().is_accepted());
        assert!(mailer.outcome(ticket).is_none());
    });
    assert_eq!(super::stored(&server.log()).len(), 1);
}
