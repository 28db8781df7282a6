//! Messages with a known outcome: the addresses tell a server what to do.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use smtp_proto::{Mail, MailError, RecipientStatus, Stage, StreamedContent};

use crate::environment::HOST;

/// The user that may log in.
pub(crate) use crate::certificates::USER;

/// The password of [`USER`].
pub(crate) const PASSWORD: &str = "correct-horse";

/// The step of a transaction at which a server rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Mail,
    Rcpt,
    Data,
    EndOfData,
}

/// The reply of a server to an address of this kind, at this step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// The beginning of the address, before a hyphen. Addresses that begin with `ok` are accepted.
    pub(crate) kind: &'static str,
    pub(crate) step: Step,
    pub(crate) code: u16,
    pub(crate) text: &'static str,
}

const fn fault(kind: &'static str, step: Step, code: u16, text: &'static str) -> Fault {
    Fault {
        kind,
        step,
        code,
        text,
    }
}

/// Replies that the sender's address decides.
pub(crate) const SENDERS: [Fault; 6] = [
    fault("badmail", Step::Mail, 550, "5.7.1 Sender rejected"),
    fault("tmpmail", Step::Mail, 451, "4.3.0 Try again"),
    fault("baddata", Step::Data, 554, "5.6.0 Rejected at DATA"),
    fault("tmpdata", Step::Data, 451, "4.3.0 Try again"),
    fault("badend", Step::EndOfData, 554, "5.6.0 Content rejected"),
    fault("tmpend", Step::EndOfData, 451, "4.3.0 Not taken, try again"),
];

/// Replies that a recipient's address decides.
pub(crate) const RECIPIENTS: [Fault; 5] = [
    fault("no", Step::Rcpt, 550, "5.1.1 No such user"),
    fault("grey", Step::Rcpt, 451, "4.7.1 Come back later"),
    fault("full", Step::Rcpt, 452, "4.2.2 Mailbox full"),
    fault("over", Step::Rcpt, 552, "5.2.2 Over quota"),
    fault("closing", Step::Rcpt, 421, "4.3.2 Closing"),
];

/// Final replies of an LMTP server that a recipient's address decides (RFC 2033, section 4.2).
pub(crate) const DELIVERIES: [Fault; 2] = [
    fault("quota", Step::EndOfData, 552, "5.2.2 Quota exceeded"),
    fault("stuck", Step::EndOfData, 451, "4.2.0 Internal error"),
];

/// Users that may not log in, with any password, and the reply to each.
pub(crate) const LOGINS: [(&str, u16, &str); 4] = [
    ("transition", 432, "4.7.12 A password transition is needed"),
    ("later", 454, "4.7.0 Temporary authentication failure"),
    ("disabled", 525, "5.7.13 User account disabled"),
    ("weak", 534, "5.7.9 Authentication mechanism is too weak"),
];
/// Whether one of these rejections is for this kind.
pub(crate) fn is_of(faults: &[Fault], kind: &str) -> bool {
    faults.iter().any(|fault| fault.kind == kind)
}

/// A message with its expected outcome, and a mark by which it is found in a store.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    number: u32,
    sender: String,
    recipients: Vec<String>,
    text: Bytes,
    /// Whether the server does not ask its policy before the content.
    unasked: bool,
}

impl Message {
    /// A small message from a sender of one kind to recipients of some kinds.
    pub(crate) fn new(sender: &str, recipients: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let text = format!("This is mail {number}.\r\n.\r\n..\r\nThe end.\r\n");
        let recipients = recipients.iter().enumerate();
        Self {
            number,
            sender: format!("{sender}-{number}@client.test"),
            recipients: recipients
                .map(|(index, kind)| format!("{kind}-{number}-{index}@{HOST}"))
                .collect(),
            text: Bytes::new(),
            unasked: false,
        }
        .body(text.as_bytes())
    }

    /// Sent in chunks to a server that then cannot reject at [`Step::Data`].
    pub(crate) fn unasked(mut self) -> Self {
        self.unasked = true;
        self
    }

