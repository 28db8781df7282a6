//! How a client of any adapter goes through the scenarios that the machine's own tests are made of.
//!

mod line;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub use line::Sent;
use line::{Attentive, Line};
use smtp_proto::{
    ApiMisuse, Connection, Error, ErrorKind, MailError, MailId, Outcome, Reply, Seed,
};
use smtp_test::{MemoryServer, Report, Split};

use crate::invariants::check_leaving;
use crate::scenario::{self, Piece, Scenario, Trace};

/// What drives the machine of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A client over an `Attentive` wire: it hears all that was said before it says anything, as in the machine's tests.
    Attentive,
    /// A client over the machine itself, which another TLS stack takes over.
    ///
    /// Where the server speaks out of turn, or the client could go on before it has heard all, what becomes of that is a
    /// matter of who is faster. Whoever was then does not have to hear what is written, and is counted.
    Plain,
}

/// Lets `run` go through every scenario, in every manner and split; each has to go as it is written, and the server to
/// be sent the same each time.
///
/// With a `limit` the clock is a real one. Nothing is skipped for it: those who wait only do so side by side.
pub fn every_scenario(
    limit: Option<Duration>,
    run: impl Fn(&Scenario, Split, Manner) -> Result<Option<Sent>, String> + Sync,
) {
    let scenarios = scenario::all_within(limit);
    let (failed, raced) = (Mutex::new(Vec::new()), Mutex::new(BTreeSet::new()));
    let ran = Mutex::new(BTreeSet::new());
    let check = |scenario: &Scenario| {
        let name = &scenario.name;
        ran.lock().unwrap().insert(name.clone());
        let mut first = None;
        for manner in [Manner::Attentive, Manner::Plain] {
            if manner == Manner::Plain && RACES.contains(&name.as_str()) {
                continue;
            }
            for split in Split::ALL {
                // Shown if it panics.
                println!("{name}, {manner:?}, {split:?}");
                let sent = run(scenario, split, manner).and_then(|sent| match sent {
                    Some(sent) if *first.get_or_insert_with(|| sent.clone()) != sent => {
                        Err(format!("the server was sent {sent:?}"))
                    }
                    None if manner == Manner::Attentive => Err("it raced".to_owned()),
                    None => {
                        raced.lock().unwrap().insert(name.clone());
                        Ok(())
                    }
                    Some(_) => Ok(()),
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
    let (all, raced) = (scenarios.len(), raced.into_inner().unwrap());
    if std::env::var_os("SCENARIO").is_none() {
        assert!(ran.into_inner().unwrap().into_iter().eq(scenario::names()));
        for name in RACES {
            assert!(scenarios.iter().any(|each| each.name == name), "{name}");
        }
        assert!(raced.len() < all / 6, "too many are a race: {raced:?}");
    }
}

/// Where a stream gives a byte at a time, what follows a reply is offered before another reply after it is read.
const RACES: [&str; 2] = [
    "reply/reply_behind_the_354_is_not_the_final_one",
    "reply/surplus_reply_in_the_envelope_is_an_error",
];

/// The server of a scenario, and what it leaves after.
pub struct Stage {
    pub trace: Trace,
    report: Report,
    pub line: Line,
}

impl Stage {
    pub fn set(
        scenario: &Scenario,
        split: Split,
        manner: Manner,
    ) -> (Self, MemoryServer, Connection) {
        let player = scenario.script.play(split);
        let stage = Self {
            trace: Trace::default(),
            report: player.report(),
            line: Line::default(),
        };
        let server =
            MemoryServer::with_peer(stage.line.recorder(player, manner == Manner::Attentive));
        let wire = Connection::new(Arc::clone(&scenario.config), Seed::from_bytes([7; 32]));
        (stage, server, wire)
    }

    /// A wire that hears all that was said before it says anything.
    pub fn attentive(&self, connection: Connection) -> Attentive {
        self.line.attentive(connection)
    }

    /// Holds what was heard and said against the scenario, once the client is gone; gives what the server was sent, unless
    /// the client raced.
    pub fn verdict(self, scenario: &Scenario) -> Result<Option<Sent>, String> {
        let heard = self.trace.0.trim_end();
        let sent = self.line.sent();
        // Of a command that was cut nobody knows which it was.
        let whole = sent.bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = &sent.bytes[..whole.map_or(0, |at| at + 1)];
        check_leaving(scenario.config.security(), whole, sent.in_clear);
        if self.line.has_raced() {
            return Ok(None);
        }
        if let Err(mismatch) = self.report.verdict() {
            return Err(format!("{mismatch}\nheard:\n{heard}\n"));
        }
        if heard != scenario.expected {
            return Err(format!("heard\n{heard}\nand not\n{}\n", scenario.expected));
        }
        Ok(Some(sent))
    }
}

/// Something that a caller has begun.
pub enum Begun<'a> {
    Mail(MailId, &'a [Piece]),
    Done(Heard<'a>),
}

/// What a caller heard of something.
pub enum Heard<'a> {
    Outcome(Result<Outcome, Error>),
    Rejected(&'a MailError),
    Reply(Result<Reply, Error>),
    Quit,
}

/// Whether the machine waits for somebody to begin TLS.
pub fn wants_tls(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Misuse(ApiMisuse::UpgradePending))
}

/// Makes a client ready, in the TLS of somebody else if it comes to that; an async one is awaited.
#[macro_export]
macro_rules! secured {
    ($client:expr, $handshake:expr $(, $await:tt)?) => {{
        let mut client = $client;
        match client.ready()$(.$await)? {
            Err(error) if wants_tls(&error) => client.upgrade($handshake)$(.$await)?,
            Err(error) => {
                // The last word; that it ends in the same failure is known.
                let _ = client.quit()$(.$await)?;
                Err(error)
            }
            Ok(()) => Ok(client),
        }
    }};
}

/// Makes a client ready, or lets it say its last word; an async one is awaited.
#[macro_export]
macro_rules! readied {
    ($client:expr $(, $await:tt)?) => {{
        let mut client = $client;
        match client.ready()$(.$await)? {
            Ok(()) => Ok(client),
            Err(error) => {
                // That it ends in the same failure is known.
                let _ = client.quit()$(.$await)?;
                Err(error)
            }
        }
    }};
}

/// Does with a client what a scenario says, and records all that is heard; an async one is awaited.
///
/// Commands are none that could be in line with others: a client that sends one waits for it.
#[macro_export]
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
                        Action::Rejected(error) => Begun::Done(Heard::Rejected(error)),
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
                                let Ok(ContentStatus::Wanted) = client.content_wanted(id)$(.$await)? else {
                                    break;
                                };
                                match piece {
                                    Piece::Text(text) => {
                                        client.connection_mut().write_content(id, text.clone().into()).unwrap();
                                    }
                                    Piece::Finish => client.connection_mut().finish_content(id).unwrap(),
                                    Piece::Fail => {
                                        client.connection_mut().fail_content(id, source_error());
                                    }
                                    Piece::Abandon => client.connection_mut().abandon(id),
                                }
                            }
                            Heard::Outcome(client.wait_outcome(id)$(.$await)?)
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
                        Heard::Rejected(error) => trace.rejected(error),
                        Heard::Reply(reply) => trace.reply(reply),
                        Heard::Quit => trace.ended(ended.take().expect("quit once")),
                    }
                }
            }
        }
    }};
}
