//! One mail on its way: MAIL, a RCPT for each recipient, DATA, the text, the verdict.
//!
//! Two cursors move over it. The sending one goes through [`Next`]; the answering one through the replies, which come in
//! the order in which the commands went. Either may turn the other: a refused sender ends the sending, a mail without an
//! accepted recipient has no text.
//!
//! ```text
//! sending    Mail ─▶ Rcpt(0) ─▶ … ─▶ Rcpt(n) ─▶ Data ─▶ GoAhead ┬─▶ Text ────▶ Nothing
//!              │        │               │         │        │    └─▶ LoneDot ─▶ Nothing
//!              └────────┴───────────────┴─────────┴────────┴─────────────────▶ Nothing
//! answering  MAIL 2yz ─▶ RCPT 2yz|4yz|5yz … ─▶ DATA 3yz ─▶ end of data 2yz|4yz|5yz
//! ```

use alloc::collections::VecDeque;

use bytes::Bytes;

use crate::body::{Encoder, Fault, Room};
use crate::capabilities::{Capabilities, SizeLimit};
use crate::command::Line;
use crate::error::{Error, ErrorKind, Misuse, Need, ProtocolError, Stage};
use crate::event::MessageId;
use crate::link::Link;
use crate::mail::{Answer, Mail, Recipient, Text};
use crate::outcome::{Delivery, Fate, Outcome};
use crate::parameter::{Body, Content};
use crate::pipeline::Expect;
use crate::reply::{Reply, ReplyRef, Severity};
use crate::tls::TlsFacts;
use crate::transcript::Entry;

/// One mail on its way.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) id: MessageId,
    mail: Mail,
    content: Content,
    next: Next,
    answers: Answers,
    /// Replies that are due for this mail.
    due: usize,
    /// What is next of the text, and what was written behind it.
    piece: Bytes,
    more: VecDeque<Bytes>,
    source: Source,
    encoder: Encoder,
    /// Octets of the text put in line so far, as they travel.
    written: u64,
    /// Position in the output behind the end of the text, once that is in line.
    end: Option<u64>,
    /// Whether the caller has been told that a piece of the text is wanted.
    pub(crate) asked: bool,
}

/// What the sending cursor is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Mail,
    Rcpt(usize),
    Data,
    GoAhead,
    Text,
    LoneDot,
    Nothing,
}

/// Where the text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Open,
    Finished,
}

/// What the server said so far.
#[derive(Debug, Default)]
struct Answers {
    sender: Option<Reply>,
    /// How many recipients have been answered. Refusals are kept with the recipient.
    recipients: usize,
    accepted: usize,
    data: Option<Reply>,
    verdict: Option<Reply>,
    contradicted: bool,
}

/// What a mail wants done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// This command to be sent.
    Command(Expect),
    /// Its text to be written.
    Text,
    /// An answer.
    Answer,
    /// Nothing more: all is sent that will be.
    Nothing,
}

impl Transaction {
    pub(crate) fn new(id: MessageId, mail: Mail) -> Self {
        let (encoder, piece, source) = match &mail.text {
            Text::Whole { bytes, facts } => {
                (Encoder::verified(facts), bytes.clone(), Source::Finished)
            }
            Text::Streamed { rules, .. } => (Encoder::new(rules), Bytes::new(), Source::Open),
        };
        Self {
            id,
            mail,
            content: Content::default(),
            next: Next::Mail,
            answers: Answers::default(),
            due: 0,
            piece,
            more: VecDeque::new(),
            source,
            encoder,
            written: 0,
            end: None,
            asked: false,
        }
    }

    /// Whether nothing of it has been put in line.
    pub(crate) fn is_untouched(&self) -> bool {
        self.next == Next::Mail
    }

    /// Whether the server may hold the beginning of this mail, so that RSET has to come before the next.
    pub(crate) fn leaves_rest(&self) -> bool {
        !self.is_untouched() && self.answers.verdict.is_none()
    }

    /// Whether all has been sent that will be, and answered.
    pub(crate) fn is_complete(&self) -> bool {
        self.next == Next::Nothing && self.due == 0
    }

    /// What it wants done now.
    pub(crate) fn want(&self) -> Want {
        match self.next {
            Next::Mail => Want::Command(Expect::Mail),
            Next::Rcpt(index) => Want::Command(Expect::Rcpt(index)),
            Next::Data => Want::Command(Expect::Data),
            Next::GoAhead => Want::Answer,
            Next::Text | Next::LoneDot => Want::Text,
            Next::Nothing => Want::Nothing,
        }
    }

