//! OAuth 2.0 access tokens that are fetched: one for all connections.
//!
//! [`TokenKeeper`] decides which token is used and when another is fetched, without I/O and without
//! a clock. [`SharedKeeper`] shares it between tasks and threads. [`TokenSource`] adds the function
//! that fetches, for async clients.
//!
//! | | |
//! | --- | --- |
//! | several connections want a token | one of them fetches it, in its own future; the others wait |
//! | the future that fetches is dropped | another connection that waits fetches |
//! | a token is about to end | another is fetched 60 seconds before, or after half of a lifetime under 2 minutes |
//! | the server rejects a token | another is fetched, once, however many connections report it |
//! | the source returns the token that is kept | it is the same token, with the new lifetime |
//! | the source returns the rejected token again | [`TokenError::SameToken`]; if the fetch began before the rejection, another fetch follows |
//! | the server rejects the token after that too | [`TokenError::Rejected`], during a pause |
//! | the source fails | all that wait get the error, and those that ask during a pause |
//!
//! The pause is 1 second, twice as long after each further failure, 60 seconds at most. It has no
//! random part, since one connection fetches for all. A token that could not be renewed is used to
//! its end.

mod keeper;
mod login;
mod shared;
mod source;

use std::io;
use std::task::Poll;

use smtp_proto::{Connection, Error};

pub use self::keeper::{Answer, Fetch, Token, TokenError, TokenId, TokenKeeper};
#[cfg(feature = "rustls")]
pub(crate) use self::login::Login;
pub use self::shared::{Fetching, SharedKeeper, Turn};
pub use self::source::TokenSource;

/// Asks whether a token is wanted, before the server is ready for messages.
///
/// # Errors
/// The failure of the connection.
pub fn poll_wanted(connection: &mut Connection) -> Poll<Result<bool, Error>> {
    match connection.poll_token()? {
        Poll::Ready(Some(_)) => Poll::Ready(Ok(true)),
        Poll::Ready(None) => connection.poll_ready().map_ok(|()| false),
        Poll::Pending => Poll::Pending,
    }
}

/// Fails a connection that wants a token, when its caller gives up the fetch. The connection then
/// ends without waiting for the token.
pub fn forgo_token(connection: &mut Connection) {
    connection.fail_token(io::Error::other("the connection is ended without a token").into());
}
