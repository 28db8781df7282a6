//! What each command does: all transitions of the machine but those of TLS and EOF.

use std::sync::Arc;

use super::{
    Envelope, Machine, State,
    auth::{Exchange, Step},
    data::Data,
    syntax::{self, Path, Request},
};
use crate::{Recipient, Rule, Stage, StoredMail, action::End, record::printable};

impl Machine {
    /// Takes a command line without its line end; `len` is its length with it.
    pub(super) fn handle_command(&mut self, line: &[u8], len: usize, sound: bool) {
        self.commands += 1;
        self.command = Some(self.commands);
        self.asked = printable(line);
        if self.config.keep_transcripts {
            self.log.update(self.number, |session| {
                session.commands.push(self.asked.clone())
            });
        }
        if !sound {
            self.answer(&[Stage::Unknown], "500 5.5.2 malformed line", false);
            return;
        }
        let Ok(line) = str::from_utf8(line) else {
            self.violation(Rule::EightBit, printable(line));
            self.answer(&[Stage::Unknown], "500 5.5.2 not UTF-8", false);
            return;
        };
        if len > self.limit(line) {
            self.violation(Rule::LineTooLong, format!("{len} octets: {line}"));
        }
        match syntax::parse(line) {
            Ok(request) => self.handle_request(request, line),
            Err(reason) => {
                self.violation(Rule::Syntax, format!("{reason}: {line}"));
                self.answer(&[Stage::Unknown], &format!("501 5.5.4 {reason}"), false);
            }
        }
    }

    /// Takes a SASL response without its line end.
    pub(super) fn handle_response(&mut self, exchange: Exchange, response: &[u8], sound: bool) {
        self.auth_steps += 1;
        self.asked = "a SASL response".to_owned();
        let stages = [Stage::AuthStep(self.auth_steps), Stage::AnyAuthStep];
        if !sound || response.len() > 12_288 {
            if sound {
                self.violation(
                    Rule::LineTooLong,
                    format!("a response of {} octets", response.len()),
                );
            }
            let code = self.answer(&stages, "500 5.5.6 malformed response", true);
            self.after_auth(code, Exchange::ExpectAny, None);
        } else if response == b"*" {
            let code = self.answer(&stages, "501 5.7.0 authentication cancelled", true);
            self.after_auth(code, Exchange::ExpectAny, None);
        } else {
            let step = exchange.respond(response, &self.config.users);
            self.take_step(&stages, step);
        }
    }

    /// Takes a message whose end has come.
    pub(super) fn handle_message(&mut self, data: Data) {
        self.asked = "the message".to_owned();
        let start = self.received - data.raw_len();
        if self.config.keep_transcripts {
            self.mark(format!("C: <body of {} octets>", data.body_len()));
        }
        for &(rule, at) in data.faults() {
            self.violation_at(rule, "in the message", start + at);
        }
        let envelope = std::mem::take(&mut self.envelope);
        let declared = envelope.mail.as_ref().is_some_and(|(_, parameters)| {
            parameters.iter().any(|parameter| {
                let body = parameter.keyword.eq_ignore_ascii_case("BODY");
                let seven = parameter
                    .value()
                    .is_some_and(|value| value.eq_ignore_ascii_case("7BIT"));
                (body && !seven) || parameter.keyword.eq_ignore_ascii_case("SMTPUTF8")
            })
        });
        if data.eight_bit() && !declared {
            self.violation_at(Rule::EightBit, "in the message", start);
        }
        let text = if envelope.recipients.is_empty() {
            "554 5.5.1 no valid recipients"
        } else if self
            .config
            .size_limit
            .is_some_and(|limit| data.body_len() > limit)
        {
            "552 5.3.4 message too big"
        } else {
            "250 2.0.0 queued"
        };
        let code = self.answer(&[Stage::EndOfData], text, false);
        let Some((sender, parameters)) = envelope.mail.filter(|_| code / 100 == 2) else {
            return;
        };
        if envelope.recipients.is_empty() {
            return;
        }
        self.log.update(self.number, |session| session.mails += 1);
        self.log.store(StoredMail {
            sender,
            parameters,
            recipients: envelope.recipients,
            body_len: data.body_len(),
            body: Arc::new(data.into_body()),
            over_tls: self.in_tls,
            authenticated_as: self.user.clone(),
            session: self.number,
        });
    }

