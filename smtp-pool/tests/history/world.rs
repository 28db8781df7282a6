//! A pool, its model, and a driver that does anything that a driver may do, in any order.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::time::Duration;

use smtp_pool::proto::{Error, ErrorKind, Pipelining, Protocol, Stage, Time};
use smtp_pool::{
    Action, ConnectionId, Limit, Pool, PoolConfig, PoolError, PoolStats, Rate, Report, Request,
    Ticket, Verdict,
};

use super::dialogue::{Dialogue, greeted_with, refused};
use super::model::{Act, Bucket, Counters, Limits, Model, Nanos, SECOND, Said, Sort, Told, Why};

/// The pool and the model, and what the driver knows by itself.
pub(crate) struct World {
    pool: Pool,
    model: Model,
    limits: Limits,
    now: Nanos,
    tickets: Vec<Known>,
    links: Vec<Link>,
    /// Whether the time for closing can be over.
    closing: Option<Nanos>,
    kinds: &'static [Kind],
    errors: &'static [Error],
    /// What has happened, by name.
    seen: BTreeSet<&'static str>,
}

/// A message, as the driver sees it.
struct Known {
    ticket: Ticket,
    waits: bool,
    ended: bool,
    again: bool,
    deadline: Option<Nanos>,
}

/// A connection, as the driver sees it.
struct Link {
    id: ConnectionId,
    state: State,
    users: Vec<usize>,
    begun: u64,
    ended: u64,
    /// Whether a message is on it that has to be alone.
    alone: bool,
    limit: u64,
    /// Whether it was open once.
    was_opened: bool,
    opened: Nanos,
    last: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Open,
    /// The driver is to close or to drop it.
    Leaving,
    Gone,
}

/// A report and what the model is told of it.
#[derive(Clone, Copy)]
struct Kind {
    report: Report,
    said: Said,
}

