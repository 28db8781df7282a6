//! Connects that race, within one thread.

use std::mem::take;
use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use smtp_driver::begin_connect;
use smtp_proto::Time;
use smtp_rustls::{Attempts, Session, Target};

use crate::Socket;

/// The first connection, and the session to drive over it; `None` if no attempt is left.
///
/// The connects are from the address `local`, if given. They do not block, and one system call
/// waits for all of them. Threads would outlive the race: a connect that blocks cannot be
/// cancelled. Nothing limits the wait for a Unix socket.
pub(crate) fn first(
    attempts: &mut Attempts,
    epoch: Instant,
    local: Option<IpAddr>,
) -> Option<(Socket, Session)> {
    let mut connects: Vec<(Target, TcpStream)> = Vec::new();
    while !attempts.is_over() {
        let now = Time::from_origin(epoch.elapsed());
        while let Some(target) = attempts.poll_connect(now) {
            let begun = match &target {
                Target::Tcp(address) => begin_connect(*address, local).map(|stream| {
                    connects.push((target.clone(), stream));
                    None
                }),
                _ => Socket::connect_unix(&target).map(Some),
            };
            match begun {
                Ok(None) => {}
                Ok(Some(socket)) => {
                    let session = attempts.handle_connected(&target, None);
                    return session.map(|session| (socket, session));
                }
                Err(error) => attempts.handle_connect_error(&target, error),
            }
        }
        let left = attempts
            .poll_timeout()
            .map(|until| until.saturating_since(now));
        let ended = wait(&connects, left.unwrap_or(LONGEST).min(LONGEST));
        for (has_ended, (target, stream)) in ended.into_iter().zip(take(&mut connects)) {
            if !has_ended {
                connects.push((target, stream));
                continue;
            }
            let local = stream.local_addr().ok();
            match Socket::finish_tcp(stream) {
                Ok(socket) => {
                    let session = attempts.handle_connected(&target, local);
                    return session.map(|session| (socket, session));
                }
                Err(error) => attempts.handle_connect_error(&target, error),
            }
        }
        // A connect that has succeeded counts, even if it is late.
        attempts.handle_timeout(Time::from_origin(epoch.elapsed()));
        connects.retain(|(target, _)| attempts.is_connecting(target));
    }
    None
}

/// Waits until a connect has ended, or for as long as `limit`. Returns which have ended.
fn wait(connects: &[(Target, TcpStream)], limit: Duration) -> Vec<bool> {
    if connects.is_empty() {
        // A connect has failed at once, so another is due.
        return Vec::new();
    }
    let polled = connects.iter();
    let mut polled: Vec<_> = polled
        .map(|(_, stream)| PollFd::new(stream, PollFlags::OUT))
        .collect();
    let limit = Timespec::try_from(limit).ok();
    match poll(&mut polled, limit.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {
            let ended = polled.iter().map(|each| !each.revents().is_empty());
            ended.collect()
        }
        // Each says for itself that it is not connected.
        Err(_) => vec![true; connects.len()],
    }
}

/// The longest wait. Some systems reject very long ones.
const LONGEST: Duration = Duration::from_secs(60 * 60);
