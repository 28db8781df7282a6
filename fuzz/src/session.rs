//! A connection with a scripted caller, and a server whose output is the input of the target.

mod choices;

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use std::vec;

use bytes::Bytes;
use smtp_proto::{
    Batch, CommandId, Connection, Error, Event, Mail, MailId, Outcome, Pipelining, Seed, Time,
    TlsInfo, TransportError,
};

use self::choices::{Act, BATCH, CALLERS, COMMANDS, MAILS, PIECES, Prepared};
pub(crate) use self::choices::{POLICIES, Policy};
use crate::choice;
use crate::common::Answered as _;
use crate::ledger::Ledger;

/// How an input is fed: the first four bytes are choices, the rest is the server's output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    config: usize,
    caller: usize,
    pace: Pace,
    end: End,
    server: &'a [u8],
}

/// When the client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// All output before each line of the server.
    EachLine,
    /// All output once, before the server sends anything.
    Once,
    /// This number of bytes before each line of the server.
    Drip(usize),
}

/// How it ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Eof,
    Silence,
    ReadError,
    WriteError,
}

/// The cuts in which two runs differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) input: usize,
    pub(crate) output: usize,
}

/// All that a caller can see of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    events: Vec<String>,
    wire: Vec<u8>,
    state: String,
}

/// A connection under way.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) ledger: Ledger,
    pub(crate) now: Time,
    mails: Vec<(MailId, &'static Prepared)>,
    /// The batch in progress, and the number of outcomes that it has returned.
    batch: Option<Batch<vec::IntoIter<Mail>>>,
    batch_told: usize,
    commands: Vec<CommandId>,
    /// The number of pieces of streamed content that were written.
    pieces: usize,
    told: Vec<MailId>,
    /// The results so far, if they are recorded.
    events: Option<Vec<String>>,
}

impl<'a> Plan<'a> {
    pub(crate) fn read(mut input: &'a [u8]) -> Self {
        Self {
            config: choice(&mut input, POLICIES.len()),
            caller: choice(&mut input, CALLERS.len()),
            pace: match choice(&mut input, 8) {
                0..=2 => Pace::EachLine,
                3 => Pace::Once,
                n => Pace::Drip([1, 7, 20, 60][n - 4]),
            },
            end: match choice(&mut input, 4) {
                0 => End::Eof,
                1 => End::Silence,
                2 => End::ReadError,
                _ => End::WriteError,
            },
            server: input,
        }
    }

    /// The same with another pace, where the client's own speed would matter.
    pub(crate) fn without_drip(mut self) -> Self {
        if matches!(self.pace, Pace::Drip(_)) {
            self.pace = Pace::EachLine;
        }
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) {
        let mut session = Session::new(&POLICIES[self.config], false);
        session.act(CALLERS[self.caller]);
        self.feed(&mut session, None);
        session.finish(self.end);
    }

    /// Runs it with input and output cut in pieces; returns all that can be seen of it.
    pub(crate) fn watch(&self, cut: Cut) -> Seen {
        let mut session = Session::new(&POLICIES[self.config], true);
        session.act(CALLERS[self.caller]);
        self.feed(&mut session, Some(cut));
        let state = format!(
            "{:?} {:?} {:?}",
            session.connection,
            session.connection.capabilities(),
            session.connection.stats()
        );
        session.finish(self.end);
        Seen {
            events: session.events.take().unwrap_or_default(),
            wire: session.ledger.wire().to_vec(),
            state,
        }
    }

    fn feed(&self, session: &mut Session, cut: Option<Cut>) {
        let cut = cut.unwrap_or(Cut {
            input: usize::MAX,
            output: usize::MAX,
        });
        if self.pace == Pace::Once {
            session.flush(cut.output);
            for part in self.server.chunks(cut.input) {
                session.input(part);
            }
            session.listen();
            return;
        }
        for line in self.server.split_inclusive(|&byte| byte == b'\n') {
            match self.pace {
                Pace::Drip(count) => {
                    session.upgrade();
                    session.listen();
                    session.send(count);
                }
                _ => session.flush(cut.output),
            }
            for part in line.chunks(cut.input) {
                session.input(part);
                if cut.input < line.len() {
                    session.listen();
                }
            }
            session.listen();
            if session.connection.is_closed() {
                break;
            }
        }
        session.flush(cut.output);
    }
}

