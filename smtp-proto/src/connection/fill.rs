//! Fills the send buffer: queues everything that may be sent now.

use core::ops::Deref;

use crate::capabilities::Capabilities;
use crate::command::{Command, Line};
use crate::connection::core::{Core, Phase};
use crate::connection::handshake::State;
use crate::connection::progress::{FillMode, Progress};
use crate::connection::queue::Queued;
use crate::connection::results::Completed;
use crate::error::{Error, ErrorKind, MissingExtension};
use crate::pipelining::Pipelining;
use crate::stage::Stage;

/// The core, and the result of the last fill.
///
/// Filling again is unnecessary until something changes. Every change goes through
/// [`change`](Self::change), which discards the result. [`unchanged`](Self::unchanged) is the only
/// other mutable access.
pub(crate) struct Filled {
    core: Core,
    reached: Option<FillMode>,
}

impl Filled {
    pub(crate) const fn new(core: Core) -> Self {
        Self {
            core,
            reached: None,
        }
    }

    /// The core, for a change that may allow more to be sent.
    pub(crate) fn change(&mut self) -> &mut Core {
        self.reached = None;
        &mut self.core
    }

    /// The core, for a change that allows nothing more to be sent: handing out queued bytes, or
    /// returning a result.
    pub(crate) fn unchanged(&mut self) -> &mut Core {
        &mut self.core
    }

    /// Whether everything is queued except an item that could begin.
    pub(crate) fn is_probed(&self) -> bool {
        self.reached == Some(FillMode::Probe)
    }

    /// Queues everything that may be sent now.
    ///
    /// # Errors
    /// The failure of the connection.
    #[inline]
    pub(crate) fn fill(&mut self, mode: FillMode) -> Result<(), Error> {
        if self.reached < Some(mode) && matches!(self.core.phase, Phase::Open(_)) {
            self.reached = None;
            self.reached = Some(self.core.fill(mode)?);
        }
        Ok(())
    }
}

impl Deref for Filled {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl Core {
    /// Queues everything that may be sent now. Returns [`FillMode::Probe`] if an item could begin
    /// and the mode is to probe.
    fn fill(&mut self, mode: FillMode) -> Result<FillMode, Error> {
        while matches!(self.phase, Phase::Open(State::Ready)) {
            let progress = match self.queue.next_mut() {
                None => Progress::Blocked,
                Some(Queued::Finished(_)) => Progress::Done,
                Some(Queued::Mail(transaction)) => {
                    self.io.set_subject(Some(&transaction.trace));
                    transaction.advance(&mut self.io, &self.server, &mut self.leftover, mode)
                }
                Some(Queued::Command(..)) => self.send_command(mode),
                Some(Queued::Quit) => self.send_quit(mode),
            };
            match progress {
                Progress::Blocked => return Ok(FillMode::Send),
                Progress::Sendable => return Ok(FillMode::Probe),
                Progress::Sent => {}
                Progress::Done => {
                    self.queue.sent();
                    // The item may have all its replies by now. The next reply then belongs to the
                    // item after it.
                    self.finish_front();
                }
                Progress::Failed(error) => self.on_unsendable(error)?,
            }
            self.budget.add_command();
        }
        Ok(FillMode::Send)
    }

    /// Sends the next command, after RSET if RSET would undo it.
    fn send_command(&mut self, mode: FillMode) -> Progress {
        self.io.set_subject(None);
        let Some(Queued::Command(_, command)) = self.queue.next_mut() else {
            return Progress::Blocked;
        };
        if let Err(missing) = check_extensions(command, &self.server.capabilities) {
            let error = Error::new(Stage::Command, ErrorKind::Unsupported(missing));
            return Progress::Failed(error);
        }
        if mode == FillMode::Probe {
            return Progress::Sendable;
        }
        if self.leftover.needs_reset() && command.is_for_next_mail() {
            if !self.io.send(&Line::Rset) {
                return Progress::Blocked;
            }
            self.leftover = self.leftover.reset_sent();
            return Progress::Sent;
        }
        if !self.io.send(&Line::User(command)) {
            Progress::Blocked
        } else if command.has_more() {
            Progress::Sent
        } else {
            Progress::Done
        }
    }

    /// Sends QUIT once nothing is left before it.
    fn send_quit(&mut self, mode: FillMode) -> Progress {
        if self.queue.len() > 1 || !self.io.pending.is_empty() {
            return Progress::Blocked;
        }
        if mode == FillMode::Probe {
            return Progress::Sendable;
        }
        self.io.set_subject(None);
        self.phase = Phase::Open(State::quit(&mut self.io));
        Progress::Blocked
    }

    /// Removes an item that cannot be sent. If a part of it was sent, the connection fails.
    fn on_unsendable(&mut self, error: Error) -> Result<(), Error> {
        match self.queue.next_mut() {
            Some(Queued::Mail(transaction)) if transaction.is_untouched() => {
                let id = transaction.id;
                self.withdraw(id, error);
                Ok(())
            }
            Some(item @ Queued::Command(..)) => {
                if let Queued::Command(id, _) = item.finish() {
                    let error = self.io.locate(error);
                    self.done.push(Completed::Command(id, Err(error)));
                }
                self.finish_front();
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Sets the level of pipelining. It applies from when the server is known to support it.
    pub(crate) fn set_pipelining(&mut self, level: Pipelining) {
        self.ahead.level = level;
        self.apply_level();
    }

    /// Raises the level of pipelining during a batch, unless the configuration sets a level.
    pub(crate) fn set_batching(&mut self, batching: bool) {
        if self.ahead.batching != batching && self.io.config.pipelining.is_none() {
            self.ahead.batching = batching;
            self.apply_level();
        }
    }

    /// Lowers the level of pipelining after a pause of the caller.
    pub(crate) fn set_cautious(&mut self, cautious: bool) {
        self.ahead.cautious = cautious;
        self.apply_level();
    }

    fn apply_level(&mut self) {
        if matches!(self.phase.state(), Ok(State::Ready)) && self.server.capabilities.pipelining() {
            self.io.pending.set_level(self.ahead.level());
        }
    }
}

/// Checks that the server supports a command, and removes the attributes that it does not
/// advertise.
fn check_extensions(
    command: &mut Command,
    capabilities: &Capabilities,
) -> Result<(), MissingExtension> {
    if !command.keep_offered(capabilities) {
        Err(MissingExtension::Xforward)
    } else if command.is_ascii() || capabilities.smtp_utf8() {
        Ok(())
    } else {
        Err(MissingExtension::SmtpUtf8)
    }
}
