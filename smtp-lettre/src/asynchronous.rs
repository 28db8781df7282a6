//! The transport for async runtimes.

mod executor;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use lettre::address::Envelope;
use lettre::{AsyncTransport, Message};
use smtp_pool::PoolConfig;
use smtp_proto::{Delivered, Mail};
use smtp_rustls::Endpoint;

pub use self::executor::Executor;
#[cfg(feature = "smol")]
pub use self::executor::SmolExecutor;
use crate::builder::constructors;
use crate::mail::MailOptions;
use crate::{Error, SHUTDOWN};

/// An [`AsyncTransport`] of lettre over the mailer of a runtime: with lettre's `Tokio1Executor`,
/// `smtp_tokio::Mailer`; with `SmolExecutor`, `smtp_smol::Mailer`.
///
#[cfg_attr(feature = "tokio", doc = "```")]
#[cfg_attr(not(feature = "tokio"), doc = "```ignore")]
/// use lettre::{AsyncTransport, Message, Tokio1Executor};
/// use smtp_lettre::{AsyncSmtpTransport, Credentials};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let tls = smtp_test::Tls::new();
/// # let config = smtp_test::Config::new().tls(tls.clone()).user("alice", "correct horse");
/// # let server = smtp_test::Server::start(config)?;
/// # let host = "localhost";
/// let mailer = AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(host)?
///     .credentials(Credentials::password("alice", "correct horse")?)
/// #   .port(server.port())
/// #   .tls(tls.client_config())
///     .build()?;
/// let message = Message::builder()
///     .from("Alice <alice@example.org>".parse()?)
///     .to("Bob <bob@example.net>".parse()?)
///     .subject("hello")
///     .body(String::from("Hello Bob.\r\n"))?;
/// mailer.send(message).await?;
/// # assert_eq!(server.mails().len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// Cheap to clone; clones share the connections. [`mailer`](Self::mailer) has more: a driver that
/// sends in the background, statistics, many messages at once.
///
/// Sending returns when the server has accepted the message for every recipient. Anything else is
/// an [`Error`], which says for whom it was accepted nevertheless. Dropping the future of
/// [`send`](AsyncTransport::send) gives up a message that has not begun; the server may or may not
/// have accepted one that has.
pub struct AsyncSmtpTransport<E: Executor> {
    mailer: E::Mailer,
    options: MailOptions,
}

impl<E: Executor> AsyncSmtpTransport<E> {
    constructors!();

    fn finish(endpoint: Endpoint, pool: PoolConfig) -> Self {
        Self::from_mailer(E::mailer(endpoint, pool))
    }

    /// The transport over this mailer.
    pub fn from_mailer(mailer: E::Mailer) -> Self {
        Self {
            mailer,
            options: MailOptions::default(),
        }
    }

    /// Sends a message that is not lettre's, such as one to [retry](Error::retry). Cancelled, it
    /// does what [`send`](AsyncTransport::send) does.
    ///
    /// # Errors
    /// As for [`send`](AsyncTransport::send).
    pub async fn send_mail(&self, mail: Mail) -> Result<Delivered, Error> {
        Ok(E::send(&self.mailer, mail).await?.all_accepted()?)
    }

    /// Tests the connection: connects and logs in. `check` of the [mailer](Self::mailer) says what
    /// was found.
    ///
    /// Cancel safe: dropping the future drops the connection.
    ///
    /// # Errors
    /// Why the server cannot be used. `Ok` is always true, as a program for lettre expects it.
    pub async fn test_connection(&self) -> Result<bool, Error> {
        match E::check(&self.mailer).await {
            Ok(_) => Ok(true),
            Err(error) => Err(Error::of_check(error)),
        }
    }

    /// The mailer.
    pub fn mailer(&self) -> &E::Mailer {
        &self.mailer
    }

    fn mail(&self, envelope: &Envelope, message: Bytes) -> Result<Mail, Error> {
        let mail = self.options.build(envelope, message);
        mail.map_err(|error| Error::of_mail(error, envelope))
    }
}

#[async_trait]
impl<E: Executor> AsyncTransport for AsyncSmtpTransport<E> {
    type Ok = Delivered;
    type Error = Error;

    async fn send(&self, message: Message) -> Result<Delivered, Error> {
        let mail = self.mail(message.envelope(), message.formatted().into())?;
        drop(message);
        self.send_mail(mail).await
    }

    async fn send_raw(&self, envelope: &Envelope, email: &[u8]) -> Result<Delivered, Error> {
        let mail = self.mail(envelope, Bytes::copy_from_slice(email))?;
        self.send_mail(mail).await
    }

    /// Takes no new messages, and waits up to 60 seconds for those that are being sent.
    async fn shutdown(&self) {
        E::close(&self.mailer, SHUTDOWN).await;
    }
}

impl<E: Executor> Clone for AsyncSmtpTransport<E> {
    fn clone(&self) -> Self {
        Self {
            mailer: self.mailer.clone(),
            options: self.options.clone(),
        }
    }
}

impl<E: Executor> fmt::Debug for AsyncSmtpTransport<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncSmtpTransport")
            .field("mailer", &self.mailer)
            .field("options", &self.options)
            .finish()
    }
}
