//! What the server says: replies, each to the command that it belongs to.

use smtp_proto::{Capabilities, Protocol, Reply};

use super::transaction::{is_no, is_yes};
use super::{Asked, Due, Ledger, Partial, Stream};

impl Ledger {
    pub(super) fn read_server(&mut self, line: &[u8]) {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = text else {
            return self.lose();
        };
        let code = [a, b, c]
            .iter()
            .fold(0, |code, &digit| code * 10 + u16::from(digit - b'0'));
        let whole = match rest {
            [] | [b' ', ..] => true,
            [b'-', ..] => false,
            _ => return self.lose(),
        };
        let reply = self.reply.get_or_insert(Partial {
            code,
            lines: 0,
            raw: Vec::new(),
        });
        if reply.code != code || text.contains(&0) {
            return self.lose();
        }
        reply.raw.extend_from_slice(line);
        reply.lines += 1;
        if whole && let Some(reply) = self.reply.take() {
            self.answer(&reply);
        }
    }

    fn answer(&mut self, reply: &Partial) {
        let Some(due) = self.due.pop_front().filter(|due| due.end <= self.begun) else {
            return self.lose();
        };
        let code = reply.code;
        self.news |= due.to == Asked::Hello || reply.lines > 1;
        if due.replies > 1 {
            let replies = due.replies - 1;
            self.due.push_front(Due { replies, ..due });
        }
        if self.due.is_empty() {
            self.stream = match (due.to, code / 100) {
                (Asked::Data, 3) => Stream::Text { start: self.read },
                (Asked::Auth, _) if code == 334 => Stream::Response,
                (Asked::StartTls, _) if code == 220 => Stream::Silence,
                _ => Stream::Commands,
            };
        }
        let makes_sense = match due.to {
            Asked::Hello => {
                if code == 250 {
                    self.said = self.read_ehlo(&reply.raw);
                }
                true
            }
            // The caller's own may be refused; that which goes before MAIL may not.
            Asked::Rset => is_yes(code) || self.due.is_empty(),
            Asked::Mail
            | Asked::Rcpt
            | Asked::Data
            | Asked::Dot
            | Asked::Chunk
            | Asked::LastChunk => self.answer_mail(due, reply),
            Asked::Other => code / 100 != 3,
            Asked::Greeting | Asked::StartTls | Asked::Auth => true,
        };
        // After a 421 the server is gone (RFC 5321, section 3.8).
        if !makes_sense || code == 421 {
            self.lose();
        }
    }

    /// Takes the reply to a command of a mail; returns whether it makes sense.
    fn answer_mail(&mut self, due: Due, reply: &Partial) -> bool {
        let code = reply.code;
        let mail = &mut self.transactions[due.transaction];
        let is_open = self.open == Some(due.transaction);
        match due.to {
            Asked::Mail => {
                mail.mail = Some(code);
                if is_open && is_no(code) {
                    self.open = None;
                }
            }
            Asked::Rcpt => {
                mail.rcpt.push(code);
                mail.enough.push(says_enough(reply));
            }
            Asked::Data => {
                mail.data = Some(code);
                let for_nobody = self.rules.protocol == Protocol::Lmtp && mail.is_hopeless();
                return is_no(code) || (code / 100 == 3 && !for_nobody);
            }
            Asked::Chunk => {
                if is_no(code) {
                    mail.chunk.get_or_insert(code);
                }
            }
            _ => {
                mail.verdicts.push(code);
                if is_open && is_yes(code) {
                    self.open = None;
                }
                // RFC 2920, section 3.1: a lone dot may be accepted, where there was nobody.
                let lone = due.to == Asked::Dot && !mail.is_refused();
                if is_yes(code) && mail.is_hopeless() && !lone {
                    return false;
                }
            }
        }
        code / 100 != 3
    }

    fn read_ehlo(&self, raw: &[u8]) -> Capabilities {
        // One over a limit of the core's says nothing.
        let Ok(Some((reply, _))) = Reply::parse(raw) else {
            return Capabilities::default();
        };
        let said = Capabilities::parse(&reply);
        // RFC 8689, section 2: it counts only inside TLS.
        if self.in_tls {
            said
        } else {
            said.without("REQUIRETLS")
        }
    }

    fn lose(&mut self) {
        self.lost = true;
    }
}

/// Whether a recipient is one too many: by the code (RFC 5321, section 4.5.3.1.10) or by the enhanced one (RFC 3463, section 3.6).
fn says_enough(reply: &Partial) -> bool {
    let text = reply.raw.get(4..).unwrap_or_default();
    let enhanced = [b"4.5.3", b"5.5.3"]
        .iter()
        .any(|each| text.starts_with(*each));
    matches!(reply.code, 452 | 552) || enhanced
}
