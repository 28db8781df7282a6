use alloc::vec::Vec;

/// What MAIL says of the message that will follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Bytes of the message on the wire (RFC 1870); left out if not known or SIZE is not offered.
    pub(crate) size: Option<u64>,
    /// The body type, unless it is plain seven-bit text.
    pub(crate) body: Option<Body>,
    /// Whether the envelope or a header is not ASCII (RFC 6531).
    pub(crate) smtp_utf8: bool,
}

/// A body type (RFC 6152; RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    EightBitMime,
    BinaryMime,
}

impl Content {
    /// What no user may give.
    pub(super) const KEYWORDS: [&str; 3] = ["SIZE", "BODY", "SMTPUTF8"];

    /// Appends the parameters, each with a space in front.
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        if let Some(size) = self.size {
            out.extend_from_slice(b" SIZE=");
            encode_decimal(size, out);
        }
        out.extend_from_slice(match self.body {
            None => b"",
            Some(Body::EightBitMime) => b" BODY=8BITMIME",
            Some(Body::BinaryMime) => b" BODY=BINARYMIME",
        });
        if self.smtp_utf8 {
            out.extend_from_slice(b" SMTPUTF8");
        }
    }
}

/// Appends `number` in decimal digits, without an allocation of its own.
pub(crate) fn encode_decimal(number: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; MOST_DIGITS];
    let mut rest = number;
    let mut unused = MOST_DIGITS;
    for digit in digits.iter_mut().rev() {
        *digit = digit.saturating_add(u8::try_from(rest % 10).unwrap_or_default());
        unused = unused.saturating_sub(1);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(unused..).unwrap_or_default());
}

/// Those of the largest number.
const MOST_DIGITS: usize = 20;
