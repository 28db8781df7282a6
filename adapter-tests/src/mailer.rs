//! What the tests of a mailer need: futures that run side by side, and a server that fails.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use smtp_test::{Action, Config, Log, Machine, Moment, Server, Stage};

/// The outputs of futures that run side by side in one task.
pub async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<Pin<Box<F>>> = futures.map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(cx)
            {
                *output = Some(ready);
            }
        }
        match outputs.iter().all(Option::is_some) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

/// How many messages a soak test sends: few, or as many as `SOAK` says.
pub fn soak_count() -> usize {
    std::env::var("SOAK").map_or(600, |count| count.parse().expect("SOAK is a number"))
}

/// A server each of whose connections fails in another way.
pub struct Hostile {
    server: Server,
    logs: Arc<Mutex<Vec<Log>>>,
}

impl Hostile {
    /// Starts it on a free port.
    pub fn start() -> Self {
        let logs = Arc::<Mutex<Vec<Log>>>::default();
        let kept = Arc::clone(&logs);
        let server = Server::with_peers(move |number| {
            let log = Log::new();
            kept.lock().unwrap().push(log.clone());
            Box::new(Machine::with_log(&config(number), &log))
        });
        Self {
            server: server.unwrap(),
            logs,
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Checks that the messages numbered up to `count` were stored once each, apart from those in
    /// doubt.
    #[track_caller]
    pub fn check(&self, count: usize, doubts: &[usize], retried: u64) {
        let logs = self.logs.lock().unwrap();
        let mut stored = BTreeMap::<usize, usize>::new();
        for mail in logs.iter().flat_map(Log::mails) {
            let local = mail.addresses()[0]
                .trim_end_matches("@example.net")
                .to_owned();
            *stored.entry(local[3..].parse().unwrap()).or_default() += 1;
        }
        let connections = logs.len();
        let doubted = doubts.len();
        println!(
            "{count} messages: {connections} connections, {retried} sent again, {doubted} in doubt"
        );
        for number in 0..count {
            let copies = stored.get(&number).copied().unwrap_or(0);
            assert!(copies <= 1, "message {number} is stored {copies} times");
            assert!(
                copies == 1 || doubts.contains(&number),
                "message {number} is lost"
            );
        }
    }
}

/// How the connection with this number fails. Most are used for some messages before.
fn config(number: usize) -> Config {
    let config = Config::new().discard_bodies().discard_transcripts();
    // The message at which it fails.
    let nth = 1 + number * 7 % 40;
    let length = (number as u64 * 5) % 90;
    let (stage, action): (Moment, _) = match number % 16 {
        0 => (Stage::Mail.nth(nth), Action::close()),
        1 => (Stage::AnyRcpt.nth(nth), Action::reset()),
        2 => (Stage::Data.nth(nth), Action::cut()),
        3 => (Stage::Body(length).nth(nth), Action::cut()),
        4 => (Stage::Body(length).nth(nth), Action::reset()),
        5 => (Stage::EndOfData.nth(nth), Action::close()),
        6 => (Stage::EndOfData.nth(nth), Action::reset()),
        7 => (
            Stage::EndOfData.nth(nth),
            Action::normal().cut_at(number % 9),
        ),
        8 => (Stage::EndOfData.nth(nth), Action::normal().then_close()),
        9 => (Stage::EndOfData.nth(nth), Action::normal().then_reset()),
        10 => {
            let idle = Action::normal().then("421 4.4.2 idle for too long\r\n");
            (Stage::EndOfData.nth(nth), idle.then_close())
        }
        11 => (
            Stage::EndOfData.nth(nth),
            Action::normal().then("250 surplus\r\n"),
        ),
        12 => (
            Stage::Mail.nth(nth),
            Action::reply("421 4.3.2 going down").then_close(),
        ),
        13 => (
            Stage::EndOfData.nth(nth),
            Action::reply("451 4.3.0 not now"),
        ),
        14 if number.is_multiple_of(3) => {
            let busy = Action::reply("421 4.7.0 too many connections");
            (Stage::Greeting.into(), busy.then_close())
        }
        _ => return config,
    };
    config.on(stage, action)
}
