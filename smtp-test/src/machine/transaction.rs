//! What the commands of a message do: all transitions from MAIL to the final reply.
//!
//! ```text
//! nothing ──MAIL──> sender ──RCPT──> recipients ──DATA──> message ──> nothing
//!                                        └──BDAT──> chunks ──BDAT LAST──┘
//! ```
//! A chunk or a DATA out of place makes the transaction a failed one, out of which only RSET leads, or EHLO, or the end of
//! the chunks (RFC 3030, section 2).

use std::sync::Arc;

use super::{Machine, State, chunks::Chunks, data::Data, syntax::Path};
use crate::{Parameter, Recipient, Rule, Stage, StoredMail, action::End};

/// The transaction up to now.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub(super) mail: Option<(String, Vec<Parameter>)>,
    mails_seen: usize,
    rcpts_seen: usize,
    recipients: Vec<Recipient>,
    /// The domains of all recipients, if they are limited.
    domains: Vec<String>,
    /// Which reply, in the order of the queue, answered the last MAIL or RCPT.
    answered: u64,
    pub(super) chunks: Option<Box<Chunks>>,
    chunks_seen: usize,
    /// There was a DATA command.
    data_seen: bool,
    /// Which reply told the client that the transaction failed.
    failed: Option<u64>,
    /// The end of the message was rejected, and the server waits for RSET.
    left_open: bool,
    /// What XFORWARD told of the message.
    pub(super) forwarded: Vec<Parameter>,
}

/// A chunk that is being received.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) left: u64,
    pub(super) last: bool,
    /// Why it will be rejected when it is there.
    pub(super) rejection: Option<&'static str>,
    size: u64,
}

/// A message whose end has come, however it came.
struct Message {
    len: u64,
    body: Vec<u8>,
    rejection: Option<&'static str>,
}

impl Machine {
    pub(super) fn mail(&mut self, path: Path<'_>, line: &str) {
        self.client.mails += 1;
        let nested = self.envelope.mail.is_some();
        let exhausted = self
            .client
            .capabilities
            .limits()
            .mails
            .is_some_and(|limit| self.client.mails > limit);
        let rejection = if exhausted {
            Some("421 4.7.0 too many messages")
        } else if !self.client.greeted || nested {
            // Where a rejected end leaves the transaction open, a client may not know of the
            // rejection yet.
            if !self.envelope.left_open {
                self.violation(Rule::OutOfSequence, line);
            }
            Some("503 5.5.1 not now")
        } else if self.config.require_tls && !self.client.is_in_tls() {
            Some("530 5.7.0 must issue a STARTTLS command first")
        } else if self.config.require_auth && self.client.user.is_none() {
            Some("530 5.7.0 authentication required")
        } else if !path.address.is_ascii() && !path.has("SMTPUTF8") {
            self.violation(Rule::EightBit, line);
            Some("553 5.6.7 non-ASCII address without SMTPUTF8")
        } else if let Some(rejection) = self.check_parameters(&path, false) {
            Some(rejection)
        } else if self.exceeds_limit(&path) {
            Some("552 5.3.4 message too big")
        } else {
            None
        };
        let code = self.answer(&[Stage::Mail], rejection.unwrap_or("250 2.1.0 ok"), false);
        if !nested {
            self.envelope = Envelope {
                mail: (code / 100 == 2).then(|| (path.address.to_owned(), path.parameters)),
                mails_seen: 1,
                answered: self.turn.last_reply,
                forwarded: std::mem::take(&mut self.envelope.forwarded),
                ..Envelope::default()
            };
        }
        if exhausted && code == 421 && !matches!(self.state, State::Closed) {
            self.end(End::Close);
        }
    }

