//! What the pool costs.

use std::time::Duration;

use smtp_pool::proto::Time;
use smtp_pool::{Action, ConnectionId, Pool, PoolConfig, Report, Request, Ticket};

use crate::history::dialogue::refused;

fn at(millis: u64) -> Time {
    Time::from_origin(Duration::from_millis(millis))
}

/// A message over an idle connection, if there is one.
fn send(pool: &mut Pool, now: Time) -> (ConnectionId, Ticket) {
    let request = Request::new().with_deadline(now + Duration::from_secs(60));
    let ticket = pool.request(now, request).unwrap();
    match pool.poll_action(now) {
        Some(Action::Use { connection, .. }) => (connection, ticket),
        Some(Action::Connect { connection, .. }) => {
            assert_eq!(pool.handle_connected(now, connection, None), Some(ticket));
            (connection, ticket)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn to_use_an_idle_connection_allocates_nothing() {
    let mut pool = Pool::new(PoolConfig::new().with_max_messages(u32::MAX), 7);
    let (connection, ticket) = send(&mut pool, at(0));
    let _ = pool.handle_outcome(at(0), connection, ticket, Report::accepted());
    let (mut used, mut millis) = (0, 0);
    let heap = allocation_counter::measure(|| {
        for _ in 0..1000 {
            millis += 100;
            let (connection, ticket) = send(&mut pool, at(millis));
            let _ = pool.handle_outcome(at(millis), connection, ticket, Report::accepted());
            let is_done = pool.poll_action(at(millis)).is_none();
            used += usize::from(is_done && pool.poll_timeout().is_some());
        }
    });
    assert_eq!(used, 1000);
    assert_eq!(pool.stats().reused, 1000);
    assert_eq!(heap.count_total, 0);
}

#[test]
fn memory_does_not_grow_with_history() {
    let mut pool = Pool::new(PoolConfig::new(), 7);
    let mut millis = 0;
    let mut round = |pool: &mut Pool| {
        // A crowd that fails.
        millis += 100_000;
        let now = at(millis);
        while let Some(action) = pool.poll_action(now) {
            if let Action::Quit(connection) = action {
                pool.handle_closed(now, connection);
            }
        }
        for _ in 0..100 {
            let deadline = now + Duration::from_secs(1);
            pool.request(now, Request::new().with_deadline(deadline))
                .unwrap();
        }
        let mut opened = Vec::new();
        while let Some(action) = pool.poll_action(now) {
            if let Action::Connect { connection, .. } = action {
                opened.push(connection);
            }
        }
        for connection in opened {
            pool.handle_connect_failed(now, connection, refused());
        }
        while pool.poll_action(now).is_some() {}
        // A connection whose messages end in all ways.
        millis += 100_000;
        for report in [
            Report::accepted(),
            Report::rejected(),
            Report::in_doubt(),
            Report::accepted(),
            Report::untouched(),
        ] {
            millis += 2000;
            let (connection, ticket) = send(pool, at(millis));
            let _ = pool.handle_outcome(at(millis), connection, ticket, report);
            pool.cancel(at(millis), ticket);
        }
        millis += 2000;
        let (connection, ticket) = send(pool, at(millis));
        pool.handle_closed(at(millis), connection);
        let _ = pool.handle_outcome(at(millis), connection, ticket, Report::in_doubt());
        assert_eq!(pool.stats().waiting, 0);
    };
    for _ in 0..10 {
        round(&mut pool);
    }
    let heap = allocation_counter::measure(|| {
        for _ in 0..300 {
            round(&mut pool);
        }
    });
    assert!(heap.count_total > 300);
    assert_eq!(heap.bytes_current, 0);
}
