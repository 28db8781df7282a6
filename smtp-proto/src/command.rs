//! Command lines: the only module that writes the CRLF of a command.
//!
//! No command is built from unchecked text. Every argument has a type that cannot hold a control
//! character, so a command is one line (RFC 5321, section 4.1.1).

use alloc::{borrow::Cow, format, string::String, vec::Vec};
use core::fmt;

use crate::{
    ClientName, ForwardPath, Mailbox, ReversePath, Secret,
    address::is_non_ascii_text,
    capabilities::Capabilities,
    extension::parameter::Parameter,
    extension::xclient::{Attributes, XCLIENT, XFORWARD, Xforward},
    extension::{Content, encode_decimal},
    sasl::{self, base64_len, encode_base64},
    stage::Stage,
};

mod error;

pub use error::{CommandError, CommandErrorKind};

/// A command that a caller sends besides messages.
///
/// ```
/// use smtp_proto::{Command, CommandErrorKind};
///
/// assert_eq!(Command::noop().as_str(), "NOOP");
/// let query = Command::vrfy("alice")?;
/// assert_eq!((query.verb(), query.as_str()), ("VRFY", "VRFY alice"));
/// // An argument cannot begin another command, and what belongs to a transaction is reserved.
/// let error = Command::vrfy("alice\r\nRSET").unwrap_err();
/// assert_eq!(error.kind(), CommandErrorKind::Character);
/// assert!(Command::custom("DATA", None).is_err());
/// # Ok::<(), smtp_proto::CommandError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Command {
    /// The line without its CRLF.
    line: Cow<'static, str>,
    /// The attributes still to be sent, in as many lines as they take, in place of `line`.
    forward: Option<Attributes>,
}

impl Command {
    /// NOOP: checks that the server responds.
    #[must_use]
    pub const fn noop() -> Self {
        Self::fixed("NOOP")
    }

    /// RSET: aborts the current transaction.
    ///
    /// # Examples
    /// ```
    /// # use smtp_proto::Command;
    /// assert_eq!(Command::rset().verb(), "RSET");
    /// ```
    #[must_use]
    pub const fn rset() -> Self {
        Self::fixed(RSET)
    }

    /// VRFY: asks whether the argument is a user or mailbox.
    ///
    /// A non-ASCII argument adds the SMTPUTF8 parameter (RFC 6531, section 3.7.4.2). If only the
    /// domain is non-ASCII and the feature `idna` is enabled, the domain is sent as A-labels
    /// instead.
    ///
    /// # Errors
    /// See [`custom`](Self::custom).
    pub fn vrfy(user: &str) -> Result<Self, CommandError> {
        Self::query("VRFY", user)
    }

    /// EXPN: asks for the members of a mailing list. A non-ASCII argument is sent as in
    /// [`vrfy`](Self::vrfy).
    ///
    /// # Errors
    /// See [`custom`](Self::custom).
    pub fn expn(list: &str) -> Result<Self, CommandError> {
        Self::query("EXPN", list)
    }

    /// HELP, with or without a topic.
    ///
    /// # Errors
    /// See [`custom`](Self::custom).
    pub fn help(topic: Option<&str>) -> Result<Self, CommandError> {
        Self::build("HELP", topic, "")
    }

    /// ETRN: starts the delivery of messages queued for this node (RFC 1985).
    ///
    /// # Errors
    /// See [`custom`](Self::custom).
    pub fn etrn(node: &str) -> Result<Self, CommandError> {
        Self::build("ETRN", Some(node), "")
    }

    /// XFORWARD: the origin of the next message, as Postfix defines it.
    ///
    /// Attributes that the server does not advertise are left out; if none is left, the command
    /// fails without being sent. It takes one line or more; its reply is the one to the last line,
    /// or the first rejection. The server forgets it after the next transaction, so send it before
    /// each message, and check the reply first.
    #[must_use]
    pub fn xforward(origin: Xforward) -> Self {
        Self {
            line: Cow::Owned(format!("{origin}")),
            forward: Some(origin.into_attributes()),
        }
    }