    fn handle_request(&mut self, request: Request<'_>, line: &str) {
        if !line.is_ascii()
            && !matches!(request, Request::Mail(_) | Request::Rcpt(_))
            && !self.offers("SMTPUTF8")
        {
            self.violation(Rule::EightBit, line);
        }
        match request {
            Request::Ehlo(name) => self.hello(name, true),
            Request::Helo(name) => self.hello(name, false),
            Request::StartTls => self.start_tls(line),
            Request::Auth { mechanism, initial } => self.auth(mechanism, initial, line),
            Request::Mail(path) => self.mail(&path, line),
            Request::Rcpt(path) => self.rcpt(&path, line),
            Request::Data => self.data(line),
            Request::Rset => {
                self.envelope = Envelope::default();
                self.answer(&[Stage::Rset], "250 2.0.0 ok", false);
            }
            Request::Noop => {
                self.answer(&[Stage::Noop], "250 2.0.0 ok", true);
            }
            Request::Vrfy => {
                self.answer(
                    &[Stage::Vrfy],
                    "252 2.5.0 cannot verify, will try to deliver",
                    true,
                );
            }
            Request::Expn => {
                self.answer(&[Stage::Expn], "252 2.5.0 cannot expand", true);
            }
            Request::Help => {
                self.answer(&[Stage::Help], "214 2.0.0 see RFC 5321", true);
            }
            Request::Quit => self.quit(),
            Request::Other => {
                self.answer(&[Stage::Unknown], "500 5.5.1 unknown command", false);
            }
        }
    }

    fn hello(&mut self, name: &str, extended: bool) {
        self.log.update(self.number, |session| {
            session.client_name = Some(name.to_owned())
        });
        self.offered.clear();
        let host = &self.config.host;
        let code = if extended {
            let mut lines = vec![format!("{host} greets {name}")];
            lines.extend(self.config.offer(self.in_tls));
            let last = lines.len() - 1;
            let text: Vec<String> = lines
                .iter()
                .enumerate()
                .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
                .collect();
            let stage = if self.in_tls {
                Stage::EhloInTls
            } else {
                Stage::Ehlo
            };
            self.answer(&[stage], &text.join("\n"), true)
        } else {
            let text = format!("250 {host}");
            self.answer(&[Stage::Helo], &text, true)
        };
        if code / 100 == 2 {
            self.hello = true;
            self.envelope = Envelope::default();
        }
    }

    fn start_tls(&mut self, line: &str) {
        let refusal = if self.in_tls || self.envelope.mail.is_some() {
            self.violation(Rule::OutOfSequence, line);
            Some("503 5.5.1 not now")
        } else if !self.offers("STARTTLS") {
            self.violation(Rule::NotOffered, line);
            Some("502 5.5.1 not offered")
        } else {
            None
        };
        let code = self.answer(
            &[Stage::StartTls],
            refusal.unwrap_or("220 2.0.0 go ahead"),
            true,
        );
        if code == 220 && !matches!(self.state, State::Closed) {
            self.state = State::ExpectTls { begun: false };
        }
    }

    fn auth(&mut self, mechanism: &str, initial: Option<&str>, line: &str) {
        self.auth_steps = 0;
        let exchange = Exchange::new(mechanism);
        let refusal = if !self.hello || self.user.is_some() || self.envelope.mail.is_some() {
            self.violation(Rule::OutOfSequence, line);
            "503 5.5.1 not now"
        } else if self.config.require_tls && !self.in_tls {
            "530 5.7.0 must issue a STARTTLS command first"
        } else if !self.offers_mechanism(mechanism) {
            self.violation(Rule::NotOffered, mechanism);
            "504 5.5.4 mechanism not offered"
        } else {
            let Some(exchange) = exchange else {
                let code = self.answer(&[Stage::Auth], "504 5.5.4 mechanism not known", true);
                self.after_auth(code, Exchange::ExpectAny, None);
                return;
            };
            match initial {
                // RFC 4954, section 4: an empty initial response is a single equals sign.
                Some("=") => {
                    let step = exchange.respond(b"", &self.config.users);
                    self.take_step(&[Stage::Auth], step);
                }
                Some(initial) => {
                    let step = exchange.respond(initial.as_bytes(), &self.config.users);
                    self.take_step(&[Stage::Auth], step);
                }
                None => {
                    let challenge = exchange.first_challenge();
                    self.take_step(&[Stage::Auth], Step::Challenge(exchange, challenge));
                }
            }
            return;
        };
        self.answer(&[Stage::Auth], refusal, true);
    }

