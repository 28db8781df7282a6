//! Scenarios: what a caller does, what goes over the wire, and what the caller hears. A file each in `tests/scenarios`.
//!
//! ```text
//! # what this shows
//! policy cleartext                  starttls, implicit, opportunistic, cleartext
//! login alice secret                credentials
//! pipelining off
//! without CHUNKING                  a capability switched off
//! mail a@x.test b@x.test c@x.test   a sender (<> for none) and recipients; the text is the last `text`
//! text Subject: t\r\n\r\nhello\r\n
//! vrfy root                         or noop, rset, expn, help, custom
//! quit
//! ---
//! S: 220 …                          a script of smtp-test
//! ---
//! ready                             what the caller hears, a line each
//! b@x.test accepted: 250 ok
//! ```

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use smtp_proto::{
    Command, Config, Connection, Credentials, Error, Mail, Outcome, Pipelining, Reply, Security,
    Timeouts,
};
use smtp_test::{Script, Split};

use super::pair::Pair;

pub(crate) struct Scenario {
    pub name: String,
    pub config: Arc<Config>,
    pub actions: Vec<Action>,
    pub script: Script,
    pub expected: String,
    /// Whether it needs a clock that the test moves.
    pub needs_clock: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Mail(Mail),
    Command(Command),
    Quit,
}

/// What the caller heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace(pub String);

/// All scenarios, or the one that the environment variable `SCENARIO` names.
pub(crate) fn all() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../smtp-proto/tests/scenarios");
    let only = std::env::var("SCENARIO").ok();
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of scenarios")
        .map(|entry| entry.expect("a scenario").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    let scenarios: Vec<_> = paths
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(path).expect("a scenario's text");
            Scenario::parse(&name, &text)
        })
        .filter(|scenario| {
            only.as_ref()
                .is_none_or(|only| scenario.name.contains(only.as_str()))
        })
        .collect();
    assert!(!scenarios.is_empty(), "no scenario of that name");
    scenarios
}

impl Scenario {
    pub fn parse(name: &str, text: &str) -> Self {
        let mut parts = text.split("\n---\n");
        let mut part = || {
            parts
                .next()
                .unwrap_or_else(|| panic!("{name}: a part is missing"))
        };
        let (head, script, expected) = (part(), part(), part());
        let mut config = Config::builder("client.test".parse().unwrap());
        let mut actions = Vec::new();
        let mut body = String::from("Subject: t\r\n\r\nhello\r\n");
        for line in head
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
        {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let mut words = rest.split(' ');
            match word {
                "policy" => config = config.security(policy(rest)),
                "login" => {
                    let (user, password) = (words.next().unwrap(), words.next().unwrap());
                    config = config.credentials(Credentials::password(user, password).unwrap());
                }
                "token" => {
                    let (user, token) = (words.next().unwrap(), words.next().unwrap());
                    config = config.credentials(Credentials::xoauth2(user, token).unwrap());
                }
                "credentials-in-clear" => config = config.dangerous_credentials_in_clear(),
                "pipelining" => config = config.pipelining(Pipelining::Off),
                "without" => config = config.without(rest),
                "session-limit" => {
                    let limit = std::time::Duration::from_secs(rest.parse().unwrap());
                    config = config.timeouts(Timeouts::default().session(limit));
                }
                "text" => body = unescape(rest),
                "mail" => {
                    let sender = words.next().unwrap().trim_matches(['<', '>']);
                    let mail = Mail::new(sender, words, body.clone())
                        .unwrap_or_else(|error| panic!("{name}: {error}"));
                    actions.push(Action::Mail(mail));
                }
                "noop" => actions.push(Action::Command(Command::noop())),
                "rset" => actions.push(Action::Command(Command::rset())),
                "vrfy" => actions.push(Action::Command(Command::vrfy(rest).unwrap())),
                "expn" => actions.push(Action::Command(Command::expn(rest).unwrap())),
                "help" => actions.push(Action::Command(
                    Command::help(words.next().filter(|word| !word.is_empty())).unwrap(),
                )),
                "custom" => {
                    let (verb, arguments) = rest
                        .split_once(' ')
                        .map_or((rest, None), |(verb, rest)| (verb, Some(rest)));
                    actions.push(Action::Command(Command::custom(verb, arguments).unwrap()));
                }
                "quit" => actions.push(Action::Quit),
                other => panic!("{name}: no such line: {other}"),
            }
        }
        Self {
            name: name.to_owned(),
            config: Arc::new(config.build().unwrap()),
            actions,
            script: Script::parse(script).unwrap_or_else(|error| panic!("{name}: {error}")),
            expected: expected.trim_end().to_owned(),
            needs_clock: script.contains("<timeout>"),
        }
    }

