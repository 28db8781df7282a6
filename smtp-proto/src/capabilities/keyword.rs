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

            /// The keyword that `word` spells, in any case; `word` is of the grammar.
            pub(super) fn find(word: &[u8]) -> Option<Self> {
                #[expect(non_upper_case_globals, reason = "named as the variants they stand for")]
                mod folded {
                    $(pub(super) const $variant: u64 = super::fold($keyword.as_bytes());)*
                }
                // No two fold to the same: the compiler would call the second unreachable.
                let candidate = match fold(word) {
                    $(folded::$variant => Self::$variant,)*
                    _ => return None,
                };
                let keyword = candidate.as_str().as_bytes();
                let exact = keyword.len() == word.len()
                    && (word.len() <= 8 || keyword.eq_ignore_ascii_case(word));
                exact.then_some(candidate)
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

/// The first eight octets of `word`, or its two ends if it has fewer, without the bit that tells small
/// letters from capitals. Of the octets that a keyword may have, no others fall together.
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
        (Some(front), ..) => u64::from_be_bytes(*front),
        (None, Some(front), Some(back)) => {
            (u32::from_be_bytes(*front) as u64) << 32 | u32::from_be_bytes(*back) as u64
        }
        _ => match *word {
            [a, b, c] => u32::from_be_bytes([0, a, b, c]) as u64,
            _ => return 0,
        },
    };
    ends & 0xdfdf_dfdf_dfdf_dfdf
}
