//! Servers that take some recipients of a message at a time, and reject others for other reasons:
//! each recipient gets what the server would say to it alone.

use crate::common;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use std::task::Poll;

use common::pair::Pair;
use common::taker::Taker;
use proptest::prelude::*;
use smtp_proto::{
    Config, Connection, Mail, Pipelining, RecipientStatus, Security, Seed, Time, Window,
};
use smtp_test::{Output, Peer};

/// What a server says to one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accept,
    Reject,
    /// 452 without an enhanced code, whatever the number of recipients.
    NotNow,
}

struct Server {
    verdicts: Vec<Verdict>,
    most: usize,
    keywords: String,
    /// The most domains of a transaction.
    most_domains: usize,
    domains: BTreeSet<String>,
    line: Vec<u8>,
    in_content: bool,
    /// The recipients of this transaction.
    recipients: Vec<usize>,
    stored: Vec<usize>,
    replies: VecDeque<String>,
}

impl Server {
    fn rcpt(&mut self, line: &str) -> &'static str {
        let mut parts = line.split(['<', '@', '>']).skip(1);
        let number = parts.next().unwrap().parse().unwrap();
        self.domains.insert(parts.next().unwrap().to_owned());
        assert!(
            self.domains.len() <= self.most_domains,
            "{:?}",
            self.domains
        );
        match self.verdicts[number] {
            Verdict::Reject => "550 no\r\n",
            Verdict::NotNow => "452 not now\r\n",
            Verdict::Accept if self.recipients.len() == self.most => "452 too many\r\n",
            Verdict::Accept => {
                self.recipients.push(number);
                "250 ok\r\n"
            }
        }
    }

    fn handle_line(&mut self, line: &str) {
        let reply = match line.get(..4) {
            _ if self.in_content && line != ".\r\n" => return,
            _ if self.in_content => {
                self.in_content = false;
                self.stored.append(&mut self.recipients);
                "250 taken\r\n"
            }
            Some("EHLO") => &self.keywords.clone(),
            Some("RCPT") => self.rcpt(line),
            Some("DATA") if self.recipients.is_empty() => "554 no recipients\r\n",
            Some("DATA") => {
                self.in_content = true;
                "354 go\r\n"
            }
            Some("QUIT") => "221 bye\r\n",
            _ => {
                self.recipients.clear();
                self.domains.clear();
                "250 ok\r\n"
            }
        };
        self.replies.push_back(reply.to_owned());
    }
}

impl Peer for Server {
    fn handle_input(&mut self, input: &[u8]) {
        for part in input.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.ends_with(b"\r\n") {
                let line = String::from_utf8(std::mem::take(&mut self.line)).unwrap();
                self.handle_line(&line);
            }
        }
    }

    fn handle_eof(&mut self) {}

    fn poll_output(&mut self) -> Option<Output> {
        let reply = self.replies.pop_front()?;
        Some(Output::Write(reply.into_bytes()))
    }
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        6 => Just(Verdict::Accept),
        1 => Just(Verdict::Reject),
        2 => Just(Verdict::NotNow),
    ]
}

