//! How far a connection sends ahead of the replies (RFC 2920).

/// How far to send ahead of the replies with a server that advertises PIPELINING (RFC 2920).
///
/// Every level has the same outcomes; a higher one takes fewer round trips.
///
/// # Examples
/// ```
/// use smtp_proto::{Config, Pipelining};
///
/// assert!(Pipelining::Transactions > Pipelining::Envelope);
/// let config = Config::builder("client.example.org".parse()?)
///     .pipelining(Pipelining::Transactions)
///     .build();
/// assert!(config.is_ok());
/// # Ok::<(), smtp_proto::AddressError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Pipelining {
    /// One command at a time, for servers that advertise PIPELINING and get it wrong.
    Off,
    /// MAIL, every RCPT and DATA in one flight. With CHUNKING: MAIL and every RCPT in one flight,
    /// the content in the next.
    #[default]
    Envelope,
    /// Also the next message's envelope in the flight that ends the content of the one before: one
    /// round trip for each message.
    Transactions,
    /// Also, with CHUNKING, small messages whole, each in one chunk, without waiting for any reply.
    ///
    /// For servers that are known to be sound: a message whose sender is rejected must not be
    /// accepted after all. An adapter that writes before it reads also needs socket buffers that
    /// hold the replies to everything in flight. In LMTP it is the same as `Transactions`, since
    /// the number of recipients decides how many replies the content leads to.
    Speculative,
}

/// Limits on the commands and replies in flight.
///
/// An adapter that cannot read while it writes needs a window that the buffers of both sides are
/// sure to hold; otherwise each side could wait for the other to read (RFC 2920, section 3.1).
///
/// ```
/// use smtp_proto::Window;
///
/// let window = Window::HALF_DUPLEX.with_bytes(2048).with_replies(20);
/// assert_ne!(window, Window::HALF_DUPLEX);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub(crate) bytes: usize,
    pub(crate) replies: usize,
}

impl Window {
    /// For adapters that write first and then read: 3840 bytes, which fit in a buffer of 4 KiB with
    /// the overhead of TLS for each flight, and 128 replies.
    pub const HALF_DUPLEX: Self = Self {
        bytes: 4096 - 256,
        replies: 128,
    };

    /// For adapters that read while they write: 64 KiB, 1000 replies.
    pub const FULL_DUPLEX: Self = Self {
        bytes: 65_536,
        replies: 1000,
    };

    /// Sets the most bytes of commands in flight; a single command always fits.
    #[must_use]
    pub const fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the most replies in flight; a single command always fits.
    #[must_use]
    pub const fn with_replies(mut self, replies: usize) -> Self {
        self.replies = replies;
        self
    }

    /// Replies of one line each that are sure to fit in a buffer as large as the window.
    pub(crate) const fn replies_to_text(self) -> usize {
        self.bytes / REPLY_LINE
    }

    pub(crate) const fn half(self) -> Self {
        Self {
            bytes: self.bytes / 2,
            replies: self.replies / 2,
        }
    }
}

/// The longest line of a reply (RFC 5321, section 4.5.3.1.5).
const REPLY_LINE: usize = 512;
