//! The cases that are run with each server and each client, and their expected results.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use smtp_proto::{
    Error, Mail, Outcome, Pipelining, Protocol, RecipientOutcome, RecipientStatus, Security,
    Timeouts,
};
use smtp_rustls::{Endpoint, EndpointBuilder};

use crate::adapter::{Adapter, Load, Session};
use crate::environment::{Environment, HOST, InternalListener, Listener};
use crate::message::Message;
use crate::process::{LONGEST, Running};
use crate::server::{self, Server, Stored};

mod address;
mod batch;
mod end_to_end;
mod extension;
mod fault;
mod lmtp;
mod login;
mod mailer;
mod origin;
mod proxy;
mod report;
mod retry;
mod sasl;
mod security;
mod size;
mod slow_link;
mod text;

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&CaseContext<'_>) -> Verdict,
}

/// The result of a case.
pub(crate) type Verdict = Result<Done, String>;

/// The result of a case without a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Passed,
    /// The server lacks an extension or a listener that the case needs.
    Unsupported,
}

/// A running server, and a client to test with it.
pub(crate) struct CaseContext<'a> {
    pub(crate) server: &'a dyn Server,
    pub(crate) environment: &'a Environment,
    pub(crate) running: &'a RefCell<Running>,
    pub(crate) adapter: Adapter,
    /// The transcript of the last connections.
    pub(crate) transcript: Arc<Mutex<Vec<String>>>,
    /// Whether the server lacks a listener that the case needs.
    lacks: Cell<bool>,
}

/// All cases for a server, in this order.
pub(crate) fn cases(server: &dyn Server) -> impl Iterator<Item = &'static Case> {
    let own = match server.protocol(Listener::Relay) {
        Protocol::Lmtp => lmtp::CASES,
        _ => &[],
    };
    [
        batch::CASES,
        security::CASES,
        sasl::CASES,
        login::CASES,
        extension::CASES,
        text::CASES,
        address::CASES,
        report::CASES,
        size::CASES,
        origin::CASES,
        proxy::CASES,
        fault::CASES,
        retry::CASES,
        mailer::CASES,
        slow_link::CASES,
        end_to_end::CASES,
        own,
    ]
    .into_iter()
    .flatten()
}

impl<'a> CaseContext<'a> {
    pub(crate) fn new(
        server: &'a dyn Server,
        environment: &'a Environment,
        running: &'a RefCell<Running>,
        adapter: Adapter,
    ) -> Self {
        Self {
            server,
            environment,
            running,
            adapter,
            transcript: Arc::default(),
            lacks: Cell::new(false),
        }
    }

    /// Runs a case.
    pub(crate) fn run(&self, case: &Case) -> Verdict {
        let verdict = (case.run)(self);
        match self.lacks.take() {
            true => Ok(Done::Unsupported),
            false => verdict,
        }
    }

    /// Whether the server has this listener.
    pub(crate) fn has(&self, listener: Listener) -> bool {
        self.server.listeners().contains(&listener)
    }

    /// Whether the server has this internal listener.
    pub(crate) fn has_internal(&self, listener: InternalListener) -> bool {
        self.server.internal_listeners().contains(&listener)
    }