    /// Runs it through the machine; returns what the caller heard and what was sent.
    pub fn run(&self, split: Split, write_at_most: usize) -> (Trace, Vec<u8>) {
        let player = self.script.play(split);
        let report = player.report();
        let mut pair = Pair::new(Arc::clone(&self.config), player);
        pair.write_at_most = write_at_most;
        let mut trace = Trace::default();
        if trace.ready(pair.drive(Connection::poll_ready)) {
            let ids: Vec<_> = self
                .actions
                .iter()
                .map(|action| submit(&mut pair.connection, action))
                .collect();
            for id in ids {
                match id {
                    Id::Mail(id) => trace.outcome(pair.drive(|c| c.poll_outcome(id))),
                    Id::Command(id) => trace.reply(pair.drive(|c| c.poll_reply(id))),
                    Id::Quit => trace.ended(pair.drive(Connection::poll_ended)),
                }
            }
        }
        super::invariants::check_leaving(self.config.security(), &pair.sent, pair.sent_in_clear);
        if let Err(mismatch) = report.verdict() {
            panic!(
                "{} ({split:?}, {write_at_most} bytes a write): {mismatch}\nheard:\n{}",
                self.name, trace.0
            );
        }
        (trace, pair.sent)
    }
}

enum Id {
    Mail(smtp_proto::MessageId),
    Command(smtp_proto::CommandId),
    Quit,
}

fn submit(connection: &mut Connection, action: &Action) -> Id {
    match action {
        Action::Mail(mail) => Id::Mail(connection.submit(mail.clone())),
        Action::Command(command) => Id::Command(connection.command(command.clone())),
        Action::Quit => {
            connection.quit();
            Id::Quit
        }
    }
}

impl Trace {
    /// Takes note of whether the connection became ready, and returns it.
    pub fn ready(&mut self, result: Result<(), Error>) -> bool {
        match &result {
            Ok(()) => self.line("ready"),
            Err(error) => self.line(&format!("failed {error}")),
        }
        result.is_ok()
    }

    pub fn outcome(&mut self, result: Result<Outcome, Error>) {
        match result {
            Ok(outcome) => {
                for delivery in outcome.deliveries() {
                    self.line(&format!(
                        "{} {}",
                        delivery.recipient().as_str(),
                        delivery.fate()
                    ));
                }
            }
            Err(error) => self.line(&format!("failed {error}")),
        }
    }

    pub fn reply(&mut self, result: Result<Reply, Error>) {
        match result {
            Ok(reply) => self.line(&format!("reply {reply}")),
            Err(error) => self.line(&format!("failed {error}")),
        }
    }

    pub fn ended(&mut self, result: Result<(), Error>) {
        match result {
            Ok(()) => self.line("ended"),
            Err(error) => self.line(&format!("failed {error}")),
        }
    }

    fn line(&mut self, text: &str) {
        writeln!(self.0, "{text}").unwrap();
    }
}

fn policy(name: &str) -> Security {
    match name {
        "starttls" => Security::StartTls,
        "implicit" => Security::Implicit,
        "opportunistic" => Security::Opportunistic,
        "cleartext" => Security::Cleartext,
        _ => panic!("no such policy: {name}"),
    }
}

fn unescape(text: &str) -> String {
    text.replace("\\r", "\r").replace("\\n", "\n")
}
