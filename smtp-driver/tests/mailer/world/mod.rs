//! A world for mailers: tasks, a clock that jumps, and connections to a server in memory.
//!
//! Everything is deterministic. Each operation of a stream is pending once, so other tasks run in
//! between.

mod line;
mod tasks;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use smtp_driver::mailer::{Connected, Connector, Mailer};
use smtp_driver::smtp_pool::{PoolConfig, PoolStats};
use smtp_driver::{Clock, Driver};
use smtp_proto::{
    Config, Connection, Error, Mail, Outcome, RecipientStatus, Security, Seed, Time, Timeouts,
};
use smtp_test::{Log, MemoryServer, StoredMail};

pub(crate) use line::{Fault, Line};
pub(crate) use tasks::{Alarm, Tasks};

/// What mailers, connections, tasks and the test share; and when the time of its owner began, since
/// each connection counts from its own start.
#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<State>>, Duration);

pub(crate) struct State {
    pub(crate) now: Duration,
    alarms: tasks::Alarms,
    server: smtp_test::Config,
    log: Log,
    /// Connections that are open, or being opened.
    open: usize,
    pub(crate) most_open: usize,
    /// Attempts to connect so far, each with a number from 1.
    connects: usize,
    /// Attempts that fail, by their numbers.
    refused: Vec<usize>,
    /// What happens at an operation of a stream.
    faults: Box<dyn FnMut(Moment) -> Option<Fault> + Send>,
    /// Called whenever a task is woken, and whenever a stream is dropped.
    probe: Option<Box<dyn Fn() + Send>>,
}

/// An operation of a stream: the number of its connection and its own, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) connection: usize,
    pub(crate) operation: usize,
    pub(crate) is_write: bool,
}

pub(crate) type WorldMailer = Mailer<World>;

impl World {
    pub(crate) fn new(server: smtp_test::Config) -> Self {
        Self(
            Arc::new(Mutex::new(State {
                now: Duration::ZERO,
                alarms: tasks::Alarms::default(),
                server,
                log: Log::new(),
                open: 0,
                most_open: 0,
                connects: 0,
                refused: Vec::new(),
                faults: Box::new(|_| None),
                probe: None,
            })),
            Duration::ZERO,
        )
    }

    pub(crate) fn mailer(&self, config: PoolConfig) -> WorldMailer {
        Mailer::new(self.clone(), self.clone(), config)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn faults(&self, faults: impl FnMut(Moment) -> Option<Fault> + Send + 'static) {
        self.lock().faults = Box::new(faults);
    }

    /// Has these attempts to connect fail.
    pub(crate) fn refuse(&self, attempts: impl IntoIterator<Item = usize>) {
        self.lock().refused.extend(attempts);
    }

    pub(crate) fn set_server(&self, server: smtp_test::Config) {
        self.lock().server = server;
    }

    /// Has this called whenever a task is woken and whenever a stream is dropped.
    pub(crate) fn probe(&self, probe: impl Fn() + Send + 'static) {
        self.lock().probe = Some(Box::new(probe));
    }

    /// The probe is taken out, since it runs without the lock.
    fn run_probe(&self) {
        let probe = self.lock().probe.take();
        if let Some(probe) = probe {
            probe();
            self.lock().probe.get_or_insert(probe);
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.lock().open
    }

    pub(crate) fn most_open(&self) -> usize {
        self.lock().most_open
    }

    pub(crate) fn connects(&self) -> usize {
        self.lock().connects
    }

    pub(crate) fn log(&self) -> Log {
        self.lock().log.clone()
    }

    /// How often each message is stored, by its number.
    pub(crate) fn stored(&self) -> BTreeMap<usize, usize> {
        let mut stored = BTreeMap::new();
        for mail in self.log().mails() {
            *stored.entry(number_of(&mail)).or_default() += 1;
        }
        stored
    }

    /// The commands on each connection.
    pub(crate) fn commands(&self) -> Vec<Vec<String>> {
        let sessions = self.log().sessions();
        sessions
            .iter()
            .map(|each| each.commands().to_vec())
            .collect()
    }

    /// How many connections the client ended by QUIT.
    pub(crate) fn quits(&self) -> usize {
        self.log()
            .sessions()
            .iter()
            .filter(|each| each.quit())
            .count()
    }
}

impl Clock for World {
    type Alarm = Alarm;

    fn now(&self) -> Time {
        Time::from_origin(self.lock().now - self.1)
    }

    fn alarm(&self, at: Time) -> Option<Alarm> {
        Some(Alarm::new(self.clone(), self.1 + at.since_origin()))
    }
}

impl Connector for World {
    type Stream = Line;
    type Wire = Connection;
    type Runtime = Self;

    async fn connect(&self) -> Result<Connected<Self>, Error> {
        let seat = Seat::new(self);
        tasks::yield_now().await;
        if self.lock().refused.contains(&seat.number) {
            return Err(Error::connect(io::Error::from(
                io::ErrorKind::ConnectionRefused,
            )));
        }
        let server = {
            let state = self.lock();
            MemoryServer::with_log(&state.server, &state.log)
        };
        let config = Config::builder("client.test".parse().unwrap())
            .security(Security::Cleartext)
            .timeouts(Timeouts::default().at_most(LIMIT))
            .build()
            .unwrap();
        let connection = Connection::new(Arc::new(config), Seed::from_bytes([7; 32]));
        let line = Line::new(server, seat);
        let clock = Self(Arc::clone(&self.0), self.lock().now);
        Driver::new(line, connection, clock).into_ready().await
    }
}

/// A connection that counts as open.
pub(crate) struct Seat {
    world: World,
    number: usize,
}

impl Seat {
    fn new(world: &World) -> Self {
        let mut state = world.lock();
        state.open += 1;
        state.most_open = state.most_open.max(state.open);
        state.connects += 1;
        Self {
            world: world.clone(),
            number: state.connects,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.world.lock().open -= 1;
        self.world.run_probe();
    }
}

/// The message with this number.
pub(crate) fn mail(number: usize) -> Mail {
    let text = "From: alice@example.org\r\nSubject: hi\r\n\r\nhello\r\n";
    let recipient = format!("bob{number}@example.net");
    Mail::new("alice@example.org", [recipient], text).unwrap()
}

pub(crate) fn number_of(mail: &StoredMail) -> usize {
    let addresses = mail.addresses();
    let local = addresses[0].strip_suffix("@example.net").unwrap();
    local.strip_prefix("bob").unwrap().parse().unwrap()
}

/// The status of a message with one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Accepted,
    Rejected,
    InDoubt,
    NotSent,
}

pub(crate) fn status(outcome: &Outcome) -> Status {
    match outcome.recipients()[0].status() {
        RecipientStatus::Accepted(_) => Status::Accepted,
        RecipientStatus::Rejected { .. } => Status::Rejected,
        RecipientStatus::InDoubt(_) => Status::InDoubt,
        RecipientStatus::NotSent(_) => Status::NotSent,
    }
}

/// Asserts that nothing is under way.
#[track_caller]
pub(crate) fn assert_quiet(stats: PoolStats) {
    let PoolStats {
        waiting,
        connecting,
        open,
        idle,
        ..
    } = stats;
    assert_eq!((waiting, connecting, open), (0, 0, idle), "{stats:?}");
}

/// Is pending once.
pub(crate) fn pend_once(has_pended: &mut bool, cx: &Context<'_>) -> Poll<()> {
    if std::mem::replace(has_pended, true) {
        *has_pended = false;
        return Poll::Ready(());
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// For a message to wait for a connection.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);

/// The time limit of each reply.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
