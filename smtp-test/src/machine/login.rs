//! AUTH and the client's SASL responses.

use super::{
    Machine, State,
    sasl::{Exchange, Realm, Step},
};
use crate::{Rule, Stage};

impl Machine {
    /// Takes a SASL response without its line end.
    pub(super) fn handle_response(&mut self, exchange: Exchange, response: &[u8], sound: bool) {
        self.turn.ask(b"a SASL response");
        let stages = self.stages.next_auth_step();
        if !sound || response.len() > 12_288 {
            if sound {
                self.violation(
                    Rule::LineTooLong,
                    format!("a response of {} bytes", response.len()),
                );
            }
            let code = self.answer(&stages, "500 5.5.6 malformed response", true);
            self.after_auth(code, Exchange::ExpectAny, None);
        } else if response == b"*" {
            let code = self.answer(&stages, "501 5.7.0 authentication cancelled", true);
            self.after_auth(code, Exchange::ExpectAny, None);
        } else {
            let step = exchange.respond(response, &self.realm());
            self.take_step(&stages, step);
        }
    }

    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&str>, line: &str) {
        self.stages.begin_auth();
        let exchange = Exchange::new(mechanism);
        let rejection =
            if !self.client.greeted || self.client.user.is_some() || self.envelope.mail.is_some() {
                self.violation(Rule::OutOfSequence, line);
                "503 5.5.1 not now"
            } else if self.config.require_tls && !self.client.is_in_tls() {
                "530 5.7.0 must issue a STARTTLS command first"
            } else if !self.client.capabilities.has_mechanism(mechanism) {
                self.violation(Rule::NotAdvertised, mechanism);
                "504 5.5.4 mechanism not advertised"
            } else {
                let Some(exchange) = exchange else {
                    let code = self.answer(&[Stage::Auth], "504 5.5.4 mechanism not known", true);
                    self.after_auth(code, Exchange::ExpectAny, None);
                    return;
                };
                let step = match initial {
                    // RFC 4954, section 4: where the server speaks first, there is none.
                    Some(_) if exchange.server_speaks_first() => {
                        Step::Malformed("unexpected initial response")
                    }
                    // RFC 4954, section 4: an empty initial response is a single equals sign.
                    Some("=") => exchange.respond(b"", &self.realm()),
                    Some(initial) => exchange.respond(initial.as_bytes(), &self.realm()),
                    None => exchange.begin(&self.realm()),
                };
                self.take_step(&[Stage::Auth], step);
                return;
            };
        self.answer(&[Stage::Auth], rejection, true);
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
            self.client.user = Some(user);
        }
    }

    fn realm(&self) -> Realm<'_> {
        Realm {
            config: &self.config,
            capabilities: &self.client.capabilities,
            tls: self.client.tls.as_ref(),
        }
    }
}
