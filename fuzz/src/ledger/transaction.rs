//! One transaction on the wire, and the outcomes that may be reported after it.

use smtp_proto::{ErrorKind, Protocol, ProtocolError, RecipientStatus, Stage};

/// One transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) sender: String,
    pub(super) body: Content,
    protocol: Protocol,
    recipients: Vec<String>,
    pub(super) mail: Option<u16>,
    /// The replies to the recipients, in their order.
    pub(super) rcpt: Vec<u16>,
    /// Which of them mean too many recipients.
    pub(super) enough: Vec<bool>,
    /// Which of them mean it by an enhanced code.
    pub(super) names_number: Vec<bool>,
    /// Whether a recipient was accepted though the sender was rejected.
    pub(super) was_accepted_in_spite: bool,
    /// Whether RSET was accepted after it.
    pub(super) was_reset: bool,
    /// Whether the content was ended by a dot, and has its reply.
    pub(super) ended_by_dot: bool,
    pub(super) data: Option<u16>,
    /// The first rejection of a chunk that is not the last.
    pub(super) chunk: Option<u16>,
    /// The final replies: one, or in LMTP one for each accepted recipient.
    pub(super) verdicts: Vec<u16>,
    /// The content of the chunks.
    pub(super) chunks: Vec<u8>,
    /// The content as a strict server reads it, once its last byte was handed out.
    pub(super) text: Option<Vec<u8>>,
}

/// The content that MAIL declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    SevenBit,
    EightBit,
    Binary,
}

impl Transaction {
    pub(super) fn new(sender: String, body: Content, protocol: Protocol) -> Self {
        Self {
            sender,
            body,
            protocol,
            recipients: Vec::new(),
            mail: None,
            rcpt: Vec::new(),
            enough: Vec::new(),
            names_number: Vec::new(),
            was_accepted_in_spite: false,
            was_reset: false,
            ended_by_dot: false,
            data: None,
            chunk: None,
            verdicts: Vec::new(),
            chunks: Vec::new(),
            text: None,
        }
    }

    /// One more RCPT.
    pub(super) fn ask(&mut self, recipient: String) {
        assert!(
            !self.asks(&recipient),
            "I4: {recipient} twice in one transaction"
        );
        self.recipients.push(recipient);
    }

    pub(super) fn asks(&self, recipient: &str) -> bool {
        self.recipients.iter().any(|each| each == recipient)
    }

    /// The reply to a recipient.
    pub(super) fn rcpt(&self, recipient: &str) -> Option<u16> {
        let at = self.recipients.iter().position(|each| each == recipient)?;
        self.rcpt.get(at).copied()
    }

    /// Whether a recipient was one too many.
    pub(super) fn was_enough(&self, recipient: &str) -> bool {
        let at = self.recipients.iter().position(|each| each == recipient);
        at.and_then(|at| self.enough.get(at).copied())
            .unwrap_or_default()
    }

    /// Whether the reply to a recipient has an enhanced code about the number of recipients.
    fn names_number(&self, recipient: &str) -> bool {
        let at = self.recipients.iter().position(|each| each == recipient);
        at.and_then(|at| self.names_number.get(at).copied())
            .unwrap_or_default()
    }

    /// The number of accepted recipients.
    pub(super) fn accepted(&self) -> usize {
        self.rcpt.iter().filter(|code| is_yes(**code)).count()
    }

    /// The number of final replies (RFC 2033, section 4.2).
    pub(super) fn verdicts_due(&self) -> usize {
        match self.protocol {
            Protocol::Lmtp => self.accepted(),
            _ => 1,
        }
    }

    /// Whether the server has rejected every recipient.
    pub(super) fn is_hopeless(&self) -> bool {
        let nobody = self.rcpt.len() == self.recipients.len() && self.accepted() == 0;
        self.is_rejected() || nobody
    }

    /// Whether the sender or a chunk was rejected.
    pub(super) fn is_rejected(&self) -> bool {
        self.mail.is_some_and(is_no) || self.chunk.is_some()
    }

