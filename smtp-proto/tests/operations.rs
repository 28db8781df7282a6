//! Any order of calls by a caller, a server, a transport and a clock: nothing panics or hangs,
//! every message has one outcome, which is right, and the cuts between bytes change nothing.

#[path = "operations/model_server.rs"]
mod model_server;
use crate::common;
use crate::common::Answered as _;
use crate::exhaustive::cases;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use common::dialogue::Dialogue;
use common::invariants::check_leaving;
use common::session::Mode;
use model_server::{ModelServer, check_lines};
use proptest::prelude::*;
use smtp_proto::{
    ApiMisuse, Command, CommandId, Connection, Credentials, Error, ErrorKind, Event, Mail, MailId,
    Outcome, Pipelining, Security, Seed, StreamedContent, Time, Wire,
};

/// One operation.
#[derive(Clone, Debug)]
enum Step {
    Submit {
        recipients: usize,
        text: Option<Vec<u8>>,
    },
    WriteBody(usize, Vec<u8>),
    FinishBody(usize),
    FailBody(usize),
    Abandon(usize),
    Command(u8),
    Quit,
    PollEvent,
    PollReady,
    PollEnded,
    PollOutcome(usize),
    PollBody(usize),
    PollReply(usize),
    /// Begins TLS if it is due, or only asks whether it is.
    Upgrade(bool),
    /// Asks whether a token is wanted.
    PollToken,
    /// Provides a token, or one that cannot be sent.
    ProvideToken(bool),
    FailToken,
    /// Sends up to this number of bytes of output.
    Send(usize),
    Receive(Input),
    Wait(u64),
    /// Until the deadline.
    Timeout,
    Eof,
    ReadError,
    WriteError,
    /// Sends all output, and receives all replies that are due.
    Turn,
    /// An acknowledgement after the end.
    LateSent,
}

/// The next input from the server.
#[derive(Clone, Debug)]
enum Input {
    /// The right replies to this number of commands.
    Right(usize),
    /// The first bytes of a right reply; the rest comes before anything else.
    Part(usize),
    /// A rejection of the next command.
    No(bool),
    /// Any reply, whether or not one is due.
    Odd(&'static str),
    Junk(Vec<u8>),
}

/// The sizes of the pieces in which bytes move, in turn.
type Cuts = &'static [usize];

const WHOLE: Cuts = &[usize::MAX];

/// How the transport takes bytes.
#[derive(Clone, Debug)]
enum Transport {
    /// It says at once how many it took.
    Readiness,
    /// An operation owns them. The next choice says, before each step, whether its completion is
    /// seen.
    Completion(std::iter::Cycle<std::vec::IntoIter<bool>>),
}

struct World {
    connection: Connection,
    security: Security,
    now: Time,
    cuts: std::iter::Cycle<std::slice::Iter<'static, usize>>,
    transport: Transport,
    /// Whether the completion of an operation has not been seen.
    in_operation: bool,
    server: ModelServer,
    sent: Vec<u8>,
    sent_in_cleartext: Option<usize>,
    transmitted: Vec<u8>,
    received: Vec<(usize, u8)>,
    mails: Vec<MailId>,
    /// Bytes of streamed content: each may take a turn where chunks are small and go one at a time.
    written: usize,
    commands: Vec<CommandId>,
    outcomes: BTreeMap<MailId, Outcome>,
    /// The results that the caller got.
    trace: String,
}

impl World {
    fn new(setup: Setup, cuts: Cuts, transport: Transport) -> Self {
        let Setup {
            security,
            mode,
            fetches,
        } = setup;
        let mut config = mode.builder().security(security);
        if fetches {
            let credentials = Credentials::fetched_token("alice").unwrap();
            config = config
                .credentials(credentials)
                .dangerous_credentials_in_cleartext();
        }
        Self {
            connection: Connection::new(
                Arc::new(config.build().unwrap()),
                Seed::from_bytes([0; 32]),
            ),
            security,
            now: Time::ORIGIN,
            cuts: cuts.iter().cycle(),
            transport,
            in_operation: false,
            server: ModelServer::new(mode, fetches),
            sent: Vec::new(),
            sent_in_cleartext: None,
            transmitted: Vec::new(),
            received: Vec::new(),
            mails: Vec::new(),
            written: 0,
            commands: Vec::new(),
            outcomes: BTreeMap::new(),
            trace: String::new(),
        }
    }

    fn cut(&mut self) -> usize {
        *self.cuts.next().unwrap()
    }

