//! The builder of a transport.

use std::fmt;

use smtp_pool::PoolConfig;
use smtp_proto::{ClientName, Credentials, Security, Timeouts};
use smtp_rustls::{Endpoint, EndpointBuilder, TlsConfig};

use crate::Error;

/// Builds an `SmtpTransport` or an `AsyncSmtpTransport`.
///
/// It has the methods of lettre's builders. [`endpoint`](Self::endpoint) leads to all other options
/// of a connection.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct SmtpTransportBuilder<T> {
    endpoint: EndpointBuilder,
    pool: PoolConfig,
    finish: fn(Endpoint, PoolConfig) -> T,
}

impl<T> SmtpTransportBuilder<T> {
    pub(crate) fn new(endpoint: EndpointBuilder, finish: fn(Endpoint, PoolConfig) -> T) -> Self {
        Self {
            endpoint,
            pool: PoolConfig::new(),
            finish,
        }
    }

    /// As [`new`](Self::new), if the host is valid.
    pub(crate) fn checked(
        endpoint: EndpointBuilder,
        finish: fn(Endpoint, PoolConfig) -> T,
    ) -> Result<Self, Error> {
        // Without TLS, nothing is loaded.
        endpoint.clone().security(Security::Cleartext).build()?;
        Ok(Self::new(endpoint, finish))
    }

    /// Logs in with these credentials.
    pub fn credentials(self, credentials: Credentials) -> Self {
        self.endpoint(|endpoint| endpoint.credentials(credentials))
    }

    /// Sets the port: see [`EndpointBuilder::port`].
    pub fn port(self, port: u16) -> Self {
        self.endpoint(|endpoint| endpoint.port(port))
    }

    /// Sets how the connection is secured; the constructor has chosen it.
    pub fn security(self, security: Security) -> Self {
        self.endpoint(|endpoint| endpoint.security(security))
    }

    /// Sets roots, client certificate and crypto provider: see [`EndpointBuilder::tls`].
    pub fn tls(self, tls: impl Into<TlsConfig>) -> Self {
        self.endpoint(|endpoint| endpoint.tls(tls))
    }

    /// Sets the time limits: see [`EndpointBuilder::timeouts`].
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        self.endpoint(|endpoint| endpoint.timeouts(timeouts))
    }

    /// Sets the client name for EHLO: see [`EndpointBuilder::client_name`].
    pub fn hello_name(self, name: ClientName) -> Self {
        self.endpoint(|endpoint| endpoint.client_name(name))
    }

    /// Sets the limits of the pool of connections.
    pub fn pool_config(self, pool: PoolConfig) -> Self {
        Self { pool, ..self }
    }

    /// Changes the endpoint: every option of [`EndpointBuilder`], also those that have no method
    /// here.
    pub fn endpoint(self, change: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> Self {
        Self {
            endpoint: change(self.endpoint),
            ..self
        }
    }

    /// Builds the transport. It connects when there is a message.
    ///
    /// # Errors
    /// If options contradict each other, such as credentials without TLS, or the default TLS
    /// configuration cannot be built.
    pub fn build(self) -> Result<T, Error> {
        Ok((self.finish)(self.endpoint.build()?, self.pool))
    }
}

/// Shows no secret.
impl<T> fmt::Debug for SmtpTransportBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpTransportBuilder")
            .field("endpoint", &self.endpoint)
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

/// Declares the constructors of a transport, which has a `finish`.
macro_rules! constructors {
    () => {
        /// Begins a transport with TLS from the first byte, on port 465 (RFC 8314).
        ///
        /// # Errors
        /// If the host is neither a DNS name nor an IP address.
        pub fn relay(host: &str) -> Result<crate::SmtpTransportBuilder<Self>, crate::Error> {
            crate::SmtpTransportBuilder::checked(smtp_rustls::Endpoint::implicit(host), Self::finish)
        }

        /// Begins a transport with required STARTTLS, on port 587 (RFC 6409).
        ///
        /// # Errors
        /// If the host is neither a DNS name nor an IP address.
        pub fn starttls_relay(
            host: &str,
        ) -> Result<crate::SmtpTransportBuilder<Self>, crate::Error> {
            crate::SmtpTransportBuilder::checked(smtp_rustls::Endpoint::starttls(host), Self::finish)
        }

        /// Begins a transport in cleartext, on port 25, for a server on the same machine.
        ///
        /// A login takes [`security`](crate::SmtpTransportBuilder::security) with TLS.
        pub fn builder_dangerous(host: impl Into<String>) -> crate::SmtpTransportBuilder<Self> {
            let endpoint = smtp_rustls::Endpoint::builder(host);
            crate::SmtpTransportBuilder::new(
                endpoint.security(smtp_proto::Security::Cleartext),
                Self::finish,
            )
        }

        /// A transport in cleartext, to port 25 of this machine.
        ///
        /// # Errors
        /// Those of [`build`](crate::SmtpTransportBuilder::build), of which none concerns this host.
        pub fn unencrypted_localhost() -> Result<Self, crate::Error> {
            Self::builder_dangerous("localhost").build()
        }

        /// Begins a transport from a URL, as [`Endpoint::from_url`] reads it.
        ///
        /// Without `tls`, `smtp://` requires STARTTLS.
        ///
        /// # Errors
        /// If the URL is invalid or contradicts itself. The error never shows user or password.
        ///
        /// [`Endpoint::from_url`]: smtp_rustls::Endpoint::from_url
        pub fn from_url(url: &str) -> Result<crate::SmtpTransportBuilder<Self>, crate::Error> {
            let endpoint = smtp_rustls::EndpointBuilder::from_url(url)?;
            Ok(crate::SmtpTransportBuilder::new(endpoint, Self::finish))
        }

        /// Changes every message before it is sent: parameters, the rules for its content.
        ///
        /// It replaces an earlier change.
        #[must_use]
        pub fn with_mail_options(
            self,
            change: impl Fn(smtp_proto::MailBuilder) -> smtp_proto::MailBuilder + Send + Sync + 'static,
        ) -> Self {
            Self {
                options: crate::mail::MailOptions::new(change),
                ..self
            }
        }
    };
}
pub(crate) use constructors;
