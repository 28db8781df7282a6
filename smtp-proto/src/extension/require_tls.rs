//! REQUIRETLS (RFC 8689): TLS on the whole way to the recipient.

use super::parameter::Parameter;
use super::{Extension, Form, ParameterSpec};

pub(crate) const EXTENSION: Extension = Extension::new(&[
    // RFC 8689, section 2.
    ParameterSpec::mail(Parameter::REQUIRE_TLS, 11, Form::Bare),
]);

impl Parameter {
    pub(crate) const REQUIRE_TLS: &str = "REQUIRETLS";

    /// REQUIRETLS, of MAIL: TLS on the whole way, to servers with valid certificates (RFC 8689).
    ///
    /// It is sent inside TLS only, to a server whose certificate was verified and that advertises
    /// it inside TLS. Reports of failure then contain the header section only, whatever RET says
    /// (section 5). The caller has to know by DNSSEC or MTA-STS that the server's name is the right
    /// one for the recipient's domain (section 2).
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Parameter;
    ///
    /// assert_eq!(Parameter::require_tls().to_string(), "REQUIRETLS");
    /// ```
    #[must_use]
    pub const fn require_tls() -> Self {
        Self::known(Self::REQUIRE_TLS, None)
    }
}
