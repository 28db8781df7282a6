//! A connection that fetches a token: it goes on reading, and keeps its time limits.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Pending, pending};
use std::io::{self, IoSlice};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use smtp_driver::proto::{
    AuthenticationError, Config, Connection, Credentials, Error, ErrorKind, Security, Seed, Stage,
    Time, Timeout, Timeouts,
};
use smtp_driver::token::{Token, TokenSource};
use smtp_driver::{Clock, Driver, Runtime};

const EHLO: &str = "250-mx.test\r\n250 AUTH XOAUTH2\r\n";

/// `user=alice^Aauth=Bearer t0k3n^A^A` in base64.
const AUTH: &str = "AUTH XOAUTH2 dXNlcj1hbGljZQFhdXRoPUJlYXJlciB0MGszbgEB\r\n";

/// The time, which the test moves. Its alarms never ring: the test polls everything again.
#[derive(Clone, Default)]
struct Manual(Rc<Cell<Time>>);

impl Clock for Manual {
    type Alarm = Pending<()>;

    fn now(&self) -> Time {
        self.0.get()
    }

    fn alarm(&self, _: Time) -> Option<Self::Alarm> {
        None
    }
}

/// A stream whose other end is the test.
#[derive(Clone, Default)]
struct Line(Rc<RefCell<Ends>>);

#[derive(Default)]
struct Ends {
    input: VecDeque<String>,
    is_closed: bool,
    output: String,
}

impl Line {
    fn say(&self, input: &str) {
        self.0.borrow_mut().input.push_back(input.to_owned());
    }

    fn heard(&self) -> String {
        std::mem::take(&mut self.0.borrow_mut().output)
    }
}

