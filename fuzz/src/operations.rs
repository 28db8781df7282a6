//! Any calls in any order: no panic, one outcome for each message, the first error stays, and I4 to
//! I8 hold.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use std::vec;

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::Bytes;
use smtp_proto::{
    ApiMisuse, Batch, Command, CommandId, Connection, ErrorKind, Event, Mail, MailId, Outcome,
    Pipelining, Seed, StreamedContent, Time, TlsInfo, Window,
};

use crate::common::Answered as _;
use crate::ledger::Ledger;
use crate::session::{POLICIES, broken, look};

/// Bytes: the configuration, then operations, each a letter with its operands.
pub fn operations(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let config = input.arbitrary::<u8>().unwrap_or_default();
    let policy = &POLICIES[usize::from(config.wrapping_sub(b'0')) % POLICIES.len()];
    let mut world = World {
        ledger: Ledger::new(policy.rules),
        names_level: policy.names_level,
        quits: false,
        connection: Connection::new(Arc::clone(&policy.config), Seed::from_bytes([7; 32])),
        other: Connection::new(Arc::clone(&policy.config), Seed::from_bytes([7; 32])),
        now: Time::ORIGIN,
        offered: 0,
        mails: Vec::new(),
        batch: None,
        commands: Vec::new(),
        failure: None,
    };
    for _ in 0..400 {
        if input.is_empty() {
            break;
        }
        match input.arbitrary() {
            Ok(operation) => world.perform(operation),
            Err(_) => break,
        }
        world.check_failure();
    }
    world.finish();
}

/// A call, or a few that belong together. The comment is its letter and its operands.
#[derive(Clone, Copy, Debug)]
enum Operation<'a> {
    /// `i`: bytes up to a line feed.
    Input(&'a [u8]),
    /// `r`, a digit: a usual reply.
    Reply(usize),
    /// `o`: calls `poll_transmit`, which returns nothing until pending input was read.
    Offer,
    /// `s`, a digit: ten times this many bytes were sent; `:` one more than there are, `;` far
    /// more.
    Sent(usize),
    /// `a`: sends all output, after a read.
    SendAll,
    /// `x`: end of file.
    Eof,
    /// `y`, `z`: a failure of the transport.
    ReadError,
    WriteError,
    /// `t`, a digit: time passes, in seconds to the power of two.
    Later(u32),
    /// `d`: time passes to the deadline.
    Deadline,
    /// `m`, a digit: a message with that many recipients; of an even number the content is
    /// streamed, except that 8 is binary.
    Submit(usize),
    /// `n`, a digit: starts a batch of this many messages, unless there is one; 0 asks for the next
    /// outcome, 9 abandons it.
    Batch(usize),
    /// `w`, a digit for the mail, bytes up to a line feed.
    Write(usize, &'a [u8]),
    /// `f`, `g`, `h` and a digit for the message: finish, abandon, abandon with a reason.
    Finish(usize),
    Abandon(usize),
    FailBody(usize),
    /// `c`, a digit.
    Command(usize),
    /// `q`
    Quit,
    /// `u`: performs the TLS handshake if it is due; `v`: only asks whether it is.
    Upgrade,
    PeekUpgrade,
    /// `e`
    Event,
    /// `p`: all questions that take no result away.
    Questions,
    /// `k`, `l` and a digit: the outcome of a message, the reply to a command.
    Outcome(usize),
    TakeReply(usize),
    /// `b`, a digit: a window.
    Window(usize),
    /// `j`, a digit: a level of pipelining.
    Level(usize),
    /// `P`, `B`, `F`: provides a token, or one that cannot be sent; its source fails.
    ProvideToken(&'static str),
    FailToken,
}

impl<'a> Arbitrary<'a> for Operation<'a> {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let letter = input.arbitrary::<u8>()?;
        match letter {
            b'P' => return Ok(Self::ProvideToken("a.token")),
            b'B' => return Ok(Self::ProvideToken("a token")),
            b'F' => return Ok(Self::FailToken),
            _ => {}
        }
        let letter = letter.wrapping_sub(b'a') % 26;
        let mut number = || -> Result<usize> {
            let digit = input.arbitrary::<u8>()?;
            Ok(usize::from(digit.wrapping_sub(b'0')))
        };
        Ok(match letter + b'a' {
            b'a' => Self::SendAll,
            b'b' => Self::Window(number()?),
            b'c' => Self::Command(number()?),
            b'd' => Self::Deadline,
            b'e' => Self::Event,
            b'f' => Self::Finish(number()?),
            b'g' => Self::Abandon(number()?),
            b'h' => Self::FailBody(number()?),
            b'i' => Self::Input(line(input)?),
            b'j' => Self::Level(number()?),
            b'k' => Self::Outcome(number()?),
            b'l' => Self::TakeReply(number()?),
            b'm' => Self::Submit(number()?),
            b'n' => Self::Batch(number()?),
            b'o' => Self::Offer,
            b'p' => Self::Questions,
            b'q' => Self::Quit,
            b'r' => Self::Reply(number()?),
            b's' => Self::Sent(number()?),
            b't' => Self::Later(u32::from(input.arbitrary::<u8>()?) % 12),
            b'u' => Self::Upgrade,
            b'v' => Self::PeekUpgrade,
            b'w' => Self::Write(number()?, line(input)?),
            b'x' => Self::Eof,
            b'y' => Self::ReadError,
            b'z' => Self::WriteError,
            _ => Self::Reply(1),
        })
    }
}

