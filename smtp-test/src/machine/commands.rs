//! What a command line is, and what the commands do that belong to no message: `transaction` and
//! `login` have the rest.

use super::{
    Envelope, Machine, State,
    capabilities::Capabilities,
    parameters,
    syntax::{self, Request},
};
use crate::{Rule, Stage, action::End, record::printable};

impl Machine {
    /// Takes a command line without its line end; `len` is its length with it.
    pub(super) fn handle_command(&mut self, line: &[u8], len: usize, sound: bool) {
        self.stages.begin_command();
        self.turn.ask(line);
        if self.config.keep_transcripts {
            let text = printable(line);
            self.log
                .update(self.number, |session| session.commands.push(text));
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
        if len > parameters::SHORTEST_LIMIT
            && len > parameters::line_limit(line, &self.client.capabilities)
        {
            self.violation(Rule::LineTooLong, format!("{len} bytes: {line}"));
        }
        match syntax::parse(line) {
            Ok(request) => self.handle_request(request, line),
            Err(reason) => {
                self.violation(Rule::Syntax, format!("{reason}: {line}"));
                self.answer(&[Stage::Unknown], &format!("501 5.5.4 {reason}"), false);
            }
        }
    }

    fn handle_request(&mut self, request: Request<'_>, line: &str) {
        if !line.is_ascii()
            && !matches!(request, Request::Mail(_) | Request::Rcpt(_))
            && !self.client.capabilities.has("SMTPUTF8")
        {
            self.violation(Rule::EightBit, line);
        }
        match request {
            Request::Ehlo(name) if !self.config.lmtp => self.hello(name, true),
            Request::Helo(name) if !self.config.lmtp => self.hello(name, false),
            Request::Lhlo(name) if self.config.lmtp => self.hello(name, true),
            Request::Ehlo(_) | Request::Helo(_) | Request::Lhlo(_) => {
                self.violation(Rule::NotAdvertised, line);
                let text = "500 5.5.1 not in this protocol";
                self.answer(&[Stage::Unknown], text, true);
            }
            Request::StartTls => self.start_tls(line),
            Request::Auth { mechanism, initial } => self.auth(mechanism, initial, line),
            Request::Mail(path) => self.mail(path, line),
            Request::Rcpt(path) => self.rcpt(path, line),
            Request::Data => self.data(line),
            Request::Bdat { size, last } => self.bdat(size, last, line),
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
            Request::Xclient(attributes) => self.xclient(attributes, line),
            Request::Xforward(attributes) => self.xforward(attributes, line),
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
        self.client.capabilities = Capabilities::default();
        let host = &self.config.host;
        let code = if extended {
            let mut lines = vec![format!("{host} greets {name}")];
            lines.extend(self.config.ehlo_lines(self.client.is_in_tls()));
            let last = lines.len() - 1;
            let text: Vec<String> = lines
                .iter()
                .enumerate()
                .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
                .collect();
            let stage = if self.client.is_in_tls() {
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
            self.client.greeted = true;
            self.envelope = Envelope::default();
        }
    }

    fn start_tls(&mut self, line: &str) {
        let rejection = if self.client.is_in_tls() || self.envelope.mail.is_some() {
            self.violation(Rule::OutOfSequence, line);
            Some("503 5.5.1 not now")
        } else if !self.client.capabilities.has("STARTTLS") {
            self.violation(Rule::NotAdvertised, line);
            Some("502 5.5.1 not advertised")
        } else {
            None
        };
        let code = self.answer(
            &[Stage::StartTls],
            rejection.unwrap_or("220 2.0.0 go ahead"),
            true,
        );
        if code == 220 && !matches!(self.state, State::Closed) {
            self.state = State::ExpectTls;
        }
    }

    fn quit(&mut self) {
        self.log
            .update(self.number, |session| session.end.quit = true);
        self.answer(&[Stage::Quit], "221 2.0.0 bye", true);
        if !matches!(self.state, State::Closed) && self.reading {
            self.end(End::Close);
        }
    }
}
