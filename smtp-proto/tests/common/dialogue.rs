//! A second opinion: reads what went over the wire, shares nothing with the machine, and says what became of each mail.
//!
//! The rules are those of RFC 5321 and of this project's table of outcomes, written down once more in the plainest way.

use std::fmt;

use smtp_proto::{Fate, Outcome, Stage};

/// What both sides said, as far as it can be told which reply belongs to which command.
#[derive(Debug, Default)]
pub(crate) struct Dialogue {
    pub(crate) transactions: Vec<Transaction>,
}

/// One mail on the wire.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    sender: String,
    mail: Option<Said>,
    recipients: Vec<(String, Option<Said>)>,
    data: Option<Said>,
    /// Whether the last byte of the end of the text was offered.
    ended: bool,
    verdict: Option<Said>,
}

/// A whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: u16,
    pub(crate) text: String,
}

/// What ought to become of a mail for one recipient.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Accepted(Said),
    Refused(Stage, Said),
    NotSent,
    InDoubt,
}

impl Dialogue {
    /// Reads a session without TLS and AUTH.
    ///
    /// `offered` is all that the client gave its transport to send. `heard` is what it got, each byte with the number of
    /// bytes that had gone out before.
    pub(crate) fn read(offered: &[u8], heard: &[(usize, u8)]) -> Self {
        let mut dialogue = Self::default();
        let mut replies = Replies {
            heard,
            desynchronized: false,
        };
        replies.next(0);
        let mut at = 0;
        while let Some(len) = line_len(&offered[at..]) {
            let line = String::from_utf8_lossy(&offered[at..at + len - 2]).into_owned();
            at += len;
            let expected: &[u16] = match line.as_str() {
                "DATA" => &[3, 4, 5],
                "RSET" => &[2],
                _ => &[2, 4, 5],
            };
            let reply = replies
                .next(at)
                .filter(|said| expected.contains(&(said.code / 100)));
            replies.desynchronized |= reply.is_none();
            if let Some(path) = argument(&line, "MAIL FROM:<") {
                dialogue.transactions.push(Transaction {
                    sender: path.to_owned(),
                    mail: reply,
                    ..Transaction::default()
                });
                continue;
            }
            let Some(transaction) = dialogue.transactions.last_mut() else {
                continue;
            };
            if let Some(path) = argument(&line, "RCPT TO:<") {
                transaction.recipients.push((path.to_owned(), reply));
            } else if line == "DATA" {
                let go_ahead = reply.as_ref().is_some_and(|reply| reply.code / 100 == 3);
                transaction.data = reply;
                if !go_ahead {
                    continue;
                }
                let Some(len) = text_len(&offered[at..]) else {
                    break;
                };
                at += len;
                transaction.ended = true;
                transaction.verdict = replies.next(at).filter(|said| said.code / 100 != 3);
                replies.desynchronized |= transaction.verdict.is_none();
            }
        }
        dialogue
    }

    /// What ought to become of the mail of this sender for each of these recipients, in this order.
    pub(crate) fn due(&self, sender: &str, recipients: &[&str]) -> Vec<Due> {
        let transaction = self.transactions.iter().find(|each| each.sender == sender);
        recipients
            .iter()
            .enumerate()
            .map(|(index, recipient)| match transaction {
                None => Due::NotSent,
                Some(transaction) => transaction.due(index, recipient),
            })
            .collect()
    }

    /// Asserts that the outcome of a mail is what both sides' words make it.
    pub(crate) fn check(&self, sender: &str, outcome: &Outcome, context: &dyn fmt::Debug) {
        let recipients: Vec<_> = outcome
            .deliveries()
            .iter()
            .map(|delivery| delivery.recipient().as_str())
            .collect();
        let told: Vec<_> = outcome
            .deliveries()
            .iter()
            .map(|delivery| told(delivery.fate()))
            .collect();
        assert_eq!(
            told,
            self.due(sender, &recipients),
            "{context:?}: the mail of {sender}: {self:#?}\n{outcome:#?}"
        );
    }
}

impl Transaction {
    fn due(&self, index: usize, recipient: &str) -> Due {
        let refusal = |said: &Option<Said>| said.clone().filter(|said| said.code >= 400);
        if let Some(said) = refusal(&self.mail) {
            return match &self.verdict {
                Some(verdict) if verdict.code < 300 => Due::InDoubt,
                _ => Due::Refused(Stage::Mail, said),
            };
        }
        if let Some((path, said)) = self.recipients.get(index) {
            assert_eq!(path, recipient, "another recipient than was asked for");
            if let Some(said) = refusal(said) {
                return Due::Refused(Stage::Rcpt, said);
            }
        }
        if let Some(said) = refusal(&self.data) {
            return Due::Refused(Stage::Data, said);
        }
        match &self.verdict {
            Some(said) if said.code < 300 => Due::Accepted(said.clone()),
            Some(said) if said.code >= 400 => Due::Refused(Stage::EndOfData, said.clone()),
            _ if self.ended => Due::InDoubt,
            _ => Due::NotSent,
        }
    }
}

/// What the machine told of a recipient, in the reference's words.
fn told(fate: &Fate) -> Due {
    let said = |reply: &smtp_proto::Reply| Said {
        code: reply.code().as_u16(),
        text: reply
            .lines()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect::<Vec<_>>()
            .join("\n"),
    };
    match fate {
        Fate::Accepted(reply) => Due::Accepted(said(reply)),
        Fate::Refused { stage, reply } => Due::Refused(*stage, said(reply)),
        Fate::NotSent(_) => Due::NotSent,
        Fate::InDoubt(_) => Due::InDoubt,
    }
}

/// The replies that are left, until one comes out of turn.
struct Replies<'a> {
    heard: &'a [(usize, u8)],
    desynchronized: bool,
}

impl Replies<'_> {
    /// The reply to the command that ends at `end`, if it came, whole, well-formed and in turn.
    fn next(&mut self, end: usize) -> Option<Said> {
        let in_turn = self.heard.first().is_some_and(|(sent, _)| *sent >= end);
        if self.desynchronized || !in_turn {
            self.desynchronized = true;
            return None;
        }
        let mut code = None;
        let mut text = Vec::new();
        loop {
            let len = self.heard.iter().position(|(_, byte)| *byte == b'\n');
            let Some(len) = len else {
                self.desynchronized = true;
                return None;
            };
            let line: Vec<u8> = self.heard[..len].iter().map(|(_, byte)| *byte).collect();
            self.heard = &self.heard[len + 1..];
            let line =
                String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line)).into_owned();
            let number = line.get(..3).and_then(|digits| digits.parse::<u16>().ok());
            let sound = matches!(number, Some(200..=599))
                && !line.contains('\0')
                && *code.get_or_insert(number) == number
                && matches!(line.as_bytes().get(3), None | Some(b' ' | b'-'))
                && line.len() <= 2046;
            if !sound {
                self.desynchronized = true;
                return None;
            }
            text.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                // Behind this the server is gone, whatever else it says.
                self.desynchronized |= number == Some(421);
                return Some(Said {
                    code: number?,
                    text: text.join("\n"),
                });
            }
        }
    }
}

fn line_len(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .map(|at| at + 2)
}

/// Up to behind the dot that ends a text.
fn text_len(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b".\r\n") {
        return Some(3);
    }
    bytes
        .windows(5)
        .position(|part| part == b"\r\n.\r\n")
        .map(|at| at + 5)
}

fn argument<'a>(line: &'a str, command: &str) -> Option<&'a str> {
    line.strip_prefix(command)?
        .split_once('>')
        .map(|(path, _)| path)
}
