//! Thousands of recipients: no more replies are pending than the window allows, all of the window
//! is used, and a server that does not read before its replies are read causes no deadlock.

use crate::common;
use crate::common::pair::transmit;
use crate::common::raw_mail;

use std::collections::VecDeque;
use std::sync::Arc;

use common::pair::Pair;
use common::session::Mode;
use smtp_proto::{Pipelining, Security, Window};
use smtp_test::{Output, Peer};

/// A server that accepts everything, sends one reply for each read, and counts the pending replies.
struct Counter {
    line: Vec<u8>,
    text: Text,
    keywords: &'static str,
    lmtp: bool,
    recipients: usize,
    /// Each pending reply, with the length of its command.
    due: VecDeque<(&'static str, usize)>,
    bytes: usize,
    /// The most that was pending when a command came, that command included.
    most: (usize, usize),
    mails: usize,
    /// Whether it reads only when all its replies were read.
    stubborn: bool,
    given: bool,
}

enum Text {
    None,
    UpToDot,
    /// The bytes of content that are still to come, whether they are the last, and the length of
    /// their command.
    Octets(usize, bool, usize),
}

impl Counter {
    fn new(mode: Mode, stubborn: bool) -> Self {
        let keywords = match mode.chunk {
            Some(_) => "250-hi\r\n250-CHUNKING\r\n250 PIPELINING\r\n",
            None => "250-hi\r\n250 PIPELINING\r\n",
        };
        Self {
            line: Vec::new(),
            text: Text::None,
            keywords,
            lmtp: mode.lmtp,
            recipients: 0,
            due: VecDeque::from([("220 hi\r\n", 0)]),
            bytes: 0,
            most: (0, 0),
            mails: 0,
            stubborn,
            given: false,
        }
    }

    fn owe(&mut self, reply: &'static str, bytes: usize) {
        self.due.push_back((reply, bytes));
        self.bytes += bytes;
        let (most_bytes, most_replies) = self.most;
        self.most = (most_bytes.max(self.bytes), most_replies.max(self.due.len()));
    }

    fn end(&mut self, bytes: usize) {
        self.mails += 1;
        let count = if self.lmtp { self.recipients } else { 1 };
        // The reply to the end of the content does not count for the window; commands after it do.
        let most = self.most;
        self.owe("250 taken\r\n", bytes);
        for _ in 1..count {
            self.owe("250 taken\r\n", 0);
        }
        self.most = most;
    }

    fn take(&mut self, line: &str, bytes: usize) {
        match line.get(..4).unwrap() {
            "EHLO" | "LHLO" => self.owe(self.keywords, bytes),
            "DATA" => {
                self.owe("354 go\r\n", bytes);
                self.text = Text::UpToDot;
            }
            "BDAT" => {
                let (size, last) = common::dialogue::chunk(line).unwrap();
                assert!(size > 0);
                self.text = Text::Octets(size, last, bytes);
            }
            verb => {
                match verb {
                    "MAIL" => self.recipients = 0,
                    "RCPT" => self.recipients += 1,
                    _ => {}
                }
                self.owe("250 ok\r\n", bytes);
            }
        }
    }
}

impl Peer for Counter {
    fn handle_input(&mut self, input: &[u8]) {
        for byte in input {
            if let Text::Octets(left, last, bytes) = &mut self.text {
                *left -= 1;
                if *left == 0 {
                    let (last, bytes) = (*last, *bytes);
                    self.text = Text::None;
                    if last {
                        self.end(bytes);
                    } else {
                        self.owe("250 ok\r\n", bytes);
                    }
                }
                continue;
            }
            self.line.push(*byte);
            let Some(line) = self.line.strip_suffix(b"\r\n") else {
                continue;
            };
            let (line, bytes) = (String::from_utf8(line.to_vec()).unwrap(), self.line.len());
            self.line.clear();
            match self.text {
                Text::UpToDot if line == "." => {
                    self.text = Text::None;
                    self.end(0);
                }
                Text::UpToDot => {}
                _ => self.take(&line, bytes),
            }
        }
    }

    fn handle_eof(&mut self) {}