impl World {
    /// Bytes: limits, then operations, each a letter with its operands. Returns after at most 400
    /// operations what has happened, by name; the pool is closed then.
    pub(crate) fn run(mut input: &[u8]) -> BTreeSet<&'static str> {
        let input = &mut input;
        let mut world = Self::new(input);
        for _ in 0..400 {
            if input.is_empty() {
                break;
            }
            world.operation(input);
        }
        world.finish();
        world.seen
    }

    fn new(input: &mut &[u8]) -> Self {
        let mut pick = |choices: &[u64]| choices[next(input) % choices.len()];
        let mut limits = Limits {
            connections: pick(&[3, 1, 2, 8]),
            idle: pick(&[30, 30, 400, 1]) * SECOND,
            age: pick(&[300, 300, 20, 100_000]) * SECOND,
            messages: pick(&[100, 3, 1, 2]),
            waiting: usize::try_from(pick(&[10_000, 10_000, 4, 1])).unwrap(),
            message_rate: None,
            recipient_rate: None,
            connection_rate: None,
        };
        let mut config = PoolConfig::new()
            .with_max_connections(u32::try_from(limits.connections).unwrap())
            .with_idle_timeout(Duration::from_nanos(limits.idle))
            .with_max_age(Duration::from_nanos(limits.age))
            .with_max_messages(u32::try_from(limits.messages).unwrap())
            .with_max_waiting(limits.waiting);
        for number in 0..3 {
            // The count, the seconds of the period, and the burst.
            let (count, period, burst) = match pick(&[0, 0, 0, 1, 2, 3]) {
                0 => continue,
                1 => (10, 10, 10),
                2 => (60, 60, 2),
                _ => (3, 100, 1),
            };
            let rate = Rate::new(count, Duration::from_secs(period)).with_burst(burst);
            let bucket = Some(Bucket {
                interval: period * SECOND / u64::from(count),
                burst: u64::from(burst),
            });
            match number {
                0 => {
                    limits.message_rate = bucket;
                    config = config.with_message_rate(rate);
                }
                1 => {
                    limits.recipient_rate = bucket;
                    config = config.with_recipient_rate(rate);
                }
                _ => {
                    limits.connection_rate = bucket;
                    config = config.with_connection_rate(rate);
                }
            }
        }
        let seed = pick(&[7, 8, u64::MAX]);
        Self {
            pool: Pool::new(config, seed),
            model: Model::new(limits, seed),
            limits,
            now: pick(&[0, 1000]) * SECOND,
            tickets: Vec::new(),
            links: Vec::new(),
            closing: None,
            kinds: KINDS.get_or_init(kinds),
            errors: ERRORS.get_or_init(errors),
            seen: BTreeSet::new(),
        }
    }

    /// One operation. After every second one, all actions are taken.
    fn operation(&mut self, input: &mut &[u8]) {
        let letter = next(input);
        match letter / 2 % 24 {
            0..=4 => self.request(input),
            5 => self.cancel(input),
            6..=8 => self.connected(input),
            9 => self.connect_failed(input),
            10..=14 => self.outcome(input),
            15 | 16 => self.take(input),
            17 | 18 => self.closed(input),
            19 => self.refresh_or_close(input),
            20 => self.later(input),
            21 | 22 => self.pass_to_timeout(),
            _ => self.stale(input),
        }
        if letter.is_multiple_of(2) {
            self.act_all();
        } else {
            self.act();
        }
        self.compare();
    }

    fn time(&self) -> Time {
        Time::from_origin(Duration::from_nanos(self.now))
    }

    fn request(&mut self, input: &mut &[u8]) {
        let choice = next(input);
        let deadline = match choice % 4 {
            0 | 1 => None,
            2 => Some(self.now + SECOND / 2 * (next(input) as u64)),
            _ => Some(self.now + 10 * SECOND),
        };
        let recipients = [1, 1, 2, 50][choice / 4 % 4];
        let is_fresh = choice / 16 % 8 == 7;
        let mut request = Request::new().with_recipients(recipients);
        if let Some(deadline) = deadline {
            request = request.with_deadline(Time::from_origin(Duration::from_nanos(deadline)));
        }
        if is_fresh {
            request = request.fresh();
        }
        let expected = self
            .model
            .request(u64::from(recipients), deadline, is_fresh);
        match (self.pool.request(self.time(), request), expected) {
            (Ok(ticket), Ok(index)) => {
                assert_eq!(index, self.tickets.len());
                self.tickets.push(Known {
                    ticket,
                    waits: true,
                    ended: false,
                    again: false,
                    deadline,
                });
            }
            (result, expected) => {
                assert_eq!(result.map_err(told).unwrap_err(), expected.unwrap_err())
            }
        }
    }

    fn cancel(&mut self, input: &mut &[u8]) {
        let Some(index) = next(input).checked_rem(self.tickets.len()) else {
            return;
        };
        // The newest ones first: most of the others have ended.
        let index = self.tickets.len() - 1 - index;
        if next(input).is_multiple_of(4) {
            let ticket = self.tickets[index].ticket;
            let was_waiting = self.pool.withdraw(ticket);
            assert_eq!(was_waiting, self.model.withdraw(index));
            if was_waiting {
                self.tickets[index].waits = false;
                self.end(index);
            }
            return;
        }
        self.pool.cancel(self.time(), self.tickets[index].ticket);
        self.model.cancel(index);
        if self.tickets[index].ended {
            return;
        }
        let link = self
            .links
            .iter_mut()
            .find(|link| link.users.contains(&index));
        match link {
            Some(link) if link.users.len() > 1 => return,
            Some(link) => {
                link.state = State::Gone;
                link.users.clear();
            }
            None => {}
        }
        self.tickets[index].waits = false;
        self.end(index);
    }

    fn connected(&mut self, input: &mut &[u8]) {
        let Some(link) = self.pick(input, |link| link.state == State::Connecting) else {
            return;
        };
        let mail_max = [None, None, None, Some(2), Some(1), Some(1000)][next(input) % 6];
        self.report_connected(link, mail_max);
    }

    fn report_connected(&mut self, link: usize, mail_max: Option<u32>) {
        let (time, number) = (self.time(), mail_max.and_then(NonZeroU32::new));
        let mail_max = mail_max.map(u64::from);
        let ticket = self
            .pool
            .handle_connected(time, self.links[link].id, number);
        let expected = self.model.connected(self.now, link, mail_max);
        assert_eq!(ticket, expected.map(|index| self.tickets[index].ticket));
        if ticket.is_none() {
            // It was to be dropped.
            self.report_closed(link);
            return;
        }
        let most = self.limits.messages;
        let it = &mut self.links[link];
        it.state = State::Open;
        it.was_opened = true;
        it.opened = self.now;
        it.last = self.now;
        it.limit = mail_max.map_or(most, |limit| most.min(limit));
        assert_eq!(it.users.len(), 1);
    }

    fn connect_failed(&mut self, input: &mut &[u8]) {
        let is_connecting = |link: &Link| link.state == State::Connecting;
        let Some(link) = self.pick(input, is_connecting) else {
            return;
        };
        let error = self.errors[next(input) % self.errors.len()].clone();
        let text = format!("{error:#}");
        let complains = text.contains("421") || text.contains("4.7.0") || text.contains("4.3.2");
        let is_refused =
            error.stage() == Stage::Connect && matches!(error.kind(), ErrorKind::Transport(_));
        self.pool
            .handle_connect_failed(self.time(), self.links[link].id, error);
        self.model
            .connect_failed(self.now, link, &text, complains, is_refused);
        self.leave(link);
    }

    fn outcome(&mut self, input: &mut &[u8]) {
        let has_users = |link: &Link| {
            !link.users.is_empty() && link.state != State::Connecting && link.was_opened
        };
        let Some(link) = self.pick(input, has_users) else {
            return;
        };
        let choice = next(input);
        // Half of the messages are accepted.
        let kind = match choice % 2 {
            0 => self.kinds[0],
            _ => self.kinds[choice / 2 % self.kinds.len()],
        };
        self.report(link, kind);
    }

    fn report(&mut self, link: usize, kind: Kind) {
        let index = self.links[link].users.remove(0);
        let id = self.links[link].id;
        let ticket = self.tickets[index].ticket;
        let verdict = self
            .pool
            .handle_outcome(self.time(), id, ticket, kind.report);
        let again = self.model.outcome(self.now, link, index, kind.said);
        assert_eq!(verdict == Verdict::Again, again, "{:?}", kind.report);
        let it = &mut self.links[link];
        if verdict == Verdict::Again {
            assert!(it.begun > 1 && it.ended > 0, "again after a new connection");
            self.seen.insert(match kind.said.sort {
                Sort::Untouched => "again, untouched",
                _ => "again, lost",
            });
            let known = &mut self.tickets[index];
            match kind.said.sort {
                Sort::Lost => assert!(!std::mem::replace(&mut known.again, true), "twice again"),
                Sort::Untouched => {}
                other => panic!("{other:?} is sent again"),
            }
            known.waits = true;
        } else {
            self.end(index);
        }
        let it = &mut self.links[link];
        it.last = self.now;
        it.alone = false;
        if kind.said.is_open {
            it.ended += 1;
        } else if it.state == State::Open {
            it.state = State::Leaving;
        }
        if it.state == State::Leaving && it.users.is_empty() {
            it.state = State::Gone;
        }
    }

    fn take(&mut self, input: &mut &[u8]) {
        let Some(link) = self.pick(input, |link| link.state != State::Gone) else {
            return;
        };
        let taken = self.pool.take(self.time(), self.links[link].id);
        let expected = self.model.take(self.now, link);
        let known = expected.map(|(index, cautious)| (self.tickets[index].ticket, cautious));
        assert_eq!(taken, known);
        if let Some((index, is_cautious)) = expected {
            self.seen.insert("take");
            if self.links[link].users.len() > 1 {
                self.seen.insert("take a third");
            }
            self.begin(link, index, is_cautious);
        }
    }

    fn closed(&mut self, input: &mut &[u8]) {
        let may_close = |link: &Link| match link.state {
            State::Open => link.users.is_empty(),
            State::Leaving => true,
            State::Connecting | State::Gone => false,
        };
        if let Some(link) = self.pick(input, may_close) {
            self.report_closed(link);
        }
    }

    fn report_closed(&mut self, link: usize) {
        self.pool.handle_closed(self.time(), self.links[link].id);
        self.model.closed(link);
        let was_opened = self.links[link].was_opened;
        if self.links[link].users.is_empty() || !was_opened {
            self.leave(link);
        } else {
            self.links[link].state = State::Leaving;
        }
    }

    fn refresh_or_close(&mut self, input: &mut &[u8]) {
        match next(input) % 32 {
            0..=20 => {
                self.pool.refresh();
                self.model.refresh();
            }
            21 | 22 => {
                let until = self.now + 20 * SECOND * (next(input) as u64 % 8);
                self.close(until);
            }
            23..=25 => {
                let usable = [None, Some(1), Some(2), Some(0)][next(input) % 4];
                self.pool.set_usable(usable);
                self.model.set_usable(usable.map(u64::from));
            }
            _ => {}
        }
    }

    fn close(&mut self, until: Nanos) {
        let time = Time::from_origin(Duration::from_nanos(until));
        self.pool.close(self.time(), time);
        self.model.close(until);
        self.closing = Some(self.closing.map_or(until, |before| before.min(until)));
    }

    fn later(&mut self, input: &mut &[u8]) {
        const MILLI: Nanos = SECOND / 1000;
        let pauses = [
            1,
            MILLI,
            999 * MILLI,
            SECOND,
            5 * SECOND,
            30 * SECOND,
            299 * SECOND,
        ];
        self.now += pauses[next(input) % pauses.len()];
    }

    fn pass_to_timeout(&mut self) {
        if let Some(until) = self.pool.poll_timeout() {
            self.now = self.now.max(nanos(until));
        }
    }

    /// Reports on connections and messages that are over.
    fn stale(&mut self, input: &mut &[u8]) {
        let Some(link) = self.pick(input, |link| link.state == State::Gone) else {
            return;
        };
        let (now, id) = (self.time(), self.links[link].id);
        let Some(known) = self.tickets.get(next(input) % self.tickets.len().max(1)) else {
            return;
        };
        match next(input) % 5 {
            0 => self.pool.handle_closed(now, id),
            1 => self.pool.handle_connect_failed(now, id, refused()),
            2 => assert_eq!(self.pool.handle_connected(now, id, None), None),
            3 => {
                let verdict = self
                    .pool
                    .handle_outcome(now, id, known.ticket, Report::lost());
                assert_eq!(verdict, Verdict::Final);
            }
            _ => assert_eq!(self.pool.take(now, id), None),
        }
    }

    /// Takes one action; returns whether there was one.
    fn act(&mut self) -> bool {
        let action = self.pool.poll_action(self.time());
        let expected = self.model.act(self.now);
        let Some(action) = action else {
            assert_eq!(expected, None, "no action");
            return false;
        };
        let expected = expected.unwrap_or_else(|| panic!("{action:?}, and the model has none"));
        self.seen.insert(expected.name());
        match (action, expected) {
            (
                Action::Connect {
                    connection, ticket, ..
                },
                Act::Connect(link, index),
            ) => {
                assert_eq!(ticket, self.tickets[index].ticket);
                assert_eq!(link, self.links.len());
                let there = self.links.iter().filter(|link| link.state != State::Gone);
                assert!((there.count() as u64) < self.limits.connections);
                self.links.push(Link {
                    id: connection,
                    state: State::Connecting,
                    users: Vec::new(),
                    begun: 0,
                    ended: 0,
                    alone: false,
                    limit: Nanos::MAX,
                    was_opened: false,
                    opened: 0,
                    last: self.now,
                });
                self.begin(link, index, false);
            }
            (
                Action::Use {
                    connection,
                    ticket,
                    is_cautious,
                    ..
                },
                Act::Use(link, index, cautious),
            ) => {
                let known = (self.links[link].id, self.tickets[index].ticket, cautious);
                assert_eq!((connection, ticket, is_cautious), known);
                let it = &self.links[link];
                assert!(it.users.is_empty());
                assert!(self.now - it.last < self.limits.idle, "idle for too long");
                self.begin(link, index, is_cautious);
            }
            (Action::Quit(id), Act::Quit(link)) => {
                assert_eq!(id, self.links[link].id);
                let it = &mut self.links[link];
                assert!(it.state == State::Open && it.users.is_empty());
                it.state = State::Leaving;
            }
            (Action::Drop(id), Act::Drop(link)) => {
                assert_eq!(id, self.links[link].id);
                assert!(self.closing.is_some_and(|until| until <= self.now));
                if self.links[link].state != State::Connecting {
                    self.links[link].state = State::Leaving;
                }
            }
            (Action::Fail { ticket, error, .. }, Act::Fail(index, expected)) => {
                assert_eq!(ticket, self.tickets[index].ticket);
                assert_eq!(told(error), expected);
                self.tickets[index].waits = false;
                self.end(index);
            }
            (action, expected) => panic!("{action:?} and {expected:?}"),
        }
        true
    }

    /// Takes all actions; no more than there can be.
    fn act_all(&mut self) {
        let most = 2 * (self.tickets.len() + self.links.len()) + 2;
        for _ in 0..=most {
            if !self.act() {
                self.rest();
                return;
            }
        }
        panic!("actions without end");
    }

    /// What holds when there is nothing to do.
    fn rest(&self) {
        let until = self.pool.poll_timeout().map(nanos);
        assert_eq!(until, self.model.timeout(), "the timeout");
        assert!(until.is_none_or(|until| until > self.now), "a busy loop");
        let waits = self.tickets.iter().any(|known| known.waits);
        let there = self.links.iter().any(|link| link.state != State::Gone);
        assert!(
            !waits || there || until.is_some(),
            "a message waits for nothing"
        );
        assert_ne!(self.pool.explain(self.time()), Some(Limit::Driver));
    }

    /// A message begins on a connection.
    fn begin(&mut self, link: usize, index: usize, is_cautious: bool) {
        let mut before = self.tickets.iter().take(index).enumerate();
        let is_passed =
            |(index, known): (usize, &Known)| known.waits && !self.model.is_failing(index);
        assert!(!before.any(is_passed), "out of turn");
        assert!(self.tickets[index].waits);
        let it = &mut self.links[link];
        assert!(it.begun < it.limit, "more messages than allowed");
        assert!(!it.alone, "a message that is not alone");
        if it.begun > 0 {
            assert!(it.ended > 0);
            assert!(self.now - it.opened < self.limits.age, "too old");
            let paused = it.users.is_empty() && self.now - it.last >= SECOND;
            assert_eq!(is_cautious, paused);
        }
        it.alone = is_cautious || it.begun == 0;
        it.begun += 1;
        it.last = self.now;
        it.users.push(index);
        let known = &mut self.tickets[index];
        known.waits = false;
        assert!(!known.ended, "a message begins that has ended");
        assert!(known.deadline.is_none_or(|deadline| deadline > self.now));
    }

    fn end(&mut self, index: usize) {
        let known = &mut self.tickets[index];
        assert!(!std::mem::replace(&mut known.ended, true), "two ends");
        assert!(self.model.is_over(index));
    }

    /// A connection is gone that was being opened or had no messages.
    fn leave(&mut self, link: usize) {
        self.links[link].state = State::Gone;
        for index in std::mem::take(&mut self.links[link].users) {
            self.tickets[index].waits = true;
        }
    }

    fn pick(&self, input: &mut &[u8], wanted: impl Fn(&Link) -> bool) -> Option<usize> {
        let all = 0..self.links.len();
        let fit: Vec<usize> = all.filter(|link| wanted(&self.links[*link])).collect();
        let at = next(input).checked_rem(fit.len())?;
        Some(fit[at])
    }

    fn compare(&mut self) {
        assert_eq!(counters(self.pool.stats()), self.model.counters());
        let reason = self.pool.explain(self.time());
        self.seen.insert(match &reason {
            None => "nothing waits",
            Some(Limit::Connections {
                is_reduced: true, ..
            }) => "fewer connections",
            Some(Limit::Connections { .. }) => "connections",
            Some(Limit::Backoff { .. }) => "a pause",
            Some(Limit::MessageRate(_)) => "the rate of messages",
            Some(Limit::RecipientRate(_)) => "the rate of recipients",
            Some(Limit::ConnectionRate(_)) => "the rate of connections",
            Some(_) => "the driver",
        });
        assert_eq!(reason.map(why), self.model.why(self.now));
        assert_eq!(self.pool.is_closed(), self.model.is_closed());
        let waiting = self.model.waiting();
        let first = waiting.first().map(|index| self.tickets[*index].ticket);
        assert_eq!(self.pool.first_waiting(), first);
        for (index, known) in self.tickets.iter().enumerate() {
            let waits = self.pool.is_waiting(known.ticket);
            assert_eq!(waits, waiting.contains(&index));
        }
        for link in &self.links {
            let is_open = link.state == State::Open;
            assert_eq!(self.pool.is_open(link.id), is_open, "{:?}", link.id);
        }
    }

    /// Closes the pool, and answers until nothing is left.
    fn finish(&mut self) {
        self.close(self.now + 10 * SECOND);
        let mut turn = 0;
        while !self.pool.is_closed() {
            turn += 1;
            assert!(turn < 3000, "closing does not end: {:?}", self.pool);
            self.act_all();
            self.compare();
            let there = |link: &&usize| self.links[**link].state != State::Gone;
            let links: Vec<usize> = (0..self.links.len()).collect();
            match links.iter().find(there) {
                Some(&link)
                    if !self.links[link].users.is_empty() && self.links[link].was_opened =>
                {
                    self.report(link, self.kinds[turn % self.kinds.len()]);
                }
                Some(&link) if self.links[link].state == State::Connecting => {
                    self.report_connected(link, None);
                }
                Some(&link) if self.links[link].state == State::Leaving => self.report_closed(link),
                _ => self.pass_to_timeout(),
            }
        }
        self.act_all();
        self.compare();
        assert!(self.tickets.iter().all(|known| known.ended), "no end");
    }
}