impl Runtime<Line> for Manual {
    fn poll_read(
        stream: &mut Line,
        _: &mut Context<'_>,
        input: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        let mut ends = stream.0.borrow_mut();
        match ends.input.pop_front() {
            Some(bytes) => input(bytes.as_bytes()),
            None if ends.is_closed => input(&[]),
            None => return Poll::Pending,
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        stream: &mut Line,
        _: &mut Context<'_>,
        output: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut ends = stream.0.borrow_mut();
        let bytes: Vec<u8> = output
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        ends.output.push_str(std::str::from_utf8(&bytes).unwrap());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(_: &mut Line, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(_: &mut Line, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn driver(line: &Line, clock: &Manual) -> Driver<Line, Connection, Manual> {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .dangerous_credentials_in_cleartext()
        .credentials(Credentials::fetched_token("alice").unwrap())
        .timeouts(Timeouts::submission())
        .build()
        .unwrap();
    let connection = Connection::new(Arc::new(config), Seed::from_bytes([7; 32]));
    line.say("220 mx.test\r\n");
    line.say(EHLO);
    Driver::new(line.clone(), connection, clock.clone())
}

/// Polls a future many times over, as tasks that are woken without need.
fn poll<T>(future: &mut std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    for _ in 0..20 {
        if let Poll::Ready(output) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return Poll::Ready(output);
        }
    }
    Poll::Pending
}

/// A source that never answers, and the numbers of its futures that began and were dropped.
fn hanging() -> (TokenSource, Arc<[AtomicUsize; 2]>) {
    struct Dropped(Arc<[AtomicUsize; 2]>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0[1].fetch_add(1, Ordering::SeqCst);
        }
    }
    let counts = Arc::<[AtomicUsize; 2]>::default();
    let shared = Arc::clone(&counts);
    let source = TokenSource::new(move |_| {
        let dropped = Dropped(Arc::clone(&shared));
        shared[0].fetch_add(1, Ordering::SeqCst);
        async move {
            let _dropped = dropped;
            pending::<io::Result<Token>>().await
        }
    });
    (source, counts)
}

fn numbers(counts: &[AtomicUsize; 2]) -> (usize, usize) {
    let [begun, dropped] = counts;
    (begun.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst))
}

#[test]
fn a_source_that_hangs_ends_with_the_time_limit_of_the_connection() {
    let (line, clock) = (Line::default(), Manual::default());
    let (source, counts) = hanging();
    let mut driver = driver(&line, &clock);
    let mut ready = pin!(driver.ready_with_tokens(&source));
    assert!(poll(&mut ready).is_pending());
    clock.0.set(Time::from_origin(
        Duration::from_secs(30) - Duration::from_nanos(1),
    ));
    assert!(poll(&mut ready).is_pending());
    assert_eq!(numbers(&counts), (1, 0));
    clock.0.set(Time::from_origin(Duration::from_secs(30)));
    let Poll::Ready(Err(error)) = poll(&mut ready) else {
        panic!("it waits on");
    };
    assert!(
        matches!(error.kind(), ErrorKind::Timeout(Timeout::Token)),
        "{error}"
    );
    assert_eq!(numbers(&counts), (1, 1));
    assert_eq!(line.heard(), "EHLO client.test\r\n");
}

#[test]
fn a_server_that_closes_meanwhile_ends_the_wait() {
    type End = (fn(&Line), fn(&ErrorKind) -> bool);
    let ends: [End; 3] = [
        (
            |line| line.0.borrow_mut().is_closed = true,
            |kind| matches!(kind, ErrorKind::ConnectionLost),
        ),
        (
            |line| line.say("421 4.4.2 too slow\r\n"),
            |kind| matches!(kind, ErrorKind::ConnectionLost),
        ),
        (
            |line| line.say("235 2.7.0 welcome\r\n"),
            |kind| matches!(kind, ErrorKind::Protocol(_)),
        ),
    ];
    for (end, is_right) in ends {
        let (line, clock) = (Line::default(), Manual::default());
        let (source, counts) = hanging();
        let mut driver = driver(&line, &clock);
        let mut ready = pin!(driver.ready_with_tokens(&source));
        assert!(poll(&mut ready).is_pending());
        assert_eq!(numbers(&counts), (1, 0));
        end(&line);
        let Poll::Ready(Err(error)) = poll(&mut ready) else {
            panic!("it waits on");
        };
        assert!(
            is_right(error.kind()) && error.stage() == Stage::Token,
            "{error}"
        );
        assert_eq!(numbers(&counts), (1, 1));
    }
}

#[test]
fn a_connection_without_a_source_fails_at_once() {
    let (line, clock) = (Line::default(), Manual::default());
    let driver = driver(&line, &clock);
    let mut ready = pin!(driver.into_ready());
    // It waits for the reply to a last command, and then for nothing.
    line.0.borrow_mut().is_closed = true;
    let Poll::Ready(Err(error)) = poll(&mut ready) else {
        panic!("it waits");
    };
    assert!(matches!(error.kind(), ErrorKind::Misuse(_)), "{error}");
}

#[test]
fn a_connection_without_a_source_ends_in_order_and_does_not_wait_for_a_token() {
    let (line, clock) = (Line::default(), Manual::default());
    let mut ready = pin!(driver(&line, &clock).into_ready());
    assert!(poll(&mut ready).is_pending());
    assert_eq!(line.heard(), "EHLO client.test\r\nQUIT\r\n");
    line.say("221 bye\r\n");
    let Poll::Ready(Err(error)) = poll(&mut ready) else {
        panic!("it waits");
    };
    assert!(matches!(error.kind(), ErrorKind::Misuse(_)), "{error}");
}

#[test]
fn a_connection_that_wants_a_token_can_quit() {
    let (line, clock) = (Line::default(), Manual::default());
    let mut driver = driver(&line, &clock);
    {
        let (source, _) = hanging();
        let mut ready = pin!(driver.ready_with_tokens(&source));
        assert!(poll(&mut ready).is_pending());
    }
    let mut quit = pin!(driver.quit());
    assert!(poll(&mut quit).is_pending());
    assert_eq!(line.heard(), "EHLO client.test\r\nQUIT\r\n");
    line.say("221 bye\r\n");
    assert!(poll(&mut quit).is_ready());
}

#[test]
fn the_error_of_the_source_is_that_of_the_connection() {
    let (line, clock) = (Line::default(), Manual::default());
    let source = TokenSource::new(|_| async { Err::<Token, _>(io::Error::other("down")) });
    let mut driver = driver(&line, &clock);
    let error = match poll(&mut pin!(driver.ready_with_tokens(&source))) {
        Poll::Ready(Err(error)) => error,
        other => panic!("{other:?}"),
    };
    let kind = |error: &Error| match error.kind() {
        ErrorKind::Authentication(AuthenticationError::TokenSource(error)) => error.to_string(),
        _ => panic!("{error}"),
    };
    assert_eq!(kind(&error), "down");
    assert!(error.is_transient());
}

#[test]
fn the_wait_may_be_dropped_at_every_poll_and_begun_again() {
    for polls in 0..12 {
        let (line, clock) = (Line::default(), Manual::default());
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let source = TokenSource::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            async {
                // Ready at the third poll.
                for _ in 0..2 {
                    futures_lite::future::yield_now().await;
                }
                io::Result::Ok("t0k3n")
            }
        });
        let mut driver = driver(&line, &clock);
        let mut is_ready = false;
        {
            let mut ready = pin!(driver.ready_with_tokens(&source));
            for _ in 0..polls {
                if !is_ready {
                    let mut cx = Context::from_waker(Waker::noop());
                    is_ready = ready.as_mut().poll(&mut cx).is_ready();
                }
            }
        }
        assert!(!is_ready, "the server has not accepted the token");
        assert!(poll(&mut pin!(driver.ready_with_tokens(&source))).is_pending());
        assert_eq!(
            line.heard(),
            format!("EHLO client.test\r\n{AUTH}"),
            "{polls} polls"
        );
        line.say("235 2.7.0 welcome\r\n");
        let ready = poll(&mut pin!(driver.ready_with_tokens(&source)));
        assert!(
            matches!(ready, Poll::Ready(Ok(()))),
            "{polls} polls: {ready:?}"
        );
        assert!(
            (1..=2).contains(&begun.load(Ordering::SeqCst)),
            "{polls} polls"
        );
    }
}
