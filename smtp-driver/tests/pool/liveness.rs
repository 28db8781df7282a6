//! No caller sleeps while there is something that it could do.

use super::*;

/// What a caller does.
enum State {
    /// It sleeps until it is woken, or until this time.
    Waits(Option<Time>),
    Connects(ConnectionId),
    Sends(ConnectionId, Box<Fake>),
}

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Callers that do what they are woken for, and nothing else.
struct Play {
    world: World,
    callers: Vec<(Caller, State)>,
    numbers: Numbers,
}

impl Play {
    fn new(seed: u64) -> Self {
        let config = PoolConfig::new()
            .with_max_connections(2)
            .with_max_messages(3)
            .with_idle_timeout(seconds(20));
        Self {
            world: World::new(config),
            callers: Vec::new(),
            numbers: Numbers(seed),
        }
    }

    fn arrive(&mut self) {
        let limit = seconds(1 + self.numbers.below(40) as u64);
        let request = Request::new().with_deadline(self.world.now + limit);
        let request = match self.numbers.below(8) {
            0 => request.fresh(),
            _ => request,
        };
        let caller = self.world.request(request);
        self.callers
            .push((caller, State::Waits(Some(self.world.now))));
    }

    /// Something happens to one caller.
    fn happen(&mut self) {
        if self.callers.is_empty() {
            return;
        }
        let index = self.numbers.below(self.callers.len());
        let (caller, state) = self.callers.swap_remove(index);
        let (now, pool) = (self.world.now, &self.world.pool);
        let ticket = caller.ticket;
        if self.numbers.below(6) == 0 {
            drop(state);
            return pool.cancel(now, ticket);
        }
        let next = match state {
            State::Waits(until) => State::Waits(until),
            State::Connects(id) if self.numbers.below(5) == 0 => {
                pool.connect_failed(now, id, Error::connect_timeout());
                State::Waits(Some(now))
            }
            State::Connects(id) => {
                let mut fake = Fake::new(&self.world.parted);
                match pool.connected(now, id, &mut fake) {
                    true => State::Sends(id, Box::new(fake)),
                    false => State::Waits(Some(now)),
                }
            }
            State::Sends(id, mut fake) => {
                let sent = fake.connection.stats().bytes_sent();
                let outcome = match self.numbers.below(4) {
                    0 => fake.lose(mail()),
                    _ => fake.send(mail()),
                };
                match pool.finish(now, (id, ticket), outcome, sent, *fake) {
                    Finished::Final(_) => return,
                    Finished::Again(_) => State::Waits(Some(now)),
                }
            }
        };
        self.callers.push((caller, next));
    }

    /// Callers act that are woken, or whose time has come, until there is none.
    fn settle(&mut self) {
        let mut is_changed = true;
        while is_changed {
            is_changed = false;
            for (caller, state) in std::mem::take(&mut self.callers) {
                let (now, pool) = (self.world.now, &self.world.pool);
                let next = match state {
                    State::Waits(until)
                        if caller.is_woken() || until.is_some_and(|until| until <= now) =>
                    {
                        is_changed = true;
                        match caller.poll(&self.world) {
                            Poll::Pending => State::Waits(pool.alarm(caller.ticket)),
                            Poll::Ready(Grant::Connect(id)) => State::Connects(id),
                            Poll::Ready(Grant::Use(id, fake)) => State::Sends(id, Box::new(fake)),
                            Poll::Ready(Grant::Failed(_)) => continue,
                        }
                    }
                    state => state,
                };
                self.callers.push((caller, next));
            }
        }
    }

    /// What is due is kept in mind by a caller that sleeps, if any does.
    fn check(&self) {
        let alarms = self.callers.iter().filter_map(|(_, state)| match state {
            State::Waits(until) => Some(*until),
            _ => None,
        });
        let alarms: Vec<_> = alarms.collect();
        assert_eq!(alarms.len(), self.world.pool.stats().waiting, "one sleeps");
        let timeout = self.world.pool.poll_timeout();
        if let Some(timeout) = timeout
            && !alarms.is_empty()
        {
            let first = alarms.iter().flatten().min();
            assert!(
                first.is_some_and(|alarm| *alarm <= timeout),
                "one oversleeps"
            );
        }
        if !alarms.is_empty() {
            let limit = self.world.pool.explain(self.world.now).unwrap();
            assert_ne!(limit, Limit::Driver, "one could be served");
        }
    }
}

#[test]
fn no_caller_sleeps_while_there_is_something_to_do() {
    for seed in 0..300 {
        let mut play = Play::new(seed);
        for _ in 0..80 {
            match play.numbers.below(4) {
                0 => play.arrive(),
                1 => play.world.now = play.world.now + seconds(play.numbers.below(12) as u64),
                _ => play.happen(),
            }
            play.settle();
            play.check();
        }
        let until = play.world.now + seconds(5);
        play.world.pool.close(play.world.now, until);
        play.settle();
        play.world.now = until;
        play.settle();
        while !play.callers.is_empty() {
            play.happen();
            play.settle();
        }
        assert!(play.world.pool.is_closed(), "{seed}");
    }
}
