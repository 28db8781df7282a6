use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::{fmt, mem, ops::RangeInclusive};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};

use super::{
    ConnectionInfo, CredentialsError, Exchange, ExchangeError, Mechanism, Name, base64_len,
    credentials::{Part, check},
    encode_base64, escape_name,
};
use crate::Secret;

mod hash;
mod message;

use hash::Hash;
use message::{ServerFinal, ServerFirst};

/// The SCRAM mechanisms (RFC 5802, RFC 7677): the password is not sent, and the server proves that
/// it knows the password.
///
/// [`plus`](Self::plus) selects the `-PLUS` variant, whose channel binding also detects an attacker
/// between the two ends of the TLS connection. Without it the client states whether it supports
/// channel binding, so the server detects an attacker who removed `-PLUS` from its EHLO reply.
///
/// The iterations that the server demands are computed while the challenge is handled: 4096 take a
/// few milliseconds, 600,000 up to a second. [`iterations`](Self::iterations) limits them.
///
/// ```
/// use std::sync::Arc;
///
/// use smtp_proto::Credentials;
/// use smtp_proto::sasl::Scram;
///
/// let scram = Scram::sha256("alice", "correct horse")?.iterations(4096..=100_000);
/// let bound = scram.clone().plus();
/// let credentials = Credentials::from_mechanisms(vec![Arc::new(bound), Arc::new(scram)]);
/// assert!(credentials.names().eq(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]));
/// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
/// ```
#[derive(Clone)]
pub struct Scram {
    hash: Hash,
    user: String,
    password: Secret,
    identity: Option<String>,
    /// The channel bindings for `-PLUS`, in order of preference. Empty without `-PLUS`.
    bindings: &'static [ChannelBinding],
    iterations: RangeInclusive<u32>,
}

/// A channel binding: data that ties an exchange to its TLS connection (RFC 5056).
///
/// # Examples
/// ```
/// use smtp_proto::sasl::{ChannelBinding, Scram};
///
/// assert_eq!(ChannelBinding::Exporter.name(), "tls-exporter");
/// let scram = Scram::sha256("alice", "correct horse")?.plus_with(ChannelBinding::ServerEndPoint);
/// # let _ = scram;
/// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelBinding {
    /// `tls-exporter`: keying material of this connection (RFC 9266).
    Exporter,
    /// `tls-server-end-point`: a hash of the server's certificate (RFC 5929, section 4).
    ServerEndPoint,
}

impl Scram {
    /// SCRAM-SHA-1: logs in as `user`.
    ///
    /// # Errors
    /// If a part is empty, contains a NUL, or is too long.
    pub fn sha1(user: &str, password: impl Into<Secret>) -> Result<Self, CredentialsError> {
        Self::new(Hash::Sha1, user, password.into())
    }

    /// SCRAM-SHA-256: logs in as `user`.
    ///
    /// # Errors
    /// If a part is empty, contains a NUL, or is too long.
    pub fn sha256(user: &str, password: impl Into<Secret>) -> Result<Self, CredentialsError> {
        Self::new(Hash::Sha256, user, password.into())
    }

    /// SCRAM-SHA-512: logs in as `user`.
    ///
    /// # Errors
    /// If a part is empty, contains a NUL, or is too long.
    pub fn sha512(user: &str, password: impl Into<Secret>) -> Result<Self, CredentialsError> {
        Self::new(Hash::Sha512, user, password.into())
    }

    /// Selects the `-PLUS` variant, bound to the TLS connection by `tls-exporter`, or by
    /// `tls-server-end-point` if that is not available.
    ///
    /// The mechanism is skipped on a connection without either.
    #[must_use]
    pub fn plus(self) -> Self {
        Self {
            bindings: ANY_BINDING,
            ..self
        }
    }

    /// Selects the `-PLUS` variant with this channel binding only, for servers that support no
    /// other.
    #[must_use]
    pub fn plus_with(self, binding: ChannelBinding) -> Self {
        let bindings: &[_] = match binding {
            ChannelBinding::Exporter => &[ChannelBinding::Exporter],
            ChannelBinding::ServerEndPoint => &[ChannelBinding::ServerEndPoint],
        };
        Self { bindings, ..self }
    }

    /// Sets the authorization identity: the user to act as, with the credentials of another.
    ///
    /// # Errors
    /// If the identity is empty, contains a NUL, or is too long.
    pub fn authorize_as(self, identity: &str) -> Result<Self, CredentialsError> {
        check(Part::Identity, identity.as_bytes(), |byte| byte != 0)?;
        Ok(Self {
            identity: Some(identity.into()),
            ..self
        })
    }

    /// Sets how many iterations a server may demand. The default is 4096 to 600,000.
    ///
    /// A low minimum lets the server, or an impostor, find the password by trial. A high maximum
    /// lets it keep this client busy.
    #[must_use]
    pub fn iterations(self, iterations: RangeInclusive<u32>) -> Self {
        Self { iterations, ..self }
    }