/// A byte of the input, of which `0` is 0.
fn next(input: &mut &[u8]) -> usize {
    let Some((first, rest)) = input.split_first() else {
        return 0;
    };
    *input = rest;
    usize::from(first.wrapping_sub(b'0'))
}

fn nanos(time: Time) -> Nanos {
    u64::try_from(time.since_origin().as_nanos()).unwrap()
}

fn why(limit: Limit) -> Why {
    let span = |left: Duration| u64::try_from(left.as_nanos()).unwrap();
    match limit {
        Limit::Connections {
            allowed,
            is_reduced,
            ..
        } => Why::Connections {
            allowed: u64::from(allowed),
            is_reduced,
        },
        Limit::Backoff { until, left, .. } => Why::Backoff {
            until: nanos(until),
            left: span(left),
        },
        Limit::MessageRate(left) => Why::MessageRate(span(left)),
        Limit::RecipientRate(left) => Why::RecipientRate(span(left)),
        Limit::ConnectionRate(left) => Why::ConnectionRate(span(left)),
        Limit::Driver => Why::Driver,
        other => panic!("a limit that the model does not know: {other}"),
    }
}

fn told(error: PoolError) -> Told {
    match error {
        PoolError::Closed => Told::Closed,
        PoolError::Full { .. } => Told::Full,
        PoolError::Deadline(limit) => Told::Deadline(why(limit)),
        PoolError::Connect(error) => Told::Connect(format!("{error:#}")),
        other => panic!("an error that the model does not know: {other}"),
    }
}

