//! Many messages one after the other.

use std::fmt;
use std::iter::{Fuse, FusedIterator};

use smtp_proto::{self as proto, Mail, Outcome, Wire};

use crate::{Client, Stream};

/// Many messages over one connection, sent as fast as it takes them. Outcomes come in the order of
/// the messages.
///
/// Created by [`Client::send_all`].
///
/// A message is taken from the iterator when it is about to be sent, so memory does not grow with
/// the batch. The batch ends early when the connection fails, or when the server takes no more
/// messages in this session. The last outcome says why; if none was pending, [`Client::ready`]
/// does. [`into_rest`](Self::into_rest) returns the messages that were not taken.
///
/// ```
/// use smtp_blocking::{Client, Mail};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let config = smtp_test::Config::new().with("LIMITS MAILMAX=1");
/// # let server = smtp_test::Server::start(config)?;
/// # let connection = adapter_tests::common::wire(smtp_blocking::Security::Cleartext);
/// # let stream = std::net::TcpStream::connect(server.addr())?;
/// # let mut client = Client::from_stream(stream, connection);
/// # let message = "From: alice@example.org\r\n\r\nHello.\r\n";
/// # let mails = vec![Mail::new("alice@example.org", ["bob@example.net"], message)?; 5];
/// let mut batch = client.send_all(mails);
/// for outcome in &mut batch {
///     println!("{outcome}");
/// }
/// let rest: Vec<Mail> = batch.into_rest().collect();
/// println!("{} messages are for another connection", rest.len());
/// # assert_eq!(rest.len(), 3);
/// # Ok(())
/// # }
/// ```
///
/// Messages that were taken stay queued when the batch is dropped. Their outcomes come from
/// [`poll_event`](smtp_proto::Connection::poll_event).
#[must_use = "nothing is sent until outcomes are awaited"]
pub struct Batch<'a, I: Iterator<Item = Mail>, S, W: Wire> {
    client: &'a mut Client<S, W>,
    mails: proto::Batch<Fuse<I>>,
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
    /// # use smtp_blocking::{Client, Mail};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let connection = adapter_tests::common::wire(smtp_blocking::Security::Cleartext);
    /// # let stream = std::net::TcpStream::connect(server.addr())?;
    /// # let mut client = Client::from_stream(stream, connection);
    /// # let message = "From: alice@example.org\r\n\r\nHello.\r\n";
    /// # let mails = vec![Mail::new("alice@example.org", ["bob@example.net"], message)?; 5];
    /// for outcome in client.send_all(mails) {
    ///     println!("{outcome}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_all<I>(&mut self, mails: I) -> Batch<'_, I::IntoIter, S, W>
    where
        I: IntoIterator<Item = Mail>,
    {
        Batch {
            client: self,
            mails: proto::Batch::new(mails.into_iter().fuse()),
        }
    }
}

impl<I: Iterator<Item = Mail>, S: Stream, W: Wire> Iterator for Batch<'_, I, S, W> {
    type Item = Outcome;

    /// Waits for the outcome of the next message; `None` at the end of the batch.
    fn next(&mut self) -> Option<Outcome> {
        let Self { client, mails } = self;
        client.drive(|smtp| mails.poll_outcome(smtp))
    }
}

impl<I: Iterator<Item = Mail>, S: Stream, W: Wire> FusedIterator for Batch<'_, I, S, W> {}

impl<I: Iterator<Item = Mail>, S, W: Wire> Batch<'_, I, S, W> {
    /// The messages that were not taken.
    pub fn into_rest(self) -> Fuse<I> {
        self.mails.into_rest()
    }
}

impl<I: Iterator<Item = Mail>, S, W: Wire> fmt::Debug for Batch<'_, I, S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mails.fmt(f)
    }
}
