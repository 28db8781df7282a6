//! What the tests of tokens need: what a server has seen of logins.

use std::future::poll_fn;
use std::task::Poll;

use smtp_test::Log;

/// How many times a client has begun a login.
pub fn logins(log: &Log) -> usize {
    let sessions = log.sessions();
    let commands = sessions.iter().flat_map(|session| session.commands());
    commands.filter(|line| line.starts_with("AUTH ")).count()
}

/// How many clients have the reply to their second EHLO, and have not begun a login.
pub fn waiting(log: &Log) -> usize {
    let waits = |commands: &[String]| commands.len() == 3 && commands[2].starts_with("EHLO ");
    let sessions = log.sessions();
    (sessions.iter().filter(|session| waits(session.commands()))).count()
}

/// Waits until a condition holds. The task goes on meanwhile.
pub async fn until(condition: impl Fn() -> bool) {
    poll_fn(|cx| {
        if condition() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
