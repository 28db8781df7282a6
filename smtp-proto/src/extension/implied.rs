//! The parameters of MAIL that follow from the message: SIZE (RFC 1870), BODY (RFC 6152 and 3030)
//! and SMTPUTF8 (RFC 6531).

use alloc::vec::Vec;

/// The parameters of MAIL that follow from the message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Bytes of the message as sent (RFC 1870); none if not known or SIZE is not advertised.
    pub(crate) size: Option<u64>,
    /// The body type; none for 7-bit content.
    pub(crate) body: Option<Body>,
    /// Whether the envelope or a header field is not ASCII (RFC 6531).
    pub(crate) smtp_utf8: bool,
}

/// A body type (RFC 6152; RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    EightBitMime,
    BinaryMime,
}

impl Content {
    /// Keywords that a caller cannot set.
    pub(super) const KEYWORDS: [&str; 3] = ["SIZE", "BODY", "SMTPUTF8"];

    /// Appends the parameters, each after a space.
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

/// Appends `number` in decimal digits, without a temporary allocation.
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

/// Digits of the largest number.
const MOST_DIGITS: usize = 20;