/// Bytes up to a line feed, which is taken with them.
fn line<'a>(input: &mut Unstructured<'a>) -> Result<&'a [u8]> {
    let end = input.peek_bytes(input.len()).and_then(|rest| {
        let end = rest.iter().position(|&byte| byte == b'\n');
        end.map(|end| end + 1)
    });
    input.bytes(end.unwrap_or(input.len()))
}

struct World {
    connection: Connection,
    /// Another connection, whose ids mean nothing to the first.
    other: Connection,
    ledger: Ledger,
    /// Whether the configuration sets the level of pipelining.
    names_level: bool,
    /// Whether the connection was asked to quit, and accepts no further requests.
    quits: bool,
    now: Time,
    /// Bytes transmitted and not acknowledged.
    offered: usize,
    mails: Vec<Submitted>,
    batch: Option<Batch<vec::IntoIter<Mail>>>,
    commands: Vec<Asked>,
    failure: Option<String>,
}

struct Submitted {
    /// None for a message of a batch.
    id: Option<MailId>,
    sender: String,
    told: bool,
}

struct Asked {
    id: CommandId,
    told: bool,
}

impl World {
    fn perform(&mut self, operation: Operation<'_>) {
        match operation {
            Operation::Input(input) => self.input(input),
            Operation::Reply(index) => self.input(REPLIES[index % REPLIES.len()].as_bytes()),
            Operation::Offer => self.offer(),
            Operation::Sent(10) => self.sent_too_much(self.ledger.outstanding() + 1),
            Operation::Sent(11) => self.sent_too_much(usize::MAX),
            Operation::Sent(tens) => self.sent(tens * 10),
            Operation::SendAll => {
                look(&mut self.connection, &mut self.ledger, self.now);
                self.offer();
                self.sent(usize::MAX);
            }
            Operation::Eof => self.connection.handle_eof(self.now),
            Operation::ReadError => self.connection.handle_read_error(self.now, broken()),
            Operation::WriteError => {
                self.connection.handle_write_error(self.now, broken());
                self.ledger.write_fails();
                self.offered = 0;
            }
            Operation::Later(power) => {
                self.now = self.now + Duration::from_secs(1 << power);
                self.connection.handle_timeout(self.now);
                self.ledger.looked(self.now);
                self.ledger.check(&mut self.connection);
            }
            Operation::Deadline => self.deadline(),
            Operation::Submit(number) => {
                self.rest_if_idle();
                let mail = self.mail_to_submit(number);
                let id = self.connection.submit(mail);
                self.mails.last_mut().unwrap().id = Some(id);
            }
            Operation::Batch(0) => self.poll_batch(),
            Operation::Batch(9) => drop(self.batch.take().map(Batch::into_rest)),
            Operation::Batch(count) => {
                if self.batch.is_none() {
                    let mails = (0..count % 10).map(|number| self.mail_to_submit(number));
                    self.batch = Some(Batch::new(mails.collect::<Vec<_>>().into_iter()));
                    self.allow(Pipelining::Transactions);
                }
            }
            Operation::Write(mail, text) => {
                if let Some(id) = self.mail(mail) {
                    let piece = Bytes::copy_from_slice(text);
                    let _ = self.connection.write_content(id, piece);
                }
            }
            Operation::Finish(mail) => {
                if let Some(id) = self.mail(mail) {
                    let _ = self.connection.finish_content(id);
                }
            }
            Operation::Abandon(mail) => {
                if let Some(id) = self.mail(mail) {
                    self.connection.abandon(id);
                }
            }
            Operation::FailBody(mail) => {
                if let Some(id) = self.mail(mail) {
                    self.connection.fail_content(id, broken());
                }
            }
            Operation::Command(index) => {
                self.rest_if_idle();
                let id = self.connection.command(COMMANDS[index % COMMANDS.len()]());
                self.commands.push(Asked { id, told: false });
            }
            Operation::Quit => {
                self.rest_if_idle();
                self.connection.quit();
                self.quits = true;
            }
            Operation::Upgrade => {
                if let Ok(upgrade) = self.connection.begin_tls(self.now) {
                    upgrade.complete(self.now, TlsInfo::new());
                    self.ledger.tls_began(self.now, &self.connection);
                }
            }
            Operation::PeekUpgrade => drop(self.connection.begin_tls(self.now)),
            Operation::Event => self.event(),
            Operation::Questions => self.questions(),
            Operation::Outcome(mail) => {
                if let Some(id) = self.mail(mail)
                    && let Poll::Ready(Ok(outcome)) = self.connection.poll_outcome(id)
                {
                    self.hear(&outcome);
                }
            }
            Operation::TakeReply(index) => {
                let Some(at) = index.checked_rem(self.commands.len()) else {
                    return;
                };
                let id = self.commands[at].id;
                if let Poll::Ready(Ok(_)) = self.connection.poll_reply(id) {
                    self.hear_reply(id);
                }
            }
            Operation::Window(number) => {
                let window = Window::FULL_DUPLEX
                    .with_bytes(number * 20)
                    .with_replies(number);
                self.connection.set_window(window);
            }
            Operation::Level(number) => {
                let level = LEVELS[number % LEVELS.len()];
                self.allow(level);
                self.connection.set_pipelining(level);
            }
            Operation::ProvideToken(token) => self.provide_token(token),
            Operation::FailToken => {
                self.connection.fail_token(broken());
                self.ledger.check(&mut self.connection);
            }
        }
    }

