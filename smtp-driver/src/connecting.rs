//! How a connection is opened.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use smtp_proto::{Config, Connection, Error, Peer, Seed};

/// Waits for an operation of connecting, such as resolving a name, until `alarm` is ready.
///
/// ```
/// use std::future::{pending, ready};
/// use std::io;
///
/// use smtp_driver::connecting;
///
/// # futures_lite::future::block_on(async {
/// let stream = ready(io::Result::Ok("a stream"));
/// assert!(connecting(pending::<()>(), stream).await.is_ok());
///
/// let stream = pending::<io::Result<()>>();
/// assert!(connecting(ready(()), stream).await.is_err());
/// # });
/// ```
///
/// Cancel safe if `operation` is.
///
/// # Errors
/// The failure of the operation, or the timeout, both of the stage
/// [`Connect`](smtp_proto::Stage::Connect).
pub async fn connecting<T>(
    alarm: impl Future,
    operation: impl Future<Output = io::Result<T>>,
) -> Result<T, Error> {
    before(Some(pin!(alarm)), pin!(operation))
        .await
        .ok_or_else(Error::connect_timeout)?
        .map_err(Error::connect)
}

/// A connection for the Unix socket at `path`, and the name by which its errors call the server.
///
/// ```
/// use std::io;
/// use std::path::Path;
/// use std::sync::Arc;
///
/// use smtp_driver::unix_connection;
/// use smtp_proto::{Config, Error, Protocol, Security};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::builder("relay.example.org".parse()?)
///     .protocol(Protocol::Lmtp)
///     .security(Security::Cleartext)
///     .build()?;
/// let (_connection, peer) = unix_connection(Path::new("/run/lmtp"), Arc::new(config));
/// let error = Error::connect(io::Error::from(io::ErrorKind::NotFound)).with_peer(peer);
/// assert_eq!(error.endpoint(), Some("/run/lmtp"));
/// # Ok(())
/// # }
/// ```
pub fn unix_connection(path: &Path, config: Arc<Config>) -> (Connection, Peer) {
    let peer = Peer::path(path.to_string_lossy());
    let mut connection = Connection::new(config, Seed::random());
    connection.set_peer(peer.clone());
    (connection, peer)
}

/// The output of `future`; `None` if the alarm is ready first.
///
/// Both are pinned by the caller, so that they are not moved, and are in its future once.
pub(crate) async fn before<T>(
    mut alarm: Option<Pin<&mut impl Future>>,
    mut future: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        let alarm = alarm.as_mut();
        alarm.map_or(Poll::Pending, |alarm| alarm.as_mut().poll(cx).map(|_| None))
    })
    .await
}