    /// The same with another body.
    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        let head = format!(
            "{}From: <{}>\r\nDate: Tue, 01 Sep 2026 12:00:00 +0000\r\nMessage-ID: <{}>\r\n\r\n",
            self.mark(),
            self.sender,
            self.message_id()
        );
        self.text = [head.as_bytes(), body].concat().into();
        self
    }

    /// The same with a non-ASCII sender and recipients.
    pub(crate) fn international(mut self) -> Self {
        self.sender = self.sender.replace('@', "-jörg@");
        for recipient in &mut self.recipients {
            *recipient = recipient.replace('@', "-用户@");
        }
        self
    }

    /// The same from a sender in the local domain, whose reports are stored.
    pub(crate) fn inside(mut self) -> Self {
        self.sender = format!("ok-{}-sender@{HOST}", self.number);
        self
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The same to these recipients only.
    pub(crate) fn to(mut self, recipients: Vec<String>) -> Self {
        self.recipients = recipients;
        self
    }

    pub(crate) fn text(&self) -> &Bytes {
        &self.text
    }

    pub(crate) fn sender(&self) -> &str {
        &self.sender
    }

    pub(crate) fn recipients(&self) -> &[String] {
        &self.recipients
    }

    /// The first line, which no other message has.
    pub(crate) fn mark(&self) -> String {
        format!("X-Message: {:08}\r\n", self.number)
    }

    pub(crate) fn message_id(&self) -> String {
        format!("{}@client.test", self.number)
    }

    /// The content as a server stores it: with its last line end.
    pub(crate) fn stored(&self) -> Vec<u8> {
        let mut text = self.text.to_vec();
        if !text.ends_with(b"\r\n") {
            text.extend_from_slice(b"\r\n");
        }
        text
    }

    /// The message for a client.
    ///
    /// # Errors
    /// Only by a mistake in this program.
    pub(crate) fn mail(&self) -> Result<Mail, MailError> {
        Mail::new(self.sender.as_str(), &self.recipients, self.text.clone())
    }

    /// The message for a client, with streamed content.
    ///
    /// # Errors
    /// Only by a mistake in this program.
    pub(crate) fn streamed(&self) -> Result<Mail, MailError> {
        Mail::builder()
            .sender(self.sender.as_str())
            .recipients(&self.recipients)
            .streamed(StreamedContent::default())
            .build()
    }

    /// Compares a recipient's status with the expected one.
    pub(crate) fn check_status(
        &self,
        index: usize,
        status: &RecipientStatus,
    ) -> Result<(), String> {
        let recipient = &self.recipients[index];
        let fault = find(&SENDERS, &self.sender, |step| step == Step::Mail)
            .or_else(|| find(&RECIPIENTS, recipient, |_| true))
            .or_else(|| find(&SENDERS, &self.sender, |_| true))
            .or_else(|| find(&DELIVERIES, recipient, |_| true))
            .filter(|fault| fault.step != Step::Data || !self.unasked);
        let right = match (fault, status) {
            (None, RecipientStatus::Accepted(_)) => true,
            (Some(fault), RecipientStatus::Rejected { stage, reply, .. }) => {
                let stages: &[Stage] = match fault.step {
                    Step::Mail => &[Stage::Mail],
                    Step::Rcpt => &[Stage::Rcpt],
                    // With BDAT the content is the first step at which the server can reject.
                    Step::Data => &[Stage::Data, Stage::Content, Stage::EndOfData],
                    Step::EndOfData => &[Stage::EndOfData, Stage::Content],
                };
                stages.contains(stage) && reply.code().as_u16() == fault.code
            }
            _ => false,
        };
        if right {
            return Ok(());
        }
        let wanted = match fault {
            Some(fault) => format!("{} at {:?}", fault.code, fault.step),
            None => "accepted".to_owned(),
        };
        Err(format!(
            "{} to {recipient}: {status:?}, not {wanted}",
            self.sender
        ))
    }
}

fn find(faults: &'static [Fault], address: &str, at: fn(Step) -> bool) -> Option<&'static Fault> {
    let kind = address.split('-').next();
    let mut faults = faults.iter().filter(|fault| at(fault.step));
    faults.find(|fault| Some(fault.kind) == kind)
}
