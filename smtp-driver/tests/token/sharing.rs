//! A source of tokens that tasks and threads share.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use smtp_driver::proto::sasl::TokenRequest;
use smtp_driver::proto::{Secret, TransportError};
use smtp_driver::token::{Fetching, SharedKeeper, Token, TokenId, TokenSource, Turn};

type Fetched = Result<(TokenId, Secret), TransportError>;

/// A token server: it counts the requests, and answers when it is told to.
#[derive(Clone, Default)]
struct TokenServer(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    requests: Vec<TokenRequest>,
    /// Futures that were dropped before their answer.
    dropped: usize,
    answer: Option<Result<&'static str, &'static str>>,
    waker: Option<Waker>,
}

struct DropCount(TokenServer, bool);

impl Drop for DropCount {
    fn drop(&mut self) {
        if !self.1 {
            self.0.0.lock().unwrap().dropped += 1;
        }
    }
}

impl TokenServer {
    fn source(&self) -> TokenSource {
        let server = self.clone();
        TokenSource::new(move |request| {
            server.0.lock().unwrap().requests.push(request);
            let server = server.clone();
            async move {
                let mut count = DropCount(server.clone(), false);
                let answer = poll_fn(|cx| {
                    let mut inner = server.0.lock().unwrap();
                    inner.waker = Some(cx.waker().clone());
                    match inner.answer {
                        Some(answer) => Poll::Ready(answer),
                        None => Poll::Pending,
                    }
                })
                .await;
                count.1 = true;
                answer.map(Token::new).map_err(io::Error::other)
            }
        })
    }

    fn answer(&self, answer: Result<&'static str, &'static str>) {
        let waker = {
            let mut inner = self.0.lock().unwrap();
            inner.answer = Some(answer);
            inner.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn requests(&self) -> usize {
        self.0.lock().unwrap().requests.len()
    }

    fn dropped(&self) -> usize {
        self.0.lock().unwrap().dropped
    }
}

/// A task that is polled only when it was woken.
struct Task {
    future: Pin<Box<dyn Future<Output = Fetched>>>,
    woken: Arc<Woken>,
    waker: Waker,
    result: Option<Fetched>,
}

struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Task {
    fn new(source: &TokenSource) -> Self {
        let source = source.clone();
        let woken = Arc::new(Woken(AtomicUsize::new(1)));
        Self {
            future: Box::pin(async move { source.token().await }),
            waker: Arc::clone(&woken).into(),
            woken,
            result: None,
        }
    }

    fn run(&mut self) -> bool {
        if self.result.is_some() || self.woken.0.swap(0, Ordering::SeqCst) == 0 {
            return false;
        }
        match self
            .future
            .as_mut()
            .poll(&mut Context::from_waker(&self.waker))
        {
            Poll::Ready(result) => self.result = Some(result),
            Poll::Pending => {}
        }
        true
    }
}

fn run_all(tasks: &mut [Task]) {
    while tasks.iter_mut().any(Task::run) {}
}

#[test]
fn a_hundred_connections_want_a_token_and_one_fetches_it() {
    let server = TokenServer::default();
    let source = server.source();
    let mut tasks: Vec<_> = (0..100).map(|_| Task::new(&source)).collect();
    for task in &mut tasks {
        task.run();
    }
    assert_eq!(server.requests(), 1);
    server.answer(Ok("t0k3n"));
    run_all(&mut tasks);
    for task in tasks {
        let (_, secret) = task.result.unwrap().unwrap();
        assert_eq!(secret.expose(), b"t0k3n");
    }
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_hundred_threads_want_a_token_and_one_fetches_it() {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let keeper = SharedKeeper::new();
    let fetches = AtomicUsize::new(0);
    let asked = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let waker = Waker::from(Arc::new(Unpark(thread::current())));
                loop {
                    let polled = keeper.poll_token(None, &waker);
                    asked.fetch_add(1, Ordering::SeqCst);
                    match polled {
                        Poll::Ready(Ok(Turn::Token(_, secret))) => {
                            assert_eq!(secret.expose(), b"t0k3n");
                            return;
                        }
                        Poll::Ready(Ok(Turn::Fetch(fetching))) => {
                            fetches.fetch_add(1, Ordering::SeqCst);
                            // The others ask meanwhile.
                            while asked.load(Ordering::SeqCst) < 100 {
                                thread::yield_now();
                            }
                            finished(fetching, Ok("t0k3n".into())).unwrap();
                            return;
                        }
                        Poll::Ready(Err(error)) => panic!("{error}"),
                        Poll::Pending => thread::park(),
                    }
                }
            });
        }
    });
    assert_eq!(fetches.into_inner(), 1);
}

#[test]
fn a_token_that_is_rejected_while_the_source_returns_it_again_is_refreshed() {
    let source = TokenSource::new(|request| async move {
        futures_lite::future::yield_now().await;
        io::Result::Ok(match request {
            TokenRequest::Refreshed => "good",
            _ => "cached",
        })
    });
    let keeper = source.keeper();
    // A token whose lifetime is over is renewed.
    let Poll::Ready(Ok(Turn::Fetch(fetching))) = keeper.poll_token(None, Waker::noop()) else {
        panic!("it does not fetch");
    };
    let ended = Token::new("cached").with_lifetime(Duration::ZERO);
    let (id, _) = finished(fetching, Ok(ended)).unwrap();
    let mut task = Task::new(&source);
    task.run();
    assert!(keeper.poll_token(Some(id), Waker::noop()).is_pending());
    while task.run() {}
    let (_, secret) = task.result.unwrap().unwrap();
    assert_eq!(secret.expose(), b"good");
}

