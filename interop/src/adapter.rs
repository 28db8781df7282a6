//! The three clients under one interface.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use smtp_proto::{
    Capabilities, Command, Config, Error, Mail, Outcome, Reply, Severity, TlsInfo, Wire,
};
use smtp_rustls::Endpoint;

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adapter {
    Blocking,
    Tokio,
    Smol,
}

/// The results of one connection, from the greeting to QUIT.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) capabilities: Capabilities,
    pub(crate) tls: Option<TlsInfo>,
    /// Outcomes in the order of the messages. Messages that a failure left unsent have none.
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) quit: Result<(), Error>,
}

/// The messages of one connection.
#[derive(Debug)]
pub(crate) enum Load {
    /// Messages sent as one batch.
    Batch(Vec<Mail>),
    /// One message with streamed content.
    Streamed(Mail, Bytes),
    /// One message after a command, if the server accepts the command.
    Behind(Command, Mail),
}

/// One connection with a client whose methods are async.
macro_rules! converse {
    ($client:expr, $load:expr) => {{
        let mut client = $client?;
        let mut outcomes = Vec::new();
        match $load {
            Load::Batch(mails) => {
                let mut batch = client.send_all(mails);
                while let Some(outcome) = batch.next().await {
                    outcomes.push(outcome);
                }
            }
            Load::Streamed(mail, text) => outcomes.push(client.send_from(mail, &*text).await?),
            Load::Behind(command, mail) => {
                took(client.command(command).await?)?;
                outcomes.push(client.send(mail).await?);
            }
        }
        Ok(Session {
            capabilities: client.capabilities().clone(),
            tls: client.tls().cloned(),
            outcomes,
            quit: client.quit().await,
        })
    }};
}

impl Adapter {
    pub(crate) const ALL: [Self; 3] = [Self::Blocking, Self::Tokio, Self::Smol];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Tokio => "tokio",
            Self::Smol => "smol",
        }
    }

    /// Connects, sends, and quits.
    ///
    /// # Errors
    /// The reason why the connection did not become ready for messages.
    pub(crate) fn converse(
        self,
        endpoint: &Endpoint,
        address: SocketAddr,
        load: Load,
    ) -> Result<Session, Error> {
        assert!(address.ip().is_loopback(), "nothing is sent elsewhere");
        let to = [address];
        match self {
            Self::Blocking => blocking(smtp_blocking::Client::connect_to(endpoint, &to)?, load),
            Self::Tokio => on_tokio(async {
                converse!(smtp_tokio::Client::connect_to(endpoint, &to).await, load)
            }),
            Self::Smol => smol::block_on(async {
                converse!(smtp_smol::Client::connect_to(endpoint, &to).await, load)
            }),
        }
    }

    /// The same over a Unix socket.
    ///
    /// # Errors
    /// The reason why the connection did not become ready for messages.
    pub(crate) fn converse_unix(
        self,
        policy: &Arc<Config>,
        socket: &Path,
        load: Load,
    ) -> Result<Session, Error> {
        let policy = Arc::clone(policy);
        match self {
            Self::Blocking => blocking(smtp_blocking::Client::connect_unix(socket, policy)?, load),
            Self::Tokio => on_tokio(async {
                converse!(smtp_tokio::Client::connect_unix(socket, policy).await, load)
            }),
            Self::Smol => smol::block_on(async {
                converse!(smtp_smol::Client::connect_unix(socket, policy).await, load)
            }),
        }
    }
}

fn on_tokio(conversation: impl Future<Output = Result<Session, Error>>) -> Result<Session, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::connect)?
        .block_on(conversation)
}

fn blocking<S: smtp_blocking::Stream, W: Wire>(
    mut client: smtp_blocking::Client<S, W>,
    load: Load,
) -> Result<Session, Error> {
    let outcomes = match load {
        Load::Batch(mails) => client.send_all(mails).collect(),
        Load::Streamed(mail, text) => vec![client.send_from(mail, io::Cursor::new(text))?],
        Load::Behind(command, mail) => {
            took(client.command(command)?)?;
            vec![client.send(mail)?]
        }
    };
    Ok(Session {
        capabilities: client.capabilities().clone(),
        tls: client.tls().cloned(),
        outcomes,
        quit: client.quit(),
    })
}

/// Whether the server accepted a command.
fn took(reply: Reply) -> Result<(), Error> {
    match reply.code().severity() {
        Severity::Completion => Ok(()),
        _ => Err(Error::connect(io::Error::other(format!(
            "rejected: {reply}"
        )))),
    }
}
