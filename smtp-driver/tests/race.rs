//! Races in virtual time, against servers in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::pending;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use smtp_driver::proto::sasl::TokenRequest;
use smtp_driver::proto::{Credentials, Error, ErrorKind, Security, Time, Timeout, Timeouts};
use smtp_driver::token::TokenSource;
use smtp_driver::{Clock, Driver, Runtime};
use smtp_rustls::{Attempts, Endpoint, Target};
use smtp_test::{Action, Config, MemoryServer, Stage};

/// Virtual time, and the time of the alarm that is due first.
#[derive(Clone, Default)]
struct Virtual(Rc<(Cell<Time>, Cell<Option<Time>>)>);

struct Alarm(Virtual, Time);

impl Clock for Virtual {
    type Alarm = Alarm;

    fn now(&self) -> Time {
        self.0.0.get()
    }

    fn alarm(&self, at: Time) -> Option<Alarm> {
        Some(Alarm(self.clone(), at))
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let Virtual(time) = &self.0;
        if time.0.get() >= self.1 {
            return Poll::Ready(());
        }
        let first = time.1.get().map_or(self.1, |first| first.min(self.1));
        time.1.set(Some(first));
        Poll::Pending
    }
}

impl Runtime<MemoryServer> for Virtual {
    fn poll_read(
        stream: &mut MemoryServer,
        _: &mut Context<'_>,
        input: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        let mut buffer = [0; 2048];
        let count = ready!(or_pending(stream.read(&mut buffer)))?;
        input(&buffer[..count]);
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        stream: &mut MemoryServer,
        _: &mut Context<'_>,
        output: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        or_pending(stream.write_vectored(output))
    }

    fn poll_flush(stream: &mut MemoryServer, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        or_pending(stream.flush())
    }

    fn poll_close(stream: &mut MemoryServer, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_flush(stream, cx)
    }
}

fn or_pending<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

/// What an address does when it is connected to.
#[derive(Clone)]
enum Host {
    Silent,
    /// Fails after this time.
    Refuses(u64),
    /// Is connected after this time.
    Accepts(u64, Box<Config>),
}

/// A network of hosts, by the last number of their addresses.
#[derive(Default)]
struct Network {
    clock: Virtual,
    hosts: HashMap<u8, Host>,
    /// The hosts that were connected to, and when.
    tried: RefCell<Vec<(u8, u64)>>,
    /// Connects and connections that are not dropped.
    open: Rc<Cell<usize>>,
}

