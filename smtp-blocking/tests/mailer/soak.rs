//! Many messages through a server that fails in every way.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use adapter_tests::mailer::{Hostile, soak_count};
use smtp_blocking::{Endpoint, Mail, Mailer, RecipientStatus, Security};

use super::LONG;

/// With threads that run the mailer for the second half.
#[test]
fn soak_no_message_is_lost_or_doubled_by_a_server_that_fails_in_every_way() {
    for runners in [0, 3] {
        let count = soak_count() / 2;
        let hostile = Hostile::start();
        let endpoint = Endpoint::builder("127.0.0.1")
            .port(hostile.port())
            .security(Security::Cleartext)
            .build()
            .unwrap();
        let mailer = Mailer::new(endpoint);
        let next = AtomicUsize::new(0);
        let doubts = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..runners {
                scope.spawn(|| mailer.run());
            }
            let senders: Vec<_> = (0..32)
                .map(|_| {
                    scope.spawn(|| {
                        loop {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= count {
                                return;
                            }
                            if until_known(&mailer, number) {
                                doubts.lock().unwrap().push(number);
                            }
                        }
                    })
                })
                .collect();
            for sender in senders {
                sender.join().unwrap();
            }
            mailer.close(LONG);
        });
        hostile.check(count, &doubts.into_inner().unwrap(), mailer.stats().retried);
    }
}

/// Sends a message until it is accepted or in doubt. Returns whether it is in doubt.
fn until_known(mailer: &Mailer, number: usize) -> bool {
    let message = "From: alice@example.org\r\nSubject: hi\r\n\r\nhello\r\n";
    let recipient = format!("bob{number}@example.net");
    loop {
        let mail = Mail::new("alice@example.org", [recipient.as_str()], message).unwrap();
        // Nothing was stored after an error.
        let Ok(outcome) = mailer.send(mail) else {
            continue;
        };
        match outcome.recipients()[0].status() {
            RecipientStatus::Accepted(_) => return false,
            RecipientStatus::InDoubt(_) => return true,
            _ => {}
        }
    }
}