    /// Any other command that has a single reply and does not change the session.
    ///
    /// # Errors
    /// - The verb does not consist of letters, digits and hyphens, beginning with a letter.
    /// - The connection itself sends this verb.
    /// - The arguments are empty, begin or end with a space, or contain a control character.
    /// - The line exceeds 512 bytes (RFC 5321, section 4.5.3.1.4).
    ///
    /// Offsets count from the start of the line.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Command;
    ///
    /// let command = Command::custom("XADR", Some("alice@example.org"))?;
    /// assert_eq!(command.as_str(), "XADR alice@example.org");
    /// # Ok::<(), smtp_proto::CommandError>(())
    /// ```
    pub fn custom(verb: &str, arguments: Option<&str>) -> Result<Self, CommandError> {
        if OWNED.iter().any(|owned| verb.eq_ignore_ascii_case(owned)) {
            return Err(CommandError::new(0, CommandErrorKind::Owned));
        }
        Self::build(verb, arguments, "")
    }

    /// The verb, as given.
    #[must_use]
    pub fn verb(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// The line without its CRLF. For [`xforward`](Self::xforward), one line with all attributes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.line
    }

    /// Whether the command is ASCII, so that it does not require SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.line.is_ascii()
    }

    /// Whether the command is RSET, which ends a transaction.
    pub(crate) fn is_rset(&self) -> bool {
        self.line == RSET
    }

    /// Whether RSET undoes the command, so that it must not be sent before one.
    pub(crate) const fn is_for_next_mail(&self) -> bool {
        self.forward.is_some()
    }

    /// Removes the attributes that the server does not advertise. Returns whether there is still
    /// something to send.
    pub(crate) fn keep_offered(&mut self, offered: &Capabilities) -> bool {
        self.forward.as_mut().is_none_or(|forward| {
            *forward = forward.advertised(offered.xforward());
            !forward.is_empty()
        })
    }

    /// Advances to the next line. Returns whether there is one.
    pub(crate) fn advance(&mut self) -> bool {
        self.forward.as_mut().is_some_and(|forward| {
            forward.advance();
            !forward.is_empty()
        })
    }

    /// Whether there is a line after the next one.
    pub(crate) fn has_more(&self) -> bool {
        self.forward.as_ref().is_some_and(Attributes::has_more)
    }

    const fn fixed(line: &'static str) -> Self {
        Self {
            line: Cow::Borrowed(line),
            forward: None,
        }
    }

    fn query(verb: &str, text: &str) -> Result<Self, CommandError> {
        if text.is_ascii() {
            return Self::build(verb, Some(text), "");
        }
        // As for addresses: a client that does not need SMTPUTF8 should not use it (RFC 6531,
        // section 3.4).
        match text.parse().and_then(|mailbox: Mailbox| mailbox.to_ascii()) {
            Ok(mailbox) => Self::build(verb, Some(mailbox.as_str()), ""),
            Err(_) => Self::build(verb, Some(text), " SMTPUTF8"),
        }
    }

    fn build(verb: &str, arguments: Option<&str>, behind: &str) -> Result<Self, CommandError> {
        let separator = if arguments.is_some() { " " } else { "" };
        let text = arguments.unwrap_or_default();
        let len = verb
            .len()
            .saturating_add(separator.len())
            .saturating_add(text.len());
        if len.saturating_add(behind.len()) > LINE_MAX {
            return Err(CommandError::new(LINE_MAX, CommandErrorKind::TooLong));
        }
        check_verb(verb)?;
        if arguments.is_some() {
            let start = verb.len().saturating_add(1);
            check_text(text).map_err(|error| error.behind(start))?;
        }
        let line: String = format!("{verb}{separator}{text}{behind}");
        Ok(Self {
            line: Cow::Owned(line),
            forward: None,
        })
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything that a client sends besides content: one line each.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Line<'a> {
    Ehlo(&'a ClientName),
    Helo(&'a ClientName),
    Lhlo(&'a ClientName),
    StartTls,
    /// With the initial response before base64, if it is sent on this line.
    Auth {
        mechanism: sasl::Name,
        initial: Option<&'a Secret>,
    },
    /// A response to a challenge, before base64.
    SaslResponse(&'a Secret),
    SaslCancel,
    Mail {
        path: &'a ReversePath,
        content: Content,
        parameters: &'a [Parameter],
    },
    Rcpt {
        path: &'a ForwardPath,
        parameters: &'a [Parameter],
    },
    Data,
    /// A chunk of `len` bytes follows at once (RFC 3030, section 2).
    Bdat {
        len: u64,
        last: bool,
    },
    Rset,
    Quit,
    /// The next line of attributes.
    Xclient(&'a Attributes),
    User(&'a Command),
}

impl Line<'_> {
    /// Appends the line with its CRLF. Allocates only if `out` has to grow.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        match *self {
            Self::Ehlo(name) => words(out, &["EHLO ", name.as_str()]),
            Self::Helo(name) => words(out, &["HELO ", name.as_str()]),
            Self::Lhlo(name) => words(out, &["LHLO ", name.as_str()]),
            Self::StartTls => words(out, &["STARTTLS"]),
            Self::Auth { mechanism, initial } => auth(out, mechanism, initial),
            Self::SaslResponse(response) => encode_base64(response.expose(), out),
            Self::SaslCancel => words(out, &["*"]),
            Self::Mail {
                path,
                content,
                parameters,
            } => {
                words(out, &["MAIL FROM:"]);
                path.encode(out);
                content.encode(out);
                for parameter in parameters {
                    parameter.encode(out);
                }
            }
            Self::Rcpt { path, parameters } => {
                words(out, &["RCPT TO:"]);
                path.encode(out);
                for parameter in parameters {
                    parameter.encode(out);
                }
            }
            Self::Data => words(out, &["DATA"]),
            Self::Bdat { len, last } => {
                words(out, &["BDAT "]);
                encode_decimal(len, out);
                words(out, &[if last { " LAST" } else { "" }]);
            }
            Self::Rset => words(out, &[RSET]),
            Self::Quit => words(out, &["QUIT"]),
            Self::Xclient(told) => attributes(out, XCLIENT, told),
            Self::User(command) => match &command.forward {
                Some(told) => attributes(out, XFORWARD, told),
                None => words(out, &[command.as_str()]),
            },
        }
        debug_assert!(
            out.get(start..)
                .unwrap_or_default()
                .iter()
                .all(|byte| !byte.is_ascii_control()),
            "a control character in a command line"
        );
        words(out, &["\r\n"]);
    }

    /// The stage at which the line is sent.
    pub(crate) const fn stage(&self) -> Stage {
        match self {
            Self::Ehlo(_) | Self::Lhlo(_) => Stage::Ehlo,
            Self::Helo(_) => Stage::Helo,
            Self::StartTls => Stage::StartTls,
            Self::Xclient(_) => Stage::Xclient,
            Self::Auth { .. } | Self::SaslResponse(_) | Self::SaslCancel => Stage::Auth,
            Self::Mail { .. } => Stage::Mail,
            Self::Rcpt { .. } => Stage::Rcpt,
            Self::Data => Stage::Data,
            Self::Bdat { last: false, .. } => Stage::Chunk,
            Self::Bdat { last: true, .. } => Stage::LastChunk,
            Self::Rset => Stage::Rset,
            Self::User(_) => Stage::Command,
            Self::Quit => Stage::Quit,
        }
    }

    /// The line for transcripts: without its CRLF, and with `<N bytes>` in place of SASL responses.
    pub(crate) fn redacted(&self) -> RedactedCommand<'_> {
        RedactedCommand(self)
    }

    /// Whether the line carries secrets, so that the memory with its encoding must be wiped.
    pub(crate) const fn is_secret(&self) -> bool {
        matches!(
            self,
            Self::Auth {
                initial: Some(_),
                ..
            } | Self::SaslResponse(_)
        )
    }
}

/// A command line for people: without its line end, and with `<N bytes>` in place of SASL
/// responses.
pub struct RedactedCommand<'a>(&'a Line<'a>);

impl fmt::Debug for RedactedCommand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RedactedCommand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.0 {
            Line::Auth {
                mechanism,
                initial: Some(response),
            } => {
                write!(
                    f,
                    "AUTH {mechanism} <{} bytes>",
                    base64_len(response.expose())
                )
            }
            Line::SaslResponse(response) => write!(f, "<{} bytes>", base64_len(response.expose())),
            _ => {
                let mut line = Vec::new();
                self.0.encode(&mut line);
                f.write_str(String::from_utf8_lossy(&line).trim_end_matches("\r\n"))
            }
        }
    }
}

