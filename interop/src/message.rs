//! Messages whose fate is known beforehand: the addresses say what a server is to do with them.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use smtp_proto::{Mail, MailError, RecipientStatus, Stage, StreamedContent};

use crate::environment::HOST;

/// Who may log in.
pub(crate) use crate::certificates::USER;

/// With this.
pub(crate) const PASSWORD: &str = "correct-horse";

/// At which step of a transaction a server rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Mail,
    Rcpt,
    Data,
    EndOfData,
}

/// What a server is to answer to an address of this kind, at this step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// What the address begins with, before a hyphen. All others are to be accepted if they begin with `ok`.
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

/// By the sender.
pub(crate) const SENDERS: [Fault; 6] = [
    fault("badmail", Step::Mail, 550, "5.7.1 Sender rejected"),
    fault("tmpmail", Step::Mail, 451, "4.3.0 Try again"),
    fault("baddata", Step::Data, 554, "5.6.0 Rejected at DATA"),
    fault("tmpdata", Step::Data, 451, "4.3.0 Try again"),
    fault("badend", Step::EndOfData, 554, "5.6.0 Content rejected"),
    fault("tmpend", Step::EndOfData, 451, "4.3.0 Not taken, try again"),
];

/// By the recipient.
pub(crate) const RECIPIENTS: [Fault; 5] = [
    fault("no", Step::Rcpt, 550, "5.1.1 No such user"),
    fault("grey", Step::Rcpt, 451, "4.7.1 Come back later"),
    fault("full", Step::Rcpt, 452, "4.2.2 Mailbox full"),
    fault("over", Step::Rcpt, 552, "5.2.2 Over quota"),
    fault("closing", Step::Rcpt, 421, "4.3.2 Closing"),
];

/// By the recipient, of a mail store (RFC 2033, section 4.2): each after the text, whatever becomes of the others.
pub(crate) const DELIVERIES: [Fault; 2] = [
    fault("quota", Step::EndOfData, 552, "5.2.2 Quota exceeded"),
    fault("stuck", Step::EndOfData, 451, "4.2.0 Internal error"),
];

/// Who may not log in, whatever the password, and what a server answers.
pub(crate) const LOGINS: [(&str, u16, &str); 4] = [
    ("transition", 432, "4.7.12 A password transition is needed"),
    ("later", 454, "4.7.0 Temporary authentication failure"),
    ("disabled", 525, "5.7.13 User account disabled"),
    ("weak", 534, "5.7.9 Authentication mechanism is too weak"),
];
/// Whether this is what one of these faults is for.
pub(crate) fn is_of(faults: &[Fault], kind: &str) -> bool {
    faults.iter().any(|fault| fault.kind == kind)
}

/// A message, and all that is needed to find it again.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    number: u32,
    sender: String,
    recipients: Vec<String>,
    text: Bytes,
    /// Whether the server does not ask its policy before the text.
    unasked: bool,
}

impl Message {
    /// A small mail from a sender of one kind to recipients of some kinds.
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

    /// Another text below the headers.
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

    /// Non-ASCII sender and recipients.
    pub(crate) fn international(mut self) -> Self {
        self.sender = self.sender.replace('@', "-jörg@");
        for recipient in &mut self.recipients {
            *recipient = recipient.replace('@', "-用户@");
        }
        self
    }

    /// From a sender whose messages the server stores.
    pub(crate) fn inside(mut self) -> Self {
        self.sender = format!("ok-{}-sender@{HOST}", self.number);
        self
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The same to some of the recipients only.
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

    /// The whole text as it is to be stored: the last line is ended on the way.
    pub(crate) fn stored(&self) -> Vec<u8> {
        let mut text = self.text.to_vec();
        if !text.ends_with(b"\r\n") {
            text.extend_from_slice(b"\r\n");
        }
        text
    }

    /// For a client to send.
    ///
    /// # Errors
    /// None but by a fault of this program's.
    pub(crate) fn mail(&self) -> Result<Mail, MailError> {
        Mail::new(self.sender.as_str(), &self.recipients, self.text.clone())
    }

    /// For a client to send piece by piece.
    ///
    /// # Errors
    /// None but by a fault of this program's.
    pub(crate) fn streamed(&self) -> Result<Mail, MailError> {
        Mail::builder()
            .sender(self.sender.as_str())
            .recipients(&self.recipients)
            .streamed(StreamedContent::default())
            .build()
    }

    /// What is wrong with this fate of the recipient at `index`, if something is.
    pub(crate) fn check_fate(&self, index: usize, fate: &RecipientStatus) -> Result<(), String> {
        let recipient = &self.recipients[index];
        let fault = find(&SENDERS, &self.sender, |step| step == Step::Mail)
            .or_else(|| find(&RECIPIENTS, recipient, |_| true))
            .or_else(|| find(&SENDERS, &self.sender, |_| true))
            .or_else(|| find(&DELIVERIES, recipient, |_| true))
            .filter(|fault| fault.step != Step::Data || !self.unasked);
        let right = match (fault, fate) {
            (None, RecipientStatus::Accepted(_)) => true,
            (Some(fault), RecipientStatus::Rejected { stage, reply, .. }) => {
                let stages: &[Stage] = match fault.step {
                    Step::Mail => &[Stage::Mail],
                    Step::Rcpt => &[Stage::Rcpt],
                    // With BDAT there is no other place to reject than the text.
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
            "{} to {recipient}: {fate:?}, not {wanted}",
            self.sender
        ))
    }
}

fn find(faults: &'static [Fault], address: &str, at: fn(Step) -> bool) -> Option<&'static Fault> {
    let kind = address.split('-').next();
    let mut faults = faults.iter().filter(|fault| at(fault.step));
    faults.find(|fault| Some(fault.kind) == kind)
}
