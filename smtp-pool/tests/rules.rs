//! Each rule of the pool, as short histories told step by step.
//!
//! Messages have letters, connections are numbered from 1 in the order in which they are opened.

mod again;
mod capacity;
mod closing;
mod connections;
mod idle;
mod rates;
mod waiting;

use std::time::Duration;

use smtp_pool::proto::{Error, Time};
use smtp_pool::{Action, ConnectionId, Pool, PoolConfig, Report, Request, Ticket, Verdict};

/// A pool, and a driver that tells what it does.
struct Script {
    pool: Pool,
    now: Time,
    messages: Vec<(&'static str, Ticket)>,
    connections: Vec<ConnectionId>,
}

impl Script {
    fn new(config: PoolConfig) -> Self {
        Self {
            pool: Pool::new(config, 7),
            now: Time::from_origin(Duration::from_secs(1000)),
            messages: Vec::new(),
            connections: Vec::new(),
        }
    }

    /// A pool with one connection at most, which is idle and has carried the message `first`.
    fn with_idle(config: PoolConfig) -> Self {
        let mut script = Self::new(config);
        assert_eq!(script.asks("first"), "connect 1 for first");
        script.connected(1);
        script.ends(1, "first", Report::accepted());
        assert_eq!(script.acts(), "");
        script
    }

    /// A message is requested; returns the actions.
    fn asks(&mut self, name: &'static str) -> String {
        self.asks_for(name, Request::new())
    }

    fn asks_for(&mut self, name: &'static str, request: Request) -> String {
        let ticket = self.pool.request(self.now, request).unwrap();
        self.messages.push((name, ticket));
        self.acts()
    }

    /// All actions, separated by commas.
    fn acts(&mut self) -> String {
        let mut actions = Vec::new();
        while let Some(action) = self.pool.poll_action(self.now) {
            actions.push(match action {
                Action::Connect {
                    connection, ticket, ..
                } => {
                    self.connections.push(connection);
                    format!(
                        "connect {} for {}",
                        self.number(connection),
                        self.name(ticket)
                    )
                }
                Action::Use {
                    connection,
                    ticket,
                    is_cautious,
                    ..
                } => {
                    let how = if is_cautious { " with caution" } else { "" };
                    let (number, name) = (self.number(connection), self.name(ticket));
                    format!("use {number} for {name}{how}")
                }
                Action::Quit(connection) => format!("quit {}", self.number(connection)),
                Action::Drop(connection) => format!("drop {}", self.number(connection)),
                Action::Fail { ticket, error, .. } => {
                    format!("fail {}: {error}", self.name(ticket))
                }
                other => panic!("an action without a name: {other:?}"),
            });
            assert!(actions.len() < 1000, "{actions:?}");
        }
        actions.join(", ")
    }

    /// The connection is open; its message is being sent.
    fn connected(&mut self, number: usize) {
        let ticket = self.pool.handle_connected(self.now, self.id(number), None);
        assert!(ticket.is_some());
    }

    /// The connection could not be opened; returns the actions.
    fn refused(&mut self, number: usize, error: Error) -> String {
        let id = self.id(number);
        self.pool.handle_connect_failed(self.now, id, error);
        self.acts()
    }

    /// The message has an outcome that is final; returns the actions.
    fn ends(&mut self, number: usize, name: &str, report: Report) -> String {
        assert_eq!(self.reports(number, name, report), Verdict::Final);
        self.acts()
    }

    /// The message is to be sent again; returns the actions.
    fn is_again(&mut self, number: usize, name: &str, report: Report) -> String {
        assert_eq!(self.reports(number, name, report), Verdict::Again);
        self.acts()
    }

    fn reports(&mut self, number: usize, name: &str, report: Report) -> Verdict {
        let (id, ticket) = (self.id(number), self.ticket(name));
        self.pool.handle_outcome(self.now, id, ticket, report)
    }

    /// The next message for a connection in use.
    fn takes(&mut self, number: usize) -> Option<&'static str> {
        let (ticket, _) = self.pool.take(self.now, self.id(number))?;
        Some(self.name(ticket))
    }

    /// The connection is closed; returns the actions.
    fn closed(&mut self, number: usize) -> String {
        let id = self.id(number);
        self.pool.handle_closed(self.now, id);
        self.acts()
    }

    fn cancels(&mut self, name: &str) -> String {
        let ticket = self.ticket(name);
        self.pool.cancel(self.now, ticket);
        self.acts()
    }

    /// Time passes; returns the actions.
    fn later(&mut self, duration: Duration) -> String {
        self.now = self.now + duration;
        self.acts()
    }

    /// Time passes to the time that the pool names; returns the seconds, and the actions.
    fn waits(&mut self) -> (f32, String) {
        let until = self.pool.poll_timeout().expect("something has a time");
        let pause = until.saturating_since(self.now);
        (pause.as_secs_f32(), self.later(pause))
    }

    fn why(&self) -> String {
        let limit = self.pool.explain(self.now);
        limit.map_or_else(String::new, |limit| limit.to_string())
    }

    fn id(&self, number: usize) -> ConnectionId {
        self.connections[number - 1]
    }

    fn number(&self, id: ConnectionId) -> usize {
        1 + self
            .connections
            .iter()
            .position(|each| *each == id)
            .unwrap()
    }

    fn ticket(&self, name: &str) -> Ticket {
        self.messages.iter().find(|each| each.0 == name).unwrap().1
    }

    fn name(&self, ticket: Ticket) -> &'static str {
        self.messages
            .iter()
            .find(|each| each.1 == ticket)
            .unwrap()
            .0
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// At most this many connections.
fn at_most(connections: u32) -> PoolConfig {
    PoolConfig::new().with_max_connections(connections)
}
