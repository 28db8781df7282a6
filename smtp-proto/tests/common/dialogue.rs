//! A reference implementation of outcomes: it reads the bytes on the wire and computes the outcome
//! of each message. It shares no code with the connection.
//!
//! The rules are those of RFC 5321 and of this project's table of outcomes, in their plainest form.

use std::fmt;

use smtp_proto::{Outcome, RecipientStatus, Stage};

/// The commands, each with its reply if it can be matched.
#[derive(Debug, Default)]
pub(crate) struct Dialogue {
    pub(crate) transactions: Vec<Transaction>,
}

/// One mail transaction on the wire.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    sender: String,
    mail: Option<Said>,
    recipients: Vec<(String, Option<Said>)>,
    data: Option<Said>,
    /// The first rejection of a chunk that was not the last.
    chunk: Option<Said>,
    /// Whether the last byte of the end of the data was handed to the transport.
    ended: bool,
    /// The final reply; in LMTP one for each accepted recipient.
    final_replies: Vec<Said>,
    /// Whether each accepted recipient gets a final reply.
    by_recipient: bool,
    /// Whether the server accepted a transaction that it had rejected.
    contradicted: bool,
    /// Whether the content was sent by DATA.
    by_dot: bool,
    /// Whether RSET was accepted after it.
    reset: bool,
}

/// A whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: u16,
    pub(crate) text: String,
}

/// The expected outcome of a message for one recipient.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Accepted(Said),
    Rejected(Stage, Said),
    NotSent,
    InDoubt,
}

impl Dialogue {
    /// Reads a session without TLS and AUTH.
    ///
    /// `transmitted` is all that the client handed to its transport. `received` is its input, each
    /// byte with the number of bytes that had been sent before.
    pub(crate) fn read(transmitted: &[u8], received: &[(usize, u8)]) -> Self {
        let mut dialogue = Self::default();
        let mut replies = Replies {
            received,
            desynchronized: false,
        };
        // The greeting.
        replies.any(0);
        let lmtp = transmitted.starts_with(b"LHLO");
        let mut at = 0;
        while let Some(len) = line_len(&transmitted[at..]) {
            let line = String::from_utf8_lossy(&transmitted[at..at + len - 2]).into_owned();
            at += len;
            let open = dialogue.transactions.last_mut();
            if let Some(path) = argument(&line, "MAIL FROM:<") {
                dialogue.transactions.push(Transaction {
                    sender: path.to_owned(),
                    mail: replies.next(at, &[2, 4, 5]),
                    ..Transaction::default()
                });
            } else if let (Some(open), Some(path)) = (open, argument(&line, "RCPT TO:<")) {
                let said = replies.next(at, &[2, 4, 5]);
                open.recipients.push((path.to_owned(), said));
            } else if line == "DATA" {
                let open = dialogue.transactions.last_mut().expect("MAIL before DATA");
                open.data = replies.next(at, &[3, 4, 5]);
                if open.data.as_ref().is_none_or(Said::is_rejection) {
                    continue;
                }
                let Some(len) = text_len(&transmitted[at..]) else {
                    break;
                };
                at += len;
                open.by_dot = true;
                open.end(&mut replies, at, lmtp, len == 3);
            } else if let Some((size, last)) = chunk(&line) {
                let open = dialogue.transactions.last_mut().expect("MAIL before BDAT");
                at += size;
                if at > transmitted.len() {
                    break;
                }
                if last {
                    open.end(&mut replies, at, lmtp, false);
                } else {
                    let rejection = replies.next(at, &[2, 4, 5]).filter(Said::is_rejection);
                    open.chunk = open.chunk.take().or(rejection);
                }
            } else {
                let said = if line == "RSET" {
                    replies.next(at, &[2, 4, 5])
                } else {
                    replies.of_class(at, &[2, 4, 5])
                };
                // A server that rejects RSET may hold the transaction open, so nothing more is
                // sent.
                let may_be_open = dialogue
                    .transactions
                    .last()
                    .is_some_and(Transaction::may_be_open);
                if line == "RSET" && may_be_open && said.as_ref().is_none_or(Said::is_rejection) {
                    replies.desynchronized = true;
                }
                if line == "RSET"
                    && said.is_some_and(|said| !said.is_rejection())
                    && let Some(last) = dialogue.transactions.last_mut()
                {
                    last.reset = true;
                }
            }
        }
        dialogue
    }

