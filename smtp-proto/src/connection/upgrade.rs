//! The obligation to run the TLS handshake.

use crate::connection::Connection;
use crate::connection::core::{Core, Phase};
use crate::connection::handshake::{State, TlsStart};
use crate::error::{ApiMisuse, Error};
use crate::time::Time;
use crate::tls::TlsInfo;
use crate::transcript::TranscriptEntry;

/// Obligation to run the TLS handshake. [`complete`](Self::complete) then continues inside TLS.
///
/// Dropping it changes nothing: the connection keeps waiting, and [`Connection::begin_tls`] returns
/// it again.
///
/// ```
/// use smtp_proto::{Connection, Error, Time, TlsInfo};
///
/// /// Continues inside TLS, once `wants_tls` returns `true`.
/// fn upgrade(connection: &mut Connection, now: Time) -> Result<(), Error> {
///     let upgrade = connection.begin_tls(now)?;
///     // The TLS library runs the handshake here.
///     upgrade.complete(now, TlsInfo::new().with_version("TLSv1.3"));
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[must_use = "the connection waits until `complete` is called"]
pub struct Upgrade<'a> {
    core: &'a mut Core,
    start: TlsStart,
}

impl Connection {
    /// Whether TLS begins now: everything before is sent, and its replies have arrived.
    ///
    /// Until [`Upgrade::complete`] nothing is sent, and input is a fatal error.
    pub fn wants_tls(&self) -> bool {
        matches!(
            self.core.phase,
            Phase::Open(State::AwaitTls(_) | State::TlsHandshake(_))
        )
    }

    /// Declares that a TLS layer will [begin TLS](Self::begin_tls) when it is driven.
    ///
    /// Without this or `begin_tls`, every question returns [`ApiMisuse::UpgradePending`], because
    /// the connection would wait forever.
    pub fn claim_tls(&mut self) {
        if let Phase::Open(State::AwaitTls(start)) = self.core.phase {
            self.core.change().phase = Phase::Open(State::TlsHandshake(start));
        }
    }

    /// Begins TLS: starts the time limit of the handshake, unless STARTTLS has started it, and
    /// returns the obligation to run it.
    ///
    /// May be called again to continue a handshake during which the [`Upgrade`] could not be kept.
    ///
    /// # Errors
    /// The failure of the connection, or misuse if TLS does not begin now.
    pub fn begin_tls(&mut self, now: Time) -> Result<Upgrade<'_>, Error> {
        self.claim_tls();
        let core = self.core.change();
        match core.phase {
            Phase::Open(State::TlsHandshake(start)) => {
                core.io.begin(now);
                core.io.begin_tls(now);
                Ok(Upgrade { core, start })
            }
            Phase::Failed(ref error) | Phase::Draining { ref error, .. } => Err(error.clone()),
            Phase::Open(ref state) => Err(Error::misuse(state.stage(), ApiMisuse::NoUpgrade)),
        }
    }
}

impl Upgrade<'_> {
    /// Continues inside TLS, through which every later byte passes.
    ///
    /// Everything learned in cleartext is discarded, and the dialogue begins again.
    pub fn complete(self, now: Time, info: TlsInfo) {
        let Self { core, start } = self;
        core.io.begin(now);
        core.io.set_subject(None);
        core.io.show(|| TranscriptEntry::Tls(&info));
        core.io.add_round_trips(info.round_trips());
        core.io.read_something(now);
        let state = State::secured(start, info, &mut core.context());
        core.phase = Phase::Open(state);
    }
}
