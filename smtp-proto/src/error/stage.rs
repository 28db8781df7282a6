//! Where in the dialogue, and what for one waits.

use core::fmt;

/// Where in the dialogue something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// While connecting.
    Connect,
    /// Waiting for the greeting.
    Greeting,
    /// EHLO.
    Ehlo,
    /// HELO.
    Helo,
    /// STARTTLS.
    StartTls,
    /// The TLS handshake.
    TlsHandshake,
    /// XCLIENT.
    Xclient,
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
    /// Sending the text of the message.
    Content,
    /// After the end of the text, waiting for the verdict.
    EndOfData,
    /// RSET.
    Rset,
    /// Another command.
    Command,
    /// QUIT.
    Quit,
}

/// What the machine waited for when the time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// An address to answer.
    Connect,
    /// The greeting.
    Greeting,
    /// The reply to EHLO or HELO.
    Ehlo,
    /// The reply to XCLIENT.
    Xclient,
    /// STARTTLS, from the command to the reply to the EHLO inside TLS.
    StartTls,
    /// The TLS handshake that STARTTLS led to.
    TlsHandshake,
    /// A TLS handshake from the first byte.
    ImplicitTls,
    /// A reply to AUTH or to an answer within it.
    Auth,
    /// The reply to MAIL.
    Mail,
    /// The reply to RCPT.
    Rcpt,
    /// The reply to DATA.
    DataInit,
    /// The peer to take the bytes that are offered to it.
    Write,
    /// The reply to a part of the text, sent by BDAT.
    Chunk,
    /// The final reply, after the last part of the text, sent by BDAT.
    LastChunk,
    /// The final reply, after the end of the data.
    DataEnd,
    /// The reply to RSET.
    Rset,
    /// The reply to another command.
    Command,
    /// The reply to QUIT.
    Quit,
    /// All of the connection's work.
    Session,
}

impl Stage {
    /// Whether no message can have been sent at this stage, since the server was not ready for one.
    pub(crate) const fn is_before_ready(self) -> bool {
        match self {
            Self::Connect
            | Self::Greeting
            | Self::Ehlo
            | Self::Helo
            | Self::StartTls
            | Self::TlsHandshake
            | Self::Xclient
            | Self::Auth => true,
            Self::Idle
            | Self::Mail
            | Self::Rcpt
            | Self::Data
            | Self::Content
            | Self::EndOfData
            | Self::Rset
            | Self::Command
            | Self::Quit => false,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Greeting => "at the greeting",
            Self::Ehlo => "at EHLO",
            Self::Helo => "at HELO",
            Self::StartTls => "at STARTTLS",
            Self::TlsHandshake => "in the TLS handshake",
            Self::Xclient => "at XCLIENT",
            Self::Auth => "at AUTH",
            Self::Idle => "between commands",
            Self::Mail => "at MAIL",
            Self::Rcpt => "at RCPT",
            Self::Data => "at DATA",
            Self::Content => "while sending the message",
            Self::EndOfData => "at the end of the message",
            Self::Rset => "at RSET",
            Self::Command => "at a command",
            Self::Quit => "at QUIT",
        })
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the address to answer",
            Self::Greeting => "the greeting",
            Self::Ehlo => "the reply to EHLO",
            Self::Xclient => "the reply to XCLIENT",
            Self::StartTls => "STARTTLS to be done",
            Self::TlsHandshake | Self::ImplicitTls => "the TLS handshake",
            Self::Auth => "the reply to AUTH",
            Self::Mail => "the reply to MAIL",
            Self::Rcpt => "the reply to RCPT",
            Self::DataInit => "the reply to DATA",
            Self::Write => "the server to take what is sent",
            Self::Chunk => "the reply to BDAT",
            Self::LastChunk => "the final reply to BDAT",
            Self::DataEnd => "the final reply",
            Self::Rset => "the reply to RSET",
            Self::Command => "the reply to the command",
            Self::Quit => "the reply to QUIT",
            Self::Session => "the connection's work to be done",
        })
    }
}
