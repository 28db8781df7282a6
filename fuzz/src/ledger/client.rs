//! The client's output, and when it is sent: commands, and content.

use smtp_proto::{Pipelining, Protocol, SizeLimit};

use super::transaction::{Content, Transaction};
use super::{Asked, Due, Ledger, MaySay, Stream};
use crate::reference;

impl Ledger {
    pub(super) fn read_client(&mut self, wire: &[u8]) {
        loop {
            let rest = &wire[self.read..];
            let is_empty_chunk =
                matches!(self.stream, Stream::Chunk { end, .. } if end == self.read);
            if rest.is_empty() && !is_empty_chunk {
                return;
            }
            match self.stream {
                Stream::Silence => {
                    panic!("sent before the reply: {}", rest.escape_ascii())
                }
                Stream::Text { start } => {
                    let Some(len) = end_of_text(&wire[start..]) else {
                        self.read = wire.len();
                        return;
                    };
                    self.read = start + len;
                    let text = reference::receive(&wire[start..self.read]);
                    self.end_text(text.expect("I3: the text has one end and no bare CR or LF"));
                    self.ask(Asked::Dot, 0);
                }
                Stream::Chunk { end, last } => {
                    let Some(chunk) = wire.get(self.read..end) else {
                        return;
                    };
                    self.read = end;
                    let transaction = self.present();
                    transaction.chunks.extend_from_slice(chunk);
                    if last {
                        let text = std::mem::take(&mut transaction.chunks);
                        self.end_text(text);
                    }
                    let to = if last { Asked::LastChunk } else { Asked::Chunk };
                    self.ask(to, chunk.len());
                }
                Stream::Commands | Stream::Response => {
                    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
                        return;
                    };
                    let line = rest[..end].strip_suffix(b"\r").expect("I3: a CRLF");
                    assert!(
                        line.iter().all(|byte| !byte.is_ascii_control()),
                        "I3: a control in {}",
                        line.escape_ascii()
                    );
                    self.read += end + 1;
                    let line = std::str::from_utf8(line).expect("I3: UTF-8");
                    if self.stream == Stream::Response {
                        let to = if line == "*" {
                            Asked::Cancel
                        } else {
                            Asked::Auth
                        };
                        self.ask(to, 0);
                    } else if let Some(to) = self.command(line) {
                        self.check_turn(to, line);
                        self.ask(to, 0);
                    }
                }
            }
        }
    }

    /// The command of a line, except those that announce a chunk.
    fn command(&mut self, line: &str) -> Option<Asked> {
        let name = line.split([' ', ':']).next().unwrap_or_default();
        let allowed = match self.may_say {
            MaySay::All => name != "HELO",
            MaySay::HeloOrQuit => matches!(name, "HELO" | "QUIT"),
            MaySay::Quit => name == "QUIT",
        };
        assert!(
            allowed && !self.said_quit,
            "{line} where {:?}",
            self.may_say
        );
        Some(match name {
            "QUIT" => {
                self.said_quit = true;
                Asked::Quit
            }
            "HELO" => {
                let may_be_clear = self.in_tls || !self.demands_tls();
                assert!(may_be_clear, "I6: {line} knows no STARTTLS");
                self.may_say = MaySay::All;
                Asked::Helo
            }
            "EHLO" | "LHLO" => {
                self.open = None;
                Asked::Hello
            }
            "STARTTLS" => Asked::StartTls,
            "AUTH" => Asked::Auth,
            "RSET" => {
                self.open = None;
                Asked::Rset
            }
            "DATA" => {
                let body = self.present().body;
                assert_ne!(body, Content::Binary, "RFC 3030, section 3: not by DATA");
                Asked::Data
            }
            "BDAT" => {
                self.begin_chunk(line);
                return None;
            }
            "MAIL" => {
                assert_eq!(self.open, None, "V39: there is a transaction: {line}");
                self.open = Some(self.transactions.len());
                let (sender, parameters) = path(line, "MAIL FROM:<");
                let body = self.read_parameters(parameters);
                let transaction = Transaction::new(sender, body, self.rules.protocol);
                self.transactions.push(transaction);
                Asked::Mail
            }
            "RCPT" => {
                let (recipient, _) = path(line, "RCPT TO:<");
                self.present().ask(recipient);
                Asked::Rcpt
            }
            _ => Asked::Other,
        })
    }

    fn present(&mut self) -> &mut Transaction {
        self.transactions.last_mut().expect("MAIL goes before")
    }

    /// The parameters of MAIL about the content; each must be of an extension that the server
    /// advertises.
    fn read_parameters(&self, parameters: &str) -> Content {
        let mut body = Content::SevenBit;
        for parameter in parameters.split_ascii_whitespace() {
            let known = match parameter {
                "BODY=8BITMIME" => {
                    body = Content::EightBit;
                    self.said.eight_bit_mime()
                }
                "BODY=BINARYMIME" => {
                    body = Content::Binary;
                    self.said.binary_mime()
                }
                "SMTPUTF8" => self.said.smtp_utf8(),
                other => {
                    let size = other
                        .strip_prefix("SIZE=")
                        .and_then(|size| size.parse().ok());
                    size.is_some_and(|size: u64| self.said.size().is_some() && self.takes(size))
                }
            };
            assert!(known, "the server knows nothing of {parameter}");
        }
        body
    }

    /// Whether the server accepts content of this size (RFC 1870).
    fn takes(&self, bytes: u64) -> bool {
        !matches!(self.said.size(), Some(SizeLimit::Bytes(limit)) if bytes > limit)
    }

    fn begin_chunk(&mut self, line: &str) {
        let chunk = line.strip_prefix("BDAT ").expect("I3: a length");
        let (len, last) = chunk
            .strip_suffix(" LAST")
            .map_or((chunk, false), |len| (len, true));
        let len: usize = len.parse().expect("I3: a length");
        assert!(self.said.chunking(), "RFC 3030: CHUNKING is not advertised");
        let to = if last { Asked::LastChunk } else { Asked::Chunk };
        self.check_turn(to, line);
        let before = self.present().chunks.len();
        let size = u64::try_from(before + len).unwrap();
        assert!(self.takes(size), "RFC 1870: {size} bytes at {line}");
        if self.rules.protocol == Protocol::Lmtp {
            let is_known = self.due.is_empty();
            assert!(is_known, "RFC 2033: the number of replies is unknown");
        }
        if self.due.back().is_some_and(|due| due.to == Asked::Rcpt) {
            let (mail, all) = self.rules.speculation;
            let on_its_way: usize = self.due.iter().map(|due| due.bytes).sum();
            let within = before == 0 && len <= mail && on_its_way + len <= all;
            assert!(within, "{line} behind {on_its_way} bytes");
        }
        let end = self.read + len;
        self.stream = Stream::Chunk { end, last };
    }

    /// All of the content has been transmitted.
    fn end_text(&mut self, text: Vec<u8>) {
        let size = u64::try_from(text.len()).unwrap();
        assert!(self.takes(size), "RFC 1870: a text of {size} bytes");
        let transaction = self.present();
        let fits = text.is_ascii() || transaction.body != Content::SevenBit;
        assert!(fits, "RFC 6152: {}", text.escape_ascii());
        transaction.text = Some(text);
    }

    /// Whether a command may be sent before all pending replies.
    fn check_turn(&self, to: Asked, line: &str) {
        let Some(last) = self.due.back() else {
            return;
        };
        let needs = last.to.lets_follow(to);
        let allowed = needs.is_some_and(|level| level <= self.rules.level);
        assert!(
            allowed && self.said.pipelining(),
            "{line} before the reply to {:?}",
            last.to
        );
    }

    fn ask(&mut self, to: Asked, bytes: usize) {
        self.stream = match to {
            Asked::Rset | Asked::Mail | Asked::Rcpt | Asked::Chunk => Stream::Commands,
            Asked::Dot | Asked::LastChunk if self.rules.level >= Pipelining::Transactions => {
                Stream::Commands
            }
            _ => Stream::Silence,
        };
        let ends_text = matches!(to, Asked::Dot | Asked::LastChunk);
        let replies = match self.transactions.last() {
            Some(mail) if ends_text => mail.verdicts_due(),
            _ => 1,
        };
        assert!(replies > 0, "RFC 2033: content without a recipient");
        self.due.push_back(Due {
            to,
            end: self.read,
            transaction: self.transactions.len().saturating_sub(1),
            bytes,
            replies,
        });
    }
}

