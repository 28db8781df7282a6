//! Work is linear in bytes in plus bytes out (I1), for any number of messages or recipients.
//!
//! Where the cost is on the wire, commands are counted. Where it is processor time, the growth
//! tells linear from quadratic work: four times the input takes four times the work, or sixteen
//! times.

use crate::common;

use std::collections::VecDeque;
use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::task::Poll;

use common::pair::Pair;
use smtp_proto::{Config, Mail, Pipelining, Security};
use smtp_test::{Output, Peer};

/// A server that accepts `most` recipients of a message, replies 452 to the others, and counts
/// commands.
struct Taker {
    keywords: &'static str,
    most: usize,
    line: Vec<u8>,
    in_content: bool,
    recipients: usize,
    commands: usize,
    replies: VecDeque<&'static str>,
}

impl Taker {
    fn new(keywords: &'static str, most: usize) -> Self {
        Self {
            keywords,
            most,
            line: Vec::new(),
            in_content: false,
            recipients: 0,
            commands: 0,
            replies: VecDeque::from(["220 mx.test\r\n"]),
        }
    }

    fn reply(&mut self, verb: &[u8]) -> &'static str {
        match verb {
            b"EHLO" => self.keywords,
            b"MAIL" => {
                self.recipients = 0;
                "250 ok\r\n"
            }
            b"RCPT" if self.recipients == self.most => "452 4.5.3 too many recipients\r\n",
            b"RCPT" => {
                self.recipients += 1;
                "250 ok\r\n"
            }
            b"DATA" => {
                self.in_content = true;
                "354 go\r\n"
            }
            b"QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        }
    }
}

impl Peer for Taker {
    fn handle_input(&mut self, input: &[u8]) {
        for part in input.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if !self.line.ends_with(b"\r\n") {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if self.in_content {
                self.in_content = line != b".\r\n";
                if !self.in_content {
                    self.replies.push_back("250 taken\r\n");
                }
                continue;
            }
            self.commands += 1;
            let reply = self.reply(&line[..4]);
            self.replies.push_back(reply);
        }
    }

    fn handle_eof(&mut self) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.replies
            .pop_front()
            .map(|reply| Output::Write(reply.as_bytes().to_vec()))
    }
}

fn pair(server: Taker) -> Pair<Taker> {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .pipelining(Pipelining::Transactions)
        .build();
    Pair::new(Arc::new(config.unwrap()), server)
}

/// The number of commands for a message to this number of recipients.
fn commands(recipients: usize, server: Taker) -> usize {
    let mut pair = pair(server);
    let to = (0..recipients).map(|number| format!("r{number}@x.test"));
    let id = pair
        .connection
        .submit(Mail::new("a@x.test", to, TEXT).unwrap());
    let outcome = pair.drive(|connection| connection.poll_outcome(id));
    let outcome = outcome.unwrap();
    assert!(outcome.is_accepted(), "{:?}", outcome.recipients().first());
    assert_eq!(outcome.recipients().len(), recipients);
    pair.peer.commands
}

const TEXT: &str = "From: <a@x.test>\r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\n\r\nhello\r\n";

#[test]
fn a_limit_that_the_server_advertises_costs_a_transaction_each_time_it_is_reached() {
    let keywords = "250-mx.test\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=100\r\n";
    let commands = commands(2000, Taker::new(keywords, 100));
    // EHLO; each recipient once; for each of 20 transactions MAIL, DATA and at most RSET.
    assert!(commands <= 1 + 2000 + 20 * 3, "{commands} commands");
}

#[test]
fn a_limit_that_only_a_reply_reveals_repeats_few_recipients() {
    let keywords = "250-mx.test\r\n250 PIPELINING\r\n";
    for recipients in [2000, 8000] {
        let commands = commands(recipients, Taker::new(keywords, 100));
        // EHLO; each recipient once, but for those of the first flight; for each transaction MAIL,
        // DATA and at most RSET.
        let most = 1 + recipients + recipients / 20 + recipients / 100 * 3;
        assert!(commands <= most, "{commands} commands");
    }
}

/// The processor time of `run` in nanoseconds; the least of three runs.
#[cfg(target_os = "linux")]
fn work(mut run: impl FnMut()) -> u64 {
    let spent = || {
        let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        let spent = spent.split(' ').next().unwrap();
        spent.parse::<u64>().unwrap()
    };
    let once = |_| {
        let before = spent();
        run();
        spent() - before
    };
    (0..3).map(once).min().unwrap()
}

#[cfg(target_os = "linux")]
fn assert_linear(mut run: impl FnMut(usize), count: usize) {
    let (few, many) = (work(|| run(count)), work(|| run(4 * count)));
    assert!(
        many < 8 * few,
        "{count}: {few} ns; {}: {many} ns",
        4 * count
    );
}

#[cfg(target_os = "linux")]
#[test]
fn one_recipient_at_a_time_is_linear_work() {
    let keywords = "250-mx.test\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=1\r\n";
    let run = |recipients| {
        let commands = commands(recipients, Taker::new(keywords, 1));
        assert!(commands <= 1 + 4 * recipients, "{commands} commands");
    };
    assert_linear(run, 500);
}

#[cfg(target_os = "linux")]
#[test]
fn polling_for_the_last_outcome_only_is_linear_work() {
    let run = |count| {
        let mut pair = pair(Taker::new("250-mx.test\r\n250 PIPELINING\r\n", 1));
        let mail = || Mail::new("a@x.test", ["b@x.test"], TEXT).unwrap();
        let last = (0..count)
            .map(|_| pair.connection.submit(mail()))
            .last()
            .unwrap();
        // As an adapter does: it asks after each read and write.
        let outcome = loop {
            if let Poll::Ready(outcome) = pair.connection.poll_outcome(last) {
                break outcome;
            }
            assert!(pair.write() | pair.read(), "nothing moves");
        };
        assert!(outcome.unwrap().is_accepted());
    };
    assert_linear(run, 2000);
}