    fn step(&mut self, step: &Step) {
        // A completion that is seen late extends no limit, and one that is not seen has one.
        let passes_time = matches!(step, Step::Wait(_) | Step::Timeout);
        if let Transport::Completion(seen) = &mut self.transport
            && (seen.next() == Some(true) || passes_time)
        {
            self.complete();
        }
        match step {
            Step::Submit { recipients, text } => self.submit(*recipients, text.as_deref()),
            Step::WriteBody(which, piece) => {
                if let Some(id) = self.mail(*which) {
                    let told = self
                        .connection
                        .write_content(id, Bytes::from(piece.clone()));
                    self.written += piece.len();
                    self.tell("write", told);
                }
            }
            Step::FinishBody(which) => {
                if let Some(id) = self.mail(*which) {
                    let told = self.connection.finish_content(id);
                    self.tell("finish", told);
                }
            }
            Step::FailBody(which) => {
                if let Some(id) = self.mail(*which) {
                    let error = io::Error::from(io::ErrorKind::NotFound);
                    self.connection.fail_content(id, error.into());
                }
            }
            Step::Abandon(which) => {
                if let Some(id) = self.mail(*which) {
                    self.connection.abandon(id);
                }
            }
            Step::Command(kind) => {
                let command = match kind % 3 {
                    0 => Command::noop(),
                    1 => Command::help(None).unwrap(),
                    _ => Command::vrfy("root").unwrap(),
                };
                self.commands.push(self.connection.command(command));
            }
            Step::Quit => self.connection.quit(),
            Step::PollEvent => self.poll_event(),
            Step::PollReady => {
                let told = self.connection.poll_ready();
                self.tell("ready", told);
            }
            Step::PollEnded => {
                let told = self.connection.poll_closed();
                self.tell("ended", told);
            }
            Step::PollOutcome(which) => {
                if let Some(id) = self.mail(*which) {
                    self.poll_outcome(id);
                }
            }
            Step::PollBody(which) => {
                if let Some(id) = self.mail(*which) {
                    let told = self.connection.poll_content(id);
                    self.tell("body", told);
                }
            }
            Step::PollReply(which) => {
                if !self.commands.is_empty() {
                    let id = self.commands[which % self.commands.len()];
                    let told = self.connection.poll_reply(id);
                    self.tell("reply", told);
                }
            }
            Step::Upgrade(complete) => self.upgrade(*complete),
            Step::PollToken => {
                let told = self.connection.poll_token();
                self.tell("token", told);
            }
            Step::ProvideToken(is_sound) => {
                let token = if *is_sound { "t0k3n" } else { "t0 k3n" };
                let told = self.connection.provide_token(token.into());
                self.tell("provide", told);
            }
            Step::FailToken => self.connection.fail_token(reset()),
            Step::Send(count) => self.send(*count),
            Step::Receive(input) => self.receive(input),
            Step::Turn => {
                self.upgrade(true);
                self.fetch();
                self.send(usize::MAX);
                self.receive(&Input::Right(9));
            }
            Step::Wait(seconds) => {
                self.now = self.now.saturating_add(Duration::from_secs(*seconds));
                self.connection.handle_timeout(self.now);
            }
            Step::Timeout => {
                if let Some(until) = self.connection.poll_timeout() {
                    self.now = self.now.max(until);
                    self.connection.handle_timeout(self.now);
                }
            }
            Step::Eof => self.connection.handle_eof(self.now),
            Step::ReadError => self.connection.handle_read_error(self.now, reset()),
            Step::WriteError => self.connection.handle_write_error(self.now, reset()),
            Step::LateSent => {
                if self.connection.poll_transmit(self.now).is_none() && self.failure().is_some() {
                    self.connection.handle_sent(self.now, 5);
                }
            }
        }
        // As a driver does after every call, so that the output does not depend on the cuts.
        self.offer();
        self.check_failure();
    }

    fn submit(&mut self, recipients: usize, text: Option<&[u8]>) {
        let number = self.mails.len();
        let to = (0..recipients).map(|index| format!("r{index}@x.test"));
        let builder = Mail::builder()
            .sender(format!("m{number}@x.test"))
            .recipients(to);
        let mail = match text {
            Some(text) => builder
                .without_header_check()
                .message(text.to_vec())
                .build(),
            None => builder
                .without_header_check()
                .streamed(StreamedContent::new())
                .build(),
        };
        self.mails.push(self.connection.submit(mail.unwrap()));
    }

