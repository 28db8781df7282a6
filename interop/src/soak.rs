//! Very many messages in batches over connections that break at random. The outcomes must agree
//! with the server's queue and log, and memory and descriptors must not grow.

use std::fmt;
use std::fs;
use std::io;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use smtp_proto::{Outcome, Pipelining, RecipientStatus, Security, Timeouts};
use smtp_rustls::Endpoint;

use crate::adapter::{self, Adapter};
use crate::case::{Text, Way, check_stored, mails};
use crate::environment::{Environment, HOST, Listener};
use crate::message::Message;
use crate::process;
use crate::relay::{self, Direction, Manner, Passage};
use crate::server::{DeliveryLog, Held};

/// The messages to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) mails: u32,
    pub(crate) seed: u64,
    /// The number of sessions before.
    pub(crate) before: u64,
}

/// The outcomes, by recipients.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    mails: u32,
    connections: u64,
    /// Recipients to which a message was sent again, because it had not been sent.
    again: u64,
    accepted: u64,
    rejected: u64,
    in_doubt: u64,
    /// The number of recipients in doubt whose message is stored.
    in_doubt_stored: u64,
    stored: u64,
    /// Memory after half of the messages and at the end, in KiB.
    memory: [u64; 2],
    /// Descriptors before the first round and at the end.
    descriptors: [usize; 2],
    took: Duration,
}

/// Sends all messages.
///
/// # Errors
/// Any disagreement; also if it takes longer than a quarter of an hour.
pub(crate) fn run(
    environment: &Environment,
    mut delivery_log: DeliveryLog,
    load: Load,
) -> Result<Tally, String> {
    let begin = Instant::now();
    let mut tally = Tally::default();
    let settle = |delivery_log: &mut DeliveryLog, sessions| {
        let held = delivery_log.settle(sessions);
        held.map_err(|error| format!("{error:#}"))
    };
    let mut random = Rng::with_seed(load.seed);
    let endpoints = endpoints(environment)?;
    // A runtime opens some files at the first connection and keeps them.
    for (adapter, endpoint) in Adapter::ALL.into_iter().zip(&endpoints) {
        let nothing = adapter::Load::Batch(Vec::new());
        let session = adapter.converse(endpoint, environment.address(Listener::Relay), nothing);
        session.map_err(|error| format!("{error:#}"))?;
    }
    settle(&mut delivery_log, load.before + Adapter::ALL.len() as u64)?;
    tally.descriptors[0] = descriptors(usize::MAX)?;
    while tally.mails < load.mails {
        let count = ROUND.min(load.mails - tally.mails);
        let round = Round {
            environment,
            endpoints: &endpoints,
            until: begin + LONGEST,
            state: Mutex::new(State {
                waiting: (0..count).map(|_| message(&mut random)).collect(),
                ..State::default()
            }),
        };
        let workers = Adapter::ALL.into_iter().cycle().take(WORKERS);
        let workers: Vec<_> = workers.map(|adapter| (adapter, random.fork())).collect();
        thread::scope(|scope| {
            let round = &round;
            let work = |(adapter, random)| scope.spawn(move || round.work(adapter, random));
            let workers: Vec<_> = workers.into_iter().map(work).collect();
            let mut done = workers.into_iter().map(thread::ScopedJoinHandle::join);
            done.try_for_each(|done| done.map_err(|_| "a client panicked".to_owned())?)
        })?;
        let state = round
            .state
            .into_inner()
            .map_err(|error| format!("{error:#}"))?;
        let held = settle(&mut delivery_log, state.connections)?;
        tally.mails += count;
        tally.connections += state.connections;
        tally.again += state.again;
        tally.compare(&state.told, held)?;
        drop(state.told);
        tally.memory[1] = memory().map_err(|error| format!("{error:#}"))?;
        // After half of the messages an allocator has reached its size.
        if tally.memory[0] == 0 || tally.mails <= load.mails / 2 {
            tally.memory[0] = tally.memory[1];
        }
        tally.descriptors[1] = descriptors(tally.descriptors[0])?;
    }
    tally.took = begin.elapsed();
    tally.check_use()?;
    Ok(tally)
}

