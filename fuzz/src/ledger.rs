//! An observer on the wire that checks both sides of a session. It shares no code with the core.
//!
//! It reads commands from the client's output and replies from the server's, matches the two in
//! order, and checks the invariants as it goes: what is sent before which replies, that no
//! transaction runs into the next, and that nothing is sent that the server does not know. At the
//! end it knows what may be reported of each message.

mod client;
mod server;
mod transaction;

use std::collections::VecDeque;
use std::task::Poll;
use std::time::Duration;

use smtp_proto::{
    ApiMisuse, Capabilities, Connection, Error, ErrorKind, Outcome, Pipelining, Protocol,
    ProtocolError, RecipientStatus, Reply, Security, Stage, Time, Timeout, Transmit,
};

use self::transaction::{Transaction, is_no, is_yes};

/// The configuration that the client is checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) security: Security,
    pub(crate) protocol: Protocol,
    /// The level of pipelining.
    pub(crate) level: Pipelining,
    /// The limits in bytes of a message, and of all chunks, in flight before a recipient is known
    /// to be accepted.
    pub(crate) speculation: (usize, usize),
}

/// The bytes on the wire so far.
#[derive(Debug)]
pub(crate) struct Ledger {
    rules: Rules,
    /// Every byte that was ever transmitted.
    wire: Vec<u8>,
    /// How much had been transmitted before the last `poll_transmit`.
    before_offer: usize,
    acknowledged: usize,
    /// The position up to which the client's bytes have been parsed.
    read: usize,
    stream: Stream,
    due: VecDeque<Due>,
    line: Vec<u8>,
    reply: Option<Partial>,
    /// How much was acknowledged when the reply began.
    begun: usize,
    /// Input began while no reply was pending. It answers nothing, and no later command may be
    /// matched with it.
    early: bool,
    /// Writing has failed.
    write_failed: bool,
    /// When all input was last known to be read, and how much was acknowledged then.
    known: Option<(Time, usize)>,
    /// The commands that the client may send, by the replies to its handshake.
    may_say: MaySay,
    said_quit: bool,
    failed: Option<Failed>,
    /// QUIT was answered.
    parted: bool,
    /// The input is invalid to a client, so nothing after it counts.
    lost: bool,
    transactions: Vec<Transaction>,
    /// The index of the transaction that may still be open on the server.
    open: Option<usize>,
    /// The last reply to EHLO, while it is valid.
    said: Capabilities,
    in_tls: bool,
    /// Whether a reply came from which a client may know the server's capabilities.
    news: bool,
}

/// The commands that the client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MaySay {
    All,
    /// EHLO was rejected as unknown.
    HeloOrQuit,
    /// Its handshake has failed.
    Quit,
}

/// The failure of the client, as the observer saw it.
#[derive(Clone, Copy, Debug)]
struct Failed {
    /// How much had been transmitted before it.
    at: usize,
    /// Whether QUIT may follow it.
    in_order: bool,
}

/// The next input from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Commands,
    /// None: a command that must be the last of its group waits for its reply.
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
    /// The index of its transaction, if it has one.
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

    /// From now on the client may send ahead at this level.
    pub(crate) fn allow(&mut self, level: Pipelining) {
        self.rules.level = self.rules.level.max(level);
        let last = self.due.back().map(|due| due.to);
        let may_go_on = matches!(last, Some(Asked::Dot | Asked::LastChunk));
        if may_go_on && self.rules.level >= Pipelining::Transactions {
            self.stream = Stream::Commands;
        }
    }

    /// Every byte that was ever transmitted.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The client transmits bytes: those not yet acknowledged, unchanged, and perhaps more.
    pub(crate) fn offered(&mut self, now: Time, transmit: &Transmit<'_>) {
        assert!(!transmit.is_empty(), "empty output");
        assert!(
            !self.early,
            "V42: output after input that no command is waiting for"
        );
        assert!(!self.write_failed, "output after a write error");
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

    /// After [`offered`](Self::offered): the client may have failed while it prepared its output.
    pub(crate) fn watch_offer(&mut self, connection: &mut Connection) {
        self.watch_from(connection, self.before_offer);
    }

    /// After any call except `poll_transmit`: whether the client has failed, and whether it owes
    /// QUIT.
    pub(crate) fn watch(&mut self, connection: &mut Connection) {
        self.watch_from(connection, self.wire.len());
    }

    fn watch_from(&mut self, connection: &mut Connection, from: usize) {
        let ended = connection.poll_closed();
        // A question may end the connection.
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
            // Where `*` is due, the client's own error is reported, whatever the server sends.
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

    /// Only QUIT follows a failure, and only where both sides agree on the state.
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

    /// Whether no reply is pending.
    pub(crate) fn is_quiet(&self) -> bool {
        let next = self.due.front();
        next.is_none_or(|due| due.end > self.acknowledged)
    }

    /// The client read, or found that there was nothing to read.
    pub(crate) fn looked(&mut self, now: Time) {
        self.known = Some((now, self.acknowledged));
    }

    /// The caller has a new request after a pause, in which input may have arrived.
    pub(crate) fn rested(&mut self) {
        if self.is_quiet() {
            self.known = None;
        }
    }

    /// Writing fails.
    pub(crate) fn write_fails(&mut self) {
        self.write_failed = true;
    }

    /// The number of transmitted bytes that are not acknowledged.
    pub(crate) fn outstanding(&self) -> usize {
        self.wire.len() - self.acknowledged
    }

    /// Whether QUIT was transmitted.
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

    /// Input from the server.
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
                // Only the reply to QUIT matters.
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

    /// TLS begins: all that was learnt before it is discarded.
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

    /// After input: invalid input must have failed the client, and no client can know input that it
    /// did not get.
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

    /// I5: the client's capabilities are those of the last EHLO, and not those from before TLS.
    pub(crate) fn check_knowledge(&self, connection: &Connection) {
        let known = connection.capabilities();
        let same = self.said.iter().eq(known.iter()) && self.said.auth().eq(known.auth());
        assert!(same, "I5: {known:?} is known, {:?} was said", self.said);
    }

    /// I4, I7 and I8: whether the outcome of a message agrees with the wire. No recipient may occur
    /// twice.
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
            // A recipient too many for one transaction is sent to in another (RFC 5321, section
            // 4.5.3.1.10).
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
            // A lone dot is empty content, and so may be the message's own content.
            if let Some(text) = text.filter(|_| !came.is_empty()) {
                assert!(came == text, "I3: {sender}: {}", came.escape_ascii());
            }
        }
    }

    /// Whether no byte of a message was transmitted.
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
            | Stage::Token
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

/// Whether a session can end in good order after this failure: the server followed the protocol,
/// and is still there.
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
            | ErrorKind::Timeout(Timeout::Token)
    ) && error.reply().is_none_or(is_order)
}

const GREETING: Due = Due {
    to: Asked::Greeting,
    end: 0,
    transaction: 0,
    bytes: 0,
    replies: 1,
};

/// Until when no input is known to be pending.
const SILENCE: Duration = Duration::from_millis(100);

const QUIT: &[u8] = b"QUIT\r\n";

/// The commands that a client that requires TLS may send in cleartext. QUIT may follow any part of
/// them.
const IN_CLEAR: &[u8] = b"EHLO client.test\r\nSTARTTLS\r\n";