    /// The kinds of addresses that the server can reject, and `ok`.
    pub(crate) fn known<'k>(&self, kinds: &[&'k str]) -> Vec<&'k str> {
        let known = |kind: &&&str| **kind == "ok" || self.server.rejects(kind);
        kinds.iter().filter(known).copied().collect()
    }

    /// An endpoint for a listener, with this security setting.
    pub(crate) fn endpoint(&self, listener: Listener, security: Security) -> EndpointBuilder {
        self.endpoint_at(HOST, listener, security)
    }

    /// The same, for a host with another name.
    pub(crate) fn endpoint_at(
        &self,
        host: &str,
        listener: Listener,
        security: Security,
    ) -> EndpointBuilder {
        let transcript = Arc::clone(&self.transcript);
        Endpoint::builder(host)
            .port(self.environment.port(listener))
            .protocol(self.server.protocol(listener))
            .security(security)
            .tls(self.environment.certificates.trust().clone())
            .proxy_tls(self.environment.certificates.trust().clone())
            .timeouts(Timeouts::default().at_most(LONGEST))
            .transcript(move |entry| {
                if let Ok(mut lines) = transcript.lock() {
                    lines.push(entry.to_string());
                }
            })
    }

    /// One connection. The case checks the outcomes itself.
    pub(crate) fn converse(
        &self,
        endpoint: EndpointBuilder,
        listener: Listener,
        load: Load,
    ) -> Result<Session, Error> {
        if !self.server.listeners().contains(&listener) {
            self.lacks.set(true);
            return Err(Error::connect(std::io::Error::other("no such listener")));
        }
        self.converse_at(endpoint, self.environment.address(listener), load)
    }

    /// The same at an address: that of a proxy, if the endpoint has one.
    pub(crate) fn converse_at(
        &self,
        endpoint: EndpointBuilder,
        address: SocketAddr,
        load: Load,
    ) -> Result<Session, Error> {
        if let Ok(mut lines) = self.transcript.lock() {
            lines.clear();
        }
        let endpoint = endpoint.build().map_err(|error| {
            Error::connect(std::io::Error::other(format!("no endpoint: {error:#}")))
        })?;
        self.adapter.converse(&endpoint, address, load)
    }

    /// Sends messages in one batch. Asserts that every outcome is the expected one, and that the
    /// store agrees.
    pub(crate) fn deliver(
        &self,
        endpoint: EndpointBuilder,
        listener: Listener,
        messages: &[Message],
    ) -> Result<Session, String> {
        let session = self
            .converse(endpoint, listener, Load::Batch(mails(messages)?))
            .map_err(|error| format!("{error:#}"))?;
        self.check(messages, &session)?;
        Ok(session)
    }

    /// Asserts that every outcome is the expected one, and that the store agrees.
    pub(crate) fn check(&self, messages: &[Message], session: &Session) -> Result<(), String> {
        if session.outcomes.len() != messages.len() {
            // The last outcome has the reason why there are no more.
            let last = session.outcomes.last();
            let last = last.map_or_else(String::new, |last| format!(", the last is {last:?}"));
            let count = session.outcomes.len();
            return Err(format!(
                "{count} outcomes of {} messages{last}",
                messages.len()
            ));
        }
        for (message, outcome) in messages.iter().zip(&session.outcomes) {
            for (index, delivery) in outcome.recipients().iter().enumerate() {
                message.check_status(index, delivery.status())?;
            }
        }
        self.compare(messages, &session.outcomes)?;
        let quit = session.quit.as_ref();
        quit.map_err(|error| format!("at the end: {error:#}"))
            .copied()
    }

    /// Asserts that the server stored nothing.
    pub(crate) fn compare_nothing(&self) -> Result<(), String> {
        match self.collect(0)?.first() {
            None => Ok(()),
            Some(mail) => Err(format!("stored for {}, but never sent", mail.recipient)),
        }
    }

    /// The messages stored since the last call; `expected` messages are expected.
    pub(crate) fn collect(&self, expected: usize) -> Result<Vec<Stored>, String> {
        server::collect_expected(self.server, self.environment, expected)
            .map_err(|error| format!("{error:#}"))
    }

    /// Asserts that the server stored what the outcomes report, and nothing else.
    pub(crate) fn compare(&self, messages: &[Message], outcomes: &[Outcome]) -> Result<(), String> {
        let recipients = || outcomes.iter().flat_map(Outcome::recipients);
        let accepted = |delivery: &&RecipientOutcome| {
            matches!(delivery.status(), RecipientStatus::Accepted(_))
        };
        // A message in doubt may be stored at any time.
        let expected = match outcomes.iter().any(Outcome::is_in_doubt) {
            true => usize::MAX,
            false => recipients().filter(accepted).count(),
        };
        let mut stored = self.collect(expected)?;
        for (message, outcome) in messages.iter().zip(outcomes) {
            for (recipient, delivery) in message.recipients().iter().zip(outcome.recipients()) {
                let mut found = Vec::new();
                stored.retain(|mail| {
                    let mine = mail.recipient == *recipient;
                    if mine {
                        found.push(mail.clone());
                    }
                    !mine
                });
                let status = delivery.status();
                match (status, &*found) {
                    (RecipientStatus::Accepted(_), [mail]) => check_stored(message, mail)?,
                    (RecipientStatus::InDoubt(_), [mail]) => check_stored(message, mail)?,
                    (
                        RecipientStatus::InDoubt(_)
                        | RecipientStatus::Rejected { .. }
                        | RecipientStatus::NotSent(_),
                        [],
                    ) => {}
                    _ => {
                        let count = found.len();
                        return Err(format!("{recipient}: {status}, and stored {count} times"));
                    }
                }
            }
        }
        match stored.first() {
            None => Ok(()),
            Some(mail) => Err(format!(
                "stored for {} from {}, but never sent: {}",
                mail.recipient,
                mail.sender,
                String::from_utf8_lossy(&mail.text).escape_debug()
            )),
        }
    }
}

