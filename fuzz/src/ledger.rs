//! Both sides of a dialogue as an observer on the wire understands them, who shares no code with the core.
//!
//! It reads commands from what the client offers and replies from what the server says, matches the two in order, and
//! holds the client to the invariants as it goes. At the end it knows what may be said of each mail.

use std::collections::VecDeque;

use smtp_proto::{
    Capabilities, Connection, ErrorKind, Fate, Outcome, ProtocolError, Reply, Security, Stage,
    Transmit,
};

use crate::reference;

/// What went over the wire so far.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Every octet that was ever offered.
    wire: Vec<u8>,
    acknowledged: usize,
    /// How far the client's octets have been understood.
    read: usize,
    stream: Stream,
    due: VecDeque<Due>,
    line: Vec<u8>,
    reply: Option<Partial>,
    /// How much was acknowledged when the reply began.
    begun: usize,
    /// A reply came that belongs to nothing, or something that is no reply: what follows counts for nothing.
    lost: bool,
    transactions: Vec<Transaction>,
    /// What the last reply to EHLO said, as long as it holds.
    said: Capabilities,
    demands_tls: bool,
    in_tls: bool,
}

/// What the client may say next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Commands,
    /// Nothing: a command that nothing may follow waits for its reply.
    Silence,
    Response,
    Text {
        start: usize,
    },
    /// The octets of a chunk, up to this position (RFC 3030, section 2).
    Chunk {
        end: usize,
        last: bool,
    },
}

#[derive(Clone, Copy, Debug)]
struct Due {
    to: Asked,
    /// Position behind the command's last octet.
    end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Greeting,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Chunk,
    EndOfData,
    Other,
}

#[derive(Debug)]
struct Partial {
    code: u16,
    raw: Vec<u8>,
}

/// One transaction.
#[derive(Debug)]
struct Transaction {
    sender: String,
    recipients: Vec<String>,
    mail: Option<u16>,
    rcpt: Vec<u16>,
    data: Option<u16>,
    /// The first refusal of a chunk that is not the last.
    chunk: Option<u16>,
    end_of_data: Option<u16>,
    /// What came in chunks.
    chunks: Vec<u8>,
    /// The text as a strict server takes it, once its last octet was offered.
    text: Option<Vec<u8>>,
}

impl Ledger {
    pub(crate) fn new(security: Security) -> Self {
        let implicit = security == Security::Implicit;
        Self {
            wire: Vec::new(),
            acknowledged: 0,
            read: 0,
            stream: Stream::Silence,
            due: VecDeque::from_iter((!implicit).then_some(GREETING)),
            line: Vec::new(),
            reply: None,
            begun: 0,
            lost: false,
            transactions: Vec::new(),
            said: Capabilities::default(),
            demands_tls: matches!(security, Security::StartTls | Security::Implicit),
            in_tls: false,
        }
    }

    /// Every octet that was ever offered.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The client offers octets: the same as before as far as they are not acknowledged, and perhaps more.
    pub(crate) fn offered(&mut self, transmit: &Transmit<'_>) {
        let mut position = self.acknowledged;
        for slice in transmit.iter() {
            let known = slice.len().min(self.wire.len() - position);
            assert!(
                slice[..known] == self.wire[position..][..known],
                "what is offered changed before it was acknowledged"
            );
            self.wire.extend_from_slice(&slice[known..]);
            position += slice.len();
        }
        assert_eq!(position, self.acknowledged + transmit.len());
        self.read_client();
        if self.demands_tls && !self.in_tls {
            assert!(
                IN_CLEAR.starts_with(&self.wire),
                "I6: left in clear: {}",
                self.wire.escape_ascii()
            );
        }
    }

    /// So many octets of the offer went out.
    pub(crate) fn sent(&mut self, count: usize) {
        self.acknowledged += count;
        assert!(self.acknowledged <= self.wire.len());
    }

