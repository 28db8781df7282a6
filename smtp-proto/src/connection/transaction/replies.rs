//! The replies to one message so far, and the resulting status of each recipient.

use super::rcpt::{Addressee, RcptState};
use super::recipients::Recipients;
use super::seen_limit::Shown;
use crate::content::Framing;
use crate::error::{Error, ErrorKind, ProtocolError};
use crate::outcome::{RecipientOutcome, RecipientStatus};
use crate::reply::{Reply, ReplyRef, Severity};
use crate::stage::Stage;

/// The replies in one transaction.
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// The rejection of the sender.
    pub(super) sender: Option<Reply>,
    /// Whether a recipient was accepted after the sender was rejected.
    pub(super) without_sender: bool,
    /// The number of RCPT commands sent, replied to, and accepted.
    pub(super) asked: usize,
    pub(super) answered: usize,
    pub(super) accepted: usize,
    /// The recipients that were too many.
    too_many: TooMany,
    /// The rejection of DATA.
    pub(super) data: Option<Reply>,
    /// The first rejection of a chunk that was not the last.
    chunk: Option<Reply>,
    /// The final reply, if it is for all recipients; not in LMTP.
    final_reply: Option<Reply>,
    /// The final replies for single recipients, in LMTP.
    lmtp: LmtpReplies,
    /// Whether the server accepted the message for any recipient.
    pub(super) taken: bool,
    /// Whether the server accepted what it had rejected.
    contradicted: bool,
}

/// Recipients that were rejected as one too many.
#[derive(Debug, Default)]
struct TooMany {
    /// How many since one was accepted.
    in_a_row: usize,
    /// Whether the first of all was one: their number is not the reason.
    at_once: bool,
}

/// The final replies for single recipients, which come in the order of the recipients (RFC 2033,
/// section 4.2).
#[derive(Debug, Default)]
struct LmtpReplies {
    count: usize,
    /// The position after the recipient of the last one.
    next: usize,
}

impl Replies {
    /// Whether every recipient sent has a reply.
    pub(super) fn all_answered(&self) -> bool {
        self.answered == self.asked
    }

    /// Whether the server takes no more recipients in this transaction.
    ///
    /// A single 452 can have another reason, such as a mailbox that is full.
    pub(super) const fn is_full(&self) -> bool {
        self.too_many.in_a_row >= ENOUGH
    }

    /// What this transaction has shown about the number of recipients.
    pub(super) const fn shown(&self) -> Shown {
        if self.is_full() {
            Shown::Limit(self.accepted)
        } else if self.too_many.at_once {
            Shown::NoLimit
        } else {
            Shown::Taken(self.accepted)
        }
    }

    /// Whether the message can still be accepted for any recipient.
    pub(super) fn may_succeed(&self) -> bool {
        let nobody = self.all_answered() && self.accepted == 0;
        self.sender.is_none() && self.chunk.is_none() && !nobody
    }

    /// Whether another transaction makes sense for the recipients that were too many in this one.
    /// It does not if the sender or the content was rejected for all recipients. In LMTP, a final
    /// reply concerns one recipient only.
    pub(super) fn may_retry_remaining(&self) -> bool {
        let by_recipient = self.lmtp.count > 0;
        self.sender.is_none() && (self.taken || by_recipient || self.accepted == 0)
    }

    pub(super) fn handle_mail(&mut self, reply: ReplyRef<'_>) -> Result<(), ProtocolError> {
        if reply.code().is_rejection() {
            self.sender = Some(reply.to_reply());
        } else if !reply.code().completes() {
            return Err(ProtocolError::WrongClass);
        }
        Ok(())
    }

