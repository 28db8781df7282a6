//! Unpredictable bytes for a connection.

use core::fmt;

use zeroize::Zeroizing;

/// 32 unpredictable bytes, from which a connection takes its nonces, such as those of SCRAM
/// (RFC 5802, section 5.1).
///
/// Each connection needs a seed of its own: a server that sees a nonce twice can replay a login.
/// [`Seed::random`] gets it from the operating system; without `std`, and in tests, use
/// [`Seed::from_bytes`]. Never shown by `Debug`, and wiped when dropped.
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// A seed of these bytes, which the caller took from a cryptographic source of randomness.
    ///
    /// ```
    /// # use smtp_proto::Seed;
    /// // In a test, constant bytes make the nonces predictable.
    /// let seed = Seed::from_bytes([7; 32]);
    /// ```
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A seed from the operating system: on Unix from `/dev/urandom`.
    ///
    /// Elsewhere, and if there is no such file, it is derived from the key that std draws from the
    /// system for its hash maps.
    #[cfg(feature = "std")]
    pub fn random() -> Self {
        Self(Zeroizing::new(device().unwrap_or_else(hashed)))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

#[cfg(feature = "std")]
fn device() -> Option<[u8; 32]> {
    use std::io::Read as _;

    let mut bytes = [0; 32];
    // On Windows any user could own a file at this path.
    let mut file = cfg!(unix)
        .then(|| std::fs::File::open("/dev/urandom"))?
        .ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// Hashes under a key that std drew from the operating system.
#[cfg(feature = "std")]
fn hashed() -> [u8; 32] {
    use std::hash::BuildHasher as _;

    let key = std::hash::RandomState::new();
    let mut bytes = [0; 32];
    for (number, part) in (0_u64..).zip(bytes.chunks_exact_mut(8)) {
        part.copy_from_slice(&key.hash_one(number).to_le_bytes());
    }
    bytes
}

#[cfg(all(test, feature = "std"))]
mod tests;