    /// The expected outcome of this sender's message for each of these recipients, which are
    /// distinct, in this order.
    pub(crate) fn due(&self, sender: &str, recipients: &[&str]) -> Vec<Due> {
        let of_mail = || {
            self.transactions
                .iter()
                .filter(|each| each.sender == sender)
        };
        recipients
            .iter()
            .map(|recipient| {
                let asked = of_mail().rfind(|each| each.asked(recipient));
                match (asked, of_mail().next_back()) {
                    (Some(transaction), _) => transaction.due(recipient),
                    (None, Some(last)) => last.due_beyond(),
                    (None, None) => Due::NotSent,
                }
            })
            .collect()
    }

    /// Asserts that the outcome of a message agrees with the dialogue.
    pub(crate) fn check(&self, sender: &str, outcome: &Outcome, context: &dyn fmt::Debug) {
        let recipients: Vec<_> = outcome
            .recipients()
            .iter()
            .map(|delivery| delivery.recipient().as_str())
            .collect();
        let told: Vec<_> = outcome
            .recipients()
            .iter()
            .map(|delivery| told(delivery.status()))
            .collect();
        assert_eq!(
            told,
            self.due(sender, &recipients),
            "{context:?}: the message of {sender}: {self:#?}\n{outcome:#?}"
        );
    }
}

impl Transaction {
    /// Takes the replies to the end of the data, which ends at `at`.
    fn end(&mut self, replies: &mut Replies<'_>, at: usize, lmtp: bool, is_lone_dot: bool) {
        self.ended = true;
        self.by_recipient = lmtp;
        let nobody = self.accepted() == 0;
        let rejected = self.rejection().is_some() || (nobody && !is_lone_dot);
        let count = if lmtp && !nobody { self.accepted() } else { 1 };
        for _ in 0..count {
            let Some(said) = replies.next(at, &[2, 4, 5]) else {
                return;
            };
            if rejected && !said.is_rejection() {
                self.contradicted = true;
                replies.desynchronized = true;
            }
            self.final_replies.push(said);
        }
    }

    /// Whether the server may still hold the transaction open (RFC 5321, section 4.1.1.4; RFC 3030,
    /// section 2).
    fn may_be_open(&self) -> bool {
        let rejected = self.mail.as_ref().is_none_or(Said::is_rejection)
            && !self
                .recipients
                .iter()
                .any(|(_, said)| said.as_ref().is_some_and(|said| !said.is_rejection()));
        let taken = self.final_replies.iter().any(|said| !said.is_rejection());
        !(self.reset || rejected || taken || (self.by_dot && self.ended))
    }

    fn asked(&self, recipient: &str) -> bool {
        self.recipients.iter().any(|(path, _)| path == recipient)
    }

    fn accepted(&self) -> usize {
        if self.mail.as_ref().is_none_or(Said::is_rejection) {
            return 0;
        }
        let accepted = |said: &Option<Said>| said.as_ref().is_some_and(|said| !said.is_rejection());
        self.recipients
            .iter()
            .filter(|(_, said)| accepted(said))
            .count()
    }

    /// The rejection of the whole message before the end of the data.
    fn rejection(&self) -> Option<(Stage, &Said)> {
        let rejections = [
            (Stage::Mail, &self.mail),
            (Stage::Data, &self.data),
            (Stage::Content, &self.chunk),
        ];
        rejections.into_iter().find_map(|(stage, said)| {
            Some((stage, said.as_ref()?)).filter(|(_, said)| said.is_rejection())
        })
    }

    fn due(&self, recipient: &str) -> Due {
        let accepted = |said: &Option<Said>| said.as_ref().is_some_and(|said| !said.is_rejection());
        let index = self
            .recipients
            .iter()
            .position(|(path, _)| path == recipient);
        let index = index.expect("one that was asked for");
        let said = &self.recipients[index].1;
        let sender_rejected = self.mail.as_ref().is_some_and(Said::is_rejection);
        let before = self.recipients[..index]
            .iter()
            .filter(|(_, said)| accepted(said))
            .count();
        if let Some(said) = said
            .as_ref()
            .filter(|said| said.is_rejection() && !sender_rejected)
        {
            let too_many = matches!(said.code, 452 | 552) && before > 0;
            return match (self.contradicted, too_many) {
                (true, _) if self.accepted() == 0 => Due::InDoubt,
                // A further transaction for this recipient was due, and did not begin.
                (_, true) if self.is_taken() => Due::NotSent,
                _ => Due::Rejected(Stage::Rcpt, said.clone()),
            };
        }
        if self.contradicted {
            return Due::InDoubt;
        }
        if let Some((stage, said)) = self.rejection() {
            return Due::Rejected(stage, said.clone());
        }
        // In LMTP each recipient has a final reply, otherwise one is for all.
        let final_reply = match self.final_replies.as_slice() {
            [all] if !self.by_recipient => Some(all),
            each => each.get(before),
        };
        match final_reply {
            Some(said) if said.is_rejection() => Due::Rejected(Stage::EndOfData, said.clone()),
            Some(said) => Due::Accepted(said.clone()),
            None if self.ended => Due::InDoubt,
            None => Due::NotSent,
        }
    }

