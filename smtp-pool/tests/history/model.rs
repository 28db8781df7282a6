//! A model of the pool in its plainest form: lists of all that ever was, searched from the front
//! each time. It shares no code with the pool.

/// Times are nanoseconds.
pub(crate) type Nanos = u64;

pub(crate) const SECOND: Nanos = 1_000_000_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connections: u64,
    pub(crate) idle: Nanos,
    pub(crate) age: Nanos,
    pub(crate) messages: u64,
    pub(crate) waiting: usize,
    pub(crate) message_rate: Option<Bucket>,
    pub(crate) recipient_rate: Option<Bucket>,
    pub(crate) connection_rate: Option<Bucket>,
}

/// A leaky bucket: how long an event fills it, and how many events it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) interval: Nanos,
    pub(crate) burst: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Connections { allowed: u64, is_reduced: bool },
    Backoff { until: Nanos, left: Nanos },
    MessageRate(Nanos),
    RecipientRate(Nanos),
    ConnectionRate(Nanos),
    Driver,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Closed,
    Full,
    Deadline(Why),
    Connect(String),
}

/// Tickets and connections are known by their index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Connect(usize, usize),
    Use(usize, usize, bool),
    Quit(usize),
    Drop(usize),
    Fail(usize, Told),
}

impl Act {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Connect(..) => "connect",
            Self::Use(_, _, true) => "use with caution",
            Self::Use(_, _, false) => "use",
            Self::Quit(_) => "quit",
            Self::Drop(_) => "drop",
            Self::Fail(_, Told::Deadline(_)) => "fail at the deadline",
            Self::Fail(_, Told::Connect(_)) => "fail to connect",
            Self::Fail(..) => "fail at the close",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Accepted,
    Failed,
    InDoubt,
    Lost,
    Untouched,
}

/// What a report says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) sort: Sort,
    pub(crate) is_open: bool,
    pub(crate) throttled: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) open: usize,
    pub(crate) connecting: usize,
    pub(crate) idle: usize,
    pub(crate) waiting: usize,
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) in_doubt: u64,
    pub(crate) retried: u64,
    pub(crate) unserved: u64,
    pub(crate) connected: u64,
    pub(crate) connect_failed: u64,
    pub(crate) reused: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Waiting,
    On(usize),
    Failing,
    Over,
}

#[derive(Clone, Debug)]
struct Message {
    at: At,
    deadline: Option<Nanos>,
    recipients: u64,
    is_fresh: bool,
    is_counted: bool,
    was_again: bool,
    on_used: bool,
    was_idle: bool,
    complaints: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Open,
    Leaving,
    Dropped { was_connecting: bool },
    Gone,
}

#[derive(Clone, Debug)]
struct Link {
    state: State,
    users: Vec<usize>,
    began: Nanos,
    last: Nanos,
    begun: u64,
    ended: u64,
    /// Whether it may carry several messages at a time.
    is_proven: bool,
    limit: u64,
    refreshes: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    limits: Limits,
    messages: Vec<Message>,
    links: Vec<Link>,
    /// Messages to be told of a failure, in order.
    failing: Vec<(usize, Told)>,
    /// The events counted against each rate.
    message_events: Vec<(Nanos, u64)>,
    recipient_events: Vec<(Nanos, u64)>,
    connection_events: Vec<(Nanos, u64)>,
    allowed: u64,
    usable: u64,
    /// Accepted messages since `allowed` changed.
    good: u64,
    complaints: u64,
    /// The failed attempts in a row: when each failed and how long its pause is.
    failures: Vec<(Nanos, Nanos)>,
    draws: u64,
    seed: u64,
    refreshes: u64,
    closing: Option<Nanos>,
    is_dropping: bool,
    counters: Counters,
}

