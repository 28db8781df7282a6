//! How a client of any adapter goes through the scenarios that the machine's own tests are made of.
//!
//! Whoever includes this has `invariants` and `scenario` of those tests in the root of the crate.

use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use smtp_proto::{
    Connection, Error, ErrorKind, MailError, MessageId, Misuse, Outcome, Reply, Time, TlsFacts,
    Transmit, TransportError, Wire,
};
use smtp_test::{MemoryServer, Output, Peer, Player, Report, Split};

use crate::invariants::check_leaving;
use crate::scenario::{self, Piece, Scenario, Trace};

/// What drives the machine of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// A client over an [`Attentive`] wire.
    Attentive,
    /// A client over the machine itself, which another TLS stack takes over.
    Plain,
}

/// The scenarios in which the server speaks out of turn, or closes, while the client could go on. What becomes of that
/// is a matter of who is faster; they run over an [`Attentive`] wire only, where nobody is.
const OUT_OF_TURN: [&str; 13] = [
    "a_421_between_commands_is_a_closed_connection",
    "a_421_in_the_middle_of_the_text",
    "a_byte_behind_the_220_to_starttls_is_an_attack",
    "a_reply_before_starttls_was_said_does_not_answer_it",
    "a_reply_behind_the_220_to_starttls_is_an_attack",
    "a_reply_behind_the_354_is_not_the_final_one",
    "a_reply_between_commands_never_answers_the_next",
    "a_reply_in_the_middle_of_the_text_stops_it",
    "a_second_reply_behind_the_greeting_is_an_error",
    "a_server_that_closes_after_the_220_to_starttls",
    "a_surplus_reply_in_the_envelope_is_an_error",
    "a_window_of_two_replies",
    "a_yes_in_the_middle_of_the_text_is_none",
];

