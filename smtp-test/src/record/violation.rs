//! The rules of SMTP that a client can break.

use std::fmt;

/// A violation of a rule by the client.
///
/// ```
/// use smtp_test::{Config, Machine, Peer, Rule};
///
/// let mut server = Machine::new(&Config::new());
/// let _greeting = server.poll_output();
/// server.handle_input(b"EHLO a.test\r\n");
/// while server.poll_output().is_some() {}
/// server.handle_input(b"RCPT TO:<b@x.test>\r\n");
/// let violation = &server.log().violations()[0];
/// assert_eq!(violation.rule(), Rule::OutOfSequence);
/// assert_eq!(violation.detail(), "RCPT TO:<b@x.test>");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub(crate) rule: Rule,
    pub(crate) detail: String,
    pub(crate) offset: u64,
}

impl Violation {
    /// The rule that was broken.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// The line, or another detail.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The number of bytes that the client had sent before, without those of TLS itself.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}: {}", self.offset, self.rule, self.detail)
    }
}

/// The rules that the server checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// A CR without LF after it, in a line or in a message (RFC 5321 section 2.3.8).
    BareCr,
    /// A LF without CR before it, in a line or in a message (RFC 5321 section 2.3.8).
    BareLf,
    /// A NUL, in a line or in a message (RFC 5321 section 2.3.8 and 4.5.2).
    Nul,
    /// Another control character in a command.
    Control,
    /// A command line of more bytes than allowed (RFC 5321 section 4.5.3.1.4, and the extensions
    /// that raise it).
    LineTooLong,
    /// A line of a message of more than 1000 bytes with its CRLF (RFC 5321 section 4.5.3.1.6).
    BodyLineTooLong,
    /// A line of a message that begins with a single dot (RFC 5321 section 4.5.2).
    SingleDot,
    /// A command that does not follow the grammar of its kind.
    Syntax,
    /// 8-bit bytes in a command or a header section without SMTPUTF8 (RFC 6531, section 3.2), or in
    /// a message declared 7-bit.
    EightBit,
    /// A command that the client must know to be out of place (RFC 5321 section 4.1.4).
    OutOfSequence,
    /// More commands before the reply to the first although PIPELINING was not advertised.
    NotPipelining,
    /// Anything sent after a command that must be the last of its group, before its reply (RFC 2920
    /// section 3.1, RFC 3207 section 4), or before the greeting.
    DidNotWait,
    /// An extension, a parameter or an authentication mechanism that the server did not advertise.
    NotAdvertised,
    /// A SASL response that is not in base64, or not of the mechanism's form.
    Sasl,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareCr => "bare carriage return",
            Self::BareLf => "bare line feed",
            Self::Nul => "null byte",
            Self::Control => "control character",
            Self::LineTooLong => "command line too long",
            Self::BodyLineTooLong => "line of the message too long",
            Self::SingleDot => "single dot at the start of a line",
            Self::Syntax => "wrong syntax",
            Self::EightBit => "undeclared 8-bit bytes",
            Self::OutOfSequence => "command out of sequence",
            Self::NotPipelining => "pipelining that was not advertised",
            Self::DidNotWait => "client did not wait for the reply",
            Self::NotAdvertised => "use of an extension that was not advertised",
            Self::Sasl => "wrong authentication response",
        })
    }
}
