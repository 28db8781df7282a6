//! The runtimes, as lettre names them.

use std::fmt;
use std::time::Duration;

use smtp_pool::{PoolConfig, PoolError, SendError};
use smtp_proto::{Mail, Outcome};
use smtp_rustls::Endpoint;

/// The runtime of an [`AsyncSmtpTransport`](crate::AsyncSmtpTransport). It is one of this crate's.
///
/// | executor | mailer | feature |
/// | --- | --- | --- |
/// | `lettre::Tokio1Executor` | `smtp_tokio::Mailer` | `tokio` |
/// | `SmolExecutor` | `smtp_smol::Mailer` | `smol` |
pub trait Executor: sealed::Sealed + Send + Sync + 'static {
    /// The mailer over this runtime.
    type Mailer: Clone + fmt::Debug + Send + Sync + 'static;

    #[doc(hidden)]
    fn mailer(endpoint: Endpoint, pool: PoolConfig) -> Self::Mailer;

    #[doc(hidden)]
    fn send(
        mailer: &Self::Mailer,
        mail: Mail,
    ) -> impl Future<Output = Result<Outcome, SendError>> + Send;

    #[doc(hidden)]
    fn check(mailer: &Self::Mailer) -> impl Future<Output = Result<(), PoolError>> + Send;

    #[doc(hidden)]
    fn close(mailer: &Self::Mailer, timeout: Duration) -> impl Future<Output = bool> + Send;
}

/// smol, or any other executor: sockets and timers are those of async-io.
#[cfg(feature = "smol")]
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SmolExecutor;

mod sealed {
    #[expect(unnameable_types, reason = "no other crate may implement it")]
    pub trait Sealed {}
}

macro_rules! executor {
    ($executor:ty, $mailer:ty) => {
        impl sealed::Sealed for $executor {}

        impl Executor for $executor {
            type Mailer = $mailer;

            fn mailer(endpoint: Endpoint, pool: PoolConfig) -> $mailer {
                <$mailer>::with_config(endpoint, pool)
            }

            async fn send(mailer: &$mailer, mail: Mail) -> Result<Outcome, SendError> {
                mailer.send(mail).await
            }

            async fn check(mailer: &$mailer) -> Result<(), PoolError> {
                mailer.check().await.map(drop)
            }

            async fn close(mailer: &$mailer, timeout: Duration) -> bool {
                mailer.close(timeout).await
            }
        }
    };
}

#[cfg(feature = "tokio")]
executor!(lettre::Tokio1Executor, smtp_tokio::Mailer);
#[cfg(feature = "smol")]
executor!(SmolExecutor, smtp_smol::Mailer);
