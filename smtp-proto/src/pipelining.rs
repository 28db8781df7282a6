//! How far to send ahead of the replies (RFC 2920).

/// How far to send ahead of the replies, where the server offers PIPELINING (RFC 2920).
///
/// Every level gives the same outcomes; a higher one takes fewer round trips.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Pipelining {
    /// One command at a time, for servers that offer PIPELINING and get it wrong.
    Off,
    /// MAIL, every RCPT and DATA in one flight. With CHUNKING: MAIL and every RCPT in one, all of the text in the next.
    #[default]
    Envelope,
    /// Also the next message's envelope in the flight that ends the text of the one before: a round trip a message.
    Transactions,
    /// Also, with CHUNKING, small messages whole, each in one chunk and one after the other, without waiting for any reply.
    ///
    /// For servers that are known to be sound: a message whose sender is rejected must not be accepted after all. And, with a
    /// driver that writes before it reads, for connections whose buffers hold the replies to all that may be on its way. In
    /// LMTP it is the same as `Transactions`, since the recipients decide how many replies the text leads to.
    Speculative,
}

/// How much may be unanswered at one time.
///
/// A driver that cannot read while it writes needs a window that the buffers of both sides are sure to hold: else both
/// could wait for the other to read (RFC 2920, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub(crate) bytes: usize,
    pub(crate) replies: usize,
}

impl Window {
    /// For drivers that write first and read then: 3840 bytes, which fit in a buffer of 4 KiB with what TLS adds to each
    /// flight, and 128 replies.
    pub const HALF_DUPLEX: Self = Self::new(4096 - 256, 128);

    /// For drivers that read while they write: 64 KiB, 1000 replies.
    pub const FULL_DUPLEX: Self = Self::new(65_536, 1000);

    /// So many bytes of commands and so many replies; at least one command always fits.
    pub const fn new(bytes: usize, replies: usize) -> Self {
        Self { bytes, replies }
    }

    /// How many replies are sure to fit in a buffer of so many bytes, if each is a line.
    pub(crate) const fn replies_to_text(self) -> usize {
        self.bytes / REPLY_LINE
    }

    pub(crate) const fn half(self) -> Self {
        Self::new(self.bytes / 2, self.replies / 2)
    }
}

/// The longest line of a reply (RFC 5321, section 4.5.3.1.5).
const REPLY_LINE: usize = 512;