    /// A token is taken once, and only if it is wanted and can be sent.
    fn provide_token(&mut self, token: &str) {
        let wanted = self.connection.poll_token();
        let is_wanted = matches!(wanted, Poll::Ready(Ok(Some(_))));
        let provided = self.connection.provide_token(token.into());
        assert_eq!(provided.is_ok(), is_wanted && !token.contains(' '));
        let again = self.connection.provide_token(token.into());
        assert!(again.is_err());
        self.ledger.check(&mut self.connection);
    }

    fn input(&mut self, input: &[u8]) {
        if !self.connection.is_closed() {
            self.ledger.fed(self.now, input);
        }
        self.connection.handle_input(self.now, input);
        self.ledger.check(&mut self.connection);
    }

    /// Output that is held back may be sent when no input has arrived; any other deadline is final.
    fn deadline(&mut self) {
        let Some(until) = self.connection.poll_timeout() else {
            return;
        };
        self.now = self.now.max(until);
        // Twice: both deadlines may be at the same time.
        for _ in 0..2 {
            self.connection.handle_timeout(self.now);
            self.ledger.looked(self.now);
            self.ledger.check(&mut self.connection);
            if self.connection.is_closed() || self.connection.poll_timeout() != Some(until) {
                return;
            }
        }
        panic!("a deadline without effect");
    }