    fn poll_output(&mut self) -> Option<Output> {
        // One at a time, if the client does not wait, so it fills its window again at once.
        if std::mem::take(&mut self.given) && !self.stubborn {
            return None;
        }
        let (reply, bytes) = self.due.pop_front()?;
        self.bytes -= bytes;
        self.given = true;
        Some(Output::Write(reply.as_bytes().to_vec()))
    }

    fn wants_input(&self) -> bool {
        !self.stubborn || self.due.is_empty() || !self.given
    }
}

const RECIPIENTS: usize = 1500;

fn run(mode: Mode, window: Window, stubborn: bool) -> Counter {
    let config = mode
        .builder()
        .security(Security::Cleartext)
        .window(window)
        .build()
        .unwrap();
    let mut pair = Pair::new(Arc::new(config), Counter::new(mode, stubborn));
    for number in 0..2 {
        let recipients = (0..RECIPIENTS).map(|index| format!("recipient{index}@x.test"));
        let mail = raw_mail(format!("m{number}@x.test"), recipients, "hello\r\n").unwrap();
        pair.connection.submit(mail);
    }
    pair.connection.quit();
    let (outcomes, end) = pair.finish();
    end.unwrap();
    for (_, outcome) in &outcomes {
        assert!(outcome.is_accepted());
        assert_eq!(outcome.recipients().len(), RECIPIENTS);
    }
    assert_eq!(pair.peer.mails, 2);
    pair.peer
}

const WINDOWS: [(Window, usize, usize); 3] = [
    (Window::HALF_DUPLEX, 3840, 128),
    (Window::FULL_DUPLEX, 65_536, 1000),
    (Window::FULL_DUPLEX.with_bytes(1).with_replies(1), 40, 1),
];

const MODES: [Mode; 8] = [
    Mode::new(Pipelining::Off),
    Mode::new(Pipelining::Envelope),
    Mode::new(Pipelining::Transactions),
    Mode::new(Pipelining::Envelope).in_chunks(3),
    Mode::new(Pipelining::Transactions).in_chunks(1000),
    Mode::new(Pipelining::Speculative).in_chunks(1000),
    Mode::new(Pipelining::Speculative).in_chunks(3),
    Mode::new(Pipelining::Transactions).lmtp(),
];

#[test]
fn v25_no_more_replies_are_pending_than_the_window_allows_and_all_of_it_is_used() {
    for mode in MODES {
        for (window, bytes, replies) in WINDOWS {
            let (most_bytes, most_replies) = run(mode, window, false).most;
            let context =
                format!("{mode:?}, {window:?}: {most_bytes} bytes, {most_replies} replies");
            assert!(most_bytes <= bytes && most_replies <= replies, "{context}");
            let used = most_replies == replies || most_bytes + 40 > bytes;
            assert!(mode.level == Pipelining::Off || used, "{context}");
        }
    }
}

#[test]
fn v25_a_server_that_reads_only_after_its_replies_were_read_causes_no_deadlock() {
    for mode in MODES {
        for (window, ..) in WINDOWS {
            run(mode, window, true);
        }
    }
}

#[test]
fn v25_the_final_replies_of_lmtp_count() {
    // After content with more final replies than the window allows, nothing is sent before half of
    // the window is free.
    let mode = Mode::new(Pipelining::Transactions).lmtp();
    let config = mode.config();
    let mut pair = Pair::new(config, Counter::new(mode, true));
    for number in 0..2 {
        let recipients = (0..200).map(|index| format!("recipient{index}@x.test"));
        let mail = raw_mail(format!("m{number}@x.test"), recipients, "hello\r\n").unwrap();
        pair.connection.submit(mail);
    }
    while pair.peer.mails == 0 {
        assert!(pair.write_some(1) || pair.read());
    }
    assert_eq!(pair.peer.due.len(), 200);
    let end = pair.sent.len();
    assert!(pair.connection.poll_transmit(pair.now).is_none());
    for left in (1..200).rev() {
        let (reply, _) = pair.peer.due.pop_front().unwrap();
        pair.connection.handle_input(pair.now, reply.as_bytes());
        let goes_on = transmit(&mut pair.connection, pair.now).is_some();
        assert_eq!(goes_on, left < 64, "{left} replies are pending");
    }
    assert_eq!(pair.sent.len(), end);
}
