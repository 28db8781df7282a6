//! Counters.

/// The counters of a pool, for metrics.
///
/// ```
/// use smtp_pool::{Pool, PoolConfig};
///
/// let stats = Pool::new(PoolConfig::new(), 7).stats();
/// println!("{} sent, {} waiting, {} of {} open connections idle", stats.sent, stats.waiting,
///     stats.idle, stats.open);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Connections that are open at present, idle or in use.
    pub open: usize,
    /// Connections that are being opened at present.
    pub connecting: usize,
    /// Open connections that no message uses at present.
    pub idle: usize,
    /// Messages that wait for a connection at present.
    pub waiting: usize,
    /// Messages accepted for at least one recipient.
    pub sent: u64,
    /// Messages rejected, or not sent for another reason than a lack of connections.
    pub failed: u64,
    /// Messages in doubt.
    pub in_doubt: u64,
    /// Messages that were sent again.
    pub retried: u64,
    /// Messages that got no connection.
    pub unserved: u64,
    /// Connections opened.
    pub connected: u64,
    /// Attempts to connect that failed.
    pub connect_failed: u64,
    /// Messages that took a connection which was idle.
    pub reused: u64,
}
