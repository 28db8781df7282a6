//! The keywords that have a getter, found without comparing with each.

/// Declares [`Known`] with the keywords in capitals.
macro_rules! known {
    ($($variant:ident $keyword:literal),* $(,)?) => {
        /// A keyword that has a getter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Known {
            $($variant),*
        }

        impl Known {
            pub(super) const ALL: &[Self] = &[$(Self::$variant),*];

            /// The keyword that `word` spells, in any case; no byte of `word` is below a hyphen.
            pub(super) fn find(word: &[u8]) -> Option<Self> {
                #[expect(clippy::indexing_slicing, reason = "done by the compiler")]
                const TABLE: [Option<(u64, &[u8], Known)>; SLOTS] = {
                    let mut table = [None; SLOTS];
                    $(
                        let keyword = $keyword.as_bytes();
                        let place = slot(fold(keyword));
                        assert!(table[place].is_none(), "another factor is needed");
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

            /// The keyword that `name` spells, in any case.
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

known! {
    Atrn "ATRN",
    Auth "AUTH",
    BinaryMime "BINARYMIME",
    Checkpoint "CHECKPOINT",
    Chunking "CHUNKING",
    Conneg "CONNEG",
    Conperm "CONPERM",
    DeliverBy "DELIVERBY",
    Dsn "DSN",
    EightBitMime "8BITMIME",
    EnhancedStatusCodes "ENHANCEDSTATUSCODES",
    Etrn "ETRN",
    Expn "EXPN",
    FutureRelease "FUTURERELEASE",
    Help "HELP",
    Limits "LIMITS",
    MtPriority "MT-PRIORITY",
    Mtrk "MTRK",
    Pipelining "PIPELINING",
    RequireTls "REQUIRETLS",
    Rrvs "RRVS",
    Size "SIZE",
    SmtpUtf8 "SMTPUTF8",
    StartTls "STARTTLS",
    Submitter "SUBMITTER",
    Vrfy "VRFY",
}

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
        reason = "a variant's number has no other name; there are fewer than 32"
    )]
    const fn bit(known: Known) -> u32 {
        1 << known as u32
    }
}

/// The first eight bytes of `word`, or its two ends if it has fewer, without the bit that tells small
/// letters from capitals. Of the bytes that a keyword may have, no others fall together.
#[expect(
    clippy::as_conversions,
    reason = "wider: there is no other way in a constant"
)]
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

/// Where a folded keyword is in the table.
#[expect(clippy::as_conversions, reason = "less than the number of slots")]
const fn slot(folded: u64) -> usize {
    (folded.wrapping_mul(FACTOR) >> SHIFT) as usize
}

const SLOTS: usize = 64;

const SHIFT: u32 = u64::BITS - SLOTS.ilog2();

/// A random number by which no two keywords get the same slot.
const FACTOR: u64 = 0xc02f_c22a_4a73_47fb;
