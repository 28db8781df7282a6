//! The stages of the dialogue: the name of each, what it waits for and how long, and what may
//! follow.

use core::fmt;
use core::time::Duration;

use crate::pipelining::Pipelining;
use crate::timeouts::Timeouts;

/// A stage of the dialogue.
///
/// [`Chunk`](Self::Chunk) and [`LastChunk`](Self::LastChunk) occur only with CHUNKING (RFC 3030). A
/// rejection by the reply to either is reported at [`Content`](Self::Content) and
/// [`EndOfData`](Self::EndOfData), as without it.
///
/// # Examples
/// ```
/// use smtp_proto::{Error, Stage};
///
/// fn is_about_credentials(error: &Error) -> bool {
///     error.stage() == Stage::Auth
/// }
/// # assert!(!is_about_credentials(&Error::connect_timeout()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Connecting.
    Connect,
    /// The dialogue with a proxy, before that with the server.
    Proxy,
    /// The greeting.
    Greeting,
    /// EHLO, or LHLO in LMTP.
    Ehlo,
    /// HELO.
    Helo,
    /// STARTTLS.
    StartTls,
    /// The TLS handshake.
    TlsHandshake,
    /// XCLIENT.
    Xclient,
    /// Waiting for the [token](crate::Credentials::fetched_token) that the caller fetches for AUTH.
    Token,
    /// AUTH.
    Auth,
    /// Between commands.
    Idle,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// Sending the content of the message.
    Content,
    /// BDAT, unless it is the last of the message.
    Chunk,
    /// The last BDAT of the message: its reply is the final reply.
    LastChunk,
    /// The end of data, waiting for the final reply.
    EndOfData,
    /// RSET.
    Rset,
    /// Another command.
    Command,
    /// QUIT.
    Quit,
}

/// The time limit that was exceeded, at the [`Error::stage`](crate::Error::stage).
///
/// [`Timeouts`] sets the limits.
///
/// # Examples
/// ```
/// use smtp_proto::{Error, ErrorKind, Stage, Timeout};
///
/// let error = Error::connect_timeout();
/// assert!(matches!(error.kind(), ErrorKind::Timeout(Timeout::Connect)));
/// assert_eq!(error.stage(), Stage::Connect);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timeout {
    /// The limit for opening a connection to one address.
    Connect,
    /// The limit for a proxy to open a tunnel to the server.
    Proxy,
    /// The limit for the reply to the command of this stage.
    Reply,
    /// The limit for the peer to accept the bytes that are sent.
    Write,
    /// The limit for STARTTLS: from the command, through the handshake, to the reply to EHLO inside
    /// TLS.
    StartTls,
    /// The limit for a TLS handshake from the first byte.
    ImplicitTls,
    /// The limit for the token that the caller fetches.
    Token,
    /// The limit for the whole session.
    Session,
}

/// The row of a stage in the table of the dialogue.
struct Step {
    /// The location in error texts: "at MAIL".
    name: &'static str,
    /// What is awaited, in error texts: "the reply to MAIL".
    awaited: &'static str,
    /// The time limit of the reply.
    limit: fn(&Timeouts) -> Duration,
    part: Part,
    /// The commands that may be sent before the reply has arrived, each with the level of
    /// pipelining that it requires.
    followers: &'static [(Stage, Pipelining)],
}

/// The part of a session that a stage belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Before the server is ready for a message.
    Setup,
    /// A transaction.
    Transaction,
    /// Between and after transactions.
    Rest,
}

/// A row: the part, the limit of [`Timeouts`], the two texts, and the followers.
macro_rules! step {
    ($part:ident, $limit:ident, $name:expr, $awaited:literal) => {
        step!($part, $limit, $name, $awaited, NONE)
    };
    ($part:ident, $limit:ident, $name:expr, $awaited:literal, $followers:ident) => {
        const {
            &Step {
                name: $name,
                awaited: $awaited,
                limit: |timeouts| timeouts.$limit,
                part: Part::$part,
                followers: &$followers,
            }
        }
    };
}

