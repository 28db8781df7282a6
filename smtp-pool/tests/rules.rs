//! Each rule of the pool, as a short history.

use std::time::Duration;

use smtp_pool::proto::Time;
use smtp_pool::{Action, Pool, PoolConfig, Report, Request, Verdict};

#[test]
fn an_idle_connection_is_used_again() {
    let now = Time::ORIGIN;
    let mut pool = Pool::new(PoolConfig::new(), 1);
    let first = pool.request(now, Request::new()).unwrap();
    let Some(Action::Connect { connection, .. }) = pool.poll_action(now) else {
        panic!("no connection is opened");
    };
    assert_eq!(pool.handle_connected(now, connection, None), Some(first));
    let verdict = pool.handle_outcome(now, connection, first, Report::accepted());
    assert_eq!(verdict, Verdict::Final);
    let later = now + Duration::from_secs(2);
    let second = pool.request(later, Request::new()).unwrap();
    let Some(Action::Use {
        ticket,
        is_cautious,
        ..
    }) = pool.poll_action(later)
    else {
        panic!("the connection is not used");
    };
    assert_eq!((ticket, is_cautious), (second, true));
    let verdict = pool.handle_outcome(later, connection, second, Report::lost());
    assert_eq!(verdict, Verdict::Again);
    assert!(matches!(
        pool.poll_action(later),
        Some(Action::Connect { .. })
    ));
}
