//! The boundaries of TLS records.

/// Follows the records of a stream by their headers, so that an end of the stream between records
/// is told from one within a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordTracker {
    /// In a header, of which `seen` bytes have arrived.
    Header { seen: u8, length: u16 },
    /// In a record's content, of which `left` bytes are missing.
    Content { left: u16 },
}

impl RecordTracker {
    pub(crate) fn new() -> Self {
        Self::Header { seen: 0, length: 0 }
    }

    /// Follows the stream over `input`.
    pub(crate) fn advance(&mut self, mut input: &[u8]) {
        while let Some((&byte, rest)) = input.split_first() {
            match *self {
                Self::Header { seen, length } => {
                    input = rest;
                    // RFC 8446, section 5.1: type, two bytes of version, two of length.
                    *self = match seen {
                        0..LENGTH_AT => Self::Header {
                            seen: seen.saturating_add(1),
                            length,
                        },
                        LENGTH_AT => Self::Header {
                            seen: seen.saturating_add(1),
                            length: u16::from(byte),
                        },
                        _ => Self::content((length << u8::BITS) | u16::from(byte)),
                    };
                }
                Self::Content { left } => {
                    let (content, rest) = input.split_at(input.len().min(usize::from(left)));
                    input = rest;
                    let taken = u16::try_from(content.len()).unwrap_or(left);
                    *self = Self::content(left.saturating_sub(taken));
                }
            }
        }
    }

    /// Whether a stream that ends here ends within a record.
    pub(crate) fn is_cut(self) -> bool {
        !matches!(self, Self::Header { seen: 0, .. })
    }

    fn content(left: u16) -> Self {
        if left == 0 {
            Self::new()
        } else {
            Self::Content { left }
        }
    }
}

/// The number of bytes before the length in a header.
const LENGTH_AT: u8 = 3;

#[cfg(test)]
mod tests;
