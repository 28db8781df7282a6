//! The transport that blocks.

use bytes::Bytes;
use lettre::address::Envelope;
use lettre::{Message, Transport};
use smtp_blocking::Mailer;
use smtp_pool::PoolConfig;
use smtp_proto::{Delivered, Mail};
use smtp_rustls::Endpoint;

use crate::builder::constructors;
use crate::mail::MailOptions;
use crate::{Error, SHUTDOWN};

/// A [`Transport`] of lettre over [`smtp_blocking::Mailer`].
///
/// ```
/// use lettre::{Message, Transport};
/// use smtp_lettre::{Credentials, SmtpTransport};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let tls = smtp_test::Tls::new();
/// # let config = smtp_test::Config::new().tls(tls.clone()).user("alice", "correct horse");
/// # let server = smtp_test::Server::start(config)?;
/// # let host = "localhost";
/// let mailer = SmtpTransport::starttls_relay(host)?
///     .credentials(Credentials::password("alice", "correct horse")?)
/// #   .port(server.port())
/// #   .tls(tls.client_config())
///     .build()?;
/// let message = Message::builder()
///     .from("Alice <alice@example.org>".parse()?)
///     .to("Bob <bob@example.net>".parse()?)
///     .subject("hello")
///     .body(String::from("Hello Bob.\r\n"))?;
/// mailer.send(&message)?;
/// # assert_eq!(server.mails().len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// Cheap to clone; clones share the connections. [`mailer`](Self::mailer) has more: threads that
/// send in the background, statistics, many messages at once.
///
/// Sending returns when the server has accepted the message for every recipient. Anything else is
/// an [`Error`], which says for whom it was accepted nevertheless.
#[derive(Clone, Debug)]
pub struct SmtpTransport {
    mailer: Mailer,
    options: MailOptions,
}

impl SmtpTransport {
    constructors!();

    fn finish(endpoint: Endpoint, pool: PoolConfig) -> Self {
        Mailer::with_config(endpoint, pool).into()
    }

    /// Sends a message that is not lettre's, such as one to [retry](Error::retry).
    ///
    /// # Errors
    /// As for [`send`](Transport::send).
    pub fn send_mail(&self, mail: Mail) -> Result<Delivered, Error> {
        Ok(self.mailer.send(mail)?.all_accepted()?)
    }

    /// Tests the connection: connects and logs in. [`Mailer::check`] says what was found.
    ///
    /// # Errors
    /// Why the server cannot be used. `Ok` is always true, as a program for lettre expects it.
    pub fn test_connection(&self) -> Result<bool, Error> {
        match self.mailer.check() {
            Ok(_) => Ok(true),
            Err(error) => Err(Error::of_check(error)),
        }
    }

    /// The mailer.
    pub fn mailer(&self) -> &Mailer {
        &self.mailer
    }

    fn send_bytes(&self, envelope: &Envelope, message: Bytes) -> Result<Delivered, Error> {
        let mail = self.options.build(envelope, message);
        self.send_mail(mail.map_err(|error| Error::of_mail(error, envelope))?)
    }
}

impl Transport for SmtpTransport {
    type Ok = Delivered;
    type Error = Error;

    fn send(&self, message: &Message) -> Result<Delivered, Error> {
        self.send_bytes(message.envelope(), message.formatted().into())
    }

    fn send_raw(&self, envelope: &Envelope, email: &[u8]) -> Result<Delivered, Error> {
        self.send_bytes(envelope, Bytes::copy_from_slice(email))
    }

    /// Takes no new messages, and waits up to 60 seconds for those that are being sent.
    fn shutdown(&self) {
        self.mailer.close(SHUTDOWN);
    }
}

impl From<Mailer> for SmtpTransport {
    fn from(mailer: Mailer) -> Self {
        Self {
            mailer,
            options: MailOptions::default(),
        }
    }
}