    fn take_step(&mut self, stages: &[Stage], step: Step) {
        match step {
            Step::Challenge(exchange, challenge) => {
                let code = self.answer(stages, &format!("334 {challenge}"), true);
                self.after_auth(code, exchange, None);
            }
            Step::Success(user) => {
                let code = self.answer(stages, "235 2.7.0 authenticated", true);
                self.after_auth(code, Exchange::ExpectAny, Some(user));
            }
            Step::Denied => {
                let code = self.answer(stages, "535 5.7.8 wrong credentials", true);
                self.after_auth(code, Exchange::ExpectAny, None);
            }
            Step::Malformed(reason) => {
                self.violation(Rule::Sasl, reason);
                let code = self.answer(stages, &format!("501 5.5.2 {reason}"), true);
                self.after_auth(code, Exchange::ExpectAny, None);
            }
        }
    }

    /// Goes where the code leads that the client got.
    fn after_auth(&mut self, code: u16, next: Exchange, user: Option<String>) {
        if matches!(self.state, State::Closed) {
            return;
        }
        if code == 334 {
            self.state = State::ExpectResponse(next);
        } else if code == 235 {
            // A test that makes the server say 235 to wrong credentials means it.
            let user = user.unwrap_or_default();
            self.log.update(self.number, |session| {
                session.authenticated_as = Some(user.clone())
            });
            self.user = Some(user);
        }
    }

    fn mail(&mut self, path: &Path<'_>, line: &str) {
        let nested = self.envelope.mail.is_some();
        let refusal = if !self.hello || nested {
            self.violation(Rule::OutOfSequence, line);
            Some("503 5.5.1 not now")
        } else if self.config.require_tls && !self.in_tls {
            Some("530 5.7.0 must issue a STARTTLS command first")
        } else if self.config.require_auth && self.user.is_none() {
            Some("530 5.7.0 authentication required")
        } else if !path.address.is_ascii() && !path.has("SMTPUTF8") {
            self.violation(Rule::EightBit, line);
            Some("553 5.6.7 non-ASCII address without SMTPUTF8")
        } else if let Some(refusal) = self.check_parameters(path, MAIL_PARAMETERS) {
            Some(refusal)
        } else if self.exceeds_limit(path) {
            Some("552 5.3.4 message too big")
        } else {
            None
        };
        let code = self.answer(&[Stage::Mail], refusal.unwrap_or("250 2.1.0 ok"), false);
        if !nested {
            self.envelope = Envelope {
                mail: (code / 100 == 2).then(|| (path.address.to_owned(), path.parameters.clone())),
                mails_seen: 1,
                ..Envelope::default()
            };
        }
    }

    fn rcpt(&mut self, path: &Path<'_>, line: &str) {
        self.envelope.rcpts_seen += 1;
        let refusal = if self.envelope.mail.is_none() {
            self.check_follows_mail(line);
            Some("503 5.5.1 MAIL first")
        } else if !path.address.is_ascii() && !self.mail_has("SMTPUTF8") {
            self.violation(Rule::EightBit, line);
            Some("553 5.6.7 non-ASCII address without SMTPUTF8")
        } else if let Some(refusal) = self.check_parameters(path, RCPT_PARAMETERS) {
            Some(refusal)
        } else if self
            .config
            .max_recipients
            .is_some_and(|max| self.envelope.recipients.len() >= max)
        {
            Some("452 4.5.3 too many recipients")
        } else {
            None
        };
        let refused = self
            .config
            .refused
            .iter()
            .find(|(address, _)| address.eq_ignore_ascii_case(path.address));
        let text = match (refusal, refused) {
            (Some(refusal), _) => refusal.to_owned(),
            (None, Some((_, reply))) => reply.clone(),
            (None, None) => "250 2.1.5 ok".to_owned(),
        };
        let stages = [Stage::Rcpt(self.envelope.rcpts_seen), Stage::AnyRcpt];
        let code = self.answer(&stages, &text, false);
        if code / 100 == 2 {
            self.envelope.recipients.push(Recipient {
                address: path.address.to_owned(),
                parameters: path.parameters.clone(),
            });
        }
    }

    fn data(&mut self, line: &str) {
        let text = if self.envelope.mail.is_none() {
            self.check_follows_mail(line);
            "503 5.5.1 MAIL first"
        } else if self.envelope.recipients.is_empty() {
            // With PIPELINING, the client may not have known that all were refused.
            if self.envelope.rcpts_seen == 0 || !self.pipelining() {
                self.violation(Rule::OutOfSequence, line);
            }
            "554 5.5.1 no valid recipients"
        } else {
            "354 end with a line that is a dot"
        };
        let code = self.answer(&[Stage::Data], text, true);
        if code / 100 == 3 && !matches!(self.state, State::Closed) {
            self.state = State::ExpectData(Box::new(Data::new(self.config.store_bodies)));
        }
    }