fn words(out: &mut Vec<u8>, words: &[&str]) {
    for word in words {
        out.extend_from_slice(word.as_bytes());
    }
}

/// RFC 4954, section 4: an empty initial response is a single equals sign.
fn auth(out: &mut Vec<u8>, mechanism: sasl::Name, initial: Option<&Secret>) {
    words(out, &["AUTH ", mechanism.as_str()]);
    match initial.map(Secret::expose) {
        None => {}
        Some([]) => words(out, &[" ="]),
        Some(response) => {
            words(out, &[" "]);
            encode_base64(response, out);
        }
    }
}

fn attributes(out: &mut Vec<u8>, verb: &str, told: &Attributes) {
    words(out, &[verb]);
    for attribute in told.line() {
        attribute.encode(out);
    }
}

fn check_verb(verb: &str) -> Result<(), CommandError> {
    if verb.is_empty() {
        return Err(CommandError::new(0, CommandErrorKind::Empty));
    }
    let is_wrong = |(offset, byte): (usize, u8)| match byte {
        b'0'..=b'9' | b'-' => offset == 0,
        byte => !byte.is_ascii_alphabetic(),
    };
    match verb.bytes().enumerate().position(is_wrong) {
        Some(offset) => Err(CommandError::new(offset, CommandErrorKind::Verb)),
        None => Ok(()),
    }
}

