use core::{convert::Infallible, fmt};

/// Why a text is not an address, and where.
///
/// It repeats no more of the text than one character, so it can be logged.
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

    /// The fault of a character that no production allows there.
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

    /// The same fault in a text that has `bytes` more in front.
    pub(super) const fn behind(self, bytes: usize) -> Self {
        Self {
            offset: self.offset.saturating_add(bytes),
            ..self
        }
    }

    /// Where the fault lies, in bytes from the beginning of the text.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> AddressErrorKind {
        self.reason
    }

    /// The character that may not stand there, if it is one that is wrong.
    #[must_use]
    pub const fn character(&self) -> Option<char> {
        self.character
    }
}

/// The character, if there is one, is shown as in a literal of Rust, so that none acts on a terminal or a log.
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

/// Lets a generic bound `TryInto<Mailbox>` take a `Mailbox` as well as a text.
impl From<Infallible> for AddressError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// What can be wrong with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressErrorKind {
    /// Nothing where a local part or a domain should be.
    Empty,
    /// No `@` after the local part.
    NoDomain,
    /// A control character: C0, DEL, C1, or a Unicode line or paragraph separator.
    Control,
    /// A character that may not stand here.
    Character,
    /// A character outside ASCII in a domain that has to be in ASCII; with the feature `idna` it becomes an A-label.
    NonAscii,
    /// A character outside ASCII in a local part, which has no other form than this.
    NonAsciiLocalPart,
    /// A label that is no U-label, whatever its case: there is no A-label for it (RFC 5890, section 2.3.2.1).
    NotULabel,
    /// A dot at an end, or next to another one.
    Dot,
    /// A hyphen at an end of a label.
    Hyphen,
    /// A quoted local part that does not end.
    OpenQuote,
    /// `<` without `>` or the reverse.
    Bracket,
    /// Brackets that hold neither an IPv4 address nor `IPv6:` and an IPv6 address.
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
            Self::Hyphen => "hyphen at an end of a label",
            Self::OpenQuote => "quoted local part without its end",
            Self::Bracket => "angle bracket without its counterpart",
            Self::Literal => "malformed address literal",
            Self::LongLabel => "label over 63 bytes",
            Self::LongDomain => "domain over 255 bytes",
            Self::LongMailbox => "mailbox over 254 bytes",
            Self::DisplayName => "display name: write only the address inside <>, which begins",
        })
    }
}
