//! The computations of SCRAM (RFC 5802, sections 2.2 and 3), on hashes of well-known crates.

use alloc::vec;

use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroize;

use crate::Secret;

/// The hash of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

/// The keys derived from password, salt and iterations.
pub(super) struct Keys {
    pub(super) client: Secret,
    pub(super) server: Secret,
}

impl Hash {
    /// `ClientKey` and `ServerKey`.
    pub(super) fn keys(self, password: &[u8], salt: &[u8], iterations: u32) -> Keys {
        match self {
            Self::Sha1 => keys::<Sha1>(password, salt, iterations),
            Self::Sha256 => keys::<Sha256>(password, salt, iterations),
            Self::Sha512 => keys::<Sha512>(password, salt, iterations),
        }
    }

    /// `ClientProof`.
    pub(super) fn proof(self, client_key: &Secret, auth_message: &[u8]) -> Secret {
        match self {
            Self::Sha1 => proof::<Sha1>(client_key, auth_message),
            Self::Sha256 => proof::<Sha256>(client_key, auth_message),
            Self::Sha512 => proof::<Sha512>(client_key, auth_message),
        }
    }

    /// Checks `ServerSignature` in constant time.
    pub(super) fn verify(self, server_key: &Secret, auth_message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Sha1 => verify::<Sha1>(server_key, auth_message, signature),
            Self::Sha256 => verify::<Sha256>(server_key, auth_message, signature),
            Self::Sha512 => verify::<Sha512>(server_key, auth_message, signature),
        }
    }
}

fn keys<H: EagerHash + Digest>(password: &[u8], salt: &[u8], iterations: u32) -> Keys {
    let mut salted = vec![0; <H as Digest>::output_size()];
    pbkdf2::pbkdf2_hmac::<H>(password, salt, iterations, &mut salted);
    let salted = Secret::from(salted);
    Keys {
        client: hmac::<H>(&salted, b"Client Key"),
        server: hmac::<H>(&salted, b"Server Key"),
    }
}

fn proof<H: EagerHash + Digest>(client_key: &Secret, auth_message: &[u8]) -> Secret {
    let stored_key = wiped(H::digest(client_key.expose()));
    let signature = hmac::<H>(&stored_key, auth_message);
    let masked = client_key
        .expose()
        .iter()
        .zip(signature.expose())
        .map(|(key, mask)| key ^ mask);
    Secret::from(masked.collect::<vec::Vec<u8>>())
}

fn verify<H: EagerHash>(server_key: &Secret, auth_message: &[u8], signature: &[u8]) -> bool {
    keyed::<H>(server_key)
        .chain_update(auth_message)
        .verify_slice(signature)
        .is_ok()
}

fn hmac<H: EagerHash>(key: &Secret, message: &[u8]) -> Secret {
    wiped(
        keyed::<H>(key)
            .chain_update(message)
            .finalize()
            .into_bytes(),
    )
}

#[expect(clippy::expect_used, reason = "a key of an HMAC has any length")]
fn keyed<H: EagerHash>(key: &Secret) -> Hmac<H> {
    Hmac::new_from_slice(key.expose()).expect("a key of any length")
}

/// Moves bytes to memory that is wiped on drop.
fn wiped(mut bytes: impl AsMut<[u8]>) -> Secret {
    let bytes = bytes.as_mut();
    let secret = Secret::from(bytes.to_vec());
    bytes.zeroize();
    secret
}