impl Asked {
    /// The level from which on `next` may be sent before the reply to this (RFC 2920, section 3.1;
    /// RFC 3030, section 4.2).
    fn lets_follow(self, next: Self) -> Option<Pipelining> {
        match (self, next) {
            (Self::Rset, Self::Mail)
            | (Self::Mail | Self::Rcpt, Self::Rcpt | Self::Data)
            | (Self::Chunk, Self::Chunk | Self::LastChunk) => Some(Pipelining::Envelope),
            (Self::Dot | Self::LastChunk, Self::Rset) => Some(Pipelining::Transactions),
            (Self::Rcpt, Self::LastChunk) => Some(Pipelining::Speculative),
            _ => None,
        }
    }
}

fn end_of_text(text: &[u8]) -> Option<usize> {
    if text.starts_with(b".\r\n") {
        return Some(3);
    }
    // Search for the dots, which are few.
    let mut dots = text.iter().enumerate().filter(|(_, byte)| **byte == b'.');
    dots.find_map(|(at, _)| {
        let around = text.get(at.checked_sub(2)?..at + 3)?;
        (around == b"\r\n.\r\n").then_some(at + 3)
    })
}

/// The path of a line whose address needs no quotes, and the text after it.
fn path<'a>(line: &'a str, before: &str) -> (String, &'a str) {
    let rest = line.strip_prefix(before).expect("I3: the path");
    let (path, rest) = rest.split_once('>').expect("I3: the path's end");
    (path.to_owned(), rest)
}
