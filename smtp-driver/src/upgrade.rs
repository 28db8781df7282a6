//! TLS by another stack: when its handshake begins, and how its end is reported.

use std::io;
use std::task::Poll;

use smtp_proto::{ApiMisuse, Connection, Error, ErrorKind, Time, TlsInfo};

/// Asks whether the handshake of another TLS stack can begin.
///
/// The answer is `Ok` when it can, and also when the server is ready without TLS: then
/// [`begin_tls`](Connection::begin_tls) is misuse.
///
/// # Errors
/// The connection's failure.
pub fn poll_tls(connection: &mut Connection) -> Poll<Result<(), Error>> {
    match connection.wants_tls() {
        true => Poll::Ready(Ok(())),
        false => connection.poll_ready(),
    }
}

/// Whether a connection is not ready because the caller has to
/// [fetch a token](smtp_proto::Credentials::fetched_token), which it has not asked about.
pub fn is_token_wanted(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Misuse(ApiMisuse::TokenWanted))
}

/// Reports how the handshake of another TLS stack ended, and returns the stream in TLS.
///
/// `secured` is `None` if the time limit of the handshake was reached.
///
/// ```
/// use std::sync::Arc;
///
/// use smtp_driver::{complete_tls, poll_tls};
/// use smtp_proto::{Config, Connection, Security, Seed, Time, TlsInfo};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::builder("client.example.org".parse()?)
///     .security(Security::Implicit)
///     .build()?;
/// let mut connection = Connection::new(Arc::new(config), Seed::random());
/// // TLS from the first byte begins at once.
/// assert!(poll_tls(&mut connection).is_ready());
/// let now = Time::ORIGIN;
/// _ = connection.begin_tls(now)?;
/// let secured = Ok(("a stream in TLS", TlsInfo::asserted()));
/// let stream = complete_tls(&mut connection, now, Some(secured))?;
/// assert_eq!(stream, "a stream in TLS");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The connection's failure. A handshake that failed is one.
pub fn complete_tls<S>(
    connection: &mut Connection,
    now: Time,
    secured: Option<io::Result<(S, TlsInfo)>>,
) -> Result<S, Error> {
    match secured {
        Some(Ok((stream, info))) => {
            connection.begin_tls(now)?.complete(now, info);
            return Ok(stream);
        }
        Some(Err(error)) => connection.handle_read_error(now, error.into()),
        None => connection.handle_timeout(now),
    }
    match connection.poll_ready() {
        Poll::Ready(Err(error)) => Err(error),
        // A connection that has failed says why.
        _ => Err(Error::connect_timeout()),
    }
}
