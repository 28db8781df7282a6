//! The transports behind one face.

use lettre::Message;
use lettre::address::Envelope;
use smtp_lettre::proto::MailBuilder;
use smtp_lettre::{Delivered, Error, Mail, SmtpTransportBuilder};

/// A transport, as a program for lettre uses it.
pub(crate) trait Program: Sized {
    fn relay(host: &str) -> Result<SmtpTransportBuilder<Self::Transport>, Error>;
    fn starttls_relay(host: &str) -> Result<SmtpTransportBuilder<Self::Transport>, Error>;
    fn builder_dangerous(host: &str) -> SmtpTransportBuilder<Self::Transport>;
    fn from_url(url: &str) -> Result<SmtpTransportBuilder<Self::Transport>, Error>;
    fn with(transport: Self::Transport, change: fn(MailBuilder) -> MailBuilder) -> Self::Transport;
    fn send(transport: &Self::Transport, message: &Message) -> Result<Delivered, Error>;
    fn send_raw(
        transport: &Self::Transport,
        envelope: &Envelope,
        email: &[u8],
    ) -> Result<Delivered, Error>;
    fn send_mail(transport: &Self::Transport, mail: Mail) -> Result<Delivered, Error>;
    fn test_connection(transport: &Self::Transport) -> Result<bool, Error>;
    fn shutdown(transport: &Self::Transport);

    type Transport: Clone + std::fmt::Debug;
}

macro_rules! program {
    ($name:ident, $transport:ty, $trait:ident, $wait:path, $message:ident => $given:expr) => {
        pub(crate) struct $name;

        impl Program for $name {
            type Transport = $transport;

            fn relay(host: &str) -> Result<SmtpTransportBuilder<$transport>, Error> {
                <$transport>::relay(host)
            }

            fn starttls_relay(host: &str) -> Result<SmtpTransportBuilder<$transport>, Error> {
                <$transport>::starttls_relay(host)
            }

            fn builder_dangerous(host: &str) -> SmtpTransportBuilder<$transport> {
                <$transport>::builder_dangerous(host)
            }

            fn from_url(url: &str) -> Result<SmtpTransportBuilder<$transport>, Error> {
                <$transport>::from_url(url)
            }

            fn with(transport: $transport, change: fn(MailBuilder) -> MailBuilder) -> $transport {
                transport.with_mail_options(change)
            }

            fn send(transport: &$transport, $message: &Message) -> Result<Delivered, Error> {
                $wait(lettre::$trait::send(transport, $given))
            }

            fn send_raw(
                transport: &$transport,
                envelope: &Envelope,
                email: &[u8],
            ) -> Result<Delivered, Error> {
                $wait(lettre::$trait::send_raw(transport, envelope, email))
            }

            fn send_mail(transport: &$transport, mail: Mail) -> Result<Delivered, Error> {
                $wait(transport.send_mail(mail))
            }

            fn test_connection(transport: &$transport) -> Result<bool, Error> {
                $wait(transport.test_connection())
            }

            fn shutdown(transport: &$transport) {
                $wait(lettre::$trait::shutdown(transport));
            }
        }
    };
}

#[cfg(feature = "blocking")]
program!(Blocking, smtp_lettre::SmtpTransport, Transport, std::convert::identity, message => message);
#[cfg(feature = "tokio")]
program!(
    Tokio,
    smtp_lettre::AsyncSmtpTransport<lettre::Tokio1Executor>,
    AsyncTransport,
    wait_in_tokio,
    message => message.clone()
);
#[cfg(feature = "smol")]
program!(
    Smol,
    smtp_lettre::AsyncSmtpTransport<smtp_lettre::SmolExecutor>,
    AsyncTransport,
    futures_lite::future::block_on,
    message => message.clone()
);

/// Waits in the runtime of this thread, which has the sockets of earlier calls.
#[cfg(feature = "tokio")]
fn wait_in_tokio<T>(future: impl Future<Output = T> + Send) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}