impl Session {
    pub(crate) fn new(policy: &Policy, watched: bool) -> Self {
        Self {
            ledger: Ledger::new(policy.rules),
            connection: Connection::new(Arc::clone(&policy.config), Seed::from_bytes([7; 32])),
            now: Time::ORIGIN,
            mails: Vec::new(),
            batch: None,
            batch_told: 0,
            commands: Vec::new(),
            pieces: 0,
            told: Vec::new(),
            events: watched.then(Vec::new),
        }
    }

    fn act(&mut self, acts: &[Act]) {
        for act in acts {
            match act {
                Act::Mail(index) => {
                    let prepared = &MAILS[*index];
                    let id = self.connection.submit(prepared.mail.clone());
                    self.mails.push((id, prepared));
                }
                Act::Command(index) => {
                    let id = self.connection.command(COMMANDS[*index].clone());
                    self.commands.push(id);
                }
                Act::Batch => {
                    let mails: Vec<_> = BATCH.iter().map(|each| each.mail.clone()).collect();
                    self.batch = Some(Batch::new(mails.into_iter()));
                    self.ledger.allow(Pipelining::Transactions);
                }
                Act::Quit => self.connection.quit(),
                Act::GiveUp => self.pieces = GIVE_UP,
            }
        }
    }

    /// Sends all pending output, a limited number of bytes at a time, and starts TLS when it is
    /// due.
    ///
    /// The caller acts when all is sent, so that its acts do not depend on the size of a write.
    pub(crate) fn flush(&mut self, at_most: usize) {
        loop {
            self.listen();
            let mut moved = false;
            while self.send(at_most) {
                moved = true;
            }
            if !moved && !self.upgrade() {
                return;
            }
        }
    }

    fn send(&mut self, at_most: usize) -> bool {
        self.ledger.watch(&mut self.connection);
        look(&mut self.connection, &mut self.ledger, self.now);
        let Some(transmit) = self.connection.poll_transmit(self.now) else {
            self.ledger.watch(&mut self.connection);
            return false;
        };
        self.ledger.offered(self.now, &transmit);
        let count = transmit.len().min(at_most);
        self.ledger.watch_offer(&mut self.connection);
        self.connection.handle_sent(self.now, count);
        self.ledger.sent(count);
        true
    }

    pub(crate) fn input(&mut self, input: &[u8]) {
        if !self.connection.is_closed() {
            self.ledger.fed(self.now, input);
        }
        self.connection.handle_input(self.now, input);
        self.ledger.check(&mut self.connection);
    }

    fn upgrade(&mut self) -> bool {
        let Ok(upgrade) = self.connection.begin_tls(self.now) else {
            return false;
        };
        upgrade.complete(self.now, TlsInfo::new().with_round_trips(1));
        self.ledger.tls_began(self.now, &self.connection);
        true
    }

