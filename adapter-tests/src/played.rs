//! The scenarios of the state machine's tests, for the client of any adapter.

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

/// What drives the connection of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A client over an `Attentive` wire, which transmits only after it has handled all replies, as
    /// in the state machine's tests.
    Attentive,
    /// A client over the connection itself, whose stream another TLS stack takes over.
    ///
    /// Where the server replies out of turn, or the client could continue before it has handled
    /// every reply, the result is a race. Such a run is counted and not compared.
    Plain,
}

/// Has `run` go through every scenario, in every manner and split. Each must go as it is written,
/// and the server must receive the same bytes each time.
///
/// With a `limit` the clock is a real one. No scenario is skipped for it; those that wait run at
/// the same time.
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
                        Err(format!("the server received {sent:?}"))
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

/// With a byte at a time, output after a reply is transmitted before a surplus reply after it is
/// read.
const RACES: [&str; 2] = [
    "reply/reply_behind_the_354_is_not_the_final_one",
    "reply/surplus_reply_in_the_envelope_is_an_error",
];

/// The server of a scenario, and its records.
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

    /// A wire that transmits only after it has handled all replies.
    pub fn attentive(&self, connection: Connection) -> Attentive {
        self.line.attentive(connection)
    }

    /// Compares what client and server received with the scenario, after the client was dropped.
    /// Returns what the server received, unless there was a race.
    pub fn check(self, scenario: &Scenario) -> Result<Option<Sent>, String> {
        let heard = self.trace.0.trim_end();
        let sent = self.line.sent();
        // A command that was cut cannot be recognized.
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

/// A message that a caller has submitted, or a result.
pub enum Begun<'a> {
    Mail(MailId, &'a [Piece]),
    Done(Heard<'a>),
}

/// A result that a caller received.
pub enum Heard<'a> {
    Outcome(Result<Outcome, Error>),
    Rejected(&'a MailError),
    Reply(Result<Reply, Error>),
    Quit,
}

/// Whether the connection waits for a TLS layer.
pub fn wants_tls(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Misuse(ApiMisuse::UpgradePending))
}