    /// `again`: whether a recipient beyond the limit can have another transaction.
    pub(super) fn handle_rcpt(
        &mut self,
        recipients: &mut Recipients,
        index: usize,
        reply: ReplyRef<'_>,
        again: bool,
    ) -> Result<(), ProtocolError> {
        let Some(recipient) = recipients.get_mut(index) else {
            return Ok(());
        };
        self.answered = self.answered.saturating_add(1);
        let code = reply.code();
        match code.severity() {
            _ if !code.completes() && !code.is_rejection() => {
                return Err(ProtocolError::WrongClass);
            }
            // All replies to RCPT follow from the rejected sender, even if one accepts a recipient.
            _ if self.sender.is_some() => self.without_sender |= code.completes(),
            Severity::Completion => {
                self.accepted = self.accepted.saturating_add(1);
                recipient.answer = RcptState::Accepted;
                // Those before were not too many.
                self.too_many.in_a_row = 0;
            }
            _ => {
                recipient.answer = self.rejected_rcpt(reply, again);
                if matches!(recipient.answer, RcptState::Deferred(_)) {
                    recipients.defer();
                }
            }
        }
        Ok(())
    }

    /// The state of a recipient whose RCPT was rejected.
    #[cold]
    fn rejected_rcpt(&mut self, reply: ReplyRef<'_>, again: bool) -> RcptState {
        let too_many = is_too_many_recipients(reply);
        let enough = self.accepted > 0 && too_many;
        self.too_many.at_once |= too_many && self.answered == 1;
        let more = usize::from(enough && again);
        self.too_many.in_a_row = self.too_many.in_a_row.saturating_add(more);
        if enough && again {
            RcptState::Deferred(reply.to_reply())
        } else if enough || names_the_number(reply) {
            RcptState::Known(one_too_many(reply.to_reply()))
        } else {
            RcptState::Rejected(reply.to_reply())
        }
    }

    /// Handles the reply to a chunk that is not the last.
    pub(super) fn handle_chunk(&mut self, reply: ReplyRef<'_>) -> Result<(), ProtocolError> {
        // A 2yz reply means nothing here: only the last chunk decides.
        if reply.code().is_rejection() {
            self.chunk.get_or_insert_with(|| reply.to_reply());
        } else if !reply.code().completes() {
            return Err(ProtocolError::WrongClass);
        }
        Ok(())
    }

    /// Handles the final reply to a message; in LMTP, to one of its recipients. Returns whether
    /// another follows.
    pub(super) fn handle_final_reply(
        &mut self,
        recipients: &mut Recipients,
        reply: ReplyRef<'_>,
        by_recipient: bool,
        framing: Framing,
    ) -> Result<bool, ProtocolError> {
        let accepted = reply.code().completes();
        if !accepted && !reply.code().is_rejection() {
            return Err(ProtocolError::WrongClass);
        }
        // With DATA, a lone dot may be accepted when no recipient was (RFC 2920, section 3.1). No
        // message results.
        let lone = framing == Framing::Dot && self.sender.is_none() && self.accepted == 0;
        if accepted && !lone && !self.may_succeed() {
            self.contradicted = true;
            return Err(ProtocolError::AcceptedAfterRejection);
        }
        let reply = reply.to_reply();
        if !self.may_succeed() {
            // A rejection stands, for the reason reported first.
            self.final_reply = Some(reply);
            return Ok(false);
        }
        self.taken |= accepted;
        let fate = if accepted {
            RecipientStatus::Accepted(reply.clone())
        } else {
            rejected(Stage::EndOfData, reply.clone())
        };
        if by_recipient {
            self.assign_lmtp_reply(recipients, fate);
            return Ok(self.lmtp.count < self.accepted);
        }
        let mut position = 0;
        while let Some((at, recipient)) = recipients.accepted(position) {
            recipient.answer = RcptState::Known(fate.clone());
            position = at.saturating_add(1);
        }
        self.final_reply = Some(reply);
        Ok(false)
    }

    /// RFC 2033, section 4.2: the replies come in the order of the accepted recipients.
    fn assign_lmtp_reply(&mut self, recipients: &mut Recipients, fate: RecipientStatus) {
        let LmtpReplies { count, next } = &mut self.lmtp;
        if let Some((position, recipient)) = recipients.accepted(*next) {
            recipient.answer = RcptState::Known(fate);
            *next = position.saturating_add(1);
            *count = count.saturating_add(1);
        }
    }