    /// Takes the events, and writes content that is wanted.
    fn listen(&mut self) {
        if !self.listen_to_batch() {
            return;
        }
        while let Some(event) = self.connection.poll_event() {
            if let Some(events) = &mut self.events {
                let text = match &event {
                    Ok(event) => format!("{event:#?}"),
                    Err(error) => error.to_string(),
                };
                if event.is_err() && events.last() == Some(&text) {
                    return;
                }
                events.push(text);
            }
            match event {
                Ok(Event::Outcome(id, outcome)) => self.hear(id, &outcome),
                Ok(Event::ContentWanted(id)) => self.write(id),
                Ok(Event::TokenWanted(_)) => {
                    let provided = self.connection.provide_token("a.token".into());
                    provided.expect("a token was wanted");
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// Takes the outcomes of the batch; returns whether no batch is in progress any more.
    fn listen_to_batch(&mut self) -> bool {
        if self.batch.is_some() {
            // The driver starts TLS before any question that waits for it.
            self.upgrade();
        }
        while let Some(batch) = &mut self.batch {
            match batch.poll_outcome(&mut self.connection) {
                Poll::Pending => return false,
                Poll::Ready(Some(outcome)) => {
                    let prepared = &BATCH[self.batch_told];
                    self.batch_told += 1;
                    if let Some(events) = &mut self.events {
                        events.push(format!("{outcome:#?}"));
                    }
                    let sender = prepared.mail.sender().as_str();
                    self.ledger
                        .check_outcome(sender, &outcome, Some(prepared.text));
                }
                Poll::Ready(None) => {
                    self.batch = None;
                    self.connection.quit();
                }
            }
        }
        true
    }

    fn hear(&mut self, id: MailId, outcome: &Outcome) {
        assert!(!self.told.contains(&id), "an outcome was told twice");
        self.told.push(id);
        let (_, prepared) = self.mails.iter().find(|(each, _)| *each == id).unwrap();
        let sender = prepared.mail.sender().as_str();
        self.ledger
            .check_outcome(sender, outcome, Some(prepared.text));
    }

    fn write(&mut self, id: MailId) {
        self.pieces += 1;
        match self.pieces.checked_sub(1).and_then(|at| PIECES.get(at)) {
            Some(piece) => {
                let piece = Bytes::from_static(piece.as_bytes());
                self.connection.write_content(id, piece).unwrap();
            }
            None if self.pieces > GIVE_UP + 1 => self.connection.abandon(id),
            None if self.pieces > GIVE_UP => {
                let piece = Bytes::from_static(b"Subject: never to be finished\r\n");
                self.connection.write_content(id, piece).unwrap();
            }
            None => self.connection.finish_content(id).unwrap(),
        }
    }

    /// Ends the connection. Then every question has its answer, and the first error stays.
    fn finish(&mut self, end: End) {
        if !self.connection.is_closed() {
            self.ledger.check_knowledge(&self.connection);
        }
        match end {
            End::Eof => self.connection.handle_eof(self.now),
            End::Silence => self.wait(),
            End::ReadError => self.connection.handle_read_error(self.now, broken()),
            End::WriteError => {
                self.connection.handle_write_error(self.now, broken());
                self.ledger.write_fails();
                assert!(self.connection.poll_transmit(self.now).is_none());
                self.connection.handle_eof(self.now);
            }
        }
        self.listen();
        assert!(self.connection.is_closed(), "it does not end");
        for (id, _) in &self.mails {
            assert!(self.told.contains(id), "a message without an outcome");
            assert!(matches!(
                self.connection.poll_outcome(*id),
                Poll::Ready(Err(_))
            ));
        }
        for id in &self.commands {
            assert!(self.connection.poll_reply(*id).is_ready());
        }
        assert!(self.batch.is_none(), "a batch without an end");
        for left in &BATCH[self.batch_told..] {
            let sender = left.mail.sender().as_str();
            assert!(self.ledger.never_saw(sender), "{sender} was not told of");
        }
        self.check_final();
    }

    /// Stays silent until no deadline is left; the limit of the session applies even when it is
    /// idle.
    fn wait(&mut self) {
        for _ in 0..100 {
            let Some(until) = self.connection.poll_timeout() else {
                return;
            };
            assert!(until >= self.now, "a deadline that has passed");
            self.now = until;
            self.connection.handle_timeout(until);
            self.ledger.looked(until);
            self.flush(usize::MAX);
        }
        panic!("the deadlines do not end");
    }

    /// After the end nothing changes, and there is no output.
    fn check_final(&mut self) {
        let before = final_error(&mut self.connection);
        self.connection.handle_input(self.now, b"250 ok\r\n");
        self.connection.handle_eof(self.now);
        self.connection
            .handle_timeout(self.now + Duration::from_secs(1_000_000));
        assert!(self.connection.poll_transmit(self.now).is_none());
        assert!(self.connection.poll_timeout().is_none());
        let after = final_error(&mut self.connection);
        match (before, after) {
            (None, None) => {}
            (Some(before), Some(after)) => {
                assert_eq!(before.stage(), after.stage());
                assert_eq!(before.kind().to_string(), after.kind().to_string());
            }
            (before, after) => panic!("{before:?} became {after:?}"),
        }
    }
}

/// Reports that all input was read, as a driver does where output is held back until then.
pub(crate) fn look(connection: &mut Connection, ledger: &mut Ledger, now: Time) {
    if connection.poll_transmit(now).is_none() && connection.poll_timeout() == Some(now) {
        connection.handle_timeout(now);
        ledger.looked(now);
    }
}

/// The error of a connection that is over, unless it ended as requested.
pub(crate) fn final_error(connection: &mut Connection) -> Option<Error> {
    connection.poll_closed().answer().err()
}

/// An error of the transport.
pub(crate) fn broken() -> TransportError {
    std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()
}

/// More pieces than any message has.
const GIVE_UP: usize = 100;