    /// Whether the server may still hold the transaction open (RFC 5321, section 4.1.1.4; RFC 3030,
    /// section 2).
    pub(super) fn may_be_open(&self) -> bool {
        let began = self.mail.is_none_or(is_yes) || self.was_accepted_in_spite;
        let was_taken = self.verdicts.iter().any(|code| is_yes(*code));
        began && !(was_taken || self.ended_by_dot || self.was_reset)
    }

    /// The final reply for a recipient.
    fn verdict(&self, recipient: &str) -> Option<u16> {
        if self.protocol != Protocol::Lmtp {
            return self.verdicts.first().copied();
        }
        let at = self.recipients.iter().position(|each| each == recipient)?;
        self.rcpt.get(at).filter(|code| is_yes(**code))?;
        let before = self.rcpt.iter().take(at).filter(|code| is_yes(**code));
        self.verdicts.get(before.count()).copied()
    }

    /// Whether the server may have the content for this recipient.
    pub(super) fn may_store(&self, recipient: &str) -> bool {
        let rejected = !self.asks(recipient) || self.rcpt(recipient).is_some_and(is_no);
        self.text.is_some()
            && !rejected
            && match self.verdict(recipient) {
                Some(code) if is_yes(code) => true,
                Some(code) if is_no(code) => false,
                _ => !self.is_rejected(),
            }
    }

    /// Checks whether this status can result from this transaction; the error has the reason if
    /// not.
    pub(super) fn judge(
        &self,
        recipient: &str,
        fate: &RecipientStatus,
    ) -> Result<(), &'static str> {
        let holds = |condition, rule| if condition { Ok(()) } else { Err(rule) };
        let (rcpt, verdict) = (self.rcpt(recipient), self.verdict(recipient));
        match fate {
            RecipientStatus::Accepted(reply) => {
                let before = self.mail.is_some_and(is_yes) && rcpt.is_some_and(is_yes);
                holds(before, "I4: not accepted before")?;
                holds(self.text.is_some(), "I7: the end was not sent")?;
                let code = Some(reply.code().as_u16());
                holds(code == verdict, "I7: another reply")?;
                holds(verdict.is_some_and(is_yes), "I7: no 2yz")
            }
            RecipientStatus::Rejected { stage, reply, .. } => {
                let code = match stage {
                    Stage::Mail => self.mail,
                    Stage::Rcpt => rcpt,
                    Stage::Data => self.data,
                    Stage::Content => self.chunk,
                    Stage::EndOfData => verdict,
                    _ => return Err("rejected at a command that is not of a transaction"),
                };
                holds(code == Some(reply.code().as_u16()), "I4: another reply")?;
                let is_number = *stage == Stage::Rcpt && self.names_number(recipient);
                holds(
                    !(is_number && reply.is_permanent()),
                    "RFC 5321, section 4.5.3.1.10: one too many may come again",
                )?;
                holds(
                    reply.is_transient() || reply.is_permanent(),
                    "I8: no rejection",
                )
            }
            RecipientStatus::NotSent(error) => {
                if matches!(error.kind(), ErrorKind::TooManyRecipients) {
                    holds(error.is_transient(), "one too many may come again")?;
                    if let Some(reply) = error.reply() {
                        let code = Some(reply.code().as_u16());
                        holds(code == rcpt && is_no(reply.code().as_u16()), "I4: another")?;
                    }
                }
                holds(!self.may_store(recipient), "I8: it may be stored")
            }
            RecipientStatus::InDoubt(error) => {
                holds(self.text.is_some(), "in doubt without need")?;
                let decided = match verdict {
                    Some(code) if is_yes(code) => !self.is_hopeless(),
                    Some(code) if is_no(code) => true,
                    _ => self.is_rejected() || rcpt.is_some_and(is_no),
                };
                // A reply over a limit of the core is invalid to it, and valid to this observer.
                let over_limit =
                    matches!(error.kind(), ErrorKind::Protocol(ProtocolError::Reply(_)));
                holds(!decided || over_limit, "in doubt in spite of a reply")
            }
        }
    }
}

/// The first digit decides, except for codes with a meaning of their own.
pub(super) fn is_yes(code: u16) -> bool {
    code / 100 == 2 && !matches!(code, 211 | 214 | 220 | 221 | 235)
}

pub(super) fn is_no(code: u16) -> bool {
    code / 100 > 3
}