    fn rest_if_idle(&mut self) {
        if self.connection.is_idle() && !self.quits {
            self.ledger.rested();
        }
    }

    fn offer(&mut self) {
        self.ledger.watch(&mut self.connection);
        let Some(transmit) = self.connection.poll_transmit(self.now) else {
            self.ledger.watch(&mut self.connection);
            return;
        };
        self.offered = transmit.len();
        self.ledger.offered(self.now, &transmit);
        self.ledger.watch_offer(&mut self.connection);
    }

    /// A mistake of the driver: an error of its own kind, unless the connection was over.
    fn sent_too_much(&mut self, count: usize) {
        let was_at_work = !(self.connection.is_closed() || self.ledger.has_failed());
        self.connection.handle_sent(self.now, count);
        if was_at_work && !self.ledger.said_quit() {
            let error = self.connection.poll_closed().answer().unwrap_err();
            let kind = error.kind();
            assert!(
                matches!(kind, ErrorKind::Misuse(ApiMisuse::SentTooMuch)),
                "{error}"
            );
            assert!(self.connection.is_closed());
        }
        self.offered = 0;
    }

    fn sent(&mut self, at_most: usize) {
        let count = self.offered.min(at_most);
        self.offered -= count;
        self.ledger.sent(count);
        self.connection.handle_sent(self.now, count);
    }

    /// Sets the level of pipelining. No effect if the configuration sets one.
    fn allow(&mut self, level: Pipelining) {
        if !self.names_level {
            self.ledger.allow(level);
        }
    }

    /// A message with a sender, and a domain of the first recipient, that no other message has.
    fn mail_to_submit(&mut self, number: usize) -> Mail {
        let sender = format!("m{}@x.test", self.mails.len());
        let first = format!("r@{}", sender.replace('@', "."));
        let more = ["s@x.test", "t@y.test", "u@x.test"];
        let builder = Mail::builder()
            .sender(&*sender)
            .recipient(&*first)
            .recipients(more[..number % 4].iter().copied())
            .without_header_check();
        let builder = match number {
            8 => builder.binary_message(&b"\0.\n.\r\n"[..]),
            _ if number.is_multiple_of(2) => builder.streamed(StreamedContent::new()),
            _ => builder.message("Subject: s\r\n\r\n.\r\nno end"),
        };
        self.mails.push(Submitted {
            id: None,
            sender,
            told: false,
        });
        builder.build().unwrap()
    }

    fn poll_batch(&mut self) {
        self.rest_if_idle();
        if let Some(batch) = &mut self.batch {
            match batch.poll_outcome(&mut self.connection) {
                Poll::Ready(Some(outcome)) => self.hear(&outcome),
                Poll::Ready(None) => self.batch = None,
                Poll::Pending => {}
            }
        }
    }

    /// The id of a message, or of none.
    fn mail(&mut self, index: usize) -> Option<MailId> {
        if index == 9 {
            let mail = crate::common::raw_mail("a@x.test", ["b@x.test"], "").unwrap();
            for _ in 0..self.mails.len() + self.commands.len() {
                let _ = self.other.command(Command::noop());
            }
            return Some(self.other.submit(mail));
        }
        let at = index.checked_rem(self.mails.len())?;
        self.mails[at].id
    }

    fn event(&mut self) {
        match self.connection.poll_event() {
            Some(Ok(Event::Outcome(_, outcome))) => self.hear(&outcome),
            Some(Ok(Event::Reply(id, _))) => self.hear_reply(id),
            _ => {}
        }
    }

    fn hear(&mut self, outcome: &Outcome) {
        let first = outcome.recipients()[0].recipient().as_str();
        let of = |mail: &&mut Submitted| first == format!("r@{}", mail.sender.replace('@', "."));
        let mail = self.mails.iter_mut().find(of);
        let mail = mail.expect("an outcome of a submitted message");
        assert!(!mail.told, "two outcomes of {}", mail.sender);
        mail.told = true;
        self.ledger.check_outcome(&mail.sender, outcome, None);
    }

    fn hear_reply(&mut self, id: CommandId) {
        let command = self.commands.iter_mut().find(|command| command.id == id);
        let command = command.expect("a reply to a command that was given");
        assert!(!command.told, "two replies to one command");
        command.told = true;
    }