    /// Finds out what the mail needs from the server and whether the server has it, before a byte goes out.
    pub(crate) fn prepare(&mut self, capabilities: &Capabilities) -> Result<(), Error> {
        let unsupported = |need| Error::new(Stage::Mail, ErrorKind::Unsupported(need));
        let (utf8, eight_bit) = (self.mail.needs_utf8(), self.mail.needs_eight_bit());
        if utf8 && !capabilities.smtp_utf8() {
            return Err(unsupported(Need::SmtpUtf8));
        }
        if eight_bit && !capabilities.eight_bit_mime() {
            return Err(unsupported(Need::EightBitMime));
        }
        let parameters = self.mail.parameters.as_slice();
        if let Some(parameter) = parameters
            .iter()
            .find(|each| !capabilities.has(each.extension()))
        {
            return Err(unsupported(Need::Parameter {
                keyword: parameter.keyword().clone(),
                extension: parameter.extension().into(),
            }));
        }
        let size = self.mail.size();
        if let (Some(size), Some(SizeLimit::Octets(limit))) = (size, capabilities.size())
            && size > limit
        {
            return Err(Error::new(Stage::Mail, ErrorKind::TooLarge { size, limit }));
        }
        self.content = Content {
            size: size.filter(|_| capabilities.has("SIZE")),
            body: eight_bit.then_some(Body::EightBitMime),
            smtp_utf8: utf8,
        };
        Ok(())
    }

    /// Puts the next command in line, if the pipeline admits it; returns whether it did.
    pub(crate) fn say(&mut self, to: Expect, link: &mut Link) -> bool {
        let line = match to {
            Expect::Rcpt(index) => match self.mail.recipients.get(index) {
                Some(recipient) => Line::Rcpt {
                    path: &recipient.path,
                    parameters: &[],
                },
                None => return false,
            },
            Expect::Mail => Line::Mail {
                path: &self.mail.sender,
                content: self.content,
                parameters: self.mail.parameters.as_slice(),
            },
            _ => Line::Data,
        };
        if !link.say(&line, to) {
            return false;
        }
        self.due = self.due.saturating_add(1);
        self.next = match self.next {
            Next::Mail => Next::Rcpt(0),
            Next::Rcpt(index) => {
                let following = index.saturating_add(1);
                if following < self.mail.recipients.len() {
                    Next::Rcpt(following)
                } else {
                    Next::Data
                }
            }
            Next::Data => Next::GoAhead,
            other => other,
        };
        true
    }

    /// Takes a piece of the text.
    pub(crate) fn write(&mut self, piece: Bytes) -> Result<(), Misuse> {
        if self.source == Source::Finished {
            return Err(Misuse::NotStreaming);
        }
        if self.piece.is_empty() {
            self.piece = piece;
        } else if !piece.is_empty() {
            self.more.push_back(piece);
        }
        self.asked = false;
        Ok(())
    }

    /// Takes note that the text is whole.
    pub(crate) fn finish(&mut self) -> Result<(), Misuse> {
        if self.source == Source::Finished {
            return Err(Misuse::NotStreaming);
        }
        self.source = Source::Finished;
        Ok(())
    }

    /// Whether it is at its text, and has none.
    pub(crate) fn is_starved(&self) -> bool {
        self.next == Next::Text && self.source == Source::Open && self.piece.is_empty()
    }

    /// Whether its text is not finished, however far the rest is.
    pub(crate) fn is_open(&self) -> bool {
        self.source == Source::Open
    }

    /// Whether the text has begun to go out and its end has not been offered.
    pub(crate) fn is_in_text(&self, link: &Link) -> bool {
        match self.end {
            None => self.next == Next::Text,
            Some(end) => !link.was_offered(end),
        }
    }

    /// Puts as much of the text in line as there is room for, and its end behind the last of it.
    pub(crate) fn write_text(&mut self, link: &mut Link) -> Result<(), Fault> {
        if self.next == Next::LoneDot {
            self.end_text(b".\r\n", link);
            return Ok(());
        }
        let before = self.written;
        while !self.piece.is_empty() && !outbox_is_full(link) {
            let room = Room::new(
                OFFER.saturating_sub(link.outbox.len()),
                PIECES.saturating_sub(link.outbox.pieces()),
            );
            let (outbox, written) = (&mut link.outbox, &mut self.written);
            self.encoder
                .encode(&mut self.piece, room, &mut |part: Bytes| {
                    *written = written.saturating_add(u64::try_from(part.len()).unwrap_or(0));
                    outbox.push(part);
                })?;
            if self.piece.is_empty() {
                self.piece = self.more.pop_front().unwrap_or_default();
            }
        }
        if self.written > before {
            let (sent, total) = (self.written, self.mail.size());
            link.config.transcript.show(|| Entry::Body { sent, total });
        }
        if self.piece.is_empty() && self.source == Source::Finished {
            let terminator = self.encoder.finish()?;
            self.end_text(terminator, link);
        }
        Ok(())
    }