    /// The server said something.
    pub(crate) fn fed(&mut self, input: &[u8]) {
        for line in input.split_inclusive(|&octet| octet == b'\n') {
            if self.lost {
                return;
            }
            if self.line.is_empty() && self.reply.is_none() {
                self.begun = self.acknowledged;
            }
            self.line.extend_from_slice(line);
            if line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.read_server(&line);
            }
        }
    }

    /// TLS begins: all that was learnt before it is void.
    pub(crate) fn tls_began(&mut self, connection: &Connection) {
        assert!(
            self.line.is_empty() && self.reply.is_none() && !self.lost,
            "octets from before TLS are left over"
        );
        self.in_tls = true;
        self.said = Capabilities::default();
        self.stream = Stream::Commands;
        if self.wire.is_empty() {
            self.stream = Stream::Silence;
            self.due.push_back(GREETING);
        }
        self.check_knowledge(connection);
        assert_eq!(connection.mechanism(), None, "I5");
    }

    /// After input: a client that was told nonsense has given up, and none knows what it was not told.
    pub(crate) fn check(&self, connection: &Connection) {
        if self.lost {
            assert!(
                connection.is_over(),
                "I4: a reply out of turn was taken; the client said {}",
                self.wire.escape_ascii()
            );
        } else if !connection.is_over() {
            self.check_knowledge(connection);
        }
    }

    /// I5: what the connection knows of the server is what its last EHLO said, and nothing before TLS.
    fn check_knowledge(&self, connection: &Connection) {
        let known = connection.capabilities();
        let same = self.said.iter().eq(known.iter()) && self.said.auth().eq(known.auth());
        assert!(same, "I5: {known:?} is known, {:?} was said", self.said);
    }

    /// I4, I7 and I8: whether what is reported of a mail is what the wire says. No recipient may be there twice.
    pub(crate) fn check_outcome(&self, sender: &str, outcome: &Outcome, text: Option<&[u8]>) {
        let of_mail = |transaction: &&Transaction| transaction.sender == sender;
        let transactions: Vec<_> = self.transactions.iter().filter(of_mail).collect();
        for delivery in outcome.deliveries() {
            let (recipient, fate) = (delivery.recipient().as_str(), delivery.fate());
            if transactions.is_empty() {
                assert!(matches!(fate, Fate::NotSent(_)), "never left: {fate}");
                continue;
            }
            // A recipient too many for one transaction comes again in another (RFC 5321, section 4.5.3.1.10).
            let verdicts = transactions.iter().map(|each| each.judge(recipient, fate));
            let verdicts: Vec<_> = verdicts.collect();
            assert!(
                verdicts.iter().any(Result::is_ok),
                "{recipient}: {fate}: {verdicts:?} {transactions:?}"
            );
            let may_be_stored = transactions.iter().any(|each| each.may_store(recipient));
            assert!(
                !(fate.is_safe_to_retry() && may_be_stored),
                "I8: {recipient}: {fate}: {transactions:?}"
            );
        }
        for came in transactions.iter().filter_map(|each| each.text.as_deref()) {
            // A lone dot is no text; a text of its own may be none.
            if let Some(text) = text.filter(|_| !came.is_empty()) {
                // Chunks need no line end behind the last line.
                let same = came == text || text.strip_suffix(b"\r\n") == Some(came);
                assert!(same, "I3: {sender}: {}", came.escape_ascii());
            }
        }
    }

    fn read_client(&mut self) {
        loop {
            let rest = &self.wire[self.read..];
            let is_empty_chunk =
                matches!(self.stream, Stream::Chunk { end, .. } if end == self.read);
            if rest.is_empty() && !is_empty_chunk {
                return;
            }
            match self.stream {
                Stream::Silence => {
                    panic!("said before the reply was there: {}", rest.escape_ascii())
                }
                Stream::Text { start } => {
                    let Some(len) = end_of_text(&self.wire[start..]) else {
                        self.read = self.wire.len();
                        return;
                    };
                    self.read = start + len;
                    let text = reference::receive(&self.wire[start..self.read]);
                    let mail = self
                        .transactions
                        .last_mut()
                        .expect("a text belongs to a mail");
                    mail.text = Some(text.expect("I3: the text has one end and no bare CR or LF"));
                    self.ask(Asked::EndOfData);
                }
                Stream::Chunk { end, last } => {
                    let Some(chunk) = self.wire.get(self.read..end) else {
                        return;
                    };
                    let transaction = self.transactions.last_mut().expect("MAIL goes before BDAT");
                    transaction.chunks.extend_from_slice(chunk);
                    if last {
                        transaction.text = Some(transaction.chunks.clone());
                    }
                    self.read = end;
                    self.ask(if last { Asked::EndOfData } else { Asked::Chunk });
                    self.stream = Stream::Commands;
                }
                Stream::Commands | Stream::Response => {
                    let Some(end) = rest.iter().position(|&octet| octet == b'\n') else {
                        return;
                    };
                    let line = rest[..end]
                        .strip_suffix(b"\r")
                        .expect("I3: a CRLF")
                        .to_vec();
                    assert!(
                        line.iter().all(|octet| !octet.is_ascii_control()),
                        "I3: a control in {}",
                        line.escape_ascii()
                    );
                    self.read += end + 1;
                    let line = String::from_utf8(line).expect("I3: UTF-8");
                    if let Some(chunk) = line.strip_prefix("BDAT ") {
                        let (len, last) = chunk
                            .strip_suffix(" LAST")
                            .map_or((chunk, false), |len| (len, true));
                        let len: usize = len.parse().expect("I3: a length");
                        let end = self.read + len;
                        self.stream = Stream::Chunk { end, last };
                        continue;
                    }
                    let asked = match self.stream {
                        Stream::Response => Asked::Auth,
                        _ => self.command(&line),
                    };
                    self.ask(asked);
                }
            }
        }
    }

    fn command(&mut self, line: &str) -> Asked {
        match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => Asked::Ehlo,
            "STARTTLS" => Asked::StartTls,
            "AUTH" => Asked::Auth,
            "DATA" => Asked::Data,
            "MAIL" => {
                let sender = path(line, "MAIL FROM:<");
                self.transactions.push(Transaction::new(sender));
                Asked::Mail
            }
            "RCPT" => {
                let mail = self.transactions.last_mut().expect("MAIL goes before RCPT");
                mail.recipients.push(path(line, "RCPT TO:<"));
                Asked::Rcpt
            }
            _ => Asked::Other,
        }
    }

    fn ask(&mut self, to: Asked) {
        self.stream = match to {
            Asked::Mail | Asked::Rcpt | Asked::Chunk | Asked::Other => Stream::Commands,
            _ => Stream::Silence,
        };
        self.due.push_back(Due { to, end: self.read });
    }

    fn read_server(&mut self, line: &[u8]) {
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
            raw: Vec::new(),
        });
        if reply.code != code || text.contains(&0) {
            return self.lose();
        }
        reply.raw.extend_from_slice(line);
        if whole && let Some(reply) = self.reply.take() {
            self.answer(reply);
        }
    }

    fn answer(&mut self, reply: Partial) {
        let Some(due) = self.due.pop_front().filter(|due| due.end <= self.begun) else {
            return self.lose();
        };
        let code = reply.code;
        if self.due.is_empty() {
            self.stream = match (due.to, code / 100) {
                (Asked::Data, 3) => Stream::Text { start: self.read },
                (Asked::Auth, _) if code == 334 => Stream::Response,
                (Asked::StartTls, _) if code == 220 => Stream::Silence,
                _ => Stream::Commands,
            };
        }
        match (due.to, self.transactions.last_mut()) {
            (Asked::Ehlo, _) if code == 250 => self.said = self.read_ehlo(&reply.raw),
            (Asked::Mail, Some(mail)) => mail.mail = Some(code),
            (Asked::Rcpt, Some(mail)) => mail.rcpt.push(code),
            (Asked::Data, Some(mail)) => mail.data = Some(code),
            (Asked::Chunk, Some(mail)) if code >= 400 => {
                mail.chunk.get_or_insert(code);
            }
            (Asked::EndOfData, Some(mail)) => mail.end_of_data = Some(code),
            _ => {}
        }
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

impl Transaction {
    fn new(sender: String) -> Self {
        Self {
            sender,
            recipients: Vec::new(),
            mail: None,
            rcpt: Vec::new(),
            data: None,
            chunk: None,
            end_of_data: None,
            chunks: Vec::new(),
            text: None,
        }
    }

    /// What was said of a recipient.
    fn rcpt(&self, recipient: &str) -> Option<u16> {
        let at = self.recipients.iter().position(|each| each == recipient)?;
        self.rcpt.get(at).copied()
    }

    /// Whether the server may have the text for this recipient.
    fn may_store(&self, recipient: &str) -> bool {
        let refused = self.end_of_data.is_some_and(|code| code / 100 > 3);
        let taken = is_yes(self.end_of_data);
        let hopeless = !is_yes(self.mail) || self.chunk.is_some();
        let possible = taken || (!refused && !hopeless);
        self.text.is_some() && possible && is_yes(self.rcpt(recipient))
    }

    /// Whether this fate can be what came of this transaction; if not, why.
    fn judge(&self, recipient: &str, fate: &Fate) -> Result<(), &'static str> {
        let holds = |condition, rule| if condition { Ok(()) } else { Err(rule) };
        let rcpt = self.rcpt(recipient);
        match fate {
            Fate::Accepted(reply) => {
                holds(is_yes(self.mail) && is_yes(rcpt), "I4: not accepted before")?;
                holds(self.text.is_some(), "I7: the end was not offered")?;
                let code = Some(reply.code().as_u16());
                holds(code == self.end_of_data, "I7: another reply")?;
                holds(is_yes(self.end_of_data), "I7: no 2yz")
            }
            Fate::Refused { stage, reply } => {
                let code = match stage {
                    Stage::Mail => self.mail,
                    Stage::Rcpt => rcpt,
                    Stage::Data => self.data,
                    Stage::Body => self.chunk,
                    Stage::EndOfData => self.end_of_data,
                    _ => return Err("refused at no command of a mail"),
                };
                holds(code == Some(reply.code().as_u16()), "I4: another reply")?;
                holds(
                    reply.is_transient() || reply.is_permanent(),
                    "I8: no refusal",
                )
            }
            Fate::NotSent(_) => holds(!self.may_store(recipient), "I8: it may be stored"),
            Fate::InDoubt(error) => {
                holds(self.text.is_some(), "in doubt without need")?;
                let decided = self.end_of_data.is_some_and(|code| code / 100 != 3);
                // A reply over a limit of the core's is none to it, and one to this observer.
                let over_limit =
                    matches!(error.kind(), ErrorKind::Protocol(ProtocolError::Reply(_)));
                let nobody = !self.rcpt.iter().any(|code| is_yes(Some(*code)));
                let contradicted = !is_yes(self.mail) || self.chunk.is_some() || nobody;
                let undecided = !decided || over_limit || contradicted;
                holds(undecided, "in doubt in spite of a reply")
            }
        }
    }
}

fn is_yes(code: Option<u16>) -> bool {
    code.is_some_and(|code| code / 100 == 2)
}

fn end_of_text(text: &[u8]) -> Option<usize> {
    if text.starts_with(b".\r\n") {
        return Some(3);
    }
    // By the dots, which are few.
    let mut dots = text.iter().enumerate().filter(|(_, octet)| **octet == b'.');
    dots.find_map(|(at, _)| {
        let around = text.get(at.checked_sub(2)?..at + 3)?;
        (around == b"\r\n.\r\n").then_some(at + 3)
    })
}

/// The path of a line whose address needs no quotes.
fn path(line: &str, before: &str) -> String {
    let rest = line.strip_prefix(before).expect("I3: the path");
    let (path, _) = rest.split_once('>').expect("I3: the path's end");
    path.to_owned()
}

const GREETING: Due = Due {
    to: Asked::Greeting,
    end: 0,
};

/// All that may ever be said in clear by a client that demands TLS.
const IN_CLEAR: &[u8] = b"EHLO client.test\r\nSTARTTLS\r\n";
