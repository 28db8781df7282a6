//! How the tests of the async adapters drop futures.

/// Polls a future at most so many times, and drops it.
#[macro_export]
macro_rules! polled {
    ($future:expr, $times:expr) => {{
        let mut future = std::pin::pin!($future);
        let mut left: usize = $times;
        std::future::poll_fn(|cx| match Future::poll(future.as_mut(), cx) {
            std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
            std::task::Poll::Pending if left == 1 => std::task::Poll::Ready(None),
            std::task::Poll::Pending => {
                left -= 1;
                std::task::Poll::Pending
            }
        })
        .await
    }};
}

/// Polls a future that is made anew after so many polls, until one is ready.
#[macro_export]
macro_rules! stubborn {
    ($future:expr, $times:expr) => {
        loop {
            if let Some(output) = $crate::polled!($future, $times) {
                break output;
            }
        }
    };
}