    /// All SCRAM mechanisms for one user, the strongest first.
    pub(super) fn all(user: &str, password: &Secret) -> Result<[Self; 6], CredentialsError> {
        let own = Self::new(Hash::Sha512, user, password.clone())?;
        let with = |hash| Self {
            hash,
            ..own.clone()
        };
        Ok([
            with(Hash::Sha512).plus(),
            with(Hash::Sha256).plus(),
            with(Hash::Sha1).plus(),
            with(Hash::Sha512),
            with(Hash::Sha256),
            with(Hash::Sha1),
        ])
    }

    fn new(hash: Hash, user: &str, password: Secret) -> Result<Self, CredentialsError> {
        check(Part::User, user.as_bytes(), |byte| byte != 0)?;
        check(Part::Password, password.expose(), |byte| byte != 0)?;
        Ok(Self {
            hash,
            user: user.into(),
            password,
            identity: None,
            bindings: &[],
            iterations: ITERATIONS,
        })
    }

    fn is_bound(&self) -> bool {
        !self.bindings.is_empty()
    }

    /// The first available binding of `wanted`, and its data.
    fn binding<'a>(
        wanted: &[ChannelBinding],
        context: &ConnectionInfo<'a>,
    ) -> Option<(ChannelBinding, &'a [u8])> {
        wanted
            .iter()
            .find_map(|&kind| Some((kind, context.channel_binding(kind.name())?)))
    }

    /// The `gs2-cbind-flag` (RFC 5802, section 7), and the data that it requires.
    fn channel(&self, context: &ConnectionInfo<'_>) -> Result<(String, Vec<u8>), ExchangeError> {
        if self.is_bound() {
            let (kind, data) = Self::binding(self.bindings, context).ok_or(UNBOUND)?;
            return Ok((format!("p={}", kind.name()), data.to_vec()));
        }
        // Section 6: `y` states that the server did not advertise `-PLUS`. If it did, it must fail
        // the exchange.
        let plus_is_offered = context.advertised().any(|name| {
            name.strip_prefix("SCRAM-")
                .is_some_and(|rest| rest.ends_with("-PLUS"))
        });
        let could = Self::binding(ANY_BINDING, context).is_some() && !plus_is_offered;
        Ok((String::from(if could { "y" } else { "n" }), Vec::new()))
    }

    fn open(
        &self,
        nonce: String,
        context: &ConnectionInfo<'_>,
    ) -> Result<ClientFirst, ExchangeError> {
        let (flag, channel) = self.channel(context)?;
        let identity = self.identity.as_deref().map(escape_name);
        let header = match identity {
            Some(identity) => format!("{flag},a={identity},"),
            None => format!("{flag},,"),
        };
        Ok(ClientFirst {
            hash: self.hash,
            password: self.password.clone(),
            iterations: self.iterations.clone(),
            bare: format!("n={},r={nonce}", escape_name(&self.user)),
            header,
            channel,
            nonce,
        })
    }
}

impl Mechanism for Scram {
    fn name(&self) -> Name {
        Name(match (self.hash, self.is_bound()) {
            (Hash::Sha1, false) => "SCRAM-SHA-1",
            (Hash::Sha1, true) => "SCRAM-SHA-1-PLUS",
            (Hash::Sha256, false) => "SCRAM-SHA-256",
            (Hash::Sha256, true) => "SCRAM-SHA-256-PLUS",
            (Hash::Sha512, false) => "SCRAM-SHA-512",
            (Hash::Sha512, true) => "SCRAM-SHA-512-PLUS",
        })
    }

    fn start(&self, context: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
        let nonce = STANDARD_NO_PAD.encode(context.nonce());
        Box::new(State::Start(self.open(nonce, context)))
    }

    fn is_usable(&self, context: &ConnectionInfo<'_>) -> bool {
        !self.is_bound() || Self::binding(self.bindings, context).is_some()
    }
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scram")
            .field("name", &self.name().as_str())
            .finish_non_exhaustive()
    }
}

impl ChannelBinding {
    /// The name in IANA's registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exporter => "tls-exporter",
            Self::ServerEndPoint => "tls-server-end-point",
        }
    }
}

/// The client's first message, and the data for its final one.
struct ClientFirst {
    hash: Hash,
    password: Secret,
    iterations: RangeInclusive<u32>,
    /// The `gs2-header`.
    header: String,
    /// The data of the channel binding.
    channel: Vec<u8>,
    /// The `client-first-message-bare`.
    bare: String,
    nonce: String,
}

/// The data to verify the server's signature.
struct ServerProof {
    hash: Hash,
    server_key: Secret,
    auth_message: Vec<u8>,
}