    /// Asks every question twice; the second answer must be the same.
    fn questions(&mut self) {
        let connection = &mut self.connection;
        let token = format!("{:#?}", connection.poll_token());
        assert_eq!(token, format!("{:#?}", connection.poll_token()));
        let ready = format!("{:#?}", connection.poll_ready());
        assert_eq!(ready, format!("{:#?}", connection.poll_ready()));
        let ended = format!("{:#?}", connection.poll_closed());
        assert_eq!(ended, format!("{:#?}", connection.poll_closed()));
        for id in self.mails.iter().filter_map(|mail| mail.id) {
            let wanted = format!("{:#?}", connection.poll_content(id));
            assert_eq!(wanted, format!("{:#?}", connection.poll_content(id)));
        }
        let _ = (connection.is_idle(), connection.mechanism());
        let _ = format!("{connection:?} {:?}", connection.stats());
    }

    /// The first error stays.
    fn check_failure(&mut self) {
        let Poll::Ready(Err(error)) = self.connection.poll_closed() else {
            assert_eq!(self.failure, None, "it came back from its failure");
            return;
        };
        if matches!(error.kind(), ErrorKind::Misuse(misuse) if *misuse != ApiMisuse::SentTooMuch) {
            assert_eq!(self.failure, None, "it came back from its failure");
            return;
        }
        let text = error.to_string();
        assert_eq!(*self.failure.get_or_insert_with(|| text.clone()), text);
        let ready = self.connection.poll_ready().answer().unwrap_err();
        assert_eq!(ready.to_string(), text);
        // Only QUIT may be sent.
        let is_closed = self.connection.is_closed();
        assert_eq!(self.connection.poll_timeout().is_none(), is_closed);
        assert!(!is_closed || self.connection.poll_transmit(self.now).is_none());
    }

    fn finish(&mut self) {
        if !self.connection.is_closed() {
            self.ledger.check_knowledge(&self.connection);
        }
        self.connection.handle_eof(self.now);
        assert!(self.connection.is_closed());
        for _ in 0..self.mails.len() + self.commands.len() + 2 {
            self.event();
        }
        for _ in 0..=self.mails.len() {
            self.poll_batch();
        }
        assert!(self.batch.is_none(), "a batch without an end");
        for mail in &self.mails {
            // A batch leaves messages that it could not send.
            let left = mail.id.is_none() && self.ledger.never_saw(&mail.sender);
            assert!(mail.told || left, "no outcome of {}", mail.sender);
            if let Some(id) = mail.id {
                assert!(matches!(
                    self.connection.poll_outcome(id),
                    Poll::Ready(Err(_))
                ));
            }
        }
        for command in &self.commands {
            assert!(matches!(
                self.connection.poll_reply(command.id),
                Poll::Ready(Err(_))
            ));
        }
        self.check_failure();
    }
}

/// The usual replies.
const REPLIES: &[&str] = &[
    "220 mx.test\r\n",
    "250 ok\r\n",
    "250-mx.test\r\n250-PIPELINING\r\n250-AUTH PLAIN XOAUTH2\r\n250 STARTTLS\r\n",
    "354 go on\r\n",
    "550 5.1.1 no\r\n",
    "451 later\r\n",
    "235 welcome\r\n",
    "334 \r\n",
    "421 closing\r\n",
    "250-un",
    "250-mx.test\r\n250-PIPELINING\r\n250-BINARYMIME\r\n250 CHUNKING\r\n",
    "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 60\r\n250-CHUNKING\r\n250 LIMITS RCPTMAX=3 RCPTDOMAINMAX=2 MAILMAX=6\r\n",
    "452 4.5.3 enough\r\n",
    "552 5.2.2 full\r\n",
];

const LEVELS: &[Pipelining] = &[
    Pipelining::Off,
    Pipelining::Envelope,
    Pipelining::Transactions,
    Pipelining::Speculative,
];

const COMMANDS: &[fn() -> Command] = &[Command::noop, Command::rset, || {
    Command::vrfy("root").unwrap()
}];
