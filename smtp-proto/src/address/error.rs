use core::{convert::Infallible, fmt};

/// The reason why an address is invalid, and the offset of the error.
///
/// It contains at most one character of the address, so it can be logged.
///
/// # Examples
/// ```
/// use smtp_proto::{AddressErrorKind, Mailbox};
///
/// let error = "alice @example.org".parse::<Mailbox>().unwrap_err();
/// assert_eq!(error.kind(), AddressErrorKind::Character);
/// assert_eq!((error.offset(), error.character()), (5, Some(' ')));
/// assert_eq!(error.to_string(), "character ' ' is not allowed at offset 5");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AddressError {
    offset: usize,
    reason: AddressErrorKind,
    character: Option<char>,
}

impl AddressError {
    pub(super) const fn new(offset: usize, reason: AddressErrorKind) -> Self {
        Self {
            offset,
            reason,
            character: None,
        }
    }

    /// The error for a character that no production allows here.
    pub(super) const fn at(offset: usize, character: char) -> Self {
        let reason = match character {
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                AddressErrorKind::Control
            }
            _ => AddressErrorKind::Character,
        };
        Self {
            offset,
            reason,
            character: Some(character),
        }
    }

    /// The same error in a text with `bytes` bytes more before it.
    pub(super) const fn behind(self, bytes: usize) -> Self {
        Self {
            offset: self.offset.saturating_add(bytes),
            ..self
        }
    }

    /// The offset of the error, in bytes from the start of the text.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The kind of error.
    #[must_use]
    pub const fn kind(&self) -> AddressErrorKind {
        self.reason
    }

    /// The character that is not allowed, if there is one.
    #[must_use]
    pub const fn character(&self) -> Option<char> {
        self.character
    }
}

/// Prints the character as a Rust literal, so that it cannot affect a terminal or a log.
impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.offset;
        match (self.reason, self.character) {
            (AddressErrorKind::Character, Some(character)) => {
                write!(
                    f,
                    "character {character:?} is not allowed at offset {offset}"
                )
            }
            (reason, Some(character)) => write!(f, "{reason} {character:?} at offset {offset}"),
            (reason, None) => write!(f, "{reason} at offset {offset}"),
        }
    }
}

debug_as_display!(AddressError);

impl core::error::Error for AddressError {}

/// Lets a generic bound `TryInto<Mailbox>` accept a `Mailbox` as well as text.
impl From<Infallible> for AddressError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// The kind of an [`AddressError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressErrorKind {
    /// An empty local part or domain.
    Empty,
    /// No `@` after the local part.
    NoDomain,
    /// A control character: C0, DEL, C1, or a Unicode line or paragraph separator.
    Control,
    /// A character that is not allowed here.
    Character,
    /// A non-ASCII character in a domain that must be ASCII. The feature `idna` converts it to an
    /// A-label.
    NonAscii,
    /// A non-ASCII character in a local part that must be ASCII.
    NonAsciiLocalPart,
    /// A label that is not a U-label in any case, so that it has no A-label (RFC 5890, section
    /// 2.3.2.1).
    NotULabel,
    /// A dot at the start or the end, or next to another dot.
    Dot,
    /// A hyphen at the start or the end of a label.
    Hyphen,
    /// A quoted local part without a closing quote.
    OpenQuote,
    /// `<` without `>` or the reverse.
    Bracket,
    /// Brackets with neither an IPv4 address nor `IPv6:` and an IPv6 address inside.
    Literal,
    /// A label over 63 bytes (RFC 1035, section 2.3.4).
    LongLabel,
    /// A domain over 255 bytes (RFC 5321, section 4.5.3.1.2).
    LongDomain,
    /// A mailbox over 254 bytes: the path would be over 256 (RFC 5321, section 4.5.3.1.3).
    LongMailbox,
    /// A display name before the address, as in a header field: `Alice <alice@example.org>`.
    DisplayName,
}

impl fmt::Display for AddressErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty local part or domain",
            Self::NoDomain => "no @ after the local part",
            Self::Control => "control character",
            Self::Character => "character that is not allowed here",
            Self::NonAscii => "non-ASCII domain (enable the feature `idna`)",
            Self::NonAsciiLocalPart => "non-ASCII local part",
            Self::NotULabel => "label that is not a U-label of IDNA",
            Self::Dot => "dot without a name on both sides",
            Self::Hyphen => "hyphen at the start or end of a label",
            Self::OpenQuote => "quoted local part without a closing quote",
            Self::Bracket => "angle bracket without its counterpart",
            Self::Literal => "malformed address literal",
            Self::LongLabel => "label over 63 bytes",
            Self::LongDomain => "domain over 255 bytes",
            Self::LongMailbox => "mailbox over 254 bytes",
            Self::DisplayName => "display name: write only the address inside <>, which begins",
        })
    }
}