enum State {
    Start(Result<ClientFirst, ExchangeError>),
    ExpectFirst(ClientFirst),
    ExpectFinal(ServerProof),
    ExpectVerdict,
    ExpectRejection { detail: Vec<u8> },
}

impl Exchange for State {
    fn initial_response(&mut self) -> Result<Option<Secret>, ExchangeError> {
        // Whatever fails, no later state allows success.
        match mem::replace(self, Self::ExpectRejection { detail: Vec::new() }) {
            Self::Start(opening) => {
                let opening = opening?;
                let message = format!("{}{}", opening.header, opening.bare);
                *self = Self::ExpectFirst(opening);
                Ok(Some(message.into()))
            }
            other => {
                *self = other;
                Ok(None)
            }
        }
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, ExchangeError> {
        // As above.
        let before = mem::replace(self, Self::ExpectRejection { detail: Vec::new() });
        let (next, response) = match before {
            Self::ExpectFirst(opening) => {
                let (closing, response) = opening.respond(challenge)?;
                (Self::ExpectFinal(closing), response)
            }
            Self::ExpectFinal(closing) => match ServerFinal::parse(challenge)? {
                ServerFinal::Signature(signature) => {
                    closing.verify(&signature)?;
                    (Self::ExpectVerdict, Secret::default())
                }
                ServerFinal::Error(error) => {
                    let detail = error.get(..DETAIL_MAX).unwrap_or(error).to_vec();
                    (Self::ExpectRejection { detail }, Secret::default())
                }
            },
            Self::Start(_) | Self::ExpectVerdict | Self::ExpectRejection { .. } => {
                return Err(ExchangeError::TooManyChallenges);
            }
        };
        *self = next;
        Ok(response)
    }

    fn finish(&mut self) -> Result<(), ExchangeError> {
        match self {
            Self::ExpectVerdict => Ok(()),
            Self::Start(_) | Self::ExpectFirst(_) => Err(ExchangeError::Premature),
            Self::ExpectFinal(_) => Err(NO_SERVER_SIGNATURE),
            Self::ExpectRejection { .. } => Err(ExchangeError::Contradiction),
        }
    }

    fn max_challenges(&self) -> usize {
        2
    }

    fn server_error(&self) -> Option<&[u8]> {
        match self {
            Self::ExpectRejection { detail } if !detail.is_empty() => Some(detail),
            _ => None,
        }
    }
}

impl ClientFirst {
    /// Responds to the server's first message (RFC 5802, section 3).
    fn respond(self, challenge: &[u8]) -> Result<(ServerProof, Secret), ExchangeError> {
        let first = ServerFirst::parse(challenge, &self.nonce, &self.iterations)?;
        let binding = STANDARD.encode([self.header.as_bytes(), &self.channel].concat());
        let without_proof = format!("c={binding},r={}", first.nonce);
        let auth_message = [
            self.bare.as_bytes(),
            b",",
            challenge,
            b",",
            without_proof.as_bytes(),
        ]
        .concat();
        let keys = self
            .hash
            .keys(self.password.expose(), &first.salt, first.iterations);
        let proof = self.hash.proof(&keys.client, &auth_message);
        // Passwords can be tried against the proof, so it is written once, to memory that is wiped.
        let room = base64_len(proof.expose()).saturating_add(without_proof.len());
        let mut response = Vec::with_capacity(room.saturating_add(",p=\r\n".len()));
        response.extend_from_slice(without_proof.as_bytes());
        response.extend_from_slice(b",p=");
        encode_base64(proof.expose(), &mut response);
        let closing = ServerProof {
            hash: self.hash,
            server_key: keys.server,
            auth_message,
        };
        Ok((closing, response.into()))
    }
}

impl ServerProof {
    fn verify(&self, signature: &[u8]) -> Result<(), ExchangeError> {
        if self
            .hash
            .verify(&self.server_key, &self.auth_message, signature)
        {
            Ok(())
        } else {
            Err(BAD_SERVER_SIGNATURE)
        }
    }
}

/// The lower bound is from RFC 7677, section 4; the upper bound keeps a login under about a second.
const ITERATIONS: RangeInclusive<u32> = 4096..=600_000;

/// The most specific first.
const ANY_BINDING: &[ChannelBinding] = &[ChannelBinding::Exporter, ChannelBinding::ServerEndPoint];

const DETAIL_MAX: usize = 1024;

const UNBOUND: ExchangeError =
    ExchangeError::Mechanism("no channel binding is available on this connection");
const NO_SERVER_SIGNATURE: ExchangeError =
    ExchangeError::Mechanism("success before the server had proved that it knows the password");
const BAD_SERVER_SIGNATURE: ExchangeError =
    ExchangeError::Mechanism("the server does not know the password");

#[cfg(test)]
mod tests;
