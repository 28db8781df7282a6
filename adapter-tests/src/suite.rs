//! The tests, each module as a macro: it is expanded in the test program of the adapter.

mod batch;
mod client;
mod deadlock;
mod driven;
mod large;
mod lmtp;
mod stream;
mod tls;

/// The tests of an adapter whose methods are async; see the crate.
#[macro_export]
macro_rules! async_suite {
    () => {
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
        mod stream {
            $crate::stream_tests!();
        }
        #[cfg(all(unix, feature = "net"))]
        mod lmtp {
            $crate::lmtp_tests!();
        }
    };
}
