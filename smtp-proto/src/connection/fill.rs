//! Filling the line: queueing whatever may be sent now.

use core::ops::Deref;

use crate::capabilities::Capabilities;
use crate::command::{Command, Line};
use crate::connection::core::{Completed, Core, Phase};
use crate::connection::handshake::State;
use crate::connection::progress::{FillMode, Progress};
use crate::connection::queue::Queued;
use crate::error::{Error, ErrorKind, MissingExtension};
use crate::pipelining::Pipelining;
use crate::stage::Stage;

/// The core, and how far its line is filled.
///
/// What is filled once need not be filled again before something changes. Every change goes through
/// [`change`](Self::change), which forgets how far the line is filled; nothing else gives the core to be changed but
/// [`unchanged`](Self::unchanged), whose name says what it is for.
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

    /// The core, for a change that may let more be sent.
    pub(crate) fn change(&mut self) -> &mut Core {
        self.reached = None;
        &mut self.core
    }

    /// The core, for a change that lets nothing more be sent: to offer what is queued, or to give a result away.
    pub(crate) fn unchanged(&mut self) -> &mut Core {
        &mut self.core
    }

    /// Whether the line has been filled up to something that could begin.
    pub(crate) fn is_probed(&self) -> bool {
        self.reached == Some(FillMode::Probe)
    }

    /// Queues whatever may be sent now.
    ///
    /// # Errors
    /// Why the connection cannot go on.
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
    /// Queues whatever may be sent now. Returns how far it came: all the way, unless it was only to probe.
    fn fill(&mut self, mode: FillMode) -> Result<FillMode, Error> {
        while matches!(self.phase, Phase::Open(State::Ready)) {
            let progress = match self.queue.next_mut() {
                None => Progress::Blocked,
                Some(Queued::Finished) => Progress::Done,
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
                    // It may be answered by now: then the next reply belongs to what is after it.
                    self.finish_front();
                }
                Progress::Failed(error) => self.on_unsendable(error)?,
            }
            self.budget.add_command();
        }
        Ok(FillMode::Send)
    }

    /// Sends the command that is next, after RSET if that would undo it.
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

    /// Sends QUIT, once nothing is left before it.
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

    /// Takes what cannot be sent out of the queue; if a part of it was sent, the connection cannot go on.
    fn on_unsendable(&mut self, error: Error) -> Result<(), Error> {
        match self.queue.next_mut() {
            Some(Queued::Mail(transaction)) if transaction.is_untouched() => {
                let id = transaction.id;
                self.withdraw(id, error);
                Ok(())
            }
            Some(item @ Queued::Command(..)) => {
                if let Queued::Command(id, _) = core::mem::replace(item, Queued::Finished) {
                    let error = self.io.locate(error);
                    self.done.push_back(Completed::Command(id, Err(error)));
                }
                self.finish_front();
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Sets the level of pipelining, from when the server is known to allow it.
    pub(crate) fn set_pipelining(&mut self, level: Pipelining) {
        self.ahead.level = level;
        self.apply_level();
    }

    /// Sends further ahead while a batch is sent, unless the config says how far.
    pub(crate) fn set_batching(&mut self, batching: bool) {
        if self.ahead.batching != batching && self.io.config.pipelining.is_none() {
            self.ahead.batching = batching;
            self.apply_level();
        }
    }

    fn apply_level(&mut self) {
        if matches!(self.phase.state(), Ok(State::Ready)) && self.server.capabilities.pipelining() {
            self.io.pending.set_level(self.ahead.level());
        }
    }
}

/// Checks that a command can be sent to this server, and leaves out what the server does not take.
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
