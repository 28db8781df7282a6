//! Both sides of a dialogue as an observer on the wire understands them, who shares no code with the core.
//!
//! It reads commands from what the client offers and replies from what the server says, matches the two in order, and
//! holds the client to the invariants as it goes: what goes out before which replies are there, that no transaction runs
//! into the next, that nothing is sent which the server does not know. At the end it knows what may be reported of each message.

mod client;
mod server;
mod transaction;

use std::collections::VecDeque;
use std::task::Poll;
use std::time::Duration;

use smtp_proto::{
    ApiMisuse, Capabilities, Connection, Error, ErrorKind, Outcome, Pipelining, Protocol,
    ProtocolError, RecipientStatus, Reply, Security, Stage, Time, Transmit,
};

use self::transaction::{Transaction, is_no, is_yes};

/// The configuration that the client is checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) security: Security,
    pub(crate) protocol: Protocol,
    /// How far it may send ahead of the replies.
    pub(crate) level: Pipelining,
    /// Bytes of a message, and of all chunks, that may be in flight before any recipient is known to be accepted.
    pub(crate) speculation: (usize, usize),
}

/// What went over the wire so far.
#[derive(Debug)]
pub(crate) struct Ledger {
    rules: Rules,
    /// Every byte that was ever offered.
    wire: Vec<u8>,
    /// How much was handed out before the last `poll_transmit`.
    before_offer: usize,
    acknowledged: usize,
    /// How far the client's bytes have been understood.
    read: usize,
    stream: Stream,
    due: VecDeque<Due>,
    line: Vec<u8>,
    reply: Option<Partial>,
    /// How much was acknowledged when the reply began.
    begun: usize,
    /// Something began to come while no reply was due: it answers nothing, and nothing that goes out after it may be paired
    /// with it.
    early: bool,
    /// Writing has failed.
    write_failed: bool,
    /// When all that had come was known, and how much was acknowledged then.
    known: Option<(Time, usize)>,
    /// What the client may still say, by the replies to its handshake.
    may_say: MaySay,
    said_quit: bool,
    failed: Option<Failed>,
    /// The last word was answered.
    parted: bool,
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

/// Which commands the client may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MaySay {
    All,
    /// EHLO was not understood.
    HeloOrQuit,
    /// Its handshake has failed.
    Quit,
}

/// A failure of the client that the observer was told of.
#[derive(Clone, Copy, Debug)]
struct Failed {
    /// How much had been offered before it.
    at: usize,
    /// Whether QUIT may go out as the last word.
    in_order: bool,
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
    /// The bytes of a chunk, up to this position (RFC 3030, section 2).
    Chunk {
        end: usize,
        last: bool,
    },
}

#[derive(Clone, Copy, Debug)]
struct Due {
    to: Asked,
    /// Position after the command's last byte.
    end: usize,
    /// Index of the transaction that it belongs to, if it belongs to one.
    transaction: usize,
    /// Bytes of the chunk.
    bytes: usize,
    replies: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Greeting,
    Hello,
    Helo,
    StartTls,
    Auth,
    /// `*`, in place of a response.
    Cancel,
    Rset,
    Mail,
    Rcpt,
    Data,
    Dot,
    Chunk,
    LastChunk,
    Quit,
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
            before_offer: 0,
            acknowledged: 0,
            read: 0,
            stream: Stream::Silence,
            due: VecDeque::from_iter((!implicit).then_some(GREETING)),
            line: Vec::new(),
            reply: None,
            begun: 0,
            early: false,
            write_failed: false,
            known: None,
            may_say: MaySay::All,
            said_quit: false,
            failed: None,
            parted: false,
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

    /// Every byte that was ever offered.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The client hands out bytes: those not yet acknowledged, unchanged, and perhaps more.
    pub(crate) fn offered(&mut self, now: Time, transmit: &Transmit<'_>) {
        assert!(!transmit.is_empty(), "an offer of nothing");
        assert!(
            !self.early,
            "V42: output after input that no command is waiting for"
        );
        assert!(!self.write_failed, "offered to a transport that is broken");
        if self.is_quiet() {
            let known = self.known.filter(|(at, acknowledged)| {
                *acknowledged == self.acknowledged && now <= *at + SILENCE
            });
            assert!(known.is_some(), "V42: output before pending input was read");
        }
        let before = self.wire.len();
        let mut position = self.acknowledged;
        for slice in transmit.iter() {
            let known = slice.len().min(self.wire.len() - position);
            assert!(
                slice[..known] == self.wire[position..][..known],
                "output changed before it was acknowledged"
            );
            self.wire.extend_from_slice(&slice[known..]);
            position += slice.len();
        }
        assert_eq!(position, self.acknowledged + transmit.len());
        let wire = std::mem::take(&mut self.wire);
        self.read_client(&wire);
        self.wire = wire;
        if self.demands_tls() && !self.in_tls {
            let may_end_at = |end: &usize| {
                let rest = self.wire.strip_prefix(&IN_CLEAR[..*end]);
                rest.is_some_and(|rest| QUIT.starts_with(rest))
            };
            let parts = [0, IN_CLEAR.len() - "STARTTLS\r\n".len(), IN_CLEAR.len()];
            assert!(
                IN_CLEAR.starts_with(&self.wire) || parts.iter().any(may_end_at),
                "I6: left in cleartext: {}",
                self.wire.escape_ascii()
            );
        }
        self.before_offer = before;
        self.check_last_word();
    }