impl Stage {
    /// The table of the dialogue: everything that distinguishes the stages.
    ///
    /// Nothing follows a stage whose row does not name a follower. RFC 2920, section 3.1: EHLO,
    /// DATA, VRFY, EXPN, TURN, QUIT and NOOP must be the last of a group; RFC 3207 and RFC 4954
    /// require the same of STARTTLS and AUTH. The content of a message may begin a group.
    const fn step(self) -> &'static Step {
        match self {
            Self::Connect => step!(Setup, connect, "connecting", "the address to answer"),
            Self::Proxy => step!(
                Setup,
                connect,
                "at the proxy",
                "the proxy to reach the server"
            ),
            Self::Greeting => step!(Setup, greeting, "at the greeting", "the greeting"),
            Self::Ehlo => step!(Setup, ehlo, "at EHLO", "the reply to EHLO"),
            Self::Helo => step!(Setup, ehlo, "at HELO", "the reply to HELO"),
            Self::StartTls => step!(Setup, starttls, "at STARTTLS", "the reply to STARTTLS"),
            Self::TlsHandshake => {
                step!(Setup, starttls, "in the TLS handshake", "the TLS handshake")
            }
            // The reply is another greeting.
            Self::Xclient => step!(Setup, greeting, "at XCLIENT", "the reply to XCLIENT"),
            Self::Token => step!(Setup, token, "before AUTH", "the token"),
            Self::Auth => step!(Setup, auth, "at AUTH", "the reply to AUTH"),
            Self::Idle => step!(Rest, command, "between commands", "the next command"),
            Self::Mail => step!(Transaction, mail, "at MAIL", "the reply to MAIL", ENVELOPE),
            Self::Rcpt => step!(Transaction, rcpt, "at RCPT", "the reply to RCPT", NEXT_RCPT),
            Self::Data => step!(Transaction, data_init, "at DATA", "the reply to DATA"),
            Self::Content => {
                step!(
                    Transaction,
                    data_block,
                    SENDING,
                    "the content of the message"
                )
            }
            Self::Chunk => step!(
                Transaction,
                data_block,
                SENDING,
                "the reply to BDAT",
                CHUNKS
            ),
            Self::LastChunk => {
                step!(
                    Transaction,
                    data_end,
                    AT_END,
                    "the final reply to BDAT",
                    NEXT_MAIL
                )
            }
            Self::EndOfData => step!(Transaction, data_end, AT_END, "the final reply", NEXT_MAIL),
            Self::Rset => step!(
                Transaction,
                command,
                "at RSET",
                "the reply to RSET",
                FIRST_COMMAND
            ),
            Self::Command => step!(Rest, command, "at a command", "the reply to the command"),
            Self::Quit => step!(Rest, quit, "at QUIT", "the reply to QUIT"),
        }
    }

    /// The time limit of the reply to the command of this stage.
    pub(crate) fn limit(self, timeouts: &Timeouts) -> Duration {
        (self.step().limit)(timeouts)
    }

    /// Whether `next` may be sent before the reply at this stage has arrived.
    pub(crate) fn lets_follow(self, next: Self, level: Pipelining) -> bool {
        let mut followers = self.step().followers.iter();
        followers.any(|&(stage, needed)| stage == next && level >= needed)
    }

    /// Whether the server is not yet ready for messages at this stage.
    pub(crate) const fn is_before_ready(self) -> bool {
        matches!(self.step().part, Part::Setup)
    }

    /// Whether the stage belongs to a transaction.
    pub(crate) const fn is_of_transaction(self) -> bool {
        matches!(self.step().part, Part::Transaction)
    }

    /// Whether the reply is one of a transaction, after those to RCPT.
    pub(crate) const fn follows_rcpt(self) -> bool {
        matches!(
            self,
            Self::Data | Self::Chunk | Self::LastChunk | Self::EndOfData
        )
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.step().name)
    }
}

impl Timeout {
    /// What the client was waiting for when this limit was exceeded at this stage.
    pub(crate) const fn awaited(self, stage: Stage) -> &'static str {
        match (self, stage) {
            (Self::Connect, _) => Stage::Connect.step().awaited,
            (Self::Proxy, _) => Stage::Proxy.step().awaited,
            (Self::Reply, stage) => stage.step().awaited,
            (Self::Write, _) => "the server to accept the bytes sent",
            (Self::StartTls, Stage::TlsHandshake) | (Self::ImplicitTls, _) => {
                Stage::TlsHandshake.step().awaited
            }
            (Self::StartTls, _) => "STARTTLS to be done",
            (Self::Token, _) => Stage::Token.step().awaited,
            (Self::Session, _) => "the connection's work to be done",
        }
    }
}

const SENDING: &str = "while sending the message";

const AT_END: &str = "at the end of the message";

const NONE: [(Stage, Pipelining); 0] = [];

const ENVELOPE: [(Stage, Pipelining); 2] = [
    (Stage::Rcpt, Pipelining::Envelope),
    (Stage::Data, Pipelining::Envelope),
];

const NEXT_RCPT: [(Stage, Pipelining); 3] = [
    (Stage::Rcpt, Pipelining::Envelope),
    (Stage::Data, Pipelining::Envelope),
    (Stage::LastChunk, Pipelining::Speculative),
];

const CHUNKS: [(Stage, Pipelining); 2] = [
    (Stage::Chunk, Pipelining::Envelope),
    (Stage::LastChunk, Pipelining::Envelope),
];

/// RSET comes first: after a rejected message its transaction may stay open.
const NEXT_MAIL: [(Stage, Pipelining); 1] = [(Stage::Rset, Pipelining::Transactions)];

const FIRST_COMMAND: [(Stage, Pipelining); 1] = [(Stage::Mail, Pipelining::Envelope)];
