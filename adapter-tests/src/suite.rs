//! The tests, each module as a macro: it is expanded in the test program of the adapter.

mod batch;
mod cancel;
mod client;
mod deadlock;
mod driven;
mod kit;
mod large;
mod lmtp;
mod mailer;
mod proxy;
mod race;
mod stream;
mod tls;
mod token;

/// The tests of any adapter; see the crate.
#[macro_export]
macro_rules! suite {
    () => {
        mod kit {
            $crate::kit!();
        }
        mod client {
            $crate::client_tests!();
        }
        #[cfg(feature = "rustls")]
        mod tls {
            $crate::tls_tests!();
        }
        mod batch {
            $crate::batch_tests!();
        }
        mod large {
            $crate::large_tests!();
        }
        #[cfg(all(unix, feature = "rustls"))]
        mod deadlock {
            $crate::deadlock_tests!();
        }
        #[cfg(all(unix, feature = "rustls"))]
        mod driven {
            $crate::driven_tests!();
        }
        #[cfg(all(unix, feature = "rustls"))]
        mod lmtp {
            $crate::lmtp_tests!();
        }
        #[cfg(feature = "rustls")]
        mod proxy {
            $crate::proxy_tests!();
        }
        #[cfg(all(unix, feature = "rustls"))]
        mod race {
            $crate::race_tests!();
        }
    };
}

/// The tests of an adapter whose methods are async, those of any adapter included; see the crate.
#[macro_export]
macro_rules! async_suite {
    () => {
        $crate::suite!();

        mod cancel {
            $crate::cancel_tests!();
        }
        #[cfg(all(unix, feature = "rustls"))]
        mod mailer {
            $crate::mailer_tests!();
        }
        #[cfg(all(unix, feature = "rustls"))]
        mod proxy_mailer {
            $crate::proxy_mailer_tests!();
        }
        #[cfg(all(unix, feature = "rustls"))]
        mod race_cancel {
            $crate::race_cancel_tests!();
        }
        mod stream {
            $crate::stream_tests!();
        }
        #[cfg(all(unix, feature = "rustls"))]
        mod token {
            $crate::token_tests!();
        }
    };
}