    pub(super) fn rcpt(&mut self, path: Path<'_>, line: &str) {
        self.envelope.rcpts_seen += 1;
        let limits = self.client.capabilities.limits();
        let domain = limits.domains.map(|_| domain(path.address));
        let rejection = if self.envelope.mail.is_none() {
            self.check_follows_mail(line);
            Some("503 5.5.1 MAIL first")
        } else if self.envelope.chunks_seen > 0 || self.envelope.failed.is_some() {
            self.violation(Rule::OutOfSequence, line);
            Some("503 5.5.1 not now")
        } else if !path.address.is_ascii() && !self.mail_has("SMTPUTF8") {
            self.violation(Rule::EightBit, line);
            Some("553 5.6.7 non-ASCII address without SMTPUTF8")
        } else if let Some(rejection) = self.check_parameters(&path, true) {
            Some(rejection)
        } else if limits
            .recipients
            .is_some_and(|max| self.envelope.rcpts_seen > max)
        {
            Some("452 4.5.3 too many recipients")
        } else if limits
            .domains
            .zip(domain.as_ref())
            .is_some_and(|(max, domain)| {
                self.envelope.domains.len() >= max && !self.envelope.domains.contains(domain)
            })
        {
            Some("452 4.5.3 too many domains")
        } else {
            None
        };
        let config = Arc::clone(&self.config);
        let crowded = config
            .max_recipients
            .is_some_and(|max| self.envelope.recipients.len() >= max);
        let text = match (rejection, config.rejection(path.address)) {
            (Some(rejection), _) => rejection,
            (None, _) if crowded => &config.too_many,
            (None, Some(reply)) => reply,
            (None, None) => "250 2.1.5 ok",
        };
        let stages = [Stage::Rcpt(self.envelope.rcpts_seen), Stage::AnyRcpt];
        let code = self.answer(&stages, text, false);
        self.envelope.answered = self.turn.last_reply;
        if code / 100 == 2 {
            let known = &mut self.envelope.domains;
            known.extend(domain.filter(|domain| !known.contains(domain)));
            self.envelope.recipients.push(Recipient {
                address: path.address.to_owned(),
                parameters: path.parameters,
            });
        }
    }

    pub(super) fn data(&mut self, line: &str) {
        let mixed = self.envelope.chunks_seen > 0 || self.envelope.failed.is_some();
        let text = if mixed {
            // RFC 3030, section 2.
            self.violation(Rule::OutOfSequence, line);
            "503 5.5.1 not together with BDAT"
        } else if let Some(rejection) = self.check_ready(line) {
            rejection
        } else if self.mail_is_binary() {
            // RFC 3030, section 3.
            self.violation(Rule::OutOfSequence, line);
            "503 5.5.1 not with BINARYMIME"
        } else {
            "354 end with a line that is a dot"
        };
        self.envelope.data_seen = true;
        let code = self.answer(&[Stage::Data], text, true);
        if mixed || (self.envelope.mail.is_some() && self.mail_is_binary()) {
            self.fail_transaction();
        } else if code / 100 == 3 && !matches!(self.state, State::Closed) {
            self.state = State::ExpectData(Box::new(Data::new(self.config.store_bodies)));
        }
    }

    /// Takes a BDAT line: whatever becomes of the chunk, its bytes come next (RFC 3030, section 2).
    pub(super) fn bdat(&mut self, size: u64, last: bool, line: &str) {
        if !self.client.capabilities.has("CHUNKING") {
            // A server that does not know the command reads the bytes as commands.
            self.violation(Rule::NotAdvertised, line);
            self.answer(&[Stage::Unknown], "500 5.5.1 unknown command", false);
            return;
        }
        self.envelope.chunks_seen += 1;
        let rejection = if self.envelope.data_seen {
            self.violation(Rule::OutOfSequence, line);
            Some("503 5.5.1 not together with DATA")
        } else if let Some(reply) = self.envelope.failed {
            if self.is_known(reply) {
                self.violation(Rule::OutOfSequence, line);
            }
            Some("503 5.5.1 an earlier chunk failed")
        } else {
            self.check_ready(line)
        };
        if rejection.is_none() && self.envelope.chunks.is_none() {
            let chunks = Chunks::new(!self.mail_is_binary(), self.config.store_bodies);
            self.envelope.chunks = Some(Box::new(chunks));
        }
        self.state = State::ExpectChunk(Chunk {
            left: size,
            last,
            rejection,
            size,
        });
        if size == 0 {
            self.end_chunk();
        }
    }

