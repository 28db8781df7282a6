//! Both sides of a dialogue as an observer on the wire understands them, who shares no code with the core.
//!
//! It reads commands from what the client offers and replies from what the server says, matches the two in order, and
//! holds the client to the invariants as it goes: what goes out before which replies are there, that no transaction runs
//! into the next, that nothing is said which the server does not know. At the end it knows what may be said of each mail.

mod client;
mod server;
mod transaction;

use std::collections::VecDeque;

use smtp_proto::{
    Capabilities, Connection, Fate, Outcome, Pipelining, Protocol, Security, Transmit,
};

use self::transaction::Transaction;

/// By what policy the client is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) security: Security,
    pub(crate) protocol: Protocol,
    /// How far it may send ahead of the replies.
    pub(crate) level: Pipelining,
    /// Octets of a mail, and of all chunks, that may be on their way to recipients of whom nothing is known.
    pub(crate) speculation: (usize, usize),
}

/// What went over the wire so far.
#[derive(Debug)]
pub(crate) struct Ledger {
    rules: Rules,
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
    /// What came makes no sense to a client, so that what follows counts for nothing.
    lost: bool,
    transactions: Vec<Transaction>,
    /// Index of the one that the server has not been made to end.
    open: Option<usize>,
    /// What the last reply to EHLO said, as long as it holds.
    said: Capabilities,
    in_tls: bool,
    /// Whether a reply came from which a client may have learnt what the server can do.
    news: bool,
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
    /// Index of the transaction that it belongs to, if it belongs to one.
    transaction: usize,
    /// Octets of the chunk.
    octets: usize,
    replies: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Greeting,
    Hello,
    StartTls,
    Auth,
    Rset,
    Mail,
    Rcpt,
    Data,
    Dot,
    Chunk,
    LastChunk,
    Other,
}

#[derive(Debug)]
struct Partial {
    code: u16,
    lines: usize,
    raw: Vec<u8>,
}

impl Ledger {
    pub(crate) fn new(rules: Rules) -> Self {
        let implicit = rules.security == Security::Implicit;
        Self {
            rules,
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
            open: None,
            said: Capabilities::default(),
            in_tls: false,
            news: false,
        }
    }

    /// From now on the client may send so far ahead.
    pub(crate) fn allow(&mut self, level: Pipelining) {
        self.rules.level = self.rules.level.max(level);
        let last = self.due.back().map(|due| due.to);
        let may_go_on = matches!(last, Some(Asked::Dot | Asked::LastChunk));
        if may_go_on && self.rules.level >= Pipelining::Transactions {
            self.stream = Stream::Commands;
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
        let wire = std::mem::take(&mut self.wire);
        self.read_client(&wire);
        self.wire = wire;
        let demands_tls = matches!(self.rules.security, Security::StartTls | Security::Implicit);
        if demands_tls && !self.in_tls {
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
    pub(crate) fn check(&mut self, connection: &Connection) {
        if self.lost {
            assert!(
                connection.is_over(),
                "I4: a reply out of turn was taken; the client said {}",
                self.wire.escape_ascii()
            );
        } else if std::mem::take(&mut self.news) && !connection.is_over() {
            self.check_knowledge(connection);
        }
    }

    /// I5: what the connection knows of the server is what its last EHLO said, and nothing before TLS.
    pub(crate) fn check_knowledge(&self, connection: &Connection) {
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
            let last = transactions.iter().rposition(|each| each.asks(recipient));
            let (before, since) = transactions.split_at(last.unwrap_or_default());
            for earlier in before.iter().filter(|each| each.asks(recipient)) {
                assert!(
                    earlier.was_enough(recipient),
                    "I8: {recipient} once more: {transactions:?}"
                );
            }
            let verdicts = since.iter().map(|each| each.judge(recipient, fate));
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
                assert!(came == text, "I3: {sender}: {}", came.escape_ascii());
            }
        }
    }

    /// Whether nothing of a mail was ever offered.
    pub(crate) fn never_saw(&self, sender: &str) -> bool {
        !self.transactions.iter().any(|each| each.sender == sender)
    }
}

const GREETING: Due = Due {
    to: Asked::Greeting,
    end: 0,
    transaction: 0,
    octets: 0,
    replies: 1,
};

/// All that may ever be said in clear by a client that demands TLS.
const IN_CLEAR: &[u8] = b"EHLO client.test\r\nSTARTTLS\r\n";
