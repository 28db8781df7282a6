//! XCLIENT and XFORWARD as Postfix defines them: the client acts for another client.

use super::{Envelope, Machine};
use crate::{Parameter, Rule, Stage};

impl Machine {
    pub(super) fn xclient(&mut self, attributes: Vec<Parameter>, line: &str) {
        let rejection = self.check_attributes("XCLIENT", &attributes, line);
        let greeting = self.greeting();
        let code = self.answer(&[Stage::Xclient], rejection.unwrap_or(&greeting), true);
        if code / 100 != 2 {
            return;
        }
        // Back to the greeting: of what was before, only TLS stays, and what can be told more.
        self.client.greeted = false;
        self.envelope = Envelope::default();
        self.client.capabilities = self.client.capabilities.only("XCLIENT");
        let login = attributes.iter().find(|each| each.keyword == "LOGIN");
        self.client.user = login
            .and_then(Parameter::decoded)
            .filter(|user| !user.eq_ignore_ascii_case("[UNAVAILABLE]"));
        let user = self.client.user.clone();
        self.log.update(self.number, |session| {
            session.authenticated_as = user;
            // Earlier attributes stay, except those of a single command.
            session.xclient.retain(|old| {
                !matches!(old.keyword(), "PROTO" | "HELO" | "LOGIN")
                    && attributes.iter().all(|new| new.keyword != old.keyword)
            });
            session.xclient.extend(attributes);
        });
    }

    pub(super) fn xforward(&mut self, attributes: Vec<Parameter>, line: &str) {
        let rejection = self.check_attributes("XFORWARD", &attributes, line);
        let code = self.answer(
            &[Stage::Xforward],
            rejection.unwrap_or("250 2.0.0 ok"),
            false,
        );
        if code / 100 == 2 {
            let told = &mut self.envelope.forwarded;
            told.retain(|old| attributes.iter().all(|new| new.keyword != old.keyword));
            told.extend(attributes);
        }
    }

    /// Checks that each attribute is advertised, well formed, and allowed at this point.
    fn check_attributes(
        &self,
        verb: &str,
        attributes: &[Parameter],
        line: &str,
    ) -> Option<&'static str> {
        if self.envelope.mail.is_some() {
            self.violation(Rule::OutOfSequence, line);
            return Some("503 5.5.1 in the middle of a message");
        }
        for attribute in attributes {
            let keyword = attribute.keyword();
            let advertised = self.client.capabilities.arguments(verb);
            if advertised.is_none_or(|mut words| !words.any(|word| word == keyword)) {
                self.violation(Rule::NotAdvertised, attribute.to_string());
                return Some("501 5.5.4 not advertised");
            }
            let value = attribute.decoded();
            if !value.is_some_and(|value| fits(verb, keyword, &value)) {
                self.violation(Rule::Syntax, format!("wrong value: {attribute}"));
                return Some("501 5.5.4 wrong value of an attribute");
            }
        }
        None
    }
}

/// Whether an attribute may have this value, which is no xtext any more.
fn fits(verb: &str, keyword: &str, value: &str) -> bool {
    let client = verb == "XCLIENT";
    let is = |word: &str| value.eq_ignore_ascii_case(word);
    if is("[UNAVAILABLE]") {
        return !(client && keyword == "PROTO");
    }
    if is("[TEMPUNAVAIL]") {
        return client && keyword == "NAME";
    }
    let printable = value.bytes().all(|byte| byte.is_ascii_graphic());
    match keyword {
        "NAME" | "HELO" | "IDENT" => printable && value.len() <= 255,
        "ADDR" | "DESTADDR" => match value.split_at_checked(5) {
            Some((tag, addr)) if tag.eq_ignore_ascii_case("IPV6:") => {
                addr.parse::<std::net::Ipv6Addr>().is_ok()
            }
            _ => value.parse::<std::net::Ipv4Addr>().is_ok(),
        },
        "PORT" | "DESTPORT" => value.parse::<u16>().is_ok(),
        "PROTO" if client => is("SMTP") || is("ESMTP"),
        "PROTO" => printable && value.len() <= 64,
        "SOURCE" => is("LOCAL") || is("REMOTE"),
        "LOGIN" => value.len() <= 255 && !value.contains(char::is_control),
        _ => false,
    }
}