/// Lets `run` go through every scenario, in every manner and split; each has to go as it is written, and the server to
/// be sent the same each time.
///
/// With a `limit` the clock is a real one. Nothing is skipped for it: those who wait only do so side by side.
pub(crate) fn every_scenario(
    limit: Option<Duration>,
    run: impl Fn(&Scenario, Split, Manner) -> Result<Sent, String> + Sync,
) {
    let scenarios = scenario::all_within(limit);
    if std::env::var_os("SCENARIO").is_none() {
        let names: Vec<_> = scenarios.iter().map(|each| each.name.as_str()).collect();
        assert!(names.len() > 140, "only {} scenarios", names.len());
        assert!(OUT_OF_TURN.iter().all(|name| names.contains(name)));
    }
    let failed = Mutex::new(Vec::new());
    let check = |scenario: &Scenario| {
        let name = &scenario.name;
        let mut first = None;
        for manner in [Manner::Attentive, Manner::Plain] {
            if manner == Manner::Plain && OUT_OF_TURN.contains(&name.as_str()) {
                continue;
            }
            for split in Split::ALL {
                // Shown if it panics.
                println!("{name}, {manner:?}, {split:?}");
                let sent = run(scenario, split, manner).and_then(|sent| {
                    let same = *first.get_or_insert_with(|| sent.clone()) == sent;
                    same.then_some(())
                        .ok_or_else(|| format!("the server was sent {sent:?}"))
                });
                if let Err(text) = sent {
                    let text = format!("{name}, {manner:?}, {split:?}: {text}");
                    failed.lock().unwrap().push(text);
                }
            }
        }
    };
    let waits = |scenario: &&Scenario| limit.is_some() && scenario.needs_clock;
    thread::scope(|scope| {
        for scenario in scenarios.iter().filter(waits) {
            scope.spawn(|| check(scenario));
        }
        scenarios.iter().filter(|each| !waits(each)).for_each(check);
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The server of a scenario, and what it leaves behind.
pub(crate) struct Stage {
    pub(crate) trace: Trace,
    report: Report,
    line: Line,
}

/// What went over the line; a handle.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<Bytes>>);

#[derive(Default)]
struct Bytes {
    sent: Sent,
    /// What the server says next.
    next: Option<Output>,
    /// How many octets of the server's are under way to the client.
    under_way: usize,
}

/// All that a server was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    bytes: Vec<u8>,
    /// How much of it in clear, if TLS began.
    in_clear: Option<usize>,
    /// Whether the client closed.
    eof: bool,
}

impl Stage {
    pub(crate) fn set(scenario: &Scenario, split: Split) -> (Self, MemoryServer, Connection) {
        let player = scenario.script.play(split);
        let stage = Self {
            trace: Trace::default(),
            report: player.report(),
            line: Line::default(),
        };
        let mut recorder = Recorder {
            player,
            line: stage.line.clone(),
        };
        recorder.look_ahead();
        let wire = Connection::new(Arc::clone(&scenario.config), [7; 32]);
        (stage, MemoryServer::with_peer(recorder), wire)
    }

    /// A wire that hears all that was said before it says anything.
    pub(crate) fn attentive(&self, connection: Connection) -> Attentive {
        let mut wire = Attentive {
            connection,
            line: self.line.clone(),
        };
        wire.begin_tls(Time::ORIGIN);
        wire
    }

    /// Holds what was heard and said against the scenario, once the client is gone; gives what the server was sent.
    pub(crate) fn verdict(self, scenario: &Scenario) -> Result<Sent, String> {
        let heard = self.trace.0.trim_end();
        if let Err(mismatch) = self.report.verdict() {
            return Err(format!("{mismatch}\nheard:\n{heard}\n"));
        }
        if heard != scenario.expected {
            return Err(format!("heard\n{heard}\nand not\n{}\n", scenario.expected));
        }
        let sent = self.line.lock().sent.clone();
        check_leaving(scenario.config.security(), &sent.bytes, sent.in_clear);
        Ok(sent)
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Bytes> {
        self.0.lock().unwrap()
    }

    /// Whether the client has heard all that was said.
    fn is_quiet(&self) -> bool {
        let bytes = self.lock();
        bytes.under_way == 0 && bytes.next.is_none()
    }
}

/// A player that writes down what it is sent.
struct Recorder {
    player: Player,
    line: Line,
}

impl Recorder {
    fn look_ahead(&mut self) {
        let mut bytes = self.line.lock();
        if bytes.next.is_none() {
            bytes.next = self.player.poll_output();
        }
    }
}

impl Peer for Recorder {
    fn handle_input(&mut self, input: &[u8]) {
        self.line.lock().sent.bytes.extend_from_slice(input);
        self.player.handle_input(input);
        self.look_ahead();
    }

    fn handle_eof(&mut self) {
        self.line.lock().sent.eof = true;
        self.player.handle_eof();
        self.look_ahead();
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.line.lock().next.take();
        if let Some(Output::Write(octets)) = &output {
            self.line.lock().under_way += octets.len();
        }
        self.look_ahead();
        output
    }

    fn poll_upgrade(&mut self) -> bool {
        self.player.poll_upgrade()
    }

    fn handle_tls(&mut self, facts: smtp_test::TlsFacts) {
        let mut bytes = self.line.lock();
        bytes.sent.in_clear = Some(bytes.sent.bytes.len());
        drop(bytes);
        self.player.handle_tls(facts);
        self.look_ahead();
    }

    fn is_closed(&self) -> bool {
        self.player.is_closed()
    }
}

/// A wire that offers nothing while there is something to hear, and pretends TLS.
pub(crate) struct Attentive {
    connection: Connection,
    line: Line,
}

impl Attentive {
    fn begin_tls(&mut self, now: Time) {
        // To look at it keeps the machine from complaining that nobody does anything.
        if let Some(Ok(upgrade)) = self.connection.poll_upgrade()
            && self.line.is_quiet()
        {
            upgrade.complete(now, facts());
        }
    }
}

impl Wire for Attentive {
    fn handle_input(&mut self, now: Time, input: &[u8]) {
        self.line.lock().under_way -= input.len();
        self.connection.handle_input(now, input);
        self.begin_tls(now);
    }

    fn handle_eof(&mut self, now: Time) {
        self.connection.handle_eof(now);
    }

    fn handle_sent(&mut self, now: Time, count: usize) {
        self.connection.handle_sent(now, count);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.connection.handle_timeout(now);
    }

    fn handle_read_error(&mut self, now: Time, error: TransportError) {
        self.connection.handle_read_error(now, error);
    }

    fn handle_write_error(&mut self, now: Time, error: TransportError) {
        self.connection.handle_write_error(now, error);
    }

    fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        if self.line.is_quiet() {
            self.connection.poll_transmit(now)
        } else {
            None
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.connection.poll_timeout()
    }

    fn smtp(&mut self) -> &mut Connection {
        &mut self.connection
    }

    fn smtp_ref(&self) -> &Connection {
        &self.connection
    }
}

/// What there is to know of TLS that is pretended.
pub(crate) fn facts() -> TlsFacts {
    TlsFacts::new().with_version("TLSv1.3").with_round_trips(1)
}

/// Something that a caller has begun.
pub(crate) enum Begun<'a> {
    Mail(MessageId, &'a [Piece]),
    Done(Heard<'a>),
}

/// What a caller heard of something.
pub(crate) enum Heard<'a> {
    Outcome(Result<Outcome, Error>),
    Refused(&'a MailError),
    Reply(Result<Reply, Error>),
    Quit,
}

/// Whether the machine waits for somebody to begin TLS.
pub(crate) fn wants_tls(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Misuse(Misuse::UpgradePending))
}

/// Makes a client ready, in the TLS of somebody else if it comes to that; an async one is awaited.
macro_rules! secured {
    ($client:expr, $handshake:expr $(, $await:tt)?) => {{
        let mut client = $client;
        match client.ready()$(.$await)? {
            Err(error) if wants_tls(&error) => client.upgrade($handshake)$(.$await)?,
            ready => ready.map(|()| client),
        }
    }};
}

/// Does with a client what a scenario says, and takes note of all that is heard; an async one is awaited.
///
/// Commands are none that could be in line with others: a client that sends one waits for it.
macro_rules! perform {
    ($scenario:expr, $stage:expr, $client:expr $(, $await:tt)?) => {{
        let client = $client;
        let trace = &mut $stage.trace;
        match client {
            Err(error) => _ = trace.ready(Err(error)),
            Ok(mut client) => {
                trace.ready(Ok(()));
                let mut begun = Vec::new();
                let mut quits = false;
                for action in &$scenario.actions {
                    begun.push(match action {
                        Action::Mail(mail) => Begun::Mail(client.submit(mail.clone()), &[]),
                        Action::Stream(mail, pieces) => {
                            Begun::Mail(client.submit(mail.clone()), pieces)
                        }
                        Action::Refused(error) => Begun::Done(Heard::Refused(error)),
                        Action::Command(command) => {
                            let reply = client.command(command.clone())$(.$await)?;
                            Begun::Done(Heard::Reply(reply))
                        }
                        Action::Quit => {
                            client.connection_mut().quit();
                            quits = true;
                            Begun::Done(Heard::Quit)
                        }
                    });
                }
                let mut heard = Vec::new();
                for begun in begun {
                    heard.push(match begun {
                        Begun::Done(heard) => heard,
                        Begun::Mail(id, pieces) => {
                            for piece in pieces {
                                let Ok(BodyStatus::Wanted) = client.body(id)$(.$await)? else {
                                    break;
                                };
                                match piece {
                                    Piece::Text(text) => {
                                        client.write_body(id, text.clone().into()).unwrap();
                                    }
                                    Piece::Finish => client.finish_body(id).unwrap(),
                                    Piece::Fail => {
                                        client.connection_mut().fail_body(id, source_error());
                                    }
                                    Piece::Abandon => client.connection_mut().abandon(id),
                                }
                            }
                            Heard::Outcome(client.outcome(id)$(.$await)?)
                        }
                    });
                }
                let mut ended = if quits {
                    Some(client.quit()$(.$await)?)
                } else {
                    drop(client);
                    None
                };
                for heard in heard {
                    match heard {
                        Heard::Outcome(outcome) => trace.outcome(outcome),
                        Heard::Refused(error) => trace.refused(error),
                        Heard::Reply(reply) => trace.reply(reply),
                        Heard::Quit => trace.ended(ended.take().expect("quit once")),
                    }
                }
            }
        }
    }};
}