impl Model {
    pub(crate) fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            messages: Vec::new(),
            links: Vec::new(),
            failing: Vec::new(),
            message_events: Vec::new(),
            recipient_events: Vec::new(),
            connection_events: Vec::new(),
            allowed: limits.connections,
            usable: u64::MAX,
            good: 0,
            complaints: 0,
            failures: Vec::new(),
            draws: 0,
            seed,
            refreshes: 0,
            closing: None,
            is_dropping: false,
            counters: Counters::default(),
        }
    }

    // What the driver wants.

    pub(crate) fn request(
        &mut self,
        recipients: u64,
        deadline: Option<Nanos>,
        is_fresh: bool,
    ) -> Result<usize, Told> {
        let told = if self.closing.is_some() {
            Told::Closed
        } else if self.waiting().len() >= self.limits.waiting {
            Told::Full
        } else {
            self.messages.push(Message {
                at: At::Waiting,
                deadline,
                recipients,
                is_fresh,
                is_counted: false,
                was_again: false,
                on_used: false,
                was_idle: false,
                complaints: 0,
            });
            return Ok(self.messages.len() - 1);
        };
        self.counters.unserved += 1;
        Err(told)
    }

    pub(crate) fn cancel(&mut self, message: usize) {
        match self.messages[message].at {
            At::Waiting => self.messages[message].at = At::Over,
            At::Failing => {
                self.failing.retain(|(failing, _)| *failing != message);
                self.messages[message].at = At::Over;
            }
            At::On(link) if self.links[link].users == [message] => {
                self.links[link].state = State::Gone;
                self.links[link].users.clear();
                self.messages[message].at = At::Over;
            }
            At::On(_) | At::Over => {}
        }
    }

    pub(crate) fn close(&mut self, until: Nanos) {
        if !self.is_dropping {
            self.closing = Some(self.closing.map_or(until, |before| before.min(until)));
        }
    }

    pub(crate) fn refresh(&mut self) {
        self.refreshes += 1;
        for link in &mut self.links {
            if link.state == State::Connecting {
                link.refreshes = self.refreshes;
            }
        }
    }

    pub(crate) fn withdraw(&mut self, message: usize) -> bool {
        let waits = self.messages[message].at == At::Waiting;
        if waits {
            self.messages[message].at = At::Over;
        }
        waits
    }

    pub(crate) fn set_usable(&mut self, usable: Option<u64>) {
        self.usable = usable.map_or(u64::MAX, |usable| usable.max(1));
    }

    pub(crate) fn take(&mut self, now: Nanos, link: usize) -> Option<(usize, bool)> {
        let message = *self.waiting().first()?;
        let is_late = |limit: Option<Nanos>| limit.is_some_and(|limit| limit <= now);
        let idle_limit = match self.links[link].users.is_empty() {
            true => self.links[link].last + self.limits.idle,
            false => Nanos::MAX,
        };
        let is_prevented = [
            is_late(self.messages[message].deadline),
            is_late(self.closing),
            self.messages[message].is_fresh,
            self.rates_ready(message) > now,
            self.links[link].state != State::Open,
            !self.links[link].users.is_empty() && !self.links[link].is_proven,
            self.links[link].begun >= self.links[link].limit,
            self.lively() > self.allowed(),
            self.links[link].refreshes != self.refreshes,
            self.links[link].began + self.limits.age <= now,
            idle_limit <= now,
        ];
        if is_prevented.contains(&true) {
            return None;
        }
        Some((message, self.begin(now, message, link)))
    }

    // What happened.

    pub(crate) fn connected(
        &mut self,
        now: Nanos,
        link: usize,
        mail_max: Option<u64>,
    ) -> Option<usize> {
        let most = self.limits.messages;
        let it = &mut self.links[link];
        if it.state != State::Connecting {
            return None;
        }
        it.state = State::Open;
        it.began = now;
        it.last = now;
        it.limit = most.min(mail_max.unwrap_or(most));
        self.failures.clear();
        self.counters.connected += 1;
        Some(it.users[0])
    }

    pub(crate) fn connect_failed(
        &mut self,
        now: Nanos,
        link: usize,
        text: &str,
        complains: bool,
        is_refused: bool,
    ) {
        if !self.is_connecting(link) {
            return;
        }
        let all = self.all();
        self.counters.connect_failed += 1;
        let began = self.links[link].began;
        self.links[link].state = State::Gone;
        // Attempts that were made at the same time count as one.
        if !self.failures.iter().any(|(failed, _)| began <= *failed) {
            let doubled = SECOND << self.failures.len().min(6);
            let longest = doubled.min(60 * SECOND);
            let less = longest / 2000 * self.draw();
            self.failures.push((now, longest - less));
        }
        let stands = self.links.iter().any(|link| link.state == State::Open);
        let message = self.links[link].users.remove(0);
        if complains || (stands && is_refused) {
            self.complain(message, all);
        }
        let told = Told::Connect(text.to_owned());
        if self.messages[message].is_fresh {
            self.fail(message, told.clone());
        } else {
            self.messages[message].at = At::Waiting;
        }
        let goes_on = |link: &Link| link.state == State::Connecting;
        if !stands && !self.links.iter().any(goes_on) {
            for message in self.waiting() {
                self.fail(message, told.clone());
            }
        }
    }

    /// Returns whether the message waits again.
    pub(crate) fn outcome(&mut self, now: Nanos, link: usize, message: usize, said: Said) -> bool {
        let is_on = self.links[link].users.contains(&message);
        if !is_on || self.is_connecting(link) {
            return false;
        }
        let all = self.all();
        let it = &mut self.links[link];
        it.users.retain(|user| *user != message);
        it.last = now;
        if said.is_open {
            it.ended += 1;
            it.is_proven = true;
        } else if it.state == State::Open {
            it.state = State::Leaving;
        }
        if it.state != State::Open && it.users.is_empty() {
            it.state = State::Gone;
        }
        if said.throttled {
            self.complain(message, all);
        }
        let it = &mut self.messages[message];
        if said.sort == Sort::Untouched && (it.on_used || it.was_idle) {
            it.at = At::Waiting;
            return true;
        }
        if said.sort == Sort::Lost && it.on_used && !it.was_again {
            it.was_again = true;
            it.at = At::Waiting;
            self.counters.retried += 1;
            return true;
        }
        it.at = At::Over;
        match said.sort {
            Sort::Accepted => {
                self.counters.sent += 1;
                if self.allowed < self.limits.connections {
                    self.good += 1;
                    if self.good == 20 {
                        self.good = 0;
                        self.allowed += 1;
                    }
                }
            }
            Sort::InDoubt => self.counters.in_doubt += 1,
            _ => self.counters.failed += 1,
        }
        false
    }

    pub(crate) fn closed(&mut self, link: usize) {
        match self.links[link].state {
            State::Gone => {}
            _ if self.is_connecting(link) => {
                self.links[link].state = State::Gone;
                let message = self.links[link].users.remove(0);
                if self.is_dropping {
                    self.fail(message, Told::Closed);
                } else {
                    self.messages[message].at = At::Waiting;
                }
            }
            _ if self.links[link].users.is_empty() => self.links[link].state = State::Gone,
            State::Open => self.links[link].state = State::Leaving,
            _ => {}
        }
    }

    // What is to be done.

    pub(crate) fn act(&mut self, now: Nanos) -> Option<Act> {
        if self.closing.is_some_and(|until| until <= now) {
            self.is_dropping = true;
        }
        if self.is_dropping {
            for message in self.waiting() {
                self.fail(message, Told::Closed);
            }
        }
        if self.is_dropping {
            for link in 0..self.links.len() {
                let was_connecting = self.is_connecting(link);
                if !matches!(self.links[link].state, State::Gone | State::Dropped { .. }) {
                    self.links[link].state = State::Dropped { was_connecting };
                    return Some(Act::Drop(link));
                }
            }
        }
        loop {
            let mut late = self.waiting();
            late.retain(|message| self.messages[*message].deadline.is_some_and(|at| at <= now));
            late.sort_by_key(|message| self.messages[*message].deadline);
            let Some(message) = late.first() else {
                break;
            };
            let why = self.why(now).unwrap();
            self.fail(*message, Told::Deadline(why));
        }
        if !self.failing.is_empty() {
            let (message, told) = self.failing.remove(0);
            self.messages[message].at = At::Over;
            return Some(Act::Fail(message, told));
        }
        let mut useless = self.idle();
        let nothing_waits = self.waiting().is_empty();
        useless.retain(|link| {
            let it = &self.links[*link];
            (self.closing.is_some() && nothing_waits)
                || it.begun >= it.limit
                || it.refreshes != self.refreshes
                || self.expires(*link) <= now
        });
        if useless.is_empty() && self.lively() > self.allowed() {
            useless = self.idle_by_age();
        }
        if let Some(link) = useless.first() {
            self.links[*link].state = State::Leaving;
            return Some(Act::Quit(*link));
        }
        let message = *self.waiting().first()?;
        if self.why(now) != Some(Why::Driver) {
            return None;
        }
        let idle = self.idle_by_age();
        if self.messages[message].is_fresh {
            if self.all() >= self.allowed() {
                self.links[idle[0]].state = State::Leaving;
                return Some(Act::Quit(idle[0]));
            }
        } else if let Some(link) = idle.last() {
            let is_cautious = self.begin(now, message, *link);
            return Some(Act::Use(*link, message, is_cautious));
        }
        let link = self.links.len();
        self.connection_events.push((now, 1));
        self.count(now, message);
        self.messages[message].at = At::On(link);
        self.messages[message].on_used = false;
        self.messages[message].was_idle = false;
        self.messages[message].complaints = self.complaints;
        self.links.push(Link {
            state: State::Connecting,
            users: vec![message],
            began: now,
            last: now,
            begun: 1,
            ended: 0,
            is_proven: false,
            limit: Nanos::MAX,
            refreshes: self.refreshes,
        });
        Some(Act::Connect(link, message))
    }

    /// When something is to be done next, if nothing is now.
    pub(crate) fn timeout(&self) -> Option<Nanos> {
        let mut times: Vec<Nanos> = self.idle().iter().map(|link| self.expires(*link)).collect();
        let waiting = self.waiting();
        times.extend(
            waiting
                .iter()
                .filter_map(|message| self.messages[*message].deadline),
        );
        if !self.is_closed() && !self.is_dropping {
            times.extend(self.closing);
        }
        if let Some(message) = waiting.first() {
            let rates = self.rates_ready(*message);
            match self.way(*message) {
                Way::Idle | Way::Replace => times.push(rates),
                Way::Connect => {
                    let connections = self.connections_ready();
                    times.push(rates.max(connections).max(self.pause_ends()));
                }
                Way::None => {}
            }
        }
        times.sort_unstable();
        times.first().copied()
    }

    pub(crate) fn why(&self, now: Nanos) -> Option<Why> {
        let message = *self.waiting().first()?;
        let rates = self.rates_ready(message);
        if rates > now {
            let limits = &self.limits;
            let messages = ready(limits.message_rate, &self.message_events, 1);
            return Some(match messages == rates {
                true => Why::MessageRate(rates - now),
                false => Why::RecipientRate(rates - now),
            });
        }
        let pause = self.pause_ends();
        let connections = self.connections_ready();
        Some(match self.way(message) {
            Way::None => Why::Connections {
                allowed: self.allowed(),
                is_reduced: self.allowed < self.limits.connections,
            },
            Way::Connect if pause > now => Why::Backoff {
                until: pause,
                left: pause - now,
            },
            Way::Connect if connections > now => Why::ConnectionRate(connections - now),
            _ => Why::Driver,
        })
    }

    pub(crate) fn counters(&self) -> Counters {
        let count = |state| self.links.iter().filter(|link| link.state == state).count();
        Counters {
            open: count(State::Open),
            connecting: count(State::Connecting),
            idle: self.idle().len(),
            waiting: self.waiting().len(),
            ..self.counters
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closing.is_some()
            && self.failing.is_empty()
            && self.messages.iter().all(|message| message.at == At::Over)
            && self.links.iter().all(|link| link.state == State::Gone)
    }

    pub(crate) fn is_over(&self, message: usize) -> bool {
        self.messages[message].at == At::Over
    }

    /// Whether it is to be told of a failure.
    pub(crate) fn is_failing(&self, message: usize) -> bool {
        self.messages[message].at == At::Failing
    }

    pub(crate) fn waiting(&self) -> Vec<usize> {
        let all = 0..self.messages.len();
        all.filter(|message| self.messages[*message].at == At::Waiting)
            .collect()
    }

    fn is_connecting(&self, link: usize) -> bool {
        matches!(
            self.links[link].state,
            State::Connecting
                | State::Dropped {
                    was_connecting: true
                }
        )
    }

    /// Gives the message an open connection; returns whether to be cautious.
    fn begin(&mut self, now: Nanos, message: usize, link: usize) -> bool {
        self.count(now, message);
        let it = &mut self.links[link];
        let was_idle = it.users.is_empty();
        let is_cautious = was_idle && it.ended > 0 && now - it.last >= SECOND;
        if is_cautious {
            it.is_proven = false;
        }
        if was_idle {
            self.counters.reused += 1;
        }
        it.begun += 1;
        it.last = now;
        it.users.push(message);
        self.messages[message].at = At::On(link);
        self.messages[message].on_used = it.ended > 0;
        self.messages[message].was_idle = was_idle;
        self.messages[message].complaints = self.complaints;
        is_cautious
    }

    fn fail(&mut self, message: usize, told: Told) {
        self.counters.unserved += 1;
        self.messages[message].at = At::Failing;
        self.failing.push((message, told));
    }

    fn complain(&mut self, message: usize, all: u64) {
        if self.messages[message].complaints == self.complaints {
            self.complaints += 1;
            self.good = 0;
            self.allowed = (self.allowed.min(all) / 2).max(1);
        }
    }

    fn count(&mut self, now: Nanos, message: usize) {
        if !self.messages[message].is_counted {
            self.messages[message].is_counted = true;
            self.message_events.push((now, 1));
            self.recipient_events
                .push((now, self.messages[message].recipients));
        }
    }

    fn way(&self, message: usize) -> Way {
        let is_fresh = self.messages[message].is_fresh;
        let leaving = self.all() - self.lively();
        match self.idle().is_empty() {
            false if !is_fresh => Way::Idle,
            _ if self.all() < self.allowed() => Way::Connect,
            false if leaving == 0 => Way::Replace,
            _ => Way::None,
        }
    }

    fn rates_ready(&self, message: usize) -> Nanos {
        let it = &self.messages[message];
        if it.is_counted {
            return 0;
        }
        let messages = ready(self.limits.message_rate, &self.message_events, 1);
        let recipients = ready(
            self.limits.recipient_rate,
            &self.recipient_events,
            it.recipients,
        );
        messages.max(recipients)
    }

    fn connections_ready(&self) -> Nanos {
        ready(self.limits.connection_rate, &self.connection_events, 1)
    }

    fn pause_ends(&self) -> Nanos {
        self.failures
            .last()
            .map_or(0, |(failed, pause)| failed + pause)
    }

    fn allowed(&self) -> u64 {
        self.allowed.min(self.usable)
    }

    /// Connections that are open or being opened.
    fn lively(&self) -> u64 {
        let is_lively = |link: &&Link| matches!(link.state, State::Open | State::Connecting);
        self.links.iter().filter(is_lively).count() as u64
    }

    fn all(&self) -> u64 {
        let is_there = |link: &&Link| link.state != State::Gone;
        self.links.iter().filter(is_there).count() as u64
    }

    fn idle(&self) -> Vec<usize> {
        let is_idle = |link: &usize| {
            let it = &self.links[*link];
            it.state == State::Open && it.users.is_empty()
        };
        (0..self.links.len()).filter(is_idle).collect()
    }

    /// The idle connections, those that were used last at the end.
    fn idle_by_age(&self) -> Vec<usize> {
        let mut idle = self.idle();
        idle.sort_by_key(|link| self.links[*link].last);
        idle
    }

    fn expires(&self, link: usize) -> Nanos {
        let it = &self.links[link];
        (it.last + self.limits.idle).min(it.began + self.limits.age)
    }

    /// SplitMix64, of which each number is computed from its index.
    fn draw(&mut self) -> u64 {
        self.draws += 1;
        let mut z = self
            .seed
            .wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(self.draws));
        for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9_u64), (27, 0x94d0_49bb_1331_11eb)] {
            z = (z ^ (z >> shift)).wrapping_mul(factor);
        }
        (z ^ (z >> 31)) % 1000
    }
}

/// How the oldest message can be served, limits of time apart.
enum Way {
    Idle,
    Connect,
    Replace,
    None,
}

/// When a bucket has room for this number of events. More than it holds wait until it is empty.
fn ready(bucket: Option<Bucket>, events: &[(Nanos, u64)], count: u64) -> Nanos {
    let Some(bucket) = bucket else {
        return 0;
    };
    let (mut level, mut last) = (0_u64, 0);
    for (time, count) in events {
        level = level.saturating_sub(time - last) + count * bucket.interval;
        last = *time;
    }
    let room = bucket.burst.saturating_sub(count) * bucket.interval;
    match level > room {
        true => last + level - room,
        false => 0,
    }
}