struct Open(Rc<Cell<usize>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Network {
    fn new(hosts: impl IntoIterator<Item = Host>) -> Self {
        Self {
            hosts: (1..).zip(hosts).collect(),
            ..Self::default()
        }
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.clock.now().since_origin().as_millis()).unwrap()
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let numbers = 1..=u8::try_from(self.hosts.len()).unwrap();
        numbers.map(|host| ([192, 0, 2, host], 25).into()).collect()
    }

    fn attempts(&self) -> Attempts {
        let endpoint = Endpoint::builder("mail.example.org")
            .security(Security::Cleartext)
            .timeouts(Timeouts::submission())
            .build()
            .unwrap();
        endpoint.attempts(self.addresses())
    }

    async fn open(&self, target: Target) -> io::Result<(MemoryServer, Option<SocketAddr>)> {
        let Target::Tcp(SocketAddr::V4(address)) = target else {
            panic!("{target:?}");
        };
        let number = address.ip().octets()[3];
        self.open.set(self.open.get() + 1);
        let _open = Open(Rc::clone(&self.open));
        self.tried.borrow_mut().push((number, self.milliseconds()));
        let after = |time| {
            Alarm(
                self.clock.clone(),
                self.clock.now() + Duration::from_millis(time),
            )
        };
        match &self.hosts[&number] {
            Host::Silent => pending().await,
            Host::Refuses(time) => {
                after(*time).await;
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Host::Accepts(time, config) => {
                after(*time).await;
                Ok((MemoryServer::new(config), None))
            }
        }
    }

    /// Connects. Time jumps to the next alarm when nothing else can happen, `jumps` times at most.
    fn connect(&self, jumps: usize) -> Option<Result<(), Error>> {
        let clock = || self.clock.clone();
        self.run(
            jumps,
            Driver::connect(self.attempts(), clock, |target| self.open(target)),
        )
    }

    fn run<T>(
        &self,
        jumps: usize,
        connecting: impl Future<Output = Result<T, Error>>,
    ) -> Option<Result<(), Error>> {
        let mut connect = pin!(connecting);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..=jumps {
            if let Poll::Ready(result) = connect.as_mut().poll(&mut cx) {
                return Some(result.map(|_| ()));
            }
            let (now, first) = &*self.clock.0;
            now.set(first.take().expect("an alarm is set"));
        }
        None
    }

    fn connected(&self) -> Result<(), Error> {
        self.connect(usize::MAX).unwrap()
    }

    #[track_caller]
    fn assert_tried(&self, expected: impl AsRef<[(u8, u64)]>) {
        assert_eq!(*self.tried.borrow(), expected.as_ref());
        assert_eq!(self.open.get(), 0, "a connect is left");
    }
}

fn server() -> Box<Config> {
    Box::new(Config::new())
}

fn greets_with(reply: &str) -> Box<Config> {
    let action = Action::reply(reply).then_close();
    Box::new(Config::new().on(Stage::Greeting, action))
}

#[test]
fn a_silent_address_costs_a_quarter_of_a_second() {
    let network = Network::new([Host::Silent, Host::Accepts(0, server())]);
    network.connected().unwrap();
    network.assert_tried([(1, 0), (2, 250)]);
    assert_eq!(network.milliseconds(), 250);
}

#[test]
fn the_first_connection_wins_and_a_failure_begins_the_next_connect_at_once() {
    let hosts = [
        Host::Accepts(900, server()),
        Host::Refuses(30),
        Host::Accepts(300, server()),
        Host::Silent,
    ];
    let network = Network::new(hosts);
    network.connected().unwrap();
    network.assert_tried([(1, 0), (2, 250), (3, 280), (4, 530)]);
    assert_eq!(network.milliseconds(), 580);
}

#[test]
fn a_slow_address_is_not_tried_in_vain_by_its_competitors() {
    let network = Network::new([Host::Accepts(400, server()), Host::Silent]);
    network.connected().unwrap();
    network.assert_tried([(1, 0), (2, 250)]);
    assert_eq!(network.milliseconds(), 400);
}

#[test]
fn every_silent_address_has_its_own_limit() {
    let network = Network::new(vec![Host::Silent; 6]);
    let error = network.connected().unwrap_err();
    network.assert_tried([
        (1, 0),
        (2, 250),
        (3, 500),
        (4, 750),
        (5, 10_000),
        (6, 10_250),
    ]);
    assert_eq!(network.milliseconds(), 20_250);
    let all = error.attempts().iter().chain([&error]);
    for (error, address) in all.zip(network.addresses()) {
        assert_eq!(error.address(), Some(address));
        assert!(matches!(error.kind(), ErrorKind::Timeout(Timeout::Connect)));
    }
    assert_eq!(error.attempts().len(), 5);
}

#[test]
fn after_a_transient_failure_of_the_session_the_race_goes_on() {
    let hosts = [
        Host::Accepts(5000, server()),
        Host::Accepts(0, greets_with("421 4.3.2 not now")),
        Host::Refuses(0),
    ];
    let network = Network::new(hosts);
    network.connected().unwrap();
    // The connect to the first was cancelled, and begins again.
    network.assert_tried([(1, 0), (2, 250), (3, 250), (1, 250)]);
    assert_eq!(network.milliseconds(), 5250);
}

#[test]
fn after_a_permanent_failure_of_the_session_nothing_else_is_tried() {
    let hosts = [
        Host::Silent,
        Host::Accepts(0, greets_with("554 5.7.1 not you")),
        Host::Accepts(0, server()),
    ];
    let network = Network::new(hosts);
    let error = network.connected().unwrap_err();
    assert_eq!(error.reply().unwrap().code().as_u16(), 554);
    network.assert_tried([(1, 0), (2, 250)]);
}

#[test]
fn a_future_that_is_dropped_leaves_no_connect() {
    let hosts = [
        Host::Silent,
        Host::Refuses(600),
        Host::Accepts(700, greets_with("421 4.3.2 not now")),
        Host::Accepts(700, server()),
    ];
    for jumps in 0.. {
        let network = Network::new(hosts.clone());
        let result = network.connect(jumps);
        assert_eq!(network.open.get(), 0);
        if let Some(result) = result {
            result.unwrap();
            assert!(jumps > 5);
            break;
        }
    }
}

#[test]
fn a_token_that_the_server_has_not_rejected_is_kept_for_the_next_address() {
    for action in [
        Action::reply("454 4.7.0 temporary failure"),
        Action::reply("421 4.3.2 shutting down").then_close(),
        Action::cut(),
    ] {
        let good = || Config::new().token("alice", "good");
        let network = Network::new([
            Host::Accepts(0, Box::new(good().on(Stage::Auth, action.clone()))),
            Host::Accepts(0, Box::new(good())),
        ]);
        let endpoint = Endpoint::builder("mail.example.org")
            .security(Security::Cleartext)
            .dangerous_credentials_in_cleartext()
            .credentials(Credentials::fetched_token("alice").unwrap())
            .build()
            .unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let tokens = TokenSource::new(move |request| {
            kept.lock().unwrap().push(request);
            async { io::Result::Ok("good") }
        });
        let clock = || network.clock.clone();
        let attempts = endpoint.attempts(network.addresses());
        let connecting = Driver::connect_with_tokens(attempts, Some(&tokens), clock, |target| {
            network.open(target)
        });
        let connected = network.run(usize::MAX, connecting).unwrap();
        assert!(
            connected.is_ok(),
            "{action:?}: {:#}",
            connected.unwrap_err()
        );
        assert_eq!(
            *requests.lock().unwrap(),
            [TokenRequest::Cached],
            "{action:?}"
        );
    }
}
