//! Many messages one after the other.

use std::fmt;

use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use smtp_driver::Mails;
use smtp_proto::{self as proto, Mail, Outcome, Wire};

use crate::Client;

/// Many messages over one connection, sent as fast as it takes them. Outcomes come in the order of
/// the messages.
///
/// Created by [`Client::send_all`] and [`Client::send_stream`].
///
/// A message is taken from its source when it is about to be sent, so memory does not grow with the
/// batch. The batch ends early when the connection fails, or when the server takes no more messages
/// in this session. The last outcome says why; if none was pending, [`Client::ready`] does.
/// [`into_rest`](Self::into_rest) returns the messages that were not taken.
///
/// ```
/// use smtp_smol::{Client, Mail};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # futures_lite::future::block_on(async {
/// # let config = smtp_test::Config::new().with("LIMITS MAILMAX=1");
/// # let server = smtp_test::MemoryServer::new(&config);
/// # let connection = adapter_tests::common::wire(smtp_smol::Security::Cleartext);
/// # let mut client = Client::from_stream(server, connection);
/// # let message = "From: alice@example.org\r\n\r\nHello.\r\n";
/// # let mails = vec![Mail::new("alice@example.org", ["bob@example.net"], message)?; 5];
/// let mut batch = client.send_all(mails);
/// while let Some(outcome) = batch.next().await {
///     println!("{outcome}");
/// }
/// let rest: Vec<Mail> = batch.into_rest().collect();
/// println!("{} messages are for another connection", rest.len());
/// # assert_eq!(rest.len(), 3);
/// # Ok(()) })
/// # }
/// ```
///
/// Messages that were taken stay queued when the batch is dropped. Their outcomes come from
/// [`poll_event`](smtp_proto::Connection::poll_event).
#[must_use = "nothing is sent until outcomes are awaited"]
pub struct Batch<'a, M, S, W: Wire> {
    client: &'a mut Client<S, W>,
    mails: proto::Batch<M>,
}

impl<S, W: Wire> Client<S, W> {
    /// Sends many messages; their outcomes come in the same order.
    ///
    /// With a server that advertises PIPELINING a message takes one round trip: its envelope is
    /// sent together with the content of the message before. The config can choose another level of
    /// [`Pipelining`](proto::Pipelining). Messages whose content is
    /// [streamed](smtp_proto::MailBuilder::streamed) are not sent.
    ///
    /// ```
    /// # use smtp_smol::{Client, Mail};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # futures_lite::future::block_on(async {
    /// # let server = smtp_test::MemoryServer::new(&smtp_test::Config::new());
    /// # let connection = adapter_tests::common::wire(smtp_smol::Security::Cleartext);
    /// # let mut client = Client::from_stream(server, connection);
    /// # let message = "From: alice@example.org\r\n\r\nHello.\r\n";
    /// # let mails = vec![Mail::new("alice@example.org", ["bob@example.net"], message)?; 5];
    /// let mut batch = client.send_all(mails);
    /// while let Some(outcome) = batch.next().await {
    ///     println!("{outcome}");
    /// }
    /// # Ok(()) })
    /// # }
    /// ```
    pub fn send_all<I>(&mut self, mails: I) -> Batch<'_, Mails<I::IntoIter>, S, W>
    where
        I: IntoIterator<Item = Mail>,
    {
        self.send_stream(Mails::new(mails))
    }

    /// Sends messages as they arrive, such as from a channel, as [`send_all`](Self::send_all) does.
    ///
    /// The connection is idle until a message arrives. Many servers close an idle connection after
    /// some minutes.
    pub fn send_stream<M>(&mut self, mails: M) -> Batch<'_, M, S, W>
    where
        M: Stream<Item = Mail> + Unpin,
    {
        Batch {
            client: self,
            mails: proto::Batch::new(mails),
        }
    }
}

impl<M, S, W> Batch<'_, M, S, W>
where
    M: Stream<Item = Mail> + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
    W: Wire,
{
    /// Waits for the outcome of the next message; `None` at the end of the batch.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Outcome> {
        self.client.driver.next_outcome(&mut self.mails).await
    }
}

impl<M, S, W: Wire> Batch<'_, M, S, W> {
    /// The messages that were not taken.
    pub fn into_rest(self) -> M {
        self.mails.into_rest()
    }
}

impl<M, S, W: Wire> fmt::Debug for Batch<'_, M, S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mails.fmt(f)
    }
}