fn counters(stats: PoolStats) -> Counters {
    Counters {
        open: stats.open,
        connecting: stats.connecting,
        idle: stats.idle,
        waiting: stats.waiting,
        sent: stats.sent,
        failed: stats.failed,
        in_doubt: stats.in_doubt,
        retried: stats.retried,
        unserved: stats.unserved,
        connected: stats.connected,
        connect_failed: stats.connect_failed,
        reused: stats.reused,
    }
}

static KINDS: OnceLock<Vec<Kind>> = OnceLock::new();
static ERRORS: OnceLock<Vec<Error>> = OnceLock::new();

/// Reports of every kind.
fn kinds() -> Vec<Kind> {
    let kind = |report: Report, sort, throttled| Kind {
        report,
        said: Said {
            sort,
            is_open: report.is_open(),
            throttled,
        },
    };
    let rejected_by = |reply: &str, is_open| {
        let mut dialogue = Dialogue::used();
        let id = dialogue.submit(&["b@x.test"]);
        dialogue.say(reply);
        Report::new(&dialogue.outcome(id), is_open, false)
    };
    let accepted = {
        let mut dialogue = Dialogue::ready_with(Pipelining::Off, Protocol::Smtp);
        let id = dialogue.submit(&["b@x.test"]);
        dialogue.say_all(&["250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 taken\r\n"]);
        dialogue.outcome(id)
    };
    vec![
        kind(Report::accepted(), Sort::Accepted, false),
        kind(Report::lost(), Sort::Lost, false),
        kind(Report::untouched(), Sort::Untouched, false),
        kind(Report::in_doubt(), Sort::InDoubt, false),
        kind(Report::rejected(), Sort::Failed, false),
        kind(
            rejected_by("421 4.7.0 too many\r\n", false),
            Sort::Lost,
            true,
        ),
        kind(
            rejected_by("432 4.3.2 enough\r\n", true),
            Sort::Failed,
            true,
        ),
        kind(rejected_by("550 5.7.1 no\r\n", false), Sort::Failed, false),
        kind(Report::new(&accepted, false, false), Sort::Accepted, false),
    ]
}

fn errors() -> Vec<Error> {
    vec![
        refused(),
        Error::connect_timeout(),
        greeted_with("421 4.7.0 too many connections\r\n"),
        greeted_with("554 no\r\n"),
        greeted_with("451 4.3.2 later\r\n"),
    ]
}
