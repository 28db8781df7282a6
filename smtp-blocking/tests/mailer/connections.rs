//! When a connection is used again, and when it is closed.

use std::thread;
use std::time::Duration;

use smtp_blocking::tls::ProxyServer;
use smtp_blocking::{Endpoint, Mailer, PoolConfig, Security};
use smtp_test::{Action, Config, Machine, Proxy, Server, Stage};

use super::{CloseOnDrop, LONG, endpoint, listening, mailer, numbered, single, start, stored};

#[test]
fn an_idle_connection_that_the_server_closed_costs_nothing() {
    let close = || Action::normal().then_close();
    let announced = Action::normal()
        .then("421 4.4.2 too long idle\r\n")
        .then_close();
    for (action, is_reset) in [(close(), false), (announced, false), (close(), true)] {
        let (listener, mailer) = listening();
        let mut peer = Machine::new(&Config::new().on(Stage::EndOfData, action));
        thread::scope(|scope| {
            let _close = CloseOnDrop(&mailer);
            let first = scope.spawn(|| mailer.send(numbered(0)));
            let (mut stream, _) = listener.accept().unwrap();
            smtp_test::serve(&mut peer, &mut stream).unwrap();
            assert!(first.join().unwrap().unwrap().is_accepted());
            if is_reset {
                let socket = socket2::SockRef::from(&stream);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
            drop(stream);
            let second = scope.spawn(|| mailer.send(numbered(1)));
            let (mut stream, _) = listener.accept().unwrap();
            let mut peer = Machine::new(&Config::new().on(Stage::EndOfData, close()));
            smtp_test::serve(&mut peer, &mut stream).unwrap();
            assert!(second.join().unwrap().unwrap().is_accepted());
        });
        let stats = mailer.stats();
        assert_eq!((stats.sent, stats.failed, stats.retried), (2, 0, 0));
    }
}

#[test]
fn a_message_lost_on_a_used_connection_is_sent_again_once() {
    let config = Config::new().on(Stage::Mail.nth(2).connection(1), Action::close());
    let server = start(config);
    let mailer = single(&server);
    for number in 0..3 {
        assert!(mailer.send(numbered(number)).unwrap().is_accepted());
    }
    let stats = mailer.stats();
    assert_eq!((stats.sent, stats.retried, stats.connected), (3, 1, 2));
    assert_eq!(stored(&server.log()).len(), 3);
}

#[test]
fn a_message_lost_on_a_fresh_connection_is_not_sent_again() {
    let server = start(Config::new().on(Stage::Mail, Action::close()));
    let mailer = single(&server);
    let outcome = mailer.send(numbered(0)).unwrap();
    assert!(!outcome.is_accepted() && outcome.retry().is_some());
    let stats = mailer.stats();
    assert_eq!((stats.failed, stats.retried, stats.connected), (1, 0, 1));
}

#[test]
fn a_message_in_doubt_is_not_sent_again() {
    let action = Action::silent().then_close();
    let server = start(Config::new().on(Stage::EndOfData.nth(2), action));
    let mailer = single(&server);
    assert!(mailer.send(numbered(0)).unwrap().is_accepted());
    assert!(mailer.send(numbered(1)).unwrap().is_in_doubt());
    let stats = mailer.stats();
    assert_eq!((stats.in_doubt, stats.connected), (1, 1));
}

#[test]
fn a_full_connection_ends_by_quit() {
    let server = start(Config::new());
    let config = PoolConfig::new()
        .with_max_connections(1)
        .with_max_messages(2);
    let mailer = Mailer::with_config(endpoint(&server), config);
    for number in 0..5 {
        assert!(mailer.send(numbered(number)).unwrap().is_accepted());
    }
    let sessions = server.wait_for_sessions(2, LONG);
    assert!(sessions[..2].iter().all(|session| session.quit()));
    assert_eq!(mailer.stats().connected, 3);
    server.log().assert_clean();
}

#[test]
fn the_last_handle_ends_idle_connections() {
    let server = start(Config::new());
    let mailer = mailer(&server);
    let other = mailer.clone();
    assert!(mailer.send(numbered(0)).unwrap().is_accepted());
    drop(mailer);
    assert_eq!(other.stats().idle, 1);
    drop(other);
    assert!(server.wait_for_sessions(1, LONG)[0].quit());
    server.log().assert_clean();
}

#[test]
fn an_idle_connection_is_closed_in_time_while_a_thread_runs_the_mailer() {
    let server = start(Config::new());
    let config = PoolConfig::new().with_idle_timeout(Duration::from_millis(20));
    let mailer = Mailer::with_config(endpoint(&server), config);
    thread::scope(|scope| {
        let _close = CloseOnDrop(&mailer);
        scope.spawn(|| mailer.run());
        assert!(mailer.send(numbered(0)).unwrap().is_accepted());
        assert!(server.wait_for_sessions(1, LONG)[0].quit());
        assert!(mailer.close(LONG));
    });
}

#[test]
fn messages_that_wait_are_told_of_a_failed_attempt_at_once() {
    // The greeting is sent when the others wait.
    let (listener, mailer) = listening();
    thread::scope(|scope| {
        let _close = CloseOnDrop(&mailer);
        let waiting: Vec<_> = (0..8)
            .map(|number| {
                let mailer = &mailer;
                scope.spawn(move || mailer.send(numbered(number)))
            })
            .collect();
        super::until(|| (mailer.stats().connecting, mailer.stats().waiting) == (1, 7));
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"554 5.7.1 not here\r\n").unwrap();
        drop(stream);
        for thread in waiting {
            let error = thread.join().unwrap().unwrap_err();
            assert!(error.to_string().contains("554"), "{error}");
        }
    });
    let stats = mailer.stats();
    assert_eq!((stats.connect_failed, stats.unserved), (1, 8));
}

#[test]
fn connections_are_opened_through_the_proxy_of_the_endpoint() {
    let proxy = Proxy::socks5().login("bob", "secret");
    let server = Server::behind_proxy(&proxy, None, Config::new()).unwrap();
    let by = |password| {
        let proxy = ProxyServer::socks5("localhost").port(server.port());
        Endpoint::builder("mail.invalid")
            .security(Security::Cleartext)
            .proxy(proxy.credentials("bob", password))
            .build()
            .unwrap()
    };
    let mailer = Mailer::new(by("secret"));
    for number in 0..3 {
        assert!(mailer.send(numbered(number)).unwrap().is_accepted());
    }
    assert!(mailer.close(LONG));
    assert_eq!(proxy.requests(), ["mail.invalid:25"]);

    let error = Mailer::new(by("other")).send(numbered(3)).unwrap_err();
    let shown = format!("{error:#}");
    assert!(shown.contains("rejected the login"), "{shown}");
    assert_eq!(proxy.requests().len(), 1);
}
