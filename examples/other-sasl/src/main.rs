//! Logs in by a mechanism of another SASL library, rsasl.
//!
//! `Foreign` wraps any mechanism of the library. Here it is SCRAM-SHA-256, which needs no set-up.
//! `GSSAPI` works the same way, with the library's feature of that name and a Kerberos ticket.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use rsasl::prelude::{Mechname, SASLClient, SASLConfig, Session, State};
use smtp_blocking::Client;
use smtp_blocking::proto::sasl::{ConnectionInfo, Exchange, ExchangeError, Mechanism, Name};
use smtp_blocking::proto::{Credentials, Mail, Secret};
use smtp_blocking::tls::Endpoint;
use smtp_test::{Config, Server, Tls};

fn main() -> Result<(), Box<dyn Error>> {
    let tls = Tls::new();
    let server = Server::start(
        Config::new()
            .tls(tls.clone())
            .user("alice", "correct horse")
            .mechanisms(["SCRAM-SHA-256", "PLAIN"])
            .require_auth(),
    )?;

    let library = SASLConfig::with_credentials(None, "alice".into(), "correct horse".into())?;
    let foreign = Foreign {
        name: Name::new("SCRAM-SHA-256").ok_or("invalid name of a mechanism")?,
        library,
    };
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.client_config())
        .credentials(Credentials::from_mechanisms(vec![Arc::new(foreign)]))
        .transcript(|entry| println!("{entry}"))
        .build()?;

    let mut client = Client::connect(&endpoint)?;
    let text = "From: alice@example.org\r\nSubject: hello\r\n\r\nBy another SASL library.\r\n";
    let mail = Mail::new("alice@example.org", ["bob@example.net"], text)?;
    let outcome = client.send(mail)?.all_accepted()?;
    println!("{}", outcome.recipients()[0].status());
    client.quit()?;
    for mail in server.mails() {
        println!("stored, sent by {:?}", mail.authenticated_as());
    }
    server.log().assert_clean();
    Ok(())
}

/// A mechanism of the library, by name.
struct Foreign {
    name: Name,
    library: Arc<SASLConfig>,
}

impl Mechanism for Foreign {
    fn name(&self) -> Name {
        self.name
    }

    fn start(&self, _: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
        let session = Mechname::parse(self.name.as_str().as_bytes())
            .ok()
            .and_then(|name| {
                let client = SASLClient::new(Arc::clone(&self.library));
                client.start_suggested(&[name]).ok()
            });
        Box::new(match session {
            Some(session) => ForeignExchange::Running(Box::new(session)),
            None => ForeignExchange::Failed,
        })
    }
}

/// The library's configuration holds the password.
impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Foreign")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The state of an exchange.
enum ForeignExchange {
    Running(Box<Session>),
    /// The library has finished the exchange.
    Finished,
    Failed,
}

impl ForeignExchange {
    /// Runs one step; every failure is final.
    fn step(&mut self, input: Option<&[u8]>) -> Result<Secret, ExchangeError> {
        let Self::Running(mut session) = std::mem::replace(self, Self::Failed) else {
            return Err(ExchangeError::TooManyChallenges);
        };
        let mut output = Vec::new();
        let state = session.step(input, &mut output);
        let output = Secret::from(output);
        *self = match state
            .map_err(|_| ExchangeError::Mechanism("the library rejected the challenge"))?
        {
            State::Running => Self::Running(session),
            State::Finished(_) => Self::Finished,
        };
        Ok(output)
    }
}

impl Exchange for ForeignExchange {
    fn initial_response(&mut self) -> Result<Option<Secret>, ExchangeError> {
        match self {
            Self::Running(session) if session.are_we_first() => self.step(None).map(Some),
            Self::Running(_) => Ok(None),
            _ => Err(ExchangeError::Mechanism(
                "the library has no such mechanism",
            )),
        }
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, ExchangeError> {
        self.step(Some(challenge))
    }

    fn finish(&mut self) -> Result<(), ExchangeError> {
        // The library must learn that no further challenge will arrive.
        if matches!(self, Self::Running(_)) {
            self.step(None)?;
        }
        match self {
            Self::Finished => Ok(()),
            _ => Err(ExchangeError::Premature),
        }
    }

    fn max_challenges(&self) -> usize {
        // The library knows the exact number, and fails after it.
        16
    }
}