fn check_text(text: &str) -> Result<(), CommandError> {
    if text.is_empty() {
        return Err(CommandError::new(0, CommandErrorKind::Empty));
    }
    if text.starts_with(' ') {
        return Err(CommandError::new(0, CommandErrorKind::Space));
    }
    if text.ends_with(' ') {
        return Err(CommandError::new(
            text.len().saturating_sub(1),
            CommandErrorKind::Space,
        ));
    }
    match text
        .char_indices()
        .find(|&(_, c)| !matches!(c, ' '..='~') && !is_non_ascii_text(c))
    {
        Some((offset, _)) => Err(CommandError::new(offset, CommandErrorKind::Character)),
        None => Ok(()),
    }
}

const RSET: &str = "RSET";

/// Verbs that change the session, end it, reverse its direction, or are followed by data.
const OWNED: &[&str] = &[
    "ATRN",
    "AUTH",
    "BDAT",
    "BURL",
    "DATA",
    "EHLO",
    "HELO",
    "LHLO",
    "MAIL",
    "QUIT",
    "RCPT",
    RSET,
    "SAML",
    "SEND",
    "SOML",
    "STARTTLS",
    "TURN",
    "VERB",
    "X-EXPS",
    "X-LINK2STATE",
    XCLIENT,
    "XEXCH50",
];

/// RFC 5321, section 4.5.3.1.4, without the CRLF.
const LINE_MAX: usize = 510;

#[cfg(test)]
mod tests;
