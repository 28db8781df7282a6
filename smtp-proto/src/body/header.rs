//! The header of a body that comes in pieces, watched for octets that were not declared.

use super::{Fault, FaultReason};

/// Looks for octets over 127 in the header of a body, that is up to the first empty line. A body that does not begin with the
/// name of a field has none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HeaderWatch {
    /// There is nothing to look for, or no longer.
    Over,
    /// What comes next is looked at.
    Within { offset: u64, at: Place },
    /// This octet was found.
    Broken(Fault),
}

/// Where in a line the header stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the name of the first field, if it is one.
    Name,
    Start,
    Line,
    /// A LF that comes next belongs to the line end that has been.
    AfterCr,
}

impl HeaderWatch {
    /// A watch that begins at the first octet of a body.
    pub(crate) const fn new() -> Self {
        Self::Within {
            offset: 0,
            at: Place::Name,
        }
    }

    /// Looks at the next piece.
    pub(crate) fn look(&mut self, piece: &[u8]) {
        for &octet in piece {
            let Self::Within { offset, at } = self else {
                return;
            };
            *at = match (octet, *at) {
                (b':', Place::Name) if *offset > 0 => Place::Line,
                (b'!'..=b'9' | b';'..=b'~', Place::Name) => Place::Name,
                (_, Place::Name) => {
                    *self = Self::Over;
                    return;
                }
                (b'\n', Place::AfterCr) => Place::Start,
                (b'\r' | b'\n', Place::Start | Place::AfterCr) => {
                    *self = Self::Over;
                    return;
                }
                (b'\r', Place::Line) => Place::AfterCr,
                (b'\n', Place::Line) => Place::Start,
                (128.., _) => {
                    *self = Self::Broken(Fault {
                        offset: *offset,
                        reason: FaultReason::HeaderEightBit,
                    });
                    return;
                }
                _ => Place::Line,
            };
            *offset = offset.saturating_add(1);
        }
    }

    /// Whether nothing was found so far.
    pub(crate) const fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Broken(fault) => Err(*fault),
            Self::Over | Self::Within { .. } => Ok(()),
        }
    }
}

/// Whether the header of a whole body has octets over 127.
pub(super) fn header_is_eight_bit(body: &[u8]) -> bool {
    let mut watch = HeaderWatch::new();
    watch.look(body);
    watch.check().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{eight_bit, first_eight_bit};

    #[test]
    fn it_finds_in_pieces_what_a_scan_finds_in_the_whole() {
        for body in [
            "Subject: a\r\n\r\n\u{fc}\r\n",
            "Subject: \u{fc}\r\n\r\na\r\n",
            "Subject: a\r\nTo: \u{fc}",
            "a:\rb\r\r\u{fc}",
            "a:\n\n\u{fc}",
            "a:\r\n\n\u{fc}",
            "a:\n\r\n\u{fc}",
            "a:\nb\n\u{fc}",
            "\r\n\u{fc}",
            "\n\u{fc}",
            "",
        ] {
            let body = body.as_bytes();
            let expected = eight_bit(body).0.then(|| first_eight_bit(body)).flatten();
            for size in 1..=body.len().max(1) {
                let mut watch = HeaderWatch::new();
                body.chunks(size).for_each(|piece| watch.look(piece));
                let found = watch.check().err().map(|fault| fault.offset());
                assert_eq!(found, expected, "{body:?} by {size}");
            }
        }
    }

    #[test]
    fn what_begins_with_no_field_has_no_header() {
        for body in [
            "\u{fc}: a",
            "a\u{fc}: b",
            "a b: \u{fc}",
            ": \u{fc}",
            "a\r\nb: \u{fc}",
        ] {
            assert!(!header_is_eight_bit(body.as_bytes()), "{body:?}");
        }
        assert!(header_is_eight_bit("a: b\r\nc: \u{fc}".as_bytes()));
    }
}