    /// After what was [offered](Self::offered): to find out what to offer the client may have failed.
    pub(crate) fn watch_offer(&mut self, connection: &mut Connection) {
        self.watch_from(connection, self.before_offer);
    }

    /// After any call except `poll_transmit`: whether the client has failed, and whether it owes QUIT.
    pub(crate) fn watch(&mut self, connection: &mut Connection) {
        self.watch_from(connection, self.wire.len());
    }

    fn watch_from(&mut self, connection: &mut Connection, from: usize) {
        let ended = connection.poll_closed();
        // To ask may end it.
        let is_closed = connection.is_closed();
        assert!(
            is_closed || connection.poll_timeout().is_some() || self.known.is_none(),
            "V29: nothing will end it"
        );
        let Poll::Ready(Err(error)) = ended else {
            return;
        };
        let kind = error.kind();
        if matches!(kind, ErrorKind::Misuse(misuse) if *misuse != ApiMisuse::SentTooMuch) {
            return;
        }
        if self.early && !self.write_failed {
            let named = matches!(
                kind,
                ErrorKind::ConnectionLost
                    | ErrorKind::Protocol(
                        ProtocolError::UnexpectedReply
                            | ProtocolError::EarlyReply
                            | ProtocolError::InjectedBeforeTls
                            | ProtocolError::TooMuchInput
                            | ProtocolError::Reply(_)
                    )
                    | ErrorKind::Abandoned
                    | ErrorKind::Source(_)
                    | ErrorKind::Misuse(_)
            );
            // Where `*` is to be said, what the client found is told, whatever comes.
            let cancels = self.stream == Stream::Response
                || self.due.front().is_some_and(|due| due.to == Asked::Cancel);
            let named = named || cancels && matches!(kind, ErrorKind::Authentication(_));
            assert!(named, "V42: {error} behind what answers nothing");
        }
        if self.failed.is_some() {
            return;
        }
        let in_order = !(self.lost || self.early || self.write_failed)
            && self.due.iter().all(|due| due.to == Asked::Quit)
            && self.acknowledged == from
            && self.stream_ends_a_line(from)
            && leaves_order(&error);
        self.failed = Some(Failed { at: from, in_order });
        self.check_last_word();
        assert_eq!(
            is_closed,
            !in_order,
            "RFC 5321, section 4.1.1.10: {error} behind {}",
            self.wire.escape_ascii()
        );
    }

    /// Whether a command may start at this position: not inside content.
    fn stream_ends_a_line(&self, from: usize) -> bool {
        self.said_quit && from < self.wire.len() || self.stream == Stream::Commands
    }

    /// Nothing goes out after a failure but QUIT, where both sides understood each other.
    fn check_last_word(&self) {
        let Some(failed) = self.failed else {
            return;
        };
        let last: &[u8] = if failed.in_order { QUIT } else { b"" };
        let said = &self.wire[failed.at..];
        assert!(
            last.starts_with(said),
            "behind a failure: {}",
            said.escape_ascii()
        );
    }

    /// Whether no reply is due to what has gone out.
    pub(crate) fn is_quiet(&self) -> bool {
        let next = self.due.front();
        next.is_none_or(|due| due.end > self.acknowledged)
    }

    /// The client read, or looked whether there was something to read.
    pub(crate) fn looked(&mut self, now: Time) {
        self.known = Some((now, self.acknowledged));
    }

    /// The caller has something new after a rest, in which something may have come.
    pub(crate) fn rested(&mut self) {
        if self.is_quiet() {
            self.known = None;
        }
    }

    /// Writing fails.
    pub(crate) fn write_fails(&mut self) {
        self.write_failed = true;
    }

    /// How many bytes of the offer are not acknowledged.
    pub(crate) fn outstanding(&self) -> usize {
        self.wire.len() - self.acknowledged
    }

    /// Whether QUIT was handed out.
    pub(crate) fn said_quit(&self) -> bool {
        self.said_quit
    }

