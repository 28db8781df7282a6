//! The end of a connection, and the errors reported afterwards.

use core::task::Poll;

use crate::command::Line;
use crate::connection::core::{Core, Phase};
use crate::connection::handshake::{CLOSING, State, TokenClaim, UNAVAILABLE};
use crate::connection::queue::Queued;
use crate::error::{ApiMisuse, Error, ErrorKind, ProtocolError};
use crate::pipelining::Pipelining;
use crate::reply::ReplyRef;
use crate::stage::Stage;
use crate::time::Time;
use crate::transcript::TranscriptEntry;

impl Core {
    pub(crate) fn enter(&mut self, entered: State) {
        if matches!(entered, State::Ended) {
            self.io.set_subject(None);
            self.io.show(|| TranscriptEntry::Ended);
            let ended = self.ended();
            self.drop_queue(&ended);
            self.io.close();
            self.phase = Phase::Open(entered);
            return;
        }
        match &mut self.phase {
            Phase::Open(state) | Phase::Draining { state, .. } => *state = entered,
            Phase::Failed(_) => {}
        }
    }

    /// Stops sending, and gives the peer some time to explain.
    pub(crate) fn drain(&mut self, now: Time, error: Error) {
        if let Phase::Open(state) = &mut self.phase {
            let state = core::mem::replace(state, State::Ended);
            let until = self.io.drain_until(now);
            self.phase = Phase::Draining {
                state,
                error,
                until,
            };
        }
    }

    /// Fails, and sends QUIT if both sides are still in order.
    pub(crate) fn fail(&mut self, error: Error) {
        let (state, is_open) = match &self.phase {
            Phase::Open(state) => (state, true),
            Phase::Draining { state, .. } => (state, false),
            Phase::Failed(_) => return,
        };
        let error = self.io.locate(state.cause_of(error));
        let error = match self.io.pending.level() {
            Pipelining::Off => error,
            _ if self.io.mails == 0 => error,
            _ => error.pipelined(),
        };
        self.io.set_subject(None);
        self.io.show(|| TranscriptEntry::Failed(&error));
        self.drop_queue(&error);
        let in_order = error.leaves_order()
            && is_open
            && self.io.pending.is_empty()
            && self.io.send_buffer.is_empty();
        self.io.close();
        if in_order {
            // RFC 5321, section 4.1.1.10: a client should not close before the reply to QUIT.
            self.io.send(&Line::Quit);
        }
        self.phase = Phase::Failed(error);
    }

    /// Gives every message in the queue an outcome.
    ///
    /// The first gets the error itself. The others get an error that says that the connection
    /// failed before their turn.
    fn drop_queue(&mut self, error: &Error) {
        for (index, item) in self.queue.take_all().into_iter().enumerate() {
            if let Queued::Mail(transaction) = item {
                let own = index == 0 && !transaction.is_untouched() && error.stage() != Stage::Rset;
                let error = if own {
                    error.clone()
                } else {
                    error.of_another()
                };
                self.complete(transaction, Some(error));
            }
        }
    }

    /// The error for a reply that belongs to no command.
    pub(crate) fn unexpected(&self, reply: ReplyRef<'_>) -> Error {
        let closes = match reply.code().as_u16() {
            CLOSING => true,
            UNAVAILABLE => !self.is_in_content(),
            _ => false,
        };
        let error = match &self.phase {
            Phase::Draining { error, .. }
                if !closes || matches!(error.kind(), ErrorKind::Transport(_)) =>
            {
                error.clone()
            }
            _ if closes => Error::new(self.stage(), ErrorKind::ConnectionLost),
            _ => Error::protocol(self.stage(), ProtocolError::UnexpectedReply),
        };
        error.with_reply(reply.to_reply())
    }

    /// Whether a message or a command can be queued.
    #[inline]
    pub(crate) fn takes_work(&self) -> bool {
        matches!(&self.phase, Phase::Open(state) if !matches!(state, State::Ended))
            && !self.queue.is_closed()
    }

    /// The reason why nothing new is accepted, unless the connection [takes work](Self::takes_work).
    #[inline]
    pub(crate) fn rejection(&self) -> Option<Error> {
        (!self.takes_work()).then(|| self.reason_for_rejection())
    }

    #[cold]
    fn reason_for_rejection(&self) -> Error {
        match &self.phase {
            Phase::Failed(error) => error.of_another(),
            Phase::Draining { error, .. } if !self.queue.is_closed() => error.of_another(),
            Phase::Open(_) | Phase::Draining { .. } => self.ended(),
        }
    }

    /// The reason why waiting is pointless; `Pending` if there is none.
    pub(crate) fn stuck(&self) -> Poll<Error> {
        match &self.phase {
            Phase::Failed(error) => Poll::Ready(error.clone()),
            Phase::Open(State::AwaitTls(_))
            | Phase::Draining {
                state: State::AwaitTls(_),
                ..
            } => Poll::Ready(Error::misuse(
                Stage::TlsHandshake,
                ApiMisuse::UpgradePending,
            )),
            Phase::Open(State::AwaitToken(TokenClaim::Unclaimed)) => {
                Poll::Ready(Error::misuse(Stage::Token, ApiMisuse::TokenWanted))
            }
            Phase::Open(State::Ready) => match self.queue.next() {
                Some(Queued::Mail(transaction))
                    if transaction.is_starved()
                        && self.io.send_buffer.is_empty()
                        && self.io.pending.is_empty() =>
                {
                    Poll::Ready(Error::misuse(Stage::Content, ApiMisuse::ContentUnfinished))
                }
                None if self.queue.is_empty() => {
                    Poll::Ready(Error::misuse(Stage::Idle, ApiMisuse::NothingUnderWay))
                }
                _ => Poll::Pending,
            },
            Phase::Open(_) | Phase::Draining { .. } => Poll::Pending,
        }
    }

    /// The error for an id that is not in the queue: its result was taken, or it does not exist.
    pub(crate) fn unknown(&self) -> Error {
        match (&self.phase, self.rejection()) {
            (Phase::Failed(error), _) => error.clone(),
            (Phase::Draining { error, .. }, Some(_)) if !self.queue.is_closed() => error.clone(),
            (_, Some(error)) => error,
            (Phase::Open(state) | Phase::Draining { state, .. }, None) => {
                Error::misuse(state.stage(), ApiMisuse::UnknownId)
            }
        }
    }

    pub(crate) fn ended(&self) -> Error {
        self.io.locate(Error::new(Stage::Idle, ErrorKind::Closed))
    }
}