    /// Takes a chunk that has come whole.
    pub(super) fn handle_chunk_end(&mut self, chunk: Chunk) {
        if self.config.keep_transcripts {
            self.mark(format!("C: <chunk of {} bytes>", chunk.size));
        }
        let too_big = self
            .envelope
            .chunks
            .as_ref()
            .is_some_and(|chunks| self.is_too_big(chunks.len()));
        let rejection = chunk
            .rejection
            .or_else(|| too_big.then_some("552 5.3.4 message too big"));
        let stage = Stage::Bdat(self.envelope.chunks_seen);
        if chunk.last {
            let message = self.take_chunks(rejection);
            self.finish(message, &[stage, Stage::BdatLast, Stage::EndOfData]);
            return;
        }
        let code = self.answer(&[stage], rejection.unwrap_or("250 2.0.0 ok"), false);
        if code / 100 != 2 {
            self.fail_transaction();
        }
    }

    /// Takes the message of a DATA command.
    pub(super) fn handle_data_end(&mut self, data: Data) {
        self.turn.ask(b"the message");
        let start = self.received - data.raw_len();
        if self.config.keep_transcripts {
            self.mark(format!("C: <body of {} bytes>", data.body_len()));
        }
        for &(rule, at) in data.faults() {
            self.violation_at(rule, "in the message", start + at);
        }
        if data.eight_bit() && !self.mail_declares_eight_bit() {
            self.violation_at(Rule::EightBit, "in the message", start);
        } else if data.header_eight_bit() && data.header_is_utf8() != self.mail_has("SMTPUTF8") {
            self.violation_at(Rule::EightBit, "in the header", start);
        }
        let message = Message {
            len: data.body_len(),
            rejection: self
                .is_too_big(data.body_len())
                .then_some("552 5.3.4 message too big"),
            body: data.into_body(),
        };
        self.finish(message, &[Stage::EndOfData]);
    }

    /// Checks the content that the chunks form.
    fn take_chunks(&mut self, rejection: Option<&'static str>) -> Message {
        let Some(mut chunks) = self.envelope.chunks.take() else {
            return Message {
                len: 0,
                body: Vec::new(),
                rejection,
            };
        };
        chunks.finish(self.received);
        for &(rule, at) in chunks.faults() {
            self.violation_at(rule, "in the message", at);
        }
        if chunks.eight_bit() && !self.mail_declares_eight_bit() {
            self.violation(Rule::EightBit, "in the message");
        } else if chunks.header_eight_bit() && chunks.header_is_utf8() != self.mail_has("SMTPUTF8")
        {
            self.violation(Rule::EightBit, "in the header");
        }
        Message {
            len: chunks.len(),
            body: chunks.into_body(),
            rejection,
        }
    }

    /// Gives the final reply, in LMTP one for each recipient (RFC 2033, section 4.2), and stores
    /// what was taken.
    fn finish(&mut self, message: Message, stages: &[Stage]) {
        let mut envelope = std::mem::take(&mut self.envelope);
        let body = Arc::new(message.body);
        let mut taken = false;
        if self.config.lmtp && !envelope.recipients.is_empty() {
            for (number, recipient) in (1..).zip(&envelope.recipients) {
                let mut stages = stages.to_vec();
                stages.push(Stage::Delivery(number));
                let config = Arc::clone(&self.config);
                let text = message
                    .rejection
                    .or_else(|| config.rejected_delivery(&recipient.address))
                    .unwrap_or("250 2.1.5 delivered");
                let code = self.answer(&stages, text, false);
                if code / 100 == 2 {
                    taken = true;
                    if let Some(mail) = envelope.mail.clone() {
                        let recipients = vec![recipient.clone()];
                        self.store(mail, recipients, &envelope.forwarded, message.len, &body);
                    }
                }
                if matches!(self.state, State::Closed) {
                    break;
                }
            }
        } else {
            // A test may have made the server accept a message without recipients.
            let nobody = envelope.recipients.is_empty();
            let rejection = nobody.then_some("554 5.5.1 no valid recipients");
            let text = message
                .rejection
                .or(rejection)
                .unwrap_or("250 2.0.0 queued");
            let code = self.answer(stages, text, false);
            if code / 100 == 2
                && !nobody
                && let Some(mail) = envelope.mail.take()
            {
                taken = true;
                let recipients = std::mem::take(&mut envelope.recipients);
                self.store(mail, recipients, &envelope.forwarded, message.len, &body);
            }
        }
        if !taken && self.config.strict_bdat && stages.contains(&Stage::BdatLast) {
            self.envelope = Envelope {
                left_open: true,
                chunks_seen: 0,
                failed: None,
                ..envelope
            };
        }
    }