    fn quit(&mut self) {
        self.log.update(self.number, |session| session.quit = true);
        self.answer(&[Stage::Quit], "221 2.0.0 bye", true);
        if !matches!(self.state, State::Closed) && self.reading {
            self.end(End::Close);
        }
    }

    /// RCPT or DATA without an accepted MAIL: wrong, unless MAIL went before in the same flight and was refused.
    fn check_follows_mail(&self, line: &str) {
        if self.envelope.mails_seen == 0 || !self.pipelining() {
            self.violation(Rule::OutOfSequence, line);
        }
    }

    /// Looks whether each parameter's extension is offered, and gives the refusal if one is not.
    fn check_parameters(&self, path: &Path<'_>, known: &[(&str, &str)]) -> Option<&'static str> {
        let mut refusal = None;
        for parameter in &path.parameters {
            let keyword = parameter.keyword.to_ascii_uppercase();
            let extension = known
                .iter()
                .find(|(name, _)| *name == keyword)
                .map_or(keyword.as_str(), |(_, extension)| extension);
            let offered = match (keyword.as_str(), parameter.value()) {
                ("BODY", Some(value)) if value.eq_ignore_ascii_case("BINARYMIME") => {
                    self.offers("BINARYMIME")
                }
                // RFC 6531, section 3.1: whoever offers SMTPUTF8 has 8BITMIME.
                ("BODY", _) => self.offers("8BITMIME") || self.offers("SMTPUTF8"),
                _ => self.offers(extension),
            };
            if !offered {
                self.violation(Rule::NotOffered, parameter.to_string());
                refusal = Some("555 5.5.4 parameter not offered");
            }
        }
        refusal
    }

    fn exceeds_limit(&self, path: &Path<'_>) -> bool {
        let declared = path.value("SIZE").and_then(|size| size.parse::<u64>().ok());
        declared
            .zip(self.config.size_limit)
            .is_some_and(|(declared, limit)| declared > limit)
    }

    fn mail_has(&self, keyword: &str) -> bool {
        self.envelope.mail.as_ref().is_some_and(|(_, parameters)| {
            parameters
                .iter()
                .any(|parameter| parameter.keyword.eq_ignore_ascii_case(keyword))
        })
    }

    fn offers_mechanism(&self, mechanism: &str) -> bool {
        self.offered
            .iter()
            .filter_map(|line| {
                line.strip_prefix("AUTH")
                    .filter(|rest| rest.starts_with([' ', '=']))
            })
            .any(|list| list.split([' ', '=']).any(|offered| offered == mechanism))
    }

    /// The longest that the line may be, in octets with its CRLF: RFC 5321 section 4.5.3.1.4, and what the extensions
    /// in force add to it.
    fn limit(&self, line: &str) -> usize {
        let verb = line
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let allowances = match verb.as_str() {
            "MAIL" => MAIL_ALLOWANCES,
            "RCPT" => RCPT_ALLOWANCES,
            _ => &[],
        };
        let offered = allowances
            .iter()
            .filter(|(keyword, _)| self.offers(keyword));
        512 + offered.map(|(_, octets)| octets).sum::<usize>()
    }
}

/// Parameters of MAIL, and the extensions that they belong to; any other belongs to one of its own name.
const MAIL_PARAMETERS: &[(&str, &str)] = &[
    ("SIZE", "SIZE"),
    ("RET", "DSN"),
    ("ENVID", "DSN"),
    ("BY", "DELIVERBY"),
    ("HOLDFOR", "FUTURERELEASE"),
    ("HOLDUNTIL", "FUTURERELEASE"),
];

/// Parameters of RCPT, and the extensions that they belong to; any other belongs to one of its own name.
const RCPT_PARAMETERS: &[(&str, &str)] = &[("NOTIFY", "DSN"), ("ORCPT", "DSN")];

/// How much longer MAIL may be: RFC 1870, 6531, 4954, 8689, 3030, 6152, 3461 (the ENVID and RET parameters), 6710.
const MAIL_ALLOWANCES: &[(&str, usize)] = &[
    ("SIZE", 26),
    ("SMTPUTF8", 10),
    ("AUTH", 500),
    ("REQUIRETLS", 11),
    ("BINARYMIME", 16),
    ("8BITMIME", 17),
    ("DSN", 124),
    ("MT-PRIORITY", 15),
    ("DELIVERBY", 17),
    ("FUTURERELEASE", 34),
];

/// How much longer RCPT may be: RFC 3461 section 5.4, RFC 7293.
const RCPT_ALLOWANCES: &[(&str, usize)] = &[("DSN", 530), ("RRVS", 500)];