    /// The id of one of the messages, or now and then an id of none.
    fn mail(&self, which: usize) -> Option<MailId> {
        let ids = &self.mails;
        (!ids.is_empty()).then(|| ids[which % ids.len()])
    }

    fn tell(&mut self, what: &str, told: impl std::fmt::Debug) {
        writeln!(self.trace, "{what} {told:?}").unwrap();
    }

    fn poll_event(&mut self) {
        let told = self.connection.poll_event();
        self.tell("event", &told);
        if let Some(Ok(Event::Outcome(id, outcome))) = told {
            assert!(
                self.outcomes.insert(id, outcome).is_none(),
                "a second outcome"
            );
        }
    }

    fn poll_outcome(&mut self, id: MailId) -> bool {
        let told = self.connection.poll_outcome(id);
        self.tell("outcome", &told);
        match told {
            Poll::Ready(Ok(outcome)) => {
                assert!(
                    self.outcomes.insert(id, outcome).is_none(),
                    "a second outcome"
                );
                true
            }
            Poll::Ready(Err(error)) if is_token_wanted(&error) => {
                // The caller gets to know it, and a question then waits.
                let told = self.connection.poll_token();
                self.tell("token", told);
                assert!(self.connection.poll_outcome(id).is_pending());
                false
            }
            Poll::Ready(Err(error)) => {
                let waits = matches!(
                    error.kind(),
                    ErrorKind::Misuse(ApiMisuse::ContentUnfinished | ApiMisuse::UpgradePending)
                );
                assert!(
                    waits || self.outcomes.contains_key(&id),
                    "no outcome: {error:#}"
                );
                waits
            }
            Poll::Pending => false,
        }
    }

    fn upgrade(&mut self, complete: bool) {
        match self.connection.begin_tls(self.now) {
            Ok(upgrade) if complete => {
                upgrade.complete(self.now, common::pair::facts());
                self.sent_in_cleartext = Some(self.sent.len());
                self.tell("upgrade", ());
            }
            Ok(_) => self.tell("upgrade begun", ()),
            Err(error) => self.tell("upgrade", error),
        }
    }

    /// Provides a token if one is wanted.
    fn fetch(&mut self) {
        if let Poll::Ready(Ok(Some(_))) = self.connection.poll_token() {
            self.connection.provide_token("t0k3n".into()).unwrap();
            self.tell("fetched", ());
        }
    }

    fn offer(&mut self) -> usize {
        let Some(transmit) = common::pair::transmit(&mut self.connection, self.now) else {
            return 0;
        };
        let bytes: Vec<u8> = transmit.iter().collect::<Vec<_>>().concat();
        assert!(!bytes.is_empty(), "empty output");
        let before = self.transmitted.split_off(self.sent.len());
        assert!(bytes.starts_with(&before), "output was withdrawn");
        self.transmitted.extend_from_slice(&bytes);
        bytes.len()
    }

    fn send(&mut self, mut count: usize) {
        while count > 0 {
            let (offer, cut) = (self.offer(), self.cut());
            // A new look at long output after every byte would take for ever.
            let len = offer.min(count).min(cut.max(offer / 20));
            if len == 0 {
                return;
            }
            self.complete();
            match self.transport {
                Transport::Readiness => self.connection.handle_sent(self.now, len),
                Transport::Completion(_) => {
                    self.connection.handle_submitted(self.now, len);
                    self.in_operation = true;
                }
            }
            let at = self.sent.len();
            self.sent.extend_from_slice(&self.transmitted[at..at + len]);
            self.server.receive(&self.transmitted[at..at + len]);
            count -= len;
        }
    }

    /// Sees the completion of the operation, if there is one.
    fn complete(&mut self) {
        if std::mem::take(&mut self.in_operation) {
            self.connection.handle_completed(self.now);
        }
    }

    fn receive(&mut self, input: &Input) {
        let bytes = self.server.say(input);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(self.cut().min(rest.len()));
            rest = after;
            if self.failure().is_none() {
                let sent = self.sent.len();
                self.received.extend(part.iter().map(|byte| (sent, *byte)));
            }
            self.connection.handle_input(self.now, part);
        }
    }

    /// The error of the connection, if it has failed.
    fn failure(&mut self) -> Option<String> {
        // A question may queue commands, and sees the error only when all input was read.
        if !self.connection.is_closed() {
            return None;
        }
        match self.connection.poll_closed() {
            Poll::Ready(Err(error)) if !matches!(error.kind(), ErrorKind::Misuse(_)) => {
                Some(format!("{error:#?}"))
            }
            _ => None,
        }
    }