    fn store(
        &self,
        (sender, parameters): (String, Vec<Parameter>),
        recipients: Vec<Recipient>,
        forwarded: &[Parameter],
        body_len: u64,
        body: &Arc<Vec<u8>>,
    ) {
        let mail = self.config.keep_mails.then(|| StoredMail {
            sender,
            parameters,
            recipients,
            forwarded: forwarded.to_vec(),
            body_len,
            body: Arc::clone(body),
            over_tls: self.client.is_in_tls(),
            authenticated_as: self.client.user.clone(),
            session: self.number,
        });
        self.log.store(self.number, mail);
    }

    /// Checks that there is a recipient; returns the rejection otherwise.
    fn check_ready(&self, line: &str) -> Option<&'static str> {
        if self.envelope.mail.is_none() {
            self.check_follows_mail(line);
            return Some("503 5.5.1 MAIL first");
        }
        if !self.envelope.recipients.is_empty() {
            return None;
        }
        // In a flight, the client may not have known that all were rejected.
        if self.envelope.rcpts_seen == 0 || self.is_known(self.envelope.answered) {
            self.violation(Rule::OutOfSequence, line);
        }
        Some(if self.config.lmtp {
            // RFC 2033, section 4.2.
            "503 5.5.1 no valid recipients"
        } else {
            "554 5.5.1 no valid recipients"
        })
    }

    /// A command without an accepted MAIL: wrong, unless MAIL went before in the same flight and
    /// was rejected.
    fn check_follows_mail(&self, line: &str) {
        if self.envelope.mails_seen == 0 || self.is_known(self.envelope.answered) {
            self.violation(Rule::OutOfSequence, line);
        }
    }

    /// Lets only RSET help from here on.
    fn fail_transaction(&mut self) {
        self.envelope.failed.get_or_insert(self.turn.last_reply);
        if let Some(chunks) = &mut self.envelope.chunks {
            chunks.drop_body();
        }
    }

    fn is_too_big(&self, len: u64) -> bool {
        self.config.size_limit.is_some_and(|limit| len > limit)
    }

    fn exceeds_limit(&self, path: &Path<'_>) -> bool {
        path.value("SIZE")
            .and_then(|size| size.parse().ok())
            .is_some_and(|size| self.is_too_big(size))
    }

    pub(super) fn mail_has(&self, keyword: &str) -> bool {
        self.mail_parameter(keyword).is_some()
    }

    fn mail_is_binary(&self) -> bool {
        self.mail_parameter("BODY")
            .and_then(Parameter::value)
            .is_some_and(|value| value.eq_ignore_ascii_case("BINARYMIME"))
    }

    fn mail_declares_eight_bit(&self) -> bool {
        self.mail_has("SMTPUTF8")
            || self
                .mail_parameter("BODY")
                .and_then(Parameter::value)
                .is_some_and(|value| !value.eq_ignore_ascii_case("7BIT"))
    }

    fn mail_parameter(&self, keyword: &str) -> Option<&Parameter> {
        let (_, parameters) = self.envelope.mail.as_ref()?;
        parameters
            .iter()
            .find(|parameter| parameter.keyword.eq_ignore_ascii_case(keyword))
    }
}

/// The domain of an address for comparison.
fn domain(address: &str) -> String {
    let (_, domain) = address.rsplit_once('@').unwrap_or_default();
    domain.to_ascii_lowercase()
}
