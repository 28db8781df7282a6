//! Work is linear (I1): four times the recipients, messages or outcomes take four times the steps.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "a test fails by panicking, and uses a part of what is shared"
)]

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::Poll;

use crate::{Batch, Config, Mail, MailId, Pipelining, Security, steps};

#[path = "../../tests/common/pair.rs"]
mod pair;
#[path = "../../tests/common/taker.rs"]
mod taker;

use pair::Pair;
use taker::Taker;

#[test]
fn recipients_in_transactions_of_one_or_a_hundred() {
    for (keywords, most) in [
        (
            "250-mx.test\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=1\r\n",
            1,
        ),
        (
            "250-mx.test\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=100\r\n",
            100,
        ),
        (
            "250-mx.test\r\n250-PIPELINING\r\n250 LIMITS RCPTDOMAINMAX=1\r\n",
            usize::MAX,
        ),
        ("250-mx.test\r\n250 PIPELINING\r\n", 20),
        ("250-mx.test\r\n250 PIPELINING\r\n", 100),
    ] {
        recipients_are_linear(keywords, most, usize::MAX);
    }
}

#[test]
fn recipients_of_a_few_domains_in_transactions() {
    for (keywords, most) in [
        (
            "250-mx.test\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=20 RCPTDOMAINMAX=2\r\n",
            20,
        ),
        (
            "250-mx.test\r\n250-PIPELINING\r\n250 LIMITS RCPTDOMAINMAX=2\r\n",
            20,
        ),
    ] {
        for domains in [1, 2, 3] {
            recipients_are_linear(keywords, most, domains);
        }
    }
}

/// Sends to recipients of this many domains, in turn, in as few transactions as a server that
/// takes `most` recipients at a time allows.
fn recipients_are_linear(keywords: &'static str, most: usize, domains: usize) {
    let run = |count| {
        let recipients = (0..count).map(|number| format!("r{number}@{}.test", number % domains));
        let mail = Mail::new("a@x.test", recipients, TEXT).unwrap();
        let mut pair = pair(keywords, most, Pipelining::Transactions);
        let id = pair.connection.submit(mail);
        let outcome = pair.drive(|connection| connection.poll_outcome(id));
        assert!(outcome.unwrap().is_accepted());
        // MAIL and DATA of each transaction, and those rejected in the first.
        let least = count + 2 * count.div_ceil(most) + 1;
        if domains < usize::MAX {
            let commands = pair.peer.commands;
            assert!(
                commands < least + 200,
                "{keywords}: {commands} commands for {count} recipients of {domains} domains"
            );
        }
    };
    assert_linear(keywords, 500, run);
}

#[test]
fn messages_in_a_batch_with_a_limit() {
    let keywords = "250-mx.test\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 LIMITS MAILMAX=100000\r\n";
    for level in [Pipelining::Transactions, Pipelining::Speculative] {
        let run = |count| {
            let mut pair = pair(keywords, usize::MAX, level);
            let mut batch = Batch::new((0..count).map(|_| mail()));
            let mut accepted = 0;
            while let Some(outcome) = pair
                .drive(|connection| batch.poll_outcome(connection).map(Ok))
                .unwrap()
            {
                accepted += usize::from(outcome.is_accepted());
            }
            assert_eq!(accepted, count);
        };
        assert_linear(keywords, 1000, run);
    }
}

/// Submits all messages, and takes their outcomes in this order, asking after each read and write
/// as an adapter does.
fn take(order: impl Fn(usize) -> Vec<usize>) -> impl FnMut(usize) {
    move |count| {
        let keywords = "250-mx.test\r\n250 PIPELINING\r\n";
        let mut pair = pair(keywords, usize::MAX, Pipelining::Transactions);
        let ids: Vec<MailId> = (0..count).map(|_| pair.connection.submit(mail())).collect();
        for index in order(count) {
            let outcome = loop {
                if let Poll::Ready(outcome) = pair.connection.poll_outcome(ids[index]) {
                    break outcome;
                }
                if !(pair.write() | pair.read()) {
                    pair.now = pair.connection.poll_timeout().unwrap();
                    pair.connection.handle_timeout(pair.now);
                }
            };
            assert!(outcome.unwrap().is_accepted());
        }
    }
}

#[test]
fn outcomes_taken_in_any_order() {
    assert_linear("first to last", 1000, take(|count| (0..count).collect()));
    assert_linear(
        "last to first",
        1000,
        take(|count| (0..count).rev().collect()),
    );
    // 7919 is a prime, so each number occurs once.
    let mixed = |count| (0..count).map(|number| number * 7919 % count).collect();
    assert_linear("mixed", 1000, take(mixed));
}

#[track_caller]
fn assert_linear(what: &str, count: usize, mut run: impl FnMut(usize)) {
    let few = steps::of(|| run(count));
    let many = steps::of(|| run(4 * count));
    // A search by halves takes two steps more.
    assert!(
        4 * many <= 21 * few,
        "{what}: {count} take {few} steps, {} take {many}",
        4 * count
    );
    assert!(few > 0, "{what}: no step is counted");
}

fn pair(keywords: &'static str, most: usize, level: Pipelining) -> Pair<Taker> {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .pipelining(level)
        .build();
    Pair::new(Arc::new(config.unwrap()), Taker::new(keywords, most))
}

fn mail() -> Mail {
    Mail::new("a@x.test", ["b@x.test"], TEXT).unwrap()
}

const TEXT: &str = "From: <a@x.test>\r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\n\r\nhello\r\n";