#[test]
fn all_that_wait_get_the_error_of_the_source() {
    let server = TokenServer::default();
    let source = server.source();
    let mut tasks: Vec<_> = (0..10).map(|_| Task::new(&source)).collect();
    run_all(&mut tasks);
    server.answer(Err("the token server is down"));
    run_all(&mut tasks);
    for task in tasks {
        let error = task.result.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the token server is down");
    }
    assert_eq!(server.requests(), 1);
}

#[test]
fn another_fetches_wherever_the_one_that_fetches_is_dropped() {
    for polls in 0..4 {
        for others in [0, 1, 5] {
            let server = TokenServer::default();
            let source = server.source();
            let mut first = Task::new(&source);
            let mut tasks: Vec<_> = (0..others).map(|_| Task::new(&source)).collect();
            for _ in 0..polls {
                first.woken.0.store(1, Ordering::SeqCst);
                first.run();
            }
            run_all(&mut tasks);
            let before = server.requests();
            assert_eq!(before, usize::from(polls > 0 || others > 0));
            drop(first);
            run_all(&mut tasks);
            assert_eq!(server.dropped(), usize::from(polls > 0));
            // One of the others has begun anew, if there are any.
            let took_over = usize::from(polls > 0 && others > 0);
            assert_eq!(server.requests(), before + took_over);
            server.answer(Ok("t0k3n"));
            run_all(&mut tasks);
            assert!(tasks.iter().all(|task| matches!(task.result, Some(Ok(_)))));
            assert_eq!(server.requests(), before + took_over);
        }
    }
}

#[test]
fn the_one_that_fetches_may_be_dropped_again_and_again() {
    let server = TokenServer::default();
    let source = server.source();
    let mut tasks: Vec<_> = (0..10).map(|_| Task::new(&source)).collect();
    for dropped in 0..9 {
        run_all(&mut tasks);
        assert_eq!(
            (server.requests(), server.dropped()),
            (dropped + 1, dropped)
        );
        // The one that fetches: only its waker is known to the server.
        let waker = server.0.lock().unwrap().waker.clone().unwrap();
        let fetcher = tasks.iter().position(|task| task.waker.will_wake(&waker));
        drop(tasks.remove(fetcher.unwrap()));
    }
    server.answer(Ok("t0k3n"));
    run_all(&mut tasks);
    assert!(matches!(tasks[0].result, Some(Ok(_))));
}

#[test]
fn a_waker_may_ask_for_a_token() {
    // It would wait for the lock if that were held.
    struct Asks(SharedKeeper, AtomicUsize);
    impl Wake for Asks {
        fn wake(self: Arc<Self>) {
            let polled = self.0.poll_token(None, Waker::noop());
            assert!(matches!(polled, Poll::Ready(Ok(Turn::Token(..)))));
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let asks = Arc::new(Asks(SharedKeeper::new(), AtomicUsize::new(0)));
    let Poll::Ready(Ok(Turn::Fetch(fetching))) = asks.0.poll_token(None, Waker::noop()) else {
        panic!("no fetch");
    };
    let waker = Waker::from(Arc::clone(&asks));
    assert!(asks.0.poll_token(None, &waker).is_pending());
    assert!(asks.0.poll_token(None, &waker).is_pending());
    finished(fetching, Ok("t0k3n".into())).unwrap();
    assert_eq!(asks.1.load(Ordering::SeqCst), 1);
}

#[test]
fn no_text_shows_the_token() {
    const CANARY: &str = "ya29.Canary-t0ken";
    let token = Token::new(CANARY);
    let keeper = SharedKeeper::new();
    let mut shown = format!("{token:?}");
    let polled = keeper.poll_token(None, Waker::noop());
    shown += &format!("{polled:?}{keeper:?}");
    let Poll::Ready(Ok(Turn::Fetch(fetching))) = polled else {
        panic!("{shown}");
    };
    let (first, secret) = finished(fetching, Ok(token.clone())).unwrap();
    shown += &format!(
        "{secret:?}{keeper:?}{:?}",
        keeper.poll_token(None, Waker::noop())
    );
    let Poll::Ready(Ok(Turn::Fetch(fetching))) = keeper.poll_token(Some(first), Waker::noop())
    else {
        panic!("{shown}");
    };
    let error = finished(fetching, Ok(token)).unwrap_err();
    shown += &format!("{error} {error:?} {error:#?} {keeper:#?}");
    let source = TokenSource::new(|_| async { io::Result::Ok(CANARY) });
    shown += &format!("{source:?}");
    assert!(
        shown.contains("Secret") && !shown.contains("Canary"),
        "{shown}"
    );
}

/// The result of a fetch after which nothing has to be asked again.
fn finished(fetching: Fetching<'_>, result: Result<Token, TransportError>) -> Fetched {
    match fetching.finish(result) {
        Poll::Ready(finished) => finished,
        Poll::Pending => panic!("it has to be asked again"),
    }
}
