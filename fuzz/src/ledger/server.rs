//! The server's output: replies, each matched with its command.

use smtp_proto::{Capabilities, Protocol, Reply, Security};

use super::transaction::{is_no, is_yes};
use super::{Asked, Due, Ledger, MaySay, Partial, Stream};

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
        if due.to == Asked::Quit {
            // Whatever the reply.
            self.parted = true;
            self.stream = Stream::Silence;
            return;
        }
        let code = reply.code;
        self.news |= due.to == Asked::Hello || reply.lines > 1;
        if due.replies > 1 {
            let replies = due.replies - 1;
            self.due.push_front(Due { replies, ..due });
        }
        if self.due.is_empty() {
            self.stream = match (due.to, code / 100) {
                (Asked::Data, 3) if is_go_ahead(code) => Stream::Text { start: self.read },
                (Asked::Auth, _) if code == 334 => Stream::Response,
                (Asked::StartTls, _) if code == 220 => Stream::Silence,
                _ => Stream::Commands,
            };
        }
        let fits = is_yes(code) || is_no(code);
        let makes_sense = match due.to {
            Asked::Greeting => code / 100 != 3,
            Asked::Hello => {
                if code == 250 {
                    self.said = self.read_ehlo(&reply.raw);
                }
                code == 250 || is_no(code)
            }
            Asked::Auth => fits || matches!(code, 235 | 334),
            Asked::Cancel => fits || code == 235,
            Asked::StartTls => match self.rules.security {
                Security::Opportunistic => code == 220 || is_no(code),
                _ => fits || matches!(code, 220 | 235),
            },
            Asked::Rset => self.answer_rset(due, code),
            Asked::Mail
            | Asked::Rcpt
            | Asked::Data
            | Asked::Dot
            | Asked::Chunk
            | Asked::LastChunk => self.answer_mail(due, reply),
            Asked::Helo => fits,
            Asked::Other => code / 100 != 3,
            Asked::Quit => true,
        };
        self.may_say = match due.to {
            Asked::Hello if matches!(code, 500 | 502) => {
                let clear = self.demands_tls() && !self.in_tls;
                if clear || self.rules.protocol == Protocol::Lmtp {
                    MaySay::Quit
                } else {
                    MaySay::HeloOrQuit
                }
            }
            Asked::Greeting | Asked::Hello | Asked::Helo | Asked::Auth if is_no(code) => {
                MaySay::Quit
            }
            Asked::StartTls if self.demands_tls() && code != 220 => MaySay::Quit,
            Asked::Cancel => MaySay::Quit,
            _ => self.may_say,
        };
        // The server closes (RFC 5321, section 3.8).
        if !makes_sense || matches!(code, 421 | 221) {
            self.lose();
        }
    }

    /// Takes the reply to RSET. The caller's own RSET may be rejected. If the server may
    /// still hold a transaction open and does not clear it, MAIL is not sent.
    fn answer_rset(&mut self, due: Due, code: u16) -> bool {
        if code / 100 == 3 {
            return false;
        }
        let last = self.transactions.get_mut(due.transaction);
        let last = last.filter(|last| last.may_be_open());
        if is_yes(code) {
            if let Some(last) = last {
                last.was_reset = true;
            }
        } else if !self.due.is_empty() {
            return is_no(code) && last.is_none();
        } else if last.is_some() {
            self.open = Some(due.transaction);
        }
        true
    }

    /// Takes the reply to a command of a transaction; returns whether it is plausible.
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
                if is_yes(code) && mail.mail.is_some_and(is_no) {
                    // There may be a transaction, in spite of the reply to MAIL.
                    let is_last = due.transaction + 1 == self.transactions.len();
                    let mail = &mut self.transactions[due.transaction];
                    mail.was_accepted_in_spite = true;
                    if is_last && self.due.iter().all(|due| due.to != Asked::Rset) {
                        self.open = Some(due.transaction);
                    }
                }
                let mail = &mut self.transactions[due.transaction];
                mail.rcpt.push(code);
                mail.enough.push(says_enough(reply));
                mail.names_number.push(names_number(reply));
            }
            Asked::Data => {
                mail.data = Some(code);
                let for_nobody = self.rules.protocol == Protocol::Lmtp && mail.is_hopeless();
                return is_no(code) || (is_go_ahead(code) && !for_nobody);
            }
            Asked::Chunk => {
                if is_no(code) {
                    mail.chunk.get_or_insert(code);
                }
            }
            _ => {
                mail.verdicts.push(code);
                mail.ended_by_dot |= due.to == Asked::Dot;
                if is_open && is_yes(code) {
                    self.open = None;
                }
                // RFC 2920, section 3.1: a lone dot may be accepted without any recipient.
                let lone = due.to == Asked::Dot && !mail.is_rejected();
                if is_yes(code) && mail.is_hopeless() && !lone {
                    return false;
                }
            }
        }
        is_yes(code) || is_no(code)
    }

    fn read_ehlo(&self, raw: &[u8]) -> Capabilities {
        // A reply over a limit of the core counts for nothing.
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

/// Whether a recipient is one too many: by the code (RFC 5321, section 4.5.3.1.10) or by the
/// enhanced one (RFC 3463, section 3.6).
fn says_enough(reply: &Partial) -> bool {
    let text = reply.raw.get(4..).unwrap_or_default();
    let enhanced = [b"4.5.3", b"5.5.3"]
        .iter()
        .any(|each| text.starts_with(*each));
    matches!(reply.code, 452 | 552) || enhanced
}

/// Whether a recipient is one too many by the enhanced code, whatever its first digit (RFC 3463,
/// section 3.6).
fn names_number(reply: &Partial) -> bool {
    let text = reply.raw.get(4..).unwrap_or_default();
    let class = if reply.code / 100 == 5 { b"5" } else { b"4" };
    let rest = text.strip_prefix(class);
    rest.is_some_and(|rest| rest.starts_with(b".5.3 "))
}

/// Whether a reply to DATA asks for the content: 354, or a neighbouring code that servers send.
fn is_go_ahead(code: u16) -> bool {
    (350..=359).contains(&code)
}