    /// After a failure every question has the same answer, and there is no output and no deadline.
    fn check_failure(&mut self) {
        let Some(failure) = self.failure() else {
            return;
        };
        let now = self.now;
        let connection = &mut self.connection;
        assert!(connection.poll_transmit(now).is_none());
        assert!(connection.poll_timeout().is_none());
        let ready = connection.poll_ready().answer().unwrap_err();
        let upgrade = format!("{:#?}", connection.begin_tls(now).unwrap_err());
        assert_eq!(
            (format!("{ready:#?}"), upgrade),
            (failure.clone(), failure.clone())
        );
        for id in &self.commands {
            if let Err(error) = self.connection.poll_reply(*id).answer() {
                assert_eq!(format!("{error:#?}"), failure);
            }
        }
        for id in self.mails.clone() {
            if self.outcomes.contains_key(&id) {
                let error = self.connection.poll_outcome(id).answer().unwrap_err();
                assert_eq!(format!("{error:#?}"), failure);
            }
        }
    }

    /// Brings everything to its end in one of several ways, and checks the invariants.
    fn finish(&mut self, end: End) {
        for id in self.mails.clone() {
            let _ = self.connection.finish_content(id);
        }
        self.connection.quit();
        let mut turns = 0;
        for id in self.mails.clone() {
            while !self.outcomes.contains_key(&id) && !self.poll_outcome(id) {
                self.turn(end);
                turns += 1;
                assert!(
                    turns < 10_000 + self.written,
                    "an outcome that never comes: {}",
                    self.trace
                );
            }
            if !self.outcomes.contains_key(&id) {
                // TLS will not begin, or streamed content will not be finished.
                self.connection.handle_eof(self.now);
                self.poll_outcome(id);
            }
        }
        let _ = self.connection.poll_token();
        while self.connection.poll_closed().is_pending() {
            self.turn(end);
            turns += 1;
            assert!(
                turns < 10_000 + self.written,
                "an end that never comes: {}",
                self.trace
            );
        }
        let told = self.connection.poll_closed();
        self.tell("ended", told);
        assert_eq!(self.outcomes.len(), self.mails.len());
        let dialogue = Dialogue::read(&self.transmitted, &self.received);
        for (number, id) in self.mails.iter().enumerate() {
            let sender = format!("m{number}@x.test");
            dialogue.check(&sender, &self.outcomes[id], &self.trace);
        }
        check_leaving(self.security, &self.sent, self.sent_in_cleartext);
        check_lines(&self.sent);
    }

    fn turn(&mut self, end: End) {
        // A question without an answer: then there is output, or a deadline.
        assert!(
            self.offer() > 0 || self.connection.poll_timeout().is_some(),
            "nothing to send, and nothing to wait for: {}",
            self.trace
        );
        match end {
            End::Cooperation => {
                self.upgrade(true);
                self.fetch();
                self.send(usize::MAX);
                self.receive(&Input::Right(1));
                if self.offer() == 0 && !self.server.owes() {
                    self.step(&Step::Timeout);
                }
            }
            End::Eof => self.step(&Step::Eof),
            End::Silence => {
                self.send(usize::MAX);
                self.step(&Step::Timeout);
            }
            End::Deafness => self.step(&Step::Timeout),
        }
        self.offer();
        let _ = self.connection.poll_token();
    }
}

fn is_token_wanted(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Misuse(ApiMisuse::TokenWanted))
}

/// A configuration.
#[derive(Clone, Copy, Debug)]
struct Setup {
    security: Security,
    mode: Mode,
    /// Whether the caller fetches a token.
    fetches: bool,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Cooperation,
    Eof,
    /// The server reads everything and sends nothing.
    Silence,
    /// The server reads nothing.
    Deafness,
}