/// The messages between two looks at the server.
struct Round<'a> {
    environment: &'a Environment,
    endpoints: &'a [Endpoint],
    until: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Messages of which nothing has been sent.
    waiting: Vec<Message>,
    /// The status of the recipient at an index.
    told: Vec<(Message, usize, RecipientStatus)>,
    again: u64,
    connections: u64,
}

impl Round<'_> {
    /// Sends waiting messages until there are none.
    fn work(&self, adapter: Adapter, mut random: Rng) -> Result<(), String> {
        loop {
            let messages = {
                let mut state = self.state.lock().map_err(|error| format!("{error:#}"))?;
                // Small batches are as frequent as large ones.
                let most = 1 << random.u32(0..=LARGEST.ilog2());
                let rest = state
                    .waiting
                    .len()
                    .saturating_sub(random.usize(0..most) + 1);
                state.connections += u64::from(rest < state.waiting.len());
                state.waiting.split_off(rest)
            };
            if messages.is_empty() {
                return Ok(());
            }
            if Instant::now() > self.until {
                return Err(format!("it takes longer than {} s", LONGEST.as_secs()));
            }
            let passage = passage(&mut random, messages.len() as u64);
            let address = relay::open(self.environment.address(Listener::Relay), passage);
            let address = address.map_err(|error| format!("{error:#}"))?;
            let endpoint = &self.endpoints[random.usize(..self.endpoints.len())];
            let batch = adapter::Load::Batch(mails(&messages)?);
            // If the connection did not become ready, nothing was sent.
            let session = adapter.converse(endpoint, address, batch);
            let outcomes = session.map_or_else(|_| Vec::new(), |session| session.outcomes);
            let mut state = self.state.lock().map_err(|error| format!("{error:#}"))?;
            let mut outcomes = outcomes.iter();
            for message in messages {
                let deliveries = outcomes.next().map_or(&[][..], Outcome::recipients);
                let mut unsent = Vec::new();
                for (index, recipient) in message.recipients().iter().enumerate() {
                    match deliveries.get(index).map(|delivery| delivery.status()) {
                        None | Some(RecipientStatus::NotSent(_)) => unsent.push(recipient.clone()),
                        Some(status) => state.told.push((message.clone(), index, status.clone())),
                    }
                }
                if !unsent.is_empty() {
                    state.again += unsent.len() as u64;
                    state.waiting.push(message.to(unsent));
                }
            }
        }
    }
}

impl Tally {
    /// Compares the queue and the log with the outcomes.
    fn compare(
        &mut self,
        told: &[(Message, usize, RecipientStatus)],
        mut held: Held,
    ) -> Result<(), String> {
        for (message, index, status) in told {
            let recipient = &message.recipients()[*index];
            let found = held.mails.remove(recipient).unwrap_or_default();
            let wrong = |what: &str| Err(format!("{recipient}: {status}, and {what}"));
            match &*found {
                [] => {}
                [(name, mail)] => {
                    check_stored(message, mail)?;
                    if held.logged.get(name) != Some(&message.message_id()) {
                        return wrong("the log does not know it");
                    }
                }
                _ => return wrong("stored more than once"),
            }
            self.stored += found.len() as u64;
            match (status, found.first()) {
                (RecipientStatus::Accepted(reply), Some((name, _))) => {
                    message.check_status(*index, status)?;
                    if !reply.to_string().contains(name.as_str()) {
                        return wrong("stored by another name");
                    }
                    self.accepted += 1;
                }
                (RecipientStatus::Rejected { .. }, None) => {
                    message.check_status(*index, status)?;
                    if !held.rejected.contains(message.sender()) {
                        return wrong("the log does not know it");
                    }
                    self.rejected += 1;
                }
                (RecipientStatus::InDoubt(_), found) => {
                    self.in_doubt += 1;
                    self.in_doubt_stored += u64::from(found.is_some());
                }
                (_, Some(_)) => return wrong("it is stored"),
                (_, None) => return wrong("it is not stored"),
            }
        }
        match held.mails.pop_first() {
            None => Ok(()),
            Some((recipient, _)) => Err(format!("stored for {recipient}, but never sent")),
        }
    }