    /// Whether all replies to the end of the data have come.
    fn has_final_replies(&self) -> bool {
        let count = if self.by_recipient {
            self.accepted()
        } else {
            1
        };
        self.final_replies.len() >= count.max(1)
    }

    /// Whether all final replies have come, and the message was accepted for a recipient.
    fn is_taken(&self) -> bool {
        self.has_final_replies() && !self.final_replies.iter().all(Said::is_rejection)
    }

    /// The expected outcome of a recipient that was in no transaction; this is the last one.
    fn due_beyond(&self) -> Due {
        if let Some(said) = self.mail.as_ref().filter(|said| said.is_rejection()) {
            return Due::Rejected(Stage::Mail, said.clone());
        }
        if self.accepted() == 0 {
            return Due::NotSent;
        }
        if let Some((stage, said)) = self.rejection() {
            return Due::Rejected(stage, said.clone());
        }
        match self.final_replies.last() {
            Some(last) if self.has_final_replies() && !self.is_taken() => {
                Due::Rejected(Stage::EndOfData, last.clone())
            }
            _ => Due::NotSent,
        }
    }
}

impl Said {
    fn is_rejection(&self) -> bool {
        self.code >= 400
    }
}

/// The status that the connection reported for a recipient, as the reference names it.
fn told(fate: &RecipientStatus) -> Due {
    let said = |reply: &smtp_proto::Reply| Said {
        code: reply.code().as_u16(),
        text: reply
            .lines()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect::<Vec<_>>()
            .join("\n"),
    };
    match fate {
        RecipientStatus::Accepted(reply) => Due::Accepted(said(reply)),
        RecipientStatus::Rejected { stage, reply, .. } => Due::Rejected(*stage, said(reply)),
        RecipientStatus::NotSent(_) => Due::NotSent,
        RecipientStatus::InDoubt(_) => Due::InDoubt,
    }
}

/// The remaining replies, up to the first that matches no command.
struct Replies<'a> {
    received: &'a [(usize, u8)],
    desynchronized: bool,
}

impl Replies<'_> {
    /// The reply to the command that ends at `end`, if it is complete, well-formed, in its turn and
    /// of one of these kinds.
    fn next(&mut self, end: usize, kinds: &[u16]) -> Option<Said> {
        // Some codes have a meaning of their own beside that of their first digit.
        let fits = |code: u16| match code {
            211 | 214 | 220 | 221 | 235 => false,
            300..=399 => (350..=359).contains(&code) && kinds.contains(&3),
            _ => kinds.contains(&(code / 100)),
        };
        let said = self.any(end).filter(|said| fits(said.code));
        self.desynchronized |= said.is_none();
        said
    }

    /// The same by the first digit of the code alone.
    fn of_class(&mut self, end: usize, classes: &[u16]) -> Option<Said> {
        let said = self
            .any(end)
            .filter(|said| classes.contains(&(said.code / 100)));
        self.desynchronized |= said.is_none();
        said
    }

    fn any(&mut self, end: usize) -> Option<Said> {
        let in_turn = self.received.first().is_some_and(|(sent, _)| *sent >= end);
        if self.desynchronized || !in_turn {
            self.desynchronized = true;
            return None;
        }
        let mut code = None;
        let mut text = Vec::new();
        loop {
            let len = self.received.iter().position(|(_, byte)| *byte == b'\n');
            let Some(len) = len else {
                self.desynchronized = true;
                return None;
            };
            let line: Vec<u8> = self.received[..len].iter().map(|(_, byte)| *byte).collect();
            self.received = &self.received[len + 1..];
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
                // The server closes, so nothing after it counts.
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

/// The length of the content with the dot that ends it.
fn text_len(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b".\r\n") {
        return Some(3);
    }
    bytes
        .windows(5)
        .position(|part| part == b"\r\n.\r\n")
        .map(|at| at + 5)
}

/// The size of a chunk, and whether it is the last.
pub(crate) fn chunk(line: &str) -> Option<(usize, bool)> {
    let rest = line.strip_prefix("BDAT ")?;
    let size = rest.strip_suffix(" LAST");
    Some((size.unwrap_or(rest).parse().ok()?, size.is_some()))
}

fn argument<'a>(line: &'a str, command: &str) -> Option<&'a str> {
    line.strip_prefix(command)?
        .split_once('>')
        .map(|(path, _)| path)
}