fn reset() -> smtp_proto::TransportError {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        &b"hello\r\n"[..],
        b".\r\n",
        b"..dots\r\n",
        b"\r\n",
        b"no end",
        b"",
    ]);
    prop::collection::vec(line, 0..5).prop_map(|lines| lines.concat())
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => text(),
        1 => prop::sample::select(vec![&b"bare\n"[..], b"bare\r", b"\0", b"\n", b".", b"\r"]).prop_map(<[u8]>::to_vec),
        1 => Just(b"a long line of a text\r\n".repeat(3500)),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let odd = [
        "250 ok\r\n",
        "250-a\r\n250 b\r\n",
        "354 go on\r\n",
        "334 \r\n",
        "550 no\r\n",
        "421 down\r\n",
        "220 hi\r\n",
        "250\n",
        "150 wait\r\n",
        "99 \r\n",
        "250-a\r\n550 b\r\n",
        "\r\n",
    ];
    prop_oneof![
        20 => (1..4_usize).prop_map(Input::Right),
        4 => (0..12_usize).prop_map(Input::Part),
        5 => any::<bool>().prop_map(Input::No),
        1 => prop::sample::select(odd.to_vec()).prop_map(Input::Odd),
        1 => prop::collection::vec(prop::sample::select(b"2345 -\r\n\0x".to_vec()), 0..12).prop_map(Input::Junk),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let which = || 0..8_usize;
    prop_oneof![
        3 => (1..4_usize, prop::option::of(text()))
            .prop_map(|(recipients, text)| Step::Submit { recipients, text }),
        3 => (which(), piece()).prop_map(|(which, piece)| Step::WriteBody(which, piece)),
        2 => which().prop_map(Step::FinishBody),
        1 => which().prop_map(Step::FailBody),
        1 => which().prop_map(Step::Abandon),
        1 => any::<u8>().prop_map(Step::Command),
        1 => prop::bool::weighted(0.2).prop_map(|quit| if quit { Step::Quit } else { Step::PollEnded }),
        2 => Just(Step::PollEvent),
        1 => Just(Step::PollReady),
        2 => which().prop_map(Step::PollOutcome),
        2 => which().prop_map(Step::PollBody),
        1 => which().prop_map(Step::PollReply),
        2 => prop::bool::weighted(0.8).prop_map(Step::Upgrade),
        1 => Just(Step::PollToken),
        1 => prop::bool::weighted(0.8).prop_map(Step::ProvideToken),
        12 => prop_oneof![4 => Just(usize::MAX), 2 => 1..60_usize].prop_map(Step::Send),
        14 => input().prop_map(Step::Receive),
        10 => Just(Step::Turn),
        1 => (0..200_u64).prop_map(Step::Wait),
        1 => prop::sample::select(vec![
            Step::Timeout, Step::FailToken, Step::Eof, Step::ReadError, Step::WriteError, Step::LateSent, Step::LateSent,
        ]),
    ]
}

fn run(
    steps: &[Step],
    setup: Setup,
    end: End,
    cuts: Cuts,
    transport: Transport,
) -> (String, Vec<u8>) {
    let mut world = World::new(setup, cuts, transport);
    for step in steps {
        world.step(step);
    }
    world.finish(end);
    (world.trace, world.sent)
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn i1_i2_any_operations_end_well_and_neither_cuts_nor_late_completions_change_anything(
        ready in prop::bool::weighted(0.9),
        steps in prop::collection::vec(step(), 0..80),
        security in prop::sample::select(vec![
            Security::Cleartext, Security::Cleartext, Security::Opportunistic, Security::StartTls, Security::Implicit,
        ]),
        level in prop::sample::select(vec![
            Pipelining::Off, Pipelining::Envelope, Pipelining::Transactions, Pipelining::Speculative,
        ]),
        chunk in prop::sample::select(vec![None, Some(13), Some(200), Some(1 << 20)]),
        lmtp in prop::bool::weighted(0.2),
        fetches in prop::bool::weighted(0.3),
        end in prop::sample::select(vec![End::Cooperation, End::Cooperation, End::Eof, End::Silence, End::Deafness]),
        seen in prop::collection::vec(prop::bool::weighted(0.3), 1..9),
    ) {
        // Credentials need TLS that is required, or an express permission.
        let fetches = fetches && security != Security::Opportunistic;
        let setup = Setup { security, mode: Mode { level, chunk, lmtp }, fetches };
        let prelude = std::iter::repeat_n(Step::Turn, if ready { 7 } else { 0 });
        let steps: Vec<_> = prelude.chain(steps).collect();
        let whole = run(&steps, setup, end, WHOLE, Transport::Readiness);
        let completion = Transport::Completion(seen.into_iter().cycle());
        for (cuts, transport) in [
            (&[1][..], Transport::Readiness),
            (&[3, 1, 20, 2], Transport::Readiness),
            (WHOLE, completion.clone()),
            (&[3, 1, 20, 2], completion),
        ] {
            let again = run(&steps, setup, end, cuts, transport);
            prop_assert_eq!(&again.0, &whole.0);
            prop_assert_eq!(&again.1, &whole.1);
        }
    }
}