/// Asserts that the stored message is the one that was sent, except for fields that servers
/// prepend.
pub(crate) fn check_stored(message: &Message, mail: &Stored) -> Result<(), String> {
    if mail.sender != message.sender() {
        return Err(format!(
            "sent by {}, stored as of {}",
            message.sender(),
            mail.sender
        ));
    }
    let mark = message.mark();
    let begin = mail
        .text
        .windows(mark.len())
        .position(|window| window == mark.as_bytes());
    let stored = begin
        .and_then(|begin| mail.text.get(begin..))
        .unwrap_or_default();
    let sent = message.stored();
    if stored == sent {
        return Ok(());
    }
    let same = stored
        .iter()
        .zip(&sent)
        .take_while(|(stored, sent)| stored == sent)
        .count();
    let near = |text: &[u8]| {
        let text = &text[same.saturating_sub(20)..text.len().min(same + 40)];
        text.escape_ascii().to_string()
    };
    Err(format!(
        "{}: of {} bytes {} were stored; from {same} on {}, not {}",
        mail.recipient,
        sent.len(),
        stored.len(),
        near(stored),
        near(&sent)
    ))
}

/// The messages for a client.
pub(crate) fn mails(messages: &[Message]) -> Result<Vec<Mail>, String> {
    let mails: Result<_, _> = messages.iter().map(Message::mail).collect();
    mails.map_err(|error| format!("{error:#}"))
}

/// How a batch is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) level: Pipelining,
    pub(crate) text: Text,
}

/// How the content is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Data,
    /// By BDAT, a small message in one chunk.
    Chunk,
    /// By BDAT, a message in many chunks.
    Chunks,
}

/// Runs a case in each of these ways.
fn each_way(
    context: &CaseContext<'_>,
    ways: &[Way],
    run: impl Fn(&CaseContext<'_>, Way) -> Verdict,
) -> Verdict {
    let mut done = Done::Passed;
    for &way in ways {
        let Way { level, text } = way;
        match run(context, way).map_err(|fault| format!("{level:?}, {text:?}: {fault}"))? {
            Done::Passed => {}
            Done::Unsupported => done = Done::Unsupported,
        }
    }
    Ok(done)
}

impl Way {
    /// Every level, by DATA and by BDAT.
    pub(crate) const ALL: [Self; 8] = [
        Self::new(Pipelining::Off, Text::Data),
        Self::new(Pipelining::Off, Text::Chunk),
        Self::new(Pipelining::Envelope, Text::Data),
        Self::new(Pipelining::Envelope, Text::Chunk),
        Self::new(Pipelining::Transactions, Text::Data),
        Self::new(Pipelining::Transactions, Text::Chunk),
        Self::new(Pipelining::Speculative, Text::Data),
        Self::new(Pipelining::Speculative, Text::Chunk),
    ];

    /// Ways that differ most.
    pub(crate) const SOME: [Self; 4] = [
        Self::new(Pipelining::Off, Text::Data),
        Self::new(Pipelining::Transactions, Text::Data),
        Self::new(Pipelining::Transactions, Text::Chunk),
        Self::new(Pipelining::Speculative, Text::Chunk),
    ];

    const fn new(level: Pipelining, text: Text) -> Self {
        Self { level, text }
    }

    pub(crate) fn apply(self, endpoint: EndpointBuilder) -> EndpointBuilder {
        let endpoint = endpoint.pipelining(self.level);
        match self.text {
            Text::Data => endpoint.ignore_extension("CHUNKING"),
            Text::Chunk => endpoint,
            Text::Chunks => endpoint.chunk_size(50),
        }
    }

    /// Whether the server advertised what the case requires.
    pub(crate) fn is_advertised(self, session: &Session) -> bool {
        (self.level == Pipelining::Off || session.capabilities.pipelining())
            && (self.text == Text::Data || session.capabilities.chunking())
    }
}