    /// The outcome of a recipient at the end, or at a failure.
    ///
    /// `offered`: whether the last byte of the content was ever handed to the transport.
    pub(super) fn delivery(
        &self,
        recipient: Addressee,
        failure: Option<&Error>,
        offered: bool,
    ) -> RecipientOutcome {
        let Addressee { path, answer } = recipient;
        let contradiction = failure.filter(|_| self.contradicted);
        let fate = match (answer, contradiction) {
            (RcptState::Known(fate), _) => fate,
            // The server accepted after rejecting every recipient; it is unknown for whom.
            (RcptState::Rejected(_), Some(error)) if self.accepted == 0 => {
                RecipientStatus::InDoubt(error.clone())
            }
            (RcptState::Asked | RcptState::Accepted, Some(error)) => {
                RecipientStatus::InDoubt(error.clone())
            }
            (RcptState::Deferred(reply), _) => one_too_many(reply),
            (RcptState::Rejected(reply), _) => rejected(Stage::Rcpt, reply),
            (RcptState::None, _) => self.rest(failure, false),
            (RcptState::Asked | RcptState::Accepted, None) => self.rest(failure, offered),
        };
        RecipientOutcome {
            recipient: path,
            fate,
        }
    }

    /// The status of a recipient without a decisive reply of its own.
    fn rest(&self, failure: Option<&Error>, offered: bool) -> RecipientStatus {
        let rejections = [
            (Stage::Mail, &self.sender),
            (Stage::Data, &self.data),
            (Stage::Content, &self.chunk),
        ];
        for (stage, rejection) in rejections {
            if let Some(reply) = rejection {
                return rejected(stage, reply.clone());
            }
        }
        if let Some(reply) = self.final_reply.as_ref().filter(|_| !self.taken) {
            return rejected(Stage::EndOfData, reply.clone());
        }
        match failure {
            Some(error) if offered => RecipientStatus::InDoubt(error.clone()),
            Some(error) => RecipientStatus::NotSent(error.clone()),
            None => RecipientStatus::NotSent(Error::new(Stage::Rcpt, ErrorKind::TooManyRecipients)),
        }
    }
}

/// 452, and 552 from older servers, mean too many recipients (RFC 5321, section 4.5.3.1.10), unless
/// the enhanced code concerns the address or the mailbox (RFC 3463, sections 3.2 and 3.3). With
/// other codes only an enhanced code means it (section 3.6).
fn is_too_many_recipients(reply: ReplyRef<'_>) -> bool {
    let enhanced = reply
        .enhanced()
        .map(|enhanced| (enhanced.subject(), enhanced.detail()));
    match (reply.code().as_u16(), enhanced) {
        _ if names_the_number(reply) => true,
        (452 | 552, enhanced) => !matches!(enhanced, Some((1 | 2, _))),
        _ => false,
    }
}

/// Whether the enhanced code is that for too many recipients.
fn names_the_number(reply: ReplyRef<'_>) -> bool {
    (reply.enhanced()).is_some_and(|enhanced| (enhanced.subject(), enhanced.detail()) == (5, 3))
}

/// The status of a recipient beyond the limit: it can be retried, whatever the first digit of the
/// code (RFC 5321, section 4.5.3.1.10).
fn one_too_many(reply: Reply) -> RecipientStatus {
    if reply.is_permanent() {
        RecipientStatus::NotSent(
            Error::new(Stage::Rcpt, ErrorKind::TooManyRecipients).with_reply(reply),
        )
    } else {
        rejected(Stage::Rcpt, reply)
    }
}

/// How many recipients in a row are too many until no more are asked for in the same transaction.
const ENOUGH: usize = 10;

fn rejected(stage: Stage, reply: Reply) -> RecipientStatus {
    RecipientStatus::Rejected { stage, reply }
}