    /// Whether the client was seen to fail.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    fn demands_tls(&self) -> bool {
        matches!(self.rules.security, Security::StartTls | Security::Implicit)
    }

    /// This number of bytes was sent.
    pub(crate) fn sent(&mut self, count: usize) {
        self.acknowledged += count;
        assert!(self.acknowledged <= self.wire.len());
    }

    /// The server said something.
    pub(crate) fn fed(&mut self, now: Time, input: &[u8]) {
        if input.is_empty() {
            return;
        }
        self.known = Some((now, self.acknowledged));
        for line in input.split_inclusive(|&byte| byte == b'\n') {
            if self.lost || self.parted {
                return;
            }
            if self.failed.is_some() || self.may_say == MaySay::Quit {
                // Of interest is only that the last word is answered.
                self.parted = self.said_quit && self.acknowledged == self.wire.len();
                return;
            }
            if self.line.is_empty() && self.reply.is_none() {
                self.begun = self.acknowledged;
                self.early |= self.is_quiet();
            }
            self.line.extend_from_slice(line);
            if line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.read_server(&line);
            }
        }
    }

    /// TLS begins: all that was learnt before it is void.
    pub(crate) fn tls_began(&mut self, now: Time, connection: &Connection) {
        assert!(
            self.line.is_empty() && self.reply.is_none() && !self.lost && !self.early,
            "bytes from before TLS are left over"
        );
        self.known = Some((now, self.acknowledged));
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
    pub(crate) fn check(&mut self, connection: &mut Connection) {
        self.watch(connection);
        if self.lost || self.parted {
            assert!(
                connection.is_closed(),
                "I4: a reply out of turn was taken; the client said {}",
                self.wire.escape_ascii()
            );
        } else if self.may_say == MaySay::Quit {
            let failed = self.failed.is_some() || connection.is_closed();
            assert!(failed, "the handshake goes on behind a rejection");
        } else if self.failed.is_none() && std::mem::take(&mut self.news) && !connection.is_closed()
        {
            self.check_knowledge(connection);
        }
    }

    /// I5: what the connection knows of the server is what its last EHLO said, and nothing before TLS.
    pub(crate) fn check_knowledge(&self, connection: &Connection) {
        let known = connection.capabilities();
        let same = self.said.iter().eq(known.iter()) && self.said.auth().eq(known.auth());
        assert!(same, "I5: {known:?} is known, {:?} was said", self.said);
    }

    /// I4, I7 and I8: whether the outcome of a message agrees with the wire. No recipient may occur twice.
    pub(crate) fn check_outcome(&self, sender: &str, outcome: &Outcome, text: Option<&[u8]>) {
        let of_mail = |transaction: &&Transaction| transaction.sender == sender;
        let transactions: Vec<_> = self.transactions.iter().filter(of_mail).collect();
        for delivery in outcome.recipients() {
            let (recipient, fate) = (delivery.recipient().as_str(), delivery.status());
            if transactions.is_empty() {
                let RecipientStatus::NotSent(error) = fate else {
                    panic!("never left: {fate}");
                };
                check_never_left(error);
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

    /// Whether no byte of a message was handed out.
    pub(crate) fn never_saw(&self, sender: &str) -> bool {
        !self.transactions.iter().any(|each| each.sender == sender)
    }
}

/// The error of an unsent message is not the final reply to another message.
fn check_never_left(error: &Error) {
    let is_of_all = matches!(
        error.stage(),
        Stage::Connect
            | Stage::Greeting
            | Stage::Ehlo
            | Stage::Helo
            | Stage::StartTls
            | Stage::TlsHandshake
            | Stage::Xclient
            | Stage::Auth
    );
    match error.kind() {
        ErrorKind::Earlier(cause) => {
            assert!(error.is_transient(), "{error} is not a final reply");
            assert!(!matches!(cause.kind(), ErrorKind::Earlier(_)), "{error}");
        }
        ErrorKind::ConnectionLost => assert!(error.is_transient(), "{error} is not a final reply"),
        ErrorKind::Rejected | ErrorKind::Protocol(_) | ErrorKind::Authentication(_) => {
            assert!(is_of_all, "reported of another message: {error}");
        }
        _ => {}
    }
}

/// Whether a dialogue can end in good order after this failure: the server did as it should, and is still there.
fn leaves_order(error: &Error) -> bool {
    let is_order = |reply: &Reply| {
        let code = reply.code().as_u16();
        // 235 is the success of AUTH alone.
        let logged_in = code == 235 && error.stage() == Stage::Auth;
        code != 421 && (logged_in || is_yes(code) || is_no(code))
    };
    matches!(
        error.kind(),
        ErrorKind::Rejected
            | ErrorKind::TlsUnavailable
            | ErrorKind::Authentication(_)
            | ErrorKind::Unsupported(_)
            | ErrorKind::LimitExceeded(_)
    ) && error.reply().is_none_or(is_order)
}

const GREETING: Due = Due {
    to: Asked::Greeting,
    end: 0,
    transaction: 0,
    bytes: 0,
    replies: 1,
};

/// For how long it is known that nothing came.
const SILENCE: Duration = Duration::from_millis(100);

const QUIT: &[u8] = b"QUIT\r\n";

/// All that a client that requires TLS may send in cleartext. QUIT may follow any part of it.
const IN_CLEAR: &[u8] = b"EHLO client.test\r\nSTARTTLS\r\n";
