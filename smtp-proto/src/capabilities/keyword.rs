//! The keywords that have a getter, found by a perfect hash.

use crate::extension::{self, extension_table};

/// Declares [`Known`] with these keywords in upper case.
macro_rules! known {
    ($($variant:ident $keyword:literal),* $(,)?) => {
        /// A keyword that has a getter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Known {
            $($variant),*
        }

        impl Known {
            pub(super) const ALL: &[Self] = &[$(Self::$variant),*];

            const FOLDED: &[u64] = &[$(fold($keyword.as_bytes())),*];

            /// Finds the keyword `word`, in any case. No byte of `word` is below a hyphen.
            pub(super) fn find(word: &[u8]) -> Option<Self> {
                #[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
                const TABLE: [Option<(u64, &[u8], Known)>; SLOTS] = {
                    let mut table = [None; SLOTS];
                    $(
                        let keyword = $keyword.as_bytes();
                        let place = slot(fold(keyword));
                        assert!(table[place].is_none(), "two keywords have the same slot");
                        table[place] = Some((fold(keyword), keyword, Known::$variant));
                    )*
                    table
                };
                let folded = fold(word);
                let (expected, keyword, known) = TABLE.get(slot(folded)).copied().flatten()?;
                let exact = expected == folded
                    && keyword.len() == word.len()
                    && (word.len() <= 8 || keyword.eq_ignore_ascii_case(word));
                exact.then_some(known)
            }

            /// Finds the keyword of this name, in any case.
            pub(super) fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str().eq_ignore_ascii_case(name))
            }

            pub(super) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $keyword),*
                }
            }
        }
    };
}

/// Declares the extensions of the table and the keywords without arguments or parameters.
macro_rules! with_extensions {
    ($($variant:ident $keyword:literal $module:ident,)*) => {
        known! {
            $($variant $keyword,)*
            BinaryMime "BINARYMIME",
            Chunking "CHUNKING",
            EightBitMime "8BITMIME",
            EnhancedStatusCodes "ENHANCEDSTATUSCODES",
            Etrn "ETRN",
            Expn "EXPN",
            Help "HELP",
            Pipelining "PIPELINING",
            SmtpUtf8 "SMTPUTF8",
            StartTls "STARTTLS",
            Vrfy "VRFY",
        }

        impl Known {
            /// Whether these arguments are valid for the keyword.
            pub(super) fn accepts(self, arguments: &[u8]) -> bool {
                let accepts = match self {
                    $(Self::$variant => extension::$module::EXTENSION.accepts_arguments,)*
                    _ => None,
                };
                accepts.is_none_or(|accepts| accepts(arguments))
            }
        }
    };
}
extension_table!(with_extensions);

/// A set of keywords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KnownSet(u32);

impl KnownSet {
    pub(super) fn contains(self, known: Known) -> bool {
        self.0 & Self::bit(known) != 0
    }

    pub(super) fn insert(&mut self, known: Known) {
        self.0 |= Self::bit(known);
    }

    pub(super) fn remove(&mut self, known: Known) {
        self.0 &= !Self::bit(known);
    }

    #[expect(
        clippy::as_conversions,
        reason = "the discriminant; there are fewer than 32 variants"
    )]
    const fn bit(known: Known) -> u32 {
        1 << known as u32
    }
}

/// The first eight bytes of `word`, or its two ends if it is shorter, without the bit that
/// distinguishes lower from upper case. No other bytes of a keyword become equal.
#[expect(clippy::as_conversions, reason = "widening in a constant")]
const fn fold(word: &[u8]) -> u64 {
    let ends = match (
        word.first_chunk::<8>(),
        word.first_chunk::<4>(),
        word.last_chunk::<4>(),
    ) {
        (Some(front), ..) => u64::from_le_bytes(*front),
        (None, Some(front), Some(back)) => {
            ((u32::from_le_bytes(*back) as u64) << 32) | u32::from_le_bytes(*front) as u64
        }
        _ => match *word {
            [a, b, c] => u32::from_le_bytes([0, a, b, c]) as u64,
            _ => return 0,
        },
    };
    ends & 0xdfdf_dfdf_dfdf_dfdf
}

/// The slot of a folded keyword in the table.
#[expect(clippy::as_conversions, reason = "less than the number of slots")]
const fn slot(folded: u64) -> usize {
    (folded.wrapping_mul(FACTOR) >> SHIFT) as usize
}

const SLOTS: usize = 64;

const SHIFT: u32 = u64::BITS - SLOTS.ilog2();

/// A factor that gives every keyword a slot of its own.
const FACTOR: u64 = {
    let mut factor = 0xc02f_c22a_4a73_47fb;
    while !separates(factor) {
        // The multiplier of a linear congruential generator (Knuth, MMIX).
        factor = 6_364_136_223_846_793_005_u64
            .wrapping_mul(factor)
            .wrapping_add(1)
            | 1;
    }
    factor
};

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated at compile time"
)]
const fn separates(factor: u64) -> bool {
    let (mut used, mut index) = (0_u64, 0);
    while index < Known::FOLDED.len() {
        let bit = 1 << (Known::FOLDED[index].wrapping_mul(factor) >> SHIFT);
        if used & bit != 0 {
            return false;
        }
        used |= bit;
        index += 1;
    }
    true
}
