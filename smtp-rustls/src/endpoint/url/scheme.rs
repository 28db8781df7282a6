//! The schemes, and the protocol and security that they stand for.

use smtp_proto::{Protocol, Security};

use crate::endpoint::Endpoint;

/// The scheme of a URL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Smtp,
    Smtps,
    Lmtp,
    Lmtps,
    LmtpUnix,
}

impl Scheme {
    /// The scheme of this name, in upper or lower case (RFC 3986, section 3.1).
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Smtp,
            Self::Smtps,
            Self::Lmtp,
            Self::Lmtps,
            Self::LmtpUnix,
        ];
        all.into_iter()
            .find(|scheme| scheme.name().eq_ignore_ascii_case(name))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Smtps => "smtps",
            Self::Lmtp => "lmtp",
            Self::Lmtps => "lmtps",
            Self::LmtpUnix => "lmtp+unix",
        }
    }

    pub(super) fn protocol(self) -> Protocol {
        match self {
            Self::Smtp | Self::Smtps => Protocol::Smtp,
            Self::Lmtp | Self::Lmtps | Self::LmtpUnix => Protocol::Lmtp,
        }
    }

    /// The security without the parameter `tls`.
    pub(super) fn security(self) -> Security {
        match self {
            Self::Smtp | Self::Lmtp => Security::StartTls,
            Self::Smtps | Self::Lmtps => Security::Implicit,
            Self::LmtpUnix => Security::Cleartext,
        }
    }

    /// The scheme of an endpoint.
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        let config = &endpoint.0.config;
        match (config.protocol(), config.security()) {
            _ if endpoint.unix_path().is_some() => Self::LmtpUnix,
            (Protocol::Lmtp, Security::Implicit) => Self::Lmtps,
            (Protocol::Lmtp, _) => Self::Lmtp,
            (_, Security::Implicit) => Self::Smtps,
            _ => Self::Smtp,
        }
    }
}
