//! Dropping futures, and collecting outcomes.

/// Polls a future `times` times at most, and drops it.
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

/// Polls a future until it is ready. It is dropped and created again after every `times` polls.
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

/// All outcomes of a batch.
#[macro_export]
macro_rules! outcomes {
    ($batch:expr) => {{
        let batch = &mut $batch;
        let mut outcomes = Vec::new();
        while let Some(outcome) = batch.next().await {
            outcomes.push(outcome);
        }
        outcomes
    }};
}
