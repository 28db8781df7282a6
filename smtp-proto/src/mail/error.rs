//! Errors of a message.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::FieldError;
use crate::address::AddressError;
use crate::content::ContentError;
use crate::error::of_fault;
use crate::extension::parameter::ParameterError;
use crate::location::{Location, MailPart};
use crate::reply::Escaped;

/// The reason why a [`Mail`](crate::Mail) cannot be built, and the invalid part.
///
/// It reports the first error, but all invalid recipients. `{:#}` adds a hint.
///
/// # Examples
/// ```
/// use smtp_proto::{Mail, MailErrorKind, MailPart};
///
/// let error = Mail::new("alice@example.org", ["bob@example.net"], "Hello\r\n").unwrap_err();
/// assert!(matches!(error.kind(), MailErrorKind::Content(_)));
/// assert_eq!((error.part(), error.location().line()), (MailPart::Content, Some(1)));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct MailError {
    pub(super) place: Location,
    pub(super) fault: MailErrorKind,
    pub(super) invalid: Vec<InvalidRecipient>,
}

/// A recipient that is not a valid address.
///
/// # Examples
/// ```
/// use smtp_proto::Mail;
///
/// let recipients = ["bob@example.net", "carol"];
/// let error = Mail::new("alice@example.org", recipients, "From: alice\r\n\r\n").unwrap_err();
/// let invalid = &error.invalid_recipients()[0];
/// assert_eq!((invalid.index(), invalid.text()), (1, "carol"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidRecipient {
    pub(super) index: usize,
    pub(super) text: Box<str>,
    pub(super) error: AddressError,
}

/// The kind of a [`MailError`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MailErrorKind {
    /// An invalid address.
    Address(AddressError),
    /// An invalid parameter.
    Parameter(ParameterError),
    /// Invalid content, at the offset of the error.
    Content(ContentError),
    /// A header field from which the envelope cannot be taken, by
    /// [`Mail::from_message`](crate::Mail::from_message).
    Field(FieldError),
    /// A missing part.
    Missing,
}

impl MailError {
    pub(super) fn new(field: MailPart, fault: MailErrorKind) -> Self {
        let place = match &fault {
            MailErrorKind::Address(error) => Location::within(field, error.offset()),
            MailErrorKind::Parameter(_)
            | MailErrorKind::Content(_)
            | MailErrorKind::Field(_)
            | MailErrorKind::Missing => Location::whole(field),
        };
        Self {
            place,
            fault,
            invalid: Vec::new(),
        }
    }

    pub(super) fn of_field(place: Location, error: FieldError) -> Self {
        Self {
            place,
            fault: MailErrorKind::Field(error),
            invalid: Vec::new(),
        }
    }

    pub(super) fn in_content(content: &[u8], fault: ContentError) -> Self {
        Self {
            place: Location::in_content(content, fault.offset()),
            fault: MailErrorKind::Content(fault),
            invalid: Vec::new(),
        }
    }

    /// The invalid part.
    pub fn part(&self) -> MailPart {
        self.place.part()
    }

    /// The location of the error.
    pub fn location(&self) -> &Location {
        &self.place
    }

    /// The kind of error.
    pub fn kind(&self) -> &MailErrorKind {
        &self.fault
    }

    /// All recipients that are not valid addresses, in order; [`kind`](Self::kind) may refer to the
    /// first of them.
    pub fn invalid_recipients(&self) -> &[InvalidRecipient] {
        &self.invalid
    }
}

impl InvalidRecipient {
    /// The index of the recipient.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The address as given; its first 256 bytes, if it is longer.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The error of the address.
    pub fn error(&self) -> AddressError {
        self.error
    }
}

/// The address is quoted, escaped, and cut if it is long.
impl fmt::Display for InvalidRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, text, error } = self;
        let text = Escaped::new(text.as_bytes(), SHOWN_TEXT);
        write!(f, "recipient {index} \"{text}\": {error}")
    }
}

impl core::error::Error for InvalidRecipient {}

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.part();
        let names_recipient = matches!(
            (field, &self.fault),
            (MailPart::Recipient(_), MailErrorKind::Address(_))
        );
        if names_recipient && !self.invalid.is_empty() {
            return self.fmt_recipients(f);
        }
        self.fmt_fault(f)?;
        if !self.invalid.is_empty() {
            f.write_str("; ")?;
            self.fmt_recipients(f)?;
        }
        Ok(())
    }
}

impl MailError {
    fn fmt_recipients(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for recipient in self.invalid.iter().take(SHOWN_RECIPIENTS) {
            write!(f, "{separator}{recipient}")?;
            separator = "; ";
        }
        match self.invalid.len().checked_sub(SHOWN_RECIPIENTS) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "; and {more} more"),
        }
    }

    fn fmt_fault(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.part();
        match (field, &self.fault, self.place.line()) {
            (MailPart::Recipients, MailErrorKind::Missing, _) => {
                f.write_str("the message has no recipient")
            }
            (MailPart::Content, MailErrorKind::Missing, _) => {
                f.write_str("the message has no content")
            }
            (_, fault, Some(line)) => {
                write!(f, "{field}, line {line}: ")?;
                fmt::Display::fmt(fault, f)
            }
            (_, fault, None) => {
                write!(f, "{field}: ")?;
                fmt::Display::fmt(fault, f)
            }
        }
    }
}

debug_as_display!(MailError);

debug_as_display!(InvalidRecipient);

impl core::error::Error for MailError {}

impl fmt::Display for MailErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Parameter(error) => error.fmt(f),
            Self::Content(fault) => {
                fault.fmt(f)?;
                match of_fault(*fault) {
                    Some(hint) if f.alternate() => write!(f, " ({hint})"),
                    _ => Ok(()),
                }
            }
            Self::Field(error) => error.fmt(f),
            Self::Missing => f.write_str("missing"),
        }
    }
}

/// Invalid recipients that are printed, and bytes of each: together less than 1 KiB.
const SHOWN_RECIPIENTS: usize = 5;

const SHOWN_TEXT: usize = 64;
