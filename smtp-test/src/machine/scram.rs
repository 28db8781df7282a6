//! The server's side of SCRAM (RFC 5802, RFC 7677), with and without channel binding.
//!
//! Names and passwords are compared as they come: of SASLprep nothing is done, which for ASCII is
//! nothing.

use std::num::NonZeroU32;

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{digest, hmac, pbkdf2};

use super::sasl::{Exchange, Realm, Step, challenge, random, saslname};
use crate::ScramDefect;

/// The hash that a mechanism is named for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

/// Where the client's first message is expected.
#[derive(Debug)]
pub(super) struct First {
    pub(super) hash: Hash,
    /// Whether the mechanism has `-PLUS`.
    pub(super) plus: bool,
}

/// Where the client's final message is expected.
#[derive(Debug)]
pub(super) struct Second {
    hash: Hash,
    user: String,
    /// The client's first message after the GS2 header, and the server's.
    first: String,
    nonce: String,
    /// What the client must say of the channel.
    binding: String,
}

impl Hash {
    pub(super) fn new(name: &str) -> Option<Self> {
        match name {
            "SHA-1" => Some(Self::Sha1),
            "SHA-256" => Some(Self::Sha256),
            "SHA-512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn digest(self, data: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, data).as_ref().to_vec()
    }

    fn hmac(self, key: &[u8], data: &str) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        };
        let key = hmac::Key::new(algorithm, key);
        hmac::sign(&key, data.as_bytes()).as_ref().to_vec()
    }

    /// `Hi` of RFC 5802, section 2.2.
    fn salted(self, password: &str, salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let (algorithm, len) = match self {
            Self::Sha1 => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
            Self::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
            Self::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
        };
        let mut salted = vec![0; len];
        pbkdf2::derive(
            algorithm,
            iterations,
            salt,
            password.as_bytes(),
            &mut salted,
        );
        salted
    }
}

impl First {
    /// Takes `gs2-cbind-flag "," [authzid] "," n= "," r=`.
    pub(super) fn respond(self, text: &str, realm: &Realm<'_>) -> Step {
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Step::Malformed("a first message has three parts");
        };
        let header = format!("{flag},{authzid},");
        let channel = match flag.strip_prefix("p=") {
            Some(name) if self.plus => match realm.binding(name) {
                Some(data) => data,
                None => return Step::Malformed("a channel binding that the server lacks"),
            },
            Some(_) => return Step::Malformed("channel binding without -PLUS"),
            None if self.plus => return Step::Malformed("-PLUS without channel binding"),
            None if flag == "y" && self.is_offered_with_plus(realm) => {
                return Step::Malformed(
                    "-PLUS was advertised: the client ignored it, or an attacker removed it",
                );
            }
            None if flag == "y" || flag == "n" => Vec::new(),
            None => return Step::Malformed("no flag of channel binding"),
        };
        let parsed = bare
            .strip_prefix("n=")
            .and_then(|rest| rest.split_once(",r="))
            .and_then(|(name, nonce)| Some((saslname(name)?, nonce)));
        let Some((user, client_nonce)) = parsed.filter(|(_, nonce)| is_nonce(nonce)) else {
            return Step::Malformed("a first message has a name and a nonce");
        };
        if !authzid.is_empty() {
            match authzid.strip_prefix("a=").and_then(saslname) {
                None => return Step::Malformed("wrong authorization identity"),
                Some(name) if name != user => return Step::Denied,
                Some(_) => {}
            }
        }
        let scram = &realm.config.scram;
        let own = scram.nonce.clone().unwrap_or_else(random);
        let nonce = match scram.defect {
            Some(ScramDefect::ForeignNonce) => own,
            Some(ScramDefect::SameNonce) => client_nonce.to_owned(),
            _ => format!("{client_nonce}{own}"),
        };
        let extension = match scram.defect {
            Some(ScramDefect::MandatoryExtension) => "m=unknown,",
            _ => "",
        };
        let salt = BASE64_STANDARD.encode(&scram.salt);
        let reply = format!("{extension}r={nonce},s={salt},i={}", scram.iterations);
        let second = Second {
            hash: self.hash,
            user,
            first: format!("{bare},{reply}"),
            nonce,
            binding: BASE64_STANDARD.encode([header.as_bytes(), &channel].concat()),
        };
        challenge(Exchange::ExpectScramFinal(Box::new(second)), reply)
    }

    fn is_offered_with_plus(&self, realm: &Realm<'_>) -> bool {
        let name = match self.hash {
            Hash::Sha1 => "SCRAM-SHA-1-PLUS",
            Hash::Sha256 => "SCRAM-SHA-256-PLUS",
            Hash::Sha512 => "SCRAM-SHA-512-PLUS",
        };
        realm.capabilities.has_mechanism(name)
    }
}

impl Second {
    /// Takes `c= "," r= "," p=`.
    pub(super) fn respond(self, text: &str, realm: &Realm<'_>) -> Step {
        let parsed = text.rsplit_once(",p=").and_then(|(without_proof, proof)| {
            let (binding, nonce) = without_proof.strip_prefix("c=")?.split_once(",r=")?;
            let proof = BASE64_STANDARD.decode(proof).ok()?;
            Some((without_proof, binding, nonce, proof))
        });
        let Some((without_proof, binding, nonce, proof)) = parsed else {
            return Step::Malformed("a final message has a binding, a nonce and a proof");
        };
        if nonce != self.nonce {
            return Step::Malformed("wrong nonce");
        }
        if BASE64_STANDARD.decode(binding).is_err() {
            return Step::Malformed("a channel binding that is not base64");
        }
        let scram = &realm.config.scram;
        let (Some(iterations), Some(password)) = (
            NonZeroU32::new(scram.iterations),
            realm.password(&self.user),
        ) else {
            return Step::Denied;
        };
        let auth_message = format!("{},{without_proof}", self.first);
        let salted = self.hash.salted(password, &scram.salt, iterations);
        let client_key = self.hash.hmac(&salted, "Client Key");
        let stored_key = self.hash.digest(&client_key);
        let signature = self.hash.hmac(&stored_key, &auth_message);
        let wanted: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(key, mask)| key ^ mask)
            .collect();
        // Another channel has another binding: a man in the middle.
        if proof != wanted || binding != self.binding {
            return Step::Denied;
        }
        let server_key = self.hash.hmac(&salted, "Server Key");
        let mut signature = self.hash.hmac(&server_key, &auth_message);
        let last = match scram.defect {
            Some(ScramDefect::NoSignature) => return Step::Success(self.user),
            Some(ScramDefect::EmptyFinal) => String::new(),
            Some(ScramDefect::ErrorThenSuccess) => "e=other-error".to_owned(),
            defect => {
                if defect == Some(ScramDefect::WrongSignature) {
                    signature[0] ^= 1;
                }
                format!("v={}", BASE64_STANDARD.encode(signature))
            }
        };
        challenge(Exchange::ExpectEmpty(self.user), last)
    }
}

/// RFC 5802, section 7: printable bytes but the comma.
fn is_nonce(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| matches!(byte, 0x21..=0x2b | 0x2d..=0x7e))
}
