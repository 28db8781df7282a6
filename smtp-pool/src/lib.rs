//! A pool of SMTP connections as a state machine: no I/O, no clock, no threads.
//!
//! Many callers want to send messages over few connections. A [`Pool`] decides who waits, which
//! connection is used, when one is opened or closed, and when a message may be sent again. The
//! mailers of the adapters are built on it; programs use those. This crate is for those who write
//! such a mailer.
//!
//! The code around a pool, which owns the sockets, is its driver. It requests a connection for each
//! message and gets a [`Ticket`]. It takes [`Action`]s until there is none, and reports what came
//! of them. Time is an argument.
//!
//! ```
//! use smtp_pool::{Action, Pool, PoolConfig, Report, Request, Verdict};
//! use smtp_pool::proto::Time;
//!
//! let now = Time::ORIGIN;
//! let mut pool = Pool::new(PoolConfig::new(), 7);
//! let ticket = pool.request(now, Request::new()).expect("the pool is open");
//! // No connection is open yet: the caller with this ticket opens one.
//! let Some(Action::Connect { connection, .. }) = pool.poll_action(now) else { unreachable!() };
//! assert_eq!(pool.handle_connected(now, connection, None), Some(ticket));
//! // The driver has sent the message, and the connection may be used again.
//! let verdict = pool.handle_outcome(now, connection, ticket, Report::accepted());
//! assert_eq!(verdict, Verdict::Final);
//! assert_eq!((pool.stats().sent, pool.stats().idle), (1, 1));
//! ```
//!
//! # The rules
//! 1. There are at most [`max_connections`](PoolConfig::with_max_connections), including those
//!    being opened or closed. Of the idle connections the one used last is taken. A connection is
//!    closed when it has been idle for too long, is too old, or has carried as many messages as it
//!    may, also by the server's MAILMAX (RFC 9422).
//! 2. An idle connection that turns out to be closed costs its message nothing: the message waits
//!    again, at its place. The first message after a pause of a second is
//!    [cautious](Action::Use::is_cautious), and alone on its connection.
//! 3. A message is sent again once, and only if it was lost, or rejected at MAIL by a closing
//!    reply, on a connection that had carried a message before. A message in doubt is never sent
//!    again.
//! 4. Waiting is in order and bounded; each [`Request`] may have a deadline. A failed attempt to
//!    connect fails everything that waits, unless other connections are open or being opened. The
//!    next attempt follows after 1 second, doubling to 60, with jitter. Attempts that fail together
//!    count as one.
//! 5. A server that complains of too many connections gets half as many; 20 accepted messages
//!    restore one. [`Rate`]s limit messages, recipients and connections.
//! 6. [`close`](Pool::close) takes nothing new, lets the rest end until its deadline, and then
//!    drops it.
//!
//! # Features
//! | feature | by default | what it adds |
//! | --- | --- | --- |
//! | `tracing` | no | an event of the crate `tracing` for each action |

#![no_std]
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]
// The pages of the crates above this one find its pages beside theirs, even if they are made before
// these.
#![doc(html_root_url = "../")]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(test)]
extern crate std;

// In order of layers: each module uses only those above it in this list.
mod backoff;
mod rate;

mod config;
mod report;

mod capacity;
mod connections;
mod error;
mod waiting;

mod action;
mod stats;

mod pool;

pub use smtp_proto as proto;

pub use crate::action::{Action, Verdict};
pub use crate::config::PoolConfig;
pub use crate::connections::ConnectionId;
pub use crate::error::{Limit, PoolError, SendError};
pub use crate::pool::Pool;
pub use crate::rate::Rate;
pub use crate::report::Report;
pub use crate::stats::PoolStats;
pub use crate::waiting::{Request, Ticket};