    fn end_text(&mut self, terminator: &'static [u8], link: &mut Link) {
        self.end = Some(link.end_data(terminator));
        self.due = self.due.saturating_add(1);
        self.next = Next::Nothing;
    }

    /// Takes the reply to one of its commands.
    pub(crate) fn handle_reply(
        &mut self,
        to: Expect,
        reply: ReplyRef<'_>,
    ) -> Result<(), ProtocolError> {
        self.due = self.due.saturating_sub(1);
        let severity = reply.code().severity();
        let answers = &mut self.answers;
        match (to, severity) {
            (Expect::Data, Severity::Intermediate) => {
                let accepted = answers.sender.is_none() && answers.accepted > 0;
                self.next = if accepted { Next::Text } else { Next::LoneDot };
            }
            (Expect::Data, Severity::Completion) | (_, Severity::Intermediate) => {
                return Err(ProtocolError::WrongClass);
            }
            (Expect::Data, _) => {
                answers.data = Some(reply.to_reply());
                self.next = Next::Nothing;
            }
            (Expect::Mail, Severity::Completion) => {}
            (Expect::Mail, _) => answers.sender = Some(reply.to_reply()),
            (Expect::Rcpt(_), Severity::Completion) => {
                answers.recipients = answers.recipients.saturating_add(1);
                answers.accepted = answers.accepted.saturating_add(1);
            }
            (Expect::Rcpt(index), _) => {
                answers.recipients = answers.recipients.saturating_add(1);
                if answers.sender.is_none()
                    && let Some(recipient) = self.mail.recipients.get_mut(index)
                {
                    recipient.answer = Answer::Refused(Stage::Rcpt, reply.to_reply());
                }
            }
            (_, _) => {
                answers.contradicted = answers.sender.is_some() && severity == Severity::Completion;
                answers.verdict = Some(reply.to_reply());
                if answers.contradicted {
                    return Err(ProtocolError::AcceptedAfterRefusal);
                }
            }
        }
        self.turn();
        Ok(())
    }

    /// Lets what has been answered turn what is to be sent.
    fn turn(&mut self) {
        let answers = &self.answers;
        let all_known = answers.recipients == self.mail.recipients.len();
        let hopeless = answers.sender.is_some() || (all_known && answers.accepted == 0);
        if hopeless && matches!(self.next, Next::Rcpt(_) | Next::Data) {
            self.next = Next::Nothing;
        }
    }

    /// What became of it: after it was completed, or at a failure.
    pub(crate) fn outcome(
        self,
        failure: Option<Error>,
        link: &Link,
        tls: Option<TlsFacts>,
    ) -> Outcome {
        let Answers {
            sender,
            data,
            verdict,
            contradicted,
            ..
        } = self.answers;
        let in_doubt = contradicted || self.end.is_some_and(|end| link.was_offered(end));
        let rest = match (&failure, sender, data, verdict) {
            (Some(error), ..) if contradicted => Fate::InDoubt(error.clone()),
            (_, Some(reply), ..) => Fate::Refused {
                stage: Stage::Mail,
                reply,
            },
            (_, None, Some(reply), _) => Fate::Refused {
                stage: Stage::Data,
                reply,
            },
            (_, None, None, Some(reply)) if reply.is_completion() => Fate::Accepted(reply),
            (_, None, None, Some(reply)) => Fate::Refused {
                stage: Stage::EndOfData,
                reply,
            },
            (Some(error), ..) if in_doubt => Fate::InDoubt(error.clone()),
            (Some(error), ..) => Fate::NotSent(error.clone()),
            // Complete, without a verdict: no recipient was accepted, so nobody is left to have this fate.
            (None, ..) => Fate::NotSent(Error::new(Stage::Rcpt, ErrorKind::Refused)),
        };
        // A recipient and a delivery have the same size: this allocates nothing.
        let deliveries = self
            .mail
            .recipients
            .into_iter()
            .map(|Recipient { path, answer }| Delivery {
                recipient: path,
                fate: match answer {
                    Answer::Refused(stage, reply) => Fate::Refused { stage, reply },
                    Answer::None => rest.clone(),
                },
            })
            .collect();
        Outcome::new(deliveries, failure, link.traffic(), tls)
    }
}

fn outbox_is_full(link: &Link) -> bool {
    link.outbox.len() >= OFFER || link.outbox.pieces() >= PIECES
}

/// Octets of text in line at one time: enough to keep a transport busy, little enough that a failure in the middle of a
/// text is known to be in the middle.
const OFFER: usize = 65_536;

/// Pieces in line at one time; a few less than an offer holds, for the commands around them.
const PIECES: usize = 60;
