//! The mailers of the three clients under one interface.

use std::io;
use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use smtp_blocking::Check;
use smtp_blocking::pool::{PoolConfig, PoolError, PoolStats, SendError};
use smtp_proto::{Mail, Outcome};
use smtp_rustls::Endpoint;
use tokio::runtime::Runtime;

use crate::adapter::Adapter;

/// A mailer; closed when dropped.
#[derive(Debug)]
pub(crate) struct Mailer {
    handle: Handle,
    /// The threads that run a blocking mailer.
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
enum Handle {
    Blocking(smtp_blocking::Mailer),
    Tokio(smtp_tokio::Mailer, Runtime),
    Smol(smtp_smol::Mailer),
}

/// Which code drives the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driving {
    /// The callers.
    Callers,
    /// The driver of an async mailer, or a thread for each connection.
    Driver,
}

/// The result of a message.
pub(crate) type Sent = Result<Outcome, SendError>;

impl Driving {
    pub(crate) const ALL: [Self; 2] = [Self::Callers, Self::Driver];
}

impl Mailer {
    /// A mailer of this client with at most this number of connections.
    pub(crate) fn new(
        adapter: Adapter,
        endpoint: Endpoint,
        connections: u32,
        driving: Driving,
    ) -> io::Result<Self> {
        let config = PoolConfig::new().with_max_connections(connections);
        let mut threads = Vec::new();
        let is_driven = driving == Driving::Driver;
        let handle = match adapter {
            Adapter::Blocking => {
                let mailer = smtp_blocking::Mailer::with_config(endpoint, config);
                for _ in 0..if is_driven { connections } else { 0 } {
                    let mailer = mailer.clone();
                    threads.push(thread::spawn(move || mailer.run()));
                }
                Handle::Blocking(mailer)
            }
            Adapter::Tokio => {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_all()
                    .build()?;
                let mailer = smtp_tokio::Mailer::with_config(endpoint, config);
                if let Some(driver) = is_driven.then(|| mailer.driver()).flatten() {
                    runtime.spawn(driver);
                }
                Handle::Tokio(mailer, runtime)
            }
            Adapter::Smol => {
                let mailer = smtp_smol::Mailer::with_config(endpoint, config);
                if let Some(driver) = is_driven.then(|| mailer.driver()).flatten() {
                    smol::spawn(driver).detach();
                }
                Handle::Smol(mailer)
            }
        };
        Ok(Self { handle, threads })
    }

    /// Sends each message by a caller of its own, all at one time. The results are in the order of
    /// the messages.
    pub(crate) fn send(&self, mails: Vec<Mail>) -> Vec<Sent> {
        match &self.handle {
            Handle::Blocking(mailer) => thread::scope(|scope| {
                let callers = mails
                    .into_iter()
                    .map(|mail| scope.spawn(move || mailer.send(mail)));
                let callers: Vec<_> = callers.collect();
                let joined = callers.into_iter().map(|caller| caller.join());
                joined
                    .map(|sent| sent.unwrap_or_else(|panic| resume_unwind(panic)))
                    .collect()
            }),
            Handle::Tokio(mailer, runtime) => {
                let callers = mails.into_iter().map(|mail| {
                    let mailer = mailer.clone();
                    runtime.spawn(async move { mailer.send(mail).await })
                });
                let callers: Vec<_> = callers.collect();
                let joined = callers
                    .into_iter()
                    .map(|caller| runtime.block_on(caller).map_err(|error| error.into_panic()));
                joined
                    .map(|sent| sent.unwrap_or_else(|panic| resume_unwind(panic)))
                    .collect()
            }
            Handle::Smol(mailer) => {
                let callers = mails.into_iter().map(|mail| {
                    let mailer = mailer.clone();
                    smol::spawn(async move { mailer.send(mail).await })
                });
                let callers: Vec<_> = callers.collect();
                callers.into_iter().map(smol::block_on).collect()
            }
        }
    }

    /// Tests the connection.
    ///
    /// # Errors
    /// The reason why the server cannot be used.
    pub(crate) fn check(&self) -> Result<Check, PoolError> {
        match &self.handle {
            Handle::Blocking(mailer) => mailer.check(),
            Handle::Tokio(mailer, runtime) => runtime.block_on(mailer.check()),
            Handle::Smol(mailer) => smol::block_on(mailer.check()),
        }
    }

    /// The counters.
    pub(crate) fn stats(&self) -> PoolStats {
        match &self.handle {
            Handle::Blocking(mailer) => mailer.stats(),
            Handle::Tokio(mailer, _) => mailer.stats(),
            Handle::Smol(mailer) => mailer.stats(),
        }
    }

    /// Closes it. Returns whether everything ended in time.
    pub(crate) fn close(&self) -> bool {
        match &self.handle {
            Handle::Blocking(mailer) => mailer.close(LONGEST),
            Handle::Tokio(mailer, runtime) => runtime.block_on(mailer.close(LONGEST)),
            Handle::Smol(mailer) => smol::block_on(mailer.close(LONGEST)),
        }
    }
}

impl Drop for Mailer {
    fn drop(&mut self) {
        self.close();
        for thread in self.threads.drain(..) {
            // The results of its messages tell of a panic.
            let _ = thread.join();
        }
    }
}

/// The longest wait for the end of idle connections.
const LONGEST: Duration = Duration::from_secs(60);
