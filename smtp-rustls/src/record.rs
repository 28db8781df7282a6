//! Where one TLS record ends and the next begins.

/// Follows the records of a stream by their headers, to tell an end between two of them from one in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frames {
    /// In a header, of which so many bytes have been.
    Header { seen: u8, length: u16 },
    /// In a record's content, of which so many bytes are to come.
    Content { left: u16 },
}

impl Frames {
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

    /// Whether a stream that ends here is cut in the middle of a record.
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

/// How many bytes of a header come before the length.
const LENGTH_AT: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_everywhere_but_between_records() {
        let stream = [
            &[22, 3, 3, 0, 2, 1, 2][..],
            &[23, 3, 3, 0, 0],
            &[23, 3, 3, 1, 4],
            &[0; 260],
        ]
        .concat();
        let between = [0, 7, 12, 277];
        for end in 0..=stream.len() {
            for middle in 0..=end {
                let mut frames = Frames::new();
                frames.advance(&stream[..middle]);
                frames.advance(&stream[middle..end]);
                assert_eq!(
                    frames.is_cut(),
                    !between.contains(&end),
                    "ends at {end}, split at {middle}"
                );
            }
        }
    }

    #[test]
    fn a_record_of_the_greatest_length_is_followed_to_its_end() {
        let mut frames = Frames::new();
        frames.advance(&[0x32, 0x32, 0x30, 0xff, 0xff]);
        frames.advance(&vec![0; 0xfffe]);
        assert!(frames.is_cut());
        frames.advance(&[0]);
        assert!(!frames.is_cut());
    }
}
