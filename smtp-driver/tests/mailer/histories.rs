//! Random histories: senders that come and go, a server that fails, and what must hold at the end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use futures_lite::StreamExt;
use proptest::prelude::*;
use smtp_driver::Mails;
use smtp_driver::smtp_pool::PoolConfig;
use smtp_test::Config;

use crate::world::{
    Fault, LIMIT, MAX_WAIT, Status, Tasks, World, WorldMailer, assert_quiet, mail, status,
};

/// What a sender heard of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Status(Status),
    /// It got no connection.
    Unserved,
}

#[derive(Clone, Debug)]
struct History {
    seed: u64,
    senders: usize,
    /// Messages of each sender, one after the other.
    each: usize,
    batches: usize,
    connections: u32,
    messages: u32,
    waiting: usize,
    with_driver: bool,
    /// One in `faults` operations of a stream fails; 0 is never.
    faults: u64,
    /// One in `drops` turns drops a task; 0 is never.
    drops: u64,
    /// Whether the mailer is closed while senders are there.
    closes: bool,
}

fn history() -> impl Strategy<Value = History> {
    let counts = (1..8_usize, 1..4_usize, 0..3_usize);
    let limits = (1..4_u32, 1..8_u32, 1..40_usize);
    let rates = (
        prop_oneof![Just(0), Just(5), Just(20), Just(60)],
        prop_oneof![Just(0), Just(0), Just(10), Just(50)],
    );
    (any::<u64>(), counts, limits, rates, any::<[bool; 2]>()).prop_map(
        |(seed, counts, limits, rates, [with_driver, closes])| History {
            seed,
            senders: counts.0,
            each: counts.1,
            batches: counts.2,
            connections: limits.0,
            messages: limits.1,
            waiting: limits.2,
            with_driver,
            faults: rates.0,
            drops: rates.1,
            closes,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_is_stored_once_if_accepted_and_every_sender_hears(history in history()) {
        run(&history);
    }
}

fn run(history: &History) {
    let world = World::new(Config::new());
    let config = PoolConfig::new()
        .with_max_connections(history.connections)
        .with_max_messages(history.messages)
        .with_max_waiting(history.waiting);
    let mailer = world.mailer(config);
    let mut draws = Draws(history.seed);
    if history.faults > 0 {
        let mut draws = Draws(history.seed ^ 1);
        let rate = history.faults;
        world.faults(move |_| draws.one_in(rate).then(|| draws.fault()));
        world.refuse(
            (1..50)
                .filter(|number| number % 7 == history.seed % 7)
                .map(|n| n as usize),
        );
    }
    let heard = RefCell::new(BTreeMap::new());
    let mut tasks = Tasks::new(&world);
    let mut drivers = Vec::new();
    if history.with_driver {
        drivers.push(tasks.spawn(mailer.driver().unwrap()));
    }
    let mut owners = BTreeMap::new();
    for sender in 0..history.senders {
        let numbers = (0..history.each).map(move |number| sender * 10 + number);
        let task = tasks.spawn(send(&mailer, &heard, numbers.clone()));
        owners.insert(task, numbers.collect::<Vec<_>>());
    }
    for batch in 0..history.batches {
        let numbers = (0..10).map(move |number| 1000 + batch * 10 + number);
        let task = tasks.spawn(send_all(&mailer, &heard, numbers.clone()));
        owners.insert(task, numbers.collect());
    }
    let closes_at = history.closes.then(|| draws.below(300));
    let mut turns = 0;
    let mut dropped = Vec::new();
    loop {
        turns += 1;
        assert!(turns < 100_000, "it never ends");
        if Some(turns) == closes_at {
            let (mailer, wait) = (&mailer, Duration::from_secs(draws.below(40)));
            tasks.spawn(async move { _ = mailer.close(wait).await });
        }
        if history.drops > 0 && draws.one_in(history.drops) {
            let victims: Vec<_> = (owners.keys().chain(&drivers))
                .filter(|task| !tasks.has_ended(**task))
                .copied()
                .collect();
            if let Some(victim) = victims.get(draws.below(20) as usize) {
                tasks.kill(*victim);
                dropped.push(*victim);
                if drivers.contains(victim) {
                    drivers.push(tasks.spawn(mailer.driver().unwrap()));
                }
            }
        }
        let goes_on = tasks.turn() || tasks.advance(Duration::MAX);
        let have_ended = owners.keys().all(|task| tasks.has_ended(*task));
        if have_ended && closes_at.is_none_or(|at| turns > at) {
            break;
        }
        assert!(
            goes_on || Some(turns) < closes_at,
            "senders wait for what never comes"
        );
        if !goes_on && have_ended {
            break;
        }
    }
    // What was begun by a driver ends.
    tasks.run_for(Duration::from_secs(100));
    let stats = mailer.stats();
    assert_quiet(stats);
    assert_eq!(world.open(), stats.open, "no connection is left over");
    assert!(world.most_open() <= history.connections as usize);
    let heard = heard.borrow();
    let stored = world.stored();
    for (task, numbers) in &owners {
        for number in numbers {
            let copies = stored.get(number).copied().unwrap_or(0);
            match heard.get(number) {
                Some(Heard::Status(Status::Accepted)) => assert_eq!(copies, 1, "{number}"),
                Some(Heard::Status(Status::InDoubt)) => assert!(copies <= 1, "{number}"),
                Some(other) => assert_eq!(copies, 0, "{number}: {other:?}"),
                None => {
                    assert!(dropped.contains(task), "{number}: its sender heard nothing");
                    assert!(copies <= 1, "{number}");
                }
            }
        }
    }
    let closing = tasks.spawn(async { _ = mailer.close(LIMIT).await });
    tasks.run_task(closing);
    tasks.run();
    assert!(tasks.have_ended());
    assert_eq!(world.open(), 0);
}

async fn send(
    mailer: &WorldMailer,
    heard: &RefCell<BTreeMap<usize, Heard>>,
    numbers: impl Iterator<Item = usize>,
) {
    for number in numbers {
        let what = match mailer.send(mail(number), MAX_WAIT).await {
            Ok(outcome) => Heard::Status(status(&outcome)),
            Err(_) => Heard::Unserved,
        };
        assert!(heard.borrow_mut().insert(number, what).is_none());
    }
}

async fn send_all(
    mailer: &WorldMailer,
    heard: &RefCell<BTreeMap<usize, Heard>>,
    numbers: impl Iterator<Item = usize> + Clone,
) {
    let first = numbers.clone().next().unwrap();
    let mut all = mailer.send_all(Mails::new(numbers.map(mail)));
    while let Some((number, result)) = all.next().await {
        let what = match result {
            Ok(outcome) => Heard::Status(status(&outcome)),
            Err(_) => Heard::Unserved,
        };
        assert!(heard.borrow_mut().insert(first + number, what).is_none());
    }
}

/// Numbers by the generator SplitMix64.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, rate: u64) -> bool {
        self.below(rate) == 0
    }

    fn fault(&mut self) -> Fault {
        let faults = [
            Fault::Eof,
            Fault::Reset,
            Fault::Says("421 4.4.2 idle for too long\r\n"),
            Fault::Says("250 surplus\r\n"),
            Fault::ResetBehind,
            Fault::Silence,
        ];
        let index = self.below(faults.len() as u64);
        faults[index as usize]
    }
}