    /// Asserts that memory and descriptors have not grown.
    fn check_use(&self) -> Result<(), String> {
        let [before, after] = self.memory;
        if after > before + MORE {
            return Err(format!("{before} KiB of memory became {after}"));
        }
        match self.descriptors {
            [before, after] if after > before => Err(format!("{before} files became {after}")),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} messages over {} connections in {:.1} s",
            self.mails,
            self.connections,
            self.took.as_secs_f64(),
        )?;
        writeln!(
            f,
            "recipients: {} accepted, {} rejected, {} in doubt, of whom {} stored; {} stored in all; {} sent once more",
            self.accepted,
            self.rejected,
            self.in_doubt,
            self.in_doubt_stored,
            self.stored,
            self.again
        )?;
        let ([memory, more], [files, now]) = (self.memory, self.descriptors);
        write!(
            f,
            "memory {memory} KiB, then {more}; descriptors {files}, then {now}"
        )
    }
}

/// The number of messages between two looks at the server.
const ROUND: u32 = 2500;

/// The number of connections at one time.
const WORKERS: usize = 6;

/// The largest batch, a power of two.
const LARGEST: usize = 512;

/// The limit of time.
const LONGEST: Duration = Duration::from_secs(900);

/// How much memory may grow, in KiB: the size of an allocator varies.
const MORE: u64 = 4 * 1024;

/// An endpoint for each way to send and each security setting.
fn endpoints(environment: &Environment) -> Result<Vec<Endpoint>, String> {
    let mut endpoints = Vec::new();
    for level in [Pipelining::Transactions, Pipelining::Speculative] {
        for text in [Text::Data, Text::Chunk] {
            for security in [Security::Cleartext, Security::StartTls] {
                let endpoint = Endpoint::builder(HOST)
                    .security(security)
                    .tls(environment.certificates.trust().clone())
                    .timeouts(Timeouts::default().at_most(process::LONGEST));
                let endpoint = Way { level, text }.apply(endpoint).build();
                endpoints.push(endpoint.map_err(|error| format!("{error:#}"))?);
            }
        }
    }
    Ok(endpoints)
}

/// Most are accepted into the queue, the others rejected at some step.
fn message(random: &mut Rng) -> Message {
    const SENDERS: [&str; 3] = ["badmail", "badend", "tmpend"];
    const RECIPIENTS: [&[&str]; 4] = [&["no"], &["grey"], &["ok", "full"], &["over", "ok", "ok"]];
    match random.u32(0..10) {
        0 => Message::new(SENDERS[random.usize(..SENDERS.len())], &["ok"]),
        1 => Message::new("hold", RECIPIENTS[random.usize(..RECIPIENTS.len())]),
        _ => Message::new("hold", &["ok"]),
    }
}

/// A break within the bytes of `mails` messages, or after them.
fn passage(random: &mut Rng, mails: u64) -> Passage {
    let (direction, bytes) = match random.bool() {
        true => (Direction::ToServer, 600),
        false => (Direction::ToClient, 150),
    };
    let manners = [Manner::Close, Manner::Reset, Manner::Deaf];
    Passage::Break {
        direction,
        after: random.u64(1..500 + mails * bytes * 3 / 2),
        manner: manners[random.usize(..manners.len())],
    }
}

/// The resident memory of this program, in KiB.
fn memory() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    figure.ok_or_else(|| io::Error::other("the system does not tell how much memory is in use"))
}

/// The number of open files, once it is at most `most`, or after a while.
fn descriptors(most: usize) -> Result<usize, String> {
    let until = Instant::now() + process::LONGEST;
    loop {
        let files = fs::read_dir("/proc/self/fd").map_err(|error| format!("{error:#}"))?;
        let count = files.count();
        // Threads that forwarded bytes may be about to end.
        if count <= most || Instant::now() > until {
            return Ok(count);
        }
        thread::sleep(process::POLL);
    }
}
