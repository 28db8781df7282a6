//! Closing the mailer.

use std::thread;
use std::time::Duration;

use smtp_blocking::{ErrorKind, PoolError};
use smtp_test::{Action, Config, Stage};

use super::{CloseOnDrop, LONG, listening, mailer, numbered, single, start, until};

#[test]
fn a_closed_mailer_takes_nothing_and_has_ended_its_connections() {
    let server = start(Config::new());
    let mailer = mailer(&server);
    assert!(mailer.send(numbered(0)).unwrap().is_accepted());
    assert!(mailer.close(LONG));
    assert!(server.wait_for_sessions(1, LONG)[0].quit());
    let error = mailer.send(numbered(1)).unwrap_err();
    assert_eq!(*error.kind(), PoolError::Closed);
    assert_eq!(mailer.check().unwrap_err(), PoolError::Closed);
    let mut all = mailer.send_all([numbered(2)]);
    assert!(matches!(all.next(), Some((0, Err(_)))));
    assert!(mailer.close(Duration::ZERO), "it is closed already");
}

#[test]
fn a_message_that_is_being_sent_ends_before_the_mailer_is_closed() {
    // The server replies when it is told to.
    let (listener, mailer) = listening();
    thread::scope(|scope| {
        let _close = CloseOnDrop(&mailer);
        let sent = scope.spawn(|| mailer.send(numbered(0)));
        let (mut stream, _) = listener.accept().unwrap();
        let closed = scope.spawn(|| mailer.close(LONG));
        let mut peer = smtp_test::Machine::new(&Config::new());
        smtp_test::serve(&mut peer, &mut stream).unwrap();
        assert!(sent.join().unwrap().unwrap().is_accepted());
        assert!(closed.join().unwrap());
    });
}

#[test]
fn a_thread_that_waits_for_a_stuck_server_is_woken() {
    let stages = [
        (Stage::Greeting, false),
        (Stage::Mail, false),
        (Stage::EndOfData, true),
    ];
    for (stage, in_doubt) in stages {
        for runs in [false, true] {
            let config = Config::new().without("PIPELINING");
            let server = start(config.on(stage, Action::silent()));
            let mailer = single(&server);
            thread::scope(|scope| {
                let _close = CloseOnDrop(&mailer);
                if runs {
                    scope.spawn(|| mailer.run());
                    until(|| mailer.submit(numbered(9)).is_ok());
                }
                let sent = scope.spawn(|| mailer.send(numbered(0)));
                until(|| match stage {
                    Stage::Greeting => mailer.stats().connecting == 1,
                    Stage::EndOfData => server.log().mail_count() > 0,
                    _ => mailer.stats().open == 1,
                });
                assert!(!mailer.close(Duration::ZERO));
                match sent.join().unwrap() {
                    // With a thread that runs the mailer, another message is on the connection.
                    Ok(outcome) => assert!(!outcome.is_accepted()),
                    Err(error) => match error.kind() {
                        PoolError::Closed => {}
                        PoolError::Connect(error) => assert!(matches!(
                            error.kind(),
                            ErrorKind::ConnectionLost | ErrorKind::Transport(_)
                        )),
                        kind => panic!("{kind}"),
                    },
                }
            });
            until(|| mailer.stats().open + mailer.stats().connecting == 0);
            assert_eq!(mailer.stats().in_doubt > 0, in_doubt, "{stage:?}, {runs}");
            assert!(mailer.stats().sent == 0 && mailer.stats().waiting == 0);
        }
    }
}