proptest! {
    #[test]
    fn every_recipient_gets_the_verdict_on_itself(
        verdicts in prop::collection::vec(prop::collection::vec(verdict(), 1..80), 1..4),
        most in 1..40_usize,
        pipelining in any::<bool>(),
        window in 1..200_usize,
        domains in 1..5_usize,
        most_domains in prop::option::of(1..4_usize),
    ) {
        let mut keywords = "250-mx.test\r\n".to_owned();
        if pipelining {
            keywords.push_str("250-PIPELINING\r\n");
        }
        if let Some(most) = most_domains {
            keywords.push_str(&format!("250-LIMITS RCPTDOMAINMAX={most}\r\n"));
        }
        keywords.push_str("250 HELP\r\n");
        let config = Config::builder("client.test".parse().unwrap())
            .security(Security::Cleartext)
            .window(Window::FULL_DUPLEX.with_replies(window))
            .pipelining(Pipelining::Transactions)
            .build()
            .unwrap();
        let count: usize = verdicts.iter().map(Vec::len).sum();
        let mut pair = Pair::new(Arc::new(config), Server {
            verdicts: verdicts.concat(),
            most,
            keywords,
            most_domains: most_domains.unwrap_or(usize::MAX),
            domains: BTreeSet::new(),
            line: Vec::new(),
            in_content: false,
            recipients: Vec::new(),
            stored: Vec::new(),
            replies: VecDeque::from(["220 mx.test\r\n".to_owned()]),
        });
        let mut number = 0;
        let mut ids = Vec::new();
        for each in &verdicts {
            let recipients = (number..number + each.len())
                .map(|number| format!("{number}@{}.test", number * number % domains));
            ids.push(pair.connection.submit(Mail::new("a@x.test", recipients, TEXT).unwrap()));
            number += each.len();
        }
        let mut accepted = Vec::new();
        for (id, verdicts) in ids.into_iter().zip(&verdicts) {
            let outcome = pair.drive(|connection| connection.poll_outcome(id)).unwrap();
            for (verdict, each) in verdicts.iter().zip(outcome.recipients()) {
                let number: usize = each.recipient().as_str().split('@').next().unwrap().parse().unwrap();
                match each.status() {
                    RecipientStatus::Accepted(_) => {
                        prop_assert_eq!(*verdict, Verdict::Accept);
                        accepted.push(number);
                    }
                    RecipientStatus::Rejected { reply, .. } => {
                        prop_assert_eq!(*verdict == Verdict::Reject, reply.is_permanent());
                        prop_assert!(*verdict != Verdict::Accept, "{}: {}", number, reply);
                    }
                    other => prop_assert!(false, "{}: {}", number, other),
                }
            }
        }
        let mut stored = pair.peer.stored;
        stored.sort_unstable();
        prop_assert_eq!(stored, accepted);
        prop_assert_eq!(count, number);
    }
}

/// All output at a time, and all replies to it at a time.
#[test]
fn any_number_of_messages_begin_again_at_once() {
    for keywords in [
        "250-mx.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
        "250-mx.test\r\n250 PIPELINING\r\n",
    ] {
        for level in [Pipelining::Transactions, Pipelining::Speculative] {
            for count in 1..8 {
                begin_again(keywords, level, count);
            }
        }
    }
}

fn begin_again(keywords: &'static str, level: Pipelining, count: usize) {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .window(Window::FULL_DUPLEX)
        .pipelining(level)
        .build()
        .unwrap();
    let mut connection = Connection::new(Arc::new(config), Seed::from_bytes([7; 32]));
    let mut server = Taker::new(keywords, 1);
    let mail = || Mail::new("a@x.test", ["b@x.test", "c@x.test", "d@x.test"], TEXT).unwrap();
    let ids: Vec<_> = (0..count).map(|_| connection.submit(mail())).collect();
    let mut outcomes = vec![None; count];
    let mut now = Time::ORIGIN;
    for _ in 0..1000 {
        for (id, outcome) in ids.iter().zip(&mut outcomes) {
            if outcome.is_none()
                && let Poll::Ready(result) = connection.poll_outcome(*id)
            {
                *outcome = Some(result.unwrap().is_accepted());
            }
        }
        let mut moved = false;
        while let Some(transmit) = connection.poll_transmit(now) {
            let bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
            server.handle_input(&bytes);
            connection.handle_sent(now, bytes.len());
            moved = true;
        }
        let mut replies = Vec::new();
        while let Some(Output::Write(reply)) = server.poll_output() {
            replies.extend(reply);
        }
        if !replies.is_empty() {
            connection.handle_input(now, &replies);
            moved = true;
        }
        if !moved {
            if outcomes.iter().all(Option::is_some) {
                break;
            }
            now = now.max(connection.poll_timeout().unwrap());
            connection.handle_timeout(now);
        }
    }
    assert_eq!(outcomes, vec![Some(true); count], "{keywords} {level:?}");
}

const TEXT: &str = "From: <a@x.test>\r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\n\r\nhello\r\n";
